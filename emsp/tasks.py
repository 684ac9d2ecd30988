import logging

from celery import shared_task
from django.utils import timezone

from emsp.invariants import inspecting

log = logging.getLogger(__name__)


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
