"""CDRs become charges: what the driver's account owes us, and apart from it what we owe the CPO (BIL-01).

Rating works inside PostgreSQL: a CDR that is being rated is locked, another rater takes others meanwhile, and what a
rater that dies had in its hands is simply not rated yet (decision 23). Every CDR that was looked at has a payable, and
is either charged, netted or held; nothing else tells it apart from a new one (BIL-36).
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from django.db import DataError, IntegrityError, connection, transaction

from apps.bulk import Upsert
from apps.charging.checking import check_due
from apps.charging.matching import rematch

from . import checks, netting
from .facts import Facts, read_facts
from .holding import FAULT, Hold, OnHold, hold, let_go
from .models import Charge, Held, Payable
from .usage import Rater
from .vat import Untaxable

log = logging.getLogger(__name__)

AT_ONCE = 2000
"""CDRs in one transaction: a few seconds of work, and few enough to be done again one by one if one of them fails."""

FAULTS = (DataError, IntegrityError, ArithmeticError, LookupError, TypeError, ValueError)
"""What one CDR can do to those rated with it. A database that is gone is no CDR's fault, and goes up."""

DUE = """
(SELECT cdr.id FROM charging_cdr cdr
    WHERE cdr.id > %(after)s AND cdr.checked_at IS NOT NULL
        AND NOT EXISTS (SELECT FROM billing_payable payable WHERE payable.cdr_id = cdr.id)
        AND NOT EXISTS (SELECT FROM billing_held held WHERE held.cdr_id = cdr.id)
    ORDER BY cdr.id LIMIT %(limit)s)
UNION
(SELECT held.cdr_id FROM billing_held held JOIN charging_cdr cdr ON cdr.id = held.cdr_id
    LEFT JOIN LATERAL (
        SELECT finding.code, finding.reason FROM charging_finding finding
        WHERE finding.cdr_id = held.cdr_id AND finding.driver_severity >= 3 AND NOT finding.is_released
            AND finding.code <> ALL(%(own)s)
        ORDER BY finding.driver_severity DESC, finding.code LIMIT 1
    ) finding ON true
    WHERE held.cdr_id > %(after)s AND cdr.checked_at IS NOT NULL AND CASE WHEN held.next_try_at IS NULL
        THEN (held.code, held.reason) IS DISTINCT FROM (finding.code, finding.reason)
        ELSE held.next_try_at <= %(now)s END
    ORDER BY held.cdr_id LIMIT %(limit)s)
ORDER BY 1 LIMIT %(limit)s
"""
"""New ones, and held ones whose time has come or whose finding was released, is gone or says something else."""

LOCK = "SELECT id FROM charging_cdr WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED"

REFUSED = """EXISTS (SELECT FROM charging_finding finding WHERE finding.cdr_id = payable.cdr_id
    AND (finding.cpo_severity = 4 OR finding.cpo_severity = 3 AND NOT finding.is_released))"""

JUDGE_AGAIN = f"""
UPDATE billing_payable SET is_accepted = NOT is_accepted, decided_at = %s WHERE id IN (
    SELECT payable.id FROM billing_payable payable
    WHERE NOT payable.is_accepted AND NOT {REFUSED}
        OR payable.is_accepted AND payable.cdr_id IN (SELECT cdr_id FROM charging_finding WHERE cpo_severity >= 3) AND {REFUSED}
    FOR UPDATE SKIP LOCKED
)
"""
"""Findings come and go after the first look, and what we accept to pay with them."""

CHARGES = Upsert(
    model=Charge,
    columns=(
        "kind", "cdr", "share", "account", "contract", "plan_price", "period", "supplied_on", "registration",
        "vat_category", "vat_rate", "currency", "basis", "amount", "reverses", "explanation", "rated_at",
    ),
    target="id",
)  # fmt: skip
"""A conflict is an error and never passed over: only what is locked and not charged yet is written."""

PAYABLES = Upsert(model=Payable, columns=("cdr", "currency", "net", "is_accepted", "decided_at"), target="cdr_id")


@dataclass
class Counts:
    """`rated`: CDRs charged, credited or netted now. `held` and `unmatched`: what waits after it, the latter because
    nobody knows yet whose it is; together they are all that is held."""

    rated: int = 0
    held: int = 0
    unmatched: int = 0


def catch_up(now: datetime) -> Counts:
    """Match, check and rate everything that is due: what the timetable does in three steps."""
    rematch(now)
    while check_due(now):
        pass
    return rate_due(now)


def rate_due(now: datetime, limit: int = AT_ONCE) -> Counts:
    """Rate all CDRs that are due, `limit` at once. May run at any time, in several workers."""
    rated = sum(_rate(ids, now) for ids in _due(now, limit))
    with connection.cursor() as cursor:
        cursor.execute(JUDGE_AGAIN, [now])
    unmatched = Held.objects.filter(cdr__contract=None).count()
    return Counts(rated, Held.objects.count() - unmatched, unmatched)


def _due(now: datetime, limit: int) -> Iterator[list[int]]:
    """Ids of CDRs to look at, in batches; each at most once, whatever becomes of it."""
    after = 0
    while ids := _column(DUE, {"after": after, "limit": limit, "now": now, "own": list(checks.OWN)}):
        yield ids
        after = ids[-1]


def _rate(ids: list[int], now: datetime) -> int:
    """Rate these in one transaction. If it fails, each half for itself, until the one at fault is found and held."""
    try:
        with transaction.atomic():
            return _rate_locked(_column(LOCK, [ids]), now)
    except FAULTS as error:
        if len(ids) > 1:
            middle = len(ids) // 2
            return _rate(ids[:middle], now) + _rate(ids[middle:], now)
        log.exception("CDR %s could not be rated", ids[0])
        _hold_faulty(ids[0], error, now)
        return 0


def _hold_faulty(cdr: int, error: Exception, now: datetime) -> None:
    attempts = Held.objects.filter(cdr=cdr, code=FAULT).values_list("attempts", flat=True).first() or 0
    hold([Hold(cdr, OnHold(FAULT, f"{type(error).__name__}: {error}"[:500]), attempts)], now)


@dataclass
class Decided:
    """What becomes of a batch."""

    charges: list[tuple] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    done: list[int] = field(default_factory=list)


def _rate_locked(ids: list[int], now: datetime) -> int:
    """Facts are read after the lock, in a statement of its own: a rival may have rated some of them meanwhile."""
    looked_at = read_facts(ids, checks.OWN)
    new = [facts for facts in looked_at if not facts.is_settled]
    netted = netting.settle([facts for facts in new if netting.is_fit(facts)], now)
    PAYABLES.write(_payable(facts, now) for facts in looked_at if not facts.has_payable and facts.id not in netted.busy)
    decided = _decide([facts for facts in new if facts.id not in netted.settled | netted.busy], now)
    CHARGES.write(decided.charges + netted.credits)
    hold(decided.holds, now)
    done = [*decided.done, *netted.settled]
    let_go(done)
    untaxable = {one.cdr: one.why for one in decided.holds if isinstance(one.why, Untaxable)}
    checks.find(untaxable, [facts.id for facts in looked_at], now)
    return len(set(done) & {facts.id for facts in new})


def _payable(facts: Facts, now: datetime) -> tuple:
    """Net, whatever taxes the CDR shows (EX-28): a supply to us is taxed by our own rules (BIL-116)."""
    return facts.id, facts.currency, facts.cost_before_taxes, facts.is_payable, now


def _decide(new: Iterable[Facts], now: datetime) -> Decided:
    decided, rater = Decided(), Rater.for_batch(new)
    for facts in new:
        try:
            decided.charges.append((*rater.usage(facts), now))
            decided.done.append(facts.id)
        except OnHold as why:
            decided.holds.append(Hold(facts.id, why, 0))
    return decided


def _column(statement: str, parameters: dict | list) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return [value for (value,) in cursor.fetchall()]
