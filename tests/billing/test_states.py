from datetime import date

import pytest

from apps.billing.models import Charge, Invoice, InvoiceLine, NumberSeries
from apps.billing.states import State, count_by_state, count_waiting, state_of, with_state
from apps.charging.models import Cdr

from .conftest import NOW, make_plan

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def seller(company):
    return company


def invoice(charge):
    """Put a charge on an issued document, as a run does."""
    series = NumberSeries.objects.get(registration=charge.registration, kind="INVOICE")
    document = Invoice.objects.create(
        kind="INVOICE", series=series, sequence=1, number="SE000001", period=charge.period, account=charge.account,
        registration=charge.registration, vat_category="S", currency="SEK", basis="gross", seller={}, buyer={},
        issued_on=date(2026, 11, 3), due_on=date(2026, 12, 3), supplied_from=charge.supplied_on,
        supplied_until=charge.supplied_on, payment_reference="1", net="43.92", vat="10.98", gross="54.90", line_count=1,
        issued_at=NOW,
    )  # fmt: skip
    document.tax_subtotals.create(category="S", rate=25, base="43.92", vat="10.98")
    return InvoiceLine.objects.create(
        invoice=document, charge=charge, position=1, description="Charging", details={"kind": "USAGE"},
        supplied_on=charge.supplied_on, vat_rate=25, net="43.92", gross="54.90",
    )  # fmt: skip


def test_every_cdr_is_in_one_state(make_driver, charge, take_back, rate):
    card = make_driver(make_plan())
    rated, invoiced, netted = (charge(card) for _ in range(3))
    unmatched, held = charge(None), charge(make_driver())
    blocked = charge(card, start_date_time="2026-10-25T00:00:00Z", end_date_time="2026-10-24T00:00:00Z")
    netting = take_back(netted)
    rate()
    unrated = charge(card)
    found = {cdr: state_of(cdr) for cdr in (unrated, rated, netted, netting, unmatched, held, blocked)}
    assert found == {
        unrated: State.UNRATED, rated: State.RATED, netted: State.NETTED, netting: State.NETTED,
        unmatched: State.UNMATCHED, held: State.HELD, blocked: State.BLOCKED,
    }  # fmt: skip
    invoice(invoiced.charges.get())
    assert state_of(invoiced) == State.INVOICED
    counts = count_by_state(Cdr.objects.all())
    assert sum(counts.values()) == Cdr.objects.count()
    assert counts[State.NETTED] == 2
    assert count_waiting() == {State.UNRATED: 1, State.UNMATCHED: 1, State.HELD: 1, State.BLOCKED: 1}
    assert list(with_state(Cdr.objects.all()).filter(state=State.BLOCKED)) == [blocked]


def test_ex_12_a_credit_after_the_invoice_reverses_the_charge(make_driver, charge, take_back, rate):
    """BIL-44: same payer, treatment, rate and day of supply; the original stays as it was."""
    cdr = charge(make_driver(make_plan()))
    rate()
    original = cdr.charges.get()
    invoice(original)
    credit = take_back(cdr)
    assert rate().rated == 1
    row = Charge.objects.get(kind="CREDIT")
    assert (row.cdr, row.amount, row.reverses) == (credit, -original.amount, original)
    for same in (
        "account",
        "contract",
        "registration",
        "vat_category",
        "vat_rate",
        "supplied_on",
        "period",
        "currency",
    ):
        assert getattr(row, same) == getattr(original, same)
    original.refresh_from_db()
    assert original.netted_at is None
    assert (state_of(cdr), state_of(credit)) == (State.CREDITED, State.RATED)
    assert rate().rated == 0
