"""What is told of a location beside where it is: for people to read, and for nothing to decide on."""

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from apps.locations.models import Evse, Location
from apps.locations.publishing import private_for, shown_to
from apps.locations.reading import opening_times, operator_of, planned
from apps.ocpi.objects import PublishTokenType
from tests.partners.mirrors import example, make_partner

VERSIONS = ["2.1.1", "2.2.1", "2.3.0"]
PLACE = "locations/SE/LAD/LOC-7"
CARD = PublishTokenType(uid="04AB", type="RFID", visual_number="V-1", issuer="Us", group_id="FLEET")


@pytest.fixture
def put(call):
    """Put the location in the words of a version; its row."""

    def put(version, **changes):
        answer = call("PUT", PLACE, example("location", version, **changes), version)
        assert answer.json()["status_code"] == 1000, answer.text
        return Location.objects.get()

    return put


@pytest.fixture
def page(client, call):
    """What staff read of the location."""
    client.force_login(get_user_model().objects.create_user("staff", is_staff=True, is_superuser=True))

    def page(location):
        answer = client.get(reverse("admin:locations_location_change", args=[location.pk]))
        assert answer.status_code == 200
        return answer.content.decode()

    return page


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.ocpi("LOC-06", "all")
def test_without_an_operator_it_is_who_registered(version, put, page, partner):
    make_partner("Foe", ("SE", "FOE"))
    partner.roles = [
        {"role": "CPO", "country_code": "SE", "party_id": name, "business_details": {"name": f"{name} AB"}}
        for name in ("FOE", "lad")
    ]
    partner.save()
    assert operator_of(put(version, operator={"name": "Drift Nord"})) == "Drift Nord"
    location = put(version, operator=None, last_updated="2026-03-02T06:00:00Z")
    assert operator_of(location) == "lad AB"
    assert "lad AB" in page(location)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.ocpi("LOC-08", "all")
def test_hours_and_plans_are_shown_and_change_no_status(version, put, page):
    hours = {"exceptional_closings": [{"period_begin": "2020-01-01T00:00:00Z", "period_end": "2090-01-01T00:00:00Z"}]}
    hours |= {
        "twentyfourseven": False,
        "regular_hours": [{"weekday": 7, "period_begin": "06:00", "period_end": "22:00"}],
    }
    body = example("location", version)
    schedule = [{"period_begin": "2020-01-01T00:00:00Z", "status": "INOPERATIVE"}]
    evse = body["evses"][0] | {"status_schedule": schedule}
    location = put(version, opening_times=hours, charging_when_closed=None, evses=[evse])
    told = opening_times(location)
    assert told.startswith("Sun 06:00–22:00; closed 2020-01-01T00:00:00Z")
    assert told.endswith("; charging when closed")
    assert planned(location.evses.get()) == "INOPERATIVE 2020-01-01T00:00:00Z – …"
    assert Evse.objects.get().status == "AVAILABLE"
    shown = page(location)
    assert "Sun 06:00" in shown
    assert "INOPERATIVE 2020" in shown


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.ocpi("LOC-07", "all")
def test_a_price_that_we_do_not_know_is_not_free(version, put, page, call, partner):
    body = example("location", version)
    location = put(version)
    assert "(price unknown)" in page(location)
    path = "tariffs/SE/LAD/DAY"
    assert call("PUT", path, example("tariff", version), version).json()["status_code"] == 1000
    assert "DC (DAY)" in page(location)
    for element in (free := example("tariff", version, min_price=None))["elements"]:
        for part in element["price_components"]:
            part["price"] = 0
    call("PUT", path, free | {"last_updated": "2026-04-01T00:00:00Z"}, version)
    assert "DC (DAY: free)" in page(location)
    call("DELETE", path, version=version)
    assert "(price unknown)" in page(location)
    assert body["id"] == location.ocpi_id


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.ocpi("LOC-07", "all")
def test_a_connector_without_a_tariff_has_a_price_that_we_do_not_know(version, put, page):
    evse = example("location", version)["evses"][0]
    for name in ("tariff_id", "tariff_ids"):
        evse["connectors"][0].pop(name, None)
    assert "(price unknown)" in page(put(version, evses=[evse]))


@pytest.mark.parametrize("version", VERSIONS[1:])
@pytest.mark.parametrize(
    ("entries", "is_shown"),
    [
        ([], False),
        ([{"uid": "04ab", "type": "RFID"}], True),
        ([{"uid": "04AB", "type": "APP_USER"}], False),
        ([{"uid": "04AB"}], False),
        ([{"type": "RFID"}], False),
        ([{"visual_number": "V-1", "issuer": "Us"}], True),
        ([{"visual_number": "V-1", "issuer": "They"}], False),
        ([{"visual_number": "V-1"}], False),
        ([{"group_id": "fleet"}], True),
        ([{"group_id": "fleet", "issuer": "They"}], False),
        ([{"uid": "OTHER", "type": "RFID"}, {"group_id": "FLEET"}], True),
        ([{"issuer": None, "group_id": "FLEET"}], True),
        ([{}], False),
    ],
)
@pytest.mark.ocpi("LOC-05", "all")
def test_what_is_not_published_is_for_certain_cards(version, entries, is_shown, put):
    location = put(version, publish=False, publish_allowed_to=entries)
    assert (location in shown_to(CARD)) == (location in private_for(CARD)) == is_shown
    assert location not in shown_to(PublishTokenType())


@pytest.mark.parametrize("version", VERSIONS[1:])
@pytest.mark.ocpi("LOC-05", "all")
def test_what_is_published_is_for_everybody_and_may_become_private(version, put, call):
    location = put(version)
    assert location in shown_to(PublishTokenType())
    assert location not in private_for(CARD)
    patch = {"publish": False, "publish_allowed_to": None, "last_updated": "2026-03-03T06:00:00Z"}
    assert call("PATCH", PLACE, patch, version).json()["status_code"] == 1000
    assert location not in shown_to(CARD)


@pytest.mark.ocpi("LOC-11", "2.3.0")
def test_parking_places_are_kept_as_told_and_refuse_nothing(put, call):
    parking = {
        "id": "P-1",
        "vehicle_types": ["PERSONAL_VEHICLE"],
        "restricted_to_type": False,
        "reservation_required": True,
    }
    body = example("location", "2.3.0")
    body["evses"][0]["parking"] = [{"parking_id": "P-1", "evse_position": "LEFT"}, {"parking_id": "NOWHERE"}]
    put("2.3.0", evses=body["evses"], parking_places=[parking])
    told = call("GET", PLACE, version="2.3.0").json()["data"]
    assert (told["parking_places"], told["evses"][0]["parking"]) == ([parking], body["evses"][0]["parking"])
    assert "parking_places" not in call("GET", PLACE, version="2.2.1").json()["data"]


@pytest.mark.ocpi("TR-40", "2.3.0")
def test_words_of_tomorrow_refuse_nothing_and_are_told_as_they_came(put, call):
    body = example("location", "2.3.0", parking_type="ON_MARS", facilities=["TELEPORTER", "WIFI"])
    evse = body["evses"][0] | {"capabilities": ["MIND_READER"], "parking_restrictions": ["MARTIANS"]}
    evse["connectors"] = [evse["connectors"][0] | {"standard": "GBT_3000", "capabilities": ["LEVITATION"]}]
    put("2.3.0", parking_type="ON_MARS", facilities=["TELEPORTER", "WIFI"], evses=[evse])
    told = call("GET", PLACE, version="2.3.0").json()["data"]
    assert (told["parking_type"], told["facilities"]) == ("ON_MARS", ["TELEPORTER", "WIFI"])
    assert (told["evses"][0]["capabilities"], told["evses"][0]["parking_restrictions"]) == (
        ["MIND_READER"],
        ["MARTIANS"],
    )
    assert told["evses"][0]["connectors"][0]["standard"] == "GBT_3000"
    assert Location.objects.get().warnings != []
