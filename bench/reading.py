"""Reading one location and one CDR in three versions, beside decoding the same bytes without looking at them."""

import time
from collections.abc import Callable, Iterator
from statistics import median

import msgspec

from apps.ocpi.versions import VERSIONS
from apps.simulator.wire import encode

from .measures import Measure
from .world import OWNER, cdr_like, locations

BAR = 0.2
"""Within five times of a bare decode."""

ROUNDS, SECONDS = 200, 0.004


def measure() -> Iterator[Measure]:
    bodies = {"location": locations(4)[0], "cdr": encode(cdr_like())}
    for kind, canonical in bodies.items():
        for version in VERSIONS.values():
            body = encode(_spelt(kind, canonical, version))
            ours, ceiling = usual_in_turn(
                lambda kind=kind, body=body, version=version: version.read(kind, body, OWNER),
                lambda body=body: msgspec.json.decode(body),
            )
            yield Measure(f"read {kind}, {version}", None, ours, ceiling, "msgspec.json.decode", "objects", BAR)


def _spelt(kind: str, body: bytes, version) -> dict:
    """The object, sent in 2.2.1, as a version spells it."""
    return version.write(kind, VERSIONS["2.2.1"].read(kind, body, OWNER).object)


def usual_in_turn(*works: Callable[[], object]) -> list[float]:
    """All in every round, so that whatever else the machine does meanwhile falls on all of them. The median of each: the
    best round of the shorter work is the luckier one."""
    rounds = [[_rate(work) for work in works] for _ in range(ROUNDS)]
    return [median(rates) for rates in zip(*rounds, strict=True)]


def _rate(work: Callable[[], object]) -> float:
    count, started = 0, time.perf_counter()
    while (took := time.perf_counter() - started) < SECONDS:
        work()
        count += 1
    return count / took
