"""OCPI's own types, said once: CiString, string, DateTime, number, int, and the text a version writes for them.

The annotations are what a body without any oddity satisfies; msgspec checks them in C. What does not satisfy them is
looked at field by field in `reader`, which forgives more and says so.
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from typing import Annotated

from msgspec import Meta

LEAP_SECOND = 60
DIGITS_BEFORE_POINT, DIGITS_AFTER_POINT = 20, 10
LONGEST_IDENTITY = 255

DateTime = Annotated[datetime, Meta(tz=True)]
"""UTC. A sender may leave the designator out; then it is UTC all the same (types, DateTime)."""

Number = Decimal | Annotated[int, Meta(ge=-(10**18), le=10**18)]
"""Exact. An int only until the object is settled: readers of a Struct always find a Decimal."""

Integer = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]

Flag = bool


def code(length: int):
    """CiString: printable ASCII, compared without case (types, CiString)."""
    return Annotated[str, Meta(min_length=1, max_length=length, extra={"kind": "code"})]


def identity(length: int):
    """A CiString that tells which object this is."""
    return Annotated[str, Meta(min_length=1, max_length=length, extra={"kind": "identity"})]


def text(length: int):
    """string: something to show."""
    return Annotated[str, Meta(max_length=length, extra={"kind": "text"})]


def some(kind):
    """OCPI's `+`: a list of at least one."""
    return Annotated[tuple[kind, ...], Meta(min_length=1)]


def some_or_none(kind):
    """OCPI's `+` where nothing depends on it: a list without any gets a warning."""
    return Annotated[tuple[kind, ...], Meta(min_length=1, extra={"may_be_empty": True})]


CountryCode = Annotated[str, Meta(min_length=2, max_length=2, extra={"kind": "identity", "exact": True})]
PartyId = Annotated[str, Meta(min_length=3, max_length=3, extra={"kind": "identity", "exact": True})]
Currency = Annotated[str, Meta(min_length=3, max_length=3, extra={"kind": "currency"})]
TimeOfDay = Annotated[str, Meta(pattern=r"^([01]\d|2[0-4]):[0-5]\d\Z", extra={"kind": "time", "form": "HH:MM"})]
Date = Annotated[str, Meta(pattern=r"^\d{4}-[01]\d-[0-3]\d\Z", extra={"kind": "date", "form": "YYYY-MM-DD"})]
Latitude = Annotated[str, Meta(max_length=24, extra={"kind": "degrees", "limit": 90})]
Longitude = Annotated[str, Meta(max_length=24, extra={"kind": "degrees", "limit": 180})]

_NUMBER = re.compile(r"-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,3}))?\Z", re.ASCII)
_MOMENT = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})[Tt ](\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d+))?)? ?([Zz]|[+-]\d{2}:?\d{2})?\Z", re.ASCII
)
_USUAL_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?\Z", re.ASCII)


class Unfit:
    """A JSON number that is larger or finer than any quantity we keep (decision 13)."""

    def __init__(self, text: str):
        self.text = text


exact = Context(
    prec=DIGITS_AFTER_POINT + 1, Emin=0, Emax=19, traps=[Inexact, Overflow, InvalidOperation]
).create_decimal
"""A JSON number, exactly, in C: it raises where a number might not fit, and `exact_or_unfit` has a closer look."""


def exact_or_unfit(literal: str) -> Decimal | Unfit:
    number = read_number(literal)
    return Unfit(literal) if number is None else number


def read_number(literal: str) -> Decimal | None:
    """The number if it follows the JSON grammar and fits into numeric(30, 10), else None; never rounded."""
    match = _NUMBER.match(literal)
    if match is None:
        return None
    number = Decimal(literal)
    if not number:
        return Decimal(0)
    digits, exponent = number.as_tuple().digits, number.as_tuple().exponent
    while exponent < -DIGITS_AFTER_POINT and digits[-1] == 0:
        digits, exponent = digits[:-1], exponent + 1
    fits = len(digits) + exponent <= DIGITS_BEFORE_POINT and exponent >= -DIGITS_AFTER_POINT
    return number if fits else None


def read_moment(text: str) -> datetime | None:
    """An instant in UTC, or None. Reads what peers send: `1970-1-1T0:00:00Z`, offsets, a blank for the T, 24:00."""
    match = _MOMENT.match(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    is_midnight, is_leap_second = (hour, minute, second) == (24, 0, 0), second == LEAP_SECOND
    carried = timedelta(days=is_midnight, seconds=is_leap_second)
    try:
        moment = datetime(
            year, month, day, 0 if is_midnight else hour, minute, second - is_leap_second, tzinfo=_zone(match[8])
        )
        moment += carried + timedelta(microseconds=int((match[7] or "0")[:6].ljust(6, "0")))
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def is_usual_moment(text: str) -> bool:
    """As the specification writes it: padded, and in UTC with or without the Z (TR-36)."""
    return _USUAL_MOMENT.match(text) is not None


def _zone(designator: str | None) -> timezone:
    if designator is None or designator in "Zz":
        return UTC
    minutes = int(designator[1:3]) * 60 + int(designator[-2:])
    return timezone(timedelta(minutes=minutes if designator[0] == "+" else -minutes))


def write_moment(moment: datetime, *, fraction: bool = True) -> str:
    """`2026-03-01T12:00:00Z`: always UTC with Z; milliseconds only where there are any and the version has them."""
    text = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    milliseconds = moment.microsecond // 1000
    return f"{text}.{milliseconds:03}Z" if fraction and milliseconds else f"{text}Z"
