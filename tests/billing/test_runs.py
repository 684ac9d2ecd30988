"""An invoice run is a row that wants to be finished: by whoever holds its lease, from where the last one stopped (R2)."""

from datetime import timedelta

import pytest
from django.db import connection, transaction

from apps.billing import invoicing
from apps.billing.models import Charge, Invoice, InvoiceRun, NumberSeries
from apps.billing.outcome import Outcome
from apps.billing.readiness import NotReady
from apps.work import Clock
from tests.billing.charged import NOW, OCTOBER, World

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(minutes=6)

STOPS = """
CREATE FUNCTION test_stops() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM billing_invoice) > 3 THEN
        RAISE EXCEPTION 'somebody holds a lock' USING ERRCODE = 'lock_not_available';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER stops BEFORE INSERT ON billing_invoiceline FOR EACH STATEMENT EXECUTE FUNCTION test_stops();
"""


@pytest.fixture
def world(monkeypatch):
    monkeypatch.setattr(invoicing, "ACCOUNTS_AT_ONCE", 2)
    return World()


@pytest.fixture
def accounts(world):
    """Six with a charge in Sweden each, the second without an address, the last charged in Germany too."""
    made = [world.account(f"Account {number}", street="" if number == 1 else "Gatan 1") for number in range(6)]
    for account in made:
        world.charge(account, "10")
    world.charge(made[-1], "20", "DE")
    return made


def ordered():
    (run,) = invoicing.order(OCTOBER, NOW)
    return run


def turn(now, run=None):
    """A turn at the run by a process of its own, which has claimed it now."""
    (claimed,) = InvoiceRun.objects.claim(now, invoicing.LEASE) if run is None else [run]
    return invoicing.Turn(claimed, Clock(now), Outcome(OCTOBER, is_preview=False))


def assert_all_is_issued(run):
    run.refresh_from_db()
    assert (run.accounts_done, run.accounts, run.due_at, run.leased_until) == (7, 7, None, None)
    assert run.finished_at
    assert [entry["reason"] for entry in run.left_out] == ["Account 1: lacks street (SEK)"]
    assert Invoice.objects.filter(run=run).count() == 6
    assert list(Charge.objects.filter(line=None).values_list("account__name", flat=True)) == ["Account 1"]
    assert set(NumberSeries.objects.filter(kind="INVOICE", prefix__in=["SE-", "DE-"]).values_list("next_number")) == {
        (6,),
        (2,),
    }


def test_an_ordered_run_issues_nothing_until_a_worker_takes_it(accounts):
    run = ordered()
    assert (run.accounts, run.accounts_done, Invoice.objects.count()) == (7, 0, 0)
    assert invoicing.issue_due(NOW) == {f"{run}": True}
    assert_all_is_issued(run)
    assert invoicing.issue_due(LATER) == {}


def test_what_stands_in_the_way_forbids_the_order(world):
    world.charge(world.account(), "10")
    world.rate("SE", "25", confirmed=False)
    with pytest.raises(NotReady, match="VAT rate is not confirmed"):
        invoicing.order(OCTOBER, NOW)
    assert not InvoiceRun.objects.exists()


def test_a_turn_ends_when_its_time_is_up_and_the_next_goes_on(accounts):
    run = ordered()
    assert turn(NOW).take(until=NOW) is False
    run.refresh_from_db()
    assert (run.accounts_done, run.leased_until, run.finished_at) == (0, None, None)
    assert run.due_at <= LATER
    assert turn(LATER).take() is True
    assert_all_is_issued(run)


def test_a_run_that_breaks_off_says_why_and_goes_on_behind_what_it_reached(accounts):
    """Whoever was left out is not told of twice, and no number is lost."""
    run = ordered()
    with connection.cursor() as cursor:
        cursor.execute(STOPS)
    assert invoicing.issue_due(NOW) == {f"{run}": False}
    run.refresh_from_db()
    assert "somebody holds a lock" in run.last_error
    assert (run.accounts_done, run.leased_until, Invoice.objects.count()) == (4, None, 3)
    assert NOW < run.due_at < LATER
    assert invoicing.issue_due(NOW) == {}, "not before its pause"
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION test_stops() CASCADE")
    assert invoicing.issue_due(LATER) == {f"{run}": True}
    assert_all_is_issued(run)
    assert run.last_error == ""


def test_a_run_whose_process_died_is_finished_by_another(accounts):
    dead = ordered()
    InvoiceRun.objects.claim(NOW, invoicing.LEASE)
    assert invoicing.issue_due(NOW) == {}, "as long as the lease holds it is somebody's"
    assert invoicing.issue_due(LATER) == {f"{dead}": True}
    assert_all_is_issued(dead)


def test_who_slept_through_his_lease_undoes_what_he_has_in_hand(accounts):
    run = ordered()
    sleeper = turn(NOW)
    other = turn(LATER)
    with pytest.raises(invoicing.TakenOver), transaction.atomic():
        sleeper.take()
    assert not Invoice.objects.exists()
    assert other.take() is True
    assert_all_is_issued(run)


def test_a_run_that_is_issued_in_this_process_is_nobody_elses(accounts):
    told = invoicing.issue(OCTOBER, NOW).as_json()
    assert [row["count"] for row in told["documents"]] == [1, 5]
    run = InvoiceRun.objects.get()
    assert_all_is_issued(run)
    assert invoicing.issue_due(LATER) == {}
