from datetime import datetime

import pytest

from apps.locations.models import Connector, Evse, Location
from apps.partners.models import Exchange, Feed, Quarantined
from tests.partners.mirrors import encoded, evse, example, location, make_partner

NEWER, OLDER = "2026-03-02T06:00:00Z", "2026-02-01T06:00:00Z"
PLACE = "locations/SE/LAD/LOC-7"
PART = f"{PLACE}/LAD-7-1"
PLUG = f"{PART}/1"


def code(answer):
    return answer.status_code, answer.json()["status_code"]


@pytest.mark.ocpi("TR-07")
def test_a_location_is_put_read_and_put_again(call):
    assert code(call("PUT", PLACE, location())) == (201, 1000)
    assert code(call("PUT", PLACE, location(name="Ny", last_updated=NEWER))) == (200, 1000)
    assert call("GET", PLACE).json()["data"] == location(name="Ny", last_updated=NEWER)
    assert code(call("PUT", f"{PLACE}/", location(name="Ny", last_updated=NEWER))) == (200, 1000)


@pytest.mark.ocpi("TR-31")
def test_what_is_older_is_accepted_and_changes_nothing(call):
    call("PUT", PLACE, location())
    assert code(call("PUT", PLACE, location(name="Old", last_updated=OLDER))) == (200, 1000)
    assert code(call("PATCH", PART, {"status": "BLOCKED", "last_updated": OLDER})) == (200, 1000)
    assert (Location.objects.get().name, Evse.objects.get().status) == ("Sjöstaden", "AVAILABLE")


@pytest.mark.parametrize("version", ["2.1.1", "2.2.1", "2.3.0"])
@pytest.mark.ocpi("TR-27", "TR-28", "TR-29", "LOC-02", "all")
def test_every_version_puts_patches_and_reads_all_three_levels(version, call):
    def send(method, path, body=None):
        answer = call(method, path, body, version)
        assert answer.json()["status_code"] == 1000, answer.text
        return answer.json().get("data")

    send("PUT", PLACE, example("location", version))
    assert send("GET", PLACE) == example("location", version)
    send("PATCH", PLACE, {"name": "Ny", "last_updated": NEWER})
    send("PUT", PART, example("location", version)["evses"][0])
    assert send("GET", PART) == example("location", version)["evses"][0]
    send("PATCH", PART, example("evse_patch", version))
    send("PUT", PLUG, example("location", version)["evses"][0]["connectors"][0] | {"last_updated": NEWER})
    send("PATCH", PLUG, {"terms_and_conditions": None, "last_updated": NEWER})
    assert "terms_and_conditions" not in send("GET", PLUG)
    place, part = Location.objects.get(), Evse.objects.get()
    assert (place.name, part.status, part.details["floor_level"]) == ("Ny", "CHARGING", "2")
    assert part.last_updated == datetime.fromisoformat(NEWER)


def test_a_body_that_is_not_allowed_names_every_problem_and_is_kept(call):
    answer = call("PUT", PLACE, location(coordinates=None, city=None))
    assert code(answer) == (200, 2001)
    assert {"coordinates: required", "city: required"} <= set(answer.json()["status_message"].split("; "))
    kept = Quarantined.objects.get()
    assert (kept.ocpi_id, kept.context, str(kept.party)) == ("LOC-7", {"method": "PUT", "id": "LOC-7"}, "SE*LAD")


def test_a_problem_is_named_as_its_sender_spells_it(call):
    body = example("location", "2.1.1")
    del body["evses"][0]["connectors"][0]["voltage"]
    answer = call("PUT", PLACE, body, "2.1.1")
    assert code(answer) == (200, 2001)
    assert "evses[0].connectors[0].voltage" in answer.json()["status_message"]


@pytest.mark.parametrize("change", [{"id": "LOC-8"}, {"party_id": "FOE"}, {"country_code": "DE"}])
@pytest.mark.ocpi("TR-27")
def test_the_body_is_of_whom_the_url_names(change, call):
    assert code(call("PUT", PLACE, location(**change))) == (200, 2001)
    assert not Location.objects.exists()


def test_others_locations_cannot_be_touched_or_read(call):
    make_partner("Foe", ("SE", "FOE"))
    foreign = "locations/SE/FOE/LOC-7"
    assert call("PUT", foreign, location(party_id="FOE")).status_code == 404
    assert call("GET", foreign).status_code == 404
    assert call("PATCH", f"{foreign}/LAD-7-1", {"status": "BLOCKED", "last_updated": NEWER}).status_code == 404


def test_an_evse_is_added_by_its_put(call):
    call("PUT", PLACE, location())
    assert code(call("PUT", f"{PLACE}/LAD-7-2", evse("LAD-7-2"))) == (201, 1000)
    assert Evse.objects.count() == 2
    assert code(call("PUT", f"{PLACE}/LAD-7-3", evse("LAD-7-2"))) == (200, 2001)
    assert code(call("PUT", f"{PLACE}/LAD-7-3", {"uid": "LAD-7-3"})) == (200, 2001)
    assert code(call("PUT", f"{PLUG}2", evse()["connectors"][0] | {"id": "12"})) == (201, 1000)
    assert Connector.objects.filter(ocpi_id="12").exists()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", PLACE, None),
        ("GET", PART, None),
        ("GET", PLUG, None),
        ("PATCH", PLACE, {"last_updated": NEWER}),
        ("PATCH", PART, {"status": "CHARGING", "last_updated": NEWER}),
        ("PATCH", PLUG, {"last_updated": NEWER}),
        ("PUT", PART, evse()),
        ("PUT", PLUG, evse()["connectors"][0]),
    ],
)
@pytest.mark.ocpi("TR-06")
def test_what_we_lack_is_2003(method, path, body, call):
    assert code(call(method, path, body)) == (404, 2003)


def test_a_status_of_an_unknown_location_has_it_pulled(call, partner):
    now = datetime.now().astimezone()
    Feed.objects.create(partner=partner, module="locations", interval="06:00:00", due_at="2099-01-01T00:00:00Z")
    call("PATCH", PART, {"status": "CHARGING", "last_updated": NEWER})
    assert Feed.objects.get().due_at >= now
    assert Feed.objects.get().due_at < datetime.now().astimezone()


@pytest.mark.ocpi("TR-29")
def test_a_patch_must_say_when_since_2_2(call):
    call("PUT", PLACE, location())
    assert code(call("PATCH", PART, {"status": "CHARGING"})) == (200, 2001)
    assert code(call("PATCH", PART, {"status": "CHARGING"}, "2.1.1")) == (200, 1000)
    assert Evse.objects.get().status == "CHARGING"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"{}" * 2, b"[" * 50_000])
@pytest.mark.parametrize("path", [PLACE, PART, PLUG])
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_no_body_gets_anything_but_an_envelope(method, path, body, call):
    answer = call(method, path, body)
    assert answer.status_code in (200, 400)
    assert 2000 <= answer.json()["status_code"] < 3000


def test_of_successful_statuses_some_are_written_down_and_all_else_is(call):
    call("PUT", PLACE, location())
    statuses = [f"request-{number}" for number in range(100)]
    for name in statuses:
        assert code(call("PATCH", PART, {"status": "CHARGING", "last_updated": NEWER}, request_id=name)) == (200, 1000)
    kept = Exchange.objects.filter(method="PATCH")
    assert set(kept.values_list("request_id", flat=True)) == {"request-4", "request-27", "request-30", "request-46"}
    call("PATCH", f"{PLACE}/NO", {"status": "CHARGING", "last_updated": NEWER}, request_id="request-1")
    assert kept.filter(request_id="request-1", status_code=2003).exists()


@pytest.mark.ocpi("LOC-03")
def test_nothing_can_be_deleted(call):
    answer = call("DELETE", PLACE)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, PUT, PATCH")


@pytest.mark.ocpi("TR-10")
def test_ids_may_hold_anything_that_a_url_can(call):
    assert code(call("PUT", "locations/SE/LAD/A%20B%3A%2A%23%3F", location(id="A B:*#?"))) == (201, 1000)
    assert Location.objects.get().ocpi_id == "A B:*#?"


def test_bytes_are_kept_as_they_came(call):
    (body,) = encoded(location(unheard_of={"kept": [1.10, None]}))
    call("PUT", PLACE, body)
    assert bytes(Location.objects.get().body) == body
