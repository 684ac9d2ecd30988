import json

import pytest

from apps.charging.attaching import CannotAttach, attach_card, attach_cdr
from apps.charging.checking import check_due
from apps.charging.models import Cdr, Session
from apps.ocpi.objects import Party
from apps.ocpi.versions import VERSIONS
from apps.partners.models import Endpoint
from apps.tokens.issuing import CannotIssue, issue
from apps.tokens.models import Token, TokenDelivery

from .conftest import cdr_body, session_body
from .test_intake import OLD

pytestmark = pytest.mark.django_db
US = Party("SE", "EMP")
STRAY = {"country_code": "SE", "party_id": "EMP", "uid": "04ff", "type": "RFID", "contract_id": "UNKNOWN"}


@pytest.fixture
def strays(send, send_session, now):
    """Three CDRs and a session of one card that nobody knows, and a CDR of another."""
    send(*(cdr_body(id=f"C-{number}", cdr_token=STRAY) for number in range(3)))
    send(cdr_body(id="OTHER", cdr_token=STRAY | {"uid": "04EE"}))
    send_session(session_body(cdr_token=STRAY, status="COMPLETED"))
    check_due(now)
    return Cdr.objects.get(ocpi_id="C-0")


def test_all_that_the_card_charged_finds_its_contract(strays, contract, now):
    attached = attach_card(strays, contract, now, US)
    assert (attached.cdrs, attached.token.uid, attached.token.contract) == (3, "04FF", contract)
    assert Cdr.objects.filter(contract=contract, token=attached.token, checked_at=None).count() == 3
    assert Session.objects.get().token == attached.token


def test_checked_again_they_are_fit_to_bill(strays, contract, now):
    assert not Cdr.objects.fit_to_bill().exists()
    attach_card(strays, contract, now, US)
    check_due(now)
    assert Cdr.objects.fit_to_bill().count() == 3
    assert Cdr.objects.unmatched().get().ocpi_id == "OTHER"


def test_partners_are_told_of_the_card(strays, contract, partner, now):
    Endpoint.objects.create(partner=partner, identifier="tokens", role="RECEIVER", url="https://cpo.example/tokens")
    token = attach_card(strays, contract, now, US).token
    delivery = TokenDelivery.objects.get()
    assert (delivery.token, delivery.partner, delivery.due_at) == (token, partner, now)


def test_what_has_its_contract_is_refused(strays, contract, now):
    attach_card(strays, contract, now, US)
    with pytest.raises(CannotAttach, match="is matched to contract SE-EMP-C00000001 already"):
        attach_card(strays, contract, now, US)


def test_a_card_of_somebody_else_is_refused_by_name(strays, contract, make_token, now):
    other = make_token("04ff")
    with pytest.raises(CannotAttach, match=f"on contract {other.contract} of Anna already"):
        attach_card(strays, contract, now, US)
    assert Cdr.objects.get(pk=strays.pk).contract is None


def test_a_card_that_was_enrolled_on_this_contract_meanwhile_is_taken(strays, contract, make_token, now):
    token = make_token("04FF", contract)
    assert attach_card(strays, contract, now, US) == (token, 3)


@pytest.mark.parametrize(
    ("card", "reason"),
    [
        ({"uid": "x" * 40}, "is no card number"),
        ({"uid": "schlüssel"}, "is no card number"),
        ({"type": "IMPLANT"}, "IMPLANT is not a type of card"),
    ],
)
def test_what_no_card_could_be_is_refused(card, reason, send, contract, now):
    send(cdr_body(cdr_token=STRAY | card))
    with pytest.raises(CannotAttach, match=reason):
        attach_card(Cdr.objects.get(), contract, now, US)
    assert not Token.objects.exists()


def test_a_cdr_that_names_no_card_is_given_by_itself(send_cdr, contract, now):
    cdr = send_cdr(cdr_token__uid="#NA", cdr_token__contract_id="UNKNOWN")
    check_due(now)
    attach_cdr(cdr, contract, now)
    cdr.refresh_from_db()
    assert (cdr.contract, cdr.token, cdr.checked_at) == (contract, None, None)
    with pytest.raises(CannotAttach, match="already"):
        attach_cdr(cdr, contract, now)


def test_without_a_card_there_is_nothing_to_attach(send, contract, now):
    send(json.dumps(OLD | {"auth_id": "UNKNOWN"}).encode(), version=VERSIONS["2.1.1"])
    with pytest.raises(CannotAttach, match="names no card"):
        attach_card(Cdr.objects.get(), contract, now, US)


class TestIssue:
    def test_a_new_card(self, contract, now):
        token = issue(contract, "04ab", "RFID", now, US)
        assert (token.uid, token.issuer, token.contract, token.version) == ("04AB", "SE*EMP", contract, 1)

    def test_it_names_the_issuer_that_our_cards_name(self, token, contract, now):
        assert issue(contract, "04CD", "RFID", now, US).issuer == token.issuer

    def test_the_same_again_is_the_same_card(self, contract, now):
        assert issue(contract, "04ab", "RFID", now, US) == issue(contract, "04AB", "RFID", now, US)

    def test_of_another_contract_it_is_refused(self, make_token, contract, now):
        make_token("04AB")
        with pytest.raises(CannotIssue, match="already"):
            issue(contract, "04AB", "RFID", now, US)

    def test_uids_of_apps_keep_their_spelling(self, contract, now):
        assert issue(contract, "abc-Def", "APP_USER", now, US).uid == "abc-Def"
