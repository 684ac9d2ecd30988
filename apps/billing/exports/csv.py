"""Lines of a month as CSV: comma, decimal point, ISO dates, UTF-8; one row a line, its document's figures beside it."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from .cells import cell
from .rows import NO_CDR, describe_document, describe_line, lines

DOCUMENT_COLUMNS = (
    "document", "kind", "issued_on", "due_on", "supplied_from", "supplied_until", "account", "account_kind",
    "buyer_vat_id", "seller_vat_id", "corrects", "payment_reference", "paid_on", "currency", "vat_category",
    "document_net", "document_vat", "document_gross",
)  # fmt: skip
LINE_COLUMNS = (
    "line", "charge", "description", "supplied_on", "driver", "contract_id", "plan", *NO_CDR,
    "vat_rate", "line_net", "line_gross",
)  # fmt: skip
COLUMNS = DOCUMENT_COLUMNS + LINE_COLUMNS


class Echo:
    """A file that hands back what is written to it, so that rows can be streamed."""

    def write(self, text: str) -> str:
        return text


def rows_of(columns: Sequence[str], rows: Iterable[Iterable]) -> Iterator[str]:
    """Any table, a row at a time, under a header."""
    writer = csv.writer(Echo())
    yield writer.writerow(columns)
    for row in rows:
        yield writer.writerow([cell(value) for value in row])


def write(period: date) -> Iterator[str]:
    """The month's lines, a row at a time, under a header."""
    return rows_of(COLUMNS, map(_values, lines(period)))


def _values(line) -> Iterator:
    described = describe_document(line.invoice) | describe_line(line)
    return (described[column] for column in COLUMNS)
