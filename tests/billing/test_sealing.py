"""What is issued stays: PostgreSQL refuses every way to change, lose or add (BIL-74, trust S48)."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction

from apps.billing import invoicing
from apps.billing.models import Charge, Document, Invoice, InvoiceLine, NumberSeries, TaxSubtotal
from tests.billing.charged import NOW, OCTOBER, World

pytestmark = pytest.mark.django_db

SEALED = ("billing_invoice", "billing_invoiceline", "billing_taxsubtotal", "billing_document")


@pytest.fixture
def world():
    return World()


@pytest.fixture
def invoice(world):
    world.charge(world.account(), "10")
    invoicing.issue(OCTOBER, NOW)
    settle()
    return Invoice.objects.get()


def settle():
    """As a commit does."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def execute(statement):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.control("S48")
@pytest.mark.parametrize("table", SEALED)
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_nothing_issued_goes(invoice, table, statement):
    with pytest.raises(IntegrityError, match="issued documents stay as they are"):
        execute(statement.format(table))


@pytest.mark.control("S48")
@pytest.mark.parametrize("model", [Invoice, InvoiceLine, TaxSubtotal])
def test_no_field_of_anything_issued_changes(invoice, model):
    for field in model._meta.concrete_fields:
        with pytest.raises(IntegrityError, match="issued documents stay as they are"), transaction.atomic():
            model.objects.update(**{field.attname: model.objects.values_list(field.attname, flat=True)[0]})


def a_line(invoice, charge, **values):
    values = {"position": 2, "net": 0, "gross": 0} | values
    return InvoiceLine.objects.create(
        invoice=invoice, charge=charge, description="x", details={}, supplied_on=OCTOBER, **values
    )


@pytest.mark.control("S48")
def test_an_issued_document_takes_no_further_line(invoice, world):
    charge = world.charge(world.account("Other"), "0")
    with pytest.raises(IntegrityError, match="SE-000001 is issued and takes no further line"), transaction.atomic():
        a_line(invoice, charge)


def test_an_issued_document_takes_no_further_vat(invoice):
    with pytest.raises(IntegrityError, match="SE-000001 is issued and takes no further VAT"), transaction.atomic():
        TaxSubtotal.objects.create(invoice=invoice, category="S", rate=6, base=0, vat=0)


def forged(invoice, world, *, lines=1, line=None, part=None, **values):
    """A document written past the room that writes them."""
    columns = {field.attname: getattr(invoice, field.attname) for field in Invoice._meta.concrete_fields}
    columns |= {"id": None, "sequence": 2, "number": "SE-000002"} | values
    made = Invoice.objects.create(**columns)
    part = {"rate": 25, "base": 8, "vat": 2} | (part or {})
    TaxSubtotal.objects.create(invoice=made, category="S", **part)
    for position in range(1, lines + 1):
        charge = world.charge(world.account(f"Other {position}"), "10")
        a_line(made, charge, **{"position": position, "net": 8, "gross": 10, "vat_rate": 25} | (line or {}))
    settle()


def test_a_document_that_adds_up_may_be_written(invoice, world):
    forged(invoice, world)
    assert Invoice.objects.count() == 2


@pytest.mark.parametrize(
    ("spoilt", "complaint"),
    [
        ({"lines": 0}, "says 1 lines and has 0"),
        ({"line_count": 2}, "says 2 lines and has 1"),
        ({"line": {"net": Decimal("7.99")}}, "does not add up"),
        ({"line": {"gross": Decimal("10.01")}}, "does not add up"),
        ({"line": {"gross": None}}, "does not add up"),
        ({"part": {"base": Decimal("8.01")}}, "does not add up"),
        ({"part": {"vat": Decimal("1.99")}}, "does not add up"),
        ({"vat": Decimal("2.01"), "gross": Decimal("10.01")}, "does not add up"),
        ({"sequence": 3, "number": "SE-000003"}, "would leave a gap"),
        ({"gross": Decimal("10.01")}, "invoice_adds_up"),
        ({"net": -8, "vat": 18}, "invoice_not_negative"),
        ({"sequence": 1}, "invoice_number_once"),
        ({"number": "SE-000001"}, "number"),
        ({"kind": "CREDIT_NOTE"}, "credit_note_corrects_an_invoice"),
    ],
)
def test_a_document_that_does_not_add_up_is_refused(invoice, world, spoilt, complaint):
    with pytest.raises(IntegrityError, match=complaint), transaction.atomic():
        forged(invoice, world, **spoilt)


def read_whole():
    """Rows of the documents' parts that this transaction read without a key."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(seq_tup_read) FROM pg_stat_xact_user_tables"
            " WHERE relname IN ('billing_invoiceline', 'billing_taxsubtotal')"
        )
        return cursor.fetchone()[0]


def test_a_document_is_sealed_by_key_though_there_were_few_when_that_was_planned(invoice, world):
    """Read whole for every document, the tables made a line cost a fifth more in a run of ten times as many."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE billing_invoice, billing_invoiceline, billing_taxsubtotal")
        cursor.execute("DISCARD PLANS")
    before = read_whole()
    forged(invoice, world)
    assert read_whole() == before


def test_a_series_that_was_moved_on_by_hand_cannot_leave_a_gap(invoice, world):
    NumberSeries.objects.filter(prefix="SE-").update(next_number=7)
    world.charge(world.account("Other"), "10")
    invoicing.issue(OCTOBER, NOW + timedelta(days=1))
    with pytest.raises(IntegrityError, match="would leave a gap"):
        settle()


def test_a_charge_on_a_document_is_not_netted_changed_or_dropped(invoice):
    for change in ({"netted_at": NOW}, {"amount": 1}):
        with pytest.raises(IntegrityError, match="stands on a document"), transaction.atomic():
            Charge.objects.update(**change)
    with pytest.raises(IntegrityError, match="stands on a document"):
        execute("DELETE FROM billing_charge")


def test_a_pdf_is_filled_in_once(invoice):
    filled = {"pdf": b"%PDF-1", "sha256": "a" * 64, "rendered_at": NOW}
    Document.objects.update(**filled)
    Document.objects.update(due_at=None, attempts=3, last_error="")
    for change in ({"pdf": b"%PDF-2"}, {"pdf": None}, {"sha256": ""}, {"rendered_at": None}):
        with pytest.raises(IntegrityError, match="issued documents stay as they are"), transaction.atomic():
            Document.objects.update(**change)
    assert bytes(Document.objects.get().pdf) == b"%PDF-1"
