"""That an invoice was paid: a fact beside the document, which is frozen."""

from datetime import date, datetime

from django.db import IntegrityError, transaction

from .calendar import today_of
from .models import Invoice, Payment


class NotPayable(Exception):
    """The invoice cannot be marked as paid; the message says why."""


def mark_paid(invoice: Invoice, paid_on: date, by, now: datetime) -> Payment:
    """Note that the whole invoice was paid on a day, and who says so.

    Raises NotPayable for a credit note, a day before the invoice or after today where the company is, and for what is paid.
    """
    if reason := _unpayable(invoice, paid_on, now):
        raise NotPayable(f"{invoice}: {reason}")
    try:
        with transaction.atomic():
            return Payment.objects.create(invoice=invoice, paid_on=paid_on, marked_by=by, marked_at=now)
    except IntegrityError as error:
        raise NotPayable(f"{invoice}: is marked as paid already") from error


def _unpayable(invoice: Invoice, paid_on: date, now: datetime) -> str:
    if invoice.kind != Invoice.Kind.INVOICE:
        return "a credit note is not paid"
    if paid_on < invoice.issued_on:
        return f"was issued on {invoice.issued_on}, after {paid_on}"
    is_to_come = paid_on > today_of(invoice.run.legal_entity, now)
    return f"{paid_on} is still to come" if is_to_come else ""
