"""A company that sells, drivers with plans, and CDRs that come in by the same door as a partner's."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from itertools import count

import msgspec
import pytest
from django.apps import apps

from apps.billing import rating
from apps.billing.models import LegalEntity, NumberSeries, Plan, PlanPrice, Subscription, TaxRegistration, VatRate
from apps.charging.intake import accept_cdrs
from apps.charging.models import Cdr
from apps.drivers.models import Account, Contract, Driver
from apps.ocpi.objects import Party as OcpiParty
from apps.ocpi.versions import VERSIONS
from apps.partners.models import Partner, Party
from apps.partners.taking import Incoming
from apps.tokens.models import Token

WIRE = msgspec.json.Encoder(decimal_format="number")
NOW = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)
EVER = date(2000, 1, 1)
COUNTRIES = {"SE": "SWE", "DE": "DEU", "FI": "FIN", "DK": "DNK", "NL": "NLD", "NO": "NOR", "ES": "ESP"}
CURRENCIES = {"SE": "SEK", "DK": "DKK", "NO": "NOK"}


@pytest.fixture
def now():
    return NOW


@pytest.fixture
def company(db):
    """A Swedish seller, registered for VAT in Sweden and in Germany, with its series of numbers."""
    company = LegalEntity.objects.create(
        name="Nordladd AB", street="Kungsgatan 12", postal_code="111 35", city="Stockholm", country="SE",
        organisation_no="556712-3458", email="faktura@nordladd.example", iban="SE4550000000058398257466", bic="ESSESESS",
        bankgiro="5805-6201", has_f_tax=True,
    )  # fmt: skip
    for country, vat_id in {"SE": "SE556712345801", "DE": "DE123456788"}.items():
        register(company, country, vat_id)
    have_rates()
    return company


def have_rates():
    """The seeded VAT rates again, where a test that commits has swept the tables."""
    if not VatRate.objects.exists():
        import_module("apps.billing.migrations.0002_vat_rates").seed(apps, None)


def register(company, country, vat_id, **values):
    """A VAT registration of the company, with a series for invoices and one for credit notes."""
    row = TaxRegistration.objects.create(
        legal_entity=company, country=country, vat_id=vat_id, **{"valid_from": date(2020, 1, 1)} | values
    )
    for kind in NumberSeries.Kind:
        prefix = f"{country}{'K-' if kind == NumberSeries.Kind.CREDIT_NOTE else ''}"
        NumberSeries.objects.create(registration=row, kind=kind, prefix=prefix)
    return row


def make_plan(name="Privat", currency="SEK", basis="gross", prices=None, **values):
    """`prices` by country ("" is everywhere else): what a kWh costs, or a dict of columns."""
    plan = Plan.objects.create(name=name, currency=currency, basis=basis, **values)
    for country, price in (prices or {"": "5.49"}).items():
        add_price(plan, price, country)
    return plan


def add_price(plan, price, country="", valid_from=EVER):
    columns = price if isinstance(price, dict) else {"per_kwh": price}
    numbers = {name: Decimal(value) for name, value in columns.items()}
    return PlanPrice.objects.create(plan=plan, country=country, valid_from=valid_from, **numbers)


@pytest.fixture
def make_driver(db):
    """A driver with one card; returns the card. Without a plan the contract has none."""
    numbers = count(1)

    def make(plan=None, *, name=None, since=EVER, **account):
        number = next(numbers)
        name = name or f"Anna {number}"
        values = {
            "kind": "private", "country": "SE", "currency": plan.currency if plan else "SEK", "street": "Storgatan 1",
            "postal_code": "114 55", "city": "Stockholm", "language": "sv",
        } | account  # fmt: skip
        payer, _ = Account.objects.get_or_create(name=values.pop("account", name), defaults=values)
        driver = Driver.objects.create(account=payer, name=name)
        contract = Contract.objects.create(driver=driver, contract_id=f"SE-EMP-C{number:08}")
        if plan:
            Subscription.objects.create(contract=contract, plan=plan, valid_from=since)
        return Token.objects.create(contract=contract, uid=f"04{number:012X}", issuer="Us", last_updated=NOW)

    return make


@pytest.fixture
def operator(db):
    """A charge point operator with a party in each country it is asked for."""
    return Partner.objects.create(name="Laddkraft", state="CONNECTED", version="2.2.1", connected_at=NOW)


def party_of(partner, country):
    return Party.objects.get_or_create(country_code=country, party_id="LAD", defaults={"partner": partner})[0]


@pytest.fixture
def charge(operator):
    """Let a card charge: the CDR comes in as a partner's would. Returns it as stored, not yet checked."""
    numbers = count(1)

    def take(card, kwh="10", *, country="SE", ended_at=None, hours="1", cost="30.00", version="2.2.1", **changes):
        party = party_of(operator, country)
        body = cdr_body(f"CDR-{next(numbers):04}", card, party, kwh, hours, cost, ended_at or NOW - timedelta(days=10))
        return receive(operator, party, body | changes, version)

    return take


def receive(partner, party, body, version="2.2.1", now=NOW):
    """Take a CDR's body in, as its POST does."""
    raw = WIRE.encode(body)
    rules = VERSIONS[version]
    reading = rules.read_cdr(raw, OcpiParty(party.country_code, party.party_id))
    incoming = Incoming(party, reading.object, rules, raw, reading.warnings)
    (stored,) = accept_cdrs(partner, [incoming], now)
    return Cdr.objects.get(public_id=stored.row)


def cdr_body(key, card, party, kwh, hours, cost, ended_at):
    """A CDR of 2.2.1 (mod_cdrs, CDR Object). `card` None: one that nobody knows."""
    started_at = ended_at - timedelta(hours=float(hours))
    currency = CURRENCIES.get(party.country_code, "EUR")
    token = {"uid": "STRANGER", "contract_id": "XX-YYY-C00000001"}
    if card is not None:
        token = {"uid": card.uid, "contract_id": card.contract.contract_id}
    return {
        "country_code": party.country_code,
        "party_id": party.party_id,
        "id": key,
        "start_date_time": f"{started_at:%Y-%m-%dT%H:%M:%SZ}",
        "end_date_time": f"{ended_at:%Y-%m-%dT%H:%M:%SZ}",
        "cdr_token": {"country_code": "SE", "party_id": "EMP", "type": "RFID"} | token,
        "auth_method": "WHITELIST",
        "cdr_location": {
            "id": f"LOC-{party.country_code}", "name": "Torget", "address": "Torget 1", "city": "Lund",
            "country": COUNTRIES[party.country_code], "coordinates": {"latitude": "55.703", "longitude": "13.192"},
            "evse_uid": "E1", "evse_id": "SE*LAD*E1", "connector_id": "1", "connector_standard": "IEC_62196_T2",
            "connector_format": "SOCKET", "connector_power_type": "AC_3_PHASE",
        },
        "currency": currency,
        "charging_periods": [
            {
                "start_date_time": f"{started_at:%Y-%m-%dT%H:%M:%SZ}",
                "dimensions": [{"type": "ENERGY", "volume": Decimal(kwh)}, {"type": "TIME", "volume": Decimal(hours)}],
            }
        ],
        "total_cost": {"excl_vat": Decimal(cost)},
        "total_energy": Decimal(kwh),
        "total_time": Decimal(hours),
        "last_updated": f"{ended_at:%Y-%m-%dT%H:%M:%SZ}",
    }  # fmt: skip


def credit_body(cdr, key=None):
    """The credit CDR of a stored one: all the same, only the total is negative (mod_cdrs, Credit CDRs)."""
    body = json.loads(bytes(cdr.body), parse_float=Decimal)
    negative = {side: -Decimal(str(amount)) for side, amount in body["total_cost"].items()}
    return body | {
        "id": key or f"{cdr.ocpi_id}-C", "credit": True, "credit_reference_id": cdr.ocpi_id, "total_cost": negative,
    }  # fmt: skip


@pytest.fixture
def take_back(operator):
    """Let the operator credit a CDR; returns the credit CDR as stored."""

    def take(cdr, **changes):
        return receive(operator, cdr.party, credit_body(cdr) | changes)

    return take


@pytest.fixture
def rate():
    """Match, check and rate what is due, as the beat does."""
    return lambda now=NOW: rating.catch_up(now)
