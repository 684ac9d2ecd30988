"""Issued documents as PDF/A: rendered once from frozen data by Typst, then the same bytes for ever (BIL-75, BIL-80)."""

import hashlib
from datetime import datetime, timedelta

import typst

from apps.typesetting import typeset

from .models import Document, Invoice
from .wording import folder, worded

LEASE = timedelta(minutes=5)
BATCH = 20


def render(invoice: Invoice) -> bytes:
    """The document as PDF/A-3b; the same invoice gives the same page on every machine: fonts are our own."""
    return typeset(folder() / "invoice.typ", worded(invoice, list(invoice.lines.all())))


def waiting(now: datetime) -> int:
    """How many documents are to be rendered now and by nobody yet."""
    return Document.objects.due(now).count()


def render_due(now: datetime, limit: int = BATCH) -> int:
    """Render documents that wait for it; how many were. What fails stays due with its error, and is tried again later."""
    claimed = Document.objects.claim(now, LEASE, limit)
    whole = Invoice.objects.select_related("corrects").prefetch_related("lines", "tax_subtotals")
    invoices = whole.in_bulk([document.invoice_id for document in claimed])
    return sum(_render_claimed(document, invoices[document.invoice_id], now) for document in claimed)


def _render_claimed(document: Document, invoice: Invoice, now: datetime) -> bool:
    try:
        pdf = render(invoice)
    except (typst.TypstError, KeyError, ValueError) as error:
        _ours(document).update(**document.failed(f"{type(error).__name__}: {error}", now))
        return False
    kept = {"pdf": pdf, "sha256": hashlib.sha256(pdf).hexdigest(), "rendered_at": now}
    return bool(_ours(document).filter(pdf=None).update(**document.settled(), **kept))


def _ours(document: Document):
    """The row as long as our lease on it holds; a worker that woke up late changes nothing."""
    return Document.objects.filter(pk=document.pk, leased_until=document.leased_until)
