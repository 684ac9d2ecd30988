"""When a partner is live: after a report that passed, or because somebody takes it upon himself and says why (X8).

Being live changes nothing that is said to the partner: it is what the office goes by, and who let whom begin.
"""

from datetime import datetime

from django.db import IntegrityError, transaction

from apps.onboarding.models import Clearance, Report
from apps.partners.models import Partner


class CannotGoLive(Exception):
    """The text says why, for staff."""


def begin(partner: Partner, by: str, now: datetime, *, reason: str = "") -> Clearance:
    """Let a partner begin, by its newest report if that passed, else by a reason that `by` stands for."""
    if not partner.is_connected:
        raise CannotGoLive(f"{partner} is not connected")
    report = newest_report(partner)
    is_passed = report is not None and report.outcome == Report.Outcome.PASSED
    if not is_passed and not reason.strip():
        raise CannotGoLive(f"{_objection(report)}: without a report that passed, say why it may be live all the same")
    try:
        with transaction.atomic():
            by_report = report if is_passed else None
            return Clearance.objects.create(partner=partner, report=by_report, reason=reason.strip(), by=by, at=now)
    except IntegrityError as error:
        raise CannotGoLive(f"{partner} is live already") from error


def end(partner: Partner, by: str, now: datetime) -> None:
    if not partner.clearances.filter(ended_at=None).update(ended_at=now, ended_by=by):
        raise CannotGoLive(f"{partner} is not live")


def newest_report(partner: Partner) -> Report | None:
    """Finished, and of the version that is spoken now: what an older one showed is no proof any more."""
    return partner.reports.filter(finished_at__isnull=False, version=partner.version).first()


def _objection(report: Report | None) -> str:
    if report is None:
        return "No report of this version was made"
    return f"The newest report of {report.requested_at:%Y-%m-%d %H:%M} says: {report.get_outcome_display()}"
