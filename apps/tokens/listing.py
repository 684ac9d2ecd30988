"""Our tokens as a list that partners page through (mod_tokens, Sender Interface, GET).

Ordered by creation. `Link` carries a signed cursor, so the last page costs what the first does and nothing is skipped
when rows drop out of the filter; the total is counted once per crawl (trust D12). A plain offset works as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.core import signing
from django.db.models import BooleanField, Q
from django.db.models.expressions import RawSQL

from apps.ocpi.errors import InvalidObject, Problem
from apps.ocpi.types import read_moment, write_moment
from apps.partners.agreements import day_of

from .cards import TOLD, Card, cards_of
from .models import Token
from .sight import ACCOUNT, sees

MOST = 1000
DIGITS = 15


@dataclass(frozen=True)
class Asked:
    """What a request asks for. `after` and `total` come with the cursor of the page before."""

    limit: int
    offset: int
    date_from: datetime | None
    date_to: datetime | None
    after: int | None = None
    total: int | None = None


@dataclass(frozen=True)
class Page:
    """`next_query`: the parameters of the next page, None on the last."""

    cards: list[Card]
    total: int
    next_query: dict | None


def read_page(query: Mapping[str, str], partner_id: int, now: datetime) -> Page:
    asked = _understand(query, partner_id)
    tokens = _matching(asked).filter(_seen_by(partner_id, now))
    total = tokens.count() if asked.total is None else asked.total
    ids = list(_from_there(tokens, asked).values_list("pk", flat=True)[: asked.limit + 1])
    shown, cards = ids[: asked.limit], cards_of(ids[: asked.limit], now)
    is_last = len(ids) <= asked.limit
    next_query = None if is_last else _next_query(asked, shown[-1], total, partner_id)
    return Page([cards[pk] for pk in shown], total, next_query)


def _matching(asked: Asked):
    """From inclusive, to exclusive (transport_and_format, Pagination)."""
    tokens = Token.objects.filter(type__in=TOLD).order_by("pk")
    if asked.date_from:
        tokens = tokens.filter(last_updated__gte=asked.date_from)
    return tokens.filter(last_updated__lt=asked.date_to) if asked.date_to else tokens


def _seen_by(partner_id: int, now: datetime) -> Q:
    """Others are of no concern to it (TOK-01, trust S18)."""
    seen = sees(f"{partner_id:d}", ACCOUNT.format(card="tokens_token"), f"DATE '{day_of(now)}'")
    return Q(RawSQL(seen, (), output_field=BooleanField()))  # noqa: S611 - a number and a day of our own


def _from_there(tokens, asked: Asked):
    return tokens[asked.offset :] if asked.after is None else tokens.filter(pk__gt=asked.after)


def _understand(query: Mapping[str, str], partner_id: int) -> Asked:
    """Every wrong value is named (TR-17); a limit above ours is lowered to it (TR-15)."""
    problems: list[Problem] = []
    asked = {
        "limit": _number(query, "limit", MOST, 1, problems),
        "offset": _number(query, "offset", 0, 0, problems),
        "date_from": _moment(query, "date_from", problems),
        "date_to": _moment(query, "date_to", problems),
    }
    asked["limit"] = min(asked["limit"], MOST)
    if "cursor" in query and not problems:
        try:
            salt = _salt(partner_id, asked["date_from"], asked["date_to"])
            asked["after"], asked["total"] = signing.loads(query["cursor"], salt=salt)
        except signing.BadSignature:
            problems.append(Problem("cursor", "not one of ours for this list"))
    if problems:
        raise InvalidObject(problems)
    return Asked(**asked)


def _number(query: Mapping[str, str], name: str, default: int, least: int, problems: list[Problem]) -> int:
    text = query.get(name, "").strip()
    if not text:
        return default
    if text.isascii() and text.isdigit() and len(text) <= DIGITS and int(text) >= least:
        return int(text)
    problems.append(Problem(name, f"expected a whole number from {least} on"))
    return default


def _moment(query: Mapping[str, str], name: str, problems: list[Problem]) -> datetime | None:
    """A `+` of an offset that was not escaped arrives as a blank."""
    text = query.get(name, "").strip()
    moment = read_moment(text) or read_moment(text.replace(" ", "+")) if text else None
    if text and moment is None:
        problems.append(Problem(name, "expected a DateTime such as 2026-03-01T12:00:00Z"))
    return moment


def _next_query(asked: Asked, last: int, total: int, partner_id: int) -> dict:
    dates = {"date_from": asked.date_from, "date_to": asked.date_to}
    filters = {name: _exact(moment) for name, moment in dates.items() if moment}
    cursor = signing.dumps([last, total], salt=_salt(partner_id, asked.date_from, asked.date_to))
    return filters | {"offset": asked.offset + asked.limit, "limit": asked.limit, "cursor": cursor}


def _exact(moment: datetime) -> str:
    return write_moment(moment) if moment.microsecond % 1000 == 0 else moment.isoformat().replace("+00:00", "Z")


def _salt(partner_id: int, date_from: datetime | None, date_to: datetime | None) -> str:
    """A cursor is good for the partner and the filter it was made for."""
    return f"{__name__} {partner_id} {date_from} {date_to}"
