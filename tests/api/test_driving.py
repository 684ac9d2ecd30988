"""What a driver's app reads of contracts, sessions and invoices."""

from datetime import timedelta

import pytest

from apps.billing import invoicing, rating
from apps.charging.models import Session
from apps.drivers.models import Account
from tests.admin.furnished import NOW, OCTOBER, bill, cdr_body, make_card, receive
from tests.api.conftest import driver_of, id_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def charge(partner):
    """A session of a card, so many days ago."""

    def charge(card, days=0, **values):
        at = NOW - timedelta(days=days)
        times = {"started_at": at, "whole_at": at, "last_updated": at, "received_at": at}
        told = {
            "status": "ACTIVE",
            "energy": "3.5000",
            "currency": "SEK",
            "body": b"{}",
            "version": "2.2.1",
            "token_uid": card.uid,
        }
        number = Session.objects.count()
        return Session.objects.create(
            party=partner.parties.get(), partner=partner, ocpi_id=f"S-{number}", token=card, **told | times | values
        )

    return charge


def test_a_contract_leads_to_its_driver_and_tokens(app, card):
    told = app.told(f"contracts/{card.contract.contract_id.lower().replace('-', '')}")
    assert (told["id"], told["driver"]) == (id_of(card.contract), driver_of(card))
    (token,) = told["tokens"]
    assert token == {"id": id_of(card), "type": "RFID", "visual_number": "NL-001", "state": "ALLOWED"}
    assert card.uid not in str(told)
    type(card).objects.update(blocked_at=NOW)
    assert app.told(f"contracts/{card.contract.contract_id}")["tokens"][0]["state"] == "BLOCKED"


@pytest.mark.control("S41")
def test_a_contract_is_in_no_line_of_the_log(app, card, caplog):
    app.told(f"contracts/{card.contract.contract_id}")
    assert "/api/v1/contracts/" in caplog.text
    assert card.contract.contract_id not in caplog.text


def test_a_drivers_sessions_come_newest_first(app, card, charge, make_place):
    place = make_place()
    charge(card, 1)
    charge(card, 0, location_id="l-1", evse_uid="e1")
    charge(make_card(2))
    told = app.told(f"drivers/{driver_of(card)}/sessions")
    assert told["next"] is None
    newest, older = told["items"]
    assert (newest["energy_kwh"], newest["operator"], newest["status"]) == ("3.5", "SE*LAD", "ACTIVE")
    assert newest["started_at"] == "2026-11-03T12:00:00Z"
    assert (newest["location"], newest["evse"]) == (id_of(place), id_of(place.evses.get()))
    assert (older["location"], older["ended_at"]) == (None, None)
    assert app.told(f"sessions/{newest['id']}")["contract"] == id_of(card.contract)
    first = app.told(f"drivers/{driver_of(card)}/sessions", limit=1)
    assert [one["id"] for one in first["items"]] == [newest["id"]]
    assert "offset=1" in first["next"]


@pytest.fixture
def invoiced(company, partner, card):
    receive(partner, cdr_body("CDR-1", card.uid, card.contract.contract_id))
    bill()
    return card.contract.driver.account.invoices.get()


def test_a_drivers_invoices_and_their_documents(app, card, invoiced, settings):
    (told,) = app.told(f"drivers/{driver_of(card)}/invoices")["items"]
    amounts = {"net": "40.00", "vat": "10.00", "gross": "50.00", "currency": "SEK"}
    assert told | amounts == told
    assert (told["number"], told["period"], told["is_paid"], told["corrects"]) == ("SE000001", "2026-10", False, None)
    answer = app.client.get(told["pdf"].removeprefix(settings.PUBLIC_URL), headers=app.headers)
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/pdf")
    assert answer.content == bytes(invoiced.document.pdf)
    assert "SE000001.pdf" in answer["Content-Disposition"]


def test_a_document_that_is_not_made_has_no_address(app, card, partner):
    receive(partner, cdr_body("CDR-1", card.uid, card.contract.contract_id))
    rating.catch_up(NOW)
    invoicing.issue(OCTOBER, NOW)
    invoiced = card.contract.driver.account.invoices.get()
    assert app.told(f"drivers/{driver_of(card)}/invoices")["items"][0]["pdf"] is None
    assert app.get(f"invoices/{id_of(invoiced)}/pdf").status_code == 404


def test_a_companys_documents_are_for_its_own_key(app, as_key, company, partner):
    """They say where each of its drivers was."""
    card = make_card(9, account="Fleet")
    Account.objects.filter(name="Fleet").update(kind="company", organisation_no="556712-3458")
    receive(partner, cdr_body("CDR-9", card.uid, card.contract.contract_id))
    bill()
    invoice = Account.objects.get(name="Fleet").invoices.get()
    own = as_key(account=invoice.account)
    for caller, count, status in ((app, 0, 404), (own, 1, 200)):
        assert len(caller.told(f"drivers/{driver_of(card)}/invoices")["items"]) == count
        assert caller.get(f"invoices/{id_of(invoice)}/pdf").status_code == status
