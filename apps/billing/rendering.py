"""Issued documents as PDF/A: rendered once from frozen data by Typst, then the same bytes for ever (BIL-75, BIL-80)."""

import hashlib
import json
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from threading import Lock

import typst

from .models import Document, Invoice
from .wording import folder, worded

LEASE = timedelta(minutes=5)
BATCH = 20
STANDARD = "a-3b"
"""PDF/A-3: readable in ten years, and it may carry the e-invoice that comes later."""


def render(invoice: Invoice) -> bytes:
    """The document as PDF/A-3b; the same invoice gives the same page on every machine: fonts are our own."""
    page = worded(invoice, list(invoice.lines.all()))
    try:
        return _compiled(page)
    except typst.TypstError as error:
        if NO_GLYPH not in str(error):
            raise
        return _compiled(in_our_letters(page))


NO_GLYPH = "could not be displayed"
OURS = ((0x20, 0x4FF), (0x1E00, 0x1FFF), (0x2010, 0x2027), (0x2030, 0x205E), (0x2070, 0x20C0), (0x2200, 0x22FF))
"""Ranges of which our fonts have every letter: Latin, Greek, Cyrillic, marks and signs."""
BLANKS = "\n\u00a0\u2009\u202f"


def in_our_letters(said):
    """What our fonts lack as U+FFFD: PDF/A allows no missing letter, and an emoji in the name of a place must not keep
    an issued invoice from its customer (trust S37)."""
    if isinstance(said, dict):
        return {name: in_our_letters(part) for name, part in said.items()}
    if isinstance(said, (list, tuple)):
        return [in_our_letters(part) for part in said]
    return _lettered(said) if isinstance(said, str) else said


def _lettered(text: str) -> str:
    return "".join(letter if _is_ours(letter) else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _is_ours(letter: str) -> bool:
    code = ord(letter)
    return letter in BLANKS or (letter.isprintable() and any(first <= code <= last for first, last in OURS))


def _compiled(page: dict) -> bytes:
    with _one_at_a_time:
        return _compiler(folder()).compile(sys_inputs={"data": json.dumps(page)}, pdf_standards=STANDARD)


@cache
def _compiler(templates: Path) -> typst.Compiler:
    """Of this process: it has read fonts and template."""
    fonts = typst.Fonts(include_system_fonts=False, font_paths=[str(templates / "fonts")])
    return typst.Compiler(str(templates / "invoice.typ"), root=str(templates), font_paths=fonts)


_one_at_a_time = Lock()


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
