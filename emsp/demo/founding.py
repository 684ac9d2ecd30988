"""The demo's mobility provider in the database: company, prices and drivers, made through the rooms people use.

Everything is looked up before it is made, so a second demo goes on with what is there.
"""

import csv
import io
from datetime import UTC, date, datetime, time
from decimal import Decimal

from django.db import transaction

from apps.billing import fleet_file, vat
from apps.billing.enrolment import enrol
from apps.billing.models import LegalEntity, NumberSeries, Plan, PlanPrice, TaxRegistration, VatRate
from apps.ocpi.objects import Party
from apps.partners.models import Agreement, Partner
from apps.tokens.announcing import announce
from apps.tokens.blocking import block_token
from apps.tokens.models import Token

from .world import COMPANY, PLANS, RATES, REGISTRATIONS, SERIES, World

OPENED = date(2020, 1, 1)
CURRENCIES = {"SE": "SEK", "DE": "EUR"}
NOTE = "the demo's, nobody looked it up"


class CannotFound(Exception):
    """The world of the demo was refused by the platform; that is an error of ours."""


@transaction.atomic
def found(world: World, us: Party, now: datetime) -> None:
    """Make what is missing of the demo's world."""
    found_company(now)
    make_plans()
    result = enrol(fleet_file.read(as_file(world.rows)), now=now, us=us)
    if not result.is_good:
        raise CannotFound(f"{len(result.errors)} lines of the demo's drivers were refused, first: {result.errors[0]}")
    _withdraw_cards(world, now)


def found_company(now: datetime) -> None:
    company, _ = LegalEntity.objects.get_or_create(name=COMPANY["name"], defaults=COMPANY)
    for country, vat_id in REGISTRATIONS.items():
        TaxRegistration.objects.get_or_create(
            legal_entity=company, country=country, vat_id=vat_id, defaults={"valid_from": OPENED}
        )
    for (country, kind), prefix in SERIES.items():
        registration = TaxRegistration.objects.get(legal_entity=company, country=country)
        NumberSeries.objects.get_or_create(registration=registration, kind=kind, defaults={"prefix": prefix})
    for rate in VatRate.objects.filter(country__in=RATES, confirmed_at=None):
        vat.confirm(rate, None, now, NOTE)


def make_plans() -> None:
    for planned in PLANS:
        own = {name: planned[name] for name in ("currency", "basis", "is_default")}
        plan, _ = Plan.objects.get_or_create(name=planned["name"], defaults=own)
        for country, (per_kwh, per_minute, per_session) in planned["prices"].items():
            prices = {"per_kwh": per_kwh, "per_minute": per_minute, "per_session": per_session}
            fee = planned["monthly_fee"] if country == "" else "0"
            numbers = {name: Decimal(price) for name, price in (prices | {"monthly_fee": fee}).items()}
            PlanPrice.objects.get_or_create(plan=plan, country=country, valid_from=OPENED, defaults=numbers)


def agree(partner: Partner) -> None:
    """What the demo's mobility provider agreed with each party of an operator."""
    for party in partner.parties.all():
        terms = {"currency": CURRENCIES.get(party.country_code, ""), "payment_days": 30, "dispute_days": 60}
        Agreement.objects.get_or_create(party=party, valid_from=OPENED, defaults={"partner": partner} | terms)


def _withdraw_cards(world: World, now: datetime) -> None:
    for card in Token.objects.filter(uid__in=world.blocked, blocked_at=None):
        block_token(card, now)
    since = datetime.combine(world.month, time(), UTC)
    expiring = list(Token.objects.filter(uid__in=world.expired, expires_at=None))
    Token.objects.filter(pk__in=[card.pk for card in expiring]).update(expires_at=since)
    announce(expiring, now)


def as_file(rows: list[dict]) -> bytes:
    """Rows as the file that `drivers import` takes."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fleet_file.COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
