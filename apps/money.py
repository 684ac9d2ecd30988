"""Rounding, minor units and sharing out of money. Pure: no framework, no clock, no float.

Rounding happens once, half away from zero, where an amount is printed or posted (BIL-63, BIL-64).
"""

from collections.abc import Sequence
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal, localcontext

MINOR_UNITS = {"ISK": 0, "JPY": 0, "KRW": 0, "BHD": 3, "KWD": 3, "OMR": 3, "TND": 3}
"""Decimals of the currencies that do not have two (ISO 4217, BIL-65)."""

PRECISION = 60
"""Digits kept in between: more than numeric(30,10) times numeric(30,10) can need."""


def minor_unit(currency: str) -> Decimal:
    """The smallest amount of a currency: 0.01 for SEK, 1 for JPY."""
    return Decimal(1).scaleb(-MINOR_UNITS.get(currency, 2))


def round_money(amount: Decimal, currency: str) -> Decimal:
    """Round half away from zero to the currency's minor unit (BIL-63).

    >>> round_money(Decimal("-0.125"), "SEK")
    Decimal('-0.13')
    """
    with localcontext(prec=PRECISION):
        return amount.quantize(minor_unit(currency), ROUND_HALF_UP)


def vat_on_net(net: Decimal, rate: Decimal, currency: str) -> Decimal:
    """VAT of a net base; the rate is in percent.

    >>> vat_on_net(Decimal("11.92"), Decimal(19), "EUR")
    Decimal('2.26')
    """
    with localcontext(prec=PRECISION):
        return round_money(net * rate / 100, currency)


def vat_in_gross(gross: Decimal, rate: Decimal, currency: str) -> Decimal:
    """VAT contained in a gross base; the rate is in percent.

    >>> vat_in_gross(Decimal("268.74"), Decimal(25), "SEK")
    Decimal('53.75')
    """
    with localcontext(prec=PRECISION):
        return round_money(gross * rate / (100 + rate), currency)


def share_out(total: Decimal, weights: Sequence[Decimal], currency: str) -> list[Decimal]:
    """Split a rounded amount by weights so that the parts add up exactly: largest remainder (EX-20).

    Ties go to the earlier part; parts of a negative total mirror those of the positive one.

    >>> share_out(Decimal("100.00"), [Decimal(1)] * 3, "SEK")
    [Decimal('33.34'), Decimal('33.33'), Decimal('33.33')]
    """
    unit = minor_unit(currency)
    with localcontext(prec=PRECISION):
        whole = sum(weights, Decimal(0))
        if not whole:
            weights, whole = [Decimal(1)] * len(weights), Decimal(len(weights))
        exact = [abs(total) * weight / whole for weight in weights]
        parts = [share.quantize(unit, ROUND_DOWN) for share in exact]
        missing = int((abs(total) - sum(parts, Decimal(0))) / unit)
        by_remainder = sorted(range(len(parts)), key=lambda i: (parts[i] - exact[i], i))
        for index in by_remainder[:missing]:
            parts[index] += unit
        return [part.copy_sign(total) for part in parts]
