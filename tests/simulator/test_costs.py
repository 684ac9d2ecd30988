"""The simulated CPO's own arithmetic, against sums made by hand."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from apps.simulator.costs import Stretch, bill
from apps.simulator.cpo import World

TARIFFS = World.small().tariffs
ZONE = "Europe/Stockholm"


def stay(start: str, *steps: tuple[str, str]) -> list[Stretch]:
    """Steps of (hours, kW)."""
    begin, stretches = datetime.fromisoformat(start).astimezone(UTC), []
    for hours, power in steps:
        end = begin + timedelta(hours=float(hours))
        stretches.append(Stretch(begin, end, Decimal(power)))
        begin = end
    return stretches


def cost(tariff: str, *stretches: Stretch) -> tuple[Decimal, Decimal]:
    total = bill(list(stretches), TARIFFS[tariff], ZONE).total
    return total["excl_vat"], total["incl_vat"]


def test_energy_is_cheaper_at_night_and_the_period_is_cut_there():
    stretches = stay("2026-10-07T21:30:00+02:00", ("1.00", "10"))
    assert cost("SE-DAY", *stretches) == (Decimal(5) * Decimal("3.20") + Decimal(5) * Decimal("2.40"), Decimal("35"))
    assert [part.energy for part in bill(stretches, TARIFFS["SE-DAY"], ZONE).stretches] == [5, 5]


def test_the_clock_is_the_one_of_the_place_also_in_winter():
    assert cost("SE-DAY", *stay("2026-12-07T05:30:00+01:00", ("1.00", "10")))[0] == Decimal("28.0000")


def test_workdays_are_dearer_than_sundays():
    assert cost("SE-WORK", *stay("2026-10-09T12:00:00+02:00", ("1.00", "10")))[0] == 32
    assert cost("SE-WORK", *stay("2026-10-11T12:00:00+02:00", ("1.00", "10")))[0] == 24


def test_quick_charging_costs_more_than_its_fading_end():
    assert cost("DE-DC", *stay("2026-10-09T12:00:00+02:00", ("0.30", "100"), ("0.20", "40")))[0] == Decimal("25.1000")


def test_parking_costs_after_two_hours_by_day_only():
    stretches = stay("2026-10-09T16:00:00+02:00", ("1.00", "10"), ("4.00", "0"))
    assert bill(stretches, TARIFFS["SE-PARK"], ZONE).costs["total_parking_cost"]["excl_vat"] == 2 * Decimal(30)


def test_a_start_fee_is_due_once():
    stretches = stay("2026-10-09T16:00:00+02:00", ("1.00", "10"), ("1.00", "5"))
    assert bill(stretches, TARIFFS["SE-PARK"], ZONE).costs["total_fixed_cost"]["excl_vat"] == 5


def test_a_free_tariff_costs_nothing_and_says_so():
    assert cost("SE-FREE", *stay("2026-10-09T16:00:00+02:00", ("1.00", "10"))) == (0, 0)


def test_a_restriction_it_does_not_sell_by_stops_it():
    odd = TARIFFS["SE-DAY"] | {"elements": [{"price_components": [], "restrictions": {"max_kwh": 3}}]}
    with pytest.raises(ValueError, match="max_kwh"):
        bill(stay("2026-10-09T16:00:00+02:00", ("1.00", "10")), odd, ZONE)
