"""The platform's programs as a server runs them, on the database of the tests."""

import os
import subprocess
import sys
import time
from pathlib import Path

from django.conf import settings
from django.db import connection

from emsp import local

BASE = Path(settings.BASE_DIR)
HOST = "roaming.example.com"
BEHIND_THE_PROXY = {"Host": HOST, "X-Forwarded-Proto": "https"}
PATIENCE_S = 60


def environment(**more: str) -> dict[str, str]:
    """The variables of a server."""
    place = connection.settings_dict
    url = f"postgres://{place['USER']}@/{place['NAME']}?host={place['HOST'] or local.sockets()}"
    return os.environ | {
        "SECRET_KEY": "x" * 50, "FIELD_KEYS": ",".join(settings.FIELD_KEYS), "PUBLIC_URL": f"https://{HOST}",
        "DATABASE_URL": url, "TRUST_PROXY": "1", "LOG_LEVEL": "WARNING",
    } | more  # fmt: skip


def manage(*arguments: str, **more: str) -> subprocess.CompletedProcess:
    command = [sys.executable, BASE / "manage.py", *arguments]
    return subprocess.run(command, env=environment(**more), capture_output=True, text=True, check=False)


def program(name: str) -> str:
    """A program of the set-up, as the units name it."""
    return str(Path(sys.executable).parent / name)


def until(holds, patience: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < deadline, "it did not come to it in time"
        time.sleep(0.02)
