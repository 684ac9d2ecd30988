"""What waits for a document: charges of a month and earlier ones that came too late for theirs (BIL-61)."""

from collections.abc import Iterable
from datetime import date, datetime

from django.db.models import Exists, OuterRef, Q, QuerySet

from .crediting import credited_so_far
from .drafts import Draft, Due, draft, grouped
from .models import Charge, InvoiceLine, LegalEntity, TaxRegistration

PATHS = {
    "rate": "vat_rate__rate",
    "plan": "plan_price__plan__name",
    "driver": "contract__driver__name",
    "cdr": "cdr__ocpi_id",
    "place": "cdr__location_name",
    "city": "cdr__city",
    "evse_id": "cdr__evse_id",
    "started_at": "cdr__started_at",
    "ended_at": "cdr__ended_at",
    "time_zone": "cdr__time_zone",
    "corrects_id": "reverses__line__invoice_id",
}


def waiting(period: date, cutoff: datetime) -> QuerySet[Charge]:
    """Charges that no document shows, of the month or earlier, rated by the cut-off.

    A credit waits until what it takes back is on an invoice: only then there is one to correct.
    """
    shown = InvoiceLine.objects.filter(charge=OuterRef("pk"))
    original_shown = InvoiceLine.objects.filter(charge=OuterRef("reverses"))
    return Charge.objects.filter(
        ~Q(kind=Charge.Kind.CREDIT) | Exists(original_shown),
        ~Exists(shown),
        netted_at=None,
        period__lte=period,
        rated_at__lte=cutoff,
    ).order_by("pk")


def companies_of(charges: QuerySet[Charge]) -> QuerySet[LegalEntity]:
    return LegalEntity.objects.filter(Exists(charges.filter(registration__legal_entity=OuterRef("pk")))).order_by("pk")


def registrations_of(charges: QuerySet[Charge]) -> QuerySet[TaxRegistration]:
    return TaxRegistration.objects.filter(Exists(charges.filter(registration=OuterRef("pk")))).order_by("pk")


def read(charges: QuerySet[Charge]) -> list[Due]:
    """The charges with what their lines tell, in one query."""
    return [Due(*row) for row in charges.values_list(*(PATHS.get(name, name) for name in Due._fields))]


def drafts_of(dues: Iterable[Due]) -> list[Draft]:
    """The documents that these charges make, credit notes after the VAT that was credited before (BIL-69)."""
    groups = grouped(dues)
    credited = credited_so_far({key.corrects_id for key in groups if key.corrects_id})
    return [draft(key, its_dues, credited[key.corrects_id]) for key, its_dues in groups.items()]
