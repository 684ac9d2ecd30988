"""What an invoice run did, or a preview would do: documents by country and currency, and what is left for later."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from django.db.models import Count, F, QuerySet, Sum, Value

from apps.charging.models import Cdr
from apps.money import ZERO, round_money

from .calendar import end_of_month
from .drafts import Draft
from .models import LegalEntity, TaxRegistration
from .states import State, with_state
from .subscriptions import Charged


@dataclass
class Total:
    """Documents of one country's registrations in one currency; credit notes count minus."""

    count: int = 0
    net: Decimal = ZERO
    vat: Decimal = ZERO

    @property
    def gross(self) -> Decimal:
        return self.net + self.vat

    def add(self, draft: Draft) -> None:
        sign = 1 if draft.key.corrects_id is None else -1
        self.count += 1
        self.net += sign * draft.net
        self.vat += sign * draft.vat


@dataclass(frozen=True)
class Kept:
    """What waits, and why: an account's charges, a contract's fee, or CDRs that are held. Net in its currency.

    Of what could not be priced the net is None: it is not known.
    """

    reason: str
    count: int
    currency: str = ""
    net: Decimal | None = None

    def as_json(self) -> dict:
        """The currency stands in the reason, because sums of two would mean nothing."""
        reason = f"{self.reason} ({self.currency})" if self.currency else self.reason
        return {"reason": reason, "count": self.count, "net": None if self.net is None else f"{self.net:f}"}


@dataclass
class Outcome:
    """`period` is the first day of the month. `obstacles` is what a preview found that would forbid to issue."""

    period: date
    is_preview: bool
    totals: dict[tuple[str, str], Total] = field(default_factory=dict)
    left_out: list[Kept] = field(default_factory=list)
    held: list[Kept] = field(default_factory=list)
    obstacles: list[str] = field(default_factory=list)

    def add(self, registration: TaxRegistration, drafts: Iterable[Draft], left_out: Iterable[Kept]) -> None:
        for draft in drafts:
            self.totals.setdefault((registration.country, draft.key.currency), Total()).add(draft)
        self.left_out += left_out

    def as_json(self) -> dict:
        """`{"period", "preview", "documents": […], "held": […]}`; money as decimal strings."""
        return {
            "period": f"{self.period:%Y-%m}",
            "preview": self.is_preview,
            "documents": [described(*key, total) for key, total in sorted(self.totals.items())],
            "held": [kept.as_json() for kept in self.left_out + self.held],
        }


def described(country: str, currency: str, total: Total) -> dict:
    amounts = {name: f"{getattr(total, name):f}" for name in ("net", "vat", "gross")}
    return {"country": country, "currency": currency, "count": total.count, **amounts}


def fees_left_out(charged: Charged) -> list[Kept]:
    """Monthly fees that could not be charged, by contract."""
    return [Kept(f"fee of {contract}: {reason}", 1) for contract, reason in charged.left_out]


def held_until(period: date) -> list[Kept]:
    """CDRs that ended in the month or before and are held, by reason, and those of the month that are not rated yet.

    Net is what their CPOs ask for them.
    """
    company = LegalEntity.objects.order_by("pk").first() or LegalEntity()  # the calendar of one that is not entered yet
    end = end_of_month(company, period)
    ended = {"ended_at__gte": end_of_month(company, period - timedelta(days=1)), "ended_at__lt": end}
    unrated = (
        with_state(Cdr.objects.filter(**ended)).filter(state=State.UNRATED).annotate(code=Value(State.UNRATED.label))
    )
    held = Cdr.objects.filter(held__isnull=False, ended_at__lt=end).annotate(code=F("held__code"))
    return [*_summed(held), *_summed(unrated)]


def _summed(cdrs: QuerySet[Cdr]) -> list[Kept]:
    rows = cdrs.order_by().values_list("code", "currency").annotate(Count("pk"), Sum("cost_before_taxes"))
    return [
        Kept(code, count, currency, round_money(net, currency))
        for code, currency, count, net in rows.order_by("code", "currency")
    ]
