import threading
from datetime import UTC, datetime, timedelta

import pytest
from celery import Celery, current_app
from django.db import connections, transaction

from apps.partners.models import Feed, Partner
from apps.work import LONGEST_PAUSE, ring

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LEASE = 5 * MINUTE

pytestmark = pytest.mark.django_db


def make_feeds(*due_at):
    """Feeds are work like any other; only what `Due` gives them matters here."""
    partners = [Partner.objects.create(name=f"P{number}") for number in range(len(due_at))]
    return [
        Feed.objects.create(partner=partner, module="cdrs", interval=MINUTE, due_at=moment)
        for partner, moment in zip(partners, due_at, strict=True)
    ]


def test_only_what_is_due_is_taken_the_longest_waiting_first():
    late, later, _future, _unwanted = make_feeds(NOW - MINUTE, NOW - 2 * MINUTE, NOW + MINUTE, None)
    assert Feed.objects.all().claim(NOW, LEASE) == [later, late]


def test_no_more_is_taken_than_asked_for():
    first, *_ = make_feeds(NOW - MINUTE, NOW, NOW)
    assert Feed.objects.all().claim(NOW, LEASE, limit=1) == [first]


def test_an_attempt_is_counted_before_it_is_made():
    make_feeds(NOW)
    (claimed,) = Feed.objects.all().claim(NOW, LEASE)
    stored = Feed.objects.get()
    assert (claimed.attempts, claimed.leased_until) == (stored.attempts, stored.leased_until) == (1, NOW + LEASE)


def test_work_of_a_dead_worker_is_taken_again_when_its_lease_is_over():
    make_feeds(NOW)
    Feed.objects.all().claim(NOW, LEASE)
    assert Feed.objects.all().claim(NOW + LEASE, LEASE) == []
    (again,) = Feed.objects.all().claim(NOW + LEASE + timedelta(seconds=1), LEASE)
    assert again.attempts == 2


def test_a_claim_keeps_to_its_own_rows():
    mine, _other = make_feeds(NOW, NOW)
    assert Feed.objects.filter(partner=mine.partner).claim(NOW, LEASE) == [mine]


def test_pauses_grow_and_end_at_a_quarter_of_an_hour():
    pauses = [Feed(attempts=attempts).failed("no answer", NOW)["due_at"] - NOW for attempts in (1, 2, 5, 12)]
    assert pauses == [timedelta(seconds=2), timedelta(seconds=4), timedelta(seconds=32), LONGEST_PAUSE]


def test_failed_work_says_why_and_is_free_again():
    (feed,) = make_feeds(NOW)
    (claimed,) = Feed.objects.all().claim(NOW, LEASE)
    Feed.objects.filter(pk=feed.pk).update(**claimed.failed("x" * 5000, NOW))
    feed.refresh_from_db()
    assert (feed.leased_until, len(feed.last_error), feed.attempts) == (None, 2000, 1)
    assert Feed.objects.all().claim(NOW + 2 * MINUTE, LEASE) == [feed]


def test_settled_work_is_not_due_and_starts_counting_anew():
    (feed,) = make_feeds(NOW)
    (claimed,) = Feed.objects.all().claim(NOW, LEASE)
    Feed.objects.filter(pk=feed.pk).update(**claimed.settled())
    feed.refresh_from_db()
    assert (feed.due_at, feed.leased_until, feed.attempts, feed.last_error) == (None, None, 0, "")


@pytest.mark.django_db(transaction=True)
def test_no_row_is_taken_twice_by_workers_at_once():
    make_feeds(*[NOW] * 60)
    taken, start = [], threading.Barrier(6)

    def work():
        start.wait()
        while rows := Feed.objects.all().claim(NOW, LEASE, limit=4):
            taken.extend(row.pk for row in rows)
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(6)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(taken) == len(set(taken)) == 60


@pytest.mark.django_db(transaction=True)
def test_rows_that_somebody_holds_are_stepped_over_not_waited_for():
    held, free = make_feeds(NOW, NOW)
    claimed = []

    def work():
        claimed.extend(Feed.objects.all().claim(NOW, LEASE))
        connections.close_all()

    with transaction.atomic():
        Feed.objects.select_for_update().get(pk=held.pk)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(10)
    assert claimed == [free]


@pytest.fixture
def _dead_broker():
    """Nothing listens on port 1."""
    ours = current_app._get_current_object()
    with Celery("deaf", broker="redis://127.0.0.1:1/0", set_as_current=False) as deaf:
        deaf.conf.broker_transport_options = {"max_retries": 0}  # as in our settings: nobody waits for the broker
        deaf.set_current()
        yield
        ours.set_current()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_dead_broker")
def test_what_is_written_stays_when_the_bell_cannot_ring(caplog):
    with transaction.atomic():
        make_feeds(NOW)
        ring("apps.tokens.tasks.push_tokens")
    assert Feed.objects.count() == 1
    assert "Error calling" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_the_bell_rings_only_for_what_is_committed(caplog):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        ring("apps.tokens.tasks.push_tokens")
        assert len(transaction.get_connection().run_on_commit) == 1
        raise ZeroDivisionError
    assert transaction.get_connection().run_on_commit == []
