"""Bytes to checked builtins to canonical objects; the limits on what we look at; the envelope around an answer.

The usual body costs one decode, one conversion in C and a look at what C cannot check. Only a body with something
unusual is gone through field by field.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, NamedTuple, get_args, get_origin

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.structs import force_setattr

from .collector import Findings, read_integer, reader_of, without_null, written
from .errors import InvalidObject, NotJson, Problem, TooDeep
from .types import exact, read_moment

DEPTH_LIMIT = 32
BODY_LIMIT = 2**20
CDR_LIMIT = 4 * 2**20
PATCH_LIMIT = 2**18
"""Bytes (trust S25); the doors refuse more with 413 before anything is read."""

_decode = msgspec.json.Decoder(float_hook=exact).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode


def decode(body: bytes, *, strict: bool = False) -> Any:
    """JSON with exact numbers. Strict: the same key twice is refused, since two readers would see two prices (S30)."""
    try:
        value = _decode(body)
        if body.count(b"{") + body.count(b"[") > DEPTH_LIMIT and _is_too_deep(body):
            raise TooDeep([Problem("", f"nested deeper than {DEPTH_LIMIT}")])
        if strict and not _is_faithful(value, body):
            _refuse_duplicates(body)
    except RecursionError:
        raise TooDeep([Problem("", f"nested deeper than {DEPTH_LIMIT}")]) from None
    except (msgspec.DecodeError, ValueError) as error:
        raise NotJson([Problem("", f"not JSON: {error}")]) from None
    return value


def _is_too_deep(body: bytes) -> bool:
    """Indented by one, the depth is the indentation; a line break cannot be part of a JSON string."""
    return b"\n" + b" " * (DEPTH_LIMIT + 1) in b"\n" + msgspec.json.format(body, indent=1)


def _is_faithful(value, body: bytes) -> bool:
    """Written again the bytes are the same, so no key came twice. False only means that one has to look."""
    try:
        return _encode(value) == msgspec.json.format(body, indent=-1)
    except TypeError:
        return False


class _Pairs(list):
    """An object whose keys may repeat."""


def _refuse_duplicates(body: bytes) -> None:
    problems = list(_duplicates(json.loads(body, object_pairs_hook=_Pairs, parse_int=str, parse_float=str), ()))
    if problems:
        raise InvalidObject(problems)


def _duplicates(value, path):
    if isinstance(value, _Pairs):
        seen = set()
        for key, item in value:
            if key in seen:
                yield Problem(written((*path, key)), "sent more than once")
            seen.add(key)
            yield from _duplicates(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _duplicates(item, (*path, index))


class Judgement(NamedTuple):
    """An object, or None with problems; paths are canonical."""

    object: Struct | None
    problems: list
    warnings: list


def judge(canonical: dict, cls: type[Struct], *, plain: bool) -> Judgement:
    """Make the object. `plain` says that the body holds nothing but printable ASCII without escapes."""
    try:
        read = msgspec.convert(canonical, cls, builtin_types=(Decimal,))
    except (msgspec.ValidationError, ValueError, OverflowError):
        read = None
    if read is None or not settle(cls, plain)(read):
        found = Findings()
        read = reader_of(cls)(canonical, (), found)
        return Judgement(read, found.problems, found.warnings)
    return Judgement(read, [], [])


def is_plain(body: bytes) -> bool:
    return body.isascii() and b"\\" not in body and b"\x7f" not in body


@cache
def settle(cls: type[Struct], plain: bool) -> Callable[[Struct], bool]:
    """The rest of the check, compiled per class: times are UTC, texts are printable; whole numbers become Decimals.

    False sends the object to the collector; it never says what is wrong.
    """
    numbers, moments, texts, codes, parts, lists = _sorted_fields(cls, plain)

    def check(read: Struct) -> bool:
        for name in numbers:
            number = getattr(read, name)
            if type(number) is int:
                force_setattr(read, name, Decimal(number))
        for name in moments:
            moment = getattr(read, name)
            if moment and moment.tzinfo is not UTC:
                return False
        for name in texts:
            text = getattr(read, name)
            if text and not text.isprintable():
                return False
        for name in codes:
            text = getattr(read, name)
            if text and not (text.isascii() and text.isprintable()):
                return False
        for name, check_part in parts:
            part = getattr(read, name)
            if part and not check_part(part):
                return False
        for name, check_part in lists:
            for part in getattr(read, name) or ():
                if not check_part(part):
                    return False
        return True

    check.is_needed = any((numbers, moments, texts, codes, parts, lists))
    return check


def _sorted_fields(cls: type[Struct], plain: bool) -> tuple[list, ...]:
    numbers, moments, texts, codes, parts, lists = [], [], [], [], [], []
    for field in msgspec.structs.fields(cls):
        kinds, _ = without_null(field.type)
        kind, extra = _bare(kinds[0])
        if Decimal in kinds:
            numbers.append(field.name)
        elif kind is datetime:
            moments.append(field.name)
        elif kind is str and not plain:
            (texts if extra.get("kind") == "text" else codes).append(field.name)
        elif get_origin(kind) is tuple:
            _add_needed(lists, field.name, get_args(kind)[0], plain)
        else:
            _add_needed(parts, field.name, kind, plain)
    return numbers, moments, texts, codes, parts, lists


def _bare(kind) -> tuple[Any, dict]:
    """An annotation without its limits."""
    if get_origin(kind) is Annotated:
        bare, meta = get_args(kind)
        return bare, meta.extra or {}
    return kind, {}


def _add_needed(checks: list, name: str, kind, plain: bool) -> None:
    kind, extra = _bare(kind)
    if isinstance(kind, type) and issubclass(kind, Struct):
        check = settle(kind, plain)
        if check.is_needed:
            checks.append((name, check))
    elif kind is str and not plain:
        ascii_only = extra.get("kind") != "text"
        checks.append((name, lambda text: text.isprintable() and (text.isascii() or not ascii_only)))


class Envelope(NamedTuple):
    data: bytes | None
    status_code: int
    status_message: str | None
    timestamp: datetime | None


class _Envelope(Struct):
    status_code: Any
    data: Raw | UnsetType = UNSET
    status_message: Any = None
    timestamp: Any = None


class _Page(_Envelope):
    data: list[Raw] | None = None


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_page = msgspec.json.Decoder(_Page).decode


def read_envelope(body: bytes) -> Envelope:
    """What a peer answered; `data` are its own bytes. NotJson, or InvalidObject where it is no envelope."""
    answer = _decoded(_decode_envelope, body)
    data = None if answer.data is UNSET else bytes(answer.data).strip()
    return _envelope(answer, None if data == b"null" else data)


def split_page(body: bytes) -> tuple[Envelope, list[bytes]]:
    """A list answer with every object's own bytes, so that one bad object spoils nothing but itself (decision 9)."""
    answer = _decoded(_decode_page, body)
    return _envelope(answer, None), [bytes(raw).strip() for raw in answer.data or ()]


def _decoded(decoder, body: bytes):
    try:
        return decoder(body)
    except msgspec.ValidationError as error:
        raise InvalidObject([Problem("", f"no OCPI answer: {error}")]) from None
    except RecursionError:
        raise TooDeep([Problem("", f"nested deeper than {DEPTH_LIMIT}")]) from None
    except (msgspec.DecodeError, ValueError) as error:
        raise NotJson([Problem("", f"not JSON: {error}")]) from None


def _envelope(answer: _Envelope, data: bytes | None) -> Envelope:
    found = Findings()
    status_code = read_integer(answer.status_code, ("status_code",), found)
    if status_code is None:
        raise InvalidObject([Problem(written(path), reason) for path, reason in found.problems])
    message = answer.status_message if isinstance(answer.status_message, str) else None
    stamp = answer.timestamp if isinstance(answer.timestamp, str) else ""
    return Envelope(data, status_code, message, read_moment(stamp))
