"""Reading field by field, when a body has anything unusual: every problem and every warning with its path.

msgspec stops at the first error. So where it finds one, and only there, the object is gone through again with the
same annotations, forgiving what `leniency` forgives. A reader is a function (value, path, findings) -> value; where it
finds a problem it says so and returns None.
"""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import UNSET, UnsetType

from . import leniency
from .errors import MOST_PROBLEMS
from .types import LONGEST_IDENTITY, Unfit, is_usual_moment, read_moment

LONGEST_TEXT = 65536

Path = tuple[str | int, ...]
Read = Callable[[Any, Path, "Findings"], Any]


class Enough(Exception):
    """There is more wrong with an object than anybody reads (trust S26)."""


class Findings:
    def __init__(self):
        self.problems: list[tuple[Path, str]] = []
        self.warnings: list[tuple[Path, str]] = []

    def problem(self, path: Path, reason: str) -> None:
        self.problems.append((path, reason))
        if len(self.problems) > MOST_PROBLEMS:
            raise Enough

    def warning(self, path: Path, reason: str) -> None:
        if len(self.warnings) < MOST_PROBLEMS:
            self.warnings.append((path, reason))


def written(path: Path) -> str:
    """("evses", 0, "uid") is written evses[0].uid."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def kind_of(value) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "a boolean", NoneType: "null"}
    return names.get(type(value), "a number")


def expected(what: str, value, path: Path, found: Findings) -> None:
    found.problem(path, f"expected {what}, got {quoted(value)}")


def quoted(value) -> str:
    """Short, and safe to show."""
    if isinstance(value, Unfit):
        return f"the number {value.text[:40]}"
    if isinstance(value, str):
        return json.dumps(value[:40])
    return f"the number {str(value)[:40]}" if type(value) in (int, Decimal) else kind_of(value)


def without_null(kind) -> tuple[list, bool]:
    """The kinds a field may have, and whether null is one of them."""
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    return [one for one in kinds if one not in (NoneType, UnsetType)], NoneType in kinds


@cache
def reader_of(kind) -> Read:
    """The reader of an annotation."""
    kinds, _ = without_null(kind)
    if Decimal in kinds:
        return read_number
    (one,) = kinds
    if get_origin(one) is Annotated:
        return _reader_of_annotated(*get_args(one))
    if get_origin(one) is Literal:
        return _reader_of_enumeration(one)
    if get_origin(one) is tuple:
        return _reader_of_list(get_args(one)[0])
    return read_flag if one is bool else _reader_of_struct(one)


def _reader_of_annotated(kind, meta: msgspec.Meta) -> Read:
    extra = meta.extra or {}
    if get_origin(kind) is tuple:
        return _reader_of_list(get_args(kind)[0], refuse_empty=not extra.get("may_be_empty"), name_empty=True)
    if kind is not str:
        return read_integer if kind is int else read_date_time
    if extra["kind"] == "identity":
        return _reader_of_identity(meta.min_length, meta.max_length, exact=extra.get("exact", False))
    if extra["kind"] == "degrees":
        return _reader_of_degrees(extra["limit"])
    if extra["kind"] == "currency":
        return read_currency
    if extra["kind"] in ("time", "date"):
        return _reader_of_pattern(meta.pattern, extra["form"])
    return _reader_of_text(meta.max_length, ascii_only=extra["kind"] == "code")


def _reader_of_struct(cls) -> Read:
    fields = [
        (field.name, field.encode_name, *_field(field)) for field in msgspec.structs.fields(cls)
    ]  # name, encoded name, reader, nullable, required, default

    def read(value, path: Path, found: Findings):
        value = _the_object(value, path, found)
        if value is None:
            return None
        already, values = len(found.problems), {}
        for name, key, read_field, nullable, required, default in fields:
            sent = value.get(key, UNSET)
            if sent == "" and nullable and _is_blank_nothing(read_field):
                found.warning((*path, key), "empty, taken as absent")
                sent = None
            if sent is None or sent is UNSET:
                values[name] = _absent(sent, (*path, key), found, nullable, required, default)
            else:
                values[name] = read_field(sent, (*path, key), found)
        return cls(**values) if len(found.problems) == already else None

    return read


def _field(field) -> tuple[Read, bool, bool, Any]:
    _, nullable = without_null(field.type)
    default = None if field.required else field.default
    return reader_of(field.type), nullable or (default == () and default is not UNSET), field.required, default


def _absent(sent, path: Path, found: Findings, nullable: bool, required: bool, default):
    if required:
        found.problem(path, "required")
    elif sent is None and default is UNSET:
        if not nullable:
            found.problem(path, "required, so it cannot be cleared")
        return None
    return default


def _is_blank_nothing(read: Read) -> bool:
    """An empty id or value of an enumeration says nothing; an empty text may be meant."""
    return getattr(read, "blank_is_nothing", False)


def _the_object(value, path: Path, found: Findings) -> dict | None:
    if isinstance(value, dict):
        return value
    one = leniency.only_one(value)
    if one is None:
        expected("an object", value, path, found)
    else:
        found.warning(path, "a list of one where one object is expected")
    return one


def _reader_of_list(kind, *, refuse_empty: bool = False, name_empty: bool = False) -> Read:
    read_item = reader_of(kind)

    def read(value, path: Path, found: Findings):
        if not isinstance(value, list):
            return expected("a list", value, path, found)
        if not value and name_empty:
            report = found.problem if refuse_empty else found.warning
            report(path, "at least one is required")
        return tuple([read_item(item, (*path, index), found) for index, item in enumerate(value)])

    return read


def _reader_of_enumeration(kind) -> Read:
    known, aliases = frozenset(get_args(kind)), leniency.ALIASES.get(kind, {})
    read_value = _reader_of_text(255, ascii_only=True)

    def read(value, path: Path, found: Findings):
        if isinstance(value, str) and value in known:
            return value
        text = read_value(value, path, found)
        if text is None:
            return None
        other = aliases.get(text) or leniency.same_in_capitals(text, known)
        found.warning(path, f"unknown value {quoted(text)}" + (f", taken as {other}" if other else ""))
        return other or text

    read.blank_is_nothing = True
    return read


def _reader_of_text(limit: int, *, ascii_only: bool = False) -> Read:
    def read(value, path: Path, found: Findings):
        text = _text(value, path, found)
        if text is None:
            return None
        if len(text) > limit:
            found.warning(path, f"longer than {limit} characters")
        if ascii_only and not text.isascii():
            found.warning(path, "only printable ASCII is allowed")
        clean = leniency.shown(text)
        if clean != text:
            found.warning(path, "control characters, shown as U+FFFD")
        if ascii_only and not text:
            found.warning(path, "empty")
        return clean

    read.blank_is_nothing = ascii_only
    return read


def _text(value, path: Path, found: Findings) -> str | None:
    if not isinstance(value, str):
        text = leniency.text_in_number(value)
        if text is None:
            return expected("text", value, path, found)
        found.warning(path, "a number where text is expected")
        value = text
    if len(value) > LONGEST_TEXT:
        return found.problem(path, f"longer than {LONGEST_TEXT} characters")
    return value


def _reader_of_identity(shortest: int, longest: int, *, exact: bool) -> Read:
    """Refused only where identity cannot be told (decision 15)."""

    def read(value, path: Path, found: Findings):
        text = _text(value, path, found)
        if text is None:
            return None
        if not text.isascii() or not text.isprintable() or not text.strip():
            return found.problem(path, f"expected printable ASCII, got {quoted(text)}")
        if exact and not shortest <= len(text) <= longest:
            return found.problem(path, f"expected {longest} characters, got {quoted(text)}")
        if len(text) > LONGEST_IDENTITY:
            return found.problem(path, f"longer than {LONGEST_IDENTITY} characters")
        if len(text) > longest:
            found.warning(path, f"longer than {longest} characters")
        return text

    return read


def _reader_of_pattern(pattern: str, form: str) -> Read:
    matches, read_text = re.compile(pattern).search, _reader_of_text(255)

    def read(value, path: Path, found: Findings):
        text = read_text(value, path, found)
        if text is not None and not matches(text):
            found.warning(path, f"not written as {form}")
        return text

    read.blank_is_nothing = True
    return read


def _reader_of_degrees(limit: int) -> Read:
    def read(value, path: Path, found: Findings):
        text = _text(value, path, found)
        degrees = None if text is None else leniency.degrees_in_text(text)
        if text is not None and degrees is None:
            return expected("decimal degrees", value, path, found)
        if degrees is not None and abs(degrees) > limit:
            found.warning(path, f"beyond {limit} degrees")
        return None if text is None else format(degrees, "f")

    return read


def read_currency(value, path: Path, found: Findings):
    if not (isinstance(value, str) and len(value) == 3 and value.isascii() and value.isalpha()):
        return expected("an ISO 4217 code", value, path, found)
    if value != value.upper():
        found.warning(path, "an ISO 4217 code is written in capitals")
    return value.upper()


def read_number(value, path: Path, found: Findings):
    number = leniency.number_in_text(value) if isinstance(value, str) else value
    if isinstance(number, Unfit) or (type(number) is int and not leniency.fits(number)):
        return expected("at most 20 digits before the point and 10 after it", value, path, found)
    if type(number) not in (int, Decimal):
        return expected("a number", value, path, found)
    if isinstance(value, str):
        found.warning(path, "a number sent as text")
    return Decimal(number)


def read_integer(value, path: Path, found: Findings):
    whole = value if type(value) is int else leniency.whole_number(value)
    if whole is None:
        return expected("a whole number", value, path, found)
    if abs(whole) >= 2**31:
        return expected("a smaller number", value, path, found)
    if type(value) is not int:
        found.warning(path, f"expected a whole number, got {quoted(value)}")
    return whole


def read_flag(value, path: Path, found: Findings):
    flag = value if isinstance(value, bool) else leniency.flag_in_text(value)
    if flag is None:
        return expected("true or false", value, path, found)
    if flag is not value:
        found.warning(path, "a boolean sent as text")
    return flag


def read_date_time(value, path: Path, found: Findings):
    moment = read_moment(value) if isinstance(value, str) else None
    if moment is None:
        return expected("a date and time", value, path, found)
    if not is_usual_moment(value):
        found.warning(path, f"unusual form of a date and time: {quoted(value)}")
    return moment
