from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from apps.billing import tasks
from apps.billing.models import Charge, Held, Netting, Payable, Subscription, VatRate
from apps.billing.rating import catch_up, rate_due
from apps.charging import attaching, checking
from apps.charging.models import Cdr, Finding
from apps.ocpi.objects import Party
from apps.tokens.models import Token
from tests.partners.agreeing import agree

from .conftest import NOW, add_price, make_plan, register

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def seller(company):
    return company


def test_ex_01_a_net_price_is_rounded_once(make_driver, charge, rate):
    """24.318 kWh x 0.49 = 11.91582 (EX-01)."""
    card = make_driver(make_plan("Flotte", "EUR", "net", {"": "0.49"}), kind="company")
    cdr = charge(card, "24.318", country="DE")
    assert rate().rated == 1
    row = Charge.objects.get()
    assert (row.amount, row.currency, row.basis) == (Decimal("11.92"), "EUR", "net")
    assert (row.vat_category, row.vat_rate.rate, row.registration.country) == ("S", 19, "DE")
    assert (row.cdr, row.account, row.contract) == (cdr, card.contract.driver.account, card.contract)
    assert row.explanation["unrounded"] == "11.91582"


def test_ex_05_gross_prices_of_a_consumer(make_driver, charge, rate):
    card = make_driver(make_plan())
    for kwh in ("10.123", "7.777", "31.050"):
        charge(card, kwh)
    rate()
    assert [row.amount for row in Charge.objects.order_by("cdr_id")] == [
        Decimal(v) for v in ("55.58", "42.70", "170.46")
    ]
    assert set(Charge.objects.values_list("basis", "vat_rate__rate")) == {("gross", 25)}


def test_ex_28_what_we_owe_the_operator_is_net_and_apart_from_the_price(make_driver, charge, rate):
    card = make_driver(make_plan("Flotte", "EUR", "net", {"": "0.49"}), kind="company")
    cost = {"total_cost": {"excl_vat": Decimal("9.5497"), "incl_vat": Decimal("11.3641")}}
    charge(card, "24.318", country="DE", **cost)
    rate()
    owed = Payable.objects.get()
    assert (owed.net, owed.currency, owed.is_accepted) == (Decimal("9.5497"), "EUR", True)
    assert Charge.objects.get().amount == Decimal("11.92")


def test_what_the_cpo_sells_itself_is_no_revenue_and_our_own_network_is_no_purchase(
    make_driver, charge, take_back, rate
):
    """BIL-02: who sells is agreed, from a day until another."""
    card = make_driver(make_plan())
    cdr = charge(card)
    agreement = agree(cdr.party, commercial_model="disclosed_agent")
    rate()
    assert not Charge.objects.exists()
    assert (Held.objects.get().code, Held.objects.get().is_final) == ("SOLD", True)
    assert Held.objects.get().next_try_at is None, "it comes back when the finding is gone"
    assert not Payable.objects.get().is_accepted

    agreement.commercial_model = "own_network"
    agreement.save()
    checking.look_again(NOW)
    rate()
    assert Charge.objects.get().amount == Decimal("54.90")
    assert not Held.objects.exists()
    assert not Payable.objects.get().is_accepted


def test_a_credit_of_what_the_cpo_sold_itself_leaves_nothing(make_driver, charge, take_back, rate):
    cdr = charge(make_driver(make_plan()))
    agree(cdr.party, commercial_model="disclosed_agent")
    rate()
    take_back(cdr)
    rate()
    assert (Held.objects.count(), Charge.objects.count(), Payable.objects.filter(is_accepted=True).count()) == (0, 0, 0)


def test_ex_29_an_original_and_its_credit_cancel_out(make_driver, charge, take_back, rate):
    card = make_driver(make_plan())
    cdr = charge(card, "24.318", cost="12.34")
    take_back(cdr)
    assert rate().rated == 2
    assert sum(Payable.objects.values_list("net", flat=True)) == 0
    assert not Charge.objects.exists()


def test_energy_time_and_session_add_up_before_they_are_rounded(make_driver, charge, rate):
    card = make_driver(
        make_plan("Company", "SEK", "net", {"": {"per_kwh": "3.95", "per_minute": "0.05", "per_session": "1.50"}})
    )
    charge(card, "12.345", hours="1.5")
    rate()
    row = Charge.objects.get()
    assert row.amount == Decimal("54.76")  # 48.76275 + 4.50 + 1.50 = 54.76275
    assert row.explanation["components"] == [
        {"kind": "energy", "quantity": "12.345", "price": "3.95", "amount": "48.76275"},
        {"kind": "time", "quantity": "90", "price": "0.05", "amount": "4.5"},
        {"kind": "session", "quantity": "1", "price": "1.5", "amount": "1.5"},
    ]


def test_nothing_used_still_makes_a_charge(make_driver, charge, rate):
    """A free session must not disappear (BIL-25)."""
    charge(make_driver(make_plan()), "0", cost="0")
    rate()
    assert Charge.objects.get().amount == 0


def test_the_price_at_the_local_start_counts(make_driver, charge, rate):
    """A change at midnight does not move a session that began before it (BIL-10)."""
    plan = make_plan()
    add_price(plan, "6.00", valid_from=date(2026, 10, 2))
    card = make_driver(plan)
    midnight = datetime(2026, 10, 1, 22, 0, tzinfo=UTC)  # in Sweden
    charge(card, "1", ended_at=midnight + timedelta(minutes=59))  # began one minute before
    charge(card, "1", ended_at=midnight + timedelta(minutes=60))
    rate()
    assert [row.amount for row in Charge.objects.order_by("cdr_id")] == [Decimal("5.49"), Decimal("6.00")]


def test_a_price_of_the_country_counts_before_that_for_everywhere(make_driver, charge, rate):
    card = make_driver(make_plan(prices={"": "5.49", "DE": "7.25"}))
    charge(card, "1", country="DE"), charge(card, "1")
    rate()
    assert [row.amount for row in Charge.objects.order_by("cdr_id")] == [Decimal("7.25"), Decimal("5.49")]


def test_the_month_is_that_of_the_end_and_the_tax_point_its_local_day(make_driver, charge, rate):
    """A session over midnight of a month's last day (BIL-53, BIL-61)."""
    card = make_driver(make_plan())
    charge(card, ended_at=datetime(2026, 10, 31, 23, 10, tzinfo=UTC))  # 00:10 of November in Stockholm
    charge(card, ended_at=datetime(2026, 10, 31, 22, 50, tzinfo=UTC))
    rate()
    found = Charge.objects.order_by("cdr_id").values_list("period", "supplied_on")
    assert list(found) == [(date(2026, 11, 1), date(2026, 11, 1)), (date(2026, 10, 1), date(2026, 10, 31))]


def test_rating_again_changes_nothing(make_driver, charge, rate):
    charge(make_driver(make_plan()))
    assert (rate().rated, rate().rated) == (1, 0)
    assert (Charge.objects.count(), Payable.objects.count()) == (1, 1)


def test_the_same_input_gives_the_same_words(make_driver, charge, rate):
    """BIL-23: an explanation depends on nothing but the CDR, the plan and the VAT table."""
    card = make_driver(make_plan())
    charge(card), charge(card)
    rate()
    first, second = Charge.objects.values_list("explanation", flat=True)
    assert first == second


def test_batches_take_everything(make_driver, charge):
    card = make_driver(make_plan())
    for _ in range(5):
        charge(card)
    while checking.check_due(NOW):
        pass
    assert rate_due(NOW, limit=2).rated == 5


def test_a_cdr_is_not_rated_before_its_checks(make_driver, charge):
    charge(make_driver(make_plan()))
    assert rate_due(NOW).rated == 0


# What is held, and how it comes back


def held():
    return list(Held.objects.order_by("cdr_id").values_list("code", "is_final"))


def test_without_a_plan_nothing_is_charged_until_there_is_one(make_driver, charge, rate):
    """Decision 39: never priced, not even at the default plan."""
    plan = make_plan(is_default=True)
    card = make_driver()
    charge(card)
    counts = rate()
    assert (counts.rated, counts.held, counts.unmatched, held()) == (0, 1, 0, [("NO_PLAN", False)])
    Subscription.objects.create(contract=card.contract, plan=plan, valid_from=date(2026, 1, 1))
    assert (rate().rated, held()) == (1, [])


def test_a_plan_that_begins_later_does_not_reach_back(make_driver, charge, rate):
    charge(make_driver(make_plan(), since=date(2026, 10, 25)), ended_at=datetime(2026, 10, 24, 12, tzinfo=UTC))
    rate()
    assert held() == [("NO_PLAN", False)]


def test_a_plan_without_a_price_for_the_country_holds(make_driver, charge, rate):
    charge(make_driver(make_plan(prices={"SE": "5.49"})), country="DE")
    rate()
    assert held() == [("NO_PRICE", False)]


def test_without_a_rate_the_cdr_is_blocked_for_the_driver_alone(make_driver, charge, rate, seller):
    """V-27: there is a registration, but no rate. What we owe the CPO does not wait for it."""
    register(seller, "NO", "NO123456789MVA")
    cdr = charge(make_driver(make_plan()), country="NO")
    rate()
    assert held() == [("NO_VAT_RATE", False)]
    finding = Finding.objects.get(cdr=cdr)
    assert (finding.code, finding.driver_severity, finding.cpo_severity) == ("V-27", 4, 1)
    assert Payable.objects.get().is_accepted
    with pytest.raises(checking.CannotRelease):
        checking.release(finding, NOW)


def test_a_rate_that_is_entered_lets_it_go_by_itself(make_driver, charge, rate, seller):
    register(seller, "NO", "NO123456789MVA")
    charge(make_driver(make_plan()), country="NO")
    rate()
    VatRate.objects.create(country="NO", supply="electricity", rate=25, valid_from=date(2020, 1, 1), source="test")
    assert rate().rated == 1
    assert (held(), Finding.objects.count(), Charge.objects.get().vat_rate.country) == ([], 0, "NO")


def test_without_a_registration_the_cdr_waits(make_driver, charge, rate):
    """V-27: Finland's rate is known, but we are not registered there."""
    charge(make_driver(make_plan()), country="FI")
    rate()
    assert held() == [("NO_REGISTRATION", False)]
    assert Finding.objects.get().reason == "Nordladd AB has no VAT registration in FI on 2026-10-24"


def test_without_a_seller_everything_waits(make_driver, charge, rate, seller):
    charge(make_driver(make_plan()))
    for registration in seller.registrations.all():
        registration.series.all().delete()
        registration.delete()
    seller.delete()
    rate()
    assert held() == [("NO_SELLER", False)]


def test_a_place_in_no_known_zone_waits(make_driver, charge, rate):
    """Spain has two zones, and the local day decides on VAT (BIL-53)."""
    charge(make_driver(make_plan()), country="ES")
    rate()
    assert held() == [("NO_TIME_ZONE", False)]


def test_negative_energy_is_not_priced(make_driver, charge, rate):
    charge(make_driver(make_plan()), "-3")
    rate()
    assert held() == [("V-13", False)]


def test_an_amount_beyond_reason_holds_only_itself(make_driver, charge, rate):
    card = make_driver(make_plan())
    charge(card, "99999999999999999999"), charge(card)
    assert rate().rated == 1
    assert held() == [("TOO_LARGE", False)]


def test_one_that_fails_alone_is_held_and_the_others_are_rated(make_driver, charge, rate):
    """Decision 23: a fault of ours holds the CDR it shows at, and is tried again after a growing pause."""
    card = make_driver(make_plan())
    cdrs = [charge(card) for _ in range(3)]
    while checking.check_due(NOW):
        pass
    Cdr.objects.filter(pk=cdrs[1].pk).update(time_zone="Europe/Atlantis")  # which no check would leave
    assert rate().rated == 2
    row = Held.objects.get()
    assert (row.cdr, row.code, row.attempts, row.reason) == (
        cdrs[1], "ERROR", 1, "ZoneInfoNotFoundError: 'No time zone found with key Europe/Atlantis'",
    )  # fmt: skip
    rate(NOW + timedelta(seconds=10))
    assert Held.objects.get().attempts == 1
    rate(row.next_try_at)
    assert Held.objects.get().attempts == 2
    Cdr.objects.filter(pk=cdrs[1].pk).update(time_zone="Europe/Stockholm")
    assert rate(NOW + timedelta(days=1)).rated == 1


def test_a_blocking_finding_is_final(make_driver, charge, rate):
    """V-07: nobody can release it."""
    cdr = charge(make_driver(make_plan()), start_date_time="2026-10-25T00:00:00Z", end_date_time="2026-10-24T00:00:00Z")
    rate()
    assert (held(), Held.objects.get().code) == ([("V-07", True)], "V-07")
    assert not Payable.objects.get(cdr=cdr).is_accepted


def test_a_released_finding_lets_the_next_rating_take_it(make_driver, charge, rate):
    card = make_driver(make_plan())
    Token.objects.filter(pk=card.pk).update(blocked_at=datetime(2026, 10, 1, tzinfo=UTC))
    cdr = charge(card)
    rate()
    assert held() == [("V-21", False)]
    assert not Payable.objects.get().is_accepted
    checking.release(cdr.findings.get(code="V-21"), NOW)
    assert rate().rated == 1
    assert (held(), Charge.objects.count(), Payable.objects.get().is_accepted) == ([], 1, True)


def test_an_unknown_card_is_kept_and_billed_once_it_is_attached(make_driver, charge, rate):
    """Nothing is lost (BIL-30, BIL-34); staff say whose card it was, and the next rating bills it."""
    cdr = charge(None)
    counts = rate()
    assert (counts.rated, counts.held, counts.unmatched, held()) == (0, 0, 1, [("V-20", False)])
    card = make_driver(make_plan())
    attaching.attach_cdr(cdr, card.contract, NOW)
    assert rate().rated == 1
    assert (Charge.objects.get().contract, held()) == (card.contract, [])


def test_an_unknown_card_that_is_enrolled_later_matches_by_itself(make_driver, charge, rate):
    charge(None)
    rate()
    card = make_driver(make_plan())
    Token.objects.filter(pk=card.pk).update(uid="STRANGER")
    assert rate().rated == 1


def test_a_finding_that_became_another_is_what_holds(make_driver, charge, rate):
    cdr = charge(None)
    rate()
    contract = make_driver(make_plan()).contract
    card = attaching.attach_card(cdr, contract, NOW, Party("SE", "EMP")).token
    Token.objects.filter(pk=card.pk).update(blocked_at=datetime(2026, 10, 1, tzinfo=UTC))
    rate()
    assert held() == [("V-21", False)]


def test_what_is_held_towards_the_operator_may_still_be_billed(make_driver, charge, rate):
    """V-35: the CPO's components do not add up; the driver's price does not depend on them (BIL-33)."""
    charge(make_driver(make_plan()), cost="50.00", total_energy_cost={"excl_vat": Decimal("40.00")})
    assert rate().rated == 1
    assert not Payable.objects.get().is_accepted


# Credit CDRs


def test_a_credit_before_the_invoice_nets_what_was_charged(make_driver, charge, take_back, rate):
    """BIL-43: neither appears on a document, both are seen towards the CPO."""
    cdr = charge(make_driver(make_plan()))
    rate()
    credit = take_back(cdr)
    assert rate().rated == 1
    pair = Netting.objects.get()
    assert (pair.original, pair.credit, Charge.objects.get().netted_at) == (cdr, credit, NOW)
    assert set(Payable.objects.values_list("cdr", flat=True)) == {cdr.pk, credit.pk}
    assert rate().rated == 0


def test_a_credit_that_comes_first_waits_for_its_original(make_driver, charge, take_back, rate, operator):
    """BIL-45: parked, and applied on arrival."""
    card = make_driver(make_plan())
    credit = charge(
        card, id="CDR-9-C", credit=True, credit_reference_id="CDR-9", total_cost={"excl_vat": Decimal("-30.00")}
    )
    rate()
    assert held() == [("V-41", False)]
    original = charge(card, id="CDR-9")
    assert rate().rated == 2
    assert (held(), Netting.objects.get().original, Netting.objects.get().credit) == ([], original, credit)


def test_a_credit_of_a_held_cdr_takes_it_off_the_queue(charge, take_back, rate):
    """Nobody knows the card, and nobody needs to any more."""
    cdr = charge(None)
    rate()
    take_back(cdr)
    assert rate().rated == 1
    assert (held(), Netting.objects.count(), Charge.objects.count()) == ([], 1, 0)


def test_a_credit_of_another_amount_is_held_and_the_original_is_billed(make_driver, charge, take_back, rate):
    """V-42: partial credits are not foreseen; staff release it to credit in full."""
    cdr = charge(make_driver(make_plan()))
    credit = take_back(cdr, total_cost={"excl_vat": Decimal("-10.00")})
    rate()
    assert (held(), Charge.objects.get().netted_at) == ([("V-42", False)], None)
    checking.release(credit.findings.get(code="V-42"), NOW)
    rate()
    assert (held(), Netting.objects.count()) == ([], 1)


def test_a_replacement_is_a_charge_of_its_own(make_driver, charge, take_back, rate):
    card = make_driver(make_plan())
    cdr = charge(card, "10")
    take_back(cdr)
    charge(card, "9")
    rate()
    assert Charge.objects.get().amount == Decimal("49.41")


def test_every_cdr_is_charged_netted_or_held(make_driver, charge, take_back, rate):
    """BIL-36, INV-12: nothing is lost between the queues."""
    card = make_driver(make_plan())
    for _ in range(3):
        charge(card)
    take_back(charge(card))
    charge(None), charge(make_driver()), charge(card, country="FI")
    rate()
    charged = set(Charge.objects.values_list("cdr", flat=True))
    netted = {pk for pair in Netting.objects.values_list("original", "credit") for pk in pair}
    waiting = set(Held.objects.values_list("cdr", flat=True))
    assert not (charged & netted or charged & waiting or netted & waiting)
    assert charged | netted | waiting == set(Cdr.objects.values_list("pk", flat=True))
    assert Payable.objects.count() == Cdr.objects.count()


def test_catching_up_matches_checks_and_rates(make_driver, charge):
    charge(make_driver(make_plan()))
    assert catch_up(NOW).rated == 1


def test_the_timetable_rates_what_is_checked(make_driver, charge):
    charge(make_driver(make_plan()))
    while checking.check_due(NOW):
        pass
    assert tasks.rate_new_cdrs() == {"rated": 1, "held": 0, "unmatched": 0}


def test_a_company_with_gross_prices_is_not_reverse_charged_them(make_driver, charge, rate):
    """Nobody pays a price with VAT in it where none is charged."""
    plan = make_plan("Brutto", "EUR", "gross", {"": "0.60"})
    charge(make_driver(plan, kind="company", country="DE", vat_id="DE136695976"), country="DE")
    rate()
    assert held() == [("GROSS_PRICES", False)]


def test_a_credit_repeats_the_faults_of_its_original_and_is_netted_all_the_same(charge, take_back, make_driver, rate):
    """A blocked CDR leaves the queue when its operator takes it back (V-07)."""
    cdr = charge(make_driver(make_plan()), start_date_time="2026-10-25T00:00:00Z", end_date_time="2026-10-24T00:00:00Z")
    rate()
    take_back(cdr)
    rate()
    assert (held(), Netting.objects.count()) == ([], 1)
