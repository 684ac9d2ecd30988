"""Documents of a month as files for finance: one row or object per line, streamed (BIL-103)."""

from collections.abc import Callable, Iterator
from datetime import date

from . import csv, json, xlsx


def encoded(write: Callable[[date], Iterator[str]]) -> Callable[[date], Iterator[bytes]]:
    return lambda period: (piece.encode() for piece in write(period))


FORMATS = {"csv": encoded(csv.write), "json": encoded(json.write), "xlsx": xlsx.write}
TYPES = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def stream(period: date, file_format: str) -> Iterator[bytes]:
    """The export of a month's documents, piece by piece; `period` is the first day of the month."""
    return FORMATS[file_format](period)
