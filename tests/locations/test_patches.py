import random
import threading
from datetime import datetime, timedelta

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from apps.locations import rows
from apps.locations.models import Connector, Evse, Location
from apps.locations.patches import patch_connector, patch_evse, patch_location
from apps.ocpi.errors import InvalidObject, UnknownLocation
from apps.ocpi.objects import Party
from apps.partners.models import Feed
from tests.partners.mirrors import NOW, V211, V221, V230, encoded, evse, example, location

pytestmark = pytest.mark.django_db
OWNER = Party("SE", "LAD")
HOUR = timedelta(hours=1)
AT, NEWER, OLDER = "2026-03-01T06:00:00Z", "2026-03-02T06:00:00Z", "2026-02-01T06:00:00Z"


def moment(text):
    return datetime.fromisoformat(text)


@pytest.fixture
def known(put):
    put(location())


@pytest.fixture
def send(party):
    """PATCH the level that `path` leads to."""
    levels = {
        1: ("location_patch", patch_location),
        2: ("evse_patch", patch_evse),
        3: ("connector_patch", patch_connector),
    }

    def send(path, body, version=V221):
        ids = path.split("/")
        kind, room = levels[len(ids)]
        (body,) = encoded(body)
        return str(room(party, *ids, version.read(kind, body, OWNER).object, NOW))

    return send


def test_a_status_changes_the_status_and_raises_its_location(known, send):
    assert send("LOC-7/LAD-7-1", {"status": "CHARGING", "last_updated": NEWER}) == "updated"
    part, place = Evse.objects.get(), Location.objects.get()
    assert (part.status, part.last_updated, place.last_updated) == ("CHARGING", moment(NEWER), moment(NEWER))
    assert part.details["floor_level"] == "-1"


def test_a_status_is_one_statement(known, send):
    """Prepared, so it is not among what Django captures; PostgreSQL counts how often it ran."""

    def runs():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT sum(generic_plans + custom_plans) FROM pg_prepared_statements WHERE statement LIKE %s",
                ["%UPDATE locations_evse%"],
            )
            return cursor.fetchone()[0] or 0

    before = runs()
    with CaptureQueriesContext(connection) as queries:
        send("loc-7/lad-7-1", {"status": "CHARGING", "last_updated": NEWER})
    assert (runs() - before, len(queries)) == (1, 0)


def test_older_is_told_so_and_changes_nothing(known, send):
    assert send("LOC-7/LAD-7-1", {"status": "CHARGING", "last_updated": OLDER}) == "stale"
    assert Evse.objects.get().status == "AVAILABLE"
    assert Location.objects.get().last_updated == moment(AT)


@pytest.mark.ocpi("TR-37")
@pytest.mark.ocpi("TR-30")
def test_null_clears_and_what_is_absent_stays(known, send):
    send("LOC-7/LAD-7-1", {"floor_level": None, "physical_reference": "8B", "last_updated": NEWER})
    part = Evse.objects.get()
    assert "floor_level" not in part.details
    assert (part.details["physical_reference"], part.status, part.evse_id) == ("8B", "AVAILABLE", "SE*LAD*E7*1")
    send("LOC-7/LAD-7-1", {"evse_id": None, "last_updated": NEWER})
    part.refresh_from_db()
    assert (part.evse_id, "evse_id" in part.details) == ("", False)


@pytest.mark.parametrize("version", [V211, V230], ids=str)
def test_the_same_patch_in_three_versions_gives_the_same_rows(version, known, send, put):
    def rows_after(version):
        Location.objects.all().delete()
        put(location())
        assert (
            send("LOC-7/LAD-7-1", example("evse_patch", version.number) | {"capabilities": None}, version) == "updated"
        )
        part = Evse.objects.get()
        assert (part.status, part.details["floor_level"], "capabilities" in part.details) == ("CHARGING", "2", False)
        return part.evse_id, part.details, part.last_updated, Location.objects.get().last_updated

    assert rows_after(version) == rows_after(V221)


def test_in_2_1_1_a_patch_may_come_without_its_time(known, send):
    assert send("LOC-7/LAD-7-1", {"status": "BLOCKED"}, V211) == "updated"
    part = Evse.objects.get()
    assert (part.status, part.last_updated) == ("BLOCKED", moment(AT))


def test_connectors_in_a_patch_are_the_complete_list(known, send):
    plug = evse()["connectors"][0]
    send("LOC-7/LAD-7-1", {"connectors": [plug | {"id": "2"}, plug | {"id": "3"}], "last_updated": NEWER})
    assert set(Connector.objects.values_list("ocpi_id", flat=True)) == {"2", "3"}


def test_a_removed_evse_that_says_something_again_is_back(put, send):
    put(location(evses=[evse("A"), evse("B")]))
    put(location(evses=[evse("A")], last_updated=NEWER))
    send("LOC-7/B", {"physical_reference": "x", "last_updated": "2026-03-03T00:00:00Z"})
    assert Evse.objects.get(uid="B").removed_by_us
    send("LOC-7/B", {"status": "AVAILABLE", "last_updated": "2026-03-03T00:00:00Z"})
    assert not Evse.objects.get(uid="B").removed_by_us


def test_a_location_changes_only_where_it_says(known, send):
    assert (
        send(
            "LOC-7",
            {
                "name": "Ny",
                "facilities": None,
                "coordinates": {"latitude": "1.5", "longitude": "2.5"},
                "last_updated": NEWER,
            },
        )
        == "updated"
    )
    place = Location.objects.get()
    assert (place.name, place.city, "facilities" in place.details, place.latitude) == ("Ny", "Stockholm", False, 1.5)
    whole = rows.canonical_location(place)
    assert (whole["name"], whole["last_updated"], whole["coordinates"]["longitude"]) == ("Ny", moment(NEWER), "2.5")
    assert send("LOC-7", {"name": "Old", "last_updated": OLDER}) == "stale"


@pytest.mark.ocpi("LOC-09")
def test_evses_in_a_patch_are_changed_or_added_and_the_others_stay(put, send):
    put(location(evses=[evse("A"), evse("B")]))
    changes = [{"uid": "a", "status": "CHARGING", "last_updated": NEWER}, evse("C", last_updated=NEWER)]
    send("LOC-7", {"evses": changes, "last_updated": NEWER})
    assert dict(Evse.objects.values_list("uid", "status")) == {"A": "CHARGING", "B": "AVAILABLE", "C": "AVAILABLE"}


def test_a_new_evse_in_a_patch_must_be_whole(known, send):
    with pytest.raises(InvalidObject) as told:
        send("LOC-7", {"evses": [{"uid": "C", "status": "CHARGING"}], "name": "?", "last_updated": NEWER})
    assert {problem.path for problem in told.value.problems} == {"evses[C].connectors"}
    assert Location.objects.get().name == "Sjöstaden", "nothing of a refused message is stored"


def test_a_connector_raises_its_parents(known, send):
    assert send("LOC-7/LAD-7-1/1", {"max_amperage": 16, "tariff_ids": None, "last_updated": NEWER}) == "updated"
    plug = Connector.objects.get()
    assert (plug.max_amperage, plug.tariff_ids, plug.max_voltage) == (16, [], 920)
    assert Evse.objects.get().last_updated == Location.objects.get().last_updated == moment(NEWER)
    assert send("LOC-7/LAD-7-1/1", {"max_amperage": 8, "last_updated": OLDER}) == "stale"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("LOC-7/LAD-7-1", {"uid": "OTHER"}),
        ("LOC-7", {"id": "LOC-8"}),
        ("LOC-7", {"party_id": "FOE"}),
        ("LOC-7/LAD-7-1/1", {"id": "2"}),
    ],
)
def test_a_patch_cannot_change_who_something_is(path, body, known, send):
    with pytest.raises(InvalidObject, match="not the one of the URL"):
        send(path, body | {"last_updated": NEWER})


@pytest.mark.parametrize("path", ["NO", "NO/LAD-7-1", "LOC-7/NO", "LOC-7/LAD-7-1/NO", "LOC-7/NO/1"])
def test_what_we_lack_is_2003_and_pulled(path, known, send, partner):
    feed = Feed.objects.create(
        partner=partner, module="locations", interval=HOUR, due_at=NOW + HOUR, last_good_at=NOW - HOUR
    )
    with pytest.raises(UnknownLocation) as told:
        send(path, {"last_updated": NEWER})
    assert (told.value.http_status, told.value.status_code) == (404, 2003)
    feed.refresh_from_db()
    assert feed.due_at == NOW


@pytest.mark.django_db(transaction=True)
def test_the_newest_status_wins_from_threads(put, send):
    """Eight senders, thirty statuses each, all of one EVSE in any order: the newest stays."""
    put(location())
    statuses = ["AVAILABLE", "BLOCKED", "CHARGING", "RESERVED", "UNKNOWN"]
    messages = [
        {
            "status": statuses[number % 5],
            "physical_reference": str(number),
            "last_updated": f"2026-03-02T06:{number // 60:02}:{number % 60:02}Z",
        }
        for number in range(240)
    ]
    newest = messages[-1]
    random.Random(4).shuffle(messages)
    errors = []

    def run(mine):
        try:
            [send("LOC-7/LAD-7-1", message) for message in mine]
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[messages[number::8]]) for number in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert errors == []
    part, place = Evse.objects.get(), Location.objects.get()
    assert (part.status, part.details["physical_reference"]) == (newest["status"], newest["physical_reference"])
    assert part.last_updated == place.last_updated == moment(newest["last_updated"])
