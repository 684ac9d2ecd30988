import json

import pytest

from apps.api import ids, keys
from apps.drivers.models import Driver
from apps.locations.models import Connector, Evse, Location
from tests.admin.conftest import admin, as_role, card, company, partner
from tests.admin.furnished import NOW

__all__ = ["admin", "as_role", "card", "company", "partner"]
STOCKHOLM = {"latitude": 59.3293, "longitude": 18.0686}


class Caller:
    """Somebody with a key, or with none."""

    def __init__(self, client, secret=None):
        self.client, self.headers = client, {"Authorization": f"Bearer {secret}"} if secret else {}

    def get(self, path, **query):
        return self.client.get(f"/api/v1/{path}", query, headers=self.headers)

    def post(self, path, body=None):
        sent = body if isinstance(body, bytes) else json.dumps(body or {})
        return self.client.post(f"/api/v1/{path}", sent, content_type="application/json", headers=self.headers)

    def told(self, path, **query):
        """The JSON of an answer that is one."""
        answer = self.get(path, **query)
        assert answer.status_code == 200, answer.content
        return answer.json()


@pytest.fixture
def as_key(db, client):
    def make(scope="READ", **values):
        return Caller(client, keys.issue(f"App {keys.ApiKey.objects.count()}", scope, NOW, by="eva", **values)[1])

    return make


@pytest.fixture
def app(as_key):
    """Our own app, for reading."""
    return as_key()


@pytest.fixture
def make_place(partner):
    """A location with one EVSE with one connector, in Stockholm."""

    def make(ocpi_id="L-1", tariff_ids=(), **values):
        sent = {"body": b"{}", "version": "2.2.1", "content_hash": b"1", "last_updated": NOW, "received_at": NOW}
        told = {"name": ocpi_id, "address": "Storgatan 1", "city": "Stockholm", "country": "SWE", "publish": True}
        known = sent | told | STOCKHOLM | {"time_zone": "Europe/Stockholm"}
        location = Location.objects.create(party=partner.parties.get(), ocpi_id=ocpi_id, **known | values)
        evse = Evse.objects.create(location=location, uid="E1", status="AVAILABLE", last_updated=NOW)
        kind = {"standard": "IEC_62196_T2", "format": "CABLE", "power_type": "DC", "max_electric_power": 150000}
        Connector.objects.create(evse=evse, ocpi_id="1", tariff_ids=list(tariff_ids), last_updated=NOW, **kind)
        return location

    return make


def id_of(row):
    return ids.write(type(row), row.pk)


def driver_of(card):
    return id_of(Driver.objects.get(contracts=card.contract))
