import copy
import json
from datetime import UTC, datetime
from itertools import count

import pytest

from apps.charging import intake, store
from apps.charging.models import Cdr
from apps.drivers.models import Account, Contract, Driver
from apps.locations.models import Location
from apps.ocpi.versions import VERSIONS
from apps.partners.models import Partner, Party
from apps.partners.taking import take
from apps.tokens.models import Token

NOW = datetime(2026, 10, 20, 12, 0, tzinfo=UTC)
V221 = VERSIONS["2.2.1"]

CDR = {
    "country_code": "SE",
    "party_id": "LAD",
    "id": "CDR-1",
    "start_date_time": "2026-10-19T08:00:00Z",
    "end_date_time": "2026-10-19T09:30:00Z",
    "session_id": "S-1",
    "cdr_token": {
        "country_code": "SE",
        "party_id": "EMP",
        "uid": "04AB",
        "type": "RFID",
        "contract_id": "SE-EMP-C00000001",
    },
    "auth_method": "WHITELIST",
    "cdr_location": {
        "id": "LOC-1",
        "name": "Hötorget",
        "address": "Sveavägen 1",
        "city": "Stockholm",
        "postal_code": "11157",
        "country": "SWE",
        "coordinates": {"latitude": "59.334591", "longitude": "18.063240"},
        "evse_uid": "EVSE-1",
        "evse_id": "SE*LAD*E1*1",
        "connector_id": "1",
        "connector_standard": "IEC_62196_T2",
        "connector_format": "SOCKET",
        "connector_power_type": "AC_3_PHASE",
    },
    "currency": "SEK",
    "charging_periods": [
        {
            "start_date_time": "2026-10-19T08:00:00Z",
            "dimensions": [{"type": "ENERGY", "volume": 15.342}, {"type": "TIME", "volume": 1.5}],
        }
    ],
    "total_cost": {"excl_vat": 40.00, "incl_vat": 50.00},
    "total_energy": 15.342,
    "total_energy_cost": {"excl_vat": 40.00, "incl_vat": 50.00},
    "total_time": 1.5,
    "last_updated": "2026-10-19T09:31:00Z",
}

SESSION = {
    "country_code": "SE",
    "party_id": "LAD",
    "id": "S-1",
    "start_date_time": "2026-10-19T08:00:00Z",
    "kwh": 0,
    "cdr_token": CDR["cdr_token"],
    "auth_method": "WHITELIST",
    "location_id": "LOC-1",
    "evse_uid": "EVSE-1",
    "connector_id": "1",
    "currency": "SEK",
    "status": "ACTIVE",
    "last_updated": "2026-10-19T08:00:00Z",
}


def bent(whole: dict, changes: dict) -> dict:
    """A copy in which `a__b` is what `changes` says; None takes it out."""
    bent = copy.deepcopy(whole)
    for path, value in changes.items():
        *parents, name = path.split("__")
        place = bent
        for parent in parents:
            place = place[parent]
        if value is None:
            place.pop(name, None)
        else:
            place[name] = value
    return bent


def cdr_body(**changes) -> bytes:
    return json.dumps(bent(CDR, changes)).encode()


def session_body(**changes) -> bytes:
    return json.dumps(bent(SESSION, changes)).encode()


def credit_body(of="CDR-1", **changes) -> bytes:
    credited = {"id": f"{of}-C", "credit": True, "credit_reference_id": of}
    return cdr_body(**{**credited, "total_cost": {"excl_vat": -40.00, "incl_vat": -50.00}, **changes})


@pytest.fixture
def now():
    return NOW


@pytest.fixture
def partner(db):
    partner = Partner.objects.create(name="Laddnät", state="CONNECTED", version="2.2.1", connected_at=NOW)
    Party.objects.create(country_code="SE", party_id="LAD", partner=partner)
    return partner


@pytest.fixture
def party(partner):
    return partner.parties.get()


@pytest.fixture
def driver(db):
    account = Account.objects.create(name="Fleet", kind="company", country="SE", currency="SEK")
    return Driver.objects.create(account=account, name="Anna")


@pytest.fixture
def contract(driver):
    return Contract.objects.create(driver=driver, contract_id="SE-EMP-C00000001")


@pytest.fixture
def make_token(driver):
    numbers = count(100)

    def make(uid="04AB", contract=None, **values):
        if contract is None:
            contract = Contract.objects.create(driver=driver, contract_id=f"SE-EMP-C{next(numbers):08}")
        return Token.objects.create(contract=contract, uid=uid, **({"issuer": "Us", "last_updated": NOW} | values))

    return make


@pytest.fixture
def token(make_token, contract):
    return make_token("04AB", contract)


@pytest.fixture
def send(partner, now):
    """CDRs by the way in that all of them take; what became of each."""

    def send(*bodies, version=V221, partner=partner, at=now):
        return take(intake.INTAKE, partner, version, bodies, at)

    return send


@pytest.fixture
def send_cdr(send):
    """One CDR, which must be new; its row."""

    def send_cdr(body=None, **changes):
        (taken,) = send(body or cdr_body(**changes))
        assert taken.outcome == "created", taken
        return Cdr.objects.get(public_id=taken.row)

    return send_cdr


@pytest.fixture
def send_session(partner, now):
    def send_session(*bodies, version=V221):
        return take(store.INTAKE, partner, version, bodies, now)

    return send_session


@pytest.fixture
def make_location(party):
    def make(ocpi_id, **values):
        bare = {"last_updated": NOW, "received_at": NOW, "content_hash": b"", "body": b"", "version": "2.2.1"}
        return Location.objects.create(party=party, ocpi_id=ocpi_id, **bare | values)

    return make
