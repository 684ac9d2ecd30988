"""Partial updates (mod_locations, PATCH): only what is named changes, null clears (TR-29, TR-30).

In 2.1.1 a PATCH may come without `last_updated`: it is applied and leaves the stored one as it is (decision 12).
"""

from datetime import datetime

import msgspec
from django.db import transaction

from apps.bulk import run_prepared
from apps.locations.models import Connector, Location
from apps.locations.rows import connector_columns, location_columns
from apps.locations.store import locked, locked_evse, put_connectors, put_evses, touch_evse, touch_location, unknown
from apps.ocpi import objects
from apps.ocpi.errors import InvalidObject, Problem
from apps.partners.models import Party
from apps.partners.patching import laid_over, merge, said
from apps.partners.taking import Outcome, fitting

PATCH_EVSE = """
WITH place AS (
    SELECT id FROM locations_location WHERE party_id = %(party)s AND upper(ocpi_id) = upper(%(location)s)
    FOR NO KEY UPDATE
), changed AS (
    UPDATE locations_evse e SET
        status = coalesce(%(status)s, e.status),
        removed_by_us = e.removed_by_us AND %(status)s::text IS NULL,
        evse_id = coalesce(%(evse_id)s, e.evse_id),
        details = CASE WHEN %(details)s::jsonb IS NULL THEN e.details
                       ELSE (e.details || %(details)s::jsonb) - %(cleared)s::text[] END,
        last_updated = coalesce(%(at)s, e.last_updated)
    FROM place
    WHERE e.location_id = place.id AND upper(e.uid) = upper(%(uid)s)
        AND e.last_updated <= coalesce(%(at)s, e.last_updated)
    RETURNING e.location_id, e.last_updated
), raised AS (
    UPDATE locations_location l SET last_updated = greatest(l.last_updated, changed.last_updated), content_hash = ''
    FROM changed WHERE l.id = changed.location_id
)
SELECT EXISTS (SELECT FROM changed),
    EXISTS (SELECT FROM place JOIN locations_evse e ON e.location_id = place.id AND upper(e.uid) = upper(%(uid)s)),
    set_config('synchronous_commit', 'off', true)
"""
"""A status message, by far the most frequent that CPOs send, in one statement (decision 25, trust P2).

The guard stands on the updated row's own columns: PostgreSQL looks at them again after waiting for the row, and only
at them. The location is locked first, as everywhere (trust R10). The commit does not wait for the disk: what a crash
may take is told again by the next message or pull.
"""


@fitting()
def patch_evse(party: Party, location_id: str, evse_uid: str, patch: objects.EvsePatch, now: datetime) -> Outcome:
    outcome = _patch_whole_evse(party, location_id, evse_uid, patch, said(patch, uid=evse_uid))
    if outcome is None:
        raise unknown(party, now, f"EVSE {evse_uid} of location {location_id} is not known here")
    return outcome


def _patch_evse(party: Party, location_id: str, evse_uid: str, changes: dict) -> Outcome | None:
    """None: there is no such EVSE."""
    status, at = changes.pop("status", None), changes.pop("last_updated", None)
    details, cleared = merge(changes) if changes else (None, None)
    values = {
        "party": party.pk, "location": location_id, "uid": evse_uid, "status": status, "at": at,
        "evse_id": (changes["evse_id"] or "") if "evse_id" in changes else None, "details": details, "cleared": cleared,
    }  # fmt: skip
    ((was_changed, exists, _),) = run_prepared(PATCH_EVSE, values)
    if was_changed:
        return Outcome.UPDATED
    return Outcome.STALE if exists else None


def _patch_whole_evse(party, location_id, evse_uid, patch: msgspec.Struct, changes: dict) -> Outcome | None:
    """`connectors` are whole objects and the complete list: a missing one vanishes, as in a PUT."""
    if changes.pop("connectors", None) is None:
        return _patch_evse(party, location_id, evse_uid, changes)
    with transaction.atomic():
        outcome = _patch_evse(party, location_id, evse_uid, changes)
        if outcome is Outcome.UPDATED:
            evse = locked_evse(locked(party, location_id), evse_uid)
            put_connectors([(evse, False, patch.connectors)])
    return outcome


@fitting()
def patch_location(party: Party, location_id: str, patch: objects.LocationPatch, now: datetime) -> Outcome:
    """`evses` in it are EVSEs to patch, or new ones in full; the others stay as they are (LOC-09, decision 12)."""
    changes = said(patch, id=location_id, country_code=party.country_code, party_id=party.party_id)
    evses = patch.evses if changes.pop("evses", None) else ()
    with transaction.atomic():
        place = locked(party, location_id)
        if place is not None:
            at = changes.pop("last_updated", None)
            outcome = _patch_location(place, changes, at)
            for evse in sorted(evses, key=lambda evse: evse.uid.upper()):
                _patch_or_add_evse(party, location_id, place, evse, at)
            return outcome
    raise unknown(party, now, f"location {location_id} is not known here")


def _patch_location(place: int, changes: dict, at: datetime | None) -> Outcome:
    rows = Location.objects.filter(pk=place)
    if at is not None:
        rows = rows.filter(last_updated__lte=at)
    applied = rows.update(content_hash=b"", **_columns(changes, location_columns(changes), at))
    return Outcome.UPDATED if applied else Outcome.STALE


def _patch_or_add_evse(party: Party, location_id: str, place: int, patch: msgspec.Struct, at: datetime | None) -> None:
    changes = said(patch, uid=patch.uid)
    if at is not None:
        changes.setdefault("last_updated", at)
    if _patch_whole_evse(party, location_id, patch.uid, patch, changes) is None:
        evse = _whole_evse(patch, at)
        put_evses([(place, evse)])
        touch_location(place, evse.last_updated)


def _whole_evse(patch: msgspec.Struct, at: datetime | None) -> objects.Evse:
    said = {name: getattr(patch, name) for name in patch.__struct_fields__}
    said = {name: value for name, value in said.items() if value is not msgspec.UNSET and value is not None}
    said = ({} if at is None else {"last_updated": at}) | said
    missing = [
        field.name for field in msgspec.structs.fields(objects.Evse) if field.required and field.name not in said
    ]
    if missing:
        raise InvalidObject([Problem(f"evses[{patch.uid}].{name}", "required of a new EVSE") for name in missing])
    return objects.Evse(**said)


@fitting()
def patch_connector(
    party: Party, location_id: str, evse_uid: str, connector_id: str, patch: objects.ConnectorPatch, now: datetime
) -> Outcome:
    """Its parents are as new as it is (LOC-01)."""
    changes = said(patch, id=connector_id)
    at = changes.pop("last_updated", None)
    with transaction.atomic():
        place = locked(party, location_id)
        evse = locked_evse(place, evse_uid)
        outcome = _patch_connector(evse, connector_id, changes, at)
        if outcome is Outcome.UPDATED:
            touch_evse(evse, at)
            touch_location(place, at)
    if outcome is None:
        raise unknown(party, now, f"connector {connector_id} of EVSE {evse_uid} of {location_id} is not known here")
    return outcome


def _patch_connector(evse: int | None, connector_id: str, changes: dict, at: datetime | None) -> Outcome | None:
    rows = Connector.objects.filter(evse=evse, ocpi_id__iexact=connector_id)
    guarded = rows if at is None else rows.filter(last_updated__lte=at)
    if guarded.update(**_columns(changes, connector_columns(changes), at)):
        return Outcome.UPDATED
    return Outcome.STALE if rows.exists() else None


def _columns(changes: dict, columns: dict, at: datetime | None) -> dict:
    return columns | {"details": laid_over(changes)} | ({} if at is None else {"last_updated": at})
