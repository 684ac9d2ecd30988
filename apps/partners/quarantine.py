"""Objects that we could not take: kept with their bytes and every reason, shown, mended, tried again (decision 3).

Nothing that authenticated and parsed is thrown away. The bytes as sent are never changed; what staff made of them
stands beside them in `mended`.
"""

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime

import msgspec
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Value
from django.db.models.functions import Concat, Upper

from apps.bulk import as_json
from apps.ocpi.errors import InvalidObject, OcpiError, Problem
from apps.ocpi.versions import VERSIONS, Version
from apps.partners.models import Partner, Party, Quarantined
from apps.work import ring

LONGEST_ID = 255
NOT_THEIRS, NOT_YET = "V-05", "WAIT"


class Settled(ValueError):
    """There is nothing more to be done with this object."""


KEEP = """
INSERT INTO partners_quarantined AS kept (
    partner_id, party_id, module, version, ocpi_id, body, digest, context, code, owner, reasons, state, seen,
    first_seen_at, last_seen_at
) VALUES (
    %(partner)s, %(party)s, %(module)s, %(version)s, %(ocpi_id)s, %(body)s, %(digest)s, %(context)s::jsonb, %(code)s,
    %(owner)s, %(reasons)s::jsonb, 'OPEN', 1, %(now)s, %(now)s
)
ON CONFLICT (partner_id, module, digest) DO UPDATE SET
    seen = kept.seen + 1, last_seen_at = greatest(kept.last_seen_at, excluded.last_seen_at),
    code = CASE WHEN kept.state = 'OPEN' THEN excluded.code ELSE kept.code END,
    owner = CASE WHEN kept.state = 'OPEN' THEN excluded.owner ELSE kept.owner END,
    reasons = CASE WHEN kept.state = 'OPEN' THEN excluded.reasons ELSE kept.reasons END
RETURNING id
"""


def keep(  # noqa: PLR0913
    partner: Partner,
    module: str,
    version: Version,
    body: bytes,
    problems: Iterable[Problem],
    now: datetime,
    *,
    party: Party | None = None,
    context: dict | None = None,
    code: str = "",
    owner: str = "",
) -> int:
    """Keep a body with its reasons; the same bytes again only raise `seen`, and do not reopen what staff settled."""
    values = {
        "partner": partner.pk, "party": party and party.pk, "module": module, "version": version.number,
        "ocpi_id": id_of(body), "body": body, "digest": hashlib.sha256(body).digest(),
        "context": as_json(context or {}), "code": code, "owner": owner, "reasons": as_json(_without_nul(problems)), "now": now,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(KEEP, values)
        return cursor.fetchone()[0]


def id_of(body: bytes) -> str:
    """What the object calls itself, if it can be told: for finding it, not for deciding anything."""
    try:
        found = _Named.decode(body).id
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ""
    return found.replace("\x00", "\ufffd")[:LONGEST_ID] if isinstance(found, str) else ""


class _Identified(msgspec.Struct):
    id: object = None


_Named = msgspec.json.Decoder(_Identified)


def _without_nul(problems: Iterable[Problem]) -> list[list[str]]:
    """A reason may quote the body, and jsonb cannot hold the character NUL."""
    return [[part.replace("\x00", "\ufffd") for part in problem] for problem in problems]


def mend(row: Quarantined, body: bytes, intakes: Mapping, now: datetime):
    """Take what staff made of a kept object, by the same door as ever; `intakes` are the rooms by module.

    InvalidObject with the reasons if it still cannot be taken (OcpiError if that is our fault): then the row stays open
    and nothing was stored. Returns what became of it. Settled if the row is.
    """
    with transaction.atomic():
        held = _open(row)
        taken = _attempt(held, body, intakes, now)
        taken.require()
        held.state, held.mended, held.settled_at = Quarantined.State.MENDED, body, now
        held.save(update_fields=["state", "mended", "settled_at"])
    return taken


def retry(row: Quarantined, intakes: Mapping, now: datetime) -> bool:
    """Try the bytes as sent once more, after we changed or a party moved; if in vain, the reasons are new."""
    try:
        mend(row, bytes(row.body), intakes, now)
    except OcpiError as error:
        held = Quarantined.objects.filter(pk=row.pk, state=Quarantined.State.OPEN)
        held.update(reasons=_without_nul(_problems_of(error)))
        approved().filter(pk=row.pk).update(code="")  # so it was not the party that was wrong with it
        return False
    return True


def rehearse(row: Quarantined, intakes: Mapping, now: datetime) -> list[Problem]:
    """What would still be wrong with the bytes as sent, if they were tried again now; nothing changes by asking.

    Settled if the row is.
    """
    with transaction.atomic():
        held = _open(row)
        try:
            _attempt(held, bytes(held.body), intakes, now).require()
        except OcpiError as error:
            return _problems_of(error)
        finally:
            transaction.set_rollback(True)
    return []


def _problems_of(error: OcpiError) -> list[Problem]:
    return error.problems if isinstance(error, InvalidObject) else [Problem("", error.message)]


def approved():
    """What was kept because its party was not the sender's, known or unknown, and is now (trust S10)."""
    named = Concat(Upper("country_code"), Value("*"), Upper("party_id"))
    theirs = Party.objects.alias(named=named).filter(partner=OuterRef("partner"), named=OuterRef("owner"))
    return Quarantined.objects.filter(Exists(theirs), state=Quarantined.State.OPEN, code__in=(NOT_THEIRS, NOT_YET))


def take_approved(intakes: Mapping, now: datetime, limit: int = 1000) -> int:
    """Try them again; how many were taken. What fails for another reason stays for staff, and is not tried again."""
    rows, taken = list(approved().order_by("pk")[:limit]), 0
    for row in rows:
        with suppress(Settled):  # another worker was quicker
            taken += retry(row, intakes, now)
    if len(rows) == limit:
        ring("emsp.tasks.take_approved")
    return taken


def dismiss(row: Quarantined, now: datetime) -> None:
    """Staff need it no more; its bytes stay. Settled if it is."""
    with transaction.atomic():
        held = _open(row)
        held.state, held.settled_at = Quarantined.State.DISMISSED, now
        held.save(update_fields=["state", "settled_at"])


def _open(row: Quarantined) -> Quarantined:
    """Locked: two people who mend one object mend it once."""
    held = Quarantined.objects.select_for_update(of=("self",)).select_related("partner", "party").get(pk=row.pk)
    if held.state != Quarantined.State.OPEN:
        raise Settled(f"this object is settled already: {held.get_state_display()}")
    return held


def _attempt(row: Quarantined, body: bytes, intakes: Mapping, now: datetime):
    intake, version = intakes[row.module], VERSIONS[row.version]
    return intake.attempt(row.partner, version, body, now, owner=row.party, context=row.context)
