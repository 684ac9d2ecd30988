"""Every variable is explained, production asks for what it needs, and Django finds nothing to object to there."""

import os
import re
import subprocess
import sys

import pytest

from emsp import local

EXPLAINED = set(re.findall(r"^#?([A-Z][A-Z_]+)=", (local.PROJECT / ".env.example").read_text(), re.MULTILINE))
OF_OTHERS = {"WEB_CONCURRENCY", "WEB_STOP_PAUSE", "WORKER_CONCURRENCY", "DRIVER_WAITS_CONCURRENCY"}

PRODUCTION = {
    "SECRET_KEY": "0f_4vQeTt2nYV8mWc7Rk1sLxJ9hDpZuAaBbEeGgIiKkMmOoQqSsUu-Ww",
    "DATABASE_URL": "postgres://emsp:secret@127.0.0.1:1/emsp",
    "PUBLIC_URL": "https://roaming.example.com",
    "FIELD_KEYS": local.new_field_key(),
}


def read_variables() -> set[str]:
    """By settings.py and local.py, the only two that read any."""
    text = "".join((local.PROJECT / "emsp" / name).read_text() for name in ("settings.py", "local.py"))
    spelt = r'(?:env(?:\.\w+)?\(|os\.environ\.get\(|required\()\s*"([A-Z_]+)"'
    return set(re.findall(spelt, text))


def test_every_variable_is_explained_and_every_explanation_is_of_a_variable():
    assert read_variables() | OF_OTHERS == EXPLAINED


def test_what_others_read_is_read_by_the_procfile_or_gunicorn():
    here = set(re.findall(r"\$\{(\w+)", (local.PROJECT / "Procfile").read_text()))
    there = set(re.findall(r'environ\.get\("(\w+)"', (local.PROJECT / "gunicorn.conf.py").read_text()))
    assert here | there == OF_OTHERS - {"WEB_CONCURRENCY"}, "gunicorn itself reads that one"


def manage(tmp_path, *arguments, **changes) -> subprocess.CompletedProcess:
    kept = {name: value for name, value in os.environ.items() if name not in EXPLAINED}
    environment = kept | PRODUCTION | {"DATA_DIR": str(tmp_path)} | changes
    command = [sys.executable, "-W", "error", "manage.py", *arguments]
    environment = {name: value for name, value in environment.items() if value}
    return subprocess.run(command, cwd=local.PROJECT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.control("S51")
def test_django_objects_to_nothing_in_production(tmp_path):
    done = manage(tmp_path, "check", "--deploy", "--fail-level", "WARNING")
    assert "no issues" in done.stdout, done.stderr
    assert done.returncode == 0


@pytest.mark.control("S46")
def test_staff_need_a_second_factor_in_production_unless_somebody_turns_it_off(tmp_path):
    said = (
        "from django.conf import settings as s; print(s.SECOND_FACTOR_REQUIRED, s.SESSION_IDLE_S, s.SESSION_COOKIE_AGE)"
    )
    assert manage(tmp_path, "shell", "-v", "0", "-c", said).stdout.split() == ["True", "1800", "28800"]
    assert manage(tmp_path, "shell", "-v", "0", "-c", said, SECOND_FACTOR_REQUIRED="0").stdout.split()[0] == "False"
    warned = manage(tmp_path, "check", "--deploy", "--fail-level", "WARNING", SECOND_FACTOR_REQUIRED="0")
    assert warned.returncode != 0
    assert "staff.W001" in warned.stderr


@pytest.mark.parametrize("name", ["SECRET_KEY", "DATABASE_URL", "PUBLIC_URL", "FIELD_KEYS"])
def test_production_names_what_is_missing(tmp_path, name):
    done = manage(tmp_path, "check", **{name: ""})
    assert done.returncode != 0
    assert f"{name} is not set" in done.stderr


@pytest.mark.control("S24")
def test_a_public_platform_does_not_call_inner_addresses(tmp_path):
    refused = manage(tmp_path, "check", OCPI_PRIVATE_HOSTS="127.0.0.1")
    assert "OCPI_PRIVATE_HOSTS" in refused.stderr
    assert (
        manage(tmp_path, "check", OCPI_PRIVATE_HOSTS="127.0.0.1", OCPI_PRIVATE_HOSTS_IN_PRODUCTION="1").returncode == 0
    )


def test_production_starts_nothing_embedded(tmp_path):
    manage(tmp_path, "migrate", "--check")
    assert not (tmp_path / "keys.json").exists()
    assert not list(tmp_path.glob("pg*"))


def test_static_files_are_collected_under_names_that_change_with_them(tmp_path):
    assert manage(tmp_path, "collectstatic", "--noinput").returncode == 0
    assert (tmp_path / "static" / "staticfiles.json").exists()
