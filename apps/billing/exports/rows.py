"""What an export says of a document and of a line. Amounts of credit notes are negative, so that columns add up."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

from apps.billing.models import Invoice, InvoiceLine
from apps.charging.models import Cdr
from apps.money import minor_unit

CHUNK = 2000

UNREAD = ("details", "charge__explanation", "charge__cdr__body", "charge__cdr__content_hash", "charge__cdr__warnings")

RELATED = ("charge__cdr__party", "charge__contract__driver", "charge__plan_price__plan", "charge__cdr__token")


def documents(period: date) -> Iterator[Invoice]:
    """The month's documents in the order of their series and numbers."""
    found = Invoice.objects.filter(period=period).order_by("series__prefix", "sequence")
    return found.select_related("account", "corrects", "payment", "series").iterator(CHUNK)


def lines(period: date) -> Iterator[InvoiceLine]:
    """The month's lines in the order of their documents."""
    found = InvoiceLine.objects.filter(invoice__period=period)
    found = found.order_by("invoice__series__prefix", "invoice__sequence", "position")
    documents = ("invoice__account", "invoice__corrects", "invoice__payment")
    return found.select_related(*documents, *RELATED).defer(*UNREAD).iterator(CHUNK)


def describe_document(invoice: Invoice) -> dict:
    payment = getattr(invoice, "payment", None)
    return {
        "document": invoice.number,
        "kind": invoice.kind,
        "issued_on": invoice.issued_on,
        "due_on": invoice.due_on,
        "supplied_from": invoice.supplied_from,
        "supplied_until": invoice.supplied_until,
        "account": invoice.account.name,
        "account_kind": invoice.account.kind,
        "buyer_vat_id": invoice.buyer.get("vat_id", ""),
        "seller_vat_id": invoice.seller.get("vat_id", ""),
        "corrects": invoice.corrects.number if invoice.corrects else "",
        "payment_reference": invoice.payment_reference,
        "paid_on": payment.paid_on if payment else None,
        "currency": invoice.currency,
        "vat_category": invoice.vat_category,
        "document_net": signed(invoice, invoice.net),
        "document_vat": signed(invoice, invoice.vat),
        "document_gross": signed(invoice, invoice.gross),
    }


def describe_line(line: InvoiceLine) -> dict:
    charge = line.charge
    return {
        "line": line.position,
        "charge": charge.kind,
        "description": line.description,
        "supplied_on": line.supplied_on,
        "driver": charge.contract.driver.name,
        "contract_id": charge.contract.contract_id,
        "plan": charge.plan_price.plan.name,
        **describe_cdr(charge.cdr, -1 if line.invoice.kind == Invoice.Kind.CREDIT_NOTE else 1),
        "vat_rate": line.vat_rate,
        "line_net": signed(line.invoice, line.net),
        "line_gross": None if line.gross is None else signed(line.invoice, line.gross),
    }


NO_CDR = dict.fromkeys(("cdr", "cdr_uuid", "token_uid", "started_at", "ended_at", "energy_kwh", "time_hours"))


def describe_cdr(cdr: Cdr | None, sign: int) -> dict:
    """Both CDRs of a pair tell a positive energy; what is credited counts minus (BIL-47)."""
    if cdr is None:
        return NO_CDR
    return {
        "cdr": str(cdr),
        "cdr_uuid": str(cdr.public_id),
        "token_uid": cdr.token.uid if cdr.token else cdr.token_uid,
        "started_at": cdr.started_at.astimezone(ZoneInfo("UTC")),
        "ended_at": cdr.ended_at.astimezone(ZoneInfo("UTC")),
        "energy_kwh": sign * cdr.energy,
        "time_hours": sign * cdr.time,
    }


def signed(invoice: Invoice, amount: Decimal) -> Decimal:
    """The amount in the currency's minor unit, minus on a credit note."""
    amount = amount.quantize(minor_unit(invoice.currency))
    return -amount if invoice.kind == Invoice.Kind.CREDIT_NOTE else amount
