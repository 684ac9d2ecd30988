"""Losing every message delays work by a round of the timetable, and loses nothing (trust D1)."""

import os
import subprocess
import sys

from emsp import local


def test_a_wiped_broker_delays_a_blocked_card_by_at_most_a_minute(machine):
    """With real processes: web, workers, beat, PostgreSQL, Valkey and a partner that is told over HTTP."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "SECRET_KEY", "PORT")
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.flows.wiped_broker"],
        cwd=local.PROJECT, env=environment | {"DATA_DIR": str(machine())}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "messages lost: 0" not in done.stdout
