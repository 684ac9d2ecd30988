"""Columns of many rows as arrays in PostgreSQL's binary form. psycopg's own looks at every value for what it may be; a
column is of one kind, and has thousands."""

import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from operator import attrgetter
from typing import Any, NamedTuple

import psycopg
from psycopg.adapt import Dumper, PyFormat

NULL = struct.pack("!i", -1)
_head = struct.Struct("!iiIii").pack
_length = struct.Struct("!i").pack
_microsecond, _first_day = timedelta(microseconds=1), datetime(2000, 1, 1, tzinfo=UTC)


class Array(NamedTuple):
    """The values of a column; `kind` is the SQL type of an element, one of KINDS. The statement has to cast it."""

    kind: str
    values: Sequence


def _as_moment(value: datetime) -> bytes:
    return struct.pack("!q", (value - _first_day) // _microsecond)


def _as_span(value: timedelta) -> bytes:
    return struct.pack("!qii", value // _microsecond, 0, 0)


def _as_number(value: Decimal) -> bytes:
    return _decimals.dump(value if isinstance(value, Decimal) else Decimal(value))


_decimals = psycopg.adapters.get_dumper(Decimal, PyFormat.BINARY)(Decimal)

KINDS: dict[str, tuple[int, Callable[[Any], bytes]]] = {
    "boolean": (16, struct.Struct("!?").pack),
    "bytea": (17, bytes),
    "bigint": (20, struct.Struct("!q").pack),
    "smallint": (21, struct.Struct("!h").pack),
    "integer": (23, struct.Struct("!i").pack),
    "text": (25, str.encode),
    "timestamptz": (1184, _as_moment),
    "interval": (1186, _as_span),
    "numeric": (1700, _as_number),
    "uuid": (2950, attrgetter("bytes")),
    "jsonb": (3802, lambda value: b"\x01" + value.encode()),
}
"""With their oids in pg_type."""


def _element(encoded: bytes) -> bytes:
    return _length(len(encoded)) + encoded


class _ArrayDumper(Dumper):
    format = psycopg.pq.Format.BINARY

    def dump(self, array: Array) -> bytes:
        oid, encode = KINDS[array.kind]
        parts = [_head(1, None in array.values, oid, len(array.values), 1)]
        before, element = None, NULL
        for value in array.values:
            if value is not before:  # much of a page is alike: its sender, its currency, when it came
                before, element = value, NULL if value is None else _element(encode(value))
            parts.append(element)
        return b"".join(parts)


psycopg.adapters.register_dumper(Array, _ArrayDumper)
