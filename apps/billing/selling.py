"""Who sells, and at which price: the plan a contract has on a day and the plan's price then (BIL-10)."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from .holding import OnHold
from .models import LegalEntity, PlanPrice, Subscription

ELSEWHERE = ""
"""The country of a price that holds wherever no other does."""


def seller() -> LegalEntity:
    """The company that sells. There is one; OnHold if there is none yet."""
    company = LegalEntity.objects.order_by("pk").first()
    if company is None:
        raise OnHold("NO_SELLER", "no company is entered that could sell")
    return company


@dataclass(frozen=True)
class Catalogue:
    """Plans by contract and prices by plan, read once for many CDRs."""

    subscriptions: dict[int, list[Subscription]]
    prices: dict[int, list[PlanPrice]]

    @classmethod
    def read(cls, contracts: Iterable[int]) -> "Catalogue":
        found = cls(defaultdict(list), defaultdict(list))
        for subscription in Subscription.objects.filter(contract__in=contracts).order_by("valid_from"):
            found.subscriptions[subscription.contract_id].append(subscription)
        for price in PlanPrice.objects.select_related("plan").order_by("-valid_from"):
            found.prices[price.plan_id].append(price)
        return found

    def price(self, contract: int, country: str, day: date) -> PlanPrice:
        """The price for charging in a country (alpha-2) that began on this local day (BIL-10).

        A price for the country counts before one for everywhere, whichever is newer. OnHold: NO_PLAN, NO_PRICE.
        """
        plan = self.plan(contract, day)
        price = self.price_of(plan, country, day) or self.price_of(plan, ELSEWHERE, day)
        if price is None:
            raise OnHold("NO_PRICE", f"the contract's plan has no price for {country} on {day}")
        return price

    def plan(self, contract: int, day: date) -> int:
        for subscription in self.subscriptions[contract]:
            if holds(subscription, day):
                return subscription.plan_id
        raise OnHold("NO_PLAN", f"the contract has no plan on {day}")

    def price_of(self, plan: int, country: str, day: date) -> PlanPrice | None:
        """The newest that had begun; they come newest first."""
        return next((one for one in self.prices[plan] if one.country == country and one.valid_from <= day), None)


def holds(subscription: Subscription, day: date) -> bool:
    return subscription.valid_from <= day and (subscription.valid_until is None or day < subscription.valid_until)
