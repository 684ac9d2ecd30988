"""One document of each kind, issued to a customer for whom it is usual."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from apps.billing import invoicing
from apps.billing.models import Invoice
from tests.billing.charged import NOW, OCTOBER


def issue(days=0):
    invoicing.issue(OCTOBER, NOW + timedelta(days=days))
    return Invoice.objects.order_by("pk").last()


def private(world):
    anna = world.account("Åsa Öberg")
    world.charge(anna, "55.58", energy="10.123"), world.charge(anna, "42.70", energy="7.777")
    ended_at = datetime(2026, 9, 28, 20, 15, tzinfo=UTC)
    world.charge(anna, "170.46", energy="31.050", ended_at=ended_at)
    world.fee(anna, "49.00")
    return issue()


def company(world):
    values = {"vat_id": "SE559012000101", "organisation_no": "559012-0001", "cost_centre": "KS 4711"}
    firm = world.account("Bergströms Åkeri AB", "company", **values)
    parts = [
        {"kind": "energy", "quantity": "42.318", "price": "3.95"},
        {"kind": "time", "quantity": "90", "price": "0.05"},
        {"kind": "session", "quantity": "1", "price": "1.5"},
    ]
    for _ in range(6):
        world.charge(firm, "173.16", basis="net", explanation={"components": parts})
    return issue()


HAMBURG = {
    "street": "Hafenstraße 3", "postal_code": "20095", "city": "Hamburg", "country": "DE", "currency": "EUR",
    "vat_id": "DE811907980", "organisation_no": "HRB 10009",
}  # fmt: skip


def reverse_charge(world, language="en"):
    firm = world.account("Logistik Nord GmbH", "company", language=language, **HAMBURG)
    for _ in range(2):
        world.charge(firm, "11.92", "DE", "net", energy="24.318", price="0.49", rate="AE")
    return issue()


def german_reverse_charge(world):
    return reverse_charge(world, "de")


def german_private(world):
    """A driver in Hamburg, who pays German VAT."""
    address = {name: HAMBURG[name] for name in ("street", "postal_code", "city", "country", "currency")}
    karla = world.account("Karla Groß", language="de", **address)
    world.charge(karla, "1190.00", "DE", energy="2000.5", price="0.59")
    world.charge(karla, "59.50", "DE", energy="100", ended_at=datetime(2026, 9, 28, 20, 15, tzinfo=UTC))
    world.fee(karla, "4.90", country="DE")
    return issue()


def german_credit_note(world):
    firm = world.account("Logistik Nord GmbH", "company", language="de", **HAMBURG)
    charge = world.charge(firm, "11.92", "DE", "net", energy="24.318", price="0.49", rate="AE")
    world.charge(firm, "50", "DE", "net", rate="AE")
    issue()
    world.credit(charge)
    return issue(1)


def credit_note(world):
    firm = world.account("Bergströms Åkeri AB", "company", vat_id="SE559012000101")
    charge = world.charge(firm, "12.34", basis="net", energy="3.124", price="3.95")
    world.charge(firm, "50", basis="net")
    issue()
    world.credit(charge)
    return issue(1)


def long(world):
    values = {"vat_id": "SE559012000101", "organisation_no": "559012-0001"}
    firm = world.account("Taxi 030 i Stockholm med omnejd AB", "company", **values)
    for number in range(45):
        ended_at = datetime(2026, 10, 1 + number % 30, 6 + number % 14, 10, tzinfo=UTC)
        world.charge(firm, Decimal("130.10") + number, basis="net", energy="32.937", price="3.95", ended_at=ended_at)
    return issue()
