"""Locations, EVSEs and connectors, as CPOs tell us of them (mod_locations, Receiver Interface)."""

from zlib import crc32

from rest_framework.response import Response

from apps.ocpi import objects
from apps.ocpi.errors import InvalidObject, Problem
from apps.partners.receiver import OwnedView, status_of
from apps.partners.taking import Outcome, take

from . import patches, store
from .finding import find_connector, find_evse, find_location
from .rows import canonical_connector, canonical_evse, canonical_location

SAMPLED = 50
"""Of so many statuses one is written down; of those that are refused, each."""


class LocationView(OwnedView):
    module = "locations"

    @property
    def owner(self) -> objects.Party:
        return objects.Party(self.party.country_code, self.party.party_id)

    def told(self, outcome: Outcome):
        return Response(status=status_of(outcome))

    def same(self, name: str, said: str, of_url: str) -> None:
        """The object is the one that the URL names (TR-27)."""
        if said.upper() != of_url.upper():
            raise InvalidObject([Problem(name, f"{said} is not the one of the URL")])


class Locations(LocationView):
    is_of_whole_objects = True

    def get(self, request, version, location_id, **owner):
        return Response(version.write("location", canonical_location(find_location(self.party, location_id))))

    def put(self, request, version, location_id, **owner):
        context = {"method": "PUT", "id": location_id}
        (taken,) = take(store.INTAKE, self.partner, version, [self.body], self.now, owner=self.party, context=context)
        return self.told(taken.require().outcome)

    def patch(self, request, version, location_id, **owner):
        patch = version.read_location_patch(self.body, self.owner, undated=self.partner.undated_patches).object
        return self.told(patches.patch_location(self.party, location_id, patch, self.now))


class Evses(LocationView):
    @property
    def log(self) -> bool:
        """Statuses are the bulk of all messages: the row is the record (decision 25), and a sample shows how they come."""
        return self.http_request.method != "PATCH" or not crc32(self.request_id.encode()) % SAMPLED

    def get(self, request, version, location_id, evse_uid, **owner):
        return Response(version.write("evse", canonical_evse(find_evse(self.party, location_id, evse_uid))))

    def put(self, request, version, location_id, evse_uid, **owner):
        evse = version.read_evse(self.body, self.owner).object
        self.same("uid", evse.uid, evse_uid)
        return self.told(store.put_evse(self.party, location_id, evse, self.now).outcome)

    def patch(self, request, version, location_id, evse_uid, **owner):
        patch = version.read_evse_patch(self.body, self.owner, undated=self.partner.undated_patches).object
        return self.told(patches.patch_evse(self.party, location_id, evse_uid, patch, self.now))


class Connectors(LocationView):
    def get(self, request, version, location_id, evse_uid, connector_id, **owner):
        found = find_connector(self.party, location_id, evse_uid, connector_id)
        return Response(version.write("connector", canonical_connector(found)))

    def put(self, request, version, location_id, evse_uid, connector_id, **owner):
        connector = version.read_connector(self.body, self.owner).object
        self.same("id", connector.id, connector_id)
        return self.told(store.put_connector(self.party, location_id, evse_uid, connector, self.now).outcome)

    def patch(self, request, version, location_id, evse_uid, connector_id, **owner):
        patch = version.read_connector_patch(self.body, self.owner, undated=self.partner.undated_patches).object
        return self.told(patches.patch_connector(self.party, location_id, evse_uid, connector_id, patch, self.now))
