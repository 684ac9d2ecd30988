"""Paid, once and by whom; and the references under which it comes in."""

from datetime import UTC, date, datetime, timedelta

import pytest
from stdnum import luhn as luhn_of_stdnum

from apps.billing import invoicing
from apps.billing.models import Invoice, NumberSeries, Payment
from apps.billing.numbering import creditor_reference, in_fours, ocr_reference
from apps.billing.payments import NotPayable, mark_paid
from apps.staff.models import User
from tests.billing.charged import NOW, OCTOBER, World

LATER = NOW + timedelta(days=20)


@pytest.fixture
def invoice(db):
    world = World()
    charge = world.charge(world.account(), "10")
    invoicing.issue(OCTOBER, NOW)
    world.credit(charge)
    invoicing.issue(OCTOBER, NOW + timedelta(days=1))
    return Invoice.objects.get(kind="INVOICE")


def test_it_is_noted_who_says_that_an_invoice_was_paid(invoice):
    finance = User.objects.create(username="finance")
    mark_paid(invoice, date(2026, 11, 20), finance, LATER)
    payment = Payment.objects.get()
    assert (payment.invoice, payment.paid_on, payment.marked_by) == (invoice, date(2026, 11, 20), finance)
    with pytest.raises(NotPayable, match="SE-000001: is marked as paid already"):
        mark_paid(invoice, date(2026, 11, 20), finance, LATER)


def test_what_cannot_be_is_refused_with_the_reason(invoice):
    for day, reason in ((date(2026, 11, 2), "was issued on 2026-11-03"), (date(2026, 11, 24), "is still to come")):
        with pytest.raises(NotPayable, match=reason):
            mark_paid(invoice, day, None, LATER)
    with pytest.raises(NotPayable, match="a credit note is not paid"):
        mark_paid(Invoice.objects.get(kind="CREDIT_NOTE"), date(2026, 11, 20), None, LATER)
    assert not Payment.objects.exists()


def test_today_is_the_companys_and_not_that_of_utc(invoice):
    late_in_the_evening = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
    with pytest.raises(NotPayable, match="is still to come"):
        mark_paid(invoice, date(2026, 11, 22), None, late_in_the_evening)
    assert mark_paid(invoice, date(2026, 11, 21), None, late_in_the_evening)


@pytest.mark.parametrize("digits", ["1", "100000001", "12345678901234567890123"])
def test_an_ocr_number_has_its_length_and_a_luhn_digit(digits):
    reference = ocr_reference(digits)
    assert reference.startswith(digits)
    assert int(reference[-2]) == len(reference) % 10
    assert luhn_of_stdnum.is_valid(reference)


@pytest.mark.parametrize("digits", ["", "1A", "1" * 24])
def test_what_is_no_ocr_number_is_refused(digits):
    with pytest.raises(ValueError, match="makes no OCR number"):
        ocr_reference(digits)


@pytest.mark.parametrize("number", ["SE000001", "SE-000001", "de 12", "A" * 21])
def test_a_creditor_reference_is_one_by_another_reading(number):
    from stdnum.iso11649 import is_valid

    assert is_valid(creditor_reference(number))


@pytest.mark.parametrize("number", ["", "-", "A" * 22])
def test_what_is_no_creditor_reference_is_refused(number):
    with pytest.raises(ValueError, match="makes no creditor reference"):
        creditor_reference(number)


def test_people_copy_in_fours():
    assert in_fours("RF18539007547034") == "RF18 5390 0754 7034"


def test_every_series_has_references_of_its_own(invoice):
    one, two = NumberSeries.objects.order_by("pk")[:2]
    assert ocr_reference(f"{one.pk}00000001") != ocr_reference(f"{two.pk}00000001")
