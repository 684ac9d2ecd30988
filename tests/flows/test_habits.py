"""What no version demands and every partner is met with all the same: forgiven, repeated, told once. Over HTTP.

In 2.2.1 the tests of each room show it closer.
"""

import base64
from datetime import timedelta

import httpx
import pytest
from django.utils import timezone

from apps.charging import commands
from apps.charging.dispatch import send_due
from apps.charging.models import Command, Session
from apps.locations.models import Evse, Location
from apps.ocpi.errors import PeerFailed
from apps.partners import handshake
from apps.partners.models import Feed, Partner, Quarantined
from apps.partners.pull import OVERLAP, pull_partner
from apps.simulator import records
from apps.simulator.dialects import spoken
from apps.simulator.wire import encode
from apps.tokens.announcing import announce
from apps.tokens.models import Token

from .acting import LOCATIONS, TARIFFS, pull, push, they_begin, we_begin

pytestmark = pytest.mark.django_db(transaction=True)
OTHERS = ("2.1.1", "2.3.0")
LATER = "2035-01-01T00:00:00Z"
EARLIER = "2020-01-01T00:00:00Z"


@pytest.fixture(params=OTHERS)
def version(request, cpo):
    cpo.speak(request.param)
    return request.param


def codes(answer):
    return answer.http_status, answer.status_code


def a_place(cpo) -> dict:
    return next(iter(cpo.world.locations.values()))


@pytest.mark.ocpi("TR-03", "TR-10", "TR-17", "TOK-09", "2.1.1", "2.3.0")
def test_spellings_are_forgiven(version, cpo, site, cards):
    they_begin(cpo)
    tokens, token = cpo.emsp.url("tokens", "SENDER"), cpo.memory.get("token_for_us")
    for spelt in (token, base64.b64encode(token.encode()).decode()):
        answer = httpx.get(f"{tokens}/", headers={"Authorization": f"Token {spelt}"}, trust_env=False)
        assert (answer.status_code, answer.json()["status_code"]) == (200, 1000)
    wrong = cpo.emsp.call("GET", f"{tokens}?limit=abc&date_from=yesterday")
    assert codes(wrong) == (200, 2001)
    assert "limit" in wrong.message and "date_from" in wrong.message
    assert cpo.emsp.call("GET", f"{tokens}?offset=1000").data == []
    uid = cards[0].uid.lower()
    assert cpo.send("POST", "tokens", f"/{uid}/authorize", role="SENDER").data["allowed"] == "ALLOWED"
    odd = a_place(cpo) | {"id": "A B:*#?"}
    assert cpo.send("PUT", "locations", "/SE/LAD/A%20B%3A%2A%23%3F/", odd).is_ok
    assert Location.objects.get().ocpi_id == "A B:*#?"


@pytest.mark.ocpi("TR-06", "TR-30", "TR-31", "TR-41", "LOC-09", "LOC-13", "2.1.1", "2.3.0")
def test_locations_are_taken_as_they_come(version, cpo, site):
    they_begin(cpo)
    place = a_place(cpo)
    path, evse = f"/SE/LAD/{place['id']}", place["evses"][0]
    assert codes(cpo.send("PATCH", "locations", path, {"name": "Ny", "last_updated": LATER})) == (404, 2003)

    odd = place | {"name": "x" * 300, "facilities": ["WIFI", "SAUNA"], "postal_code": 11147}
    assert cpo.send("PUT", "locations", path, odd).is_ok
    assert {warning[0] for warning in Location.objects.get().warnings} >= {"name", "facilities[1]", "postal_code"}
    assert cpo.send("PUT", "locations", path, place | {"name": "Old", "last_updated": EARLIER}).is_ok
    assert Location.objects.get().name == "x" * 300

    new = spoken(version, "locations", place | {"evses": [evse | {"uid": "NEW", "last_updated": LATER}]}, {})["evses"]
    changed = {"uid": evse["uid"], "status": "BLOCKED", "physical_reference": None, "last_updated": LATER}
    patch = encode({"evses": [changed, *new], "last_updated": LATER})
    assert cpo.send("PATCH", "locations", path, patch).is_ok
    stored = {row.uid: row for row in Evse.objects.all()}
    assert stored.keys() == {each["uid"] for each in place["evses"]} | {"NEW"}
    assert (stored[evse["uid"]].status, "physical_reference" in stored[evse["uid"]].details) == ("BLOCKED", False)
    assert codes(cpo.send("PATCH", "locations", f"{path}/NEW", {"status": None, "last_updated": LATER})) == (200, 2001)


@pytest.mark.ocpi("SES-09", "2.1.1", "2.3.0")
def test_nothing_that_we_lack_refuses_a_session(version, cpo, site, cards):
    they_begin(cpo)
    push(Partner.objects.get())
    Token.objects.all().update(blocked_at=None)
    cpo.play("sessions", count=2, completed=1, others=0)
    assert set(Session.objects.values_list("status", flat=True)) == {"ACTIVE", "COMPLETED"}
    assert not Location.objects.exists()


@pytest.mark.ocpi("TR-24", "2.3.0")
def test_who_calls_speaks_for_its_own_parties_alone(cpo, site):
    cpo.speak("2.3.0")
    they_begin(cpo)
    tariff = next(iter(cpo.world.tariffs.values()))
    assert codes(cpo.emsp.send("PUT", "tariffs", f"/SE/LAD/{tariff['id']}", tariff, party="SE*OTH")) == (200, 2001)
    assert codes(cpo.send("PUT", "tariffs", f"/SE/OTH/{tariff['id']}", tariff)) == (404, 2001)


@pytest.mark.ocpi("TR-13", "TR-18", "TR-19", "TR-20", "2.1.1", "2.3.0")
def test_a_list_is_read_to_its_true_end(version, cpo, site):
    partner = they_begin(cpo)
    cpo.fault("code", value=2000, module="tariffs", times=1)
    told = pull_partner(TARIFFS, partner, timezone.now())
    assert (told["complete"], "2000" in told["error"]) == (False, True)

    cpo.fault("missing", value="currency", module="tariffs", times=1)
    told = pull_partner(TARIFFS, partner, timezone.now())
    assert (told["complete"], told["quarantined"], Quarantined.objects.count()) == (True, 5, 5)
    assert pull(partner, TARIFFS)["stored"] == 5, "what was bad is asked for again"

    for fault, value in (("cycle", None), ("foreign_next", "http://127.0.0.1:9/locations")):
        cpo.fault("page_limit", value=1, module="locations")
        cpo.fault(fault, value=value, module="locations")
        assert not pull_partner(LOCATIONS, partner, timezone.now())["complete"]
        cpo.faults.clear()
    cpo.fault("page_limit", value=1, module="locations")
    cpo.fault("shrinking_page", module="locations", times=1)
    pull(partner, LOCATIONS)
    cpo.faults.clear()
    pull(partner, LOCATIONS)
    assert set(Location.objects.values_list("ocpi_id", flat=True)) == cpo.world.locations.keys()
    mark = Feed.objects.get(module="locations").watermark
    assert f"{mark + OVERLAP:%Y-%m-%dT%H:%M:%SZ}" == max(
        place["last_updated"] for place in cpo.world.locations.values()
    )


@pytest.mark.ocpi("TR-32", "TR-33", "2.1.1", "2.3.0")
def test_of_a_card_the_last_state_is_told_until_it_is_confirmed(version, cpo, site, cards):
    partner = they_begin(cpo)
    push(partner)
    cpo.fault("lost_reply", module="tokens", times=1)
    for number in range(5):
        Token.objects.filter(pk=cards[0].pk).update(visual_number=f"V-{number}")
        announce([cards[0]], timezone.now())
    before = len(cpo.requests)
    assert push(partner)["confirmed"] == 0
    assert push(partner)["confirmed"] == 1
    sent = [request for request in list(cpo.requests)[before:] if request.method == "PUT"]
    assert [request.json()["visual_number"] for request in sent] == ["V-4", "V-4"]


@pytest.mark.ocpi("CRED-07", "CRED-13", "CRED-14", "2.1.1", "2.3.0")
def test_a_handshake_that_fails_locks_nobody_out_and_says_why(version, cpo, site, settings):
    cpo.fault("not_json", module="credentials", method="POST")
    with pytest.raises(PeerFailed, match="JSON"):
        we_begin(cpo)
    cpo.faults.clear()
    partner = we_begin(cpo)
    cpo.fault("lost_reply", module="credentials", method="PUT", times=1)
    with pytest.raises(PeerFailed):
        handshake.renew(partner, timezone.now())
    assert cpo.emsp.call("GET", cpo.emsp.url("tokens", "SENDER")).is_ok
    assert pull(handshake.renew(Partner.objects.get(), timezone.now()), TARIFFS)["complete"]

    settings.OCPI_PRIVATE_HOSTS = []
    inside = cpo.registration.credentials("another_token-of-the-cpo", version) | {
        "url": "http://169.254.169.254/latest"
    }
    assert codes(cpo.emsp.call("PUT", cpo.emsp.url("credentials"), inside)) == (200, 3001)


@pytest.mark.ocpi("CMD-03", "CMD-05", "CMD-08", "2.1.1", "2.3.0")
def test_a_command_is_sent_once_answered_once_and_proven_by_a_session(version, cpo, site, cards):
    partner = they_begin(cpo)
    push(partner)
    pull(partner, LOCATIONS)
    cpo.fault("lost_reply", module="commands", times=1)
    cpo.fault("command_result", value=None)
    evse, now = Evse.objects.order_by("pk").first(), timezone.now()
    command = commands.request_start(evse, cards[0], now)
    send_due(now)
    send_due(now + timedelta(minutes=5))
    (sent,) = (request.json() for request in cpo.requests.copy() if "/commands/" in request.path)
    commands.give_up(now + timedelta(hours=1))
    assert Command.objects.get().state == "UNANSWERED"

    for result, expected in (("ACCEPTED", 1000), ("ACCEPTED", 1000), ("REJECTED", 2001)):
        assert codes(cpo.emsp.call("POST", sent["response_url"], {"result": result})) == (200, expected)
    assert Command.objects.get().state == "DONE"
    place = next(place for place in cpo.world.places() if place.evse["uid"] == evse.uid)
    start = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    session = records.session("S-1", place, cpo.received_tokens[cards[0].uid], now, command.authorization_reference)
    assert cpo.send("PUT", "sessions", "/SE/LAD/S-1", session | {"last_updated": start}).is_ok
    assert Command.objects.get().state == "PROVEN"
