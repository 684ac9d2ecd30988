"""What a server runs is what the Procfile says, in both ways of running it; and its files are well formed."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from django.conf import settings

from emsp import metrics

BASE = Path(settings.BASE_DIR)
DEPLOY = BASE / "deploy"
UNITS = DEPLOY / "systemd"
PROCESSES = dict(line.split(": ", 1) for line in (BASE / "Procfile").read_text().splitlines())


def essence(command):
    """A command without what each way writes differently: the path, and how many processes."""
    command = command.replace("%%", "%").replace("/opt/emsp/.venv/bin/", "")
    return re.sub(r' -c "?\$+\{.*', "", command.split(" --bind")[0]).strip()


def test_systemd_runs_what_the_procfile_names():
    for name, command in PROCESSES.items():
        unit = (UNITS / f"emsp-{name.replace('_', '-')}.service").read_text()
        started = [essence(line) for line in re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)]
        assert started == [essence(part) for part in command.split(" && ")], name


def test_compose_runs_what_the_procfile_names():
    services = dict(re.findall(r"^  (\w+):.*\n((?:    .*\n|\n)+)", (BASE / "compose.yaml").read_text(), re.MULTILINE))
    assert PROCESSES.keys() <= services.keys()
    for name in PROCESSES.keys() - {"web", "release"}:
        (command,) = re.findall(r"command: (?:sh -c 'exec )?(celery .*?)'?$", services[name], re.MULTILINE)
        assert essence(command) == essence(PROCESSES[name]), name
    assert "python manage.py migrate --noinput" in services["release"]
    assert 'CMD ["gunicorn",' in (BASE / "Dockerfile").read_text()


def test_every_service_that_works_waits_for_the_release():
    units = [path for path in UNITS.glob("emsp-*.service") if path.stem not in {"emsp-release", "emsp-backup"}]
    assert len(units) == len(PROCESSES) - 1
    for path in units:
        assert "Requires=emsp-release.service" in path.read_text(), path.name
        assert re.search(r"After=.*emsp-release\.service", path.read_text()), path.name


@pytest.mark.control("S53")
def test_secrets_of_a_server_are_in_no_image_and_no_commit():
    assert (BASE / ".dockerignore").read_text().split("\n")[1] == "*", "only what is named goes in"
    assert {"/deploy/*.env", "/deploy/tls/"} <= set((BASE / ".gitignore").read_text().split("\n"))
    for example in DEPLOY.glob("*.example"):
        for name in ("SECRET_KEY", "FIELD_KEYS", "POSTGRES_PASSWORD"):
            assert not re.search(rf"^{name}=.", example.read_text(), re.MULTILINE), (example.name, name)


@pytest.mark.control("S36")
def test_the_proxy_waits_for_slow_clients_so_that_python_need_not():
    """Trust D15, S36: header 10 s, body 15 s, and a request is handed on when it is whole."""
    told = " ".join(path.read_text() for path in (DEPLOY / "nginx").iterdir())
    for wanted in (
        "client_header_timeout 10s;", "client_body_timeout 15s;", "client_max_body_size 4m;", "proxy_request_buffering on;",
        "proxy_buffering on;", "proxy_set_header X-Forwarded-Proto $scheme;", "location = /metrics { return 404; }",
    ):  # fmt: skip
        assert wanted in told, wanted


@pytest.mark.parametrize("script", sorted(DEPLOY.glob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_shell(script):
    assert script.stat().st_mode & 0o111
    assert subprocess.run(["sh", "-n", script], check=False).returncode == 0


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not here")
def test_systemd_takes_the_units(tmp_path):
    """All it may miss is the programs, which are not installed here."""
    for path in UNITS.iterdir():
        shutil.copy(path, tmp_path)
    units = sorted(path for path in tmp_path.iterdir())
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if "emsp" in line and "is not executable" not in line]
    assert not complaints


def test_the_manual_names_what_there_is():
    manual = (BASE / "docs" / "operations.md").read_text()
    for named in re.findall(r"deploy/[\w./-]*[\w*]", manual):
        assert named.startswith("deploy/tls") or list(BASE.glob(named + "*")), named
    gauges = set(re.findall(r"`emsp_(\w+)`", manual)) - {"restored", "owner", "web", "worker", "report"}
    assert gauges <= {name for name, *_rest in metrics.GAUGES}
    units = set(re.findall(r"\bemsp-[a-z-]+[a-z](?:\.\w+)?", manual))
    for unit in units:
        assert list(UNITS.glob(f"{unit}*")), unit


def variables(text):
    """Names that a file of settings sets, or offers behind a #."""
    return set(re.findall(r"^#?\s*([A-Z][A-Z_]+)=", text, re.MULTILINE))


EXPLAINED = variables((BASE / ".env.example").read_text())
COMPOSE = yaml.safe_load((BASE / "compose.yaml").read_text())


def test_the_image_copies_what_there_is_and_ignores_nothing_that_it_copies():
    """Trust that is read, not tried: no Docker builds it here."""
    ignored = (BASE / ".dockerignore").read_text().splitlines()
    for line in re.findall(r"^COPY (.*) \S+$", (BASE / "Dockerfile").read_text(), re.MULTILINE):
        for source in line.split():
            assert (BASE / source).exists(), source
            assert f"!{source}" in ignored, source
    left_out = [line for line in ignored[2:] if not line.startswith(("!", "**"))]
    assert all((BASE / path).exists() for path in left_out)
    for path in left_out:
        name = path.replace("/", ".")
        importers = [file for file in (BASE / "emsp").glob("*.py") if f"import {name}" in file.read_text()]
        assert importers == [], f"{path} is not in the image"


def test_every_variable_of_a_server_is_explained():
    told = variables((DEPLOY / "emsp.env.example").read_text())
    told |= {
        name
        for service in COMPOSE["services"].values()
        if service.get("build")
        for name in service.get("environment", {})
    }
    told |= set(re.findall(r"\$\$?\{(\w+):-", str([one.get("command") for one in COMPOSE["services"].values()])))
    for unit in UNITS.glob("emsp-*.service"):
        told |= set(
            re.findall(r"([A-Z][A-Z_]+)=", " ".join(re.findall(r"^Environment=(.*)$", unit.read_text(), re.MULTILINE)))
        )
    dockerfile = (BASE / "Dockerfile").read_text()
    told |= set(re.findall(r"(?<![=A-Z])([A-Z][A-Z_]+)=", re.sub(r"--\S+", "", dockerfile)))
    assert told - {"PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PIP_DISABLE_PIP_VERSION_CHECK"} <= EXPLAINED


def test_compose_hangs_together():
    services = COMPOSE["services"]
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= services.keys(), name
        assert set(service.get("networks", [])) <= COMPOSE["networks"].keys(), name
        for volume in service.get("volumes", []):
            source = re.sub(r"^\$\{\w+:-(.*?)\}", r"\1", volume).split(":")[0]
            if not source.startswith("./"):
                assert source in COMPOSE["volumes"], volume
            elif source not in ("./deploy/tls", "./backups", "./numbers"):
                assert (BASE / source).exists(), volume
    for needed, how in services["web"]["depends_on"].items():
        is_watched = "healthcheck" in services[needed]
        assert is_watched == (how["condition"] == "service_healthy"), needed


def test_the_manual_says_what_nobody_has_tried():
    manual = (BASE / "docs" / "operations.md").read_text()
    assert "## Install with Docker (untested)" in manual
    assert "units untested in action" in manual


ROLES = {"web": "web", "worker": "worker", "worker_driver_waits": "worker", "beat": "worker", "release": None}
"""Whose role of the database a process has; the release is the owner's."""


@pytest.mark.control("S50")
def test_each_process_may_have_a_role_of_its_own_in_both_ways_of_running_it():
    assert ROLES.keys() == PROCESSES.keys()
    for name, role in ROLES.items():
        unit = (UNITS / f"emsp-{name.replace('_', '-')}.service").read_text()
        own = [f"-/etc/emsp/{role}.env"] if role else []
        assert re.findall(r"^EnvironmentFile=(.*)$", unit, re.MULTILINE) == ["/etc/emsp/env", *own], name
        given = COMPOSE["services"][name]["env_file"]
        shared, more = "deploy/emsp.env", {"path": f"deploy/{role}.env", "required": False}
        assert given == ([shared, more] if role else shared), name
        assert not role or f"emsp_{role}:" in (DEPLOY / f"{role}.env.example").read_text()
