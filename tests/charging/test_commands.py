"""What is asked of charge points, against the simulated CPO over HTTP."""

import json
import threading
import time
from datetime import timedelta
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connections, transaction
from django.utils import timezone

from apps.charging import commands, store
from apps.charging.commands import CannotCommand
from apps.charging.dispatch import send_due
from apps.charging.models import Cdr, Command, Session
from apps.locations.models import Connector, Evse
from apps.ocpi import objects
from apps.ocpi.errors import InvalidObject
from apps.ocpi.versions import VERSIONS
from apps.partners import credentials
from apps.partners.models import Client, CredentialsToken, Endpoint, Party
from apps.partners.taking import take
from apps.sealing import seal
from apps.simulator.server import Simulator
from apps.tokens.blocking import block_token
from apps.tokens.models import Authorization

from .conftest import session_body
from .test_receiver import caller, code  # noqa: F401 (a fixture)

pytestmark = pytest.mark.django_db(transaction=True)
OURS = "we-are-the-emsp_0123456789"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def cpo(tmp_path):
    with Simulator(tmp_path) as simulator:
        simulator.memory.put(tokens_of_emsp=[OURS])
        simulator.commands.pause_s = 0.05
        yield simulator


@pytest.fixture
def partner(partner, cpo, settings, live_server):
    """Laddnät, as the simulated CPO: it has our token, and the URLs of this test's server."""
    settings.OCPI_PRIVATE_HOSTS, settings.PUBLIC_URL = ["127.0.0.1"], live_server.url
    partner.is_private, partner.outbound_token = True, seal(OURS, f"partner {partner.pk} outbound_token")
    partner.save()
    register(partner, cpo, "2.2.1")
    token = credentials.issue(partner, CredentialsToken.Kind.CREDENTIALS, timezone.now())
    modules = ("sessions", "cdrs", "locations", "tariffs")
    urls = [
        {"identifier": module, "role": "RECEIVER", "url": f"{live_server.url}/ocpi/2.2.1/{module}"}
        for module in modules
    ]
    roles = [{"role": "EMSP", "country_code": "SE", "party_id": "EMP"}]
    cpo.memory.put(token_for_us=token, emsp_endpoints=urls, emsp_roles=roles)
    return partner


def register(partner, cpo, version):
    partner.version = version
    partner.save()
    cpo.speak(version)
    urls = [
        entry | {"url": f"{settings.PUBLIC_URL}/ocpi/{version}/{entry['identifier']}"} for entry in cpo.emsp.endpoints
    ]
    cpo.memory.put(version=version, emsp_endpoints=urls)
    url = f"{cpo.url}/ocpi/{version}/commands"
    Endpoint.objects.update_or_create(partner=partner, identifier="commands", role="RECEIVER", defaults={"url": url})


@pytest.fixture
def evse(make_location, cpo):
    """The first EVSE of the simulated CPO, as we know it."""
    theirs = next(cpo.world.places())
    location = make_location(theirs.location["id"])
    able = {"capabilities": ["REMOTE_START_STOP_CAPABLE", "UNLOCK_CAPABLE", "RESERVABLE"]}
    now = timezone.now()
    evse = Evse.objects.create(
        location=location, uid=theirs.evse["uid"], status="AVAILABLE", details=able, last_updated=now
    )
    kind = {"standard": "IEC_62196_T2", "format": "SOCKET", "power_type": "AC_3_PHASE"}
    Connector.objects.create(evse=evse, ocpi_id="1", last_updated=now, **kind)
    return evse


@pytest.fixture
def start(evse, token):
    return lambda now=None, **how: commands.request_start(evse, token, now or timezone.now(), **how)


@pytest.fixture
def sent(start):
    """A start that the CPO was told of, and nobody answers."""

    def sent(cpo, **fault):
        cpo.fault("command_result", value=None)
        command = start()
        send_due(timezone.now())
        command.refresh_from_db()
        return command

    return sent


def asked(cpo):
    return [request for request in cpo.requests.copy() if "/commands/" in request.path]


def until(command, *states, within=10.0):
    """Wait for a state, as a person at the page would."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        command.refresh_from_db()
        if command.state in states:
            return command
        time.sleep(0.05)
    raise AssertionError(f"{command.state} {command.last_error}, not {states}")


def together(*works):
    """All at once, each with its own connection; what each of them raised."""
    ready, raised = threading.Barrier(len(works)), []

    def run(work):
        try:
            ready.wait(timeout=30)
            work()
        except Exception as error:
            raised.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return raised


def result_url(command, kind=None, version="2.2.1"):
    return f"/ocpi/{version}/commands/{kind or command.kind}/{command.reply_key}"


# From the wish to the CDR


@pytest.mark.ocpi("CMD-01", "all")
@pytest.mark.parametrize("version", list(VERSIONS))
def test_a_session_is_started_stopped_and_billed_from_afar(version, cpo, partner, evse, token, start):
    register(partner, cpo, version)
    command = start(by="eva")
    send_due(timezone.now())
    until(command, "PROVEN")
    holder = json.loads(asked(cpo)[0].body)["token"]
    assert (holder["uid"], holder["valid"]) == (token.uid, True)
    session = command.session
    assert (command.response, command.result, command.requested_by) == ("ACCEPTED", "ACCEPTED", "eva")
    is_oldest = version == "2.1.1"
    assert (session.token, session.evse_uid, session.status) == (token, evse.uid, "ACTIVE")
    assert session.authorization_reference == ("" if is_oldest else command.authorization_reference)
    assert str(Authorization.objects.get().reference) == command.authorization_reference

    stop = commands.request_stop(session, timezone.now())
    send_due(timezone.now())
    until(stop, "PROVEN")
    session.refresh_from_db()
    assert (session.status, stop.session, stop.result) == ("COMPLETED", session, "ACCEPTED")
    deadline = time.monotonic() + 10
    while not Cdr.objects.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    cdr = Cdr.objects.get()
    assert cdr.contract == token.contract
    assert is_oldest or (cdr.token, cdr.session_id, cdr.auth_method) == (token, session.ocpi_id, "COMMAND")
    assert cpo.errors == []


def test_a_card_is_told_whole_and_with_our_authorisation(cpo, partner, start):
    command = start()
    send_due(timezone.now())
    (request,) = asked(cpo)
    told = json.loads(request.body)
    assert request.path == "/ocpi/2.2.1/commands/START_SESSION"
    assert (told["token"]["uid"], told["token"]["contract_id"], told["token"]["valid"]) == (
        "04AB", "SE-EMP-C00000001", True,
    )  # fmt: skip
    assert told["authorization_reference"] == command.authorization_reference
    assert told["response_url"].endswith(result_url(command))
    assert (request.headers["OCPI-to-country-code"], request.headers["OCPI-to-party-id"]) == ("SE", "LAD")
    until(command, "DONE", "PROVEN")


@pytest.mark.ocpi("CMD-07", "all")
@pytest.mark.parametrize("version", list(VERSIONS))
def test_a_connector_is_unlocked(version, cpo, partner, evse):
    """By staff; nothing that drivers call leads here."""
    register(partner, cpo, version)
    command = commands.request_unlock(evse.connectors.get(), timezone.now())
    send_due(timezone.now())
    until(command, "DONE")
    (request,) = asked(cpo)
    assert {"location_id", "evse_uid", "connector_id", "response_url"} == set(json.loads(request.body))


def test_a_reservation_is_made_and_cancelled(cpo, partner, evse, token):
    now = timezone.now()
    reservation = commands.request_reservation(evse, token, now + 30 * MINUTE, now)
    send_due(now)
    until(reservation, "DONE")
    assert reservation.answerable_until == reservation.reserved_until + timedelta(hours=1)
    cancellation = commands.request_cancellation(reservation, timezone.now())
    send_due(timezone.now())
    until(cancellation, "DONE")
    reservation.refresh_from_db()
    assert reservation.state == "CANCELED"
    told = [json.loads(request.body)["reservation_id"] for request in asked(cpo)]
    assert told == [str(reservation.pk)] * 2
    with pytest.raises(CannotCommand, match="nothing to cancel"):
        commands.request_cancellation(reservation, timezone.now())


@pytest.mark.ocpi("CMD-04", "all")
@pytest.mark.parametrize("version", list(VERSIONS))
def test_in_three_versions_it_is_the_same_row(version, cpo, partner, evse, token):
    register(partner, cpo, version)
    cpo.fault("command_result", value="FAILED")
    now = timezone.now()
    command = commands.request_reservation(evse, token, now + 30 * MINUTE, now)
    send_due(now)
    until(command, "FAILED")
    assert (command.response, command.result, command.attempts, command.last_error) == ("ACCEPTED", "FAILED", 1, "")
    (request,) = asked(cpo)
    told = json.loads(request.body)
    is_oldest = version == "2.1.1"
    assert ("authorization_reference" in told, "auth_id" in told["token"]) == (not is_oldest, is_oldest)
    assert told["reservation_id"] == (command.pk if is_oldest else str(command.pk))
    assert f"/ocpi/{version}/commands/RESERVE_NOW/" in told["response_url"]


def test_the_oldest_version_cannot_cancel(cpo, partner, evse, token):
    now = timezone.now()
    reservation = commands.request_reservation(evse, token, now + 30 * MINUTE, now)
    Command.objects.filter(pk=reservation.pk).update(
        state="DONE", sent_at=now, answerable_until=now, due_at=None, result="ACCEPTED", result_at=now
    )
    reservation.refresh_from_db()
    register(partner, cpo, "2.1.1")
    reservation.party.refresh_from_db()
    with pytest.raises(CannotCommand, match=r"OCPI 2\.1\.1, which Laddnät speaks, has no CANCEL_RESERVATION"):
        commands.request_cancellation(reservation, now)


# Sent at most once


@pytest.mark.ocpi("CMD-08")
def test_two_clicks_at_once_are_one_command_that_is_sent_once(cpo, partner, start):
    made = []
    assert together(*[lambda: made.append(start().pk)] * 6) == []
    assert len(set(made)) == 1
    assert together(*[lambda: send_due(timezone.now())] * 6) == []
    assert len(asked(cpo)) == 1
    until(Command.objects.get(), "DONE", "PROVEN")


@pytest.mark.ocpi("CMD-08")
def test_a_lost_answer_is_not_a_reason_to_send_again(cpo, partner, start):
    cpo.fault("lost_reply", module="commands")
    command = start()
    send_due(timezone.now())
    send_due(timezone.now() + 5 * MINUTE)
    until(command, "DONE", "PROVEN")
    assert (len(asked(cpo)), command.response) == (1, "")
    assert "no answer" in command.last_error


def test_what_nobody_sent_in_time_is_not_sent(cpo, partner, start):
    command = start()
    assert send_due(timezone.now() + 2 * MINUTE) == 0
    command.refresh_from_db()
    assert (command.state, command.sent_at, asked(cpo)) == ("UNSENT", None, [])
    assert "within a minute" in command.last_error


def test_a_worker_that_died_before_sending_left_nothing_half_done(cpo, partner, start):
    command, now = start(), timezone.now()
    Command.objects.filter(state="REQUESTED").claim(now, timedelta(seconds=1))
    assert send_due(now) == 0
    assert send_due(now + timedelta(seconds=5)) == 1
    until(command, "DONE", "PROVEN")
    assert len(asked(cpo)) == 1


def test_a_card_that_was_blocked_meanwhile_starts_nothing(cpo, partner, start, token):
    command = start()
    block_token(token, timezone.now())
    send_due(timezone.now())
    command.refresh_from_db()
    assert (command.state, command.last_error, asked(cpo)) == ("UNSENT", "the card is blocked", [])


def away(partner, status="OFFLINE"):
    party = {"country_code": "SE", "party_id": "LAD", "role": "CPO"}
    told = {"status": status, "last_updated": timezone.now(), "received_at": timezone.now()}
    Client.objects.update_or_create(hub=partner, **party, defaults=told)


@pytest.mark.ocpi("HCI-02", "2.2.1")
def test_a_party_that_went_away_behind_its_hub_is_sent_no_command(cpo, partner, start):
    command = start()
    away(partner)
    send_due(timezone.now())
    command.refresh_from_db()
    assert (command.state, command.last_error, asked(cpo)) == ("UNSENT", "SE*LAD is offline, says Laddnät", [])


# What may not be asked


@pytest.mark.ocpi("HCI-02", "2.2.1")
@pytest.mark.parametrize("status", ["OFFLINE", "PLANNED", "SUSPENDED"])
def test_nothing_is_asked_of_a_party_that_is_not_connected_to_its_hub(partner, start, status):
    away(partner, status)
    with pytest.raises(CannotCommand, match=f"is {status.lower()}, says Laddnät"):
        start()
    assert not Command.objects.exists()


def test_a_card_that_may_not_charge_is_not_started(partner, start, token):
    block_token(token, timezone.now())
    with pytest.raises(CannotCommand, match="the card is blocked"):
        start()
    assert (Command.objects.count(), Authorization.objects.get().allowed) == (0, "BLOCKED")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": "REMOVED"}, "no longer there"),
        ({"details": {"capabilities": ["RFID_READER"]}}, "is not REMOTE_START_STOP_CAPABLE"),
    ],
)
def test_what_a_charge_point_cannot_do_is_not_asked(changes, reason, partner, evse, start):
    for name, value in changes.items():
        setattr(evse, name, value)
    with pytest.raises(CannotCommand, match=reason):
        start()


def test_a_cpo_that_says_nothing_of_capabilities_is_asked(partner, evse, start):
    evse.details = {}
    assert start().connector_id == ""


LATER = list(VERSIONS)[1:]


@pytest.mark.ocpi("CMD-02", "all")
@pytest.mark.parametrize("version", LATER)
def test_the_connector_is_named_where_it_must_be(version, cpo, partner, evse, start):
    register(partner, cpo, version)
    cpo.fault("command_response", value="REJECTED")  # so nothing follows
    evse.details = {"capabilities": ["REMOTE_START_STOP_CAPABLE", "START_SESSION_CONNECTOR_REQUIRED"]}
    assert start().connector_id == "1"
    send_due(timezone.now())
    told = json.loads(asked(cpo)[0].body)
    assert (told["evse_uid"], told["connector_id"]) == (evse.uid, "1")
    kind = {"standard": "CHADEMO", "format": "CABLE", "power_type": "DC", "last_updated": timezone.now()}
    Connector.objects.create(evse=evse, ocpi_id="2", **kind)
    with pytest.raises(CannotCommand, match="several connectors"):
        start()
    assert start(connector_id="2").connector_id == "2"


def test_a_cpo_without_the_module_is_not_asked(partner, start):
    Endpoint.objects.all().delete()
    with pytest.raises(CannotCommand, match="has no commands as RECEIVER"):
        start()


def test_a_session_that_is_over_is_not_stopped(partner, send_session):
    send_session(session_body(status="COMPLETED"))
    with pytest.raises(CannotCommand, match="COMPLETED already"):
        commands.request_stop(Session.objects.get(), timezone.now())


# What comes back


def test_an_answer_that_fits_nowhere_is_no_answer(cpo, partner, start):
    cpo.fault("command_response", value="A" * 300)
    command = start()
    send_due(timezone.now())
    command.refresh_from_db()
    assert (command.state, command.response) == ("SENT", "")
    assert "the answer cannot be read" in command.last_error


def test_a_word_that_nobody_knows_is_kept_and_is_no_success(cpo, partner, start):
    cpo.fault("command_result", value="PERHAPS")
    command = start()
    send_due(timezone.now())
    until(command, "FAILED")
    assert command.result == "PERHAPS"


@pytest.mark.parametrize("response", ["REJECTED", "NOT_SUPPORTED", "UNKNOWN_SESSION", "DREAMING"])
def test_a_cpo_that_refuses_has_refused(response, cpo, partner, start):
    cpo.fault("command_response", value=response)
    command = start()
    send_due(timezone.now())
    command.refresh_from_db()
    assert (command.state, command.response, command.due_at) == ("REFUSED", response, None)


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        ({"name": "status", "value": 404}, "REFUSED"),
        ({"name": "status", "value": 429}, "REFUSED"),
        ({"name": "code", "value": 2001}, "REFUSED"),
        ({"name": "status", "value": 500}, "SENT"),
        ({"name": "not_json"}, "SENT"),
        ({"name": "cut_body"}, "SENT"),
    ],
)
def test_only_a_clear_no_is_a_refusal(fault, state, cpo, partner, start):
    cpo.fault(module="commands", **fault)
    cpo.fault("command_result", value=None)
    command = start()
    send_due(timezone.now())
    command.refresh_from_db()
    assert (command.state, bool(command.last_error)) == (state, True)


@pytest.mark.ocpi("CMD-05")
def test_without_a_result_nobody_knows_and_a_late_one_still_counts(cpo, partner, sent, caller):  # noqa: F811
    command = sent(cpo)
    assert (command.state, command.due_at) == ("ACCEPTED", command.sent_at + timedelta(seconds=30))
    assert commands.give_up(command.due_at - MINUTE) == 0
    assert commands.give_up(command.due_at) == 1
    command.refresh_from_db()
    assert (command.state, command.result) == ("UNANSWERED", "")
    answer = caller(partner)("POST", f"{asked_url(command)}", {"result": "ACCEPTED"})
    command.refresh_from_db()
    assert (code(answer), command.state, command.is_late) == ((200, 1000), "DONE", True)


def asked_url(command, **how):
    return settings.PUBLIC_URL + result_url(command, **how)


@pytest.mark.ocpi("CMD-05")
def test_a_session_after_a_timeout_proves_the_start(cpo, partner, sent, evse, send_session):
    command = sent(cpo)
    commands.give_up(timezone.now() + timedelta(hours=1))
    here = {"location_id": evse.location.ocpi_id, "evse_uid": evse.uid}
    send_session(session_body(authorization_reference=command.authorization_reference.upper(), **here))
    command.refresh_from_db()
    assert (command.state, command.session) == ("PROVEN", Session.objects.get())


def test_where_the_cpo_tells_no_reference_card_place_and_time_prove_it(cpo, partner, sent, evse, send_session):
    command = sent(cpo)
    at = f"{timezone.now():%Y-%m-%dT%H:%M:%SZ}"
    here = {"location_id": evse.location.ocpi_id.lower(), "evse_uid": evse.uid, "last_updated": at}
    send_session(session_body(id="LONG-AGO", **here), session_body(id="ELSEWHERE", start_date_time=at))
    command.refresh_from_db()
    assert command.state == "ACCEPTED"
    send_session(session_body(id="NOW", start_date_time=at, **here))
    command.refresh_from_db()
    assert (command.state, command.session.ocpi_id) == ("PROVEN", "NOW")


def test_a_session_of_the_oldest_version_proves_it_too(cpo, partner, party, sent, evse, send_session):
    command = sent(cpo)
    at = f"{timezone.now():%Y-%m-%dT%H:%M:%SZ}"
    here = {"location_id": evse.location.ocpi_id, "evse_uid": evse.uid, "start_date_time": at}
    send_session(session_body(id="X", **here))
    told = store.find_session(party, "X")
    Command.objects.filter(pk=command.pk).update(state="DONE", session=None, proven_at=None, due_at=None)
    Session.objects.all().delete()
    body = json.dumps(VERSIONS["2.1.1"].write("session", told), default=float).encode()
    take(store.INTAKE, partner, VERSIONS["2.1.1"], [body], timezone.now())
    command.refresh_from_db()
    assert (command.state, command.session.ocpi_id) == ("PROVEN", "X")


def test_the_end_of_a_session_proves_no_stop_that_was_refused(cpo, partner, send_session):
    send_session(session_body())
    stop = commands.request_stop(Session.objects.get(), timezone.now())
    send_due(timezone.now())
    send_session(session_body(status="COMPLETED", last_updated="2026-10-19T09:00:00Z"))
    stop.refresh_from_db()
    assert (stop.state, stop.response) == ("REFUSED", "UNKNOWN_SESSION")


@pytest.mark.ocpi("CMD-06", "all")
@pytest.mark.parametrize("version", LATER)
def test_a_cpo_may_withdraw_a_reservation_later(version, cpo, partner, evse, token, caller):  # noqa: F811
    register(partner, cpo, version)
    now = timezone.now()
    reservation = commands.request_reservation(evse, token, now + 30 * MINUTE, now)
    send_due(now)
    until(reservation, "DONE")
    answer = caller(partner)("POST", asked_url(reservation, version=version), {"result": "CANCELED_RESERVATION"})
    reservation.refresh_from_db()
    assert (code(answer), reservation.state) == ((200, 1000), "CANCELED")


@pytest.mark.control("S45")
@pytest.mark.ocpi("CMD-03")
def test_a_result_is_told_once(cpo, partner, sent, caller):  # noqa: F811
    command, call = sent(cpo), caller(partner)
    said = {"result": "FAILED", "message": [{"language": "en", "text": "A cable\u202e is missing"}]}
    assert code(call("POST", asked_url(command), said)) == (200, 1000)
    again = call("POST", asked_url(command), said)
    other = call("POST", asked_url(command), {"result": "ACCEPTED"})
    command.refresh_from_db()
    assert (code(again), "data" in again.json(), code(other)) == ((200, 1000), False, (200, 2001))
    assert "has its result already" in other.json()["status_message"]
    assert (command.state, command.message) == ("FAILED", "A cable\ufffd is missing")


@pytest.mark.control("S15", "S45")
@pytest.mark.ocpi("CMD-03")
def test_to_others_a_command_is_as_if_it_were_not(cpo, partner, sent, caller):  # noqa: F811
    from apps.partners.models import Partner

    command, said = sent(cpo), {"result": "ACCEPTED"}
    stranger = Partner.objects.create(name="Other", state="CONNECTED", version="2.2.1", connected_at=timezone.now())
    Party.objects.create(country_code="SE", party_id="OTH", partner=stranger)
    ours, theirs = caller(partner), caller(stranger)
    answers = [
        theirs("POST", asked_url(command), said),
        theirs("POST", asked_url(command), b"{"),
        ours("POST", asked_url(command, kind="STOP_SESSION"), said),
        ours("POST", asked_url(command)[:-1] + "?", said),
        ours("POST", "commands/START_SESSION/AAAAAAAAAAAAAAAAAAAAAA", said),
    ]
    Command.objects.filter(pk=command.pk).update(answerable_until=timezone.now())
    answers.append(ours("POST", asked_url(command), said))
    assert {code(answer) for answer in answers} == {(404, 2000)}
    assert {answer.json()["status_message"] for answer in answers} == {"There is no such command of yours here"}
    command.refresh_from_db()
    assert (command.state, command.result) == ("ACCEPTED", "")
    assert len(command.reply_key) == 22  # 128 bits


@pytest.mark.parametrize("version", list(VERSIONS))
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (400, 2000)),
        (b"{", (400, 2000)),
        (b"[]", (200, 2001)),
        (b"null", (200, 2001)),
        (b"{}", (200, 2001)),
        (b'{"result": null}', (200, 2001)),
        (b'{"result": ["ACCEPTED"]}', (200, 2001)),
        (b'{"result": "ACCEPTED", "message": "soon"}', (200, 2001)),
        (b'{"result": "' + b"A" * 300 + b'"}', (200, 2001)),
    ],
)
def test_a_spoiled_result_changes_nothing(version, body, expected, cpo, partner, sent, caller):  # noqa: F811
    command = sent(cpo)
    answer = caller(partner)("POST", asked_url(command, version=version), body)
    command.refresh_from_db()
    assert (code(answer), command.state, command.result) == (expected, "ACCEPTED", "")


def test_result_and_giving_up_at_once_end_in_the_result(cpo, partner, sent):
    command = sent(cpo)
    late = command.due_at + MINUTE

    def settle():
        with transaction.atomic():
            found = commands.answerable(partner, command.kind, command.reply_key, late)
            commands.settle(found, objects.CommandResult(result="ACCEPTED"), late)

    assert together(settle, *[lambda: commands.give_up(late)] * 3) == []
    command.refresh_from_db()
    assert (command.state, command.result, command.due_at) == ("DONE", "ACCEPTED", None)


def test_of_two_results_at_once_one_counts(cpo, partner, sent):
    command, now = sent(cpo), timezone.now()

    def settle(result):
        with transaction.atomic():
            found = commands.answerable(partner, command.kind, command.reply_key, now)
            commands.settle(found, objects.CommandResult(result=result), now)

    raised = together(*[lambda result=result: settle(result) for result in ("ACCEPTED", "FAILED")])
    assert [type(error) for error in raised] == [InvalidObject]
    command.refresh_from_db()
    assert command.state == {"ACCEPTED": "DONE", "FAILED": "FAILED"}[command.result]


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"token": None}, "command_start_or_reserve_is_for_an_authorized_card_at_a_place"),
        ({"authorization_reference": ""}, "command_start_or_reserve_is_for_an_authorized_card_at_a_place"),
        ({"kind": "STOP_SESSION"}, "command_stop_names_a_session"),
        ({"kind": "UNLOCK_CONNECTOR"}, "command_unlock_names_a_connector"),
        ({"kind": "CANCEL_RESERVATION"}, "command_cancel_names_a_reservation"),
        ({"kind": "RESERVE_NOW"}, "command_reservation_ends_later"),
        ({"state": "SENT"}, "command_told_has_a_time"),
        ({"due_at": None}, "command_open_is_due"),
        ({"result": "ACCEPTED"}, "command_result_has_a_time"),
    ],
)
def test_the_database_holds_what_a_command_is(values, constraint, partner, start):
    command = start()
    with pytest.raises(IntegrityError, match=constraint):
        Command.objects.filter(pk=command.pk).update(**values)


# By the command line


def told(*args):
    out = StringIO()
    call_command("session", *args, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_the_command_line_starts_and_stops(cpo, partner, evse, token):
    where = ("SE*LAD", evse.location.ocpi_id, evse.uid)
    started = told("start", *where, "--card", "04ab")
    assert (started["kind"], started["response"], started["result"]) == ("START_SESSION", "ACCEPTED", "ACCEPTED")
    command = until(Command.objects.get(), "PROVEN")
    stopped = told("stop", "SE-LAD", command.session.ocpi_id.lower())
    assert (stopped["state"] in ("DONE", "PROVEN"), stopped["session"]) == (True, command.session.ocpi_id)
    assert told("unlock", *where, "1")["state"] == "DONE"


def test_the_command_line_says_why_it_failed(cpo, partner, evse, token):
    where = ("SE*LAD", evse.location.ocpi_id, evse.uid)
    cpo.fault("command_result", value="EVSE_INOPERATIVE")
    with pytest.raises(CommandError, match=r"failed at the charge point.*EVSE_INOPERATIVE"):
        told("start", *where, "--card", "04AB")
    for args, reason in (
        (("start", *where, "--card", "NONE"), "there is no card NONE of type RFID"),
        (("start", "SE*LAD", "NOWHERE", "1", "--card", "04AB"), "location NOWHERE is not known here"),
        (("stop", "SE*LAD", "S-9"), r"there is no session S-9 of SE\*LAD"),
        (("stop", "SE*XXX", "S-9"), r"SE\*XXX is not a party of any partner"),
    ):
        with pytest.raises(CommandError, match=reason):
            told(*args)
