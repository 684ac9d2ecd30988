"""Objects of CPOs that we keep as last told: locations and tariffs. One row per (party, id), whatever the id's case.

The newest `last_updated` wins, whatever the order of arrival; an equal one is applied again, which changes nothing
(TR-31, trust R7). What we have already is found by one SELECT over content hashes and costs no write (TR-20).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection, models
from django.db.models.functions import Upper

from apps.bulk import Upsert
from apps.ocpi.errors import UnknownObject
from apps.ocpi.versions import content_hash
from apps.partners.models import Partner, Party
from apps.partners.recognition import Kept
from apps.partners.taking import Incoming, Outcome, Stored

FEW = 10
MOST_AT_ONCE = 5
"""A list that lacks more than a fifth of what it had is rather cut short than true (trust R15)."""

Key = tuple[int, str]


class Told(NamedTuple):
    """An incoming object and what became of it; `was_new` is None where nothing was written."""

    incoming: Incoming
    content_hash: bytes
    stored: Stored
    was_new: bool | None


class _Known(NamedTuple):
    pk: int
    content_hash: bytes
    last_updated: datetime
    gone_at: datetime | None

    def says(self, incoming: Incoming, content: bytes) -> bool:
        """A newer time is written even if nothing else is new: the guards need it."""
        is_older = incoming.object.last_updated <= self.last_updated
        return self.gone_at is None and is_older and self.content_hash == content


@dataclass(frozen=True)
class Mirror:
    """`gone` names the column that says since when the CPO has it no more; `row` makes the columns of the upsert; `called`
    is the word for one of them."""

    upsert: Upsert
    gone: str
    row: Callable[[Incoming, bytes, datetime], tuple]
    called: str

    def put(self, incomings: list[Incoming], now: datetime) -> list[Told]:
        """Store whole objects, one per key and in key order (decision 18)."""
        hashed = [(incoming, content_hash(incoming.object)) for incoming in incomings]
        known = self._known([key_of(incoming) for incoming in incomings])
        fresh = [pair for pair in hashed if not (key_of(pair[0]) in known and known[key_of(pair[0])].says(*pair))]
        rows = self.upsert.write(self.row(incoming, content, now) for incoming, content in fresh)
        written = {(party, ocpi_id.upper()): (pk, is_new) for party, ocpi_id, pk, is_new in rows}
        return [_told(*pair, known.get(key_of(pair[0])), written.get(key_of(pair[0]))) for pair in hashed]

    @property
    def kept(self) -> Kept:
        """A content hash that was emptied says that something changed since."""
        return Kept(self.upsert.model, intact=f"kept.{self.gone} IS NULL AND kept.content_hash <> ''")

    def _known(self, keys: list[Key]) -> dict[Key, _Known]:
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT o.party_id, upper(o.ocpi_id), o.id, o.content_hash, o.last_updated, o.{self.gone}"
                f" FROM unnest(%s::bigint[], %s::text[]) AS k(party, id)"
                f" JOIN {self.upsert.model._meta.db_table} o ON o.party_id = k.party AND upper(o.ocpi_id) = k.id",
                columns_of(keys),
            )
            return {(party, ocpi_id): _Known(*rest) for party, ocpi_id, *rest in cursor.fetchall()}

    def of(self, party: Party, ocpi_id: str) -> models.QuerySet:
        return self.upsert.model.objects.filter(party=party, ocpi_id__iexact=ocpi_id)

    def known(self, party: Party, ocpi_id: str) -> models.Model:
        """What the CPO last sent, and has not taken back since; with its party."""
        found = self.of(party, ocpi_id).filter(**{self.gone: None}).select_related("party").first()
        if found is None:
            raise self._unknown(ocpi_id)
        return found

    def remove(self, party: Party, ocpi_id: str, now: datetime) -> None:
        """The CPO takes it back. Repeating is harmless; UnknownObject if it was never here."""
        rows = self.of(party, ocpi_id)
        if not rows.filter(**{self.gone: None}).update(**{self.gone: now}) and not rows.exists():
            raise self._unknown(ocpi_id)

    def _unknown(self, ocpi_id: str) -> UnknownObject:
        return UnknownObject(f"{self.called} {ocpi_id} is not known here")

    def vanish(self, partner: Partner, seen: set[Key], now: datetime) -> str:
        """Mark what a complete pull, begun `now`, no longer had (LOC-04, TAR-02); what kept us from it is returned.

        What arrived since the pull began may have missed it.
        """
        present = self.upsert.model.objects.filter(party__partner=partner, **{self.gone: None})
        known = present.annotate(key=Upper("ocpi_id")).values_list("pk", "party_id", "key")
        known = {(party, key): pk for pk, party, key in known}
        lost = [pk for key, pk in known.items() if key not in seen]
        if len(known) > FEW and len(lost) * MOST_AT_ONCE > len(known):
            return f"{len(lost)} of {len(known)} known objects are missing: too many at once, so they are kept"
        present.filter(pk__in=lost).exclude(received_at__gt=now).update(**{self.gone: now})
        return ""


def key_of(incoming: Incoming) -> Key:
    return incoming.party.pk, incoming.object.id.upper()


def columns_of(keys: Iterable[tuple[Any, Any]]) -> list[list]:
    """Pairs as the two arrays of an unnest, which may be empty."""
    keys = list(keys)
    return [[first for first, _ in keys], [second for _, second in keys]]


def _told(incoming: Incoming, content: bytes, known: _Known | None, written: tuple[int, bool] | None) -> Told:
    pk = written[0] if written else known.pk if known else None
    outcome = Outcome.STALE
    if written:
        outcome = Outcome.CREATED if written[1] else Outcome.UPDATED
    if known and known.content_hash == content and not (written and known.gone_at):
        outcome = Outcome.UNCHANGED
    return Told(incoming, content, Stored(outcome, pk), written[1] if written else None)
