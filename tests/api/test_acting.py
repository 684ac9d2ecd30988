"""Charging by our own API: asked of the simulated CPO over HTTP, and followed until a session shows it."""

import time

import pytest
from django.utils import timezone

from apps.api import keys
from apps.charging.dispatch import send_due
from apps.charging.models import Command
from apps.drivers.models import Account
from apps.locations.models import Evse, Location
from apps.partners.models import Partner, Party
from apps.tokens.blocking import block_token
from tests.api.conftest import Caller, driver_of, id_of
from tests.charging.conftest import contract, driver, make_location, make_token, now, party, token
from tests.charging.test_commands import asked, cpo, evse, partner

__all__ = ["contract", "cpo", "driver", "evse", "make_location", "make_token", "now", "partner", "party", "token"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def acting(client, partner):
    return Caller(client, keys.issue("App", "ACT", timezone.now(), by="eva")[1])


def followed(caller, command, *states, within=10.0):
    """Ask for the command until it is in one of these states, as an app would."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        told = caller.told(f"commands/{command['id']}")
        if told["state"] in states:
            return told
        time.sleep(0.05)
    raise AssertionError(told)


@pytest.mark.ocpi("CMD-01", "2.2.1")
@pytest.mark.ocpi("CMD-05", "2.2.1")
def test_a_driver_starts_and_stops_a_session(acting, cpo, evse, token, settings):
    answer = acting.post("sessions", {"token": id_of(token), "evse": id_of(evse), "connector": "1"})
    command = answer.json()
    assert (answer.status_code, command["kind"], command["state"], command["session"]) == (
        202, "START_SESSION", "REQUESTED", None,
    )  # fmt: skip
    assert answer["Location"] == f"{settings.PUBLIC_URL}/api/v1/commands/{command['id']}"
    again = acting.post("sessions", {"token": id_of(token), "evse": id_of(evse), "connector": "1"})
    assert again.json()["id"] == command["id"], "a second tap sends nothing"
    send_due(timezone.now())
    proven = followed(acting, command, "PROVEN")
    assert (proven["operator_answer"], proven["charge_point_answer"], proven["is_open"]) == (
        "ACCEPTED",
        "ACCEPTED",
        False,
    )
    assert Command.objects.get().requested_by == "API key App"

    session = acting.told(f"sessions/{proven['session']}")
    assert (session["status"], session["evse"], session["token"]) == ("ACTIVE", id_of(evse), id_of(token))
    stopping = acting.post(f"sessions/{session['id']}/stop")
    assert stopping.status_code == 202
    send_due(timezone.now())
    assert followed(acting, stopping.json(), "PROVEN")["session"] == session["id"]
    (listed,) = acting.told(f"drivers/{driver_of(token)}/sessions")["items"]
    assert (listed["id"], listed["status"]) == (session["id"], "COMPLETED")
    over = acting.post(f"sessions/{session['id']}/stop")
    assert (over.status_code, over.json()["title"]) == (409, "Conflict")
    assert "COMPLETED already" in over.json()["detail"]
    assert len(asked(cpo)) == 2


def test_an_evse_that_a_hub_tells_of_too_is_started_by_the_route_that_is_preferred(
    acting, cpo, evse, token, make_location
):
    hub = Partner.objects.create(name="Knutpunkt", role="HUB", state="CONNECTED", version="2.2.1")
    place = make_location("HUB-1")
    place.party = Party.objects.create(country_code="NL", party_id="KNP", partner=hub)
    place.save(update_fields=["party"])
    by_hub = Evse.objects.create(location=place, uid="X", same_as=evse, status="AVAILABLE", last_updated=timezone.now())
    command = acting.post("sessions", {"token": id_of(token), "evse": id_of(by_hub), "connector": "1"})
    assert command.status_code == 202
    asked_of = Command.objects.get()
    assert (asked_of.party, asked_of.evse_uid) == (evse.location.party, evse.uid)


def test_what_the_charge_point_refuses_is_told(acting, cpo, evse, token):
    cpo.fault("command_result", value="FAILED")
    command = acting.post("sessions", {"token": id_of(token), "evse": id_of(evse)}).json()
    send_due(timezone.now())
    told = followed(acting, command, "FAILED")
    assert (told["charge_point_answer"], told["session"], told["is_open"]) == ("FAILED", None, False)


def test_what_cannot_be_asked_is_said_at_once_and_sends_nothing(acting, cpo, evse, token, party):
    wish = {"token": id_of(token), "evse": id_of(evse)}
    missing = acting.post("sessions", {}).json()
    assert [one["field"] for one in missing["errors"]] == ["token", "evse"]
    nobodys = acting.post("sessions", wish | {"evse": "A" * 32, "connector": "9"}).json()
    assert nobodys["errors"] == [{"field": "evse", "reason": "There is no such thing."}]
    wrong = acting.post("sessions", wish | {"connector": "9"}).json()
    assert wrong["errors"] == [{"field": "connector", "reason": "This EVSE has no such connector."}]
    Evse.objects.update(details={"capabilities": ["RESERVABLE"]})
    incapable = acting.post("sessions", wish)
    assert (incapable.status_code, "says its CPO" in incapable.json()["detail"]) == (409, True)
    Evse.objects.update(details={})
    block_token(token, timezone.now())
    blocked = acting.post("sessions", wish)
    assert (blocked.status_code, blocked.json()["errors"]) == (409, [{"field": "token", "reason": "BLOCKED"}])
    assert token.uid not in blocked.content.decode()
    assert not Command.objects.exists()
    assert asked(cpo) == []


@pytest.mark.ocpi("LOC-05", "2.2.1")
def test_a_private_evse_is_started_by_those_who_may_be_shown_it(acting, evse, token):
    wish = {"token": id_of(token), "evse": id_of(evse)}
    Location.objects.update(publish=False)
    assert acting.post("sessions", wish).json()["errors"][0]["field"] == "evse"
    Location.objects.update(details={"publish_allowed_to": [{"uid": token.uid, "type": token.type}]})
    assert acting.post("sessions", wish).status_code == 202


@pytest.mark.ocpi("CMD-07", "all")
def test_a_key_acts_for_its_own_drivers_and_frees_no_cable(client, partner, evse, token):
    other = Account.objects.create(name="Other", kind="company", country="SE", currency="SEK")
    caller = Caller(client, keys.issue("Other's", "ACT", timezone.now(), by="eva", account=other)[1])
    refused = caller.post("sessions", {"token": id_of(token), "evse": id_of(evse)}).json()
    assert refused["errors"] == [{"field": "token", "reason": "There is no such thing."}]
    assert caller.post(f"sessions/{'A' * 32}/unlock").status_code == 404
    assert not Command.objects.exists()
