from datetime import timedelta

import pytest

from apps.tokens.announcing import introduce
from apps.tokens.blocking import block_driver, block_token, known_by, unblock_driver, unblock_token
from apps.tokens.models import Token, TokenDelivery

pytestmark = pytest.mark.django_db


def confirm(**filters):
    for delivery in TokenDelivery.objects.filter(**filters).select_related("token"):
        TokenDelivery.objects.filter(pk=delivery.pk).update(confirmed_version=delivery.token.version, due_at=None)


def test_a_blocked_driver_is_due_at_partners_before_any_backlog(partner, make_driver, make_token, now):
    backlog = [make_token().pk for _ in range(3)]
    introduce(backlog, now - timedelta(days=2))
    driver = make_driver()
    card = make_token(driver=driver)
    assert block_driver(driver, now)
    first = TokenDelivery.objects.order_by("due_at").first()
    assert first.token == card
    assert driver.blocked_at == now


def test_blocking_twice_is_blocking_once(partner, make_driver, make_token, now):
    driver = make_driver()
    make_token(driver=driver)
    assert (block_driver(driver, now), block_driver(driver, now)) == (True, False)
    assert Token.objects.get().version == 2


def test_unblocking_is_told_as_well(partner, make_driver, make_token, now):
    driver = make_driver()
    make_token(driver=driver)
    block_driver(driver, now)
    confirm()
    assert (unblock_driver(driver, now), unblock_driver(driver, now)) == (True, False)
    assert TokenDelivery.objects.get().due_at is not None


def test_a_card_is_blocked_alone(partner, make_driver, make_token, now):
    driver = make_driver()
    lost, kept = make_token(driver=driver), make_token(driver=driver)
    assert block_token(lost, now)
    assert [Token.objects.get(pk=card.pk).blocked_at for card in (lost, kept)] == [now, None]
    assert unblock_token(lost, now)


def test_known_by_counts_partners_that_confirmed_every_card(make_partner, make_driver, make_token, now):
    quick, _slow = make_partner("Quick"), make_partner("Slow")
    driver = make_driver()
    cards = [make_token(driver=driver), make_token(driver=driver)]
    block_driver(driver, now)
    assert known_by(driver, now) == (0, 2)
    confirm(partner=quick, token=cards[0])
    assert (known_by(driver, now), known_by(cards[0], now)) == ((0, 2), (1, 2))
    confirm(partner=quick)
    assert known_by(driver, now) == (1, 2)
    unblock_driver(driver, now)
    assert known_by(driver, now) == (0, 2)


def test_without_partners_or_cards_nobody_needs_to_know(make_driver, now):
    assert known_by(make_driver(), now) == (0, 0)
