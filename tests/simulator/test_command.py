"""The simulated CPO as a program."""

import json
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
