from celery import shared_task
from django.utils import timezone

from . import agreements, certificates, clients, pull


@shared_task
def pull_due(**_future) -> dict:
    """Every minute, and rung when a hub connects."""
    return pull.pull_due(clients.PULL, timezone.now())


@shared_task
def take_routes(**_future) -> int:
    """Every hour: agreements begin and end by the day."""
    return agreements.take_routes(timezone.now())


@shared_task
def look_at_certificates(**_future) -> int:
    """Every ten minutes: each is due once a day, and those of a new partner at once."""
    return certificates.look_at_due(timezone.now())
