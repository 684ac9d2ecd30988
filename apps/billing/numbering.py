"""Numbers of documents, without gaps and once (BIL-70), and the references under which they are paid.

Never a sequence of the database and never max()+1: both lose or repeat numbers when a transaction fails (BIL-71).
"""

from datetime import date

from .highwater import mark
from .models import LegalEntity, NumberSeries, TaxRegistration

OCR_LENGTH = 25
"""Digits a Bankgiro OCR reference may have, its check digit among them."""


class SeriesMissing(Exception):
    """A registration has no series of numbers for a kind of document, or cannot give one out on this day."""


def lock_series(registration: TaxRegistration) -> dict[str, NumberSeries]:
    """The registration's series by kind, locked until the transaction ends: who issues under it waits here (BIL-70)."""
    rows = registration.series.select_for_update().order_by("pk")
    return {series.kind: series for series in rows}


def take_numbers(series: NumberSeries, count: int, issued_on: date) -> range:
    """The next `count` numbers of a series that this transaction has locked. A rollback gives them all back.

    They are marked outside the database too. Raises SeriesMissing for a day before the last that was issued on: numbers
    and dates go up together (BIL-72).
    """
    if series.last_issued_on and issued_on < series.last_issued_on:
        raise SeriesMissing(f"{series}: nothing is issued before {series.last_issued_on}, when the last one was")
    first = series.next_number
    series.next_number, series.last_issued_on = first + count, issued_on
    series.save(update_fields=["next_number", "last_issued_on"])
    mark(series, first + count - 1, issued_on)
    return range(first, series.next_number)


def document_number(series: NumberSeries, sequence: int) -> str:
    """How a number is printed: SE000123."""
    return f"{series.prefix}{sequence:06d}"


def payment_reference(seller: LegalEntity, series: NumberSeries, sequence: int, currency: str) -> str:
    """What the payer writes: an OCR number to a bankgiro in SEK, else a creditor reference (ISO 11649)."""
    if currency == "SEK" and seller.bankgiro:
        return ocr_reference(f"{series.pk}{sequence:08d}")
    return creditor_reference(document_number(series, sequence))


def ocr_reference(digits: str) -> str:
    """A Swedish OCR number: the digits, their count with both check digits (last figure), and a Luhn check digit.

    >>> ocr_reference("100000123")
    '10000012319'
    """
    if not digits.isdecimal() or len(digits) + 2 > OCR_LENGTH:
        raise ValueError(f"{digits!r} makes no OCR number")
    counted = f"{digits}{(len(digits) + 2) % 10}"
    return counted + luhn(counted)


def luhn(digits: str) -> str:
    """The check digit that makes the whole a multiple of ten when every second digit from the right counts twice.

    >>> luhn("7992739871")
    '3'
    """
    doubled = (int(digit) * (2 - place % 2) for place, digit in enumerate(reversed(digits)))
    return str(-sum(value - 9 if value > 9 else value for value in doubled) % 10)


def creditor_reference(text: str) -> str:
    """ISO 11649: RF, two check digits (mod 97), and up to 21 letters and digits.

    >>> creditor_reference("539007547034")
    'RF18539007547034'
    """
    body = "".join(character for character in text.upper() if character.isascii() and character.isalnum())
    if not body or len(body) > 21:
        raise ValueError(f"{text!r} makes no creditor reference")
    figures = "".join(str(int(character, 36)) for character in f"{body}RF00")
    return f"RF{98 - int(figures) % 97:02d}{body}"


def is_creditor_reference(reference: str) -> bool:
    return reference.startswith("RF")


def in_fours(reference: str) -> str:
    """As people copy it: RF18 5390 0754 7034."""
    return " ".join(reference[place : place + 4] for place in range(0, len(reference), 4))
