import threading
from datetime import timedelta

import pytest
from django.db import connections, transaction
from django.utils import timezone

from apps.partners.models import Client, Exchange, Partner, Party
from apps.tokens import tasks
from apps.tokens.announcing import announce, introduce
from apps.tokens.blocking import block_driver, known_by
from apps.tokens.models import Token, TokenDelivery
from apps.tokens.push import LEASE, Told, confirm, push_due, push_partner, trouble_with

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)


@pytest.fixture
def partner(listener):
    return listener


@pytest.fixture
def make_due(partner, make_token, now):
    def make(uid=None, **values):
        token = make_token(uid, **values)
        introduce([token.pk], now)
        return token

    return make


def puts(cpo):
    return [request for request in cpo.requests.copy() if request.method == "PUT"]


def in_thread(work, *args):
    def run():
        try:
            work(*args)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.ocpi("TOK-07")
def test_a_partner_gets_the_whole_token_and_it_is_confirmed(cpo, make_due, now, us):
    token = make_due("04AB", visual_number="V-1", issuer="Us")
    assert push_due(now, us) == {"due": 1, "confirmed": 1, "behind": 0}
    told = cpo.received_tokens["04AB"]
    assert (told["country_code"], told["party_id"], told["contract_id"]) == ("SE", "EMP", token.contract.contract_id)
    assert (told["valid"], told["whitelist"], told["visual_number"]) == (True, "ALLOWED", "V-1")
    delivery = TokenDelivery.objects.get()
    assert (delivery.confirmed_version, delivery.confirmed_at, delivery.due_at) == (1, now, None)


@pytest.mark.ocpi("TR-32")
def test_many_changes_are_one_message_with_the_last_state(cpo, make_due, now, us):
    token = make_due("04AB")
    for number in range(5):
        Token.objects.filter(pk=token.pk).update(visual_number=f"V-{number}")
        announce([token], now)
    push_due(now, us)
    assert (len(puts(cpo)), cpo.received_tokens["04AB"]["visual_number"]) == (1, "V-4")
    assert TokenDelivery.objects.get().confirmed_version == 6


@pytest.mark.ocpi("TOK-07")
def test_a_blocked_driver_becomes_known_to_the_cpo(cpo, make_due, make_driver, now, us):
    driver = make_driver()
    make_due("04AB", driver=driver)
    push_due(now, us)
    block_driver(driver, now)
    assert known_by(driver, now) == (0, 1)
    push_due(now, us)
    assert (known_by(driver, now), cpo.received_tokens["04AB"]["valid"]) == ((1, 1), False)


@pytest.mark.ocpi("TOK-08")
def test_apps_are_sent_with_their_type_and_are_always_asked(cpo, make_due, now, us):
    make_due("anna 1", type="APP_USER", whitelist="ALWAYS")
    assert push_due(now, us)["confirmed"] == 1
    (request,) = puts(cpo)
    assert (request.path, request.query) == ("/ocpi/2.2.1/tokens/SE/EMP/anna 1", {"type": "APP_USER"})
    assert cpo.received_tokens["anna 1"]["whitelist"] == "NEVER"


def test_one_refused_token_does_not_hold_up_the_others(cpo, make_due, now, us):
    cpo.fault("code", value=2001, module="tokens", times=1)
    first, _second = make_due(), make_due()
    assert push_due(now, us) == {"due": 2, "confirmed": 1, "behind": 1}
    failed = TokenDelivery.objects.get(token=first)
    assert (failed.due_at, failed.attempts, failed.leased_until) == (now + 2 * SECOND, 1, None)
    assert "2001" in failed.last_error
    assert push_due(now + 2 * SECOND, us)["confirmed"] == 1


def test_a_silent_partner_is_asked_once_and_all_of_its_tokens_wait(cpo, make_due, now, us):
    cpo.fault("status", value=503, module="tokens")
    [make_due() for _ in range(5)]
    assert push_due(now, us) == {"due": 5, "confirmed": 0, "behind": 5}
    assert len(puts(cpo)) == 1
    assert set(TokenDelivery.objects.values_list("due_at", "leased_until")) == {(now + 2 * SECOND, None)}
    cpo.faults.clear()
    assert push_due(now + 2 * SECOND, us)["confirmed"] == 5


@pytest.mark.ocpi("TR-33")
def test_a_lost_reply_costs_a_repetition(cpo, make_due, now, us):
    cpo.fault("lost_reply", module="tokens", times=1)
    make_due()
    assert push_due(now, us)["confirmed"] == 0
    assert push_due(now + 2 * SECOND, us)["confirmed"] == 1
    assert len(puts(cpo)) == 2


def test_a_partner_that_left_is_told_nothing(cpo, make_due, now, us):
    make_due()
    Partner.objects.update(state=Partner.State.DISCONNECTED)
    assert push_due(now, us)["due"] == 0
    assert puts(cpo) == []


@pytest.mark.ocpi("HCI-02", "2.2.1")
def test_a_hub_whose_parties_are_away_is_told_nothing_and_the_reason_is_kept(cpo, partner, make_due, now, us):
    Party.objects.create(country_code="SE", party_id="LAD", partner=partner)
    away = {"role": "CPO", "status": "OFFLINE", "last_updated": now, "received_at": now}
    Client.objects.create(hub=partner, country_code="SE", party_id="LAD", **away)
    make_due()
    assert push_due(now, us)["behind"] == 1
    assert puts(cpo) == []
    assert "SE*LAD is offline" in trouble_with(partner)
    Client.objects.update(status="CONNECTED")
    assert push_due(now + 2 * SECOND, us)["confirmed"] == 1


@pytest.mark.control("S41")
def test_whose_card_it_was_is_not_in_the_record_of_a_push(cpo, make_due, now, us):
    """Once it was: the record did not know that the message was about tokens."""
    token = make_due("04ABCDEF", visual_number="V-77")
    push_due(now, us)
    kept = Exchange.objects.get(method="PUT")
    assert kept.module == "tokens"
    said = f"{kept.url} {bytes(kept.request_body)} {kept.object_id}"
    assert not [text for text in (token.uid, "V-77", token.contract.contract_id) if text in said]


def test_a_partner_without_the_module_waits_with_the_reason(make_due, partner, now, us):
    make_due()
    partner.endpoints.all().delete()
    assert push_due(now, us) == {"due": 1, "confirmed": 0, "behind": 1}
    assert TokenDelivery.objects.get().last_error


@pytest.mark.django_db(transaction=True)
def test_a_token_that_changes_while_it_is_sent_stays_due(cpo, make_due, now, us):
    cpo.fault("slow", value=0.5, module="tokens", times=1)
    token = make_due("04AB")
    pushing = in_thread(push_due, now, us)
    while not puts(cpo) and pushing.is_alive():
        pass
    Token.objects.filter(pk=token.pk).update(is_valid=False)
    announce([token], now + SECOND)
    pushing.join()
    delivery = TokenDelivery.objects.get()
    assert (delivery.confirmed_version, delivery.due_at, delivery.leased_until) == (1, now + SECOND, None)
    push_due(now + SECOND, us)
    assert cpo.received_tokens["04AB"]["valid"] is False


@pytest.mark.django_db(transaction=True)
def test_a_change_that_commits_while_a_confirmation_waits_is_not_forgotten(make_due, now):
    """Read in one statement with its lock, the old version would be seen and the new one never sent."""
    token = make_due()
    (claimed,) = TokenDelivery.objects.all().claim(now, LEASE)
    with transaction.atomic():
        announce([token], now)
        waiting = in_thread(confirm, [Told(claimed, 1)], now)
        waiting.join(0.3)
        assert waiting.is_alive()
    waiting.join()
    delivery = TokenDelivery.objects.get()
    assert (delivery.confirmed_version, delivery.due_at) == (1, now)


def test_who_overstayed_the_lease_confirms_nothing(make_due, now):
    make_due()
    (slow,) = TokenDelivery.objects.all().claim(now, LEASE)
    (quick,) = TokenDelivery.objects.all().claim(now + 2 * LEASE, LEASE)
    assert confirm([Told(quick, 1)], now + 2 * LEASE) == 1
    assert confirm([Told(slow, 1)], now + 3 * LEASE) == 0
    assert TokenDelivery.objects.get().due_at == now + 3 * LEASE


@pytest.mark.django_db(transaction=True)
def test_workers_side_by_side_send_every_token_once(cpo, make_due, now, us):
    [make_due() for _ in range(40)]
    threads = [in_thread(lambda: [push_due(now, us, limit=5) for _ in range(8)]) for _ in range(3)]
    [thread.join() for thread in threads]
    assert (len(puts(cpo)), len(cpo.received_tokens)) == (40, 40)
    assert not TokenDelivery.objects.exclude(due_at=None).exists()


def test_a_push_by_hand_tells_everything_also_what_waits_for_its_next_try(cpo, partner, make_token, now, us):
    cpo.fault("status", value=500, module="tokens", times=1)
    [make_token() for _ in range(3)]
    assert push_partner(partner, now, us) == {"due": 3, "confirmed": 0, "behind": 3}
    assert push_partner(partner, now, us) == {"due": 3, "confirmed": 3, "behind": 0}
    assert push_partner(partner, now, us) == {"due": 0, "confirmed": 0, "behind": 0}


@pytest.mark.django_db(transaction=True)
def test_a_push_by_hand_waits_for_a_running_one(cpo, partner, make_due, us):
    cpo.fault("slow", value=0.7, module="tokens", times=1)
    make_due()
    running = in_thread(push_due, timezone.now(), us)
    while not puts(cpo) and running.is_alive():
        pass
    assert push_partner(partner, timezone.now(), us) == {"due": 1, "confirmed": 1, "behind": 0}
    running.join()
    assert len(puts(cpo)) == 1


def test_with_the_broker_wiped_the_sweep_finds_what_is_due(cpo, partner, make_token, make_driver, now):
    """Nobody rang: a new partner, a card that expired, and a block whose message was lost."""
    driver = make_driver()
    make_token("04AB"), make_token("04CD", driver, expires_at=timezone.now() - SECOND, last_updated=now)
    tasks.sweep_tokens()
    assert {uid: told["valid"] for uid, told in cpo.received_tokens.items()} == {"04AB": True, "04CD": False}
    block_driver(Token.objects.get(uid="04AB").contract.driver, timezone.now())
    tasks.sweep_tokens()
    assert cpo.received_tokens["04AB"]["valid"] is False


def test_a_ring_is_answered_by_the_same_room(cpo, make_due):
    make_due()
    assert tasks.push_tokens() == {"due": 1, "confirmed": 1, "behind": 0}
    assert tasks.enlist_tokens() == 0
