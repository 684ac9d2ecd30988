"""Test cards: one partner's, the same for ever, each with its answer, and as they were at first when they are reset."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connections

from apps.drivers.models import Driver
from apps.partners.models import Party
from apps.tokens.announcing import enlist
from apps.tokens.authorization import authorize
from apps.tokens.blocking import block_driver, block_token
from apps.tokens.listing import read_page
from apps.tokens.models import Sandbox, Token
from apps.tokens.push import push_partner
from apps.tokens.sandbox import CARDS, reset, uid_of, unknown_uid
from tests.partners.agreeing import agree

pytestmark = pytest.mark.django_db
LATER = timedelta(hours=1)


def uids(partner):
    return [uid_of(partner, place) for place in range(1, len(CARDS) + 1)]


def answers(partner, now):
    return [authorize(partner_id=partner.pk, uid=uid, now=now).allowed for uid in uids(partner)]


def test_each_card_is_answered_as_it_says(partner, now, us):
    reset(partner, now, us)
    assert answers(partner, now) == [card.answer for card in CARDS]
    assert {card.answer for card in CARDS} == {"ALLOWED", "BLOCKED", "EXPIRED", "NOT_ALLOWED"}
    assert authorize(partner_id=partner.pk, uid=unknown_uid(partner), now=now).allowed == "UNKNOWN"
    assert {token.whitelist for token in Token.objects.all()} == set(Token.Whitelist.values)


@pytest.mark.control("S18")
def test_one_partner_sees_them_and_nobody_else_whatever_was_agreed(partner, make_partner, make_token, now, us):
    other = make_partner("Other")
    agree(Party.objects.create(country_code="SE", party_id="LAD", partner=partner), cards="none")
    make_token("04AA")
    reset(partner, now, us)
    assert [card.uid for card in read_page({}, partner.pk, now).cards] == uids(partner)
    assert [card.uid for card in read_page({}, other.pk, now).cards] == ["04AA"]
    assert authorize(partner_id=other.pk, uid=uids(partner)[0], now=now).allowed == "UNKNOWN"
    for one in (partner, other):
        enlist(one, now)
    assert {told.partner for told in Token.objects.get(uid=uids(partner)[0]).deliveries.all()} == {partner}
    assert reset(other, now, us).account != partner.sandbox.account
    assert set(uids(other)).isdisjoint(uids(partner))


def test_a_partner_is_told_of_them_and_told_again_when_they_are_reset(cpo, listener, now, us):
    def told():
        push_partner(listener, now, us)
        return {uid: (token["valid"], token["whitelist"]) for uid, token in cpo.received_tokens.items()}

    reset(listener, now, us)
    first = told()
    assert list(first) == uids(listener)
    assert [valid for valid, _ in first.values()] == [card.answer == "ALLOWED" for card in CARDS]

    block_token(Token.objects.get(uid=uids(listener)[0]), now)
    block_driver(Driver.objects.get(), now)
    assert not any(valid for valid, _ in told().values())
    sandbox = reset(listener, now + LATER, us)
    assert (sandbox.reset_at, told()) == (now + LATER, first)
    assert answers(listener, now + LATER) == [card.answer for card in CARDS]
    assert Token.objects.count() == len(CARDS)


@pytest.mark.django_db(transaction=True)
def test_two_who_make_them_at_once_make_them_once(partner, now, us):
    def run(_):
        try:
            return reset(partner, now, us).pk
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as hands:
        assert len(set(hands.map(run, range(4)))) == 1
    assert (Sandbox.objects.count(), Token.objects.count()) == (1, len(CARDS))


def test_the_command_says_which_card_is_what(partner):
    Party.objects.create(country_code="SE", party_id="LAD", partner=partner)
    said = StringIO()
    call_command("partner", "sandbox", "SE*LAD", "--json", stdout=said)
    cards = json.loads(said.getvalue())["cards"]
    assert [card["uid"] for card in cards] == uids(partner)
    assert cards[4] == {"uid": uid_of(partner, 5), "purpose": "Blocked", "answer": "BLOCKED"}
