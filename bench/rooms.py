"""Enrolment, pulls, rating and the invoice run, each beside COPY of the very rows it wrote into a table with the same indexes."""

import io
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from django.db import connection, models, transaction
from django.utils import timezone

from apps.billing import invoicing, rating, rendering
from apps.billing.models import Charge, Document, Invoice, InvoiceLine, Payable, Subscription, TaxSubtotal
from apps.bulk import Upsert
from apps.charging import checking
from apps.charging.models import Cdr
from apps.charging.pull import CDRS
from apps.drivers.models import Account, Contract, Driver
from apps.locations.pull import PULL as LOCATIONS
from apps.locations.rows import CONNECTORS, EVSES
from apps.locations.rows import LOCATIONS as LOCATION_ROWS
from apps.partners import ourselves
from apps.partners.models import Partner
from apps.partners.pull import Pull, pull_partner
from apps.tokens.models import Token
from apps.tokens.push import push_due

from . import world
from .measures import Measure, rate

PAGE_OF_LOCATIONS, PAGE_OF_CDRS = 100, 1000

PLACES = {LOCATION_ROWS: PAGE_OF_LOCATIONS, EVSES: 4 * PAGE_OF_LOCATIONS, CONNECTORS: 8 * PAGE_OF_LOCATIONS}
"""Rows of a page: every location has four EVSEs of two connectors."""

ENROLLED = (Account, Driver, Contract, Subscription, Token)
"""And their history."""

PAGES = 100
FLOORS = ("upsert", "COPY")
ROOMS = (
    "enrolment",
    "location pull, first",
    "location pull, unchanged",
    "CDR pull",
    "checking CDRs",
    "rating",
    "invoice run",
)


@contextmanager
def operator(bodies: list[bytes], page: int, folder: Path) -> Iterator[str]:
    """Somebody who serves these bodies; where."""
    file = folder / "bodies.jsonl"
    file.write_bytes(b"\n".join(bodies))
    command = [sys.executable, "-m", "bench.operator", str(file), str(page)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served:
        try:
            yield f"http://127.0.0.1:{served.stdout.readline().strip()}"
        finally:
            served.terminate()


def enrolment(uids: list[str], size: int) -> Iterator[Measure]:
    """Fills in the uids."""
    ours = rate(size, lambda: uids.extend(world.enrol_cards(size)))
    kept = [model for one in ENROLLED for model in (one, one.pgh_event_model)]
    yield Measure("enrolment", size, ours, rate(size, copying(*kept)), "COPY", "cards")


def pulls(partner: Partner, uids: list[str], size: int, folder: Path) -> Iterator[Measure]:
    with operator(world.locations(size), PAGE_OF_LOCATIONS, folder) as url:
        world.offer(partner, "locations", f"{url}/locations")
        first = rate(size, lambda: pulled(LOCATIONS, partner))
        again = rate(size, lambda: pulled(LOCATIONS, partner))
        yield Measure("location pull, first", size, first, rate(size, upserting(PLACES)), "upsert", "EVSEs", 0.4)
        yield Measure("location pull, unchanged", size, again, first, "first pull", "EVSEs", 3)
    with operator(world.cdrs(uids, size), PAGE_OF_CDRS, folder) as url:
        world.offer(partner, "cdrs", f"{url}/cdrs")
        ours = rate(size, lambda: pulled(CDRS, partner))
        yield Measure("CDR pull", size, ours, rate(size, copying(Cdr)), "COPY", "CDRs")
        yield Measure("CDR pull", size, ours, 5_000, "asked for", "CDRs", 1)


def pulled(pull: Pull, partner: Partner) -> None:
    done = pull_partner(pull, partner, timezone.now(), full=True)
    if not done["complete"] or done["quarantined"]:
        raise RuntimeError(f"the pull went wrong: {done}")


def pushed(_partner: Partner) -> None:
    """What is due, as a worker does it."""
    while push_due(timezone.now(), ourselves.us())["due"]:
        pass


WORK = {"locations": partial(pulled, LOCATIONS), "cdrs": partial(pulled, CDRS), "tokens": pushed}


def billing(size: int) -> Iterator[Measure]:
    check = rate(size, checked)
    yield Measure("checking CDRs", size, check, rate(size, copying(Cdr)), "COPY", "CDRs")
    rated = rate(size, lambda: rating.rate_due(timezone.now()))
    yield Measure("rating", size, rated, rate(size, copying(Charge, Payable)), "COPY", "CDRs")
    yield Measure("rating", size, rated, 3_000, "asked for", "CDRs", 1)
    ours = rate(size, lambda: invoicing.issue(world.MONTH, timezone.now()))
    if InvoiceLine.objects.count() != size:
        raise RuntimeError(f"{InvoiceLine.objects.count()} lines of {size} CDRs")
    ceiling = rate(size, copying(Invoice, InvoiceLine, TaxSubtotal, Document))
    yield Measure("invoice run", size, ours, ceiling, "COPY", "lines")
    yield Measure("invoice run", size, ours, 3_000, "asked for", "lines", 1)
    yield Measure("PDF", PAGES, rate(PAGES, rendered), 25, "asked for", "documents", 1)


def rendered() -> None:
    """In this process, so on one core."""
    if rendering.render_due(timezone.now(), limit=PAGES) != PAGES:
        raise RuntimeError("not every document was rendered")


def growth(measures: list[Measure]) -> Iterator[Measure]:
    """What a row costs in the largest world beside the smallest, and how much of that is not PostgreSQL's own: 15 % more
    at most."""
    sizes = sorted({one.rows for one in measures if one.name in ROOMS})
    for name in ROOMS:
        few, *_, many = [next(one for one in measures if (one.name, one.rows) == (name, size)) for size in sizes]
        title = f"{name}, beside {few.rows:,}"
        yield Measure(title, many.rows, many.ours, few.ours, "smaller world", "rows")
        floor = min(1, many.ceiling / few.ceiling) if many.ceiling_name in FLOORS else 1
        yield Measure(title, many.rows, many.ours, few.ours * floor, "smaller world, by its floor", "rows", 1 / 1.15)


def checked() -> None:
    while checking.check_due(timezone.now()):
        pass


def upserting(pages: dict[Upsert, int]) -> Callable[[], None]:
    """The row floor: upserts of all rows of these tables, so many a page, with nothing to read and nothing to look up."""
    floors = [
        (replace(upsert, columns=[field.name for field in upsert.model._meta.concrete_fields], returning=()), count)
        for upsert, count in pages.items()
    ]
    rows = [list(floor.model.objects.order_by("pk").values_list(*floor.columns)) for floor, _ in floors]
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(floor.model._meta.db_table for floor, _ in floors)}")
    return lambda: [_upsert_page(floors, rows, page) for page in range(-(-len(rows[0]) // floors[0][1]))] and None


def _upsert_page(floors: list[tuple[Upsert, int]], rows: list[list[tuple]], page: int) -> None:
    with transaction.atomic():
        for (floor, count), of_table in zip(floors, rows, strict=True):
            floor.write(of_table[page * count : (page + 1) * count])


def copying(*tables: type[models.Model]) -> Callable[[], None]:
    """COPY of all rows of these tables into empty ones with the same indexes."""
    rows = {model._meta.db_table: copied_out(model._meta.db_table) for model in tables}
    return lambda: [copy_in(table, content) for table, content in rows.items()] and None


def copied_out(table: str) -> bytes:
    content = io.BytesIO()
    with connection.cursor() as cursor, cursor.cursor.copy(f"COPY {table} TO STDOUT (FORMAT binary)") as copy:
        for part in copy:
            content.write(part)
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS bench_{table}; CREATE TABLE bench_{table} (LIKE {table} INCLUDING ALL)")
    return content.getvalue()


def copy_in(table: str, content: bytes) -> None:
    with connection.cursor() as cursor, cursor.cursor.copy(f"COPY bench_{table} FROM STDIN (FORMAT binary)") as copy:
        copy.write(content)
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE bench_{table}")


def settle() -> None:
    """Let the server do now what it would do in the middle of a measurement."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")
    time.sleep(0.5)
