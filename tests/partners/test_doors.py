"""Every URL of the OCPI list, found from the list itself, against everybody who must not get in (trust S6, S15)."""

import re

import pytest
from django.utils import timezone

from apps import pace
from apps.ocpi.objects import Party
from apps.partners import credentials, handshake
from emsp.urls import ocpi_urls

pytestmark = pytest.mark.django_db(transaction=True)

VALUES = {
    "version": "2.2.1",
    "country_code": "SE",
    "party_id": "LAD",
    "public_id": "8a8f0b6e-0f5c-4a52-9d6c-2f7e9ad5b0ce",
}
REGISTRATION = ("/ocpi/versions", "/ocpi/2.2.1", "/ocpi/2.2.1/credentials")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def filled(route):
    return "/" + re.sub(r"<\w+:(\w+)>", lambda match: VALUES.get(match[1], f"any-{match[1]}"), route)


DOORS = [filled(pattern.pattern._route) for pattern in ocpi_urls]


@pytest.fixture(autouse=True)
def patience_with_strangers(monkeypatch):
    monkeypatch.setattr(pace, "STRANGERS", pace.Limit(10_000, 10_000))


FUNCTIONAL = [door for door in DOORS if door not in REGISTRATION]


def refused(caller, door):
    """By every method, in the same words."""
    answers = [caller.call(method, f"{door}?x=versions", json={}) for method in METHODS]
    assert {answer.status_code for answer in answers} == {401}, door
    assert {answer.json()["status_message"] for answer in answers} == {"No valid credentials token"}


def test_the_list_is_whole():
    assert set(REGISTRATION) <= set(DOORS)
    modules = {door.split("/")[3] for door in FUNCTIONAL}
    assert modules == {
        "locations",
        "sessions",
        "cdrs",
        "tariffs",
        "tokens",
        "commands",
        "hubclientinfo",
        "invoicereconciliation",
    }


@pytest.mark.control("S6", "S13")
@pytest.mark.parametrize("door", DOORS)
def test_strangers_and_dead_tokens_open_no_door(door, as_partner, partner, now):
    revoked = as_partner(partner)
    credentials.revoke_all(partner, now)
    for caller in (as_partner(None), as_partner("nobody-knows_this"), revoked):
        refused(caller, door)


@pytest.mark.control("S6")
@pytest.mark.parametrize("door", FUNCTIONAL)
def test_an_invitation_opens_no_functional_door(door, as_partner, invitation):
    refused(as_partner(invitation.token), door)


def test_a_token_opens_the_doors_of_all_versions(caller):
    for version in ("2.1.1", "2.2.1", "2.3.0"):
        for door in REGISTRATION:
            assert caller.call("GET", door.replace("2.2.1", version)).status_code == 200
        assert caller.call("GET", "tokens", version).status_code == 200


@pytest.mark.control("S15")
@pytest.mark.parametrize("door", [door for door in FUNCTIONAL if "/SE/LAD/" in door])
def test_what_is_of_others_is_as_if_it_were_not(door, caller, make_partner):
    """A party that another partner speaks for, and one that nobody does, get the same words."""
    make_partner("SE*OTH", name="Other")
    for method in METHODS:
        others, nobodys = (caller.call(method, door.replace("LAD", party), json={}) for party in ("OTH", "NON"))
        assert others.status_code == nobodys.status_code in (404, 405)
        assert others.json() | {"timestamp": ""} == nobodys.json() | {"timestamp": ""}


def test_every_door_has_its_slash(caller):
    for door in DOORS:
        one, other = caller.call("GET", door), caller.call("GET", f"{door}/")
        assert (one.status_code, one.is_redirect) == (other.status_code, False)


def test_a_new_invitation_of_a_connected_partner_opens_the_registration_alone(caller, partner, as_partner):
    invitation = handshake.invite("CPO", Party("SE", "LAD"), timezone.now())
    refused(as_partner(invitation.token), "/ocpi/2.2.1/tokens")
    assert caller.call("GET", "tokens").status_code == 200
    assert as_partner(invitation.token).call("GET", "/ocpi/versions").status_code == 200
