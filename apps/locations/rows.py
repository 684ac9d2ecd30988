"""How a location, an EVSE and a connector lie in their tables, and how they are put together again.

A row's `details` hold the canonical object without the children and without what a status message changes; those stand
in rows and columns of their own, so a status message rewrites no JSON.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

import msgspec
from django.db.models import Prefetch, TextField
from django.db.models.functions import Cast

from apps.bulk import Upsert, exact_json
from apps.locations.models import Connector, Evse, Location
from apps.ocpi import objects

LOCATION_TEXTS = ("name", "address", "city", "postal_code", "country", "time_zone")

LOCATIONS = Upsert(
    model=Location,
    columns=(
        "party", "ocpi_id", *LOCATION_TEXTS, "latitude", "longitude", "publish", "details", "warnings", "body", "version",
        "content_hash", "last_updated", "received_at", "vanished_at",
    ),
    target="party_id, upper(ocpi_id)",
    update=(
        *LOCATION_TEXTS, "latitude", "longitude", "publish", "details", "warnings", "body", "version", "content_hash",
        "last_updated", "received_at", "vanished_at",
    ),
    guard="old.last_updated <= excluded.last_updated",
    returning=("party", "ocpi_id", "id"),
)  # fmt: skip

EVSES = Upsert(
    model=Evse,
    columns=("location", "uid", "evse_id", "status", "removed_by_us", "details", "last_updated"),
    target="location_id, upper(uid)",
    update=("evse_id", "status", "removed_by_us", "details", "last_updated"),
    guard="old.last_updated <= excluded.last_updated OR old.removed_by_us",
    returning=("location", "uid", "id"),
)

CONNECTORS = Upsert(
    model=Connector,
    columns=(
        "evse", "ocpi_id", "standard", "format", "power_type", "max_voltage", "max_amperage", "max_electric_power",
        "tariff_ids", "details", "last_updated",
    ),
    target="evse_id, upper(ocpi_id)",
    update=(
        "standard", "format", "power_type", "max_voltage", "max_amperage", "max_electric_power", "tariff_ids", "details",
        "last_updated",
    ),
    guard="old.last_updated <= excluded.last_updated",
    returning=("evse", "ocpi_id"),
)  # fmt: skip


def location_row(incoming, content_hash: bytes, now: datetime) -> tuple:
    place: objects.Location = incoming.object
    details = _details(msgspec.structs.replace(place, evses=()))
    return (
        incoming.party.pk, place.id, *(getattr(place, name) or "" for name in LOCATION_TEXTS),
        Decimal(place.coordinates.latitude), Decimal(place.coordinates.longitude), place.publish, details,
        incoming.warnings, incoming.body, incoming.version.number, content_hash, place.last_updated, now, None,
    )  # fmt: skip


def evse_row(location: int, evse: objects.Evse) -> tuple:
    details = _details(msgspec.structs.replace(evse, connectors=()), "connectors", "status")
    return location, evse.uid, evse.evse_id or "", evse.status, False, details, evse.last_updated


def connector_row(evse: int, connector: objects.Connector) -> tuple:
    return (
        evse, connector.id, connector.standard, connector.format, connector.power_type, connector.max_voltage,
        connector.max_amperage, connector.max_electric_power, connector.tariff_ids, _details(connector),
        connector.last_updated,
    )  # fmt: skip


def newest(items: Iterable, identity: str) -> dict[str, msgspec.Struct]:
    """One object per id, whatever its case: the newest, of equals the last (decision 18). In key order."""
    kept = {}
    for item in items:
        key = getattr(item, identity).upper()
        if key not in kept or kept[key].last_updated <= item.last_updated:
            kept[key] = item
    return dict(sorted(kept.items()))


def location_columns(changes: dict) -> dict:
    """The columns that follow from what a PATCH of a location said."""
    columns = {name: changes[name] or "" for name in LOCATION_TEXTS if name in changes}
    if "coordinates" in changes:
        columns["latitude"] = Decimal(changes["coordinates"]["latitude"])
        columns["longitude"] = Decimal(changes["coordinates"]["longitude"])
    if "publish" in changes:
        columns["publish"] = changes["publish"]
    return columns


def connector_columns(changes: dict) -> dict:
    """The columns that follow from what a PATCH of a connector said."""
    names = ("standard", "format", "power_type", "max_voltage", "max_amperage", "max_electric_power")
    columns = {name: changes[name] for name in names if name in changes}
    if "tariff_ids" in changes:
        columns["tariff_ids"] = changes["tariff_ids"] or []
    return columns


def canonical_location(location: Location) -> dict:
    """The location as its CPO would tell it now, in canonical builtins: what was put, with every patch on it."""
    found = Location.objects.filter(pk=location.pk).annotate(exact=Cast("details", TextField())).get()
    return _read(found) | {"evses": [canonical_evse(evse) for evse in _evses().filter(location=location)]}


def canonical_evse(evse: Evse) -> dict:
    found = evse if hasattr(evse, "exact") else _evses().get(pk=evse.pk)
    connectors = [_read(connector) for connector in found.connectors.all()]
    return _read(found) | {"status": found.status, "connectors": connectors}


def canonical_connector(connector: Connector) -> dict:
    return _read(_connectors().get(pk=connector.pk))


def _evses():
    return (
        Evse.objects.annotate(exact=Cast("details", TextField()))
        .prefetch_related(Prefetch("connectors", _connectors()))
        .order_by("pk")
    )


def _connectors():
    return Connector.objects.annotate(exact=Cast("details", TextField())).order_by("pk")


def _details(item: msgspec.Struct, *without: str) -> dict:
    kept = msgspec.to_builtins(item, builtin_types=(Decimal,))
    for name in (*without, "last_updated"):
        kept.pop(name, None)
    return kept


def _read(row) -> dict:
    return exact_json(row.exact) | {"last_updated": row.last_updated}
