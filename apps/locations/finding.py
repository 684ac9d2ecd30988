"""Finding what a CPO told us of, by its own ids in any case; what we lack is missed (mod_locations, GET Method)."""

from apps.locations.models import Connector, Evse, Location
from apps.ocpi.errors import UnknownLocation
from apps.partners.models import Party


def find_location(party: Party, location_id: str) -> Location:
    return _only(Location.objects.filter(party=party, ocpi_id__iexact=location_id), f"location {location_id}")


def find_evse(party: Party, location_id: str, evse_uid: str) -> Evse:
    rows = Evse.objects.filter(location__party=party, location__ocpi_id__iexact=location_id, uid__iexact=evse_uid)
    return _only(rows, f"EVSE {evse_uid} of location {location_id}")


def find_connector(party: Party, location_id: str, evse_uid: str, connector_id: str) -> Connector:
    evse = find_evse(party, location_id, evse_uid)
    rows = Connector.objects.filter(evse=evse, ocpi_id__iexact=connector_id)
    return _only(rows, f"connector {connector_id} of EVSE {evse_uid} of {location_id}")


def _only(rows, named: str):
    found = rows.first()
    if found is None:
        raise UnknownLocation(f"{named} is not known here")
    return found
