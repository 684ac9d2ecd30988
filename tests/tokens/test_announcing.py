import threading
from datetime import timedelta

import pytest
from django.db import connections, transaction

from apps.partners.models import Partner
from apps.tokens.announcing import announce, enlist, enlist_everywhere, introduce, lapse, welcome
from apps.tokens.models import Token, TokenDelivery

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def settle(**filters):
    for delivery in TokenDelivery.objects.filter(**filters).select_related("token"):
        values = delivery.settled() | {"confirmed_version": delivery.token.version, "confirmed_at": delivery.due_at}
        TokenDelivery.objects.filter(pk=delivery.pk).update(**values)


def test_a_change_raises_the_version_and_is_due_at_every_connected_partner(make_partner, make_token, now):
    make_partner("A"), make_partner("B"), make_partner("Gone", state=Partner.State.DISCONNECTED)
    token = make_token()
    announce([token], now + HOUR)
    token.refresh_from_db()
    assert (token.version, token.last_updated) == (2, now + HOUR)
    due = TokenDelivery.objects.values_list("partner__name", "due_at", "confirmed_version")
    assert sorted(due) == [("A", now + HOUR, 0), ("B", now + HOUR, 0)]


def test_last_updated_never_goes_back(partner, make_token, now):
    token = make_token(last_updated=now + HOUR)
    announce([token], now)
    token.refresh_from_db()
    assert token.last_updated > now + HOUR


def test_partners_that_take_no_tokens_are_not_pushed_to(make_partner, make_token, now):
    make_partner().endpoints.all().delete()
    announce([make_token()], now)
    assert not TokenDelivery.objects.exists()


def test_contracts_in_cars_are_told_to_nobody(partner, make_token, now):
    token = make_token(type="EMAID")
    announce([token], now)
    enlist(partner, now)
    assert not TokenDelivery.objects.exists()


def test_a_new_token_keeps_its_first_version(partner, make_token, now):
    token = make_token()
    introduce([token.pk], now)
    assert (TokenDelivery.objects.get().due_at, Token.objects.get().version) == (now, 1)


def test_a_new_partner_is_told_every_token_once(make_token, make_partner, now):
    make_token(), make_token()
    partner = make_partner()
    assert (enlist(partner, now), enlist(partner, now)) == (2, 0)
    settle()
    assert enlist_everywhere(now + HOUR) == 0


def test_a_partner_that_registered_anew_is_told_everything_again(make_token, partner, now):
    make_token(), make_token()
    enlist(partner, now)
    settle()
    Partner.objects.update(connected_at=now + HOUR)
    assert enlist(partner, now + HOUR) == 2


def test_what_was_lost_on_the_way_is_found_again(make_token, partner, now):
    token = make_token()
    introduce([token.pk], now)
    settle()
    Token.objects.update(version=7)
    assert enlist(partner, now) == 1


def test_new_partners_are_noticed_and_old_ones_left_alone(make_token, make_partner, now):
    make_token()
    make_partner("New"), make_partner("Old, never told", connected_at=now - HOUR)
    assert welcome(now) == 2
    settle()
    make_token()
    assert welcome(now + HOUR) == 0


def test_a_card_is_announced_when_it_begins_and_when_it_ends(partner, make_token, now):
    token = make_token(valid_from=now + HOUR, expires_at=now + 2 * HOUR)
    make_token()
    moments = [now, now + HOUR, now + HOUR + timedelta(minutes=1), now + 2 * HOUR, now + 3 * HOUR]
    assert [lapse(moment) for moment in moments] == [0, 1, 0, 1, 0]
    token.refresh_from_db()
    assert token.version == 3


@pytest.mark.django_db(transaction=True)
def test_acts_at_once_on_the_same_cards_are_all_counted(partner, make_token, now):
    tokens, errors = [make_token() for _ in range(20)], []

    def change(order):
        try:
            for _ in range(5):
                with transaction.atomic():
                    announce(order, now)
        except Exception as error:  # whatever it is, the test shows it
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=change, args=(order,)) for order in (tokens, tokens[::-1])]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not errors
    assert set(Token.objects.values_list("version", flat=True)) == {11}
