from celery import shared_task
from django.utils import timezone

from apps.partners import pull

from . import routes
from .pull import PULL


@shared_task
def pull_due(**_future) -> dict:
    """Every minute, and rung by whoever misses something or connects a partner."""
    return pull.pull_due(PULL, timezone.now())


@shared_task
def recognise_routes(**_future) -> int:
    """Every few minutes, and rung when a route is gone."""
    return routes.recognise()
