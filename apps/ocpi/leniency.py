"""What we forgive our peers, each with the reason. Every function returns what we take instead, or None.

Forgiving is never silent: the collector adds a warning with the path for each of these.
"""

import re
from decimal import Decimal

from . import vocabulary
from .errors import Problem
from .types import DIGITS_BEFORE_POINT, Unfit, read_number

STRANGE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters, and those that turn the direction of the text around them (trust S29)."""

ALIASES = {vocabulary.SessionStatus: {"RESERVED": "RESERVATION"}}
"""The specification calls the status by both names (mod_sessions, SessionStatus)."""

DEGREES = re.compile(r"[+-]?\d{1,3}(\.\d{0,20})?", re.ASCII)

MONEY = re.compile(
    r"(^|\.)((charging_periods|tariffs|elements|price_components|dimensions)\b|(auth_method|currency|status|credit|"
    r"tax_included)$|(total|min_price|max_price|kwh))"
)


def concerns_money(problem: Problem) -> bool:
    """Is the amount in doubt? Such a CDR is kept, but not billed before somebody looked (TR-40)."""
    return MONEY.search(problem.path) is not None


def number_in_text(value: str) -> Decimal | None:
    """The 2.1.1 CDR example of the specification itself sends a price as "2.00" (TR-41)."""
    return read_number(value.strip())


def text_in_number(value) -> str | None:
    """Connector and EVSE ids are often database ids, sent as numbers."""
    if isinstance(value, Unfit):
        return value.text
    return str(value) if type(value) in (int, Decimal) else None


def degrees_in_text(value: str) -> Decimal | None:
    """Fifteen decimals are a millionth of a millimetre too many, and harmless (LOC-13)."""
    return Decimal(value.strip()) if DEGREES.fullmatch(value.strip()) else None


def flag_in_text(value) -> bool | None:
    """Some serializers write booleans as text."""
    return {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else None


def whole_number(value) -> int | None:
    """300.0, "300": whole all the same; nothing is rounded."""
    number = number_in_text(value) if isinstance(value, str) else value
    return int(number) if isinstance(number, Decimal) and number == number.to_integral_value() else None


def only_one(value) -> dict | None:
    """Restrictions and the like arrive as a list of one: a real feed does so in every tariff."""
    return value[0] if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict) else None


def same_in_capitals(value: str, known: frozenset[str]) -> str | None:
    """Values of enumerations are case-sensitive, but no two differ only in case (TR-35)."""
    return next((name for name in known if name.upper() == value.upper()), None)


def shown(text: str) -> str:
    """What PostgreSQL cannot hold, or a page would be spoiled by, becomes the replacement character."""
    return STRANGE.sub("\N{REPLACEMENT CHARACTER}", text)


def fits(number: int) -> bool:
    return abs(number) < 10**DIGITS_BEFORE_POINT
