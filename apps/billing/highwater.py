"""Numbers of documents, written outside the database too: a backup that comes back gives none of them again (trust R25).

A line per batch, only ever appended, before its transaction commits: prefix of the series, last number, date of issue,
with tabs between. A line too many (the transaction failed) only matters after a restore, and then costs a number.
"""

import os
from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path

from django.conf import settings
from django.db import transaction

from .models import LostNumbers, NumberSeries


def mark(series: NumberSeries, last: int, issued_on: date) -> None:
    """Note that numbers up to `last` are given. OSError: it cannot be kept, and then nothing may be issued."""
    with Path(settings.NUMBERS_FILE).open("a") as file:
        file.write(f"{series.prefix}\t{last}\t{issued_on}\n")
        file.flush()
        os.fsync(file.fileno())


@transaction.atomic
def skip_given(lines: Iterable[str], now: datetime) -> list[LostNumbers]:
    """After a restore: no number that these lines name is given again; what was lost by it, by series.

    Raises ValueError, and changes nothing, for a line that is none and for a series that is not here.
    """
    marks = highest(lines)
    found = {series.prefix: series for series in NumberSeries.objects.select_for_update().order_by("pk")}
    if unknown := sorted(marks.keys() - found.keys()):
        raise ValueError(f"no number series begins with {', '.join(unknown)}: make it anew, then try again")
    return [
        _skip(found[prefix], last, issued_on, now)
        for prefix, (last, issued_on) in sorted(marks.items())
        if last >= found[prefix].next_number
    ]


def highest(lines: Iterable[str]) -> dict[str, tuple[int, date]]:
    """The last number and its date by prefix."""
    marks = {}
    for position, line in enumerate(lines, start=1):
        try:
            prefix, last, issued_on = line.rstrip("\n").split("\t")
            told = int(last), date.fromisoformat(issued_on)
        except ValueError:
            raise ValueError(
                f"line {position}: not a prefix, a number and a date with tabs between: {line!r}"
            ) from None
        marks[prefix] = max(told, marks.get(prefix, told))
    return marks


def _skip(series: NumberSeries, last: int, issued_on: date, now: datetime) -> LostNumbers:
    lost = LostNumbers.objects.create(series=series, first=series.next_number, last=last, noted_at=now)
    series.next_number, series.last_issued_on = last + 1, max(issued_on, series.last_issued_on or issued_on)
    series.save(update_fields=["next_number", "last_issued_on"])
    return lost
