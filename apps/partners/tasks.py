from celery import shared_task
from django.utils import timezone

from . import clients, pull


@shared_task
def pull_due(**_future) -> dict:
    """Every minute, and rung when a hub connects."""
    return pull.pull_due(clients.PULL, timezone.now())
