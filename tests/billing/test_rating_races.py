"""Raters at once, and rating against issuing: one charge per CDR, whatever the order."""

import threading
from datetime import date

import pytest
from django.db import connections, transaction

from apps.billing.models import Charge, Held, Netting, Payable
from apps.billing.rating import rate_due
from apps.billing.subscriptions import charge_month
from apps.charging import checking

from .conftest import NOW, make_plan
from .test_states import invoice

pytestmark = pytest.mark.django_db(transaction=True)

OCTOBER = date(2026, 10, 1)


@pytest.fixture(autouse=True)
def seller(company):
    return company


def at_once(*works):
    """Run these in threads that start together; what one of them raises is raised here."""
    start, failures = threading.Barrier(len(works)), []

    def run(work):
        try:
            start.wait()
            work()
        except Exception as error:  # handed over to the test below
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if failures:
        raise failures[0]


def check():
    while checking.check_due(NOW):
        pass


def test_raters_at_once_charge_each_cdr_once(make_driver, charge):
    card = make_driver(make_plan())
    for _ in range(40):
        charge(card)
    for _ in range(5):
        charge(None)
    check()
    at_once(*[lambda: rate_due(NOW, limit=3)] * 4)
    rate_due(NOW)
    assert (Charge.objects.count(), Held.objects.count(), Payable.objects.count()) == (40, 5, 45)


def test_a_credit_waits_while_its_original_is_being_issued(make_driver, charge, take_back):
    """Whoever holds the charge's lock puts it on an invoice: then it is credited, not netted."""
    cdr = charge(make_driver(make_plan()))
    check()
    rate_due(NOW)
    credit = take_back(cdr)
    check()
    with transaction.atomic():
        row = Charge.objects.select_for_update().get(cdr=cdr)
        at_once(lambda: rate_due(NOW))
        assert not Netting.objects.exists()
        assert not Payable.objects.filter(cdr=credit).exists()
        invoice(row)
    assert rate_due(NOW).rated == 1
    assert Charge.objects.get(cdr=credit).reverses == row
    assert not Netting.objects.exists()


def test_raters_and_credits_at_once(make_driver, charge, take_back):
    card = make_driver(make_plan())
    cdrs = [charge(card) for _ in range(20)]
    check()
    for cdr in cdrs[::2]:
        take_back(cdr)
    check()
    at_once(*[lambda: rate_due(NOW, limit=4)] * 3)
    rate_due(NOW)
    assert Netting.objects.count() == 10
    assert set(Charge.objects.filter(netted_at=None).values_list("cdr", flat=True)) == {cdr.pk for cdr in cdrs[1::2]}


def test_a_month_charged_twice_at_once_owes_each_fee_once(make_driver):
    plan = make_plan(prices={"": {"monthly_fee": "49"}})
    for _ in range(10):
        make_driver(plan, since=date(2026, 1, 1))
    at_once(*[lambda: charge_month(OCTOBER, NOW)] * 4)
    assert Charge.objects.count() == 10


def test_a_rater_that_dies_leaves_nothing_behind(make_driver, charge):
    """Rating has no lease: what was locked is free again, and not rated (decision 23)."""
    charge(make_driver(make_plan()))
    check()
    with transaction.atomic():
        assert rate_due(NOW).rated == 1
        transaction.set_rollback(True)
    assert not Payable.objects.exists()
    assert rate_due(NOW).rated == 1
