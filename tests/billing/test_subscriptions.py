from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from apps.billing.models import Charge, Subscription
from apps.billing.subscriptions import charge_month
from apps.drivers.models import Contract

from .conftest import EVER, NOW, add_price, make_plan

pytestmark = pytest.mark.django_db

OCTOBER, NOVEMBER = date(2026, 10, 1), date(2026, 11, 1)
IN_DECEMBER = datetime(2026, 12, 1, 8, tzinfo=UTC)
SEPTEMBER = date(2026, 9, 1)


@pytest.fixture(autouse=True)
def seller(company):
    return company


def fees():
    return list(Charge.objects.filter(kind="FEE").order_by("supplied_on", "pk").values_list("supplied_on", "amount"))


def plan_at(fee, name="Plus", **values):
    return make_plan(name, prices={"": {"per_kwh": "4.79", "monthly_fee": fee}}, **values)


def test_a_fee_is_owed_in_a_month_without_any_charging(make_driver):
    """BIL-157."""
    card = make_driver(plan_at("49"), since=SEPTEMBER)
    charged = charge_month(OCTOBER, NOW)
    row = Charge.objects.get()
    assert (charged.count, charged.left_out) == (1, [])
    assert (row.amount, row.cdr, row.contract, row.period, row.supplied_on) == (
        49,
        None,
        card.contract,
        OCTOBER,
        OCTOBER,
    )
    assert (row.vat_category, row.vat_rate.supply, row.vat_rate.rate) == ("S", "service", 25)
    assert row.explanation["components"] == [{"kind": "month", "quantity": "1", "price": "49", "amount": "49"}]


def test_twice_charges_once(make_driver):
    make_driver(plan_at("49"), since=SEPTEMBER)
    assert [charge_month(OCTOBER, NOW).count for _ in range(2)] == [1, 0]


def test_a_month_that_is_not_over_is_not_charged(make_driver):
    """In Stockholm October ends an hour before it does in UTC."""
    make_driver(plan_at("49"), since=SEPTEMBER)
    end = datetime(2026, 10, 31, 23, tzinfo=UTC)
    assert [charge_month(OCTOBER, at).count for at in (end - timedelta(seconds=1), end)] == [0, 1]


def test_ex_15_a_change_of_plan_within_the_month(make_driver):
    """49 until 16 November, 149 from the 17th (EX-15): 26.13 + 69.53."""
    card = make_driver(plan_at("49"), since=SEPTEMBER)
    other = plan_at("149", "Gold")
    Subscription.objects.update(valid_until=date(2026, 11, 17))
    Subscription.objects.create(contract=card.contract, plan=other, valid_from=date(2026, 11, 17))
    assert charge_month(NOVEMBER, IN_DECEMBER).count == 2
    assert fees() == [(NOVEMBER, Decimal("26.13")), (date(2026, 11, 17), Decimal("69.53"))]
    parts = [row.explanation["components"][0] for row in Charge.objects.order_by("supplied_on")]
    assert [(part["kind"], part["quantity"], part["per"]) for part in parts] == [
        ("days", "16", "30"),
        ("days", "14", "30"),
    ]


def test_who_leaves_pays_until_then_and_who_left_nothing(make_driver):
    make_driver(plan_at("31"), since=SEPTEMBER)
    Subscription.objects.update(valid_until=date(2026, 10, 11))
    assert (charge_month(OCTOBER, NOW).count, fees()) == (1, [(OCTOBER, Decimal("10.00"))])
    assert charge_month(NOVEMBER, IN_DECEMBER).count == 0


def test_a_plan_without_a_fee_owes_none(make_driver):
    make_driver(make_plan())
    assert charge_month(OCTOBER, NOW).count == 0


def test_the_fee_is_the_price_of_the_first_day(make_driver):
    plan = plan_at("49")
    add_price(plan, {"monthly_fee": "59"}, valid_from=date(2026, 10, 2))
    make_driver(plan, since=SEPTEMBER)
    charge_month(OCTOBER, NOW), charge_month(NOVEMBER, IN_DECEMBER)
    assert fees() == [(OCTOBER, 49), (NOVEMBER, 59)]


def test_a_plan_for_ever_costs_nothing_before_there_was_a_contract(make_driver):
    """A new company that bills its first month must not bill the months before it."""
    make_driver(plan_at("31"), since=EVER)
    Contract.objects.update(created_at=datetime(2026, 10, 21, 12, tzinfo=UTC))
    assert charge_month(SEPTEMBER, NOW).count == 0
    charge_month(OCTOBER, NOW)
    assert fees() == [(date(2026, 10, 21), Decimal("11.00"))]


def test_a_foreign_company_is_reverse_charged(make_driver):
    make_driver(
        plan_at("9", currency="EUR", basis="net"), since=SEPTEMBER, kind="company", country="DE", vat_id="DE136695976"
    )
    charge_month(OCTOBER, NOW)
    assert Charge.objects.values_list("vat_category", "vat_rate").get() == ("AE", None)


def test_what_cannot_be_taxed_is_left_out_by_name_and_the_others_are_charged(make_driver):
    plan = plan_at("49")
    stranger = make_driver(plan, since=SEPTEMBER, country="NO")
    make_driver(plan, since=SEPTEMBER)
    charged = charge_month(OCTOBER, NOW)
    assert charged.count == 1
    assert [(one.contract, one.reason) for one in charged.left_out] == [
        (stranger.contract.contract_id, "there is no VAT rate for access fee, subscription in NO on 2026-10-01")
    ]


def test_without_a_company_nothing_is_charged(make_driver, seller):
    make_driver(plan_at("49"), since=SEPTEMBER)
    for registration in seller.registrations.all():
        registration.series.all().delete()
        registration.delete()
    seller.delete()
    assert charge_month(OCTOBER, NOW).count == 0
