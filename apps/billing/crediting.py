"""Credit notes: what a credit CDR takes back of an invoice that was issued (BIL-44, BIL-69).

A CREDIT charge reverses one charge; the invoice that shows that charge is what its credit note corrects. Several
credits of one invoice are one credit note per run. Figures are positive, as on EN 16931 type 381.
"""

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

from django.db.models import Sum

from apps.money import ZERO

from .drafts import Draft, Taxed
from .models import TaxSubtotal

ByRate = dict[Decimal | None, Taxed]


def credited_so_far(invoice_ids: Iterable[int]) -> dict[int, ByRate]:
    """What credit notes took back of these invoices until now, by rate."""
    found = TaxSubtotal.objects.filter(invoice__corrects__in=invoice_ids)
    return _by_invoice(found.values_list("invoice__corrects_id", "rate").annotate(Sum("base"), Sum("vat")))


def invoiced(invoice_ids: Iterable[int]) -> dict[int, ByRate]:
    """What these invoices charged, by rate."""
    return _by_invoice(
        TaxSubtotal.objects.filter(invoice__in=invoice_ids).values_list("invoice_id", "rate", "base", "vat")
    )


def _by_invoice(rows: Iterable[tuple]) -> dict[int, ByRate]:
    kept = defaultdict(dict)
    for invoice_id, rate, base, vat in rows:
        kept[invoice_id][rate] = Taxed(rate, base, vat)
    return kept


def exceeding(drafts: Iterable[Draft]) -> set[int]:
    """Invoices of which these credit notes would take back more than is left; that never may be (BIL-69)."""
    by_invoice = {draft.key.corrects_id: draft for draft in drafts if draft.key.corrects_id}
    charged, credited = invoiced(by_invoice), credited_so_far(by_invoice)
    return {pk for pk, draft in by_invoice.items() if _exceeds(draft, charged[pk], credited[pk])}


def _exceeds(draft: Draft, charged: ByRate, credited: ByRate) -> bool:
    nothing = Taxed(None, ZERO, ZERO)
    for part in draft.subtotals:
        before, whole = credited.get(part.rate, nothing), charged.get(part.rate, nothing)
        if part.base + before.base > whole.base or part.vat + before.vat > whole.vat:
            return True
    return False
