"""What a session costs at a plan's prices: quantities times prices, unrounded, each part with its reason.

Pure: no framework, no clock, no rounding. Rounding is done once, where the amount is posted (BIL-63).
"""

from dataclasses import dataclass
from decimal import Decimal, localcontext

from apps.money import PRECISION, total

MINUTES_PER_HOUR = 60


@dataclass(frozen=True, slots=True)
class Quantities:
    """What was used: energy in kWh, time in hours, as a CDR tells them."""

    energy: Decimal
    time: Decimal


@dataclass(frozen=True, slots=True)
class Prices:
    """Of one unit each, in one currency, with or without VAT as the plan has it."""

    per_kwh: Decimal = Decimal(0)
    per_minute: Decimal = Decimal(0)
    per_session: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Component:
    """One part of a price: kWh, minutes, once per session, a month, or days of one. `per`: units that the price is for."""

    kind: str
    quantity: Decimal
    price: Decimal
    per: Decimal = Decimal(1)

    @property
    def amount(self) -> Decimal:
        with localcontext(prec=PRECISION):
            return self.quantity * self.price / self.per


@dataclass(frozen=True, slots=True)
class Cost:
    components: tuple[Component, ...]

    @property
    def amount(self) -> Decimal:
        """Unrounded."""
        return total(component.amount for component in self.components)


def price_session(used: Quantities, prices: Prices) -> Cost:
    """The cost of a session; what has no price is no part of it.

    >>> price_session(Quantities(Decimal("24.318"), Decimal("1.5")), Prices(per_kwh=Decimal("0.49"))).amount
    Decimal('11.91582')
    """
    parts = (
        Component("energy", used.energy, prices.per_kwh),
        Component("time", used.time * MINUTES_PER_HOUR, prices.per_minute),
        Component("session", Decimal(1), prices.per_session),
    )
    return Cost(tuple(part for part in parts if part.price))


def price_month(monthly_fee: Decimal, days: int, days_in_month: int) -> Cost:
    """The cost of having a plan for so many days of a month: days count alike, hours do not (BIL-17).

    >>> price_month(Decimal(149), 14, 30).amount.quantize(Decimal("0.01"))
    Decimal('69.53')
    """
    if days == days_in_month:
        return Cost((Component("month", Decimal(1), monthly_fee),))
    return Cost((Component("days", Decimal(days), monthly_fee, Decimal(days_in_month)),))
