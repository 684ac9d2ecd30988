"""What a contract pays for charging at a place now: known, free, or unknown, and never guessed (LOC-07, BIL-10)."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.db.models import TextChoices

from apps.charging import zones
from apps.drivers.models import Contract
from apps.locations.models import Location

from .countries import alpha_2
from .holding import OnHold
from .models import Plan, PlanPrice
from .selling import Catalogue


class Offer(NamedTuple):
    """A price, or why nobody knows it. What a CPO asks of us is not what the driver pays, and makes nothing free."""

    class State(TextChoices):
        KNOWN = "KNOWN", "known"
        FREE = "FREE", "free"
        UNKNOWN = "UNKNOWN", "unknown"

    price: PlanPrice | None
    reason: str = ""

    @property
    def state(self) -> str:
        if self.price is None:
            return self.State.UNKNOWN
        asks = self.price.per_kwh or self.price.per_minute or self.price.per_session
        return self.State.KNOWN if asks else self.State.FREE

    @property
    def includes_vat(self) -> bool | None:
        return self.price and self.price.plan.basis == Plan.Basis.GROSS


@dataclass(frozen=True)
class Offers:
    """Of one contract at one moment; its plan and all prices are read once for many places."""

    contract: Contract | None
    catalogue: Catalogue
    now: datetime

    @classmethod
    def read(cls, contract: Contract | None, now: datetime) -> "Offers":
        return cls(contract, Catalogue.read([contract.pk] if contract else []), now)

    def at(self, location: Location) -> Offer:
        """By the day that it is there, as a session that begins now would be rated."""
        if self.contract is None:
            return Offer(None, "no contract is named")
        zone = zones.zone_at(location.time_zone, location.country)
        if not zone:
            return Offer(None, "it is not known which day it is there")
        try:
            today = self.now.astimezone(ZoneInfo(zone)).date()
            return Offer(self.catalogue.price(self.contract.pk, alpha_2(location.country), today))
        except OnHold as unknown:
            return Offer(None, str(unknown))
