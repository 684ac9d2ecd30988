import logging
from itertools import takewhile

from celery import shared_task
from django.utils import timezone

from apps.partners import exchanges, quarantine
from apps.staff import logins
from emsp.audit import chain
from emsp.intakes import INTAKES
from emsp.invariants import inspecting
from emsp.models import Heartbeat

log = logging.getLogger(__name__)


@shared_task
def hear_timetable(queue: str, **_future) -> None:
    """Every minute in every queue (trust O7)."""
    Heartbeat.objects.update_or_create(queue=queue, defaults={"heard_at": timezone.now()})


@shared_task
def inspect_invariants(**_future) -> dict:
    """Every night: what must always be true is looked at, and what is not is said on the home page and in the log."""
    now = timezone.now()
    findings = inspecting.inspect(now)
    inspecting.keep(findings, now)
    for found in findings:
        if found.is_broken:
            log.error("Invariant %s is broken %d times: %s", found.code, found.count, found.rule)
    return {found.code: found.count for found in findings}


@shared_task
def seal_audit_days(**_future) -> list[str]:
    """Days of changes that are over, soon after two at night in UTC; those that were missed come first (trust S49)."""
    return [str(day.day) for day in chain.seal(timezone.now())]


@shared_task
def take_approved(**_future) -> int:
    """What partners sent of parties that staff have approved since (trust S10)."""
    return quarantine.take_approved(INTAKES, timezone.now())


@shared_task
def forget(**_future) -> int:
    """Messages and failed logins that were kept long enough, so many at a time that nobody waits for it."""
    now = timezone.now()
    logins.forget(now)
    return sum(takewhile(bool, (exchanges.prune(now) for _ in range(20))))
