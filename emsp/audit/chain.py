"""Sealing days that are over, one after the other, and looking whether they still are as they were sealed (trust S49).

Whoever rewrites a day has to rewrite all after it. Whoever may write past every guard can do that: what tells of him is a
digest that is kept elsewhere. Each is logged when its day is sealed, and a file of changes comes with one.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from django.db import connection, transaction

from emsp.models import AuditDay

from . import digests, tables

log = logging.getLogger(__name__)

GRACE = timedelta(hours=2)
"""After the end of a day before it is sealed: longer than `tables.LATE`."""

PATIENCE_S = 10
ONE_AT_A_TIME = 4_900_149
YEAR = 365

WRITERS = """
SELECT virtualtransaction FROM pg_locks
WHERE mode = 'RowExclusiveLock' AND granted AND pid <> pg_backend_pid()
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND relation IN (SELECT name::regclass FROM unnest(%s::text[]) AS name)
"""

EVER = "'-infinity'::date"
FIRST = "SELECT min(pgh_created_at) FROM {table}"

SEAL = f"""
INSERT INTO emsp_auditday (day, previous, count, tables, digest, sealed_at)
SELECT day, previous, count, tables, {digests.OF_DAY}, %(now)s FROM (
    SELECT %(day)s::date AS day,
        coalesce((SELECT digest FROM emsp_auditday ORDER BY day DESC LIMIT 1), '{digests.GENESIS}') AS previous,
        coalesce(sum(count), 0) AS count,
        coalesce(jsonb_object_agg(
            name, jsonb_build_object('count', count, 'digest', digest, 'columns', columns)), '{{{{}}}}') AS tables
    FROM ({{changes}}) AS change
) AS of_day
"""


class Fault(NamedTuple):
    """`name` is the day that differs, or the table whose guards do."""

    name: str
    fault: str


@dataclass(frozen=True)
class Verdict:
    """What was found of all sealed days. `faults` are in the order of days."""

    days: int
    changes: int
    newest: AuditDay | None
    faults: list[Fault]

    def as_json(self) -> dict:
        last = {"day": str(self.newest.day), "digest": self.newest.digest} if self.newest else None
        faults = [one._asdict() for one in self.faults]
        return {"days": self.days, "changes": self.changes, "newest": last, "faults": faults}


def seal(now: datetime, most: int = YEAR) -> list[AuditDay]:
    """Seal every day that is over and is not sealed yet, in their order, `most` of them; each is committed by itself.

    What still waits, because a transaction goes on that writes changes, is sealed by the next call.
    """
    sealed = []
    while len(sealed) < most and (day := _seal_next(now)):
        log.info("Audit day %s is sealed: %d changes, digest %s", day.day, day.count, day.digest)
        sealed.append(day)
    return sealed


@transaction.atomic
def _seal_next(now: datetime) -> AuditDay | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ONE_AT_A_TIME])
        day = _next_day(cursor, now)
        if now < start_of(day + timedelta(days=1)) + GRACE:
            return None
        if not _writers_have_ended(cursor):
            log.warning("Audit day %s is not sealed yet: a transaction that writes changes goes on", day)
            return None
        changes = digests.of_tables("%(since)s", "%(until)s")
        bounds = {"since": start_of(day), "until": start_of(day + timedelta(days=1))}
        cursor.execute(SEAL.format(changes=changes), {"day": day, "now": now} | bounds)
    return AuditDay.objects.get(day=day)


def start_of(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _next_day(cursor, now: datetime) -> date:
    """After the newest; at first that of the oldest change, or the last that is over."""
    newest = AuditDay.objects.order_by("-day").values_list("day", flat=True).first()
    if newest:
        return newest + timedelta(days=1)
    firsts = " UNION ALL ".join(FIRST.format(table=table) for table in tables.names())
    cursor.execute(
        f"SELECT least(min(first), %s) FROM ({firsts}) AS of_table (first)", [now - GRACE - timedelta(days=1)]
    )
    return cursor.fetchone()[0].astimezone(UTC).date()


def _writers_have_ended(cursor) -> bool:
    """Whoever writes changes now may have begun before the day was over; who begins from now on writes into today."""
    writing, deadline = set(_writers(cursor)), time.monotonic() + PATIENCE_S
    while writing and time.monotonic() < deadline:
        time.sleep(0.05)
        writing &= set(_writers(cursor))
    return not writing


def _writers(cursor) -> Iterator[str]:
    cursor.execute(WRITERS, [tables.names()])
    return (writer for (writer,) in cursor.fetchall())


def verify(kept: str = "") -> Verdict:
    """Compute every sealed day anew, and name what differs. `kept` is a digest from elsewhere, which some day must have."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM ({digests.faults(EVER)}) AS found (name, fault) ORDER BY name, fault")
        faults = [Fault(*row) for row in cursor.fetchall()]
        cursor.execute("SELECT count(*), coalesce(sum(count), 0)::bigint FROM emsp_auditday")
        days, changes = cursor.fetchone()
    if kept and not AuditDay.objects.filter(digest=kept).exists():
        faults.append(Fault("kept outside", f"no day has the digest {kept}"))
    return Verdict(days, changes, newest_until(date.max), faults)


def newest_until(day: date) -> AuditDay | None:
    """The last sealed day that is not after `day`."""
    return AuditDay.objects.filter(day__lte=day).order_by("-day").first()
