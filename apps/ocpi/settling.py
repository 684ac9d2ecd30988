"""The last look at an object that msgspec converted: what an annotation cannot say in C.

Times are UTC, coordinates and currencies are plausible, texts are printable, and whole numbers become Decimals. The
check of a class is put together as source once, since it runs for every object of every feed. It only answers yes or
no; no sends the object to the collector, which says what is wrong and where.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, get_args, get_origin

import msgspec
from msgspec import Struct
from msgspec.structs import force_setattr

from .collector import without_null

BACKSLASH, DELETE = b"\\\x7f"

UNKNOWN = 0
UNESCAPED = 1  # so one of ASCII alone is printable: JSON allows control characters in escapes only
PLAIN = 2  # printable ASCII, all of it


def texts_of(body: bytes) -> int:
    """What is known of all texts of a body, before one of them is looked at."""
    if BACKSLASH in body or DELETE in body:
        return UNKNOWN
    return PLAIN if body.isascii() else UNESCAPED


NUMBER = """
value = {o}.{name}
if type(value) is int:
    force_setattr({o}, {name!r}, Decimal(value))"""
MOMENT = """
value = {o}.{name}
if value and value.tzinfo is not UTC:
    return False"""
BLANK = """
value = {o}.{name}
if value and value.isspace():
    return False"""
CURRENCY = """
value = {o}.{name}
if value and not (value.isascii() and value.isalpha() and value.isupper()):
    return False"""
DEGREES = """
if not -{limit} <= float({o}.{name}) <= {limit}:
    return False"""
TEXT = """
value = {o}.{name}
if value and not {is_fine}:
    return False"""
LIST = """
for value in {o}.{name} or ():
    if not {is_fine}:
        return False"""
PART = """
{inner} = {o}.{name}
if {inner}:"""
PARTS = """
for {inner} in {o}.{name} or ():"""

IS_FINE = {
    ("text", UNKNOWN): "value.isprintable()",
    ("text", UNESCAPED): "(value.isascii() or value.isprintable())",
    ("code", UNKNOWN): "(value.isascii() and value.isprintable())",
    ("code", UNESCAPED): "value.isascii()",
}


@cache
def settle(cls: type[Struct], texts: int) -> Callable[[Struct], bool]:
    """The check of a class, for bodies of which so much is known."""
    scope: dict[str, Any] = {"force_setattr": force_setattr, "Decimal": Decimal, "UTC": UTC}
    source = "\n".join(["def check(o):", *_indented(_lines(cls, "o", texts)), "    return True"])
    exec(source, scope)  # noqa: S102 (our own class definitions)
    return scope["check"]


def _lines(cls: type[Struct], o: str, texts: int) -> Iterator[str]:
    for field in msgspec.structs.fields(cls):
        yield from _lines_of_field(field, o, texts)


def _lines_of_field(field, o: str, texts: int) -> Iterator[str]:
    kinds, _ = without_null(field.type)
    kind, extra = _bare(kinds[0])
    name = field.name
    if Decimal in kinds:
        yield NUMBER.format(o=o, name=name)
    elif kind is datetime:
        yield MOMENT.format(o=o, name=name)
    elif kind is str:
        yield from _lines_of_text(name, extra, o, texts)
    elif get_origin(kind) is tuple:
        yield from _lines_of_list(name, *_bare(get_args(kind)[0]), o, texts)
    elif _is_struct(kind):
        yield from _lines_of_part(PART, name, kind, o, texts)


def _lines_of_text(name: str, extra: dict, o: str, texts: int) -> Iterator[str]:
    kind = extra["kind"]
    if kind == "identity":
        yield BLANK.format(o=o, name=name)
    if kind == "degrees":
        yield DEGREES.format(o=o, name=name, limit=extra["limit"])
    elif kind == "currency":
        yield CURRENCY.format(o=o, name=name)
    elif texts != PLAIN:
        yield TEXT.format(o=o, name=name, is_fine=_is_fine(kind, texts))


def _lines_of_list(name: str, kind, extra: dict, o: str, texts: int) -> Iterator[str]:
    if _is_struct(kind):
        yield from _lines_of_part(PARTS, name, kind, o, texts)
    elif kind is str and texts != PLAIN:
        yield LIST.format(o=o, name=name, is_fine=_is_fine(extra["kind"], texts))


def _lines_of_part(head: str, name: str, cls: type[Struct], o: str, texts: int) -> Iterator[str]:
    inner = f"{o}_{name}"
    lines = list(_lines(cls, inner, texts))
    if lines:
        yield head.format(inner=inner, o=o, name=name)
        yield from _indented(lines)


def _is_fine(kind: str, texts: int) -> str:
    return IS_FINE["text" if kind == "text" else "code", texts]


def _indented(lines) -> Iterator[str]:
    return (block.replace("\n", "\n    ") for block in lines)


def _is_struct(kind) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)


def _bare(kind) -> tuple[Any, dict]:
    """An annotation without its limits."""
    if get_origin(kind) is not Annotated:
        return kind, {}
    bare, meta = get_args(kind)
    return bare, meta.extra or {}
