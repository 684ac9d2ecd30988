from datetime import timedelta

import pytest

from apps.ocpi.errors import InvalidObject
from apps.tokens.listing import MOST, read_page
from apps.tokens.models import Token

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def uids(page):
    return [card.uid for card in page.cards]


def crawl(query, now):
    pages = []
    while query is not None:
        pages.append(read_page({name: str(value) for name, value in query.items()}, 1, now))
        query = pages[-1].next_query
    return pages


@pytest.mark.ocpi("TR-16")
def test_tokens_come_in_the_order_they_were_made(make_token, now):
    made = [make_token(uid).uid for uid in ("Z1", "A2", "M3")]
    assert uids(read_page({}, 1, now)) == made


def test_a_crawl_sees_every_token_once_and_the_last_page_has_no_next(make_token, now):
    made = [make_token().uid for _ in range(5)]
    pages = crawl({"limit": 2}, now)
    assert [uid for page in pages for uid in uids(page)] == made
    assert [(len(page.cards), page.total) for page in pages] == [(2, 5), (2, 5), (1, 5)]


def test_a_full_last_page_has_no_next(make_token, now):
    [make_token() for _ in range(4)]
    assert len(crawl({"limit": 2}, now)) == 2


def test_a_token_that_changes_during_a_crawl_hides_no_other(make_token, now):
    tokens = [make_token() for _ in range(6)]
    query = {"limit": "2", "date_to": "2026-03-10T12:00:01Z"}
    first = read_page(query, 1, now)
    Token.objects.filter(pk__in=[token.pk for token in tokens[:2]]).update(last_updated=now + HOUR)
    rest = crawl(first.next_query, now)
    assert uids(first) + [uid for page in rest for uid in uids(page)] == [token.uid for token in tokens]


@pytest.mark.ocpi("TR-14")
@pytest.mark.ocpi("TR-17")
def test_a_plain_offset_works_and_beyond_the_end_is_nothing(make_token, now):
    made = [make_token().uid for _ in range(3)]
    assert uids(read_page({"offset": "1"}, 1, now)) == made[1:]
    beyond = read_page({"offset": "99"}, 1, now)
    assert (beyond.cards, beyond.total, beyond.next_query) == ([], 3, None)


@pytest.mark.ocpi("TR-14")
def test_dates_are_from_inclusive_and_to_exclusive(make_token, now):
    [make_token(uid, last_updated=now + number * HOUR) for number, uid in enumerate("ABC")]
    bounds = {"date_from": "2026-03-10T12:00:00Z", "date_to": "2026-03-10T15:00:00 01:00"}
    page = read_page(bounds, 1, now)
    assert (uids(page), page.total) == (["A", "B"], 2)


@pytest.mark.ocpi("TR-15")
def test_the_filter_is_repeated_in_the_next_page(make_token, now):
    [make_token() for _ in range(3)]
    query = read_page({"limit": "1", "date_from": "2026-03-01T00:00:00"}, 1, now).next_query
    assert (query["date_from"], query["limit"], query["offset"]) == ("2026-03-01T00:00:00Z", 1, 1)


@pytest.mark.ocpi("TR-15")
def test_a_limit_above_ours_is_lowered(make_token, now):
    contract = make_token("first").contract
    Token.objects.bulk_create(
        Token(contract=contract, uid=f"{number}", issuer="Us", last_updated=now) for number in range(MOST)
    )
    page = read_page({"limit": "5000"}, 1, now)
    assert (len(page.cards), page.next_query["limit"], page.total) == (MOST, MOST, MOST + 1)


def test_tokens_that_may_not_charge_are_listed_as_such(make_token, now):
    make_token("1", is_valid=False), make_token("2", expires_at=now), make_token("3")
    assert [card.is_in_order for card in read_page({}, 1, now).cards] == [False, False, True]


def test_contracts_in_cars_are_not_listed(make_token, now):
    make_token("car", type="EMAID"), make_token("app", type="APP_USER")
    page = read_page({}, 1, now)
    assert (uids(page), page.total) == (["app"], 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [("limit", "abc"), ("limit", "0"), ("limit", "-1"), ("limit", "٣"), ("limit", "9" * 30), ("offset", "-1"),
     ("offset", "1.5"), ("date_from", "yesterday"), ("date_to", "2026-13-01T00:00:00Z"), ("cursor", "x:y:z")],
)  # fmt: skip
def test_a_wrong_value_is_named(name, value, now, db):
    with pytest.raises(InvalidObject) as refused:
        read_page({name: value}, 1, now)
    assert [problem.path for problem in refused.value.problems] == [name]


@pytest.mark.parametrize("change", [{"date_from": "2026-01-01T00:00:00Z"}, {"cursor": "forged"}])
def test_a_cursor_is_good_for_its_own_list_alone(change, make_token, now):
    [make_token() for _ in range(3)]
    query = {name: str(value) for name, value in read_page({"limit": "1"}, 1, now).next_query.items()}
    with pytest.raises(InvalidObject):
        read_page(query | change, 1, now)
    with pytest.raises(InvalidObject):
        read_page(query, 2, now)


def test_a_page_deep_down_costs_two_statements(make_token, now, django_assert_num_queries):
    [make_token() for _ in range(3)]
    query = {name: str(value) for name, value in read_page({"limit": "1"}, 1, now).next_query.items()}
    with django_assert_num_queries(2):
        read_page(query, 1, now)
