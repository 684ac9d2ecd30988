import threading

import pytest
from django.db import connections

from apps.charging.intake import INTAKE
from apps.charging.matching import rematch
from apps.charging.models import Cdr, Session
from apps.drivers.models import Contract
from apps.partners.taking import take
from apps.tokens.models import Authorization

from .conftest import NOW, V221, cdr_body, session_body

pytestmark = pytest.mark.django_db


@pytest.fixture
def grant(partner):
    def grant(token, **values):
        values = {"token_uid": "04AB", "token_type": "RFID", "allowed": "ALLOWED", "reason": "", "at": NOW} | values
        return Authorization.objects.create(partner=partner, token=token, **values)

    return grant


def test_by_the_card(token, send_cdr):
    cdr = send_cdr(cdr_token__uid="04ab", cdr_token__contract_id="whatever")
    assert (cdr.token, cdr.contract) == (token, token.contract)


def test_a_card_of_another_type_is_another_card(make_token, send_cdr):
    make_token("04AB", type="APP_USER")
    assert send_cdr().contract is None


@pytest.mark.parametrize("spelt", ["SE-EMP-C00000001", "SEEMPC00000001", "se*emp*c00000001"])
def test_by_the_contract_however_it_is_spelt(spelt, contract, send_cdr):
    cdr = send_cdr(cdr_token__uid="UNKNOWN", cdr_token__contract_id=spelt)
    assert (cdr.token, cdr.contract) == (None, contract)


def test_by_our_authorization(token, grant, send_cdr):
    given = grant(token)
    cdr = send_cdr(cdr_token__uid="X", cdr_token__contract_id="Y", authorization_reference=str(given.reference).upper())
    assert (cdr.token, cdr.contract, cdr.authorization) == (token, token.contract, given)


def test_the_card_counts_more_than_contract_and_authorization(make_token, token, grant, send_cdr):
    other = make_token("04CD")
    cdr = send_cdr(cdr_token__uid="04CD", authorization_reference=str(grant(token).reference))
    assert (cdr.token, cdr.contract) == (other, other.contract)


def test_the_contract_counts_more_than_the_authorization_of_another(make_token, token, grant, send_cdr):
    """Whose card it was is then not known."""
    other = make_token("04CD")
    cdr = send_cdr(cdr_token__uid="X", authorization_reference=str(grant(other).reference))
    assert (cdr.token, cdr.contract) == (None, token.contract)


@pytest.mark.parametrize("reference", ["who-knows", "00000000-0000-4000-8000-000000000000", "", "' OR 1=1"])
def test_a_reference_of_nothing_matches_nothing(reference, token, grant, send_cdr):
    grant(token)
    cdr = send_cdr(cdr_token__uid="X", cdr_token__contract_id="Y", authorization_reference=reference)
    assert (cdr.contract, cdr.authorization) == (None, None)


def test_of_two_answers_with_one_reference_the_first_is_meant(token, grant, send_cdr):
    first = grant(token)
    grant(token, reference=first.reference)
    assert send_cdr(authorization_reference=str(first.reference)).authorization == first


class TestLater:
    def test_a_card_enrolled_later_is_found(self, send_cdr, make_token, now):
        cdr = send_cdr(cdr_token__uid="04ab")
        Cdr.objects.update(checked_at=now)
        token = make_token("04AB")
        assert rematch(now) == 1
        cdr.refresh_from_db()
        assert (cdr.token, cdr.contract, cdr.checked_at) == (token, token.contract, None)

    def test_a_contract_made_later_is_found(self, send_cdr, driver, now):
        cdr = send_cdr()
        contract = Contract.objects.create(driver=driver, contract_id="SE-EMP-C00000001")
        assert rematch(now) == 1
        cdr.refresh_from_db()
        assert cdr.contract == contract

    def test_what_has_its_contract_stays_where_it_is(self, token, send_cdr, make_token, now):
        cdr = send_cdr(cdr_token__uid="LATER")
        Cdr.objects.update(checked_at=now)
        make_token("LATER")
        assert rematch(now) == 0
        cdr.refresh_from_db()
        assert (cdr.contract, cdr.checked_at) == (token.contract, now)

    def test_nothing_new_changes_nothing(self, send_cdr, now):
        send_cdr()
        Cdr.objects.update(checked_at=now)
        assert rematch(now) == 0
        assert Cdr.objects.get().checked_at == now

    def test_a_session_finds_its_card_too_even_when_it_has_ended(self, send_session, make_token, now):
        send_session(session_body(), session_body(id="S-2", status="COMPLETED"))
        token = make_token("04AB")
        rematch(now)
        assert set(Session.objects.values_list("token", flat=True)) == {token.pk}

    def test_a_location_that_comes_later_tells_the_zone(self, send_cdr, make_location, now):
        cdr = send_cdr(cdr_location__country="ESP")
        make_location("LOC-1", time_zone="Atlantic/Canary")
        rematch(now)
        cdr.refresh_from_db()
        assert cdr.time_zone == "Atlantic/Canary"

    def test_a_zone_that_nobody_knows_is_none(self, send_cdr, make_location, now):
        send_cdr(cdr_location__country="ESP")
        make_location("LOC-1", time_zone="Spain/Somewhere")
        rematch(now)
        assert Cdr.objects.get().time_zone == ""


class TestSessions:
    @pytest.mark.ocpi("SES-06")
    def test_our_authorization_counts_more_than_the_card_it_names(self, send_session, token, make_token, grant):
        """SES-06: the reference is the primary key."""
        make_token("04CD")
        send_session(session_body(cdr_token__uid="04CD", authorization_reference=str(grant(token).reference)))
        assert Session.objects.get().token == token

    def test_without_it_the_card_counts(self, send_session, token):
        send_session(session_body())
        assert Session.objects.get().token == token


def test_the_same_card_and_contract_of_all_are_one_match(token, contract, send):
    """As many CDRs as there are stay as many, whatever is joined."""
    send(*(cdr_body(id=f"C-{number}") for number in range(30)))
    assert Cdr.objects.filter(contract=contract, token=token).count() == 30


@pytest.mark.django_db(transaction=True)
def test_rounds_that_meet_match_each_cdr_once(partner, make_token, now):
    bodies = [cdr_body(id=f"C-{number}", cdr_token__uid=f"U{number % 40}") for number in range(200)]
    take(INTAKE, partner, V221, bodies, NOW)
    for number in range(40):
        make_token(f"U{number}")
    ready, found = threading.Barrier(5), []

    def work():
        try:
            ready.wait(timeout=30)
            found.append(rematch(now))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(5)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert (len(found), sum(found), Cdr.objects.unmatched().count()) == (5, 200, 0)
