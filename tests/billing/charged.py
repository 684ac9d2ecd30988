"""A company with customers and charges, made row by row: what rating leaves for documents to be made of."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count

from apps.billing.models import Charge, LegalEntity, NumberSeries, Plan, PlanPrice, TaxRegistration, VatRate
from apps.charging.models import Cdr
from apps.drivers.models import Account, Contract, Driver
from apps.partners.models import Partner, Party

OCTOBER = date(2026, 10, 1)
SEPTEMBER = date(2026, 9, 1)
NOW = datetime(2026, 11, 3, 8, 0, tzinfo=UTC)
RATED = datetime(2026, 11, 1, 3, 0, tzinfo=UTC)

COMPANY = {
    "name": "Nordladd Mobilitet AB",
    "street": "Kungsgatan 12",
    "postal_code": "111 35",
    "city": "Stockholm",
    "country": "SE",
    "organisation_no": "556712-3458",
    "email": "faktura@nordladd.example",
    "phone": "+46 8 000 00 00",
    "website": "https://nordladd.example",
    "iban": "SE4550000000058398257466",
    "bic": "ESSESESS",
    "bankgiro": "5805-6201",
    "has_f_tax": True,
}
VAT_IDS = {"SE": "SE556712345801", "DE": "DE123456788", "FI": "FI12345671", "DK": "DK12345674"}
RATES = {"SE": "25", "DE": "19", "FI": "25.5", "DK": "25"}
PLACES = {
    "SE": ("Hötorget P-hus", "Stockholm", "SWE", "Europe/Stockholm"),
    "DE": ("Alexanderplatz", "Berlin", "DEU", "Europe/Berlin"),
    "FI": ("Kamppi", "Helsinki", "FIN", "Europe/Helsinki"),
    "DK": ("Rådhuspladsen", "København", "DNK", "Europe/Copenhagen"),
}
ADDRESS = {"street": "Björkvägen 7", "postal_code": "753 20", "city": "Uppsala", "country": "SE"}


class World:
    """Makes rows with what the test names, and sensible values for the rest."""

    def __init__(self, countries="SE DE FI DK", confirmed=True):
        self._numbers = count(1)
        self.company = LegalEntity.objects.create(**COMPANY)
        for country in countries.split():
            self.register(country)
            self.rate(country, RATES[country], confirmed)
        partner = Partner.objects.create(name="Ladda CPO", state="CONNECTED", version="2.2.1")
        self.party = Party.objects.create(country_code="SE", party_id="LAD", partner=partner)

    def register(self, country, series=True):
        valid_from = date(2020, 1, 1)
        registration = TaxRegistration.objects.create(
            legal_entity=self.company, country=country, vat_id=VAT_IDS[country], valid_from=valid_from
        )
        for kind, suffix in (("INVOICE", ""), ("CREDIT_NOTE", "K")) if series else ():
            NumberSeries.objects.create(registration=registration, kind=kind, prefix=f"{country}{suffix}-")
        return registration

    def rate(self, country, percent, confirmed=True, supply="electricity"):
        rate = VatRate.objects.filter(country=country, supply=supply, rate=percent, valid_until=None).first()
        if rate is None:
            values = {"valid_from": date(2025, 1, 1), "source": "test"}
            VatRate.objects.filter(country=country, supply=supply).delete()
            rate = VatRate.objects.create(country=country, supply=supply, rate=percent, **values)
        rate.confirmed_at = RATED if confirmed else None
        rate.save()
        return rate

    def current_rate(self, country, percent):
        return VatRate.objects.get(country=country, supply="electricity", rate=percent, valid_until=None)

    def account(self, name="Åsa Öberg", kind="private", **values):
        values = {"currency": "SEK", "language": "sv"} | ADDRESS | values
        if kind == "company":
            values.setdefault("organisation_no", "559012-0001")
        return Account.objects.create(name=name, kind=kind, **values)

    def plan(self, basis="gross", currency="SEK", name=None, **prices):
        plan, is_new = Plan.objects.get_or_create(
            name=name or f"{basis} {currency}", defaults={"basis": basis, "currency": currency}
        )
        if is_new:
            PlanPrice.objects.create(plan=plan, valid_from=date(2026, 1, 1), **prices)
        return plan.prices.get()

    def contract(self, account):
        found = Contract.objects.filter(driver__account=account).first()
        if found:
            return found
        driver = Driver.objects.create(account=account, name=f"{account.name} sj.")
        return Contract.objects.create(driver=driver, contract_id=f"SE-EMP-C{next(self._numbers):08}")

    def cdr(self, energy="10", ended_at=None, country="SE", **values):
        number = next(self._numbers)
        ended_at = ended_at or datetime(2026, 10, 14, 15, 30, tzinfo=UTC)
        name, city, alpha_3, zone = PLACES[country]
        values = {
            "energy": Decimal(energy), "time": Decimal("1.5"), "currency": "SEK", "cost_before_taxes": Decimal(30),
            "location_name": name, "city": city, "country": alpha_3, "time_zone": zone,
            "evse_id": f"{country}*LAD*E{number}*1", "body": b"{}", "version": "2.2.1", "content_hash": b"",
        } | values  # fmt: skip
        return Cdr.objects.create(
            party=self.party, partner=self.party.partner, ocpi_id=f"CDR-{number}", auth_method="WHITELIST",
            started_at=ended_at - timedelta(minutes=90), ended_at=ended_at, last_updated=ended_at, received_at=ended_at,
            **values,
        )  # fmt: skip

    def charge(self, account, amount, country="SE", basis="gross", energy="10", price=None, **values):
        """A session's charge. `rate` "AE" is a reverse charge; `cdr` values reach the CDR."""
        percent = values.pop("rate", RATES[country])
        reverse = percent == "AE"
        ended_at = values.pop("ended_at", None)
        cdr = values.pop("cdr", None) or self.cdr(energy, ended_at, country)
        supplied_on = cdr.ended_at.date()
        components = [{"kind": "energy", "quantity": energy, "price": price or "5.49"}]
        values = {
            "kind": "USAGE", "period": supplied_on.replace(day=1), "supplied_on": supplied_on,
            "vat_category": "AE" if reverse else "S",
            "vat_rate": None if reverse else self.current_rate(country, percent),
            "currency": account.currency, "plan_price": self.plan(basis, account.currency),
            "explanation": {"components": components}, "rated_at": RATED,
        } | values  # fmt: skip
        return Charge.objects.create(
            account=account, contract=self.contract(account), cdr=cdr, basis=basis, amount=Decimal(amount),
            registration=self.company.registrations.get(country=country), **values,
        )  # fmt: skip

    def fee(self, account, amount, period=OCTOBER, basis="gross", country="SE"):
        plan = self.plan(basis, account.currency, monthly_fee=Decimal(amount))
        components = [{"kind": "month", "quantity": "1", "price": amount}]
        return Charge.objects.create(
            kind="FEE", account=account, contract=self.contract(account), plan_price=plan, period=period,
            supplied_on=period, registration=self.company.registrations.get(country=country), vat_category="S",
            vat_rate=self.current_rate(country, RATES[country]), currency=account.currency, basis=basis,
            amount=Decimal(amount), explanation={"components": components}, rated_at=RATED,
        )  # fmt: skip

    def credit(self, charge, rated_at=RATED, amount=None):
        """What rating makes of a credit CDR whose original is on an invoice."""
        values = {name: getattr(charge, name) for name in (
            "account", "contract", "plan_price", "registration", "vat_category", "vat_rate", "currency", "basis",
            "explanation", "supplied_on",
        )}  # fmt: skip
        original = charge.cdr
        cdr = self.cdr(original.energy, NOW - timedelta(days=1), is_credit=True, credits=original)
        return Charge.objects.create(
            kind="CREDIT", cdr=cdr, reverses=charge, amount=-charge.amount if amount is None else Decimal(amount),
            period=OCTOBER, rated_at=rated_at, **values,
        )  # fmt: skip
