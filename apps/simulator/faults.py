"""Bad days of a CPO, switched on by tests and demos: each bends one answer of ours to the eMSP.

name            what happens                                        value
status          this HTTP status, nothing done                      500, 429 …
code            HTTP 200 with this OCPI status code, nothing done   2000, 3000 …
lost_reply      the work is done, the connection closes unanswered
slow            the answer comes late                               seconds
not_json        HTTP 200 with a web page
cut_body        half of the body, then the end
redirect        302 to a path of the same host                      path
page_limit      never more than this many objects a page (1)        count
shrinking_page  an object of the first page vanishes after it was read
foreign_next    `next` leads to another host                        URL
cycle           `next` leads to the same page again
no_headers      a page without Link, X-Total-Count and X-Limit
command_response  what we say at once to a command                  REJECTED …
command_result    what the charge point says to it                  FAILED …, null: nothing ever
"""

import threading
import time
from dataclasses import dataclass, field, replace
from typing import Any

from apps.simulator.wire import Reply, Request

NAMES = frozenset(
    (
        "status code lost_reply slow not_json cut_body redirect page_limit shrinking_page foreign_next cycle no_headers "
        "command_response command_result"
    ).split()
)


@dataclass
class Fault:
    name: str
    value: Any = None
    module: str | None = None
    method: str | None = None
    times: int | None = None
    skip: int = 0


@dataclass
class Faults:
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
        module = request.path.split("/")[3] if request.path.count("/") > 2 else request.path.split("/")[-1]
        with self._lock:
            struck = {fault.name: fault.value for fault in self.active if _strikes(fault, module, request.method)}
            self.active = [fault for fault in self.active if fault.times != 0]
        return struck

    def state(self) -> list[dict[str, Any]]:
        return [vars(replace(fault)) for fault in self.active]


def _strikes(fault: Fault, module: str, method: str) -> bool:
    if fault.module not in (None, module) or fault.method not in (None, method):
        return False
    if fault.skip:
        fault.skip -= 1
        return False
    if fault.times is not None:
        fault.times -= 1
    return True


def instead(struck: dict[str, Any]) -> Reply | None:
    """What is said before anything is done."""
    time.sleep(struck.get("slow") or 0)
    if "status" in struck:
        return Reply(struck["status"], b'{"status_code":3000,"timestamp":"2026-01-01T00:00:00Z"}', {"Retry-After": "1"})
    if "code" in struck:
        return Reply(200, b'{"status_code":%d,"timestamp":"2026-01-01T00:00:00Z"}' % struck["code"])
    if "redirect" in struck:
        return Reply(302, b"", {"Location": struck["redirect"]})
    if "not_json" in struck:
        return Reply(200, b"<!doctype html><title>Maintenance</title>", {"Content-Type": "text/html"})
    return None


def bent(reply: Reply, struck: dict[str, Any]) -> Reply:
    """What becomes of an answer after the work was done."""
    if "lost_reply" in struck:
        reply.is_lost = True
    if "cut_body" in struck:
        reply.body = reply.body[: len(reply.body) // 2]
    return reply
