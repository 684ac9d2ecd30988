"""The only writer of locations, EVSEs and connectors (mod_locations, Receiver Interface).

The newest `last_updated` wins per row, whatever the order of arrival (TR-31). Locks are taken in the order location,
EVSE, connector, and in key order (trust R10). A location's `content_hash` is emptied whenever something below it changes
by itself: then the next PUT is written.
"""

from datetime import datetime

from django.db import connection, transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest

from apps.locations.models import Evse, Location
from apps.locations.rows import CONNECTORS, EVSES, LOCATIONS, connector_row, evse_row, location_row, newest
from apps.ocpi import objects
from apps.ocpi.errors import UnknownLocation
from apps.partners import pull
from apps.partners.mirror import Mirror, Told, columns_of
from apps.partners.models import Feed, Partner, Party
from apps.partners.taking import Incoming, Intake, Outcome, Stored, fitting

REMOVED = "REMOVED"

MIRROR = Mirror(LOCATIONS, "vanished_at", location_row, "location")


def put_locations(partner: Partner, incomings: list[Incoming], now: datetime) -> list[Stored]:
    """Store whole locations, one per key and in key order: a page of a pull, or the one of a PUT.

    An EVSE that is missing becomes REMOVED, because that is how OCPI takes an EVSE out of service, and stays readable
    (decision 20); a missing connector is deleted (LOC-03). A location older than ours changes nothing but those of its
    EVSEs that are newer than ours.
    """
    told = MIRROR.put(incomings, now)
    accepted = [one for one in told if one.was_new is not None]
    late = _newer_evses([one for one in told if one.stored.outcome is Outcome.STALE and one.stored.row])
    put_evses([*_evses_of(accepted), *late])
    _remove_missing_evses([one for one in accepted if not one.was_new])
    if late:
        Location.objects.filter(pk__in={place for place, _ in late}).update(content_hash=b"")
    return [one.stored for one in told]


def _evses_of(told: list[Told]) -> list[tuple[int, objects.Evse]]:
    return [(one.stored.row, evse) for one in told for evse in newest(one.incoming.object.evses, "uid").values()]


def _newer_evses(told: list[Told]) -> list[tuple[int, objects.Evse]]:
    """Of locations older than ours, the EVSEs that are newer than ours; not one that a newer PUT left out."""
    if not told:
        return []
    rows = Evse.objects.filter(location__in=[one.stored.row for one in told], removed_by_us=False)
    ours = {(place, uid.upper()): at for place, uid, at in rows.values_list("location_id", "uid", "last_updated")}
    found = [(place, evse, ours.get((place, evse.uid.upper()))) for place, evse in _evses_of(told)]
    return [(place, evse) for place, evse, at in found if at is not None and at < evse.last_updated]


def put_evses(evses: list[tuple[int, objects.Evse]]) -> dict[tuple[int, str], tuple[int, bool]]:
    """Write whole EVSEs of locations that are locked. An EVSE older than ours is left out with its connectors."""
    rows = EVSES.write(evse_row(place, evse) for place, evse in evses)
    written = {(place, uid.upper()): (pk, is_new) for place, uid, pk, is_new in rows}
    keyed = [((place, evse.uid.upper()), evse) for place, evse in evses]
    accepted = [(*written[key], evse) for key, evse in keyed if key in written]
    put_connectors([(pk, is_new, evse.connectors) for pk, is_new, evse in accepted])
    return written


def put_connectors(evses: list[tuple[int, bool, tuple[objects.Connector, ...]]]) -> None:
    """Write the complete lists of connectors of EVSEs; whether the EVSE is new saves the look for missing ones."""
    CONNECTORS.write(
        connector_row(evse, connector)
        for evse, _, connectors in evses
        for connector in newest(connectors, "id").values()
    )
    _delete_missing_connectors([(evse, connectors) for evse, is_new, connectors in evses if not is_new])


def _remove_missing_evses(told: list[Told]) -> None:
    if not told:
        return
    kept = [(place, evse.uid.upper()) for place, evse in _evses_of(told)]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE locations_evse e"
            " SET status = %s, removed_by_us = true, last_updated = greatest(e.last_updated, l.last_updated)"
            " FROM locations_location l WHERE l.id = e.location_id AND l.id = ANY(%s) AND e.status <> %s"
            " AND (e.location_id, upper(e.uid)) NOT IN (SELECT * FROM unnest(%s::bigint[], %s::text[]))",
            [REMOVED, [one.stored.row for one in told], REMOVED, *columns_of(kept)],
        )


def _delete_missing_connectors(evses: list[tuple[int, tuple[objects.Connector, ...]]]) -> None:
    if not evses:
        return
    kept = [(evse, connector.id.upper()) for evse, connectors in evses for connector in connectors]
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM locations_connector WHERE evse_id = ANY(%s)"
            " AND (evse_id, upper(ocpi_id)) NOT IN (SELECT * FROM unnest(%s::bigint[], %s::text[]))",
            [[pk for pk, _ in evses], *columns_of(kept)],
        )


@fitting()
def put_evse(party: Party, location_id: str, evse: objects.Evse, now: datetime) -> Stored:
    """Store a whole EVSE; one with a new uid is added to its location (LOC-02)."""
    with transaction.atomic():
        place = locked(party, location_id)
        if place is not None:
            written = put_evses([(place, evse)])
            for pk, is_new in written.values():
                touch_location(place, evse.last_updated)
                return Stored(Outcome.CREATED if is_new else Outcome.UPDATED, pk)
            return Stored(Outcome.STALE)
    raise unknown(party, now, f"location {location_id} is not known here")


@fitting()
def put_connector(party: Party, location_id: str, evse_uid: str, connector: objects.Connector, now: datetime) -> Stored:
    """Store a whole connector of an EVSE that we know; its parents are as new as it is (LOC-01)."""
    with transaction.atomic():
        place = locked(party, location_id)
        evse = locked_evse(place, evse_uid)
        if evse is not None:
            for *_, is_new in CONNECTORS.write([connector_row(evse, connector)]):
                touch_evse(evse, connector.last_updated)
                touch_location(place, connector.last_updated)
                return Stored(Outcome.CREATED if is_new else Outcome.UPDATED)
            return Stored(Outcome.STALE)
    raise unknown(party, now, f"EVSE {evse_uid} of location {location_id} is not known here")


def locked(party: Party, location_id: str) -> int | None:
    rows = Location.objects.filter(party=party, ocpi_id__iexact=location_id).select_for_update(no_key=True)
    return rows.values_list("pk", flat=True).first()


def locked_evse(place: int | None, evse_uid: str) -> int | None:
    if place is None:
        return None
    rows = Evse.objects.filter(location=place, uid__iexact=evse_uid).select_for_update(no_key=True)
    return rows.values_list("pk", flat=True).first()


def touch_location(place: int, at: datetime | None) -> None:
    """Something below the location is this new now, so it is itself (LOC-01); its content is not that of a PUT."""
    Location.objects.filter(pk=place).update(last_updated=_not_before(at), content_hash=b"")


def touch_evse(evse: int, at: datetime | None) -> None:
    Evse.objects.filter(pk=evse).update(last_updated=_not_before(at))


def _not_before(at: datetime | None):
    return F("last_updated") if at is None else Greatest(F("last_updated"), Value(at))


def unknown(party: Party, now: datetime, message: str) -> UnknownLocation:
    """What to raise for an object we lack: it has been missed, so the locations of its CPO are pulled (decision 2)."""
    pull.missed(party, Feed.Module.LOCATIONS, now)
    return UnknownLocation(message)


INTAKE = Intake("locations", "location", put_locations, kept=MIRROR.kept)
