"""Authorize while a CPO's whole list is pulled, every location of it changed, all cards are pushed to it, and a month is
rated and invoiced (trust P, O3)."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection
from django.utils import timezone

from apps.billing import invoicing, rating
from apps.charging.pull import CDRS
from apps.locations.models import Evse, Location
from apps.locations.pull import PULL as LOCATIONS
from apps.partners import ourselves
from apps.tokens.push import push_partner

from . import rooms, slow, web, world
from .measures import Measure

SIZE, WORSE = 20_000, 5
"""EVSEs, cards and CDRs; and how much longer the slowest one in a hundred may take."""
SECONDS = 4
"""Sync and run take longer."""


def measure(folder: Path) -> Iterator[Measure]:
    """Rates are one over the time of the slowest one in a hundred."""
    world.empty()
    uids = world.enrol_cards(SIZE)
    partner, token = world.connect()
    with rooms.operator(world.cdrs(uids, SIZE), rooms.PAGE_OF_CDRS, folder) as url:
        world.offer(partner, "cdrs", f"{url}/cdrs")
        rooms.pulled(CDRS, partner)
    rooms.checked()
    rooms.settle()
    script = slow.asking(token, uids, folder)
    with rooms.operator(world.locations(SIZE), rooms.PAGE_OF_LOCATIONS, folder) as operator, web.served(folder) as url:
        world.offer(partner, "locations", f"{operator}/locations")
        world.listen(partner, f"{operator}/tokens")
        rooms.pulled(LOCATIONS, partner)
        alone = min(slow.slowest(url, script, SECONDS) for _ in range(slow.ROUNDS))
        with going_on(lambda: pull_changed(partner), lambda: push(partner), bill):
            beside = slow.slowest(url, script, SECONDS)
    name = "authorize beside a full sync, a push of cards, rating and a run, slowest 1 %"
    yield Measure(name, SIZE, 1 / beside, 1 / alone, "alone", "requests", 1 / WORSE)


def pull_changed(partner) -> None:
    """Every row is written again."""
    Location.objects.update(content_hash=b"")
    Evse.objects.update(removed_by_us=True)
    rooms.pulled(LOCATIONS, partner)


def push(partner) -> None:
    push_partner(partner, timezone.now(), ourselves.us())


def bill() -> None:
    rating.rate_due(timezone.now())
    invoicing.issue(world.MONTH, timezone.now())


@contextmanager
def going_on(*works: Callable[[], None]) -> Iterator[None]:
    """These, side by side, while something is measured."""
    threads = [threading.Thread(target=in_a_line_of_its_own, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join()


def in_a_line_of_its_own(work: Callable[[], None]) -> None:
    try:
        work()
    finally:
        connection.close()
