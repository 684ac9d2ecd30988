import threading
from datetime import datetime, timedelta

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from apps.locations import rows
from apps.locations.models import Connector, Evse, Location
from apps.locations.store import put_connector, put_evse
from apps.ocpi.errors import UnknownLocation
from apps.ocpi.objects import Party
from apps.partners.models import Feed
from tests.partners.mirrors import NOW, V211, V221, V230, encoded, evse, example, location

pytestmark = pytest.mark.django_db
OWNER = Party("SE", "LAD")
HOUR = timedelta(hours=1)
AT = "2026-03-01T06:00:00Z"
NEWER, OLDER = "2026-03-02T06:00:00Z", "2026-02-01T06:00:00Z"


def moment(text):
    return datetime.fromisoformat(text)


def read_evse(uid="LAD-7-1", **changes):
    (body,) = encoded(evse(uid, **changes))
    return V221.read_evse(body, OWNER).object


def all_rows():
    """What is stored, without what our tables add."""
    ours = {"id", "party_id", "location_id", "evse_id", "received_at", "body", "version", "publish", "content_hash"}
    return [
        [
            {name: value for name, value in row.items() if name not in ours}
            for row in model.objects.order_by("pk").values()
        ]
        for model in (Location, Evse, Connector)
    ]


def test_every_level_has_its_row_and_columns(put):
    assert put(location()) == ["created"]
    place, part, plug = Location.objects.get(), Evse.objects.get(), Connector.objects.get()
    assert (place.ocpi_id, place.name, place.city, place.country) == ("LOC-7", "Sjöstaden", "Stockholm", "SWE")
    assert (str(place.latitude), str(place.longitude)) == ("59.329300000000000", "18.068500000000000")
    assert (place.time_zone, place.publish, place.last_updated) == ("Europe/Stockholm", True, moment(AT))
    assert bytes(place.body) == encoded(location())[0]
    assert (part.uid, part.evse_id, part.status, part.removed_by_us) == ("LAD-7-1", "SE*LAD*E7*1", "AVAILABLE", False)
    assert (plug.ocpi_id, plug.max_voltage, plug.max_amperage, plug.tariff_ids) == ("1", 920, 500, ["DAY"])


@pytest.mark.parametrize("version", [V211, V230], ids=str)
def test_the_same_location_in_three_versions_gives_the_same_rows(version, put):
    put(location())
    first = all_rows()
    Location.objects.all().delete()
    assert put(example("location", version.number), version=version) == ["created"]
    assert all_rows() == first


def test_what_is_put_together_again_is_what_was_put(put):
    put(location())
    again = V221.write("location", rows.canonical_location(Location.objects.get()))
    assert again == location()


def test_the_same_again_writes_nothing(put):
    put(location())
    before = all_rows()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert put(location(), at=NOW + HOUR) == ["unchanged"]
    assert all_rows() == before
    assert not [query for query in queries.captured_queries if query["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]


def test_older_changes_nothing_but_evses_that_are_newer(put):
    put(location(evses=[evse("A"), evse("B")]))
    stale = location(name="Old", last_updated=OLDER, evses=[evse("A", status="BLOCKED", last_updated=NEWER)])
    assert put(stale) == ["stale"]
    assert Location.objects.get().name == "Sjöstaden"
    assert dict(Evse.objects.values_list("uid", "status")) == {"A": "BLOCKED", "B": "AVAILABLE"}


@pytest.mark.ocpi("TR-28")
def test_newer_replaces_everything(put):
    put(location())
    newer = location(last_updated=NEWER, name=None, facilities=None, postal_code="1")
    assert put(newer) == ["updated"]
    place = Location.objects.get()
    assert (place.name, place.postal_code, "facilities" in place.details) == ("", "1", False)


@pytest.mark.ocpi("LOC-03")
def test_an_evse_that_a_put_leaves_out_is_removed_and_stays_readable(put):
    put(location(evses=[evse("A"), evse("B")]))
    put(location(last_updated=NEWER, evses=[evse("A")]))
    gone = Evse.objects.get(uid="B")
    assert (gone.status, gone.removed_by_us, gone.last_updated) == ("REMOVED", True, moment(NEWER))
    assert gone.connectors.count() == 1
    put(location(last_updated="2026-03-03T00:00:00Z", evses=[evse("A"), evse("B")]))
    back = Evse.objects.get(uid="B")
    assert (back.status, back.removed_by_us) == ("AVAILABLE", False)


def test_a_connector_that_an_evse_leaves_out_is_gone(put):
    plugs = evse()["connectors"]
    put(location(evses=[evse("A", connectors=[*plugs, plugs[0] | {"id": "2"}])]))
    put(location(last_updated=NEWER, evses=[evse("A", last_updated=NEWER, connectors=[plugs[0] | {"id": "2"}])]))
    assert list(Connector.objects.values_list("ocpi_id", flat=True)) == ["2"]


@pytest.mark.ocpi("TR-35")
def test_identity_has_no_case(put):
    put(location(evses=[evse("a")]))
    assert put(location(id="loc-7", last_updated=NEWER, evses=[evse("A", last_updated=NEWER)])) == ["updated"]
    assert (Location.objects.get().ocpi_id, Evse.objects.get().uid) == ("LOC-7", "a")


@pytest.mark.ocpi("LOC-13")
def test_oddities_are_kept_with_their_path_and_refuse_nothing(put):
    assert put(location(postal_code=11147, facilities=["WIFI", "SAUNA"], owner={"name": "Å" * 101})) == ["created"]
    assert {path for path, _ in Location.objects.get().warnings} == {"postal_code", "facilities[1]", "owner.name"}


@pytest.mark.ocpi("TR-39")
def test_fields_we_do_not_know_stay_in_the_body(put):
    assert put(location(evses=[evse("A", tariffs=[{"id": "T", "elements": []}])])) == ["created"]
    assert b'"tariffs": [{"id": "T"' in bytes(Location.objects.get().body)


@pytest.mark.ocpi("LOC-01", "LOC-02")
def test_a_new_evse_is_added_and_raises_its_location(put, party):
    put(location())
    stored = put_evse(party, "loc-7", read_evse("B", last_updated=NEWER), NOW)
    assert (stored.outcome, Evse.objects.count()) == ("created", 2)
    assert Location.objects.get().last_updated == moment(NEWER)
    assert put_evse(party, "LOC-7", read_evse("b", last_updated=OLDER), NOW).outcome == "stale"
    assert put_evse(party, "LOC-7", read_evse("b", last_updated=NEWER), NOW).outcome == "updated"


def test_after_a_change_below_it_the_same_location_is_written_again(put, party):
    put(location(last_updated=NEWER))
    put_evse(party, "LOC-7", read_evse(status="CHARGING", last_updated=AT), NOW)
    assert put(location(last_updated=NEWER, evses=[evse(last_updated=NEWER)])) == ["updated"]
    assert Evse.objects.get().status == "AVAILABLE"


def test_states_of_one_second_that_differ_in_the_date_of_an_evse_alone_are_two(put):
    """Of them the last to arrive counts, but for what is older in it; so what is pulled then must not look known."""

    def state(status, at):
        return location(last_updated=NEWER, evses=[evse("A", status=status, last_updated=at)])

    put(state("CHARGING", NEWER))
    put(state("AVAILABLE", AT))
    put(state("AVAILABLE", NEWER))
    assert Evse.objects.get(uid="A").status == "AVAILABLE"


@pytest.mark.ocpi("LOC-01")
def test_a_connector_raises_its_parents(put, party):
    put(location())
    (body,) = encoded(evse()["connectors"][0] | {"id": "2", "max_amperage": 16, "last_updated": NEWER})
    plug = V221.read_connector(body, OWNER).object
    assert put_connector(party, "LOC-7", "LAD-7-1", plug, NOW).outcome == "created"
    assert put_connector(party, "LOC-7", "LAD-7-1", plug, NOW).outcome == "updated"
    assert Evse.objects.get().last_updated == Location.objects.get().last_updated == moment(NEWER)
    assert Connector.objects.get(ocpi_id="2").max_amperage == 16


def test_what_we_lack_is_missed_and_pulled_but_not_all_the_time(put, partner, party):
    feed = Feed.objects.create(
        partner=partner, module="locations", interval=HOUR, due_at=NOW + HOUR, last_good_at=NOW - HOUR
    )
    with pytest.raises(UnknownLocation):
        put_evse(party, "LOC-8", read_evse(), NOW)
    feed.refresh_from_db()
    assert feed.due_at == NOW
    Feed.objects.update(due_at=NOW + HOUR, last_good_at=NOW)
    with pytest.raises(UnknownLocation):
        put_evse(party, "LOC-8", read_evse(), NOW)
    feed.refresh_from_db()
    assert feed.due_at == NOW + timedelta(minutes=5)


@pytest.mark.django_db(transaction=True)
def test_the_newest_wins_whatever_the_order_from_threads(put):
    """Twelve senders put twelve states of two locations, each in another order."""
    states = [f"2026-03-01T06:00:{second:02}Z" for second in range(12)]
    errors = []

    def send(first):
        try:
            for number in range(12):
                at = states[(first * 5 + number * 7) % 12]
                parts = [evse(uid, physical_reference=at, last_updated=at) for uid in "AB"]
                places = [location(id=key, name=at, last_updated=at, evses=parts) for key in ("X", "Y")]
                put(*(places if number % 2 else reversed(places)))
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send, args=[number]) for number in range(6)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert errors == []
    assert set(Location.objects.values_list("name", flat=True)) == {states[-1]}
    assert {part.details["physical_reference"] for part in Evse.objects.all()} == {states[-1]}
