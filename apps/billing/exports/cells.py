"""How values are written in files: ISO dates, decimal points, and texts that no spreadsheet takes for a formula."""

import unicodedata
from datetime import UTC, date, datetime
from decimal import Decimal

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def cell(value) -> str:
    """A value as one cell. Numbers stay numbers, also negative ones; only texts are made harmless (trust S39)."""
    if value is None:
        return ""
    if isinstance(value, str):
        return harmless(value)
    return written(value)


def written(value) -> str:
    """A date, moment or number as text without loss.

    >>> written(Decimal("10.1230000000"))
    '10.123'
    """
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return plain(value)
    return str(value)


def plain(number: Decimal) -> str:
    """A decimal with its minor units, without zeros beyond the second decimal and never in powers of ten.

    >>> plain(Decimal("-268.7400")), plain(Decimal("5")), plain(Decimal("0E-10"))
    ('-268.74', '5', '0.00')
    """
    text = f"{number:f}"
    whole, _, decimals = text.partition(".")
    if not decimals:
        return whole
    return f"{whole}.{decimals.rstrip('0').ljust(min(2, len(decimals)), '0')}"


def harmless(text: str) -> str:
    """A text that a spreadsheet would run as a formula gets an apostrophe in front.

    Quotes, blanks and full-width forms before the sign do not hide it.

    >>> harmless("=1+1"), harmless(' "@SUM(A1)'), harmless("Anna")
    ("'=1+1", '\\' "@SUM(A1)', 'Anna')
    """
    folded = unicodedata.normalize("NFKC", text)
    bare = folded.lstrip(" \"'\u00a0\u200b\ufeff")
    return f"'{text}" if bare.startswith(FORMULA_STARTS) or folded.startswith(FORMULA_STARTS) else text
