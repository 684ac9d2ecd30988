"""Rounding, minor units and sharing out of money. Pure: no framework, no clock, no float.

Rounding happens once, half away from zero, where an amount is printed or posted (BIL-63, BIL-64).
"""

from collections.abc import Iterable, Sequence
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal, localcontext

WITHOUT_MINOR_UNIT = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split()
WITH_THREE_DIGITS = "BHD IQD JOD KWD LYD OMR TND".split()
MINOR_UNITS = dict.fromkeys(WITHOUT_MINOR_UNIT, 0) | dict.fromkeys(WITH_THREE_DIGITS, 3)
"""Decimals of the currencies that do not have two (ISO 4217, BIL-65)."""

PRECISION = 100
"""Digits kept in between: more than numeric(30,10) times numeric(30,10) times a rate can need."""

ZERO = Decimal(0)


def minor_unit(currency: str) -> Decimal:
    """The smallest amount of a currency: 0.01 for SEK, 1 for JPY."""
    return Decimal(1).scaleb(-MINOR_UNITS.get(currency, 2))


def round_money(amount: Decimal, currency: str) -> Decimal:
    """Round half away from zero to the currency's minor unit (BIL-63). Nothing is never minus nothing.

    >>> round_money(Decimal("-0.125"), "SEK"), round_money(Decimal("-0.001"), "SEK")
    (Decimal('-0.13'), Decimal('0.00'))
    """
    with localcontext(prec=PRECISION):
        return amount.quantize(minor_unit(currency), ROUND_HALF_UP) + 0


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


def total(amounts: Iterable[Decimal]) -> Decimal:
    """A sum in which no digit is lost, however many there are."""
    with localcontext(prec=PRECISION):
        return sum(amounts, ZERO)


def share_out(whole: Decimal, weights: Sequence[Decimal], currency: str) -> list[Decimal]:
    """Split a rounded amount by weights so that the parts add up exactly: largest remainder (EX-20).

    Ties go to the earlier part; parts of a negative amount mirror those of the positive one. Weights that are all zero
    count alike.

    >>> share_out(Decimal("100.00"), [Decimal(1)] * 3, "SEK")
    [Decimal('33.34'), Decimal('33.33'), Decimal('33.33')]
    """
    if not weights or min(weights) < 0:
        raise ValueError("an amount is shared out by at least one weight, and by none below zero")
    if round_money(whole, currency) != whole:
        raise ValueError(f"{whole} is no amount of {currency} that could be shared out")
    unit = minor_unit(currency)
    with localcontext(prec=PRECISION):
        parts = _largest_remainder(abs(whole) / unit, weights)
        return [part * unit * (-1 if whole < 0 else 1) + 0 for part in parts]


def _largest_remainder(units: Decimal, weights: Sequence[Decimal]) -> list[Decimal]:
    """Whole units: first what everybody has whole, then one more each for the largest remainders."""
    of_all = sum(weights, ZERO)
    if not of_all:
        weights, of_all = [Decimal(1)] * len(weights), Decimal(len(weights))
    exact = [units * weight / of_all for weight in weights]
    parts = [share.to_integral_value(ROUND_DOWN) for share in exact]
    by_remainder = sorted(range(len(parts)), key=lambda index: (parts[index] - exact[index], index))
    for index in by_remainder[: int(units - sum(parts, ZERO))]:
        parts[index] += 1
    return parts
