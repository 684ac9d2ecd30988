"""A month of a large provider, made by copying a small one row by row, and what looking at all of it costs (trust 5.5)."""

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from django.db import connection, models
from django.utils import timezone

from apps.billing import rendering
from apps.billing.models import Charge, Document, Invoice, InvoiceLine, NumberSeries, Payable, TaxSubtotal
from apps.charging.models import Cdr
from apps.drivers.models import Account, Contract, Driver
from apps.locations.models import Connector, Evse, Location
from apps.ocpi.versions import VERSIONS
from apps.tokens.models import Token
from emsp.invariants import inspecting

from . import rooms, web, world
from .measures import Measure, rate

SIZE = 1_000_000
MANY_CARDS, MANY_EVSES, MANY_ASKED = 1_000_000, 500_000, 20_000
HUNDRED = 100
IN_TIME = 60
"""Seconds that the invariants may take over so many CDRs."""

BILLED = (Cdr, Payable, Charge, Invoice, TaxSubtotal, Document, InvoiceLine)
CARDS = (Account, Driver, Contract, Token)
PLACES = (Location, Evse, Connector)
STRIDE = 10_000_000
"""Copy number n of a row has its id and n strides more."""

SERIES = "FROM billing_numberseries series WHERE series.id = series_id"
SEQUENCE = f"sequence + n * (SELECT next_number - 1 {SERIES})"
ITS_OWN = {
    "public_id": "gen_random_uuid()",
    "ocpi_id": "ocpi_id || '-' || n",
    "name": "name || '-' || n",
    "email": "n || '-' || email",
    "uid": "uid || '-' || n",
    "contract_id": "contract_id || n",
    "key": "key || n",
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


def cards_and_places(token: str, uids: list[str], folder: Path) -> Iterator[Measure]:
    """Authorize and EVSE statuses in a world of a million cards and half a million EVSEs."""
    spread(CARDS, Token, MANY_CARDS)
    spread(PLACES, Evse, MANY_EVSES)
    rooms.settle()
    cards = [*uids, *Token.objects.order_by("?").values_list("uid", flat=True)[:MANY_ASKED]]
    places = Evse.objects.order_by("?").values_list("location__ocpi_id", "uid")[:MANY_ASKED]
    paths = [f"{world.OWNER.country_code}/{world.OWNER.party_id}/{place}/{uid}" for place, uid in places]
    lines = {"bare view": [""], "authorize": cards, "EVSE status PATCH": paths}
    with web.served(folder) as url:
        found = web.best_of_rounds(url, token, lines, folder)
        first, *others = crawled(f"{url}/ocpi/{web.VERSION}/tokens", token)
    for name, rows in (("authorize", MANY_CARDS), ("EVSE status PATCH", MANY_EVSES)):
        yield Measure(name, rows, found[name], found["bare view"], "bare view", "requests", web.TARGETS[name])
    yield Measure("token list, slowest 100 pages", MANY_CARDS, min(others), first, "first 100 pages", "tokens", 1 / 2)


def crawled(url: str, token: str) -> Iterator[float]:
    """The whole list of cards, as a partner pages through it: cards a second, of each hundred pages."""
    header, query = {"Authorization": VERSIONS[web.VERSION].authorization(token)}, "limit=1000"
    with httpx.Client(headers=header, trust_env=False, timeout=60) as client:
        while query:
            started, count = time.perf_counter(), 0
            for _ in range(HUNDRED):
                answer = client.get(f"{url}?{query}").raise_for_status()
                count += len(answer.json()["data"])
                query = urlsplit(answer.links.get("next", {}).get("url", "")).query
                if not query:
                    break
            yield count / (time.perf_counter() - started)


def spread(tables: Sequence[type[models.Model]], counted: type[models.Model], size: int) -> None:
    """Copy the rows of these tables until there are so many of the one that counts."""
    copies = -(-size // counted.objects.count()) - 1
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        for model in tables:
            cursor.execute(copying(model, tables), [copies])
        cursor.execute("SET session_replication_role = DEFAULT")


def multiply(size: int) -> int:
    """Copy what was billed until there are `size` CDRs or a few more; how many. Every document has a PDF."""
    copies = -(-size // Cdr.objects.count()) - 1
    rendering.render_due(timezone.now(), limit=1)
    rendered = Document.objects.exclude(pdf=None).first()
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")  # the triggers that keep documents as they are
        Document.objects.update(**rendered.settled(), pdf=rendered.pdf, sha256=rendered.sha256)
    spread(BILLED, Cdr, size)
    NumberSeries.objects.update(next_number=(models.F("next_number") - 1) * (copies + 1) + 1)
    return Cdr.objects.count()


def copying(model: type[models.Model], tables: Sequence[type[models.Model]]) -> str:
    columns = {field.column: expression(field, tables) for field in model._meta.concrete_fields}
    table = model._meta.db_table
    chosen = ", ".join(columns.values())
    return f"INSERT INTO {table} ({', '.join(columns)}) SELECT {chosen} FROM {table}, generate_series(1, %s) n"


def expression(field: models.Field, tables: Sequence[type[models.Model]]) -> str:
    if field.primary_key or field.related_model in tables:
        return f"{field.column} + n * {STRIDE}"
    return field.column if field.is_relation else ITS_OWN.get(field.column, field.column)


def read_once() -> None:
    with connection.cursor() as cursor:
        for model in BILLED:
            cursor.execute(f"SELECT count(t) FROM {model._meta.db_table} t WHERE t IS NOT NULL")


def inspected() -> None:
    started = time.perf_counter()
    found = inspecting.inspect(timezone.now())
    if broken := [(one.code, one.faults[:3]) for one in found if one.is_broken]:
        raise RuntimeError(f"the copies broke invariants: {broken}")
    told = ", ".join(f"{one.code} {one.seconds:.1f}" for one in found)
    sys.stdout.write(f"invariants in {time.perf_counter() - started:.1f} s: {told}\n")
