import threading
from datetime import timedelta

import pytest
from django.db import connection, connections

from apps.ocpi.objects import LocationReferences
from apps.tokens.authorization import authorize
from apps.tokens.blocking import block_driver
from apps.tokens.models import Authorization

pytestmark = pytest.mark.django_db
AT_A = LocationReferences(location_id="LOC-A", evse_uids=("1",))
AT_B = LocationReferences(location_id="LOC-B")
SECOND = timedelta(seconds=1)


def test_a_card_in_order_may_charge_and_the_grant_has_a_reference(partner, make_token, now):
    token = make_token("04AB")
    answer = authorize(partner_id=partner.pk, uid="04AB", references=AT_A, now=now)
    kept = Authorization.objects.get()
    assert (answer.allowed, answer.card.pk) == ("ALLOWED", token.pk)
    assert (kept.token, kept.partner, kept.at, str(kept.reference)) == (token, partner, now, answer.reference)
    assert (kept.location_id, kept.evse_uids, kept.reason) == ("LOC-A", ["1"], "driver and card are in order")


@pytest.mark.ocpi("TOK-09")
def test_a_card_is_found_whatever_the_case_of_its_uid(partner, make_token, now):
    make_token("04AbCd")
    assert authorize(partner_id=partner.pk, uid="04aBcD", now=now).is_grant


def test_the_type_is_part_of_the_key(partner, make_token, now):
    make_token("12345", type="APP_USER")
    assert authorize(partner_id=partner.pk, uid="12345", token_type="APP_USER", now=now).is_grant
    assert authorize(partner_id=partner.pk, uid="12345", now=now).allowed == "UNKNOWN"


def test_an_unknown_card_is_written_down_too(partner, now):
    answer = authorize(partner_id=partner.pk, uid="DEAD\0BEEF", now=now)
    kept = Authorization.objects.get()
    assert (answer.card, answer.reference) == (None, None)
    assert (kept.allowed, kept.token, kept.token_uid, kept.reason) == ("UNKNOWN", None, "DEADBEEF", "no such card")


@pytest.mark.parametrize(
    ("values", "allowed", "reason"),
    [
        ({"is_valid": False}, "BLOCKED", "the card is marked as not valid"),
        ({"blocked_at": timedelta()}, "BLOCKED", "the card is blocked"),
        ({"expires_at": timedelta()}, "EXPIRED", "the card has expired"),
        ({"expires_at": SECOND}, "ALLOWED", "driver and card are in order"),
        ({"valid_from": SECOND}, "NOT_ALLOWED", "the card is not valid yet"),
        ({"valid_from": timedelta()}, "ALLOWED", "driver and card are in order"),
    ],
)
def test_what_is_wrong_with_a_card_is_answered_and_kept(values, allowed, reason, partner, make_token, now):
    make_token(
        "04AB", **{name: now + value if isinstance(value, timedelta) else value for name, value in values.items()}
    )
    answer = authorize(partner_id=partner.pk, uid="04AB", now=now)
    assert (answer.allowed, answer.reason) == (allowed, reason)
    assert Authorization.objects.values_list("allowed", "reason").get() == (allowed, reason)


def test_a_blocked_driver_is_refused_with_every_card(partner, make_driver, make_token, now):
    driver = make_driver()
    make_token("04AB", driver), make_token("04CD", driver)
    block_driver(driver, now)
    answers = [authorize(partner_id=partner.pk, uid=uid, now=now) for uid in ("04AB", "04CD")]
    assert {(answer.allowed, answer.reason, answer.reference) for answer in answers} == {
        ("BLOCKED", "the driver is blocked", None)
    }


def test_a_second_tap_within_30_seconds_has_the_same_reference(partner, make_token, now):
    make_token("04AB")
    first = authorize(partner_id=partner.pk, uid="04AB", references=AT_A, now=now)
    again = authorize(partner_id=partner.pk, uid="04ab", references=AT_A, now=now + 29 * SECOND)
    assert again.reference == first.reference
    assert Authorization.objects.count() == 2


def test_half_a_minute_counts_from_the_first_tap(partner, make_token, now):
    make_token("04AB")
    taps = [0, 20, 40, 61]
    references = [
        authorize(partner_id=partner.pk, uid="04AB", references=AT_A, now=now + tap * SECOND).reference for tap in taps
    ]
    assert references[0] == references[1] != references[2] == references[2]
    assert len({references[0], references[2]}) == 2


def test_another_place_or_another_partner_has_another_reference(partner, make_partner, make_token, now):
    make_token("04AB")
    asked = [(partner, AT_A), (partner, AT_B), (partner, None), (make_partner("Other"), AT_A)]
    answers = [authorize(partner_id=who.pk, uid="04AB", references=where, now=now) for who, where in asked]
    assert len({answer.reference for answer in answers}) == 4


def test_an_earlier_grant_is_no_grant_for_a_card_blocked_since(partner, make_driver, make_token, now):
    driver = make_driver()
    make_token("04AB", driver)
    authorize(partner_id=partner.pk, uid="04AB", now=now)
    block_driver(driver, now)
    assert authorize(partner_id=partner.pk, uid="04AB", now=now + SECOND).reference is None


@pytest.mark.control("S19")
def test_what_a_partner_is_told_names_no_driver(partner, make_token, make_driver, now, us):
    make_token("04AB", make_driver("Sofia Secret"))
    told = authorize(partner_id=partner.pk, uid="04AB", references=AT_A, now=now).as_object(us)
    assert "Sofia" not in repr(told)
    assert (told.token.uid, told.token.valid, told.location, told.info) == ("04AB", True, AT_A, None)


def test_a_refusal_names_no_place_and_says_so_to_the_driver(partner, make_token, now, us):
    make_token("04AB", expires_at=now)
    told = authorize(partner_id=partner.pk, uid="04AB", references=AT_A, now=now).as_object(us)
    assert (told.token.valid, told.location, told.authorization_reference) == (False, None, None)
    assert told.info.text == "This card has expired."


def test_the_question_is_one_prepared_statement(partner, make_token, now):
    make_token("04AB")
    authorize(partner_id=partner.pk, uid="04AB", now=now)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%INSERT INTO tokens_authorization%'"
        )
        assert cursor.fetchone() == (1,)


@pytest.mark.django_db(transaction=True)
def test_taps_that_arrive_at_once_have_one_reference(partner, make_token, now):
    make_token("04AB")
    references, start = [], threading.Barrier(8)

    def tap():
        start.wait()
        references.append(authorize(partner_id=partner.pk, uid="04AB", references=AT_A, now=now).reference)
        connections.close_all()

    threads = [threading.Thread(target=tap) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(references) == 8
    assert len(set(references)) == 1
