"""Monthly fees: owed for having a plan, also in a month without any charging, so by contract and not by CDR (BIL-157).

A month's fees are charged once it is over: by then every change of plan in it is known. By calendar days of the
company; the day of a change belongs to the new plan, and each part is a charge of its own, rounded (BIL-17).
"""

from calendar import monthrange
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q

from apps.bulk import Upsert
from apps.pricing.cost import price_month

from .calendar import end_of_month, month_after
from .enrolled import EVER
from .holding import OnHold
from .models import Charge, LegalEntity, PlanPrice, Subscription
from .selling import ELSEWHERE
from .usage import amount, explained, require_net
from .vat import Customer, Supply, Table

ONE_AT_A_TIME = 2_160_422
"""Advisory lock: two runs of a month that both found a contract without its fee would both charge it."""

FEES = Upsert(
    model=Charge,
    columns=(
        "kind", "share", "account", "contract", "plan_price", "period", "supplied_on", "registration", "vat_category",
        "vat_rate", "currency", "basis", "amount", "explanation", "rated_at",
    ),
    target="id",
)  # fmt: skip


class LeftOut(NamedTuple):
    """A contract whose fee could not be charged, with the reason for staff."""

    contract: str
    reason: str


@dataclass
class Charged:
    """`count`: fees charged now. `left_out`: what was not, and will be tried by the next run of the month."""

    count: int = 0
    left_out: list[LeftOut] = field(default_factory=list)


@transaction.atomic
def charge_month(period: date, now: datetime) -> Charged:
    """Charge the monthly fees of the month that begins on `period`, of contracts that have none of it yet.

    Charges nothing while the month is not over. Run twice, the second finds nothing to do.
    """
    charged, company = Charged(), LegalEntity.objects.order_by("pk").first()
    if company is None or now < end_of_month(company, period):
        return charged
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ONE_AT_A_TIME])
    month, fees = Month.read(company, period), []
    for part in month.parts():
        try:
            fees.append((*month.fee(part), now))
        except OnHold as why:
            charged.left_out.append(LeftOut(part.subscription.contract.contract_id, str(why)))
    FEES.write(fees)
    charged.count = len(fees)
    return charged


class Part(NamedTuple):
    """The days of a month on which a contract has a plan at a price: from `begin` until before `end`."""

    subscription: Subscription
    price: PlanPrice
    begin: date
    end: date


@dataclass(frozen=True)
class Month:
    """What the fees of one month are made of."""

    company: LegalEntity
    period: date
    table: Table
    prices: dict[int, list[PlanPrice]]

    @classmethod
    def read(cls, company: LegalEntity, period: date) -> "Month":
        prices = defaultdict(list)
        for price in PlanPrice.objects.filter(country=ELSEWHERE).select_related("plan").order_by("-valid_from"):
            prices[price.plan_id].append(price)
        return cls(company, period, Table.read(company), prices)

    def parts(self) -> Iterator[Part]:
        """Parts that owe a fee. Prices are those of the part's first day."""
        for subscription in self._subscriptions():
            begin, end = self._days(subscription)
            price = self._price(subscription.plan_id, begin) if begin < end else None
            if price and price.monthly_fee:
                yield Part(subscription, price, begin, end)

    def _subscriptions(self) -> Iterable[Subscription]:
        """Those that touch the month, of plans with a fee and contracts without one in it."""
        fees = Charge.objects.filter(kind=Charge.Kind.FEE, period=self.period, netted_at=None)
        until = Q(valid_until=None) | Q(valid_until__gt=self.period)
        costing = [plan for plan, prices in self.prices.items() if any(price.monthly_fee for price in prices)]
        found = Subscription.objects.filter(until, valid_from__lt=month_after(self.period), plan__in=costing)
        found = found.filter(~Exists(fees.filter(contract=OuterRef("contract"))))
        return found.select_related("contract__driver__account").order_by("contract", "valid_from")

    def _days(self, subscription: Subscription) -> tuple[date, date]:
        """A plan that holds for whatever was ever charged costs nothing for the time before there was a contract."""
        end = min(subscription.valid_until or date.max, month_after(self.period))
        begin = subscription.valid_from
        if begin <= EVER:
            begin = subscription.contract.created_at.astimezone(ZoneInfo(self.company.time_zone)).date()
        return max(begin, self.period), end

    def _price(self, plan: int, day: date) -> PlanPrice | None:
        return next((price for price in self.prices[plan] if price.valid_from <= day), None)

    def fee(self, part: Part) -> tuple:
        """The columns of the charge, but for when it was rated. OnHold says why there is none."""
        contract, price = part.subscription.contract, part.price
        account, plan = contract.driver.account, price.plan
        taxed = self.table.treatment(Supply.SERVICE, account.country, part.begin, Customer.of(account))
        require_net(plan, taxed)
        days_in_month = monthrange(self.period.year, self.period.month)[1]
        cost = price_month(price.monthly_fee, (part.end - part.begin).days, days_in_month)
        return (
            Charge.Kind.FEE, 1, account.pk, contract.pk, price.pk, self.period, part.begin, taxed.registration.pk,
            taxed.category, taxed.rate and taxed.rate.pk, plan.currency, plan.basis, amount(cost, plan.currency),
            explained(cost, price, taxed) | {"from": f"{part.begin}", "until": f"{part.end}"},
        )  # fmt: skip
