"""Documents of a month as files for finance: one row or object per line, streamed (BIL-103)."""

from collections.abc import Iterator
from datetime import date

from . import csv, json

FORMATS = {"csv": csv.write, "json": json.write}


def stream(period: date, file_format: str) -> Iterator[str]:
    """The export of a month's documents, piece by piece; `period` is the first day of the month."""
    return FORMATS[file_format](period)
