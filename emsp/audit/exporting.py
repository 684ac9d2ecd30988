"""Changes as lines of JSON for somebody who looks at them elsewhere: who changed what, when, from what to what, and why.

One object a line: `at` (UTC), `who` (id and name of the user; null where no person was logged in: a command, the
timetable, a partner), `what` and `key` (the model and its row), `kind` (insert, update, delete), `before` and `after`
(what differs; decimals as text), `reason`, `request_id`, `url`, and `id`, which no other line has. Secrets are tracked
nowhere, so there are none in it.
"""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from typing import BinaryIO

from django.db import connection, transaction

from . import tables
from .chain import start_of

AT_ONCE = 2000
"""Rows that are fetched from the server together."""

OF_TABLE = """
SELECT event.pgh_created_at AS at, '{model}' AS model, event.pgh_obj_id::text AS key, event.pgh_label AS label,
    '{table}:' || event.pgh_id AS id, {row} AS row, before.row AS before, context.metadata, event.pgh_id AS number
FROM {table} event LEFT JOIN pghistory_context context ON context.id = event.pgh_context_id
LEFT JOIN LATERAL (
    SELECT {earlier_row} AS row FROM {table} earlier
    WHERE earlier.pgh_obj_id = event.pgh_obj_id AND earlier.pgh_id < event.pgh_id ORDER BY earlier.pgh_id + 0 DESC LIMIT 1
) before ON true
WHERE event.pgh_created_at >= %(since)s AND event.pgh_created_at < %(until)s"""
"""The + 0 keeps PostgreSQL from looking for the change before by walking through all that are older."""

OWN = ("pgh_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "pgh_context_id")

CHANGES = """
SELECT change.at, staff.username, model, key, label, change.id, row, before, metadata
FROM ({changes}) AS change LEFT JOIN staff_user staff ON staff.id = (metadata ->> 'user')::bigint
ORDER BY at, model, number"""


def write(file: BinaryIO, first: date, last: date) -> int:
    """Write the changes of these days of UTC, oldest first, a few thousand in memory at a time; how many."""
    count = 0
    for line in _lines(first, last):
        file.write(line)
        count += 1
    return count


def _lines(first: date, last: date) -> Iterator[bytes]:
    bounds = {"since": start_of(first), "until": start_of(last + timedelta(days=1))}
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute(_query(), bounds)
        while rows := cursor.fetchmany(AT_ONCE):
            yield from map(_line, rows)


def _query() -> str:
    return CHANGES.format(changes=" UNION ALL ".join(map(_of_table, tables.event_models())))


def _of_table(model) -> str:
    label = model.pgh_tracked_model._meta.label_lower
    return OF_TABLE.format(table=model._meta.db_table, model=label, row=_row("event"), earlier_row=_row("earlier"))


def _row(alias: str) -> str:
    return f"to_jsonb({alias}) - ARRAY{list(OWN)}"


def _line(row: tuple) -> bytes:
    at, name, model, key, label, identity, *told = row
    after, before, context = (_read(text) for text in told)
    who = {"id": context.get("user"), "name": name} if context.get("user") else None
    change = {
        "at": at.isoformat().replace("+00:00", "Z"), "who": who, "what": model, "key": key, "kind": label,
        **_difference(label, before, after), "reason": context.get("reason"), "request_id": context.get("request_id"),
        "url": context.get("url"), "id": identity,
    }  # fmt: skip
    return json.dumps(change, ensure_ascii=False).encode() + b"\n"


def _read(text: str | None) -> dict:
    return json.loads(text, parse_float=str) if text else {}


def _difference(label: str, before: dict, after: dict) -> dict:
    """Of a row that is deleted, the change holds what it was at last."""
    if label == "delete":
        return {"before": after, "after": None}
    if not before or label == "insert":
        return {"before": None, "after": after}
    changed = [name for name in after if before.get(name) != after[name]]
    return {"before": {name: before.get(name) for name in changed}, "after": {name: after[name] for name in changed}}
