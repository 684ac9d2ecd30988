"""What a document will say, worked out from charges and nothing else: its lines, its VAT, its totals.

Pure of the database: the same charges give the same figures in a preview and when issued.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from itertools import accumulate, pairwise
from typing import NamedTuple

from apps.money import ZERO, round_money, share_out, total, vat_in_gross, vat_on_net

from .models import Plan

GROSS = Plan.Basis.GROSS


class Due(NamedTuple):
    """A charge that no document shows yet, with what its line tells. The names are the paths it is read by."""

    pk: int
    kind: str
    period: date
    supplied_on: date
    registration_id: int
    account_id: int
    currency: str
    vat_category: str
    rate: Decimal | None
    basis: str
    amount: Decimal
    explanation: dict
    plan: str
    driver: str
    cdr_id: int | None
    cdr: str
    place: str
    city: str
    evse_id: str
    started_at: datetime | None
    ended_at: datetime | None
    time_zone: str
    corrects_id: int | None

    @property
    def key(self) -> "Key":
        return Key(
            self.registration_id, self.account_id, self.currency, self.vat_category, self.basis, self.corrects_id
        )


class Key(NamedTuple):
    """What makes a document of its own (decision 38); a credit note takes back from one invoice."""

    registration_id: int
    account_id: int
    currency: str
    vat_category: str
    basis: str
    corrects_id: int | None = None


class Taxed(NamedTuple):
    """One category and rate of a document: the net base and the VAT on it, each rounded."""

    rate: Decimal | None
    base: Decimal
    vat: Decimal

    @property
    def gross(self) -> Decimal:
        return self.base + self.vat


@dataclass(frozen=True, slots=True)
class Line:
    due: Due
    net: Decimal
    gross: Decimal | None


@dataclass(frozen=True, slots=True)
class Draft:
    """A document before it has a number. Figures are positive, also of a credit note."""

    key: Key
    lines: list[Line]
    subtotals: list[Taxed]
    net: Decimal = field(init=False)
    vat: Decimal = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "net", total(part.base for part in self.subtotals))
        object.__setattr__(self, "vat", total(part.vat for part in self.subtotals))

    @property
    def gross(self) -> Decimal:
        return self.net + self.vat

    @property
    def is_negative(self) -> bool:
        """No document has less than nothing in a category: it waits for the next month's charges (BIL-68)."""
        return any(part.base < 0 or part.vat < 0 for part in self.subtotals)


def draft(key: Key, dues: Sequence[Due], credited: dict[Decimal | None, Taxed] | None = None) -> Draft:
    """The document of these charges. `credited`: what earlier credit notes took back of the same invoice, by rate."""
    sign = 1 if key.corrects_id is None else -1
    ordered = sorted(dues, key=lambda due: (due.supplied_on, due.started_at is not None, due.started_at, due.pk))
    by_rate = defaultdict(list)
    for due in ordered:
        by_rate[due.rate].append(due)
    subtotals, nets = [], {}
    for rate, parts in sorted(by_rate.items(), key=lambda item: (item[0] is not None, item[0])):
        amounts = [sign * round_money(due.amount, key.currency) for due in parts]
        taxed = tax(key, rate, total(amounts), (credited or {}).get(rate))
        subtotals.append(taxed)
        nets |= zip((due.pk for due in parts), nets_of(key, amounts, taxed), strict=True)
    lines = [Line(due, nets[due.pk], gross_of(key, sign, due)) for due in ordered]
    return Draft(key, lines, subtotals)


def tax(key: Key, rate: Decimal | None, amount: Decimal, before: Taxed | None = None) -> Taxed:
    """Base and VAT of the summed amount of one rate (BIL-63), or of what a credit adds to credits before it (BIL-69).

    VAT of a credit is the VAT of all that is credited less the VAT that was credited already; so that what is left
    after the last one is exactly nothing.
    """
    before = before or Taxed(rate, ZERO, ZERO)
    if key.basis == GROSS:
        vat = vat_of(key, rate, before.gross + amount) - before.vat
        return Taxed(rate, amount - vat, vat)
    return Taxed(rate, amount, vat_of(key, rate, before.base + amount) - before.vat)


def vat_of(key: Key, rate: Decimal | None, amount: Decimal) -> Decimal:
    """Contained in the amount where prices include VAT, else on top of it. Without a rate there is none."""
    if rate is None:
        return round_money(ZERO, key.currency)
    return (vat_in_gross if key.basis == GROSS else vat_on_net)(amount, rate, key.currency)


def nets_of(key: Key, amounts: list[Decimal], taxed: Taxed) -> list[Decimal]:
    """Net of each line: the amount itself, or its share of the net that is left when VAT is taken out (BIL-63)."""
    if key.basis != GROSS:
        return amounts
    return share_out(taxed.base, amounts, key.currency) if min(amounts) >= 0 else running_nets(key, amounts, taxed)


def running_nets(key: Key, amounts: list[Decimal], taxed: Taxed) -> list[Decimal]:
    """Where amounts have both signs nothing can be shared out by them: each line bears what it adds to the VAT."""
    sums = accumulate(amounts[:-1], initial=ZERO)
    vats = [*(vat_of(key, taxed.rate, amount) for amount in sums), taxed.vat]
    return [amount - (after - before) for amount, (before, after) in zip(amounts, pairwise(vats), strict=True)]


def gross_of(key: Key, sign: int, due: Due) -> Decimal | None:
    return sign * round_money(due.amount, key.currency) if key.basis == GROSS else None


def grouped(dues: Iterable[Due]) -> dict[Key, list[Due]]:
    """Charges by the document they belong on, documents in a fixed order."""
    by_key = defaultdict(list)
    for due in dues:
        by_key[due.key].append(due)
    return dict(sorted(by_key.items(), key=lambda item: (item[0].account_id, *map(str, item[0]))))


def days_of_supply(lines: Iterable[Line]) -> tuple[date, date]:
    """The first and the last."""
    days = [line.due.supplied_on for line in lines]
    return min(days), max(days)
