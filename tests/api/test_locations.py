"""Where one can charge, as our own API tells it: what is near, who may see it, and what it costs."""

from datetime import UTC, date, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from apps.api.locations import shown, whole
from apps.billing.models import PlanPrice, Subscription
from apps.locations.models import Evse, Location
from apps.locations.nearby import Point, near
from apps.locations.routes import recognise, shown_once
from apps.partners.models import Partner
from apps.tariffs.models import Tariff
from tests.admin.furnished import NOW, make_partner
from tests.api.conftest import STOCKHOLM, id_of

pytestmark = pytest.mark.django_db


def names(app, **query):
    return [place["name"] for place in app.told("locations", **STOCKHOLM | query)["items"]]


def price_at(app, place, contract=None):
    query = {"contract": id_of(contract)} if contract else {}
    return app.told(f"locations/{id_of(place)}", **query)["evses"][0]["price"]


def test_the_nearest_is_first_and_what_is_too_far_is_left_out(app, make_place):
    make_place("Solna", latitude=59.36, longitude=18.0)
    make_place("Slussen", latitude=59.3197, longitude=18.0723)
    make_place("Uppsala", latitude=59.8586, longitude=17.6389)
    assert names(app, radius_m=10_000) == ["Slussen", "Solna"]
    assert names(app, radius_m=2000) == ["Slussen"]
    told = app.told("locations", **STOCKHOLM)["items"][0]
    assert (told["distance_m"], told["latitude"], told["operator"]) == (1087, 59.3197, "SE*LAD")


def test_pages_go_on_where_the_one_before_ended(app, make_place, client, settings):
    settings.PUBLIC_URL = "https://emsp.example"
    for number in range(5):
        make_place(f"L{number}", latitude=59.3293 + number / 1000)
    page, seen = app.told("locations", **STOCKHOLM, limit=2), []
    while page["next"]:
        seen += [place["name"] for place in page["items"]]
        assert page["next"].startswith("https://emsp.example/api/v1/locations?")
        page = client.get(page["next"].removeprefix("https://emsp.example"), headers=app.headers).json()
    assert seen + [place["name"] for place in page["items"]] == [f"L{number}" for number in range(5)]


def test_the_date_line_and_the_pole_are_no_edges(app, make_place):
    make_place("Fiji", latitude=-17, longitude=-179.99)
    make_place("Pole", latitude=89.99, longitude=100)
    assert names(app, latitude=-17, longitude=179.99) == ["Fiji"]
    assert names(app, latitude=89.99, longitude=-80) == ["Pole"]


def test_what_is_gone_is_not_shown(app, make_place):
    gone = make_place("Gone", vanished_at=NOW)
    place = make_place("There")
    Evse.objects.create(location=place, uid="E2", status="REMOVED", last_updated=NOW)
    assert names(app) == ["There"]
    assert len(app.told(f"locations/{id_of(place)}")["evses"]) == 1
    assert app.get(f"locations/{id_of(gone)}").status_code == 404


def test_a_status_says_how_old_it_is(app, make_place):
    place = make_place()
    at = timezone.now() - timedelta(minutes=10)
    Evse.objects.filter(location=place).update(status="CHARGING", last_updated=at)
    evse = app.told(f"locations/{id_of(place)}")["evses"][0]
    assert evse["status"] == "CHARGING"
    assert 600 <= evse["status_age_seconds"] < 660
    assert evse["status_updated_at"] == at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    assert evse["connectors"][0]["max_power_w"] == 150000


def test_what_a_hub_tells_of_too_is_told_once_and_known_by_its_id(app, make_place):
    make_place("Direct")
    by_hub, hub = make_place("By hub"), make_partner("Knutpunkt", "KNP")
    Partner.objects.filter(pk=hub.pk).update(role=Partner.Role.HUB)
    Location.objects.filter(pk=by_hub.pk).update(party=hub.parties.get())
    Evse.objects.update(evse_id="SE*LAD*E1")
    assert names(app) == ["Direct", "By hub"]
    recognise()
    assert names(app) == ["Direct"]
    assert len(app.told(f"locations/{id_of(by_hub)}")["evses"]) == 1
    Evse.objects.create(location=by_hub, uid="E2", status="AVAILABLE", last_updated=NOW)
    told = {place["name"]: len(place["evses"]) for place in app.told("locations", **STOCKHOLM)["items"]}
    assert told == {"Direct": 1, "By hub": 1}


SEED = """
INSERT INTO locations_location (party_id, ocpi_id, name, address, city, postal_code, country, latitude, longitude, time_zone,
    details, warnings, body, version, content_hash, last_updated, received_at, publish)
SELECT %s, 'N' || n, '', '', '', '', 'SWE', 35 + 35 * random(), -10 + 40 * random(), '', '{}', '[]', '', '2.2.1', '', now(), now(), true
FROM generate_series(1, 20000) n
"""
SEED_EVSES = """
INSERT INTO locations_evse (location_id, uid, evse_id, status, removed_by_us, details, last_updated)
SELECT place.id, n, '', 'AVAILABLE', false, '{}', now() FROM locations_location place, generate_series(1, 2) n
"""


def test_what_is_near_is_found_by_an_index(partner, card):
    with connection.cursor() as cursor:
        cursor.execute(SEED, [partner.parties.get().pk])
        cursor.execute(SEED_EVSES)
        cursor.execute("ANALYZE locations_location, locations_evse")
    for contract in (None, card.contract):
        plan = near(Point(59.3, 18.1), 5000, whole(shown_once(shown(contract)))).explain()
        assert "location_at" in plan
        assert "Seq Scan on locations" not in plan


# What it costs


def test_the_price_is_that_of_the_contracts_plan(app, make_place, card):
    price = price_at(app, make_place(), card.contract)
    assert (price["state"], price["currency"], price["per_kwh"], price["includes_vat"]) == ("KNOWN", "SEK", "5", True)
    assert price["per_minute"] == "0"


@pytest.mark.ocpi("LOC-07", "all")
def test_a_price_that_nobody_knows_is_unknown_and_never_free(app, make_place, card):
    """Nobody's contract, none of a plan, a country without a price, a place whose day is not known."""
    place, contract = make_place(), card.contract
    Tariff.objects.create(
        party=place.party, ocpi_id="FREE", currency="SEK", body=b"{}", version="2.2.1", content_hash=b"1", last_updated=NOW,
        received_at=NOW,
    )  # fmt: skip
    unknown = [price_at(app, place), price_at(app, make_place("ES", country="ESP", time_zone=""), contract)]
    PlanPrice.objects.update(country="NO")
    unknown += [price_at(app, make_place("L-2", tariff_ids=["FREE"]), contract)]
    Subscription.objects.update(valid_from=date(2999, 1, 1))
    unknown += [price_at(app, place, contract)]
    for price in unknown:
        assert price["state"] == "UNKNOWN", price
        assert price["reason"]
        assert [price[name] for name in ("currency", "per_kwh", "per_minute", "per_session")] == [None] * 4


def test_only_a_plan_that_asks_for_nothing_is_free(app, make_place, card):
    place = make_place()
    PlanPrice.objects.update(per_kwh=0, monthly_fee=99)
    assert price_at(app, place, card.contract)["state"] == "FREE"
    PlanPrice.objects.update(per_session=1)
    assert price_at(app, place, card.contract)["state"] == "KNOWN"


# Who may see it


@pytest.mark.ocpi("LOC-05", "all")
def test_a_private_location_is_shown_to_the_tokens_that_it_names(app, make_place, card):
    allowed = {"publish_allowed_to": [{"uid": card.uid, "type": "RFID"}]}
    place = make_place("Home", publish=False, details=allowed)
    make_place("Other", publish=False, details={"publish_allowed_to": [{"group_id": "fleet"}]})
    assert names(app) == []
    assert app.get(f"locations/{id_of(place)}").status_code == 404
    mine = id_of(card.contract)
    assert names(app, contract=mine) == ["Home"]
    assert app.told(f"locations/{id_of(place)}", contract=mine)["is_private"] is True


def test_a_location_whose_sender_cannot_say_is_public(app, make_place):
    make_place(publish=None)
    assert names(app) == ["L-1"]


# What is asked wrongly


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"latitude": "91"}, "latitude"), ({"latitude": "nan"}, "latitude"), ({"latitude": "1e400"}, "latitude"),
        ({"longitude": ""}, "longitude"), ({"longitude": "east"}, "longitude"), ({"radius_m": "0"}, "radius_m"),
        ({"radius_m": "100001"}, "radius_m"), ({"limit": "101"}, "limit"), ({"offset": "-1"}, "offset"),
        ({"contract": "1"}, "contract"), ({"contract": "A" * 32}, "contract"), ({"contract": "\x00"}, "contract"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_reason(app, query, field):
    answer = app.get("locations", **STOCKHOLM | query)
    told = answer.json()
    assert (answer.status_code, answer["Content-Type"], told["status"]) == (400, "application/problem+json", 400)
    assert (told["type"], told["title"]) == ("about:blank", "Bad Request")
    assert [one["field"] for one in told["errors"]] == [field]
    assert told["errors"][0]["reason"]
