"""What must be in order before a month is issued: with it wrong once, it would be wrong on every document."""

from collections.abc import Iterator
from datetime import date, datetime

from django.db.models import QuerySet

from .calendar import end_of_month
from .collecting import companies_of, registrations_of
from .models import Charge, LegalEntity, NumberSeries, VatRate
from .parties import missing_of_seller


class NotReady(Exception):
    """Nothing was issued; `reasons` names everything that stands in the way."""

    def __init__(self, reasons: list[str]):
        super().__init__("; ".join(reasons))
        self.reasons = reasons


def obstacles(charges: QuerySet[Charge], period: date, now: datetime) -> list[str]:
    """Everything that forbids to issue these charges, each by name; empty: nothing does."""
    return [*_open_month(period, now), *_sellers(charges), *_series(charges), *_unconfirmed(charges)]


def _open_month(period: date, now: datetime) -> Iterator[str]:
    for company in LegalEntity.objects.order_by("pk"):
        if now < (end := end_of_month(company, period)):
            yield f"{company}: {period:%Y-%m} is not over before {end:%Y-%m-%d %H:%M} ({company.time_zone})"


def _sellers(charges: QuerySet[Charge]) -> Iterator[str]:
    for company in companies_of(charges):
        if missing := missing_of_seller(company):
            yield f"{company} lacks: {', '.join(missing)}"


def _series(charges: QuerySet[Charge]) -> Iterator[str]:
    """A registration that is charged under needs both series: the first credit note must not find none (BIL-70)."""
    for registration in registrations_of(charges):
        there = set(registration.series.values_list("kind", flat=True))
        for kind in NumberSeries.Kind:
            if kind not in there:
                yield f"{registration} has no number series for {kind.label}"


def _unconfirmed(charges: QuerySet[Charge]) -> Iterator[str]:
    """Rates that nobody has signed for (BIL-57)."""
    used = charges.order_by().values("vat_rate")
    for rate in VatRate.objects.filter(pk__in=used, confirmed_at=None):
        yield f"VAT rate is not confirmed: {rate}"
