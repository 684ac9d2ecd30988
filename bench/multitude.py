"""A month of a large provider, made by copying a small one row by row, and what looking at all of it costs (trust 5.5)."""

import sys
import time
from collections.abc import Iterator

from django.db import connection, models
from django.utils import timezone

from apps.billing import rendering
from apps.billing.models import Charge, Document, Invoice, InvoiceLine, NumberSeries, Payable, TaxSubtotal
from apps.charging.models import Cdr
from emsp.invariants import inspecting

from . import rooms
from .measures import Measure, rate

SIZE = 1_000_000
IN_TIME = 60
"""Seconds that the invariants may take over so many CDRs."""

TABLES = (Cdr, Payable, Charge, Invoice, TaxSubtotal, Document, InvoiceLine)
STRIDE = 10_000_000
"""Copy number n of a row has its id and n strides more."""

SERIES = "FROM billing_numberseries series WHERE series.id = series_id"
SEQUENCE = f"sequence + n * (SELECT next_number - 1 {SERIES})"
ITS_OWN = {
    "public_id": "gen_random_uuid()",
    "ocpi_id": "ocpi_id || '-' || n",
    "sequence": SEQUENCE,
    "number": f"(SELECT prefix {SERIES}) || lpad(({SEQUENCE})::text, 6, '0')",
}


def measure() -> Iterator[Measure]:
    """The invariants beside one pass over the same rows."""
    count = multiply(SIZE)
    rooms.settle()
    passes = rate(count, read_once)
    ours = rate(count, inspected)
    yield Measure("invariants", count, ours, passes, "one pass", "CDRs", SIZE / IN_TIME / passes)


def multiply(size: int) -> int:
    """Copy what was billed until there are `size` CDRs or a few more; how many. Every document has a PDF."""
    copies = -(-size // Cdr.objects.count()) - 1
    rendering.render_due(timezone.now(), limit=1)
    rendered = Document.objects.exclude(pdf=None).first()
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")  # the triggers that keep documents as they are
        Document.objects.update(**rendered.settled(), pdf=rendered.pdf, sha256=rendered.sha256)
        for model in TABLES:
            cursor.execute(copying(model), [copies])
        cursor.execute("SET session_replication_role = DEFAULT")
    NumberSeries.objects.update(next_number=(models.F("next_number") - 1) * (copies + 1) + 1)
    return Cdr.objects.count()


def copying(model: type[models.Model]) -> str:
    columns = {field.column: expression(field) for field in model._meta.concrete_fields}
    table = model._meta.db_table
    chosen = ", ".join(columns.values())
    return f"INSERT INTO {table} ({', '.join(columns)}) SELECT {chosen} FROM {table}, generate_series(1, %s) n"


def expression(field: models.Field) -> str:
    if field.primary_key or field.related_model in TABLES:
        return f"{field.column} + n * {STRIDE}"
    return ITS_OWN.get(field.column, field.column)


def read_once() -> None:
    with connection.cursor() as cursor:
        for model in TABLES:
            cursor.execute(f"SELECT count(t) FROM {model._meta.db_table} t WHERE t IS NOT NULL")


def inspected() -> None:
    started = time.perf_counter()
    found = inspecting.inspect(timezone.now())
    if broken := [(one.code, one.faults[:3]) for one in found if one.is_broken]:
        raise RuntimeError(f"the copies broke invariants: {broken}")
    told = ", ".join(f"{one.code} {one.seconds:.1f}" for one in found)
    sys.stdout.write(f"invariants in {time.perf_counter() - started:.1f} s: {told}\n")
