from celery import shared_task
from django.utils import timezone

from apps.partners import pull

from .pull import PULL


@shared_task
def pull_due(**_future) -> dict:
    """Every minute, and rung by whoever misses something or connects a partner."""
    return pull.pull_due(PULL, timezone.now())
