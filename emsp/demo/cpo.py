"""The strings the simulated charge point operator hangs on, pulled over HTTP (apps/simulator/control.py)."""

import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any

from .cast import Role

PAUSE_S = 0.3


class OperatorFailed(Exception):
    """A step of the simulated operator came to no end; the message is its own."""


class Operator:
    """One simulated operator in its role; `folder` is the simulator's own: its key is there."""

    def __init__(self, role: Role):
        self.role = role
        self.folder = role.simulated.folder
        self.ledger = self.folder / "ledger.jsonl"

    def do(self, act: str, **said: Any) -> dict[str, Any]:
        """OSError: nobody answers."""
        return self._called(act, json.dumps(said).encode())

    def state(self) -> dict[str, Any]:
        return self._called("state")

    def ticket(self) -> dict[str, str]:
        """For an eMSP that begins: versions_url and token."""
        return self._called("token-a")

    def is_up(self) -> bool:
        try:
            self.state()
        except OSError:
            return False
        return True

    def has_played(self, step: str) -> bool:
        return step in self.state()["played"]

    def play(self, step: str, tell: Callable[[str], None], *, name: str, **how: Any) -> dict[str, Any]:
        """Play a step to its end, telling how far it is; what it resulted in is kept by the name."""
        self.do("play", step=step, wait=False, name=name, **how)
        while name not in (state := self.state())["played"]:
            if failed := [error for error in state["errors"] if error.startswith(f"{step}: ")]:
                raise OperatorFailed(f"{self.role.name} failed at {failed[-1]}")
            progress = state["progress"]
            if progress.get("total"):
                tell(f"{progress['done']} of {progress['total']}")
            time.sleep(PAUSE_S)
        return state["played"][name]

    def _called(self, act: str, body: bytes | None = None) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.role.simulated.port}/control/{act}"
        key = {"X-Control-Key": (self.folder / "control.key").read_text().strip()}
        request = urllib.request.Request(url, data=body, headers=key)
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310  our own address
            return json.load(answer)
