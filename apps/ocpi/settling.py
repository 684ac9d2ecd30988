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

NUMBER = """
    value = o.{name}
    if type(value) is int:
        force_setattr(o, {name!r}, Decimal(value))"""
MOMENT = """
    value = o.{name}
    if value and value.tzinfo is not UTC:
        return False"""
TEXT = """
    value = o.{name}
    if value and not value.isprintable():
        return False"""
CODE = """
    value = o.{name}
    if value and not (value.isascii() and value.isprintable()):
        return False"""
BLANK = """
    value = o.{name}
    if value and value.isspace():
        return False"""
CODES = """
    for value in o.{name} or ():
        if not (value.isascii() and value.isprintable()):
            return False"""
TEXTS = """
    for value in o.{name} or ():
        if not value.isprintable():
            return False"""
CURRENCY = """
    value = o.{name}
    if value and not (value.isascii() and value.isalpha() and value.isupper()):
        return False"""
DEGREES = """
    if not -{limit} <= float(o.{name}) <= {limit}:
        return False"""
PART = """
    value = o.{name}
    if value and not check_{name}(value):
        return False"""
PARTS = """
    for value in o.{name} or ():
        if not check_{name}(value):
            return False"""


@cache
def settle(cls: type[Struct], plain: bool) -> Callable[[Struct], bool]:
    """The check of a class. `plain`: the texts are known to be printable."""
    scope: dict[str, Any] = {"force_setattr": force_setattr, "Decimal": Decimal, "UTC": UTC}
    lines = [line for field in msgspec.structs.fields(cls) for line in _lines(field, plain, scope)]
    exec("def check(o):" + "".join(lines) + "\n    return True", scope)  # noqa: S102 (our own class definitions)
    scope["check"].is_needed = bool(lines)
    return scope["check"]


def _lines(field, plain: bool, scope: dict) -> Iterator[str]:
    kinds, _ = without_null(field.type)
    kind, extra = _bare(kinds[0])
    name = field.name
    if Decimal in kinds:
        yield NUMBER.format(name=name)
    elif kind is datetime:
        yield MOMENT.format(name=name)
    elif kind is str:
        yield from _lines_of_text(name, extra, plain)
    elif get_origin(kind) is tuple:
        yield from _lines_of_list(name, *_bare(get_args(kind)[0]), plain, scope)
    elif _is_struct(kind) and settle(kind, plain).is_needed:
        scope[f"check_{name}"] = settle(kind, plain)
        yield PART.format(name=name)


def _lines_of_text(name: str, extra: dict, plain: bool) -> Iterator[str]:
    kind = extra["kind"]
    if kind == "identity":
        yield BLANK.format(name=name)
    if kind == "degrees":
        yield DEGREES.format(name=name, limit=extra["limit"])
    elif kind == "currency":
        yield CURRENCY.format(name=name)
    elif not plain:
        yield (TEXT if kind == "text" else CODE).format(name=name)


def _lines_of_list(name: str, kind, extra: dict, plain: bool, scope: dict) -> Iterator[str]:
    if _is_struct(kind) and settle(kind, plain).is_needed:
        scope[f"check_{name}"] = settle(kind, plain)
        yield PARTS.format(name=name)
    elif kind is str and not plain:
        yield (TEXTS if extra["kind"] == "text" else CODES).format(name=name)


def _is_struct(kind) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)


def _bare(kind) -> tuple[Any, dict]:
    """An annotation without its limits."""
    if get_origin(kind) is not Annotated:
        return kind, {}
    bare, meta = get_args(kind)
    return bare, meta.extra or {}
