"""The list as a file for spreadsheets: comma, decimal point, ISO dates, UTF-8 (BIL-103, trust S39)."""

from collections.abc import Iterable, Iterator

from apps.billing.exports.csv import rows_of
from apps.partnerview.received import Received

COLUMNS = (
    "cdr_id", "party", "state", "since", "why", "received_at", "started_at", "ended_at", "energy_kwh", "currency",
    "cost_before_taxes", "due_on", "disputable_until",
)  # fmt: skip


def write(rows: Iterable[Received]) -> Iterator[str]:
    """A row at a time, under a header."""
    return rows_of(COLUMNS, map(_values, rows))


def _values(row: Received) -> tuple:
    return (
        row.cdr_id, row.party, row.state.label, row.since, " ".join(row.why), row.place.at, row.started_at, row.ended_at,
        row.energy, row.currency, row.cost, row.due_on, row.disputable_until,
    )  # fmt: skip
