"""A partner sees the cards that its agreements let it see, and of others it learns nothing (TOK-01, trust S18)."""

from datetime import date, timedelta

import pytest

from apps.drivers.models import Account
from apps.partners.models import Agreement, Party
from apps.tokens.announcing import announce, enlist, introduce
from apps.tokens.authorization import authorize
from apps.tokens.blocking import known_by
from apps.tokens.listing import read_page
from apps.tokens.models import Authorization, ShownAccount, TokenDelivery
from apps.tokens.push import push_due, push_partner
from apps.tokens.sight import seen_by
from tests.partners.agreeing import agree

pytestmark = [pytest.mark.django_db, pytest.mark.control("S18")]
TODAY = date(2026, 3, 10)
DAY = timedelta(days=1)


@pytest.fixture
def partner(listener):
    return listener


@pytest.fixture
def party(partner):
    return Party.objects.create(country_code="SE", party_id="LAD", partner=partner)


@pytest.fixture
def cards(make_token, make_driver):
    """One of a fleet, one of somebody else."""
    fleet, other = make_driver(), make_driver()
    other.account = Account.objects.create(name="Other", kind="private", country="SE", currency="SEK")
    other.save()
    return {"fleet": make_token("04AA", fleet), "other": make_token("04BB", other)}


@pytest.fixture
def seen(partner, cards, now):
    """What a partner sees, by every way by which it might: they must agree."""

    def seen(now=now):
        listed = {card.uid for card in read_page({}, partner.pk, now).cards}
        allowed = {
            token.uid for token in cards.values() if authorize(partner_id=partner.pk, uid=token.uid, now=now).card
        }
        known = seen_by(partner.pk, [token.pk for token in cards.values()], now)
        assert listed == allowed == {token.uid for token in cards.values() if token.pk in known}
        return listed

    return seen


def name(agreement, token):
    ShownAccount.objects.create(agreement=agreement, account=token.contract.driver.account)


def test_an_agreement_says_which_cards_a_party_sees(party, cards, seen, now):
    assert seen() == {"04AA", "04BB"}, "nothing is agreed yet"
    agreement = agree(party, valid_from=TODAY + DAY, valid_until=TODAY + 2 * DAY, cards="none")
    assert seen() == {"04AA", "04BB"}, "it has not begun"
    assert seen(now + DAY) == set()
    Agreement.objects.filter(pk=agreement.pk).update(cards="named")
    assert seen(now + DAY) == set(), "nobody is named"
    name(agreement, cards["fleet"])
    assert seen(now + DAY) == {"04AA"}
    Agreement.objects.filter(pk=agreement.pk).update(cards="all")
    assert seen(now + DAY) == {"04AA", "04BB"}
    assert seen(now + 2 * DAY) == set(), "the last agreement has ended"


def test_a_connection_sees_what_any_of_its_parties_may(party, cards, seen):
    other = Party.objects.create(country_code="DE", party_id="LAD", partner=party.partner)
    agree(party, cards="none")
    assert seen() == {"04AA", "04BB"}, "nothing is agreed with the other"
    name(agree(other, cards="named"), cards["other"])
    assert seen() == {"04BB"}


def test_a_card_that_it_does_not_see_is_unknown_to_it_and_staff_read_why(party, cards, partner, now):
    agree(party, cards="none")
    answer = authorize(partner_id=partner.pk, uid="04AA", now=now)
    kept = Authorization.objects.get()
    assert (answer.allowed, answer.card, answer.reference) == ("UNKNOWN", None, None)
    assert (kept.token, kept.reason) == (None, "the partner does not see this card")


def test_only_what_it_sees_is_pushed_and_needs_to_be_known(party, cards, partner, cpo, now, us):
    name(agree(party, cards="named"), cards["fleet"])
    introduce([token.pk for token in cards.values()], now)
    assert enlist(partner, now) == 0
    assert push_due(now, us)["confirmed"] == 1
    assert set(cpo.received_tokens) == {"04AA"}
    assert (known_by(cards["fleet"], now), known_by(cards["other"], now)) == ((1, 1), (0, 0))


@pytest.mark.ocpi("TOK-01", "TOK-08")
def test_a_card_that_it_sees_no_longer_is_taken_back_and_told_again_when_it_does(party, cards, partner, cpo, now, us):
    agreement = agree(party)
    push_partner(partner, now, us)
    assert cpo.received_tokens["04BB"]["valid"]

    Agreement.objects.filter(pk=agreement.pk).update(cards="named")
    name(agreement, cards["fleet"])
    assert push_partner(partner, now, us)["confirmed"] == 1
    assert [(cpo.received_tokens[uid]["valid"], cpo.received_tokens[uid]["whitelist"]) for uid in ("04AA", "04BB")] == [
        (True, "ALLOWED"), (False, "NEVER"),
    ]  # fmt: skip
    assert enlist(partner, now) == 0
    announce([cards["other"]], now)
    push_due(now, us)
    assert not cpo.received_tokens["04BB"]["valid"]

    Agreement.objects.filter(pk=agreement.pk).update(cards="all")
    assert push_partner(partner, now, us)["confirmed"] == 1
    assert cpo.received_tokens["04BB"]["valid"]


def test_what_waited_to_be_told_when_it_was_hidden_is_never_told(party, cards, partner, cpo, now, us):
    introduce([token.pk for token in cards.values()], now)
    agree(party, cards="none")
    push_due(now, us)
    assert (cpo.received_tokens, TokenDelivery.objects.count()) == ({}, 0)
