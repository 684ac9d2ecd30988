"""Going through the invariants: what breaks each, and keeping what was found for the back office (trust 5.5)."""

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import NamedTuple

from django.db import connection, transaction

from apps.bulk import as_json
from apps.money import MINOR_UNITS
from apps.partners.agreements import day_of
from apps.tokens.cards import TOLD
from emsp.models import Invariant

from .rules import RULES, Rule

NAMED = 20
"""Faults that are told by name; the others are counted."""

Verdict = Invariant.Verdict


class Fault(NamedTuple):
    """Who breaks a rule, and how."""

    name: str
    fault: str


@dataclass(frozen=True)
class Found:
    """What was found about one rule. `count` is of all faults, `faults` has the first of them."""

    code: str
    rule: str
    verdict: Verdict
    reason: str
    count: int
    faults: list[Fault]
    seconds: float

    @property
    def is_broken(self) -> bool:
        return self.verdict == Verdict.BROKEN

    def as_json(self) -> dict:
        return asdict(self) | {"verdict": str(self.verdict.value), "faults": [one._asdict() for one in self.faults]}


def inspect(now: datetime) -> list[Found]:
    """Look at every rule, in a few passes over the tables each. Changes nothing; other work goes on meanwhile."""
    values = {"now": now, "today": day_of(now), "digits": as_json(MINOR_UNITS), "told": [kind.value for kind in TOLD]}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '128MB'")
        return [_look(cursor, rule, values) for rule in RULES]


def _look(cursor, rule: Rule, values: dict) -> Found:
    started = time.monotonic()
    cursor.execute(f"SELECT EXISTS ({rule.about})")
    if not cursor.fetchone()[0]:
        return Found(rule.code, rule.text, Verdict.NOT_APPLICABLE, rule.lacking, 0, [], 0)
    cursor.execute(
        f"SELECT name, fault, count(*) OVER () FROM ({rule.broken}) AS broken (name, fault) LIMIT {NAMED}", values
    )
    rows = cursor.fetchall()
    count = rows[0][2] if rows else 0
    faults = sorted(Fault(name, fault) for name, fault, _ in rows)
    verdict = Verdict.BROKEN if count else Verdict.HELD
    return Found(rule.code, rule.text, verdict, "", count, faults, round(time.monotonic() - started, 3))


def keep(findings: Iterable[Found], now: datetime) -> None:
    """Only what was found last is kept: a fault is a fault until it is mended, and mended then."""
    for found in findings:
        values = found.as_json() | {"inspected_at": now}
        Invariant.objects.update_or_create(code=values.pop("code"), defaults=values)
