import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from apps.locations import tasks
from apps.locations.models import Connector, Evse, Location
from apps.locations.pull import PULL
from apps.locations.refreshing import refresh
from apps.ocpi.errors import PeerFailed
from apps.ocpi.versions import VERSIONS
from apps.partners.models import Feed, Quarantined
from apps.partners.pull import open_feeds, pull_partner
from apps.simulator.cpo import World
from apps.simulator.server import Simulator
from tests.admin.conftest import admin, as_role
from tests.admin.test_acts import act
from tests.partners.mirrors import NOW, TOKEN, connect, location, make_partner

__all__ = ["admin", "as_role"]
pytestmark = pytest.mark.django_db
REAL = Path(__file__).parents[3] / "shared/data/real-feeds/slb_locations_page1.json"


@pytest.fixture
def cpo(tmp_path, settings):
    settings.OCPI_PRIVATE_HOSTS = ["127.0.0.1"]
    with Simulator(tmp_path, world=World.make(locations=60, evses=200)) as simulator:
        simulator.memory.put(tokens_of_emsp=[TOKEN])
        yield simulator


@pytest.fixture
def connected(cpo):
    def connected(*parties):
        partner = connect(make_partner("CPO", *parties), cpo.url, "locations")
        open_feeds(partner, NOW)
        return partner

    return connected


def levels():
    return Location.objects.count(), Evse.objects.count(), Connector.objects.count()


def test_a_world_is_pulled_once_and_then_only_compared(cpo, connected):
    partner = connected(("SE", "LAD"), ("DE", "LAD"))
    first = pull_partner(PULL, partner, NOW)
    assert (first["seen"], first["stored"], first["complete"]) == (60, 60, True)
    assert levels()[:2] == (60, 200)
    again = pull_partner(PULL, partner, NOW, full=True)
    assert (again["seen"], again["unchanged"]) == (60, 60)


def test_a_status_that_was_never_pushed_comes_with_the_next_pull(cpo, connected):
    partner = connected(("SE", "LAD"), ("DE", "LAD"))
    pull_partner(PULL, partner, NOW)
    place = next(iter(cpo.world.locations.values()))
    uid = place["evses"][0]["uid"]
    cpo.interfaces.put("locations", cpo.world.set_status(place["id"], uid, "OUTOFORDER", "2026-03-10T11:00:00Z"))
    told = pull_partner(PULL, partner, NOW)
    assert told["stored"] == 1
    assert Evse.objects.get(location__ocpi_id=place["id"], uid=uid).status == "OUTOFORDER"


def test_the_task_pulls_what_is_due(cpo, connected):
    connected(("SE", "LAD"), ("DE", "LAD"))
    assert tasks.pull_due()["CPO"]["stored"] == 60
    assert tasks.pull_due() == {}
    assert Feed.objects.get().failures == 0


def test_what_is_odd_in_a_feed_is_written_down_and_nothing_of_it_lost(cpo, connected):
    odd = location(id="ODD", facilities=["SAUNA"], coordinates={"latitude": "59.3", "longitude": "18.123456789012345"})
    odd["evses"][0]["tariffs"] = [{"id": "T", "elements": [{"restrictions": [{"start_time": "08:00:00"}]}]}]
    cpo.serve("locations", [odd])
    assert pull_partner(PULL, connected(("SE", "LAD")), NOW)["stored"] == 1
    place = Location.objects.get()
    assert [path for path, _ in place.warnings] == ["facilities[0]"]
    assert json.loads(bytes(place.body))["evses"][0]["tariffs"] == odd["evses"][0]["tariffs"]
    assert str(place.longitude) == "18.123456789012345"


@pytest.mark.outside
@pytest.mark.skipif(not REAL.exists(), reason="the project stands alone")
def test_a_real_feed_is_pulled_whole(cpo, connected):
    """100 locations with 273 EVSEs of a CPO in Ludwigsburg, as it published them."""
    published = json.loads(REAL.read_bytes())["items"]
    cpo.serve("locations", published)
    told = pull_partner(PULL, connected(("DE", "SLB")), NOW)
    assert (told["seen"], told["stored"], told["quarantined"]) == (100, 100, 0)
    assert levels() == (100, 273, sum(len(part["connectors"]) for place in published for part in place["evses"]))
    kept = {place.ocpi_id: json.loads(bytes(place.body)) for place in Location.objects.all()}
    assert kept == {place["id"]: place for place in published}
    assert all("tariffs" in part for place in kept.values() for part in place["evses"])
    assert not Quarantined.objects.exists()
    assert pull_partner(PULL, Feed.objects.get().partner, NOW, full=True)["unchanged"] == 100


@pytest.mark.ocpi("LOC-12", "all")
@pytest.mark.parametrize("version", list(VERSIONS))
def test_one_location_is_fetched_by_itself(version, cpo):
    cpo.speak(version)
    partner = connect(make_partner("CPO", ("SE", "LAD"), version=version), cpo.url, "locations")
    party, place = partner.parties.get(), next(iter(cpo.world.locations.values()))
    key, uid = place["id"], place["evses"][0]["uid"]
    assert refresh(party, key, NOW).outcome == "created"
    assert refresh(party, key.lower(), NOW).outcome == "unchanged"
    cpo.interfaces.put("locations", cpo.world.set_status(key, uid, "OUTOFORDER", "2026-03-10T11:00:00Z"))
    said = StringIO()
    call_command("partner", "fetch", "SE*LAD", key, "--json", stdout=said)
    assert json.loads(said.getvalue()) == {"location": key, "outcome": "updated", "reasons": []}
    assert Evse.objects.get(uid=uid).status == "OUTOFORDER"
    assert {request.path for request in cpo.requests} == {
        f"/ocpi/{version}/locations/{name}" for name in (key, key.lower())
    }
    assert Location.objects.count() == 1


def test_staff_fetch_a_location_from_its_page(cpo, admin):
    partner = connect(make_partner("CPO", ("SE", "LAD")), cpo.url, "locations")
    place = next(iter(cpo.world.locations.values()))
    refresh(partner.parties.get(), place["id"], NOW)
    known = Location.objects.get()
    assert "Nothing had changed" in act(admin, known, "fetch")
    cpo.interfaces.put(
        "locations",
        cpo.world.set_status(place["id"], place["evses"][0]["uid"], "OUTOFORDER", "2026-03-10T11:00:00Z"),
    )
    assert "something had changed" in act(admin, known, "fetch")
    cpo.fault("status", value=500, module="locations")
    assert "It did not come: HTTP 500" in act(admin, known, "fetch")


@pytest.mark.ocpi("LOC-12")
def test_a_location_that_does_not_come_as_it_was_asked_for_changes_nothing(cpo):
    partner = connect(make_partner("CPO", ("SE", "LAD")), cpo.url, "locations")
    party, key = partner.parties.get(), next(iter(cpo.world.locations))
    with pytest.raises(PeerFailed, match="HTTP 404, OCPI 2003: there is no such location"):
        refresh(party, "L/Å?", NOW)
    assert cpo.requests[-1].target.endswith("/locations/L%2F%C3%85%3F")
    cpo.fault("altered", module="locations", value={"id": "OTHER"})
    other = refresh(party, key, NOW)
    assert (other.outcome, Quarantined.objects.get().ocpi_id) == ("refused", "OTHER")
    assert [str(problem) for problem in other.problems] == ["id: OTHER is not the one of the URL"]
    assert not Location.objects.exists()
