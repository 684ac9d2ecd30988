"""Which VAT a supply bears: under which of the seller's registrations, in which category, at which rate.

Charging is a supply of electricity where the charge point stands (Directive 2006/112/EC, art. 39; C-282/22), access
fees are a service where the customer is (art. 44, 58). The decision is pure and total: every input gets a treatment or
a refusal with a name (BIL-50). What no rate or registration is known for waits until there is one (V-27).
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple

from django.db.models import Q
from stdnum.eu import vat as eu_vat
from stdnum.exceptions import ValidationError

from apps.drivers.models import Account
from apps.staff.models import User

from .countries import EUROPEAN_UNION
from .holding import OnHold
from .models import Charge, LegalEntity, TaxRegistration, VatRate

STANDARD, REVERSE_CHARGE = Charge.Category.STANDARD, Charge.Category.REVERSE_CHARGE
Supply = VatRate.Supply


class Untaxable(OnHold):
    """No VAT can be decided on, for want of a rate, a registration or a VAT id (V-27)."""


class AlreadyConfirmed(Exception):
    """Somebody vouched for the rate before; who did stays on it."""


class Treatment(NamedTuple):
    """How a supply is taxed. `rate` is None for a reverse charge; `country` is the place of supply."""

    registration: TaxRegistration
    category: str
    rate: VatRate | None
    country: str
    reason: str


class Customer(NamedTuple):
    """What VAT asks of an account. Frozen and hashable, so that decisions can be remembered."""

    is_company: bool
    country: str
    vat_id: str

    @classmethod
    def of(cls, account: Account) -> "Customer":
        return cls(account.kind == Account.Kind.COMPANY, account.country, account.vat_id)


@dataclass(frozen=True)
class Table:
    """The seller, its registrations and all rates, read once; `treatment` asks nothing else."""

    seller: LegalEntity
    registrations: tuple[TaxRegistration, ...]
    rates: tuple[VatRate, ...]
    _known: dict = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def read(cls, seller: LegalEntity) -> "Table":
        return cls(seller, tuple(seller.registrations.order_by("pk")), tuple(VatRate.objects.order_by("pk")))

    def treatment(self, supply: str, country: str, day: date, customer: Customer) -> Treatment:
        """Untaxable if no rate or registration is there, or a VAT id that matters cannot be right.

        `country` is where the charge point stands (ISO 3166-1 alpha-2); of a service the customer's country counts.
        `day` is the local day of the supply (BIL-53).
        """
        key = supply, country, day, customer
        if key not in self._known:
            self._known[key] = self._decide(*key)
        return self._known[key]

    def _decide(self, supply: str, country: str, day: date, customer: Customer) -> Treatment:
        if supply == Supply.SERVICE:
            country = self._place_of_service(customer)
        if self._is_reverse_charged(country, customer):
            return self._reverse_charge(country, day, customer)
        rate, registration = self._rate(supply, country, day), self._registration(country, day)
        return Treatment(registration, STANDARD, rate, country, f"supplied in {country}")

    def _place_of_service(self, customer: Customer) -> str:
        """Where the customer belongs: a company where it is identified, else where it lives (art. 44, 58)."""
        return (identified_in(customer) if customer.is_company else None) or customer.country

    def _is_reverse_charged(self, country: str, customer: Customer) -> bool:
        """The buyer accounts for VAT if it is identified in the country of supply and we are not established there.

        Art. 195 for electricity, art. 196 for services. A registration alone does not make established (BIL-51).
        """
        is_abroad = country != self.seller.country and {country, self.seller.country} <= EUROPEAN_UNION
        return is_abroad and customer.is_company and identified_in(customer) == country

    def _reverse_charge(self, country: str, day: date, customer: Customer) -> Treatment:
        """Under the registration there if we have one, else under that at home; both VAT ids are on the document."""
        if not is_plausible(customer.vat_id):
            raise Untaxable(
                "VAT_ID", f"{customer.vat_id} is no VAT id of {country}: correct it, or empty it to charge VAT"
            )
        at = next((place for place in (country, self.seller.country) if self._find(place, day)), country)
        registration = self._registration(at, day)
        reason = f"{customer.vat_id} is identified in {country}, where {self.seller} is not established"
        return Treatment(registration, REVERSE_CHARGE, None, country, reason)

    def _rate(self, supply: str, country: str, day: date) -> VatRate:
        for rate in self.rates:
            if rate.country == country and rate.supply == supply and _holds(rate, day):
                return rate
        raise Untaxable("NO_VAT_RATE", f"there is no VAT rate for {Supply(supply).label} in {country} on {day}")

    def _registration(self, country: str, day: date) -> TaxRegistration:
        found = self._find(country, day)
        if found is None:
            raise Untaxable("NO_REGISTRATION", f"{self.seller} has no VAT registration in {country} on {day}")
        return found

    def _find(self, country: str, day: date) -> TaxRegistration | None:
        return next((one for one in self.registrations if one.country == country and _holds(one, day)), None)


def _holds(row: VatRate | TaxRegistration, day: date) -> bool:
    return row.valid_from <= day and (row.valid_until is None or day < row.valid_until)


def identified_in(customer: Customer) -> str | None:
    """The EU country that a company's VAT id is of, by its first two letters; Greece writes EL.

    A number without letters can only be one of the company's own country.

    >>> identified_in(Customer(True, "DE", "NL004495445B01")), identified_in(Customer(True, "DE", ""))
    ('NL', None)
    """
    prefix = customer.vat_id[:2].upper().replace("EL", "GR")
    if prefix in EUROPEAN_UNION:
        return prefix
    return customer.country if customer.vat_id and customer.country in EUROPEAN_UNION else None


def is_plausible(vat_id: str) -> bool:
    """Whether a VAT id is formed as its country forms them, check digits included (BIL-54). Asks nobody.

    >>> is_plausible("SE556712345801"), is_plausible("DE136695976"), is_plausible("DE136695978")
    (False, True, False)
    """
    try:
        eu_vat.validate(vat_id)
    except ValidationError:
        return False
    return True


def confirm(rate: VatRate, user: User | None, now: datetime, note: str = "") -> None:
    """Vouch for a rate, so that documents may be issued with it (BIL-57). Once: who confirmed it stays on it."""
    unconfirmed = VatRate.objects.filter(pk=rate.pk, confirmed_at=None)
    if not unconfirmed.update(confirmed_by=user, confirmed_at=now, confirmation=note):
        raise AlreadyConfirmed(f"{rate} is confirmed already")
    rate.refresh_from_db()


def unconfirmed() -> Q:
    """Which rates no document is issued with."""
    return Q(confirmed_at=None)
