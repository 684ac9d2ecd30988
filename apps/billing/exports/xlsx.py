"""Documents of a month as a workbook: a sheet of documents and one of their lines; texts are texts, dates are dates.

A workbook can only be read whole, so it is written to a file first, a row at a time, and handed on from there.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import groupby
from tempfile import TemporaryDirectory, TemporaryFile

from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from .csv import COLUMNS, DOCUMENT_COLUMNS
from .rows import describe_document, describe_line, lines

ROWS = 1_048_576
"""As many rows as a sheet has, its header among them; what is more goes on the next sheet."""
LETTERS = 32_767
"""As many as a cell may hold."""
RAW = "<r>"
"""The library writes a text between <r> and </r> into the file as it stands, as markup of its own: a place by such a
name could put a formula there. An apostrophe in front makes it a text like others."""
PIECE = 64 * 1024  # bytes
WIDE = {"account": 28, "driver": 24, "description": 48, "cdr": 28, "cdr_uuid": 38, "payment_reference": 20}
MONEY = {"document_net", "document_vat", "document_gross", "line_net", "line_gross"}


class TooLong(Exception):
    """A text that does not fit into a cell; a file that leaves out a part of it would be believed."""


class Book:
    """A workbook and the looks of its cells."""

    def __init__(self, file, folder: str):
        self.workbook = Workbook(file, {"constant_memory": True, "tmpdir": folder})
        self.heading = self.workbook.add_format({"bold": True})
        self.day = self.workbook.add_format({"num_format": "yyyy-mm-dd"})
        self.moment = self.workbook.add_format({"num_format": 'yyyy-mm-dd hh:mm:ss"Z"'})
        self.money = self.workbook.add_format({"num_format": "#,##0.00"})

    def put(self, sheet: Worksheet, row: int, place: int, column: str, value) -> None:
        """A value as what it is. No text is ever taken for a formula, a link or a number (trust S39)."""
        if value is None or value == "":
            return
        if isinstance(value, str):
            self.text(sheet, row, place, value)
        elif isinstance(value, datetime):
            sheet.write_datetime(row, place, value.astimezone(UTC).replace(tzinfo=None), self.moment)
        elif isinstance(value, date):
            sheet.write_datetime(row, place, value, self.day)
        else:
            sheet.write_number(row, place, value, self.money if column in MONEY else None)

    @staticmethod
    def text(sheet: Worksheet, row: int, place: int, value: str) -> None:
        if len(value) > LETTERS:
            raise TooLong(f"a text of {len(value)} letters; a cell holds {LETTERS}")
        sheet.write_string(row, place, f"'{value}" if value.startswith(RAW) else value)


class Sheets:
    """Rows of one kind, on as many sheets as they take: `Lines`, `Lines 2`, …"""

    def __init__(self, book: Book, name: str, columns: tuple[str, ...], rows: int = ROWS):
        self.book, self.name, self.columns, self.rows = book, name, columns, rows
        self.count = 0
        self.begin()

    def begin(self) -> None:
        self.count += 1
        self.sheet = self.book.workbook.add_worksheet(self.name if self.count == 1 else f"{self.name} {self.count}")
        self.sheet.freeze_panes(1, 1)
        for place, column in enumerate(self.columns):
            self.sheet.set_column(place, place, WIDE.get(column, 14))
            self.sheet.write_string(0, place, column, self.book.heading)
        self.row = 1

    def add(self, described: dict) -> None:
        if self.row == self.rows:
            self.begin()
        for place, column in enumerate(self.columns):
            self.book.put(self.sheet, self.row, place, column, described[column])
        self.row += 1


def write(period: date) -> Iterator[bytes]:
    """The month's workbook, in pieces; what it takes on the way lies on disk, not in memory."""
    with TemporaryDirectory() as folder, TemporaryFile(dir=folder) as file:
        fill(Book(file, folder), period)
        file.seek(0)
        while piece := file.read(PIECE):
            yield piece


def fill(book: Book, period: date, rows: int = ROWS) -> None:
    documents = Sheets(book, "Documents", DOCUMENT_COLUMNS, rows)
    its_lines = Sheets(book, "Lines", COLUMNS, rows)
    for invoice, group in groupby(lines(period), key=lambda line: line.invoice):
        document = describe_document(invoice)
        documents.add(document)
        for line in group:
            its_lines.add(document | describe_line(line))
    book.workbook.close()
