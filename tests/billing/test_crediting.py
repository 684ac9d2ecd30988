"""Credit CDRs after the invoice: credit notes, to the last cent and never more."""

from datetime import timedelta
from decimal import Decimal

import pytest

from apps.billing import invoicing
from apps.billing.models import Charge, Invoice, InvoiceRun, NumberSeries
from tests.billing.charged import NOW, OCTOBER, World

pytestmark = pytest.mark.django_db

NOTE, INVOICE = Invoice.Kind.CREDIT_NOTE, Invoice.Kind.INVOICE


@pytest.fixture
def world():
    return World()


def issue(days=0):
    return invoicing.issue(OCTOBER, NOW + timedelta(days=days))


def figures(invoice):
    return invoice.gross, invoice.vat, invoice.net


def D(*texts):  # noqa: N802  reads as the number it is
    return tuple(Decimal(text) for text in texts)


def test_a_credit_after_the_invoice_is_a_note_and_the_replacement_a_new_invoice(world):
    """EX-12."""
    firm = world.account("Firm", "company")
    charge = world.charge(firm, "12.34", basis="net")
    issue()
    world.credit(charge)
    world.charge(firm, "10.12", basis="net")
    issue(1)
    first, second = Invoice.objects.filter(kind=INVOICE).order_by("pk")
    note = Invoice.objects.get(kind=NOTE)
    assert figures(first) == figures(note) == D("15.43", "3.09", "12.34")
    assert figures(second) == D("12.65", "2.53", "10.12")
    assert (note.corrects, note.number, note.payment_reference) == (first, "SEK-000001", "")
    assert note.due_on == note.issued_on
    line = note.lines.get()
    assert (line.net, line.details["kind"], line.charge.kind) == (Decimal("12.34"), "CREDIT", "CREDIT")


def test_ten_partial_credits_take_back_exactly_the_vat_of_the_invoice(world):
    """EX-13, INV-6: each takes the VAT of all that is credited less what was credited before."""
    firm = world.account("Firm", "company")
    charges = [world.charge(firm, "1.14", basis="net") for _ in range(10)]
    issue()
    for day, charge in enumerate(charges):
        world.credit(charge)
        issue(day)
    vats = [note.vat for note in Invoice.objects.filter(kind=NOTE).order_by("pk")]
    assert vats[:4] == list(D("0.29", "0.28", "0.29", "0.28"))
    assert sum(vats) == Invoice.objects.get(kind=INVOICE).vat == Decimal("2.85")


@pytest.mark.parametrize("steps", [[10], [1] * 10, [3, 3, 4], [1, 9]])
def test_what_is_credited_of_gross_prices_ends_at_nothing(world, steps):
    """INV-5: invoice and credits are nothing on net, VAT and gross, however they are cut."""
    anna = world.account()
    charges = [world.charge(anna, f"{number}.0{number}") for number in range(1, 9)] + [
        world.charge(anna, "0.01"), world.charge(anna, "0.02"),
    ]  # fmt: skip
    issue()
    left = iter(charges)
    for day, count in enumerate(steps):
        for _ in range(count):
            world.credit(next(left))
        issue(day)
    notes, invoice = Invoice.objects.filter(kind=NOTE), Invoice.objects.get(kind=INVOICE)
    assert len(notes) == len(steps)
    assert tuple(map(sum, zip(*map(figures, notes), strict=True))) == figures(invoice)


def test_one_run_makes_one_note_per_invoice(world):
    anna = world.account()
    first = [world.charge(anna, "10"), world.charge(anna, "20")]
    issue()
    second = world.charge(anna, "30")
    issue(1)
    for charge in [*first, second]:
        world.credit(charge)
    told = issue(2).as_json()["documents"]
    assert told == [
        {"country": "SE", "currency": "SEK", "count": 2, "net": "-48.00", "vat": "-12.00", "gross": "-60.00"}
    ]
    assert set(Invoice.objects.filter(kind=NOTE).values_list("corrects__number", "gross")) == {
        ("SE-000001", Decimal(30)), ("SE-000002", Decimal(30)),
    }  # fmt: skip


def test_a_credit_waits_until_what_it_takes_back_is_invoiced(world):
    charge = world.charge(world.account(), "10", rated_at=NOW + timedelta(days=1))
    world.credit(charge)
    assert issue().totals == {}
    issue(1)
    assert Invoice.objects.get().kind == INVOICE
    issue(2)
    assert Invoice.objects.get(kind=NOTE).corrects.kind == INVOICE


def test_more_than_the_invoice_charged_is_never_credited(world):
    charge = world.charge(world.account("Anna"), "10")
    issue()
    world.credit(charge, amount="-10.01")
    issue(1)
    assert not Invoice.objects.filter(kind=NOTE).exists()
    reason = InvoiceRun.objects.order_by("pk").last().left_out[0]["reason"]
    assert reason == "Anna: credits more than its invoice charged (SEK)"
    assert NumberSeries.objects.get(prefix="SEK-").next_number == 1


def test_a_note_bears_the_vat_of_its_invoice_whatever_the_rate_is_now(world):
    charge = world.charge(world.account(), "125")
    issue()
    rate = charge.vat_rate
    rate.valid_until = NOW.date()
    rate.save()
    world.credit(charge)
    issue(1)
    assert figures(Invoice.objects.get(kind=NOTE)) == D("125", "25", "100")


def test_a_reverse_charge_is_credited_without_vat(world):
    firm = world.account("Firm GmbH", "company", country="DE", vat_id="DE811907980")
    charge = world.charge(firm, "10", "DE", "net", rate="AE")
    issue()
    world.credit(charge)
    issue(1)
    note = Invoice.objects.get(kind=NOTE)
    assert (figures(note), note.vat_category) == (D("10", "0", "10"), "AE")


def test_energy_and_cost_of_original_and_credit_are_nothing_together(world):
    """EX-29: the sign comes from `credit`, although both CDRs tell a positive energy."""
    charge = world.charge(world.account(), "11.92", energy="24.318")
    issue()
    credit = world.credit(charge)
    issue(1)
    signs = {False: 1, True: -1}
    cdrs = [one.cdr for one in Charge.objects.select_related("cdr")]
    assert all(cdr.energy == Decimal("24.318") for cdr in cdrs)
    assert sum(signs[cdr.is_credit] * cdr.energy for cdr in cdrs) == 0
    assert charge.amount + credit.amount == 0
