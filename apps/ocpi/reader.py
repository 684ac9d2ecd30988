"""Bytes to checked builtins to canonical objects; the limits on what we look at; the envelope around an answer.

The usual body costs one decode, one conversion in C and a look at what C cannot check. Only a body with something
unusual is gone through field by field.
"""

import json
from contextlib import suppress
from datetime import datetime
from decimal import Decimal, DecimalException
from itertools import islice
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from .collector import Enough, Findings, read_integer, reader_of, written
from .errors import MOST_PROBLEMS, InvalidObject, NotJson, Problem, TooDeep
from .settling import UNKNOWN, settle
from .types import exact, exact_or_unfit, read_moment

DEPTH_LIMIT = 32
BODY_LIMIT = 2**20
CDR_LIMIT = 4 * 2**20
PATCH_LIMIT = 2**18
"""Bytes (trust S25); the doors refuse more with 413 before anything is read."""

BRACKETS_ALIKE = bytes.maketrans(b"[]", b"{}")
NO_OPENINGS = bytes(set(range(256)) - set(b"[{"))
NO_MARKS = bytes(set(range(256)) - set(b'[]{}"'))

DECIMALS = (Decimal,)

_decode = msgspec.json.Decoder(float_hook=exact).decode
_decode_any_number = msgspec.json.Decoder(float_hook=exact_or_unfit).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode


def decode(body: bytes, *, strict: bool = False) -> Any:
    """JSON with exact numbers. Strict: the same key twice is refused, since two readers would see two prices (S30)."""
    try:
        value = _decoded_exactly(body)
        if len(body.translate(None, NO_OPENINGS)) > DEPTH_LIMIT and _may_be_deep(_marks(body)) and _is_too_deep(body):
            raise TooDeep([Problem("", f"nested deeper than {DEPTH_LIMIT}")])
        if strict and not _is_faithful(value, body):
            _refuse_duplicates(body)
    except RecursionError:
        raise TooDeep([Problem("", f"nested deeper than {DEPTH_LIMIT}")]) from None
    except (msgspec.DecodeError, ValueError) as error:
        raise NotJson([Problem("", f"not JSON: {error}")]) from None
    return value


_decode_list = msgspec.json.Decoder(list[Raw]).decode


def only_one(body: bytes) -> bytes:
    """The object, where it comes in a list of one: some platforms wrap whatever they send. Else the body as it is."""
    if body[:1] == b"{" or body.lstrip()[:1] != b"[":
        return body
    try:
        items = _decode_list(body)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return body  # what is wrong with it is for `decode` to say
    return bytes(items[0]).strip() if len(items) == 1 else body


_decode_parts = msgspec.json.Decoder(dict[str, Raw]).decode


def part_of(body: bytes, name: str) -> bytes:
    """A field of an object that was read before, as its sender wrote it; `null` where it is not there."""
    return bytes(_decode_parts(only_one(body)).get(name, b"null"))


def _decoded_exactly(body: bytes):
    try:
        return _decode(body)
    except DecimalException:
        return _decode_any_number(body)


def _marks(body: bytes) -> bytes:
    """Only the brackets and quotes; and a backslash where a text has quotes of its own, so that they tell nothing."""
    marks = body.translate(BRACKETS_ALIKE, NO_MARKS)
    return marks + b"\\" if b"\\" in body and (b'\\"' in body or b"\\u0022" in body) else marks


def _may_be_deep(marks: bytes) -> bool:
    """False only if it cannot be. Texts without brackets vanish first; any other text leaves a quote behind."""
    marks = marks.replace(b'""', b"")
    if b'"' in marks or b"\\" in marks:
        return True
    for _ in range(DEPTH_LIMIT):
        if not marks:
            break
        marks = marks.replace(b"{}", b"")
    return bool(marks)


def _is_too_deep(body: bytes) -> bool:
    """Indented by one, the depth is the indentation; a line break cannot be part of a JSON string."""
    return b"\n" + b" " * (DEPTH_LIMIT + 1) in b"\n" + msgspec.json.format(body, indent=1)


def _is_faithful(value, body: bytes) -> bool:
    """Written again it is the same, or has as many quotes, so no key came twice. False only means that one has to look."""
    try:
        again = _encode(value)
    except TypeError:
        return False
    return again == body or (b"\\" not in (marks := _marks(body)) and again.count(b'"') == marks.count(b'"'))


class _Pairs(list):
    """An object whose keys may repeat."""


def _refuse_duplicates(body: bytes) -> None:
    found = _duplicates(json.loads(body, object_pairs_hook=_Pairs, parse_int=str, parse_float=str), ())
    problems = list(islice(found, MOST_PROBLEMS + 1))
    if problems:
        raise InvalidObject(problems)


LONGEST_KEY = 255
"""Characters of a sender's key that we say back to it."""


def _duplicates(value, path):
    if isinstance(value, _Pairs):
        seen = set()
        for key, item in value:
            if key in seen:
                yield Problem(written((*path, key[:LONGEST_KEY])), "sent more than once")
            seen.add(key)
            yield from _duplicates(item, (*path, key[:LONGEST_KEY]))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _duplicates(item, (*path, index))


class Judgement(NamedTuple):
    """An object, or None with problems; paths are canonical."""

    object: Struct | None
    problems: list
    warnings: list


def judge(canonical: dict, cls: type[Struct], texts: int = UNKNOWN) -> Judgement:
    """Make the object. `texts` says what is known of the texts of its body."""
    usual = usual_object(canonical, cls, texts)
    return collected(canonical, cls) if usual is None else Judgement(usual, [], [])


def usual_object(canonical: dict, cls: type[Struct], texts: int) -> Struct | None:
    """The object if nothing about it is odd: nearly every one is so."""
    try:
        read = msgspec.convert(canonical, cls, builtin_types=DECIMALS)
        return read if settle(cls, texts)(read) else None
    except (msgspec.ValidationError, ValueError, OverflowError):
        return None


def collected(canonical: dict, cls: type[Struct]) -> Judgement:
    """The object field by field, to say what is odd about it, in full."""
    found = Findings()
    read = None
    with suppress(Enough):
        read = reader_of(cls)(canonical, (), found)
    return Judgement(read, found.problems, found.warnings)


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
