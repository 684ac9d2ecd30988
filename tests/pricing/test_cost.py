"""What a session costs, and how money is rounded and shared out: by rule, and by thousands of cases that keep them."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.money import minor_unit, round_money, share_out, total, vat_in_gross, vat_on_net
from apps.pricing.cost import Prices, Quantities, price_month, price_session

CENT = Decimal("0.01")


def decimals(low, high, places):
    return st.decimals(low, high, allow_nan=False, allow_infinity=False, places=places)


energies, hours = decimals(0, 10**6, 10), decimals(0, 10**4, 10)
unit_prices = decimals(0, 1000, 6)
prices = st.builds(Prices, unit_prices, unit_prices, unit_prices)
used = st.builds(Quantities, energies, hours)
amounts = decimals(-(10**9), 10**9, 2)
rates = st.sampled_from([Decimal(rate) for rate in ("0", "6", "19", "20", "24", "25", "25.5")])
currencies = st.sampled_from(["SEK", "EUR", "JPY", "KWD"])


@given(used, prices)
def test_a_session_costs_the_sum_of_its_parts_to_the_last_digit(used, prices):
    exact = (
        Fraction(used.energy) * Fraction(prices.per_kwh)
        + Fraction(used.time) * 60 * Fraction(prices.per_minute)
        + Fraction(prices.per_session)
    )
    cost = price_session(used, prices)
    assert Fraction(cost.amount) == exact
    assert cost.amount == total(part.amount for part in cost.components)


@given(used, prices, energies, hours)
def test_more_is_never_cheaper(used, prices, more_energy, more_time):
    """INV-20."""
    more = Quantities(used.energy + more_energy, used.time + more_time)
    assert price_session(more, prices).amount >= price_session(used, prices).amount


def test_what_has_no_price_is_no_part():
    assert price_session(Quantities(Decimal(1), Decimal(1)), Prices()).components == ()


@pytest.mark.parametrize(
    ("fee", "days", "of", "amount"),
    [
        ("49", 16, 30, "26.13"),
        ("149", 14, 30, "69.53"),
        ("49", 16, 28, "28.00"),
        ("49", 31, 31, "49.00"),
        ("49", 0, 30, "0.00"),
    ],
)
def test_ex_15_part_months_count_days(fee, days, of, amount):
    assert round_money(price_month(Decimal(fee), days, of).amount, "EUR") == Decimal(amount)


@given(decimals(0, 10000, 6), st.integers(28, 31), st.data())
def test_the_parts_of_a_month_make_a_month(fee, of, data):
    days = data.draw(st.integers(0, of))
    parts = [price_month(fee, part, of).amount for part in (days, of - days)]
    assert abs(sum(parts) - fee) < Decimal("1e-80")


@pytest.mark.parametrize(
    ("amount", "rounded"),
    [
        ("134.505", "134.51"),
        ("0.125", "0.13"),
        ("-0.125", "-0.13"),
        ("2.675", "2.68"),
        ("1.005", "1.01"),
        ("-0.001", "0.00"),
    ],
)
def test_ex_09_half_is_rounded_away_from_zero(amount, rounded):
    assert str(round_money(Decimal(amount), "SEK")) == rounded


@given(decimals(-(10**12), 10**12, 10), currencies)
def test_rounding_mirrors_and_is_off_by_half_a_unit_at_most(amount, currency):
    """INV-15."""
    rounded = round_money(amount, currency)
    assert rounded == -round_money(-amount, currency)
    assert abs(rounded - amount) <= minor_unit(currency) / 2
    assert round_money(rounded, currency) == rounded


@given(decimals(0, 10**9, 2), rates)
def test_vat_taken_out_of_a_gross_amount_is_net_times_rate_but_for_a_cent(gross, rate):
    """BIL-63: and never is it less than nothing or more than there is."""
    vat = vat_in_gross(gross, rate, "EUR")
    assert 0 <= vat <= gross
    assert abs(vat_on_net(gross - vat, rate, "EUR") - vat) <= CENT


@given(amounts, rates)
def test_vat_of_a_credit_mirrors_that_of_the_invoice(amount, rate):
    assert vat_on_net(-amount, rate, "EUR") == -vat_on_net(amount, rate, "EUR")
    assert vat_in_gross(-amount, rate, "EUR") == -vat_in_gross(amount, rate, "EUR")


@given(st.integers(1, 60), decimals("0.01", 1000, 2), rates)
def test_ex_13_credits_one_by_one_end_at_the_vat_of_the_invoice(count, amount, rate):
    """BIL-69: each is the VAT of all that is credited less what was; INV-6."""
    credited = Decimal(0)
    for done in range(1, count + 1):
        step = vat_on_net(amount * done, rate, "EUR") - credited
        assert step >= 0
        credited += step
    assert credited == vat_on_net(amount * count, rate, "EUR")


@given(amounts, st.lists(decimals(0, 10**6, 3), min_size=1, max_size=30))
def test_shares_add_up_are_near_and_mirror(whole, weights):
    """INV-14, EX-20."""
    shares = share_out(whole, weights, "EUR")
    assert sum(shares) == whole
    assert shares == [-share + 0 for share in share_out(-whole, weights, "EUR")]
    if sum(weights):
        exact = [Fraction(whole) * Fraction(weight) / Fraction(sum(weights)) for weight in weights]
        assert all(abs(Fraction(share) - want) < Fraction(1, 100) for share, want in zip(shares, exact, strict=True))
