import pytest
from django.db import DataError, OperationalError

from apps.locations.models import Location
from apps.locations.store import INTAKE
from apps.ocpi.errors import InvalidObject, OcpiError
from apps.partners.models import Party, Quarantined
from apps.partners.taking import Intake, Outcome, Stored, take
from tests.partners.mirrors import NOW, V211, V221, encoded, example, location, make_partner

pytestmark = pytest.mark.django_db


@pytest.fixture
def partner():
    return make_partner()


def outcomes(taken):
    return [one.outcome for one in taken]


def test_one_bad_object_of_a_page_costs_itself_alone(partner):
    bodies = encoded(location(id="A"), location(id="B", coordinates=None), location(id="C"))
    taken = take(INTAKE, partner, V221, [*bodies, b'{"id": "D", '], NOW)
    assert outcomes(taken) == ["created", "refused", "created", "refused"]
    assert list(Location.objects.order_by("ocpi_id").values_list("ocpi_id", flat=True)) == ["A", "C"]
    kept = Quarantined.objects.get(ocpi_id="B")
    assert (bytes(kept.body), kept.module, kept.version) == (bodies[1], "locations", "2.2.1")
    assert ["coordinates", "required"] in kept.reasons
    assert taken[1].quarantined == kept.pk


def test_what_becomes_of_each_is_told_in_the_order_sent(partner):
    take(INTAKE, partner, V221, encoded(location(id="B"), location(id="C")), NOW)
    newer, older = "2026-03-02T06:00:00Z", "2026-02-01T06:00:00Z"
    bodies = encoded(location(id="C", name="?", last_updated=older), location(id="A"), location(id="B"))
    taken = take(INTAKE, partner, V221, [*bodies, *encoded(location(id="B", name="!", last_updated=newer))], NOW)
    assert outcomes(taken) == ["stale", "created", "stale", "updated"]


def test_of_one_key_in_a_page_the_newest_counts_and_of_equals_the_last(partner):
    bodies = encoded(
        location(name="newest", last_updated="2026-03-03T00:00:00Z"),
        location(id="loc-7", name="old", last_updated="2026-03-01T00:00:00Z"),
        location(id="X", name="first"),
        location(id="x", name="last"),
    )
    taken = take(INTAKE, partner, V221, bodies, NOW)
    assert sorted(Location.objects.values_list("name", flat=True)) == ["last", "newest"]
    assert outcomes(taken) == ["created", "stale", "stale", "created"]
    assert taken[0].row == taken[1].row


def test_every_copy_goes_to_a_room_where_the_first_one_counts(partner):
    seen = []

    def put(partner, incomings, now):
        seen.extend(one.object.name for one in incomings)
        return [Stored(Outcome.CREATED, one.object.name) for one in incomings]

    intake = Intake("locations", "location", put, newest_only=False)
    bodies = encoded(location(id="B", name="1"), location(id="A", name="2"), location(id="b", name="3"))
    taken = take(intake, partner, V221, bodies, NOW)
    assert seen == ["2", "1", "3"]
    assert [one.row for one in taken] == ["1", "2", "3"]


@pytest.mark.control("S14")
def test_a_partner_speaks_for_its_own_parties_alone(partner):
    Party.objects.create(country_code="SE", party_id="FOE")
    bodies = encoded(
        location(id="A", party_id="FOE"), location(id="B", party_id="NIL"), location(id="C", party_id="lad")
    )
    assert outcomes(take(INTAKE, partner, V221, bodies, NOW)) == ["refused", "refused", "created"]
    assert set(Quarantined.objects.values_list("ocpi_id", "code")) == {("A", "V-05"), ("B", "V-05")}
    assert Location.objects.get().party == partner.parties.get()


@pytest.mark.control("S17")
def test_parties_behind_a_hub_are_its_own():
    hub = make_partner("Hub", ("SE", "LAD"), ("DE", "LAD"), role="HUB")
    bodies = encoded(location(), location(country_code="DE"))
    assert outcomes(take(INTAKE, hub, V221, bodies, NOW)) == ["created", "created"]
    assert {str(place.party) for place in Location.objects.select_related("party")} == {"SE*LAD", "DE*LAD"}


@pytest.mark.control("S14")
def test_what_the_url_says_holds(partner):
    ours = partner.parties.get()
    other = Party.objects.create(country_code="DE", party_id="LAD", partner=partner)
    (foreign,) = take(INTAKE, partner, V221, encoded(location()), NOW, owner=other, context={"id": "loc-7"})
    assert (foreign.outcome, [problem.path for problem in foreign.problems]) == ("refused", ["party_id"])
    (misnamed,) = take(INTAKE, partner, V221, encoded(location(name="!")), NOW, context={"id": "LOC-8"})
    assert [problem.path for problem in misnamed.problems] == ["id"]
    (right,) = take(INTAKE, partner, V221, encoded(location()), NOW, owner=ours, context={"id": "loc-7"})
    assert right.outcome == "created"


@pytest.mark.ocpi("LOC-10", "2.1.1")
def test_where_a_version_names_no_owner_it_is_the_connections(partner):
    (taken,) = take(INTAKE, partner, V211, encoded(example("location", "2.1.1")), NOW)
    assert taken.require().outcome == "created"
    assert str(Location.objects.get().party) == "SE*LAD"


def test_a_row_that_does_not_fit_is_found_and_the_others_are_stored(partner):
    def put(partner, incomings, now):
        if any(one.object.name == "poison" for one in incomings):
            raise DataError("numeric field overflow\nDETAIL: more")
        return INTAKE.put(partner, incomings, now)

    bodies = encoded(*(location(id=f"L{number}", name="poison" if number == 5 else "fine") for number in range(8)))
    taken = take(Intake("locations", "location", put), partner, V221, bodies, NOW)
    assert outcomes(taken) == ["created"] * 5 + ["refused"] + ["created"] * 2
    assert Quarantined.objects.get().reasons == [["", "cannot be stored: numeric field overflow"]]


def test_what_nobody_foresaw_is_ours_and_the_bytes_are_kept(partner, caplog):
    def put(partner, incomings, now):
        raise ZeroDivisionError

    (taken,) = take(Intake("locations", "location", put), partner, V221, encoded(location()), NOW)
    assert taken.outcome == "failed"
    assert "ZeroDivisionError" in caplog.text
    with pytest.raises(OcpiError) as told:
        taken.require()
    assert told.value.status_code == 3000
    assert Quarantined.objects.get().state == "OPEN"


def test_a_database_that_fails_is_no_fault_of_the_object(partner):
    def put(partner, incomings, now):
        raise OperationalError("deadlock detected")

    with pytest.raises(OperationalError):
        take(Intake("locations", "location", put), partner, V221, encoded(location()), NOW)
    assert not Quarantined.objects.exists()


def test_the_sender_is_told_every_reason(partner):
    (taken,) = take(INTAKE, partner, V221, encoded(location(coordinates=None, city=None)), NOW)
    with pytest.raises(InvalidObject) as told:
        taken.require()
    assert {problem.path for problem in told.value.problems} == {"coordinates", "city"}
    assert told.value.status_code == 2001
