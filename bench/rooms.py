"""Pulls, rating and the invoice run, each beside COPY of the very rows it wrote into a table with the same indexes."""

import io
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection, models
from django.utils import timezone

from apps.billing import invoicing, rating
from apps.billing.models import Charge, Document, Invoice, InvoiceLine, Payable, TaxSubtotal
from apps.charging import checking
from apps.charging.models import Cdr
from apps.charging.pull import CDRS
from apps.locations.models import Connector, Evse, Location
from apps.locations.pull import PULL as LOCATIONS
from apps.partners.models import Partner
from apps.partners.pull import Pull, pull_partner

from . import world
from .measures import Measure, rate


@contextmanager
def operator(bodies: list[bytes], folder: Path) -> Iterator[str]:
    """Somebody who serves these bodies; where."""
    file = folder / "bodies.jsonl"
    file.write_bytes(b"\n".join(bodies))
    command = [sys.executable, "-m", "bench.operator", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served:
        try:
            yield f"http://127.0.0.1:{served.stdout.readline().strip()}"
        finally:
            served.terminate()


def pulls(partner: Partner, uids: list[str], size: int, folder: Path) -> Iterator[Measure]:
    with operator(world.locations(size), folder) as url:
        world.offer(partner, "locations", f"{url}/locations")
        first = rate(size, lambda: pulled(LOCATIONS, partner))
        again = rate(size, lambda: pulled(LOCATIONS, partner))
        ceiling = rate(size, copying(Location, Evse, Connector))
        yield Measure("location pull, first", size, first, ceiling, "COPY", "EVSEs")
        yield Measure("location pull, unchanged", size, again, ceiling, "COPY", "EVSEs")
    with operator(world.cdrs(uids, size), folder) as url:
        world.offer(partner, "cdrs", f"{url}/cdrs")
        ours = rate(size, lambda: pulled(CDRS, partner))
        yield Measure("CDR pull", size, ours, rate(size, copying(Cdr)), "COPY", "CDRs")


def pulled(pull: Pull, partner: Partner) -> None:
    done = pull_partner(pull, partner, timezone.now(), full=True)
    if not done["complete"] or done["quarantined"]:
        raise RuntimeError(f"the pull went wrong: {done}")


def billing(size: int) -> Iterator[Measure]:
    check = rate(size, checked)
    yield Measure("checking CDRs", size, check, rate(size, copying(Cdr)), "COPY", "CDRs")
    ours = rate(size, lambda: rating.rate_due(timezone.now()))
    yield Measure("rating", size, ours, rate(size, copying(Charge, Payable)), "COPY", "CDRs")
    ours = rate(size, lambda: invoicing.issue(world.MONTH, timezone.now()))
    if InvoiceLine.objects.count() != size:
        raise RuntimeError(f"{InvoiceLine.objects.count()} lines of {size} CDRs")
    ceiling = rate(size, copying(Invoice, InvoiceLine, TaxSubtotal, Document))
    yield Measure("invoice run", size, ours, ceiling, "COPY", "lines")


def checked() -> None:
    while checking.check_due(timezone.now()):
        pass


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
