"""The only writer of tariffs (mod_tariffs, Receiver Interface). Every content stays as a revision (TAR-01)."""

from datetime import datetime

from apps.bulk import Upsert
from apps.ocpi import objects, reader
from apps.ocpi.envelope import encode
from apps.ocpi.errors import InvalidObject, Problem
from apps.ocpi.versions import VERSIONS, Version
from apps.partners.mirror import Mirror, Told
from apps.partners.models import Partner, Party
from apps.partners.taking import Incoming, Intake, Outcome, Stored
from apps.tariffs.models import Tariff, TariffRevision

TARIFFS = Upsert(
    model=Tariff,
    columns=(
        "party", "ocpi_id", "currency", "type", "start_date_time", "end_date_time", "body", "version", "content_hash",
        "last_updated", "received_at", "deleted_at",
    ),
    target="party_id, upper(ocpi_id)",
    update=(
        "currency", "type", "start_date_time", "end_date_time", "body", "version", "content_hash", "last_updated",
        "received_at", "deleted_at",
    ),
    guard="old.last_updated <= excluded.last_updated",
    returning=("party", "ocpi_id", "id"),
)  # fmt: skip

REVISIONS = Upsert(
    model=TariffRevision,
    columns=("tariff", "body", "version", "content_hash", "last_updated", "received_at"),
    target="tariff_id, content_hash, last_updated",
)


def put_tariffs(partner: Partner, incomings: list[Incoming], now: datetime) -> list[Stored]:
    """Store whole tariffs, one per key and in key order. A deleted one comes back.

    Also a content older than ours is kept as a revision: a session may have begun under it.
    """
    told = MIRROR.put(incomings, now)
    fresh = [one for one in told if one.stored.outcome is not Outcome.UNCHANGED and one.stored.row]
    REVISIONS.write(_revision(one, now) for one in fresh)
    return [one.stored for one in told]


def _row(incoming: Incoming, content: bytes, now: datetime) -> tuple:
    tariff: objects.Tariff = incoming.object
    return (
        incoming.party.pk, tariff.id, tariff.currency, tariff.type or "", tariff.start_date_time, tariff.end_date_time,
        incoming.body, incoming.version.number, content, tariff.last_updated, now, None,
    )  # fmt: skip


def _revision(told: Told, now: datetime) -> tuple:
    incoming = told.incoming
    body, version = incoming.body, incoming.version.number
    return told.stored.row, body, version, told.content_hash, incoming.object.last_updated, now


MIRROR = Mirror(TARIFFS, "deleted_at", _row, "tariff")


def remove_tariff(party: Party, tariff_id: str, now: datetime) -> None:
    """The CPO no longer uses it; what was charged by it is still checked against it (TAR-01). Repeating is harmless."""
    MIRROR.remove(party, tariff_id, now)


def known_tariff(party: Party, tariff_id: str) -> Tariff:
    """What the CPO last sent, and has not deleted since."""
    return MIRROR.known(party, tariff_id)


def patched(tariff: Tariff, version: Version, body: bytes) -> bytes:
    """The whole tariff with what a PATCH names laid over it, in the words of its version; null takes a field away.

    InvalidObject if the body is no object. It keeps its date where the PATCH says none (TR-29, TR-30).
    """
    changes = reader.decode(body, strict=True)
    if not isinstance(changes, dict):
        raise InvalidObject([Problem("", "expected an object")])
    return encode(version.write("tariff", canonical_tariff(tariff)) | changes)


def canonical_tariff(tariff: Tariff) -> objects.Tariff:
    """The tariff as its CPO last sent it."""
    owner = objects.Party(tariff.party.country_code, tariff.party.party_id)
    return VERSIONS[tariff.version].read_tariff(bytes(tariff.body), owner).object


INTAKE = Intake("tariffs", "tariff", put_tariffs, kept=MIRROR.kept)
