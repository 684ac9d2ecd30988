"""Readiness reports: ordered by staff, made by really calling the partner, one line after the other in sight (X8)."""

import logging
import time
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction

from apps.ocpi.errors import InvalidObject, OcpiError, PeerFailed
from apps.onboarding import charging, connection, lists
from apps.onboarding.models import Report
from apps.onboarding.trial import Check, Failed, Trial, Untried
from apps.partners.models import Partner
from apps.work import Clock, ring

log = logging.getLogger(__name__)

CHECKS: tuple[Check, ...] = (*connection.CHECKS, *lists.CHECKS, *charging.CHECKS)
OUTCOMES = PASSED, FAILED, UNTRIED = "passed", "failed", "not tried"

LEASE = timedelta(hours=1)
"""Longer than any one line takes: each renews it."""

LONGEST_REASON = 2000
MAKE = "apps.onboarding.tasks.make_reports"


class CannotCheck(Exception):
    """There is nobody to call, or somebody is at it."""


def order(partner: Partner, now: datetime, **wishes) -> Report:
    """Have a report made by a worker; returns at once. `wishes` are card, place, patience and who wants it."""
    report = _begin(partner, now, **wishes)
    ring(MAKE)
    return report


def make(partner: Partner, now: datetime, **wishes) -> Report:
    """Make a report in this process."""
    report = _begin(partner, now, leased_until=now + LEASE, attempts=1, **wishes)
    _run(report, Clock(now))
    return report


def make_due(now: datetime) -> int:
    """Make the reports that are due, one after the other. How many."""
    clock, made = Clock(now), 0
    while claimed := Report.objects.claim(clock(), LEASE, limit=1):
        _run(claimed[0], clock)
        made += 1
    return made


def _begin(partner: Partner, now: datetime, **wishes) -> Report:
    if not partner.is_connected:
        raise CannotCheck(f"{partner} is not connected")
    values = {"version": partner.version, "requested_at": now, "due_at": now, "checks": len(CHECKS)}
    try:
        with transaction.atomic():
            return Report.objects.create(partner=partner, **values, **wishes)
    except IntegrityError as error:
        raise CannotCheck(f"{partner} is being checked already") from error


def _run(report: Report, clock: Clock) -> None:
    """A process that died may have started a charge, so nobody goes on with its report: a new one is ordered."""
    if report.attempts > 1:
        _finish(report, Report.Outcome.BROKEN, clock(), "the process that made it ended")
        return
    try:
        trial = Trial(report, clock)
        for check in CHECKS:
            _note(report, _line(check, trial), clock())
    except Exception as error:
        log.exception("the check of %s broke off, and the fault is ours", report.partner)
        _finish(report, Report.Outcome.BROKEN, clock(), f"our fault: {type(error).__name__}")
    else:
        _finish(report, _outcome(report), clock())


def _line(check: Check, trial: Trial) -> dict:
    started = time.monotonic()
    outcome, reason, is_missed = _tried(check, trial)
    line = {"check": check.key, "title": check.title, "demands": check.demands, "outcome": outcome}
    took = round(time.monotonic() - started, 1)
    return line | {"reason": reason[:LONGEST_REASON], "took_s": took, "is_missed": is_missed}


def _tried(check: Check, trial: Trial) -> tuple[str, str, bool]:
    """Outcome, sentence, and whether something is missed by its not being tried."""
    for need in check.needs:
        before = next(line for line in trial.report.lines if line["check"] == need)
        if before["outcome"] != PASSED:
            told = f'"{before["title"]}" {"failed" if before["outcome"] == FAILED else "was not tried"}.'
            return UNTRIED, told, before["outcome"] == FAILED or before["is_missed"]
    try:
        return PASSED, check.act(trial), False
    except Untried as untried:
        return UNTRIED, str(untried), untried.is_needed
    except Failed as failed:
        return FAILED, str(failed), False
    except InvalidObject as error:
        return FAILED, f"What it answers cannot be read: {error} ({check.demands}).", False
    except (PeerFailed, OcpiError) as error:
        return FAILED, f"{error} ({check.demands}).", False


def _note(report: Report, line: dict, now: datetime) -> None:
    report.lines = [*report.lines, line]
    report.leased_until = now + LEASE
    Report.objects.filter(pk=report.pk).update(lines=report.lines, leased_until=report.leased_until)


def _outcome(report: Report) -> Report.Outcome:
    if report.count(FAILED):
        return Report.Outcome.FAILED
    is_whole = not any(line["is_missed"] for line in report.lines)
    return Report.Outcome.PASSED if is_whole else Report.Outcome.INCOMPLETE


def _finish(report: Report, outcome: Report.Outcome, now: datetime, error: str = "") -> None:
    report.outcome, report.finished_at = outcome, now
    for name, value in (report.settled() | {"last_error": error}).items():
        setattr(report, name, value)
    report.save(update_fields=["outcome", "finished_at", "due_at", "leased_until", "attempts", "last_error"])
