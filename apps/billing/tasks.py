from dataclasses import asdict

from celery import shared_task
from django.utils import timezone

from . import rating


@shared_task
def rate_new_cdrs(**_future) -> dict:
    """Every half minute, and rung by whoever checked CDRs, released one or gave a contract its plan."""
    return asdict(rating.catch_up(timezone.now()))
