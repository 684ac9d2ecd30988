"""Every URL by every method in every version: another's and nobody's get the same words (trust S15)."""

import re
import uuid

import pytest

from apps.api import ids, keys
from apps.charging.models import Command
from apps.ocpi.versions import VERSIONS
from emsp.urls import api_urls, ocpi_urls
from tests.admin.furnished import NOW, furnish, make_card
from tests.api.conftest import Caller
from tests.charging.conftest import CDR
from tests.ocpi.bodies import as_bytes, sent

pytestmark = [pytest.mark.control("S15"), pytest.mark.django_db(transaction=True)]

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
BODIES = {"locations": "location", "sessions": "session", "tariffs": "tariff", "cdrs": "cdr"}
ROUTES = [
    route
    for route in (pattern.pattern._route for pattern in ocpi_urls)
    if re.search("party_id|public_id", route) and route.split("/")[2] in BODIES  # the party of a card is ours
]


def url(route, version, **values):
    return "/" + re.sub(r"<\w+:(\w+)>", lambda match: values.get(match[1], version), route)


@pytest.fixture
def two(make_partner, as_partner):
    """The owner with one object of every kind, and another partner."""
    return as_partner(make_partner("SE*OWN", name="Owner")), as_partner(make_partner("SE*OTH", name="Other"))


@pytest.fixture
def objects(two):
    """The values of URLs that the owner's objects have."""
    owner, _ = two
    told = {"country_code": "SE", "party_id": "OWN", "id": "X1"}
    location = sent("2.2.1", "location") | told
    for module, body in (("locations", location), ("sessions", sent("2.2.1", "session") | told),
                         ("tariffs", sent("2.2.1", "tariff") | told)):  # fmt: skip
        answer = owner.call("PUT", f"{module}/SE/OWN/X1", content=as_bytes(body))
        assert answer.json()["status_code"] == 1000, answer.text
    cdr = owner.call("POST", "cdrs", json=CDR | {"party_id": "OWN"})
    evse = location["evses"][0]
    ids = dict.fromkeys(["location_id", "session_id", "tariff_id"], "X1")
    ids |= {"evse_uid": evse["uid"], "connector_id": evse["connectors"][0]["id"]}
    return ids | {"country_code": "SE", "public_id": cdr.headers["Location"][-36:]}


def words(caller, method, address, nobody, body):
    """What is said of an address, without the ids and times in it."""
    answer = caller.call(
        method, address, **({} if method in ("GET", "DELETE", "HEAD", "OPTIONS") else {"content": body})
    )
    text = re.sub(r'"timestamp":"[^"]*"', "", answer.text)
    headers = {
        name: value
        for name, value in answer.headers.items()
        if name not in ("date", "x-request-id", "x-correlation-id")
    }
    return answer.status_code, text.replace(nobody, "X"), headers


@pytest.mark.parametrize("version", VERSIONS)
def test_anothers_is_like_nobodys(version, two, objects):
    owner, other = two
    seen = 0
    for route in ROUTES:
        kind = BODIES[route.split("/")[2]]
        theirs = url(route, version, **objects, party_id="OWN")
        nobodys = url(route, version, **objects | {"public_id": str(uuid.uuid4())}, party_id="NON")
        assert owner.call("GET", theirs).json()["status_code"] == 1000, theirs
        for method in METHODS:
            body = as_bytes(sent(version, kind) | {"country_code": "SE", "party_id": "OWN", "id": "X1"})
            found = [
                words(other, method, address, party, body) for address, party in ((theirs, "OWN"), (nobodys, "NON"))
            ]
            assert found[0] == found[1], (method, theirs)
            assert found[0][0] in (404, 405), (method, theirs)
            seen += 1
    assert seen == len(ROUTES) * len(METHODS) >= 6 * 7


@pytest.mark.parametrize("version", ["2.2.1", "2.3.0"])
def test_what_another_hub_told_is_like_what_nobody_told(version, make_partner, as_partner):
    """Every hub has its own word on a party, and sees no other's."""
    owner, other = (as_partner(make_partner(name=name, role="HUB")) for name in ("Hub", "Another"))
    said = {"country_code": "SE", "party_id": "OWN", "role": "CPO", "status": "CONNECTED"}
    path = "hubclientinfo/SE/OWN"
    put = owner.call("PUT", path, version, json=said | {"last_updated": "2026-03-10T12:00:00Z"})
    assert put.json()["status_code"] == 1000
    for method in METHODS:
        if method != "PUT":
            theirs, nobodys = (
                words(other, method, f"/ocpi/{version}/hubclientinfo/SE/{party}", party, b"{}")
                for party in ("OWN", "NON")
            )
            assert theirs == nobodys, method
    assert owner.call("GET", path, version).json()["data"]["party_id"] == "OWN"


def test_what_another_sent_changed_nothing(two, objects):
    owner, other = two
    before = [
        owner.call("GET", f"{module}/SE/OWN/X1").json()["data"] for module in ("locations", "sessions", "tariffs")
    ]
    for module in ("locations", "sessions", "tariffs"):
        for method in ("PUT", "PATCH", "DELETE"):
            other.call(method, f"{module}/SE/OWN/X1", **({} if method == "DELETE" else {"content": b"{}"}))
    assert [
        owner.call("GET", f"{module}/SE/OWN/X1").json()["data"] for module in ("locations", "sessions", "tariffs")
    ] == before


# Our own API: keys of single accounts

OF_ACCOUNTS = [
    pattern.pattern._route for pattern in api_urls if re.search("<(?!str:location_id)", pattern.pattern._route)
]
NOBODYS = {"contract_id": "SE-EMP-C99999999-X"}


@pytest.fixture
def accounts(client, db):
    """Keys of an account that has something of each kind, and of one that has nothing; the ids of what it has."""
    partner = furnish(1)
    session = partner.parties.get().sessions.get()
    stop = {"kind": "STOP_SESSION", "session": session, "requested_at": NOW, "due_at": NOW, "reply_key": "stop"}
    command = Command.objects.create(party=session.party, partner=partner, **stop)
    contract = session.token.contract
    account, other = contract.driver.account, make_card(77).contract.driver.account
    rows = {
        "driver_id": contract.driver,
        "session_id": session,
        "command_id": command,
        "invoice_id": account.invoices.get(),
    }
    known = {name: ids.write(type(row), row.pk) for name, row in rows.items()} | {"contract_id": contract.contract_id}
    unknown = {name: ids.write(type(row), 10**9) for name, row in rows.items()} | NOBODYS
    callers = [Caller(client, keys.issue(f"{one}", "ACT", NOW, by="eva", account=one)[1]) for one in (account, other)]
    return callers, known, unknown


def test_anothers_is_like_nobodys_to_a_key(accounts):
    (owner, other), known, unknown = accounts
    for route in OF_ACCOUNTS:
        path, nobodys = (url(route, "", **values).removeprefix("/api/v1/") for values in (known, unknown))
        is_read = not route.endswith(("stop", "preferences"))
        assert not is_read or owner.get(path).status_code == 200, path
        for method in ("get", "post"):
            found, missing = (getattr(other, method)(address) for address in (path, nobodys))
            assert (found.status_code, found.content) == (missing.status_code, missing.content), (method, path)
            assert found.status_code == (404 if is_read == (method == "get") else 405), (method, path)
    assert len(OF_ACCOUNTS) >= 7
    assert not Command.objects.exclude(reply_key="stop").filter(kind__in=["STOP_SESSION", "SET_PREFERENCES"]).exists()
