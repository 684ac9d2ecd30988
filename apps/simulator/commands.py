"""Commands to the simulated CPO (mod_commands, Receiver Interface): an answer at once, a result soon, and what follows.

A session that was started from afar charges until it is stopped, or for `lasts_s`; then comes its CDR.
"""

import random
import threading
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from apps.simulator import records
from apps.simulator.behaviour import Behaviour, on_grid
from apps.simulator.costs import GRID, Stretch
from apps.simulator.cpo import Place
from apps.simulator.dialects import ONE_PARTY, understood
from apps.simulator.wire import Reply, Request, answer

KINDS = ("START_SESSION", "STOP_SESSION", "UNLOCK_CONNECTOR", "RESERVE_NOW", "CANCEL_RESERVATION")
TIMEOUT_S = 30
POWER_KW = Decimal(11)

Heard = dict[str, Any]


class Commands:
    """`pause_s` is how long a charge point takes to answer, `lasts_s` how long somebody charges."""

    def __init__(self, behaviour: Behaviour, clock: Callable[[], datetime]):
        self.behaviour = behaviour
        self.clock = clock
        self.pause_s, self.lasts_s = 0.2, 60.0
        self.reservations: dict[str, Heard] = {}
        self._charging: dict[str, threading.Event] = {}
        self._stopping = threading.Event()
        self._asides: list[threading.Thread] = []

    def stop(self):
        self._stopping.set()
        for ending in list(self._charging.values()):
            ending.set()
        for aside in self._asides:
            aside.join(timeout=20)

    def reply(self, request: Request, version: str, kind: str, struck: dict[str, Any]) -> Reply:
        try:
            heard = self._understood(version, request.json())
            response = struck.get("command_response") or self._response(kind, heard)
            url = heard["response_url"]
        except (KeyError, TypeError, ValueError, AttributeError) as reason:
            return answer(self.clock(), code=2001, message=f"not a command: {reason!r}")
        self._note(kind, heard, response=response)
        if response == "ACCEPTED":
            how = {"result": struck["command_result"]} if "command_result" in struck else {}
            aside = threading.Thread(target=self._carry_out, args=(kind, heard, url), kwargs=how, daemon=True)
            self._asides.append(aside)
            aside.start()
        timeout = {} if version == ONE_PARTY else {"timeout": TIMEOUT_S}
        return answer(self.clock(), {"result": response} | timeout)

    def _understood(self, version: str, heard: Heard) -> Heard:
        if "token" not in heard:
            return heard
        country, _, party = self.behaviour.emsp.party.partition("*")
        return heard | {"token": understood(version, "tokens", heard["token"], country, party)}

    def _response(self, kind: str, heard: Heard) -> str:
        if kind not in KINDS:
            return "NOT_SUPPORTED"
        if kind == "STOP_SESSION":
            return "ACCEPTED" if heard["session_id"] in self._charging else "UNKNOWN_SESSION"
        return "ACCEPTED" if kind == "CANCEL_RESERVATION" or self._place(heard) else "REJECTED"

    def _place(self, heard: Heard) -> Place | None:
        for place in self.behaviour.world.places():
            if (place.location["id"], heard.get("evse_uid")) in (
                (heard["location_id"], place.evse["uid"]),
                (heard["location_id"], None),
            ):
                return place
        return None

    def _carry_out(self, kind: str, heard: Heard, url: str, **told: str | None):
        """A charge point is asked. Without a result to tell, a fault, it does nothing and nobody hears of it."""
        self._stopping.wait(self.pause_s)
        result = told["result"] if told else self._result(kind, heard)
        if result is None or self._stopping.is_set():
            return
        self.tell(kind, heard, url, result)
        if result == "ACCEPTED":
            self._follow(kind, heard)

    def tell(self, kind: str, heard: Heard, url: str, result: str):
        """(mod_commands, Sender Interface)"""
        said = self.behaviour.emsp.call("POST", url, {"result": result})
        self._note(kind, heard, said, result=result)

    def _result(self, kind: str, heard: Heard) -> str:
        if kind == "START_SESSION":
            return "ACCEPTED" if self._place(heard).evse["status"] == "AVAILABLE" else "EVSE_OCCUPIED"
        if kind == "RESERVE_NOW":
            self.reservations[str(heard["reservation_id"])] = heard
        if kind == "CANCEL_RESERVATION":
            known = self.reservations.pop(str(heard["reservation_id"]), None)
            return "ACCEPTED" if known else "UNKNOWN_RESERVATION"
        return "ACCEPTED"

    def _follow(self, kind: str, heard: Heard):
        if kind == "START_SESSION":
            self._charge(heard)
        if kind == "STOP_SESSION":
            self._charging[heard["session_id"]].set()

    def _charge(self, heard: Heard):
        place, token = self._place(heard), heard["token"]
        start = on_grid(self.clock()) - GRID
        key = f"C-{random.getrandbits(48):012X}"
        body = records.session(key, place, token, start, heard.get("authorization_reference")) | {
            "auth_method": "COMMAND"
        }
        ending = self._charging[key] = threading.Event()
        if not self.behaviour.begin(place, body):
            return
        ending.wait(self.lasts_s)
        del self._charging[key]
        if not self._stopping.is_set():
            asked = records.priced(place, [Stretch(start, max(on_grid(self.clock()), start + GRID), POWER_KW)])
            self.behaviour.end(place, body, token, asked)

    def _note(self, kind: str, heard: Heard, said: Any = None, **facts: str):
        place = {name: heard.get(name) for name in ("location_id", "evse_uid", "session_id", "authorization_reference")}
        self.behaviour.ledger.write(self.clock(), "command", kind, None, said, **place, **facts)
