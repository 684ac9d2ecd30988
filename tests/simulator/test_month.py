from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from apps.simulator.cpo import World
from apps.simulator.month import SPECIALS, Month
from apps.simulator.wire import encode, moment
from tests.simulator.receiver import token

MADE = datetime(2026, 11, 3, 7, 0, tzinfo=UTC)
TOKENS = [token(f"UID{number:04d}") for number in range(300)]


@pytest.fixture(scope="module")
def planned():
    return Month(World.make(), TOKENS, "2026-10", 1, MADE).plan(2500, 120)


def of_fault(planned, fault):
    return next(item.body for item in planned if item.fault == fault)


def test_the_same_seed_gives_the_same_cdrs_to_the_byte(planned):
    again = Month(World.make(), list(reversed(TOKENS)), "2026-10", 1, MADE).plan(2500, 120)
    assert encode([item.body for item in planned]) == encode([item.body for item in again])


def test_another_seed_gives_other_cdrs(planned):
    other = Month(World.make(), TOKENS, "2026-10", 2, MADE).plan(2500, 120)
    assert encode(planned[0].body) != encode(other[0].body)


def test_it_is_2500_cdrs_with_an_id_each_and_the_odd_ones_among_them(planned):
    assert len(planned) == len({item.body["id"] for item in planned}) == 2500
    assert sum(item.how == "pull-only" for item in planned) == 120
    assert [item.fault or item.how for item in planned[-len(SPECIALS) :]] == list(SPECIALS)


def test_all_but_the_late_one_lie_in_the_month_in_utc_and_in_local_time(planned):
    for item in planned:
        for field in ("start_date_time", "end_date_time"):
            month = {f"{moment(item.body[field]) + timedelta(hours=hours):%Y-%m}" for hours in (0, 2)}
            assert month == ({"2026-09"} if item.fault == "late" else {"2026-10"})


def test_no_card_charges_twice_at_a_time(planned):
    stays = {}
    for item in planned:
        if item.fault not in ("credit", "replacement"):
            stays.setdefault(item.body["cdr_token"]["uid"], []).append(item.body)
    for bodies in stays.values():
        bodies.sort(key=lambda body: body["start_date_time"])
        assert all(first["end_date_time"] <= second["start_date_time"] for first, second in pairwise(bodies))


def test_everybody_with_a_card_charges(planned):
    assert {item.body["cdr_token"]["uid"] for item in planned} >= {card["uid"] for card in TOKENS}


def test_the_periods_add_up_to_the_totals(planned):
    for item in planned:
        sums = {}
        for period in item.body["charging_periods"]:
            for entry in period["dimensions"]:
                sums[entry["type"]] = sums.get(entry["type"], 0) + entry["volume"]
        body = item.body
        assert sums["ENERGY"] == body["total_energy"]
        assert sums["TIME"] + sums.get("PARKING_TIME", 0) == body["total_time"]
        assert sums.get("PARKING_TIME", 0) == body.get("total_parking_time", 0)
        hours = (moment(body["end_date_time"]) - moment(body["start_date_time"])) / timedelta(hours=1)
        assert Decimal(str(round(hours, 2))) == body["total_time"]


def test_the_components_add_up_to_the_total_but_for_the_wrong_one(planned):
    parts = ("total_fixed_cost", "total_energy_cost", "total_time_cost", "total_parking_cost")
    wrong = []
    for item in planned:
        for side in ("excl_vat", "incl_vat"):
            total = sum(item.body[part][side] for part in parts if part in item.body)
            if total != item.body["total_cost"][side] and item.fault != "credit":
                wrong.append(item.fault)
    assert wrong == ["wrong_total", "wrong_total"]


def test_a_credit_repeats_the_original_with_the_total_negated_and_a_replacement_follows(planned):
    original, credit, new = (of_fault(planned, fault) for fault in ("credited", "credit", "replacement"))
    assert credit["credit_reference_id"] == original["id"] and credit["credit"] is True
    assert credit["total_cost"] == {side: -amount for side, amount in original["total_cost"].items()}
    assert credit["total_energy"] == original["total_energy"]
    assert new["session_id"] == original["session_id"] and new["id"] != original["id"] and "credit" not in new


def test_swedish_cdrs_are_in_kronor_and_german_ones_in_euro(planned):
    currencies = {(item.body["cdr_location"]["country"], item.body.get("currency", "SEK")) for item in planned}
    assert currencies == {("SWE", "SEK"), ("DEU", "EUR")}


def test_few_cards_may_charge_often():
    assert len(Month(World.small(), TOKENS[:2], "2026-02", 1, MADE).plan(200)) == 200


def test_without_cards_nobody_charges():
    with pytest.raises(ValueError, match="no valid token"):
        Month(World.small(), [], "2026-10", 1, MADE).plan(10)
