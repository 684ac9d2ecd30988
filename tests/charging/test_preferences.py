"""What a driver wants of a session that runs, put to the simulated CPO over HTTP (mod_sessions, Charging Preferences)."""

import json
from datetime import timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import IntegrityError
from django.utils import timezone

from apps.api import keys
from apps.charging import commands
from apps.charging.commands import CannotCommand
from apps.charging.dispatch import send_due
from apps.charging.models import Command, Session
from apps.ocpi.objects import ChargingPreferences
from apps.partners.models import Endpoint
from apps.simulator import records
from tests.api.conftest import Caller, id_of

from .conftest import session_body
from .test_commands import LATER, cpo, evse, partner, register

__all__ = ["cpo", "evse", "partner"]
pytestmark = pytest.mark.django_db(transaction=True)

HOUR = timedelta(hours=1)
KEY = "S 1?+"
CAPABLE = ["REMOTE_START_STOP_CAPABLE", "CHARGING_PREFERENCES_CAPABLE"]
REFUSALS = {
    "DEPARTURE_REQUIRED": {"profile_type": "GREEN"},
    "ENERGY_NEED_REQUIRED": {"profile_type": "CHEAP", "departure_time": timezone.now() + HOUR},
    "NOT_POSSIBLE": {"profile_type": "FAST", "discharge_allowed": True},
    "PROFILE_TYPE_NOT_SUPPORTED": {"profile_type": "LEISURELY"},
}


@pytest.fixture
def session(cpo, partner, evse, token, send_session):
    """One that runs at an EVSE of both, which takes preferences."""
    place = next(cpo.world.places())
    for connector in place.evse["connectors"]:
        connector["power_type"] = "AC_3_PHASE"
    evse.details = {"capabilities": CAPABLE}
    evse.save()
    holder = {"uid": token.uid, "type": token.type, "contract_id": token.contract.contract_id}
    told = records.session(KEY, place, holder | {"country_code": "SE", "party_id": "EMP"}, timezone.now(), None)
    cpo.interfaces.put("sessions", told)
    here = {"location_id": evse.location.ocpi_id, "evse_uid": evse.uid}
    send_session(session_body(id=KEY, **here))
    return Session.objects.get()


def wish(session, now=None, **wanted):
    return commands.request_preferences(session, ChargingPreferences(**wanted), now or timezone.now(), by="eva")


def sent(command):
    send_due(timezone.now())
    command.refresh_from_db()
    return command


def asked(cpo):
    return [request for request in cpo.requests.copy() if request.path.endswith("/charging_preferences")]


def serve(partner, cpo, version):
    register(partner, cpo, version)
    url = f"{cpo.url}/ocpi/{version}/sessions"
    Endpoint.objects.update_or_create(partner=partner, identifier="sessions", role="SENDER", defaults={"url": url})


@pytest.mark.ocpi("SES-08", "all")
@pytest.mark.parametrize("version", LATER)
def test_preferences_are_put_and_their_answer_is_kept(version, cpo, partner, session):
    """And PUT again where the driver changes his mind."""
    serve(partner, cpo, version)
    leaves = timezone.now().replace(microsecond=0) + 5 * HOUR
    green = {"profile_type": "GREEN", "departure_time": leaves, "energy_need": Decimal("17.5")}
    command = sent(wish(session, **green))
    (request,) = asked(cpo)
    assert (request.method, request.path) == ("PUT", f"/ocpi/{version}/sessions/{KEY}/charging_preferences")
    assert request.target.split("/")[-2] == "S%201%3F%2B"
    assert json.loads(request.body, parse_float=Decimal) == {
        "profile_type": "GREEN", "departure_time": f"{leaves:%Y-%m-%dT%H:%M:%SZ}", "energy_need": Decimal("17.5"),
    }  # fmt: skip
    assert (request.headers["OCPI-to-country-code"], request.headers["OCPI-to-party-id"]) == ("SE", "LAD")
    assert (command.state, command.response, command.last_error, command.requested_by) == (
        "DONE",
        "ACCEPTED",
        "",
        "eva",
    )
    for said, wanted in REFUSALS.items():
        refused = sent(wish(session, **wanted))
        assert (refused.state, refused.response, refused.due_at) == ("REFUSED", said, None), said
    assert sent(wish(session, profile_type="FAST")).state == "DONE"
    assert len(asked(cpo)) == 6


@pytest.mark.ocpi("SES-08")
def test_an_evse_that_takes_none_is_not_asked_and_one_that_its_cpo_knows_better_says_so(cpo, partner, session, evse):
    serve(partner, cpo, "2.2.1")
    evse.details = {"capabilities": ["REMOTE_START_STOP_CAPABLE"]}
    evse.save()
    with pytest.raises(CannotCommand, match="is not CHARGING_PREFERENCES_CAPABLE, says its CPO"):
        wish(session, profile_type="FAST")
    evse.delete()
    next(cpo.world.places()).evse["capabilities"] = []
    refused = sent(wish(session, profile_type="FAST"))
    assert (refused.state, refused.response) == ("REFUSED", "")
    assert refused.last_error == "HTTP 404, OCPI 2001: this EVSE takes no charging preferences"


def test_one_wish_is_on_its_way_at_a_time(cpo, partner, session):
    serve(partner, cpo, "2.2.1")
    first = wish(session, profile_type="FAST")
    assert wish(session, profile_type="FAST") == first, "a second tap sends nothing"
    with pytest.raises(CannotCommand, match="other preferences are on their way"):
        wish(session, profile_type="REGULAR")
    assert sent(first).state == "DONE"
    assert wish(session, profile_type="REGULAR") != first


def test_a_wish_that_makes_no_sense_is_refused_with_the_reason(cpo, partner, session, send_session):
    serve(partner, cpo, "2.2.1")
    now = timezone.now()
    with pytest.raises(CannotCommand, match="the departure is in the future"):
        wish(session, now, profile_type="FAST", departure_time=now)
    with pytest.raises(CannotCommand, match="more than nothing"):
        wish(session, now, profile_type="FAST", energy_need=Decimal(0))
    register(partner, cpo, "2.1.1")
    session.party.refresh_from_db()
    with pytest.raises(CannotCommand, match=r"OCPI 2\.1\.1, which Laddnät speaks, has no SET_PREFERENCES"):
        wish(session, now, profile_type="FAST")
    send_session(session_body(id=KEY, status="COMPLETED", last_updated="2026-10-19T09:00:00Z"))
    session.refresh_from_db()
    with pytest.raises(CannotCommand, match="COMPLETED already"):
        wish(session, now, profile_type="FAST")
    assert asked(cpo) == []


@pytest.mark.parametrize(
    ("fault", "state", "error"),
    [
        ({"name": "status", "value": 500}, "SENT", "HTTP 500"),
        ({"name": "lost_reply"}, "SENT", "no answer"),
        ({"name": "preferences_response", "value": {"result": "ACCEPTED"}}, "SENT", "expected a word"),
        ({"name": "preferences_response", "value": "A" * 300}, "SENT", "cannot be stored"),
        ({"name": "preferences_response", "value": "GLADLY"}, "REFUSED", ""),
    ],
)
def test_what_is_no_clear_answer_is_none(fault, state, error, cpo, partner, session):
    serve(partner, cpo, "2.2.1")
    cpo.fault(module="sessions", method="PUT", **fault)
    command = sent(wish(session, profile_type="FAST"))
    assert (command.state, error in command.last_error, command.response in ("", "GLADLY")) == (state, True, True)
    assert send_due(timezone.now() + HOUR) == 0, "and nobody asks twice by himself"
    if state == "SENT":
        assert commands.give_up(command.due_at) == 1


def test_by_the_command_line_and_by_our_api_it_is_the_same_wish(cpo, partner, session, client):
    serve(partner, cpo, "2.2.1")
    leaves = f"{timezone.now() + HOUR:%Y-%m-%dT%H:%M:%SZ}"
    said = StringIO()
    how = ["--profile", "CHEAP", "--departure", leaves, "--energy", "20"]
    call_command("session", "preferences", "SE*LAD", KEY.lower(), *how, "--json", stdout=said)
    told = json.loads(said.getvalue())
    assert (told["kind"], told["state"], told["response"], told["session"]) == (
        "SET_PREFERENCES",
        "DONE",
        "ACCEPTED",
        KEY,
    )
    with pytest.raises(CommandError, match="DEPARTURE_REQUIRED"):
        call_command("session", "preferences", "SE*LAD", KEY, "--profile", "GREEN", stdout=StringIO())

    app = Caller(client, keys.issue("App", "ACT", timezone.now(), by="eva")[1])
    where = f"sessions/{id_of(session)}/preferences"
    wrong = app.post(where, {"profile": "SLOW", "energy_kwh": "much", "departure_at": "soon"}).json()
    assert [one["field"] for one in wrong["errors"]] == ["profile", "departure_at", "energy_kwh"]
    answer = app.post(where, {"profile": "CHEAP", "energy_kwh": "20", "departure_at": leaves, "may_discharge": False})
    assert (answer.status_code, answer.json()["state"]) == (202, "REQUESTED")
    assert answer["Location"] == f"{settings.PUBLIC_URL}/api/v1/commands/{answer.json()['id']}"
    send_due(timezone.now())
    told = app.told(f"commands/{answer.json()['id']}")
    assert (told["state"], told["operator_answer"], told["session"]) == ("DONE", "ACCEPTED", id_of(session))
    by_hand, by_app = (json.loads(request.body) for request in (asked(cpo)[0], asked(cpo)[-1]))
    assert by_hand == by_app
    reading = Caller(client, keys.issue("Web", "READ", timezone.now(), by="eva")[1])
    assert reading.post(where, {"profile": "FAST"}).status_code == 403


def test_the_database_holds_whose_preferences_they_are(cpo, partner, session):
    serve(partner, cpo, "2.2.1")
    command = wish(session, profile_type="FAST")
    for values in ({"preferences": None}, {"session": None}, {"kind": "STOP_SESSION"}):
        with pytest.raises(IntegrityError, match="command_preferences_are_of_a_session"):
            Command.objects.filter(pk=command.pk).update(**values)
