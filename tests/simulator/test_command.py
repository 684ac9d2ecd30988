"""The simulated CPO as a program."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx

from emsp import local


@contextmanager
def running(folder, *options: str):
    command = [sys.executable, "-m", "apps.simulator", "--data-dir", str(folder), "--locations", "2", "--evses", "4"]
    program = subprocess.Popen([*command, *options], cwd=local.PROJECT, stdout=subprocess.PIPE)
    try:
        program.stdout.readline()  # it says where it listens
        yield f"http://127.0.0.1:{json.loads((folder / 'state.json').read_text())['port']}"
    finally:
        program.terminate()
        program.communicate(timeout=20)


def test_its_clock_can_be_off(tmp_path):
    with running(tmp_path, "--clock-off=48") as url:
        said = httpx.get(f"{url}/ocpi/versions", trust_env=False).json()

    ahead = datetime.fromisoformat(said["timestamp"]) - datetime.now(UTC)
    assert timedelta(hours=47) < ahead < timedelta(hours=49)


def test_it_begins_on_a_bad_day_if_told_so(tmp_path):
    with running(tmp_path, '--fault=status:{"value": 503, "module": "versions"}') as url:
        assert httpx.get(f"{url}/ocpi/versions", trust_env=False).status_code == 503


def test_people_are_told_how_to_connect_with_it_and_how_to_pull_its_strings(tmp_path):
    """By the command of the platform, which needs no server of ours for it."""
    command = [sys.executable, "manage.py", "simulate", "--locations=2", "--evses=4"]
    own = {"env": os.environ | {"DATA_DIR": str(tmp_path)}, "cwd": local.PROJECT}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **own) as program:
        said = [program.stdout.readline() for _ in range(5)]
        program.terminate()
        assert program.wait(timeout=20) == 0
    key = (tmp_path / "simulated" / "control.key").read_text()
    assert "token A" in said[2] and key in said[4]
    assert {path.name for path in tmp_path.iterdir()} == {"keys.json", "simulated"}
