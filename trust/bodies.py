"""python -m trust.bodies [--cases 100000] [--seed 1]: spoiled bodies, over HTTP, at every door that takes a body.

Whatever is sent, the answer is an envelope, and no fault of ours. What is taken is read back and has to be what our
reader makes of the same bytes; in the end there are as many objects as were taken, and none else.
"""

import argparse
import itertools
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import NamedTuple

import httpx
import msgspec

from apps.ocpi.errors import InvalidObject
from apps.ocpi.versions import VERSIONS
from apps.simulator.wire import encode
from emsp import launch, local
from tests.ocpi import bodies
from tests.ocpi.spoiling import cut, spoiled

HANDS = 4
MOST_SHOWN, LONGEST = 10, 600
CUT = 0.2
"""Of the cases: their bytes are spoiled, and not the object."""
SUCCESS = 1000
OURS = 3000
"""The first code of a fault of the server's (status_codes)."""


class Door(NamedTuple):
    """Where a kind of body goes; `is_kept` doors make objects, each of which can be read at a URL of its own."""

    kind: str
    method: str
    path: str
    is_kept: bool = False


HOME = "locations/SE/LAD/HOME"
DOORS = (
    Door("location", "PUT", "locations/SE/LAD/{id}", is_kept=True),
    Door("tariff", "PUT", "tariffs/SE/LAD/{id}", is_kept=True),
    Door("session", "PUT", "sessions/SE/LAD/{id}", is_kept=True),
    Door("cdr", "POST", "cdrs", is_kept=True),
    Door("evse", "PUT", f"{HOME}/LAD-7-1"),
    Door("connector", "PUT", f"{HOME}/LAD-7-1/1"),
    Door("location_patch", "PATCH", HOME),
    Door("evse_patch", "PATCH", f"{HOME}/LAD-7-1"),
    Door("connector_patch", "PATCH", f"{HOME}/LAD-7-1/1"),
    Door("session_patch", "PATCH", "sessions/SE/LAD/HOME"),
    Door("location_references", "POST", "tokens/04AABBCCDDEE80/authorize"),
    Door("command_result", "POST", "commands/START_SESSION/nobody-asked-for-it"),
    Door("credentials", "POST", "credentials"),
)
CASES = tuple(itertools.product(VERSIONS, DOORS))


class Case(NamedTuple):
    version: str
    door: Door
    key: str
    body: bytes

    @property
    def path(self) -> str:
        return self.door.path.format(id=self.key)


def make(number: int, seed: int) -> Case:
    """The case of a number is always the same."""
    version, door = CASES[number % len(CASES)]
    chance, key = random.Random(f"{seed} {number}"), f"B{number}"
    if chance.random() < CUT:
        return Case(version, door, key, cut(bodies.as_bytes(_named(bodies.sent(version, door.kind), key)), chance))
    return Case(version, door, key, bodies.as_bytes(_named(spoiled(bodies.sent(version, door.kind), chance), key)))


def _named(whole, key: str):
    """Another object in each case, unless its id was spoiled."""
    return whole | {"id": key} if isinstance(whole.get("id"), str) and len(whole["id"]) < 20 else whole


class Sender:
    """A partner that speaks for SE*LAD; `taken` counts what it was told is kept, `wrong` is what must not be."""

    def __init__(self, site: str, token: str):
        header = {"Authorization": VERSIONS["2.2.1"].authorization(token)}
        self.http = httpx.Client(base_url=f"{site}/ocpi/", headers=header, trust_env=False, timeout=60)
        self.outcomes: Counter[str] = Counter()
        self.taken: Counter[str] = Counter()
        self.wrong: list[str] = []

    def furnish(self) -> None:
        """The location and the session that parts and patches belong to."""
        for kind, path in (("location", HOME), ("session", "sessions/SE/LAD/HOME")):
            body = bodies.as_bytes(bodies.sent("2.2.1", kind) | {"id": "HOME"})
            self.http.put(f"2.2.1/{path}", content=body).raise_for_status()
            self.taken[kind] += 1

    def send(self, case: Case) -> None:
        answer, new = self._answer(case)
        if complaint := _complaint(answer):
            self._complain(case, complaint)
        elif case.door.is_kept and answer.status_code in new and answer.json()["status_code"] == SUCCESS:
            self.taken[case.door.kind] += 1
            self._read_back(case, answer.headers.get("location", f"{case.version}/{case.path}"))
        self.outcomes[f"{case.door.kind} {answer.status_code}"] += 1

    def _answer(self, case: Case) -> tuple[httpx.Response, set[int]]:
        """And the statuses that say it is new. A worker of the server that retires hangs up: what got no answer is sent
        again, and may have been taken before."""
        how = (case.door.method, f"{case.version}/{case.path}")
        try:
            return self.http.request(*how, content=case.body), {HTTPStatus.CREATED}
        except httpx.RemoteProtocolError:
            return self.http.request(*how, content=case.body), {HTTPStatus.CREATED, HTTPStatus.OK}

    def _read_back(self, case: Case, url: str) -> None:
        """What is told may be the bytes that were sent, or what we have in the words of the version."""
        meant = _read(case, case.body)
        if isinstance(meant, InvalidObject):
            self._complain(case, f"was taken, and our reader refuses it: {meant.problems[0]}")
            return
        told = _facts(_read(case, encode(self.http.get(url).json().get("data"))))
        worded = encode(VERSIONS[case.version].write(case.door.kind, meant))
        respelt = encode(msgspec.json.decode(case.body))  # 1e+300 and 1e300 are one number, and two texts
        if told not in (_facts(meant), _facts(_read(case, respelt)), expected := _facts(_read(case, worded))):
            self._complain(case, f"was taken as something else: {_differing(expected, told)}")

    def _complain(self, case: Case, complaint: str) -> None:
        self.wrong.append(f"{case.version} {case.door.method} {case.path}: {complaint}; sent: {case.body[:LONGEST]!r}")


def _read(case: Case, body: bytes):
    try:
        return VERSIONS[case.version].read(case.door.kind, body, bodies.OWNER).object
    except InvalidObject as refused:
        return refused


def _facts(read) -> dict:
    """By field; of periods that begin together the last counts, as of EVSEs of one uid: of all that is told twice."""
    if isinstance(read, InvalidObject):
        return {"refused": [str(problem) for problem in read.problems]}
    facts = {name: getattr(read, name) for name in read.__struct_fields__}
    if facts.get("charging_periods"):
        facts["charging_periods"] = {period.start_date_time: period for period in facts["charging_periods"]}
    if facts.get("evses"):
        facts["evses"] = {evse.uid.upper(): evse for evse in facts["evses"]}
    return facts


def _differing(expected: dict, told: dict) -> str:
    names = [name for name in {**expected, **told} if expected.get(name) != told.get(name)]
    return ", ".join(f"{name} {expected.get(name)} and not {told.get(name)}" for name in names)[:LONGEST]


def _complaint(answer: httpx.Response) -> str:
    """What is wrong about an answer, whatever it answers."""
    if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return f"HTTP {answer.status_code}"
    if not answer.headers.get("content-type", "").startswith("application/json"):
        return f"answered as {answer.headers.get('content-type')}"
    said = answer.json()
    if not isinstance(said, dict) or not {"status_code", "timestamp"} <= said.keys():
        return "no envelope"
    return f"status_code {said['status_code']}" if said["status_code"] >= OURS else ""


def play(site: str, token: str, numbers: range, seed: int) -> Sender:
    """Send the cases of these numbers, one after the other."""
    sender = Sender(site, token)
    for number in numbers:
        sender.send(make(number, seed))
    return sender


def invented(taken: Counter[str]) -> Iterator[str]:
    """Kinds of which there are other objects than were taken."""
    from apps.charging.models import Cdr, Session
    from apps.locations.models import Location
    from apps.tariffs.models import Tariff

    for kind, model in (("location", Location), ("tariff", Tariff), ("session", Session), ("cdr", Cdr)):
        if (here := model.objects.count()) != taken[kind]:
            yield f"{here} objects of kind {kind} are here, {taken[kind]} were taken"


def main() -> int:
    options = _options()
    with launch.running() as platform:
        local.set_up_django()
        began = time.monotonic()
        senders = _played(platform.url, options.cases, options.seed)
        taken = sum((sender.taken for sender in senders), Counter())
        wrong = [*(complaint for sender in senders for complaint in sender.wrong), *invented(taken)]
    kept = ", ".join(f"{count} of kind {kind}" for kind, count in taken.items())
    sys.stdout.write(
        f"{options.cases} spoiled bodies, seed {options.seed}, {(time.monotonic() - began) / 60:.1f} min; "
    )
    sys.stdout.write(f"kept {kept}; {len(wrong)} wrong\n" + "".join(f"  {line}\n" for line in wrong[:MOST_SHOWN]))
    return int(bool(wrong))


def _played(site: str, cases: int, seed: int) -> list[Sender]:
    token = connected()
    first = Sender(site, token)
    first.furnish()
    with ThreadPoolExecutor(HANDS) as hands:
        shares = [range(hand, cases, HANDS) for hand in range(HANDS)]
        return [first, *hands.map(lambda numbers: play(site, token, numbers, seed), shares)]


def connected() -> str:
    """A partner that may call as often as it likes; the token it calls with."""
    from django.utils import timezone

    from apps.partners import credentials
    from apps.partners.models import CredentialsToken, Partner, Party

    values = {"state": Partner.State.CONNECTED, "version": "2.2.1", "connected_at": timezone.now(), "pace": 1000}
    partner = Partner.objects.create(name="Spoiler", **values)
    Party.objects.create(partner=partner, country_code=bodies.OWNER.country_code, party_id=bodies.OWNER.party_id)
    return credentials.issue(partner, CredentialsToken.Kind.CREDENTIALS, timezone.now())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m trust.bodies", description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
