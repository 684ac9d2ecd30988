from celery import shared_task
from django.utils import timezone

from . import readiness


@shared_task
def make_reports(**_future) -> int:
    """Rung by whoever orders a report, and every minute."""
    return readiness.make_due(timezone.now())
