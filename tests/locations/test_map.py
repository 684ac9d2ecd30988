"""The map: counted by the database in cells, whatever the number of locations, and every place leads somewhere."""

from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.locations.map import COLUMNS, ROWS, Box, View, markers, whole
from apps.locations.models import Evse, Location
from apps.partners.models import Party

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)
STOCKHOLM, LUND, BERLIN = (18.0649, 59.3326), (13.1929, 55.7047), (13.405, 52.52)


@pytest.fixture
def place(party):
    """Put a location on the map, with EVSEs of these statuses."""

    def put(at, *statuses, **values):
        sent = {"body": b"{}", "version": "2.2.1", "content_hash": b"", "last_updated": NOW, "received_at": NOW}
        names = {"ocpi_id": f"L-{Location.objects.count()}", "address": "Storgatan 1", "city": "Lund", "country": "SWE"}
        longitude, latitude = at or (None, None)
        location = Location.objects.create(party=party, longitude=longitude, latitude=latitude, **names | sent | values)
        for number, status in enumerate(statuses):
            Evse.objects.create(location=location, uid=f"E{number}", status=status, last_updated=NOW)
        return location

    return put


def around(at, by=0.1):
    return View.around(Box(at[0] - by, at[1] - by, at[0] + by, at[1] + by))


def test_an_empty_map_shows_the_world(db):
    assert whole().width == 360
    assert markers(whole()) == []


def test_everything_known_is_on_the_whole_map(place):
    for at in (STOCKHOLM, LUND, BERLIN):
        place(at)
    place(None)

    found = markers(whole())

    assert sum(marker.count for marker in found) == 3
    assert all(0 < marker.left < 100 and 0 < marker.top < 100 for marker in found)


def test_a_place_alone_is_its_location_where_it_is(place):
    location = place(STOCKHOLM, "AVAILABLE")

    (marker,) = markers(around(STOCKHOLM))

    assert (marker.only, marker.left, round(marker.top)) == (location, 50, 50)


@pytest.mark.parametrize(
    ("statuses", "state"),
    [
        (["CHARGING", "AVAILABLE"], "free"),
        (["OUTOFORDER", "CHARGING"], "busy"),
        (["OUTOFORDER"], "down"),
        (["UNKNOWN"], "unknown"),
        ([], "unknown"),
    ],
)
def test_a_location_is_as_good_as_its_best_evse(place, statuses, state):
    place(STOCKHOLM, *statuses)
    (marker,) = markers(around(STOCKHOLM))
    assert marker.state == state


def test_neighbours_are_one_marker_that_can_be_parted(place):
    place(STOCKHOLM, "AVAILABLE"), place((STOCKHOLM[0] + 0.01, STOCKHOLM[1]), "CHARGING")

    (together,) = markers(around(STOCKHOLM, 5))
    apart = markers(View.around(together.extent.widened()))

    assert (together.count, together.free, together.only, together.can_be_parted) == (2, 1, None, True)
    assert sorted(marker.state for marker in apart) == ["busy", "free"]


def test_those_of_one_address_cannot_be_parted(place):
    place(STOCKHOLM), place(STOCKHOLM)
    (together,) = markers(around(STOCKHOLM))
    assert (together.count, together.can_be_parted) == (2, False)


def test_what_vanished_is_on_no_map(place):
    place(STOCKHOLM, vanished_at=NOW)
    assert markers(around(STOCKHOLM)) == []


@pytest.mark.parametrize("at", [STOCKHOLM, (-179.9, -75), (179.9, 79), (0, 0)])
def test_moving_there_and_back_shows_the_same(at):
    view = around(at)
    back = view.moved(closer=2).moved(closer=0.5)
    assert (round(back.x, 6), round(back.width, 6)) == (round(view.x, 6), round(view.width, 6))
    assert Box.read(str(view.box))


def test_a_map_of_many_has_few_markers_and_takes_two_queries(party):
    sent = {"body": b"{}", "version": "2.2.1", "content_hash": b"", "last_updated": NOW, "received_at": NOW}
    Location.objects.bulk_create(
        Location(
            party=Party(pk=party.pk), ocpi_id=f"L-{number}", address="-", city="-", country="SWE",
            longitude=10 + number % 97 / 10, latitude=50 + number % 89 / 10, **sent,
        )
        for number in range(2000)
    )  # fmt: skip

    with CaptureQueriesContext(connection) as queries:
        found = markers(View.around(Box(9, 49, 21, 60)))

    assert sum(marker.count for marker in found) == 2000
    assert len(found) <= COLUMNS * ROWS
    assert len(queries) <= 2
