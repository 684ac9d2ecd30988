"""What a charging session costs its driver: the plan's prices times what was used, rounded once (BIL-63)."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from apps.money import minor_unit, round_money
from apps.pricing.cost import Component, Cost, Prices, Quantities, price_session

from . import selling
from .countries import alpha_2
from .facts import Facts
from .holding import OnHold
from .models import Charge, Plan, PlanPrice
from .vat import REVERSE_CHARGE, Supply, Table, Treatment

LARGEST = Decimal(10**14)
"""Amounts have 14 digits before the point; what is larger is no charge but a mistake."""

BLOCK = 4


@dataclass
class Rater:
    """The company's prices and VAT table, and what of them the CDRs of one batch need."""

    table: Table | OnHold
    catalogue: selling.Catalogue
    zones: dict[str, ZoneInfo] = field(default_factory=dict)

    @classmethod
    def for_batch(cls, batch: Collection[Facts]) -> "Rater":
        contracts = {facts.contract_id for facts in batch} - {None}
        try:
            table = Table.read(selling.seller())
        except OnHold as nobody_sells:
            table = nobody_sells
        return cls(table, selling.Catalogue.read(contracts))

    def usage(self, facts: Facts) -> tuple:
        """The columns of the charge, but for when it was rated. OnHold says why there is none."""
        if held := why_held(facts):
            raise held
        if isinstance(self.table, OnHold):
            raise self.table
        zone, country = self._zone(facts.time_zone), alpha_2(facts.country)
        began_on, supplied_on = facts.started_at.astimezone(zone).date(), facts.ended_at.astimezone(zone).date()
        price = self.catalogue.price(facts.contract_id, country, began_on)
        taxed = self.table.treatment(Supply.ELECTRICITY, country, supplied_on, facts.customer)
        require_net(price.plan, taxed)
        cost = price_session(quantities(facts), prices(price))
        return (
            Charge.Kind.USAGE, facts.id, 1, facts.account_id, facts.contract_id, price.pk,
            self.period(facts.ended_at), supplied_on, taxed.registration.pk, taxed.category,
            taxed.rate and taxed.rate.pk, price.plan.currency, price.plan.basis, amount(cost, price.plan.currency), None,
            explained(cost, price, taxed) | {"began_on": f"{began_on}", "supplied_on": f"{supplied_on}", "time_zone": zone.key},
        )  # fmt: skip

    def period(self, moment: datetime) -> date:
        """The company's calendar month that a moment is in, by its first day (BIL-61)."""
        return moment.astimezone(self._zone(self.table.seller.time_zone)).date().replace(day=1)

    def _zone(self, name: str) -> ZoneInfo:
        if not name:
            raise OnHold("NO_TIME_ZONE", "its location is not known, and its country has several time zones")
        return self.zones.get(name) or self.zones.setdefault(name, ZoneInfo(name))


def why_held(facts: Facts) -> OnHold | None:
    """What keeps a CDR from being charged before any price is looked up."""
    if facts.finding is not None:
        return OnHold(facts.finding, facts.finding_reason, is_final=facts.severity == BLOCK)
    if facts.is_credit:
        return OnHold("NO_ORIGINAL", "a credit CDR, and what it takes back has not come")
    if facts.contract_id is None:
        return OnHold("V-20", "nobody could be billed: neither card nor contract is known")
    if min(facts.energy, facts.time) < 0:
        return OnHold("V-13", f"used {facts.energy.normalize():f} kWh in {facts.time.normalize():f} hours")
    return None


def quantities(facts: Facts) -> Quantities:
    return Quantities(facts.energy, facts.time)


def prices(price: PlanPrice) -> Prices:
    return Prices(price.per_kwh, price.per_minute, price.per_session)


def amount(cost: Cost, currency: str) -> Decimal:
    """What a line says: rounded once, half away from zero, to the currency's minor unit (BIL-63)."""
    rounded = round_money(cost.amount, currency)
    if rounded >= LARGEST:
        raise OnHold("TOO_LARGE", f"{rounded:f} {currency} is no amount that anybody owes for this")
    return rounded


def require_net(plan: Plan, taxed: Treatment) -> None:
    """Nobody pays a price with VAT in it where none is charged."""
    if taxed.category == REVERSE_CHARGE and plan.basis == Plan.Basis.GROSS:
        raise OnHold("GROSS_PRICES", f"{taxed.reason}: VAT is the buyer's, but prices of {plan} include VAT")


def explained(cost: Cost, price: PlanPrice, taxed: Treatment) -> dict:
    """Why it is this amount (BIL-23): the same input gives the same words. Decimals are text."""
    plan = price.plan
    return {
        "plan": plan.name,
        "basis": plan.basis,
        "prices": {"from": f"{price.valid_from}", "country": price.country},
        "components": [component(part) for part in cost.components],
        "unrounded": plain(cost.amount),
        "rounded_to": plain(minor_unit(plan.currency)),
        "vat": {
            "country": taxed.country,
            "category": str(taxed.category),
            "rate": None if taxed.rate is None else plain(taxed.rate.rate),
            "registration": taxed.registration.vat_id,
            "reason": taxed.reason,
        },
    }


def component(part: Component) -> dict:
    per = {} if part.per == 1 else {"per": plain(part.per)}
    numbers = {name: plain(getattr(part, name)) for name in ("quantity", "price", "amount")}
    return {"kind": part.kind, **numbers, **per}


def plain(number: Decimal) -> str:
    """A decimal as people write it: no exponent, no zeros at the end.

    >>> plain(Decimal("24.3180000000")), plain(Decimal("1E+2")), plain(Decimal("0E-10"))
    ('24.318', '100', '0')
    """
    return f"{number.normalize():f}" if number else "0"
