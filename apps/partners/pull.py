"""Pulling what partners keep for us: the safety net under every push (trust R11, TR-18 to TR-21).

One page is one transaction: objects, quarantine, and how far we are. A pull that breaks off goes on at the page where
it stopped, if that was not long ago. The mark from which the next one asks moves only after the last page, and stays a
bit behind: what a partner shows late is then still found. All else is up to the room of the module.
"""

import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.db import connection, transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Greatest, Least

from apps.ocpi.client import Page
from apps.ocpi.errors import OcpiError, PeerFailed
from apps.ocpi.versions import VERSIONS
from apps.partners.models import Endpoint, Feed, Partner, Party
from apps.partners.peers import endpoint, peer_of
from apps.partners.quarantine import id_of
from apps.partners.taking import Intake, Outcome, Taken
from apps.work import Clock, ring

log = logging.getLogger(__name__)

OVERLAP = timedelta(minutes=15)
"""How late a partner may show an object after its `last_updated` (decision 22)."""

ASK_AGAIN = timedelta(minutes=5)
OLDEST = datetime(2015, 1, 1, tzinfo=UTC)
"""No object of OCPI is older; asked from where a partner wants to be asked for short ranges only."""

A_SECOND = timedelta(seconds=1)
LEASE = timedelta(minutes=10)
"""Longer than a page can take with all its tries; every page renews it."""

ONE_AT_A_TIME = 2_160_423
"""Key of the advisory lock under which pulls are claimed."""

AT_ONCE = 2
"""Modules of one partner that are pulled at the same time."""

AT_WORK = timedelta(minutes=2)
"""Who has renewed no lease for so long may be dead: others no longer wait for its place."""

WORTH_RESUMING = timedelta(hours=1)

INTERVALS = {
    Feed.Module.TARIFFS: timedelta(hours=6),
    Feed.Module.LOCATIONS: timedelta(hours=6),
    Feed.Module.SESSIONS: timedelta(hours=1),
    Feed.Module.CDRS: timedelta(hours=1),
    Feed.Module.CLIENTS: timedelta(hours=6),
    Feed.Module.INVOICES: timedelta(hours=6),
}
"""In the order in which they are pulled: what others refer to comes first."""

COUNTED = {
    Outcome.CREATED: "stored",
    Outcome.UPDATED: "stored",
    Outcome.UNCHANGED: "unchanged",
    Outcome.STALE: "stale",
    Outcome.CONFLICT: "quarantined",
    Outcome.REFUSED: "quarantined",
    Outcome.FAILED: "quarantined",
}

Key = tuple[int, str]
Vanish = Callable[[Partner, set[Key], datetime], str]


@dataclass(frozen=True)
class Pull:
    """What is pulled and how. `vanish` marks what a complete list no longer has; documents never vanish, so without.

    `again_every`: how often all of the last `again_since` is read once more, whatever the mark (None: everything),
    because a partner may change things without saying so (TR-20).
    `beginning`: what is asked for where all is wanted, in modules that must be asked from a date (mod_sessions, GET).
    """

    intake: Intake
    vanish: Vanish | None = None
    again_every: timedelta = timedelta(days=1)
    again_since: timedelta | None = None
    beginning: datetime | None = None

    @property
    def module(self) -> str:
        return self.intake.module


def open_feeds(partner: Partner, now: datetime) -> None:
    """After a handshake: pull everything the partner offers, from now on; a feed that exists begins anew soon."""
    for module in _wanted(partner):
        begun = {"due_at": now, "resume": {}}
        Feed.objects.update_or_create(
            partner=partner, module=module, defaults=begun, create_defaults=begun | {"interval": INTERVALS[module]}
        )
        _ring(module)


def _wanted(partner: Partner) -> list[str]:
    offered = Endpoint.objects.filter(partner=partner).exclude(role="RECEIVER").values_list("identifier", flat=True)
    silent = {Feed.Module.SESSIONS.value} if partner.no_sessions else set()
    wanted = set(offered) & set(INTERVALS) & VERSIONS[partner.version].offered
    return sorted(wanted - silent, key=list(INTERVALS).index)


def fit_feeds(partner: Partner, now: datetime) -> None:
    """After staff changed a quirk: what is not told is not pulled, and no broken walk goes on where it must not lead."""
    Feed.objects.filter(partner=partner).update(resume={})
    sessions = Feed.objects.filter(partner=partner, module=Feed.Module.SESSIONS)
    if partner.no_sessions:
        sessions.delete()
    elif partner.is_connected and not sessions.exists():
        open_feeds(partner, now)


APPS = {
    "tariffs": "tariffs",
    "locations": "locations",
    "sessions": "charging",
    "cdrs": "charging",
    "hubclientinfo": "partners",
    "invoicereconciliation": "billing",
}


def want(feed: Feed, now: datetime) -> None:
    """Have a feed pulled as soon as a worker is free; it returns at once."""
    Feed.objects.filter(pk=feed.pk).filter(Q(due_at=None) | Q(due_at__gt=now)).update(due_at=now)
    _ring(feed.module)


def missed(party: Party, module: Feed.Module, now: datetime) -> None:
    """Something is told of an object of the party that we lack: its module is pulled soon (decision 2).

    At most every few minutes: a CPO may send statuses of locations that it never publishes (LOC-05).
    """
    _hasten(Feed.objects.filter(partner=party.partner_id, module=module), module, now)


def reach_back(partner_id: int, module: Feed.Module, since: datetime, now: datetime) -> bool:
    """Have the next pull, soon, ask from there; False where none would notice: one runs, or broke off and goes on."""
    idle = Feed.objects.filter(partner=partner_id, module=module, resume={}, watermark__isnull=False)
    idle = idle.filter(Q(leased_until=None) | Q(leased_until__lt=now))
    if not idle.update(watermark=Least(F("watermark"), Value(since))):
        return False
    _hasten(idle, module, now)
    return True


def _hasten(feeds: QuerySet[Feed], module: Feed.Module, now: datetime) -> None:
    if feeds.filter(due_at__gt=now).update(
        due_at=Least(F("due_at"), Greatest(Value(now), F("last_good_at") + ASK_AGAIN))
    ):
        _ring(module)


def _ring(module: str) -> None:
    ring(f"apps.{APPS[module]}.tasks.pull_due")


def pull_due(pull: Pull, now: datetime) -> dict[str, dict]:
    """Pull this module of every partner that is due; other workers take other partners meanwhile."""
    clock, done = Clock(now), {}
    while claimed := _claim(pull.module, clock()):
        (feed,) = claimed
        done[str(feed.partner)] = _run(pull, feed, clock)
        _ring_next(feed, clock())
    return done


@transaction.atomic
def _claim(module: str, now: datetime) -> list[Feed]:
    """One that is in reach; none are claimed meanwhile, or two who look at once would both take the last place."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ONE_AT_A_TIME])
    return _in_reach(module, now).claim(now, LEASE, limit=1)


def _ring_next(feed: Feed, now: datetime) -> None:
    """What had to wait because enough of the partner's was pulled."""
    for module in Feed.objects.filter(partner=feed.partner_id).due(now).values_list("module", flat=True):
        _ring(module)


def pull_partner(pull: Pull, partner: Partner, now: datetime, *, full: bool = False) -> dict:
    """Pull one module of one partner in this process, now; waits for a running one. LookupError without a feed."""
    clock, rows = Clock(now), _feeds(pull.module).filter(partner=partner)
    while rows.exists():
        rows.filter(Q(due_at=None) | Q(due_at__gt=clock()), leased_until=None).update(due_at=clock())
        for feed in rows.claim(clock(), LEASE, limit=1):
            return _run(pull, feed, clock, full=full)
        time.sleep(0.2)
    raise LookupError(f"{partner} offers no {pull.module}, or is not connected")


def _feeds(module: str):
    return Feed.objects.filter(module=module, partner__state=Partner.State.CONNECTED).select_related("partner")


def _in_reach(module: str, now: datetime):
    """Those that broke off last time share one hand, of all modules: partners who do not answer never keep every worker
    busy, however many they are. Nor does one that answers slowly: it is asked for so many modules at a time (trust R17,
    F16)."""
    pulled = Feed.objects.filter(leased_until__gt=now + LEASE - AT_WORK)
    of_partner = pulled.filter(partner=OuterRef("partner")).values("partner").annotate(count=Count("pk"))
    is_free = Q(pulling=None) | Q(pulling__lt=AT_ONCE)
    is_answering = Q(failures=0) | ~Exists(pulled.filter(failures__gt=0))
    return _feeds(module).alias(pulling=Subquery(of_partner.values("count"))).filter(is_free, is_answering)


class _LeaseLostError(Exception):
    """Somebody else took the feed over; what we stored is good, the rest is theirs."""


@dataclass
class _Crawl:
    """One walk over a list. `since` None asks for everything; `url` is the page where a broken walk goes on."""

    started_at: datetime
    since: datetime | None
    is_full: bool
    url: str = ""
    until: datetime | None = None
    theirs_at: datetime | None = None
    newest: datetime | None = None
    seen: set[Key] = field(default_factory=set)
    is_all_known: bool = True
    pages: int = 0
    counts: dict = field(default_factory=dict)

    @property
    def is_resumed(self) -> bool:
        return bool(self.url)

    @property
    def watermark(self) -> datetime | None:
        """The newest we saw, but not after the beginning of the walk by the partner's clock, minus the overlap."""
        if self.newest is None:
            return None
        return min(self.newest, self.theirs_at or self.started_at) - OVERLAP

    def note(self, page: Page, taken: list[Taken], parties: list[int]) -> None:
        self.pages += 1
        self.theirs_at = self.theirs_at or page.timestamp
        self.counts["seen"] += len(taken)
        for outcome, count in Counter(one.outcome for one in taken).items():
            self.counts[COUNTED[outcome]] += count
        told = [one.told for one in taken if one.told is not None]
        self.seen.update(one.key for one in told)
        dates = [one.last_updated for one in told] + [self.newest] * (self.newest is not None)
        self.newest = max(dates, default=None)
        for one in taken:
            if one.told is None:
                self._note_unread(one, parties)

    def _note_unread(self, one: Taken, parties: list[int]) -> None:
        name = id_of(one.body)
        self.is_all_known &= bool(name)
        self.seen.update((party, name.upper()) for party in parties)

    def as_resume(self, url: str) -> dict:
        return {"url": url, "at": self.started_at.isoformat(), "full": self.is_full} | {
            name: moment.isoformat()
            for name in ("since", "until", "theirs_at", "newest")
            if (moment := getattr(self, name)) is not None
        }


def _begin(pull: Pull, feed: Feed, now: datetime, *, full: bool) -> _Crawl:
    counts = dict.fromkeys(("seen", "stored", "unchanged", "stale", "quarantined"), 0)
    broken = {} if full else feed.resume
    if broken and datetime.fromisoformat(broken["at"]) > now - WORTH_RESUMING:
        times = {
            name: datetime.fromisoformat(broken[name]) for name in ("until", "theirs_at", "newest") if name in broken
        }
        since = datetime.fromisoformat(broken["since"]) if "since" in broken else None
        started = datetime.fromisoformat(broken["at"])
        return _Crawl(started, since, broken["full"], broken["url"], **times, counts=counts)
    is_due_again = feed.last_full_at is None or feed.last_full_at <= now - pull.again_every
    if full or feed.watermark is None:
        return _Crawl(now, None, True, counts=counts)
    if is_due_again and pull.again_since is None:
        return _Crawl(now, None, True, counts=counts)
    since = min(feed.watermark, now - pull.again_since) if is_due_again else feed.watermark
    return _Crawl(now, since, is_due_again, counts=counts)


def _run(pull: Pull, feed: Feed, clock: Clock, *, full: bool = False) -> dict:
    """Walk the list of a feed that we hold the lease of; what became of it is on the row and returned."""
    crawl = _begin(pull, feed, clock(), full=full)
    try:
        _walk(pull, feed, crawl, clock)
        return _finish(pull, feed, crawl, clock())
    except (PeerFailed, OcpiError) as error:
        return _break_off(feed, crawl, str(error), clock())
    except _LeaseLostError:
        return crawl.counts | {"complete": False, "error": "another process took this pull over"}
    except Exception as error:
        log.exception("the pull of %s broke off, and the fault is ours", feed)
        return _break_off(feed, crawl, f"our fault: {type(error).__name__}", clock())


def _walk(pull: Pull, feed: Feed, crawl: _Crawl, clock: Clock) -> None:
    parties = list(feed.partner.parties.values_list("pk", flat=True))
    sending = pull.intake.sending(feed.partner, VERSIONS[feed.partner.version])
    take = sending.take if feed.last_good_at is None else sending.take_again
    for page in _pages(pull, feed, crawl):
        with transaction.atomic():
            crawl.note(page, take(page.bodies, clock()), parties)
            _renew(feed, clock(), resume=crawl.as_resume(page.url), failures=0)


def _pages(pull: Pull, feed: Feed, crawl: _Crawl) -> Iterator[Page]:
    """A broken walk goes on at its page, and then with the ranges that are left."""
    peer, since = peer_of(feed.partner, feed.module), _since(pull, feed.partner, crawl)
    if crawl.is_resumed:
        yield from peer.pages(crawl.url)
        if crawl.until is None:
            return
        since = crawl.until - A_SECOND
    url = endpoint(feed.partner, feed.module, "SENDER")
    for date_from, date_to in _ranges(since, crawl.started_at, feed.partner.longest_range):
        crawl.until = date_to
        yield from peer.pages(url, date_from=date_from, date_to=date_to, limit=feed.partner.page_size)


def _since(pull: Pull, partner: Partner, crawl: _Crawl) -> datetime | None:
    """A list that is wanted whole, for what vanished, is asked for without dates whatever the longest range."""
    is_dated = partner.longest_range is not None and pull.vanish is None
    return crawl.since or pull.beginning or (OLDEST if is_dated else None)


def _ranges(
    since: datetime | None, now: datetime, days: int | None
) -> Iterator[tuple[datetime | None, datetime | None]]:
    """In one question, or in several where the partner wants none of more days; the last has no end. They overlap by a
    second, for older versions do not say which end is included (TR-14)."""
    while since is not None and days is not None and since + timedelta(days=days) < now:
        until = since + timedelta(days=days)
        yield since, until
        since = until - A_SECOND
    yield since, None


def _renew(feed: Feed, now: datetime, **values) -> None:
    """Hold the feed for another page, or find out that we no longer do."""
    ours, feed.leased_until = _ours(feed), now + LEASE
    if not ours.update(leased_until=feed.leased_until, **values):
        raise _LeaseLostError


def _ours(feed: Feed):
    return Feed.objects.filter(pk=feed.pk, leased_until=feed.leased_until)


@transaction.atomic
def _finish(pull: Pull, feed: Feed, crawl: _Crawl, now: datetime) -> dict:
    """Complete: the mark moves. Only a full walk without a break knows what is no longer there (LOC-04, TAR-02)."""
    is_whole = crawl.is_full and not (crawl.is_resumed and pull.vanish)
    counts = crawl.counts | {"complete": True, "error": ""}
    if is_whole and pull.vanish is not None:
        counts["error"] = _vanish(pull, feed.partner, crawl)
    marks = [mark for mark in (feed.watermark, crawl.watermark) if mark is not None]
    values = feed.settled(due_at=now + feed.interval * _splay()) | {
        "watermark": max(marks, default=None),
        "last_good_at": now,
        "last_full_at": crawl.started_at if is_whole else feed.last_full_at,
        "failures": 0,
        "last_outcome": counts,
        "resume": {},
    }
    if not _ours(feed).update(**values):
        raise _LeaseLostError
    return counts


def _splay() -> float:
    """So that not all feeds of all partners fall due together (TR-21)."""
    return random.uniform(1, 1.2)


def _vanish(pull: Pull, partner: Partner, crawl: _Crawl) -> str:
    if not crawl.is_all_known:
        return "an object without a readable id was among them, so nothing is taken for vanished"
    return pull.vanish(partner, crawl.seen, crawl.started_at)


def _break_off(feed: Feed, crawl: _Crawl, error: str, now: datetime) -> dict:
    """Tried again after a while, where it stopped; a page that cannot even be begun with is not tried for ever."""
    counts = crawl.counts | {"complete": False, "error": error}
    values = feed.failed(error, now) | {"failures": feed.failures + 1, "last_outcome": counts}
    if not crawl.pages:
        values["resume"] = {}
    _ours(feed).update(**values)
    return counts
