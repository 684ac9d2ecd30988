"""The workbook, read back with nothing but zipfile and XML: what is in it, and that no text runs there (trust S39)."""

import io
import re
import tracemalloc
from datetime import date, datetime, timedelta
from decimal import Decimal
from xml.etree import ElementTree as ET
from zipfile import ZipFile

import pytest
from django.core.management import call_command

from apps.billing import exports, invoicing
from apps.billing.exports import xlsx
from apps.billing.exports.csv import COLUMNS, DOCUMENT_COLUMNS
from apps.billing.models import Invoice, InvoiceLine
from tests.billing.charged import NOW, OCTOBER, World
from tests.billing.test_exports import FORMULAS
from tests.billing.test_exports import rows as csv_rows

pytestmark = pytest.mark.django_db
MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001  a spreadsheet's days are counted from here, without a zone


@pytest.fixture
def world():
    return World()


@pytest.fixture
def issued(world):
    firm = world.account("Åkeri AB", "company", vat_id="SE559012000101")
    charge = world.charge(firm, "12.34", basis="net")
    world.charge(firm, "10", basis="net")
    world.charge(world.account("Anna"), "268.74", energy="10.123")
    invoicing.issue(OCTOBER, NOW)
    world.credit(charge)
    invoicing.issue(OCTOBER, NOW + timedelta(days=1))


def opened(content=None):
    return ZipFile(io.BytesIO(content or b"".join(exports.stream(OCTOBER, "xlsx"))))


def sheets(book):
    """By name, the rows of each sheet, in the order of the book; a row by column letters: (type, format, text)."""
    listed = ET.fromstring(book.read("xl/workbook.xml")).find(f"{MAIN}sheets")
    names = [sheet.get("name") for sheet in listed]
    return {name: table(book, number) for number, name in enumerate(names, 1)}


def table(book, number):
    parsed = ET.fromstring(book.read(f"xl/worksheets/sheet{number}.xml"))
    assert not parsed.findall(f".//{MAIN}f"), "a formula"
    head, *rest = [{place(cell): told(cell) for cell in row} for row in parsed.iter(f"{MAIN}row")]
    return [{name[2]: row.get(letter) for letter, name in head.items()} for row in rest]


def place(cell):
    return re.match("[A-Z]+", cell.get("r"))[0]


def told(cell):
    return cell.get("t"), cell.get("s"), "".join(cell.itertext())


def words(row):
    return {name: cell[2] if cell else "" for name, cell in row.items()}


def moment(cell):
    kind, style, text = cell
    assert kind is None and style, "a date is a number that looks like one"
    return EPOCH + timedelta(days=float(text))


def test_documents_and_lines_have_a_sheet_each(issued):
    told = sheets(opened())
    assert list(told) == ["Documents", "Lines"]
    assert [list(rows[0]) for rows in told.values()] == [list(DOCUMENT_COLUMNS), list(COLUMNS)]
    assert [row["document"][2] for row in told["Documents"]] == ["SE-000001", "SE-000002", "SEK-000001"]
    assert [row["document"][2] for row in told["Lines"]] == ["SE-000001", "SE-000001", "SE-000002", "SEK-000001"]


def test_it_says_what_the_csv_says(issued):
    for line, expected in zip(sheets(opened())["Lines"], csv_rows(), strict=True):
        for column, cell in line.items():
            assert same(cell, expected[column]), (column, cell, expected[column])


def same(cell, expected):
    if cell is None:
        return not expected
    kind, _style, text = cell
    if kind == "inlineStr":
        return text == expected
    if re.fullmatch(r"\d{4}-\d\d-\d\d", expected):
        return moment(cell).date() == date.fromisoformat(expected)
    if expected.endswith("Z"):
        wanted = datetime.fromisoformat(expected).replace(tzinfo=None)
        return abs(moment(cell) - wanted) < timedelta(milliseconds=1)
    return Decimal(text) == Decimal(expected)


@pytest.mark.control("S39")
def test_numbers_dates_and_texts_are_what_they_are(issued):
    line = sheets(opened())["Lines"][2]
    assert (line["line_net"][0], Decimal(line["line_net"][2])) == (None, Decimal("214.99"))
    assert moment(line["supplied_on"]) == datetime(2026, 10, 14)  # noqa: DTZ001
    assert abs(moment(line["started_at"]) - datetime(2026, 10, 14, 14)) < timedelta(milliseconds=1)  # noqa: DTZ001
    assert {line[name][0] for name in ("document", "payment_reference", "account", "cdr")} == {"inlineStr"}


def test_columns_add_up(issued):
    told = sheets(opened())
    net = sum(Decimal(row["document_net"][2]) for row in told["Documents"])
    assert net == sum(Decimal(row["line_net"][2]) for row in told["Lines"])
    assert net == sum(one.net if one.kind == "INVOICE" else -one.net for one in Invoice.objects.all())


HOSTILE = [
    *(text for text in FORMULAS if text != "\r=1"),  # XML reads a carriage return as a line feed
    "<r><t>x</t></is></c><c r=\"B2\"><f>1+1</f></c><c><is></r>",
    "<r></r>",
    "</t></is></c><c><f>1+1</f><v>2</v></c>",
    "http://evil.example/x", "mailto:x@evil.example", "{=1+1}", "internal:Lines!A1", "0123", "1e5", "TRUE", "&amp; &lt;",
    "_x0041_",
]  # fmt: skip


@pytest.mark.control("S39")
@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_is_a_formula_a_link_or_markup(world, text):
    """Trust S37, S39: of account, partner and place alike; and every text is told as it is."""
    world.charge(world.account(text), "10", cdr=world.cdr(location_name=text, city=text, token_uid=text[:36]))
    invoicing.issue(OCTOBER, NOW)
    book = opened()
    (line,) = sheets(book)["Lines"]
    kind, _style, said = line["account"]
    assert kind == "inlineStr"
    assert said.removeprefix("'" if text.startswith("<r>") else "") == text.replace("_x0041_", "_x005F_x0041_")
    assert not [name for name in book.namelist() if "hyperlink" in name.lower() or "external" in name.lower()]
    assert b"<hyperlink" not in book.read("xl/worksheets/sheet2.xml")


@pytest.mark.parametrize("letter", ["\x01", "\x0b", "\x1f", "\ufffe", "\uffff", "\U0001f697"])
def test_letters_that_xml_has_not_leave_a_file_that_opens(world, letter):
    world.charge(world.account(f"Anna{letter}Berg"), "10")
    invoicing.issue(OCTOBER, NOW)
    (line,) = sheets(opened())["Lines"]
    assert line["account"][2].startswith("Anna")


def test_a_text_longer_than_a_cell_is_not_cut_in_silence():
    with pytest.raises(xlsx.TooLong, match="32767"):
        xlsx.Book.text(None, 1, 0, "x" * 32_768)


def test_more_rows_than_a_sheet_holds_go_on_the_next(issued, tmp_path):
    xlsx.fill(xlsx.Book(str(tmp_path / "book.xlsx"), str(tmp_path)), OCTOBER, rows=3)
    told = sheets(opened((tmp_path / "book.xlsx").read_bytes()))
    assert {name: len(rows) for name, rows in told.items()} == {
        "Documents": 2, "Lines": 2, "Lines 2": 2, "Documents 2": 1,
    }  # fmt: skip


def test_a_month_without_documents_is_a_book_with_headings():
    assert sheets(opened()) == {"Documents": [], "Lines": []}


@pytest.mark.django_db(transaction=True)
def test_a_large_month_is_never_held_in_memory(world, monkeypatch, django_assert_max_num_queries):
    """Thousands of lines cost what a few do; and one query finds all."""
    account = world.account()
    for _ in range(5):
        world.charge(account, "5.49")
    invoicing.issue(OCTOBER, NOW)
    with django_assert_max_num_queries(1):
        few = peak_of(monkeypatch, 1)
    assert peak_of(monkeypatch, 800) < few + 1_000_000, "bytes"


def peak_of(monkeypatch, times):
    """Bytes of memory at most while the same lines are written so many times."""
    lines = list(xlsx.lines(OCTOBER)) if times > 1 else None
    if lines:
        assert len(lines) == InvoiceLine.objects.count()
        monkeypatch.setattr(xlsx, "lines", lambda _period: (line for _ in range(times) for line in lines))
    tracemalloc.start()
    written = sum(len(piece) for piece in exports.stream(OCTOBER, "xlsx"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert written > 5000
    return peak


def test_the_command_writes_it(issued, tmp_path):
    out = tmp_path / "october.xlsx"
    call_command("invoices", "export", "--period", "2026-10", "--format", "xlsx", "--out", str(out))
    assert len(sheets(opened(out.read_bytes()))["Lines"]) == 4
    assert list(tmp_path.iterdir()) == [out]
