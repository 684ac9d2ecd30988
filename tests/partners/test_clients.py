"""Parties behind a hub, told and pulled, and whom nothing is sent to (mod_hub_client_info)."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from apps.ocpi.errors import PeerFailed
from apps.partners.clients import PULL, require_connected
from apps.partners.models import Client, Partner, Party, Quarantined
from apps.partners.pull import open_feeds, pull_partner
from apps.simulator.server import Simulator

from .mirrors import TOKEN, connect
from .mirrors import make_partner as connected

VERSIONS = ("2.2.1", "2.3.0")
AT = "2026-03-10T12:00:00Z"


def info(party="LAD", **changes):
    body = {"country_code": "SE", "party_id": party, "role": "CPO", "status": "CONNECTED", "last_updated": AT}
    return {name: value for name, value in (body | changes).items() if value is not None}


@pytest.fixture
def hub(transactional_db, make_partner):
    return make_partner("SE*LAD", name="Hub", role="HUB")


@pytest.fixture
def as_hub(as_partner, hub):
    return as_partner(hub)


def put(caller, body, path="SE/LAD", version="2.2.1", **how):
    return caller.call("PUT", f"hubclientinfo/{path}", version, json=body, **how)


@pytest.mark.ocpi("HCI-01", "all")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_hub_tells_of_a_party_and_reads_it_back(as_hub, version):
    answer = put(as_hub, info(status="PLANNED"), version=version)
    assert (answer.status_code, answer.json()["status_code"]) == (201, 1000)
    assert put(as_hub, info(status="OFFLINE"), version=version).status_code == 200
    back = as_hub.call("GET", "hubclientinfo/se/lad", version)
    assert back.json()["data"] == info(status="OFFLINE")
    assert not [name for name in back.headers if name.lower().startswith("ocpi-")]


@pytest.mark.ocpi("HCI-01", "all")
@pytest.mark.parametrize("version", ["2.1.1", *VERSIONS])
def test_it_is_offered_where_there_are_hubs(as_hub, version):
    endpoints = as_hub.call("GET", "", version).json()["data"]["endpoints"]
    offered = [one for one in endpoints if one["identifier"] == "hubclientinfo"]
    assert [one["role"] for one in offered] == ([] if version == "2.1.1" else ["RECEIVER"])


def test_there_are_no_hubs_in_the_oldest_version(as_hub):
    assert put(as_hub, info(), version="2.1.1").status_code == 404


def test_an_older_status_changes_nothing(as_hub):
    put(as_hub, info(status="OFFLINE"))
    assert put(as_hub, info(last_updated="2026-03-09T12:00:00Z")).json()["status_code"] == 1000
    assert Client.objects.get().status == "OFFLINE"


def test_the_date_may_be_missing_as_in_the_example_of_the_specification(as_hub):
    assert put(as_hub, info(last_updated=None)).json()["status_code"] == 1000
    assert timezone.now() - Client.objects.get().last_updated < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("body", "named"), [(info("OTH"), "party_id"), (info(status=None), "status"), (info(role="X" * 30), "stored")]
)
def test_what_cannot_be_taken_is_refused_with_the_reason(as_hub, body, named):
    answer = put(as_hub, body).json()
    assert answer["status_code"] == 2001
    assert named in answer["status_message"]
    assert not Client.objects.exists()


def test_whoever_is_no_hub_tells_of_nobody(as_partner, make_partner, hub):
    Party.objects.update(partner=None)
    caller = as_partner(make_partner("SE*ZZZ"))
    assert put(caller, info()).json()["status_code"] == 2000
    assert not Client.objects.exists()


def test_a_party_that_a_hub_did_not_tell_of_is_unknown(as_hub):
    assert as_hub.call("GET", "hubclientinfo/SE/OTH").status_code == 404


def test_a_new_party_behind_a_hub_waits_for_staff_and_a_connected_one_stays_where_it_is(as_hub, hub, make_partner):
    direct = make_partner("SE*DIR", name="Direct")
    for party in ("NEW", "DIR"):
        put(as_hub, info(party), f"SE/{party}")
    assert Party.objects.get(party_id="NEW").claimed_by == hub
    kept = Party.objects.get(party_id="DIR")
    assert (kept.partner, kept.claimed_by) == (direct, None)
    require_connected(direct, [kept])


@pytest.fixture
def listing(tmp_path, settings, transactional_db):
    """A hub of which we know where its list is, and nothing else."""
    settings.OCPI_PRIVATE_HOSTS = ["127.0.0.1"]
    with Simulator(tmp_path, hub="NL*HUB") as simulator:
        simulator.memory.put(tokens_of_emsp=[TOKEN])
        hub = connect(connected("Hub", role=Partner.Role.HUB), simulator.url, "hubclientinfo")
        open_feeds(hub, timezone.now())
        yield simulator, hub


@pytest.mark.ocpi("HCI-01")
def test_the_list_of_a_hub_is_pulled_and_what_it_no_longer_names_is_gone(listing):
    simulator, hub = listing
    told = pull_partner(PULL, hub, timezone.now(), full=True)
    assert (told["seen"], told["stored"], told["quarantined"], told["complete"]) == (2, 2, 0, True)
    assert [str(row) for row in Client.objects.all()] == ["DE*LAD CPO", "SE*LAD CPO"]
    simulator.serve("hubclientinfo", [info("BBB", status="OFFLINE"), info("CCC", role=None)])
    told = pull_partner(PULL, hub, timezone.now(), full=True)
    assert (told["seen"], told["stored"], told["quarantined"], told["complete"]) == (2, 1, 1, True)
    assert Quarantined.objects.get().module == "hubclientinfo"
    simulator.serve("hubclientinfo", [info("BBB")])
    pull_partner(PULL, hub, timezone.now(), full=True)
    assert [str(row) for row in Client.objects.all()] == ["SE*BBB CPO"]
    sent = [request for request in simulator.requests.copy() if request.path.endswith("hubclientinfo")]
    assert sent
    assert not [name for request in sent for name in request.headers if name.lower().startswith("ocpi-")]


@pytest.mark.ocpi("HCI-02", "all")
@pytest.mark.parametrize("status", ["OFFLINE", "PLANNED", "SUSPENDED"])
@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_goes_to_a_party_that_its_hub_calls_away_until_it_is_back(as_hub, hub, status, version):
    put(as_hub, info(status=status), version=version)
    with pytest.raises(PeerFailed, match=rf"SE\*LAD is {status.lower()}, says Hub"):
        require_connected(hub, hub.parties.all())
    put(as_hub, info(), version=version)
    require_connected(hub, hub.parties.all())


def test_a_hub_gets_our_cards_as_long_as_somebody_behind_it_is_there(as_hub, hub):
    Party.objects.create(country_code="SE", party_id="BBB", partner=hub)
    put(as_hub, info(status="OFFLINE"))
    require_connected(hub, hub.parties.all())


def test_a_status_is_of_its_own_time(as_hub):
    put(as_hub, info())
    assert Client.objects.get().last_updated == datetime(2026, 3, 10, 12, tzinfo=UTC)
