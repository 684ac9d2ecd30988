"""CDRs that are not billed for now, each with the reason, and what comes of them (BIL-33, BIL-36)."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from apps.bulk import Upsert
from apps.charging.checks import BY_CODE

from .models import Held

FAULT = "ERROR"
"""The fault is ours: the log has the traceback."""

LONGEST_PAUSE = timedelta(hours=6)


class OnHold(Exception):
    """Why a CDR cannot be charged now. `code` names the reason, the text is for staff."""

    def __init__(self, code: str, reason: str, *, is_final: bool = False):
        super().__init__(reason)
        self.code, self.is_final = code, is_final


class Hold(NamedTuple):
    """A CDR, what holds it, and how often rating tried it before without success."""

    cdr: int
    why: OnHold
    attempts: int


HELD = Upsert(
    model=Held,
    columns=("cdr", "code", "reason", "is_final", "attempts", "since", "next_try_at"),
    target="cdr_id",
    update=("code", "reason", "is_final", "attempts", "next_try_at"),
    guard=(
        "(old.code, old.reason, old.is_final) IS DISTINCT FROM (excluded.code, excluded.reason, excluded.is_final)"
        f" OR excluded.code = '{FAULT}'"
    ),
)
"""A row that says the same again is left alone: the beat comes by every minute."""


def hold(holds: Iterable[Hold], now: datetime) -> None:
    """Write down what holds CDRs. Each is tried again: see `next_try`."""
    rows = sorted((one.cdr, one.why.code, str(one.why), one) for one in holds)
    HELD.write(
        (cdr, code, reason, one.why.is_final, one.attempts + 1, now, next_try(one, now))
        for cdr, code, reason, one in rows
    )


def next_try(held: Hold, now: datetime) -> datetime | None:
    """At once for what lacks a plan, a rate and the like; a fault of ours after a growing pause.

    What a finding holds has none: it comes back when the finding is released or gone.
    """
    if held.why.code == FAULT:
        return now + min(timedelta(minutes=2 ** min(held.attempts, 10)), LONGEST_PAUSE)
    return None if held.why.code in BY_CODE else now


def let_go(cdrs: Iterable[int]) -> None:
    """What held these CDRs does so no longer."""
    Held.objects.filter(cdr__in=cdrs).delete()
