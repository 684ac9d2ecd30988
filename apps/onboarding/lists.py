"""Are the partner's lists what a pull can rely on: answered in time, really paged, really filtered, of good objects.

Each module is tried apart, for platforms often write each list anew. What is asked here is asked by the parameters of
the specification alone; a pull follows `Link` and nothing else (TR-18).
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import msgspec

from apps.charging.pull import SESSIONS
from apps.ocpi import modules
from apps.ocpi.client import Answer
from apps.ocpi.errors import InvalidObject
from apps.ocpi.paging import next_link, origin
from apps.ocpi.types import read_moment
from apps.onboarding.trial import Check, Failed, Trial, Untried
from apps.partners.models import Feed
from apps.partners.pull import INTERVALS
from apps.partners.quarantine import id_of
from apps.partners.scope import parties_of

SAMPLE = 50
CALLS = 4
SLOWEST_S = 3
"""A page of fifty objects; a full pull of a large partner takes thousands."""

SMALLEST_PAGE = 10
FEW = 3
"""Objects without which nothing can be paged."""

A_SECOND = timedelta(seconds=1)
APART = 1.1 * A_SECOND
"""Two readings of a list that must tell the same dates: dates are whole seconds."""

MOST_TOLD = 5


@dataclass
class Listed:
    """A page: each object's own bytes, and what was said about the whole."""

    bodies: list[bytes]
    answer: Answer
    read_at: datetime
    took_s: float

    @property
    def ids(self) -> list[str]:
        return [name_of(body) for body in self.bodies]

    @property
    def total(self) -> int:
        told = self.answer.headers.get("x-total-count", "")
        if not told.isdecimal():
            raise Failed(f"X-Total-Count is {told!r} where the number of all objects is expected (TR-15).")
        return int(told)

    def next_url(self, url: str) -> str | None:
        return next_link(self.answer.headers.get("link", ""), url)


class Named(msgspec.Struct):
    country_code: Any = ""
    party_id: Any = ""
    last_updated: Any = ""


def named(body: bytes) -> Named:
    try:
        return msgspec.json.decode(body, type=Named)
    except (msgspec.MsgspecError, RecursionError):
        return Named()


def name_of(body: bytes) -> str:
    """Identity as far as an object tells it (decision 16)."""
    said = named(body)
    return f"{said.country_code}*{said.party_id} {id_of(body)}".strip("* ").upper()


def updated(body: bytes) -> datetime | None:
    told = named(body).last_updated
    return read_moment(told) if isinstance(told, str) else None


def read(trial: Trial, module: str, url: str, **params) -> Listed:
    """A list of sessions must be asked for from a date (mod_sessions, GET Method)."""
    if module == SESSIONS.module and "?" not in url:
        params = {"date_from": SESSIONS.beginning} | params
    started = time.monotonic()
    answer = trial.get(module, url, **params)
    try:
        bodies = msgspec.json.decode(answer.data or b"null", type=list[msgspec.Raw])
    except msgspec.MsgspecError as error:
        raise Failed(f"data is no list: {error} (TR-11).") from error
    return Listed([bytes(raw).strip() for raw in bodies], answer, trial.clock(), time.monotonic() - started)


def url_of(trial: Trial, module: str) -> str:
    return trial.endpoint(module, modules.SENDER)


def first_of(trial: Trial, module: str) -> Listed:
    return trial.memory[module]


# Answered


def answered(trial: Trial, module: str) -> str:
    url = url_of(trial, module)
    read_pages = []
    for _ in range(CALLS):
        read_pages.append(read(trial, module, url, limit=SAMPLE))
        if read_pages[-1].took_s > SLOWEST_S:
            raise Failed(
                f"A page took {read_pages[-1].took_s:.1f} s; more than {SLOWEST_S} s is too slow to be pulled."
            )
    trial.memory[module] = read_pages[0]
    slowest = max(page.took_s for page in read_pages)
    return f"{CALLS} of {CALLS} calls were answered, the slowest in {slowest:.1f} s; a page had {len(read_pages[0].bodies)}."


# Paged


def paged(trial: Trial, module: str) -> str:
    url, first = url_of(trial, module), first_of(trial, module)
    if first.total < FEW:
        raise Untried(f"The list has {first.total} objects, too few to be paged.", is_needed=False)
    _require_size(first)
    page = read(trial, module, url, limit=2)
    if len(page.bodies) > 2:
        raise Failed(f"limit=2 was asked for, and {len(page.bodies)} came (TR-15).")
    if not page.answer.headers.get("x-limit", "").isdecimal():
        raise Failed("X-Limit, the most it gives at once, is missing (TR-15).")
    second = _following(trial, module, url, page)
    _require_offset(trial, module, url, page)
    return f"{page.total} objects; limit, offset and Link lead from {page.ids[0]} to {second.ids[0]}."


def _require_size(first: Listed) -> None:
    if len(first.bodies) < min(first.total, SMALLEST_PAGE):
        size = len(first.bodies)
        raise Failed(
            f"It gives {size} objects a page where {SAMPLE} were asked for: {first.total} take too long (TR-15)."
        )


def _following(trial: Trial, module: str, url: str, page: Listed) -> Listed:
    """Follow the Link as a pull does."""
    following = page.next_url(url)
    if following is None:
        raise Failed(f"{page.total} objects, {len(page.bodies)} on the page, and no Link to the next (TR-15).")
    _require_our_origin(url, following)
    second = read(trial, module, following)
    if second.total < page.total:
        raise Failed(
            f"X-Total-Count fell from {page.total} to {second.total} between two pages; a pull loses objects (TR-16)."
        )
    if not second.bodies or set(second.ids) & set(page.ids):
        raise Failed("The Link leads to the same objects again, not to the next (TR-15).")
    return second


def _require_our_origin(url: str, following: str) -> None:
    try:
        is_ours = origin(url) == origin(following)
    except ValueError:
        is_ours = False
    if not is_ours:
        raise Failed(f"The Link leads to {following[:100]}, where our token must not go (TR-19).")


def _require_offset(trial: Trial, module: str, url: str, page: Listed) -> None:
    other = read(trial, module, url, limit=1, offset=1)
    if other.ids != page.ids[1:]:
        raise Failed(
            f"offset=1 gives {', '.join(other.ids) or 'nothing'}, not {page.ids[1]}, which is the second (TR-14)."
        )


# Filtered by date


def filtered(trial: Trial, module: str) -> str:
    """A pull asks for what changed since the last one: what is wrong here makes it miss things, or read all each time."""
    url, first = url_of(trial, module), first_of(trial, module)
    dated = [(at, body) for body in first.bodies if (at := updated(body))]
    if not dated:
        raise Untried("The list has no object with a date.", is_needed=False)
    _require_steady_dates(trial, module, url, first)
    _require_none_after(trial, module, url)
    oldest, body = min(dated, key=lambda pair: pair[0])
    _require_only_before(trial, module, url, oldest)
    _require_found(trial, module, url, oldest, name_of(body))
    return f"date_from and date_to give what changed between them, {oldest:%Y-%m-%d %H:%M} for one."


def _require_steady_dates(trial: Trial, module: str, url: str, first: Listed) -> None:
    while trial.clock() < first.read_at + APART:
        time.sleep(0.1)
    before = {name_of(body): body for body in first.bodies}
    for body in read(trial, module, url, limit=SAMPLE).bodies:
        known = before.get(name_of(body))
        if known and updated(known) != updated(body) and _without_date(known) == _without_date(body):
            raise Failed(f"last_updated of {name_of(body)} changes though nothing else does (TR-20).")


def _without_date(body: bytes) -> dict:
    return {name: value for name, value in msgspec.json.decode(body).items() if name != "last_updated"}


def _require_none_after(trial: Trial, module: str, url: str) -> None:
    tomorrow = (trial.clock() + timedelta(days=1)).replace(microsecond=0)
    late = read(trial, module, url, limit=SAMPLE, date_from=tomorrow)
    if late.bodies:
        raise Failed(f"date_from={tomorrow:%Y-%m-%d} was asked for, which is to come, and {late.ids[0]} came (TR-14).")


def _require_only_before(trial: Trial, module: str, url: str, moment: datetime) -> None:
    for body in read(trial, module, url, limit=SAMPLE, date_to=moment).bodies:
        if (at := updated(body)) and at >= moment + A_SECOND:
            raise Failed(f"date_to={_at(moment)} was asked for, and {name_of(body)} of {_at(at)} came (TR-14).")


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _require_found(trial: Trial, module: str, url: str, moment: datetime, name: str) -> None:
    """With a second on both sides, for older versions do not say which end is included (TR-14)."""
    around = {"date_from": moment - A_SECOND, "date_to": moment + 2 * A_SECOND}
    first = read(trial, module, url, limit=SAMPLE, **around)
    if name not in first.ids and first.total <= len(first.bodies):
        raise Failed(f"{name} of {moment:%Y-%m-%d %H:%M:%S} is not found by date_from and date_to around it (TR-14).")


# Of good objects


def sampled(trial: Trial, module: str) -> str:
    """Objects read as a pull would, and more strictly: what we forgive is told too, for others may not."""
    bodies = first_of(trial, module).bodies
    if not bodies:
        raise Untried("The list is empty, so no object could be looked at.")
    names = [name_of(body) for body in bodies]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Failed(f"{twice[0]} comes twice in one list (TR-16).")
    odd = [f"{name}: {found}" for name, body in zip(names, bodies, strict=True) for found in _odd(trial, module, body)]
    if odd:
        more = f", and {len(odd) - MOST_TOLD} more" if len(odd) > MOST_TOLD else ""
        raise Failed(f"{'; '.join(odd[:MOST_TOLD])}{more} (TR-35, TR-37).")
    return f"{len(bodies)} objects, {names[0]} the first, are as the tables of {trial.version} say."


def _odd(trial: Trial, module: str, body: bytes) -> Iterator[str]:
    """What is wrong with an object by field, and whether it is theirs at all (decision 29)."""
    try:
        reading = trial.version.read(module.removesuffix("s"), body, trial.owner)
    except InvalidObject as error:
        yield from map(str, error.problems)
        return
    yield from map(str, reading.warnings)
    owner = reading.object.owner
    if owner.key not in parties_of(trial.partner, [owner]):
        yield f"{owner} is no role of its sender"


def _checks(kind: str, title: str, demands: str, act: Callable[[Trial, str], str], needs: str) -> Iterator[Check]:
    """One of each module; of objects we wait a while until they are looked at again, so modules take turns."""
    pulled = [feed for feed in INTERVALS if feed not in (Feed.Module.CLIENTS, Feed.Module.INVOICES)]
    for module, named in ((feed.value, f"{feed.label[0].upper()}{feed.label[1:]}") for feed in pulled):
        needed = needs.format(module)
        yield Check(f"{module}.{kind}", f"{named}: {title}", demands, (needed,), partial(act, module=module))


CHECKS = (
    *_checks("list", "answered", "TR-11, TR-21", answered, "details"),
    *_checks("paging", "paging", "TR-14, TR-15, TR-16, TR-19", paged, "{}.list"),
    *_checks("dates", "date filters", "TR-14, TR-20", filtered, "{}.list"),
    *_checks("objects", "objects", "TR-35, TR-37", sampled, "{}.list"),
)
