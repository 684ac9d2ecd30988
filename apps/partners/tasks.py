from celery import shared_task
from django.utils import timezone

from . import agreements, clients, pull


@shared_task
def pull_due(**_future) -> dict:
    """Every minute, and rung when a hub connects."""
    return pull.pull_due(clients.PULL, timezone.now())


@shared_task
def take_routes(**_future) -> int:
    """Every hour: agreements begin and end by the day."""
    return agreements.take_routes(timezone.now())
