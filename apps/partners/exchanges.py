"""The record of OCPI calls, in and out: bytes as they were, for people. No code decides on it.

Neither headers nor anything of the credentials module is in it: there are tokens in both (decision 27).
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from django.db import connection

from apps.bulk import run_prepared
from apps.ocpi.client import Call

from .models import Exchange, Partner

SECRET = frozenset({"credentials"})
LONGEST_BODY = 2**20
"""Bytes that are kept: a peer may send pages of 128 MB, and objects are kept whole elsewhere."""

COLUMNS = {
    "partner_id": "bigint", "direction": "text", "module": "text", "method": "text", "url": "text",
    "request_body": "bytea", "response_body": "bytea", "http_status": "smallint", "status_code": "smallint",
    "error": "text", "request_id": "text", "correlation_id": "text", "duration": "interval", "at": "timestamptz",
}  # fmt: skip
KEEP = f"""
INSERT INTO partners_exchange ({", ".join(COLUMNS)})
SELECT {", ".join(f"%s::{kind}" for kind in COLUMNS.values())}
RETURNING id
"""
KEEP_LAZILY = f"""
WITH hurry AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
INSERT INTO partners_exchange ({", ".join(COLUMNS)})
SELECT {", ".join(f"%s::{kind}" for kind in COLUMNS.values())} FROM hurry
RETURNING id
"""
"""In a transaction of its own, which does not wait for the disk: a crash may lose the last half second."""


class Said(NamedTuple):
    """One exchange; the order is that of the columns."""

    partner_id: int | None
    direction: Exchange.Direction
    module: str
    method: str
    url: str
    request_body: bytes
    response_body: bytes
    http_status: int | None
    status_code: int | None
    error: str
    request_id: str
    correlation_id: str
    duration: timedelta
    at: datetime

    def without_secrets(self) -> "Said":
        return self._replace(request_body=b"", response_body=b"") if self.module in SECRET else self

    def bounded(self) -> "Said":
        return self._replace(
            request_body=self.request_body[:LONGEST_BODY], response_body=self.response_body[:LONGEST_BODY]
        )


def keep(said: Said) -> None:
    """Write it down: in the transaction of the work if there is one, so that both stand or neither (decision 25)."""
    clean = said.without_secrets().bounded()._replace(url=said.url.replace("\x00", "\ufffd"))
    run_prepared(KEEP if connection.in_atomic_block else KEEP_LAZILY, clean)


def recorder(partner: Partner | None, module: str) -> Callable[[Call], None]:
    """What a Peer tells of its calls, written down."""

    def record(call: Call) -> None:
        said = (call.method, call.url, call.request_body, call.response_body, call.http_status, call.status_code)
        ids = (call.error.replace("\x00", "\ufffd"), call.request_id, call.correlation_id)
        at = datetime.now(UTC) - call.duration
        keep(Said(partner and partner.pk, Exchange.Direction.OUT, module, *said, *ids, call.duration, at))

    return record
