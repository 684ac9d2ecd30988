"""The strings the simulated charge point operator hangs on, pulled over HTTP (apps/simulator/control.py)."""

import json
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

PAUSE_S = 0.3


class OperatorFailed(Exception):
    """A step of the simulated operator came to no end; the message is its own."""


class Operator:
    """`folder` is the simulator's own: its key and its port are there."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.ledger = folder / "ledger.jsonl"

    def ask(self, act: str, **said: Any) -> dict[str, Any]:
        """GET of an act without a body, POST of one with it. OSError: nobody answers."""
        url = f"http://127.0.0.1:{self._port()}/control/{act}"
        key = {"X-Control-Key": (self.folder / "control.key").read_text().strip()}
        body = json.dumps(said).encode() if said else None
        request = urllib.request.Request(url, data=body, headers=key)
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310  our own address
            return json.load(answer)

    def state(self) -> dict[str, Any]:
        return self.ask("state")

    def is_up(self) -> bool:
        try:
            self.state()
        except OSError:
            return False
        return True

    def has_played(self, step: str) -> bool:
        return step in self.state()["played"]

    def play(self, step: str, tell: Callable[[str], None], **how: Any) -> dict[str, Any]:
        """Play a step to its end, telling how far it is; what it resulted in."""
        self.ask("play", step=step, wait=False, **how)
        while step not in (state := self.state())["played"]:
            if failed := [error for error in state["errors"] if error.startswith(f"{step}: ")]:
                raise OperatorFailed(f"the charge point operator failed at {failed[-1]}")
            progress = state["progress"]
            if progress.get("total"):
                tell(f"{progress['done']} of {progress['total']}")
            time.sleep(PAUSE_S)
        return state["played"][step]

    def _port(self) -> int:
        return json.loads((self.folder / "state.json").read_text())["port"]
