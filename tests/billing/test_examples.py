"""The worked examples of billing, from a CDR on the wire to the issued document, through the rooms that do it for real.

The figures stand here; where the file they come from is beside the project, they are compared with what it prints.
"""

import re
import runpy
from datetime import timedelta
from decimal import Decimal
from random import Random

import pytest

from apps.billing import invoicing
from apps.billing.models import Charge, Invoice, InvoiceLine, Payable, VatRate
from apps.money import round_money, share_out, vat_in_gross, vat_on_net
from tests.billing.conftest import NOW, make_plan, register
from tests.conftest import OUTSIDE

pytestmark = pytest.mark.django_db

OCTOBER = NOW.date().replace(month=10, day=1)
FILE = OUTSIDE / "reference" / "billing_examples.py"


@pytest.fixture
def month(company, make_driver, charge, take_back, rate):
    register(company, "FI", "FI12345671")
    register(company, "DK", "DK12345674")
    VatRate.objects.update(confirmed_at=NOW)

    class Month:
        """What a driver does, and what the beat and finance do then."""

        later = 0

        def card(self, basis="gross", currency="SEK", prices=None, kind="private"):
            plan = make_plan("Plan", currency, basis, prices)
            return make_driver(plan, since=OCTOBER, kind=kind, organisation_no="559012-0001")

        def issue(self):
            """The documents issued now, in the order of their countries."""
            now = NOW + timedelta(days=self.later)
            self.later += 1
            rate(now)
            known = set(Invoice.objects.values_list("pk", flat=True))
            invoicing.issue(OCTOBER, now)
            return [each for each in Invoice.objects.order_by("pk") if each.pk not in known]

    month = Month()
    month.charge, month.take_back = charge, take_back
    return month


def ex_01(month):
    card = month.card("net", "EUR", {"": "0.49"}, "company")
    month.charge(card, "24.318", country="DE")
    (invoice,) = month.issue()
    return [invoice.net, invoice.vat, invoice.gross]


def ex_05(month):
    card = month.card()
    for kwh in ("10.123", "7.777", "31.050"):
        month.charge(card, kwh)
    (invoice,) = month.issue()
    lines = list(invoice.lines.all())
    return [
        *(line.gross for line in lines), invoice.gross, invoice.vat, invoice.net, *(line.net for line in lines)
    ]  # fmt: skip


def ex_06(month):
    month.charge(month.card(prices={"": {"per_session": "13.72"}}))
    (invoice,) = month.issue()
    return [invoice.vat, invoice.net]


def ex_07(month):
    card = month.card("net", prices={"": {"per_session": "1.14"}}, kind="company")
    for _ in range(10):
        month.charge(card)
    (invoice,) = month.issue()
    return [invoice.vat]


def ex_08(month):
    """Two rates on one document; the fee's is not the session's."""
    VatRate.objects.filter(country="SE", supply="service").update(rate=6)
    card = month.card("net", prices={"": {"per_session": "1.02", "monthly_fee": "0.75"}}, kind="company")
    month.charge(card)
    (invoice,) = month.issue()
    return [invoice.vat]


def ex_09(month):
    """The negative one is a credit."""
    card = month.card(prices={"": "5.49", "DE": {"per_session": "0.125"}})
    month.charge(card, "24.50")
    cdr = month.charge(card, country="DE")
    month.issue()
    month.take_back(cdr)
    month.issue()
    amounts = Charge.objects.order_by("pk").values_list("amount", flat=True)
    return [amounts[0], amounts[1], amounts[2]]


def ex_10(month):
    card = month.card(prices={"": "5.49", "DE": "7.25", "FI": "6.10", "DK": "6.95"})
    for country, kwh in (("SE", "24.50"), ("SE", "11.20"), ("DE", "31.75"), ("FI", "18.04"), ("DK", "40.00")):
        month.charge(card, kwh, country=country)
    made = {invoice.registration.country: invoice for invoice in month.issue()}
    of_each = [(made[country].gross, made[country].vat, made[country].net) for country in ("SE", "DE", "FI", "DK")]
    return [*(figure for three in of_each for figure in three), sum(three[0] for three in of_each)]


def ex_12(month):
    card = month.card("net", prices={"": "1"}, kind="company")
    cdr = month.charge(card, "12.34")
    (invoice,) = month.issue()
    month.take_back(cdr)
    month.charge(card, "10.12")
    replacement, note = month.issue()
    assert (note.kind, note.corrects, replacement.kind) == ("CREDIT_NOTE", invoice, "INVOICE")
    return [invoice.gross, -note.gross, replacement.gross]


def ex_13(month):
    card = month.card("net", prices={"": {"per_session": "1.14"}}, kind="company")
    cdrs = [month.charge(card) for _ in range(10)]
    month.issue()
    steps = []
    for cdr in cdrs:
        month.take_back(cdr)
        (note,) = month.issue()
        steps.append(note.vat)
    return [sum(steps), *steps[:4]]


def ex_28(month):
    card = month.card("net", "EUR", {"": "0.49"}, "company")
    cost = {"total_cost": {"excl_vat": Decimal("9.5497"), "incl_vat": Decimal("11.3641")}}
    month.charge(card, "24.318", country="DE", **cost)
    (invoice,) = month.issue()
    owed = round_money(Payable.objects.get().net, "EUR")
    return [owed, invoice.net - owed]


def ex_29(month):
    card = month.card("net", prices={"": "0.49"}, kind="company")
    cdr = month.charge(card, "24.318", cost="12.34")
    month.issue()
    month.take_back(cdr)
    month.issue()
    signs = {"INVOICE": 1, "CREDIT_NOTE": -1}
    lines = InvoiceLine.objects.select_related("invoice", "charge__cdr")
    energy = sum(signs[line.invoice.kind] * line.charge.cdr.energy for line in lines)
    assert len(lines) == 2 and sum(signs[line.invoice.kind] * line.net for line in lines) == 0
    return [energy, sum(Payable.objects.values_list("net", flat=True))]


EXAMPLES = {
    ex_01: "11.92 2.26 14.18",
    ex_05: "55.58 42.70 170.46 268.74 53.75 214.99 44.46 34.16 136.37",
    ex_06: "2.74 10.98",
    ex_07: "2.85",
    ex_08: "0.31",
    ex_09: "134.51 0.13 -0.13",
    ex_10: "196.00 39.20 156.80 230.19 36.75 193.44 110.04 22.36 87.68 278.00 55.60 222.40 814.23",
    ex_12: "15.43 -15.43 12.65",
    ex_13: "2.85 0.29 0.28 0.29 0.28",
    ex_28: "9.55 2.37",
    ex_29: "0 0",
}
NOT_OURS = {ex_06: [2, 3], ex_07: [1], ex_08: [1], ex_09: [2], ex_28: [1]}
"""Figures of the file that show what would be wrong: by their place in its line."""


def numbers(text):
    return [Decimal(number) for number in text.split()]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.__name__)
def test_the_example_comes_out_of_the_real_rooms(month, example):
    assert example(month) == numbers(EXAMPLES[example])


@pytest.fixture
def printed(capsys):
    if not FILE.exists():
        pytest.skip("the examples are not beside the project")
    functions = runpy.run_path(str(FILE))
    lines = (line.split(" ok ", 1) for line in capsys.readouterr().out.splitlines() if " ok " in line)
    told = {name.strip(): [Decimal(number) for number in re.findall(r"-?\d+(?:\.\d+)?", text)] for name, text in lines}
    return functions, told


@pytest.mark.outside
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.__name__)
def test_the_figures_are_those_of_the_file(printed, example):
    told = printed[1][example.__name__.upper().replace("_", "-")]
    wrong = NOT_OURS.get(example, [])
    assert [figure for place, figure in enumerate(told) if place not in wrong] == numbers(EXAMPLES[example])


@pytest.mark.outside
def test_vat_and_shares_are_those_of_the_file(printed):
    theirs, dice = printed[0], Random(30)
    for _ in range(3000):
        amount, rate = (
            Decimal(dice.randint(-99999, 99999)) / 100,
            dice.choice([Decimal(25), Decimal(19), Decimal("25.5")]),
        )
        assert vat_on_net(amount, rate, "SEK") == theirs["vat_on_net"](amount, rate)
        assert vat_in_gross(amount, rate, "SEK") == theirs["vat_in_gross"](amount, rate)
        weights = [Decimal(dice.randint(0, 999)) / 100 for _ in range(dice.randint(1, 9))]
        assert share_out(amount, weights, "SEK") == theirs["alloc"](amount, weights)
