import socket
import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from django.db import connections
from django.utils import timezone

from apps.locations.models import Location
from apps.locations.pull import PULL as LOCATIONS
from apps.partners.models import Endpoint, Feed, Partner, Quarantined
from apps.partners.pull import INTERVALS, OVERLAP, Pull, open_feeds, pull_due, pull_partner, want
from apps.simulator.interfaces import SENT
from apps.simulator.server import Simulator
from emsp.intakes import PULLS
from tests.partners.mirrors import NOW, TOKEN, connect, encoded, example, location, make_partner

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def cpo(tmp_path):
    with Simulator(tmp_path) as simulator:
        simulator.memory.put(tokens_of_emsp=[TOKEN])
        yield simulator


@pytest.fixture
def partner(cpo, settings):
    settings.OCPI_PRIVATE_HOSTS = ["127.0.0.1"]
    partner = connect(make_partner(), cpo.url)
    open_feeds(partner, NOW)
    return partner


@pytest.fixture
def feed(partner):
    return Feed.objects.get(partner=partner, module="locations")


def pull(partner, now=NOW, **how):
    return pull_partner(LOCATIONS, partner, now, **how)


def counts(seen, **others):
    return dict.fromkeys(("stored", "unchanged", "stale", "quarantined"), 0) | {
        "seen": seen, "complete": True, "error": "", **others
    }  # fmt: skip


def asked(cpo):
    return [request.query for request in cpo.requests.copy() if request.path.endswith("/locations")]


def moment(text):
    return datetime.fromisoformat(text)


def test_what_a_partner_offers_is_pulled_from_the_handshake_on(partner):
    feeds = {feed.module: feed for feed in Feed.objects.all()}
    assert feeds.keys() == {"tariffs", "locations"}
    assert {feed.due_at for feed in feeds.values()} == {NOW}
    assert feeds["locations"].interval == INTERVALS["locations"]


def test_a_second_handshake_keeps_how_far_we_are_and_what_staff_set(partner, feed):
    Feed.objects.update(interval=DAY, watermark=NOW - DAY, due_at=NOW + DAY, resume={"url": "https://old.example"})
    open_feeds(partner, NOW + HOUR)
    feed.refresh_from_db()
    assert (feed.interval, feed.watermark, feed.due_at, feed.resume) == (DAY, NOW - DAY, NOW + HOUR, {})


def test_the_first_pull_asks_for_everything_and_the_mark_stays_behind_the_newest(cpo, partner, feed):
    newest = "2026-03-05T10:00:00Z"
    cpo.serve("locations", [location(id="A"), location(id="B", last_updated=newest)])
    assert pull(partner) == counts(2, stored=2)
    assert "date_from" not in asked(cpo)[0]
    feed.refresh_from_db()
    assert feed.watermark == moment(newest) - OVERLAP
    assert (feed.failures, feed.attempts, feed.leased_until, feed.last_error) == (0, 0, None, "")
    assert feed.last_outcome == counts(2, stored=2)
    assert timedelta() <= feed.due_at - feed.last_good_at - feed.interval <= feed.interval / 5
    assert timedelta() <= feed.last_good_at - NOW < timedelta(seconds=30)


@pytest.mark.ocpi("TR-20")
def test_the_next_asks_for_what_changed_since_and_writes_nothing_again(cpo, partner, feed):
    cpo.serve("locations", [location(id="A"), location(id="B", last_updated="2026-03-05T10:00:00Z")])
    pull(partner)
    before = list(Location.objects.order_by("pk").values())
    assert pull(partner, NOW + HOUR) == counts(1, unchanged=1)
    assert asked(cpo)[-1] == {"date_from": "2026-03-05T09:45:00Z"}
    assert list(Location.objects.order_by("pk").values()) == before


@pytest.mark.ocpi("TR-20")
def test_the_mark_is_not_behind_the_beginning_of_the_pull_by_their_clock(cpo, partner, feed):
    cpo.serve("locations", [location(last_updated="2099-01-01T00:00:00Z")])
    pull(partner)
    feed.refresh_from_db()
    assert abs(feed.watermark - (datetime.now(feed.watermark.tzinfo) - OVERLAP)) < timedelta(minutes=1)


def test_nothing_new_leaves_the_mark(cpo, partner, feed):
    Feed.objects.update(watermark=NOW, last_full_at=NOW)
    cpo.serve("locations", [])
    assert pull(partner, NOW + HOUR) == counts(0)
    feed.refresh_from_db()
    assert (feed.watermark, feed.last_full_at) == (NOW, NOW)


@pytest.mark.ocpi("TR-18")
def test_one_bad_object_costs_itself_and_the_mark_moves_on(cpo, partner, feed):
    cpo.serve("locations", [location(id="A"), *encoded(location(id="B", coordinates=None)), location(id="C")])
    assert pull(partner) == counts(3, stored=2, quarantined=1)
    assert Quarantined.objects.get().ocpi_id == "B"
    feed.refresh_from_db()
    assert feed.watermark is not None


@pytest.mark.ocpi("LOC-04")
def test_what_a_complete_list_no_longer_has_vanishes_and_comes_back(cpo, partner):
    cpo.serve("locations", [location(id=key) for key in "ABC"])
    pull(partner)
    cpo.serve("locations", [location(id="A"), *encoded(location(id="B", coordinates=None))])
    pull(partner, NOW + HOUR)
    assert not Location.objects.exclude(vanished_at=None).exists(), "a partial list says nothing of what it lacks"
    assert pull(partner, NOW + 2 * HOUR, full=True) == counts(2, unchanged=1, quarantined=1)
    gone = Location.objects.exclude(vanished_at=None).get()
    assert gone.ocpi_id == "C", "B is listed, if unreadable"
    assert gone.evses.get().status == "AVAILABLE"
    cpo.serve("locations", [location(id="C")])
    pull(partner, NOW + 3 * HOUR, full=True)
    assert Location.objects.get(ocpi_id="C").vanished_at is None


def test_too_many_at_once_do_not_vanish(cpo, partner):
    cpo.serve("locations", [location(id=f"L{number}") for number in range(20)])
    pull(partner)
    cpo.serve("locations", [location(id="L1")])
    told = pull(partner, NOW + HOUR, full=True)
    assert told["complete"]
    assert "19 of 20" in told["error"]
    assert not Location.objects.exclude(vanished_at=None).exists()


def test_an_object_that_nobody_can_name_keeps_the_others_from_vanishing(cpo, partner):
    cpo.serve("locations", [location(id="A"), location(id="B")])
    pull(partner)
    cpo.serve("locations", [location(id="A"), b'{"address": 7, "evses": []}'])
    assert "readable id" in pull(partner, NOW + HOUR, full=True)["error"]
    assert not Location.objects.exclude(vanished_at=None).exists()


def test_everything_is_read_again_once_a_day(cpo, partner):
    cpo.serve("locations", [location()])
    for hours in (0, 6, 23, 25):
        pull(partner, NOW + hours * HOUR)
    assert ["date_from" in query for query in asked(cpo)] == [False, True, True, False]


def test_documents_are_read_again_as_far_back_as_is_useful(cpo, partner, feed):
    cpo.serve("locations", [location(last_updated="2026-03-10T10:00:00Z")])
    documents = Pull(LOCATIONS.intake, again_since=7 * DAY)
    for hours in (0, 6, 25):
        pull_partner(documents, partner, NOW + hours * HOUR)
    assert [query.get("date_from", "")[:13] for query in asked(cpo)] == ["", "2026-03-10T09", "2026-03-04T13"]


def test_pages_are_followed_to_the_end(cpo, partner):
    cpo.fault("page_limit", value=2)
    cpo.serve("locations", [location(id=f"L{number}") for number in range(5)])
    assert pull(partner) == counts(5, stored=5)
    assert len(asked(cpo)) == 3


def test_a_pull_that_breaks_off_keeps_its_pages_and_goes_on_where_it_stopped(cpo, partner, feed):
    cpo.fault("page_limit", value=2)
    cpo.fault("status", value=503, module="locations", skip=2)
    cpo.serve("locations", [location(id=f"L{number}") for number in range(6)])
    told = pull(partner)
    assert (told["seen"], told["complete"]) == (4, False)
    assert "503" in told["error"]
    feed.refresh_from_db()
    assert (Location.objects.count(), feed.failures, feed.watermark, feed.last_good_at) == (4, 1, None, None)
    assert feed.leased_until is None
    cpo.faults.clear()
    cpo.fault("page_limit", value=2)
    cpo.requests.clear()
    assert pull(partner, NOW + timedelta(minutes=5)) == counts(4, stored=2, unchanged=2)
    assert asked(cpo)[0]["offset"] == "2"
    feed.refresh_from_db()
    assert (feed.failures, feed.resume, feed.last_full_at) == (0, {}, None), "what is gone, only a whole walk can tell"
    assert feed.watermark == moment(location()["last_updated"]) - OVERLAP


def test_an_old_break_is_not_resumed(cpo, partner, feed):
    cpo.fault("page_limit", value=1)
    cpo.fault("status", value=503, module="locations", skip=1, times=9)
    cpo.serve("locations", [location(id="A"), location(id="B")])
    pull(partner)
    cpo.faults.clear()
    cpo.requests.clear()
    assert pull(partner, NOW + 2 * HOUR) == counts(2, stored=1, unchanged=1)
    assert "offset" not in asked(cpo)[0]


def test_a_partner_that_does_not_answer_is_called_again_after_a_while(cpo, partner, feed):
    cpo.fault("code", value=3000, module="locations")
    assert not pull(partner)["complete"]
    feed.refresh_from_db()
    assert "3000" in feed.last_error
    assert (feed.attempts, feed.failures, feed.leased_until) == (1, 1, None)
    assert timedelta() < feed.due_at - NOW < timedelta(minutes=1)


def test_a_partner_without_the_endpoint_says_so(partner, feed):
    Endpoint.objects.all().delete()
    told = pull(partner)
    assert (told["complete"], told["seen"]) == (False, 0)
    assert "locations" in told["error"]


def test_only_what_is_due_of_connected_partners_is_pulled(cpo, partner, feed):
    cpo.serve("locations", [location()])
    assert pull_due(LOCATIONS, NOW) == {"Laddnät": counts(1, stored=1)}
    assert pull_due(LOCATIONS, NOW + timedelta(minutes=1)) == {}
    want(feed, NOW + timedelta(minutes=2))
    assert pull_due(LOCATIONS, NOW + timedelta(minutes=2)) == {"Laddnät": counts(1, unchanged=1)}
    want(feed, NOW + timedelta(minutes=3))
    Partner.objects.update(state="DISCONNECTED")
    assert pull_due(LOCATIONS, NOW + timedelta(minutes=4)) == {}
    with pytest.raises(LookupError, match="locations"):
        pull(partner)


def test_our_own_fault_is_logged_and_does_not_stop_the_others(cpo, partner, feed, caplog):
    cpo.serve("locations", [location()])

    def vanish(partner, seen, now):
        raise ZeroDivisionError

    told = pull_due(Pull(LOCATIONS.intake, vanish), NOW)
    assert told["Laddnät"]["error"] == "our fault: ZeroDivisionError"
    assert "ZeroDivisionError" in caplog.text
    feed.refresh_from_db()
    assert (feed.failures, feed.watermark, Location.objects.count()) == (1, None, 1)


@pytest.mark.django_db(transaction=True)
def test_a_pull_by_hand_waits_for_a_running_one(cpo, partner):
    cpo.serve("locations", [location()])
    cpo.fault("slow", value=1, module="locations", times=1)

    def run():
        try:
            pull_due(LOCATIONS, NOW)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    while not asked(cpo) and thread.is_alive():
        pass
    assert pull(partner) == counts(1, unchanged=1)
    thread.join()
    assert len(asked(cpo)) == 2


def test_who_lost_the_lease_writes_nothing_more(cpo, partner, feed):
    cpo.fault("page_limit", value=1)
    cpo.serve("locations", [location(id="A"), location(id="B")])

    def put(partner, incomings, now):
        Feed.objects.update(leased_until=NOW + DAY)
        return LOCATIONS.intake.put(partner, incomings, now)

    told = pull_partner(Pull(replace(LOCATIONS.intake, put=put)), partner, NOW)
    assert "took this pull over" in told["error"]
    feed.refresh_from_db()
    assert (Location.objects.count(), feed.failures, feed.watermark) == (0, 0, None)


@pytest.mark.ocpi("LOC-10", "2.1.1")
def test_a_partner_that_speaks_2_1_1_names_no_owner(cpo, settings):
    settings.OCPI_PRIVATE_HOSTS = ["127.0.0.1"]
    old = connect(make_partner("Old", version="2.1.1"), cpo.url, "locations")
    open_feeds(old, NOW)
    cpo.serve("locations", [example("location", "2.1.1")], version="2.1.1")
    assert pull(old) == counts(1, stored=1)
    assert str(Location.objects.get().party) == "SE*LAD"


@pytest.mark.django_db(transaction=True)
def test_after_a_registration_everything_that_is_offered_can_be_pulled(cpo, registered):
    """Handshake, tokens and pull over HTTP, with what the two told each other and nothing else."""
    now = timezone.now()
    assert {feed.module for feed in registered.feeds.filter(due_at__lte=now)} == set(SENT)
    told = {name: pull_partner(PULLS[name], registered, now) for name in SENT}
    assert told["tariffs"] == counts(len(cpo.world.tariffs), stored=len(cpo.world.tariffs))
    assert told["locations"] == counts(3, stored=3)
    assert told["cdrs"] == told["sessions"] == counts(0)


def test_partners_who_do_not_answer_share_one_hand(cpo, partner, feed):
    """The one that is being asked keeps no other from its turn, but those that broke off as well."""
    cpo.serve("locations", [location()])
    silent, another = (connect(make_partner(name, ("SE", name[:3].upper())), cpo.url) for name in ("Silent", "Another"))
    for who, values in ((silent, {"leased_until": NOW + HOUR}), (another, {})):
        Feed.objects.create(partner=who, module="locations", interval=HOUR, due_at=NOW, failures=3, **values)

    assert list(pull_due(LOCATIONS, NOW)) == [str(partner)]
    Feed.objects.filter(partner=silent).update(leased_until=NOW - HOUR, due_at=None)
    assert list(pull_due(LOCATIONS, NOW)) == [str(another)]


@pytest.mark.django_db(transaction=True)
def test_partners_that_swallow_every_call_take_one_worker_and_delay_nobody_else(cpo, settings):
    """Ten that accept and say nothing, three that answer, two workers (trust F16)."""
    settings.OCPI_PRIVATE_HOSTS = ["127.0.0.1"]
    cpo.serve("locations", [])
    with socket.create_server(("127.0.0.1", 0)) as hole:
        urls = [f"http://127.0.0.1:{hole.getsockname()[1]}"] * 10 + [cpo.url] * 3
        for number, url in enumerate(urls):
            partner = connect(make_partner(f"Number {number}", ("SE", f"P{number:02}")), url)
            Feed.objects.create(partner=partner, module="locations", interval=HOUR, due_at=NOW, failures=url != cpo.url)
        hands = [threading.Thread(target=pulled_by_a_hand) for _ in range(2)]
        for hand in hands:
            hand.start()
        answered = wait_for(lambda: Feed.objects.filter(last_good_at__isnull=False).count() == 3)
        called = Feed.objects.filter(leased_until__isnull=False).count()
    for hand in hands:  # the hole is closed, so whoever waits there is told
        hand.join(30)
    assert (answered, called) == (True, 1)
    assert Feed.objects.filter(failures__gt=1).exists()


def pulled_by_a_hand():
    try:
        pull_due(LOCATIONS, timezone.now())
    finally:
        connections.close_all()


def wait_for(holds, seconds=15):
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds()


def test_a_slow_partner_is_asked_for_two_modules_at_a_time(cpo, partner, feed, django_capture_on_commit_callbacks):
    cpo.serve("locations", [location()])
    others = Feed.objects.filter(partner=partner).exclude(pk=feed.pk)
    Feed.objects.create(partner=partner, module="sessions", interval=HOUR, due_at=NOW)
    others.update(leased_until=NOW + HOUR)
    assert pull_due(LOCATIONS, NOW) == {}
    assert pull_partner(LOCATIONS, partner, NOW)["complete"], "staff need not wait"

    Feed.objects.filter(pk=feed.pk).update(due_at=NOW)
    others.update(leased_until=NOW + timedelta(minutes=5))
    assert pull_due(LOCATIONS, NOW)[str(partner)]["complete"], "who took them has not been heard of for five minutes"
    others.update(leased_until=NOW + HOUR)

    others.filter(module="tariffs").update(leased_until=None)
    Feed.objects.filter(pk=feed.pk).update(due_at=NOW)
    with django_capture_on_commit_callbacks() as rings:
        assert pull_due(LOCATIONS, NOW)[str(partner)]["complete"]
    assert len(rings) == 1, "what had to wait is rung for"


def test_who_answers_again_is_in_doubt_no_longer_from_the_first_page_on(cpo, partner, feed):
    Feed.objects.update(failures=3)
    cpo.serve("locations", [location()])
    seen = []
    watched = replace(LOCATIONS, vanish=lambda *_: seen.append(Feed.objects.get(pk=feed.pk).failures) or "")
    assert pull_partner(watched, partner, NOW)["complete"]
    assert seen == [0]
