import json
from pathlib import Path

import pytest

from apps.locations import tasks
from apps.locations.models import Connector, Evse, Location
from apps.locations.pull import PULL
from apps.partners.models import Feed, Quarantined
from apps.partners.pull import open_feeds, pull_partner
from apps.simulator.cpo import World
from apps.simulator.server import Simulator
from tests.partners.mirrors import NOW, TOKEN, connect, location, make_partner

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
