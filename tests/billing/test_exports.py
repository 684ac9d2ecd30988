"""What finance takes home: files that add up, stream, and run nothing in a spreadsheet (BIL-103)."""

import csv
import io
import json
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command

from apps.billing import exports, invoicing
from apps.billing.exports.csv import COLUMNS
from apps.billing.models import Invoice
from apps.billing.payments import mark_paid
from tests.billing.charged import NOW, OCTOBER, World

pytestmark = pytest.mark.django_db


@pytest.fixture
def world():
    return World()


def text(period, file_format):
    return b"".join(exports.stream(period, file_format)).decode()


def rows(period=OCTOBER):
    return list(csv.DictReader(io.StringIO(text(period, "csv"))))


def documents(period=OCTOBER):
    return json.loads(text(period, "json"), parse_float=pytest.fail)["documents"]


@pytest.fixture
def issued(world):
    """An invoice of two lines, another of one, and a credit note of one."""
    firm = world.account("Åkeri AB", "company", vat_id="SE559012000101")
    charge = world.charge(firm, "12.34", basis="net")
    world.charge(firm, "10", basis="net")
    world.charge(world.account("Anna"), "268.74", energy="10.123")
    invoicing.issue(OCTOBER, NOW)
    world.credit(charge)
    invoicing.issue(OCTOBER, NOW + timedelta(days=1))


def test_a_row_is_a_line_with_its_documents_figures_beside_it(issued):
    told = rows()
    assert list(told[0]) == list(COLUMNS)
    assert [(row["document"], row["line"], row["charge"]) for row in told] == [
        ("SE-000001", "1", "USAGE"), ("SE-000001", "2", "USAGE"), ("SE-000002", "1", "USAGE"), ("SEK-000001", "1", "CREDIT"),
    ]  # fmt: skip
    anna = told[2]
    assert (anna["account"], anna["account_kind"], anna["driver"]) == ("Anna", "private", "Anna sj.")
    assert (anna["line_net"], anna["line_gross"], anna["vat_rate"]) == ("214.99", "268.74", "25.00")
    assert (anna["document_net"], anna["document_vat"], anna["document_gross"]) == ("214.99", "53.75", "268.74")
    assert (anna["issued_on"], anna["due_on"], anna["supplied_on"]) == ("2026-11-03", "2026-12-03", "2026-10-14")
    assert (anna["started_at"], anna["energy_kwh"]) == ("2026-10-14T14:00:00Z", "10.123")
    assert anna["cdr"].startswith("SE*LAD")


def test_credit_notes_are_negative_so_that_columns_add_up(issued):
    told = rows()
    note = told[-1]
    assert (note["line_net"], note["document_vat"], note["document_gross"]) == ("-12.34", "-3.09", "-15.43")
    assert (note["corrects"], note["kind"], note["payment_reference"]) == ("SE-000001", "CREDIT_NOTE", "")
    signs = {"INVOICE": 1, "CREDIT_NOTE": -1}
    assert sum(Decimal(row["line_net"]) for row in told) == sum(
        signs[invoice.kind] * invoice.net for invoice in Invoice.objects.all()
    )
    energy = [Decimal(row["energy_kwh"]) for row in told if row["account"] == "Åkeri AB"]
    assert sum(energy) == 10, "invoiced twice ten, credited ten"


def test_json_says_the_same_with_lines_inside_their_document(issued):
    told = documents()
    assert [(one["document"], len(one["lines"])) for one in told] == [
        ("SE-000001", 2),
        ("SE-000002", 1),
        ("SEK-000001", 1),
    ]
    assert told[2]["lines"][0]["line_net"] == "-12.34"
    assert {name for one in told for name in one} == {*COLUMNS} - {*told[0]["lines"][0]} | {"lines"}


def test_a_paid_invoice_says_when(issued):
    mark_paid(Invoice.objects.get(number="SE-000002"), date(2026, 11, 20), None, NOW + timedelta(days=30))
    assert [row["paid_on"] for row in rows()] == ["", "", "2026-11-20", ""]


def test_another_month_is_another_file(issued):
    assert rows(date(2026, 9, 1)) == []
    assert documents(date(2026, 9, 1)) == []


FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    " =1",
    '"=1',
    "'=1",
    "\uff1d1",
    "\u200b=1",
    "\ufeff+1",
    "\n-1",
]


@pytest.mark.control("S39")
@pytest.mark.parametrize("text", FORMULAS)
def test_no_text_is_a_formula(world, text):
    """Trust S37, S39: of account, driver, partner, plan and place alike."""
    account = world.account(f"{text} Anna", "company", cost_centre=text, vat_id=text)
    plan = world.plan(name=f"{text} plan")
    cdr = world.cdr(location_name=text, city=text, token_uid=text)
    world.charge(account, "10", cdr=cdr, plan_price=plan)
    invoicing.issue(OCTOBER, NOW)
    (row,) = rows()
    assert row["account"] == f"'{text} Anna"
    for column in ("plan", "buyer_vat_id", "driver"):
        assert row[column].startswith("'"), column
    assert row["token_uid"].startswith(("'", '"')) or not row["token_uid"]


@pytest.mark.control("S39")
def test_numbers_stay_numbers(issued):
    for row in rows():
        for column in ("line_net", "document_net", "document_vat", "document_gross", "energy_kwh"):
            Decimal(row[column])


@pytest.mark.control("S39")
def test_quotes_and_line_breaks_survive(world):
    name = 'Åsa "den röda" Öberg,\nLund; AB'
    world.charge(world.account(name), "10")
    invoicing.issue(OCTOBER, NOW)
    assert rows()[0]["account"] == name
    assert documents()[0]["account"] == name


@pytest.mark.django_db(transaction=True)
def test_a_large_month_is_never_held_in_memory(world, django_assert_max_num_queries):
    """A row costs the file, not the process; and one query finds all."""
    account = world.account()
    for _ in range(300):
        world.charge(account, "5.49")
    invoicing.issue(OCTOBER, NOW)
    with django_assert_max_num_queries(1):
        pieces = exports.stream(OCTOBER, "csv")
        assert next(pieces).startswith(b"document,kind")
        assert sum(1 for _ in pieces) == 300


def test_the_command_writes_a_whole_file_or_none(issued, tmp_path):
    out = tmp_path / "october.csv"
    call_command("invoices", "export", "--period", "2026-10", "--format", "csv", "--out", str(out))
    assert out.read_bytes().decode() == text(OCTOBER, "csv")
    assert list(tmp_path.iterdir()) == [out]
    with pytest.raises(CommandError, match="No such file"):
        call_command("invoices", "export", "--period", "2026-10", "--format", "json", "--out", "/nowhere/x.json")


def test_the_command_writes_to_stdout(issued, capsys):
    call_command("invoices", "export", "--period", "2026-10", "--format", "json", "--out", "-")
    assert len(json.loads(capsys.readouterr().out)["documents"]) == 3
