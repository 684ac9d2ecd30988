"""The record of OCPI calls, in and out: bytes as they were, for people. No code decides on it.

Neither headers nor anything of the credentials module is in it: there are tokens in both (decision 27). Whose card it was
is not in it either: cards and contracts are replaced by marks, which are the same for the same card (trust S41). It is
kept as long as a question may come up, and no longer.
"""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from django.db import connection

from apps import marks
from apps.bulk import as_arrays, as_parameters, run_prepared
from apps.ocpi.client import Call

from . import quarantine
from .models import Exchange, Partner

SECRET = frozenset({"credentials"})
LONGEST_BODY = 2**16
LONGEST_PAGE = 2**13
"""Bytes that are kept: objects are kept whole elsewhere, and a peer may send pages of 128 MB."""

COLUMNS = {
    "partner_id": "bigint", "direction": "text", "module": "text", "method": "text", "url": "text",
    "request_body": "bytea", "response_body": "bytea", "http_status": "smallint", "status_code": "smallint",
    "error": "text", "request_id": "text", "correlation_id": "text", "duration": "interval", "at": "timestamptz",
    "object_id": "text",
}  # fmt: skip
KEEP = f"""
INSERT INTO partners_exchange ({", ".join(COLUMNS)})
SELECT {", ".join(f"%s::{kind}" for kind in COLUMNS.values())}
RETURNING id
"""
KEEP_ALL = f"""
INSERT INTO partners_exchange ({", ".join(COLUMNS)})
SELECT * FROM unnest({as_parameters(COLUMNS.values())})
RETURNING id
"""
KEEP_LAZILY = f"""
WITH hurry AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
INSERT INTO partners_exchange ({", ".join(COLUMNS)})
SELECT {", ".join(f"%s::{kind}" for kind in COLUMNS.values())} FROM hurry
RETURNING id
"""
"""In a transaction of its own, which does not wait for the disk: a crash may lose the last half second."""


CARDS = frozenset({"tokens", "cdrs", "sessions", "commands"})
CARD = re.compile(rb'("(?:uid|auth_id|contract_id|visual_number|group_id)"\s*:\s*")((?:[^"\\]|\\.)+)')
"""What tells a card or its holder, where a body is about one; of a location, `uid` is an EVSE."""
CARD_IN_URL = re.compile(r"(/tokens/(?:[^/?]+/[^/?]+/)?)([^/?]+)(?=/authorize|$|\?)")

OBJECT_IN_URL = re.compile(r"/(?:locations|sessions|tariffs|tokens)/[^/]{2}/[^/]{3}/([^/]+)|/tokens/([^/]+)/authorize")

USUAL_LIFE = timedelta(days=30)
LIVES = {"cdrs": timedelta(days=90), "locations": timedelta(days=7)}
"""For how long messages are kept: CDRs until they are paid for, locations are soon told anew (trust S41)."""


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
    object_id: str = ""

    def without_secrets(self) -> "Said":
        return self._replace(request_body=b"", response_body=b"") if self.module in SECRET else self

    def without_cards(self) -> "Said":
        if self.module not in CARDS:
            return self
        return self._replace(
            url=CARD_IN_URL.sub(lambda match: match[1] + marks.mark(match[2]), self.url),
            request_body=_without_cards(self.request_body),
            response_body=_without_cards(self.response_body),
        )

    def about(self) -> "Said":
        """The object is named by the URL below its party, or by the body where it is new."""
        named = OBJECT_IN_URL.search(urlsplit(self.url).path)
        object_id = unquote(named[1] or named[2]).replace("\x00", "\ufffd") if named else ""
        if self.module == "cdrs" and self.method == "POST":
            object_id = quarantine.id_of(self.request_body)
        return self._replace(object_id=object_id[: quarantine.LONGEST_ID])

    def bounded(self) -> "Said":
        """Of what we asked for only the beginning: it may be page after page."""
        is_page = self.direction == Exchange.Direction.OUT and self.method == "GET"
        longest = LONGEST_PAGE if is_page else LONGEST_BODY
        return self._replace(request_body=self.request_body[:longest], response_body=self.response_body[:longest])

    def as_kept(self) -> "Said":
        clean = self.without_secrets().bounded().without_cards().about()
        return clean._replace(url=clean.url.replace("\x00", "\ufffd"))


def keep(said: Said) -> None:
    """Write it down: in the transaction of the work if there is one, so that both stand or neither (decision 25)."""
    run_prepared(KEEP if connection.in_atomic_block else KEEP_LAZILY, said.as_kept())


def keep_all(said: Iterable[Said]) -> None:
    """The same of many at once."""
    columns = list(zip(*(one.as_kept() for one in said), strict=True))
    if columns:
        run_prepared(KEEP_ALL, as_arrays(COLUMNS.values(), columns))


def _without_cards(body: bytes) -> bytes:
    return CARD.sub(lambda match: match[1] + marks.mark(match[2].decode(errors="replace")).encode(), body)


def prune(now: datetime, limit: int = 5000) -> int:
    """Delete so many of those that were kept long enough; how many there were."""
    usual = Exchange.objects.filter(at__lt=now - USUAL_LIFE).exclude(module__in=LIVES)
    others = (Exchange.objects.filter(module=module, at__lt=now - life) for module, life in LIVES.items())
    return sum(_delete(rows.order_by("pk")[:limit]) for rows in (usual, *others))


def _delete(rows) -> int:
    return Exchange.objects.filter(pk__in=list(rows.values_list("pk", flat=True))).delete()[0]


def recorder(partner: Partner | None, module: str, keep: Callable[[Said], None] = keep) -> Callable[[Call], None]:
    """What a Peer tells of its calls, written down, or handed to `keep` for later."""

    def record(call: Call) -> None:
        said = (call.method, call.url, call.request_body, call.response_body, call.http_status, call.status_code)
        ids = (call.error.replace("\x00", "\ufffd"), call.request_id, call.correlation_id)
        at = datetime.now(UTC) - call.duration
        keep(Said(partner and partner.pk, Exchange.Direction.OUT, module, *said, *ids, call.duration, at))

    return record
