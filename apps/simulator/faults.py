"""Bad days of a CPO, switched on by tests and demos: each bends what we answer to the eMSP, or send it.

name             what happens                                        value
status           this HTTP status, nothing done                      500, 429 …
code             HTTP 200 with this OCPI status code, nothing done   2000, 3000 …
busy             429 with Retry-After, nothing done                  seconds (1)
busy_silent      429 without Retry-After, nothing done
down             the connection closes, nothing done
lost_reply       the work is done, the connection closes unanswered
slow             the answer comes late                               seconds
not_json         HTTP 200 with a web page
cut_body         half of the body, then the end
gzip_bomb        a small packed answer that unpacks to much          MiB (16)
redirect         302 to a path of the same host                      path
moved            307 to another URL, nothing done                    URL or path
slashes          307 from a URL without a slash at its end to the one with it
rotated_token    401: the token was changed without a word
any_token        whatever token is presented will do
missing          a field is left out of every object                 path, such as evses.uid
altered          fields of every object say something else           {path: value}
page_limit       never more than this many objects a page (1)        count
shrinking_page   an object of the first page vanishes after it was read
foreign_next     `next` leads to another host                        URL
cycle            `next` leads to the same page again
no_headers       a page without Link, X-Total-Count and X-Limit
no_total         a page without X-Total-Count
no_link          a page without Link
long_range       2001 to a question about more than so many days     days
wrapped          a single object comes as a list of one
ignored_limit    as many objects a page as we like
ignored_offset   every page is the first
ignored_dates    date_from and date_to change nothing
repeated_id      the first object of a list comes twice
bumped           last_updated is the time of the question, always
forgotten_token  a card is taken with thanks, and not kept
command_response  what we say at once to a command                   REJECTED …
command_result    what the charge point says to it                   FAILED …, null: nothing ever
preferences_response  what we say to charging preferences            NOT_POSSIBLE …
no_session       what is started from afar, nobody is told of
late_cdr         the CDR comes after the session ended, pushed or not   seconds, null: never
sent_missing     a field is left out of what we push                 path

Each strikes at one `module` and `method` or at all, `times` times or always, after it let `skip` pass, and with a
`chance`. Chance is drawn from the seed and how often the fault was asked before: the same calls meet the same faults.
The ledger names every strike.
"""

import gzip
import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from apps.simulator.wire import Reply, Request, encode

NAMES = frozenset(line.split()[0] for line in __doc__.partition("value\n")[2].partition("\n\n")[0].splitlines())
MIB = 2**20


@dataclass
class Fault:
    name: str
    value: Any = None
    module: str | None = None
    method: str | None = None
    times: int | None = None
    skip: int = 0
    chance: float = 1.0
    asked: int = 0

    def strikes(self, module: str, method: str, seed: int) -> bool:
        if self.module not in (None, module) or self.method not in (None, method) or self.times == 0:
            return False
        self.asked += 1
        if self.asked <= self.skip or not self._is_drawn(seed):
            return False
        if self.times is not None:
            self.times -= 1
        return True

    def _is_drawn(self, seed: int) -> bool:
        drawn = random.Random(f"{seed} {self.name} {self.module} {self.method} {self.asked}")
        return self.chance >= 1 or drawn.random() < self.chance


@dataclass
class Faults:
    seed: int = 1
    active: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def switch_on(self, name: str, **how: Any):
        if name not in NAMES:
            raise ValueError(f"unknown fault {name!r}: one of {', '.join(sorted(NAMES))}")
        self.active.append(Fault(name, **how))

    def clear(self):
        self.active.clear()

    def take(self, request: Request) -> dict[str, Any]:
        """The faults of this request by name; each counts how often it still strikes."""
        return self.met(module_of(request), request.method)

    def met(self, module: str, method: str, *names: str) -> dict[str, Any]:
        """Of these names, or of all that bend an answer."""
        with self._lock:
            meant = [fault for fault in self.active if fault.name in (names or ANSWERS)]
            struck = {fault.name: fault.value for fault in meant if fault.strikes(module, method, self.seed)}
            self.active = [fault for fault in self.active if fault.times != 0]
        return struck

    def state(self) -> list[dict[str, Any]]:
        return [dict(vars(fault)) for fault in self.active]


LATER = frozenset({"no_session", "late_cdr", "sent_missing"})
"""What is asked for when it happens: no request of the eMSP is about it."""

ANSWERS = NAMES - LATER


def module_of(request: Request) -> str:
    return request.path.split("/")[3] if request.path.count("/") > 2 else request.path.split("/")[-1]


def instead(struck: dict[str, Any]) -> Reply | None:
    """What is said before anything is done."""
    time.sleep(struck.get("slow") or 0)
    return next((say(struck[name]) for name, say in INSTEAD.items() if name in struck), None)


def _said(status: int, code: int, **headers: str) -> Reply:
    body = b'{"status_code":%d,"timestamp":"2026-01-01T00:00:00Z"}' % code
    return Reply(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


INSTEAD: dict[str, Callable[[Any], Reply]] = {
    "down": lambda value: Reply(503, is_lost=True),
    "rotated_token": lambda value: _said(401, 2001),
    "busy": lambda value: _said(429, 2000, Retry_After=str(value or 1)),
    "busy_silent": lambda value: _said(429, 2000),
    "status": lambda value: _said(value, 3000, Retry_After="1"),
    "code": lambda value: _said(200, value),
    "redirect": lambda value: Reply(302, b"", {"Location": value}),
    "moved": lambda value: Reply(307, b"", {"Location": value}),
    "not_json": lambda value: Reply(200, b"<!doctype html><title>Maintenance</title>", {"Content-Type": "text/html"}),
    "gzip_bomb": lambda value: Reply(200, gzip.compress(bytes((value or 16) * MIB), 9), {"Content-Encoding": "gzip"}),
}


def to_slash(target: str) -> Reply | None:
    """As some frameworks do by themselves."""
    path, mark, query = target.partition("?")
    return None if path.endswith("/") else Reply(307, b"", {"Location": f"{path}/{mark}{query}"})


def bent(reply: Reply, struck: dict[str, Any]) -> Reply:
    """What becomes of an answer after the work was done."""
    if "missing" in struck or "altered" in struck:
        reply.body = _bent_data(reply.body, struck)
    if "wrapped" in struck:
        reply.body = _wrapped(reply.body)
    if "lost_reply" in struck:
        reply.is_lost = True
    if "cut_body" in struck:
        reply.body = reply.body[: len(reply.body) // 2]
    return reply


def _bent_data(body: bytes, struck: dict[str, Any]) -> bytes:
    envelope = json.loads(body, parse_float=Decimal)
    if "missing" in struck:
        without(envelope.get("data"), struck["missing"].split("."))
    for path, value in struck.get("altered", {}).items():
        _put(envelope.get("data"), path.split("."), value)
    return encode(envelope)


def _wrapped(body: bytes) -> bytes:
    envelope = json.loads(body, parse_float=Decimal)
    is_single = isinstance(envelope.get("data"), dict)
    return encode(envelope | {"data": [envelope["data"]]}) if is_single else body


def without(data: Any, path: list[str]):
    """Take out what the path names; of a list in every object."""
    for holder in _holders(data, path[:-1]):
        holder.pop(path[-1], None)


def _put(data: Any, path: list[str], value: Any):
    for holder in _holders(data, path[:-1]):
        holder[path[-1]] = value


def _holders(data: Any, path: list[str]) -> list[dict[str, Any]]:
    if isinstance(data, list):
        return [holder for item in data for holder in _holders(item, path)]
    if not isinstance(data, dict):
        return []
    return _holders(data.get(path[0]), path[1:]) if path else [data]
