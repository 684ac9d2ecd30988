from dataclasses import asdict

from celery import shared_task
from django.utils import timezone

from apps.work import ring

from . import rating, rendering


@shared_task
def rate_new_cdrs(**_future) -> dict:
    """Every half minute, and rung by whoever checked CDRs, released one or gave a contract its plan."""
    return asdict(rating.rate_due(timezone.now()))


@shared_task
def render_documents(**_future) -> int:
    """Rung by an invoice run, and every minute: a batch of PDFs; as long as there was one, the next is rung for."""
    rendered = rendering.render_due(timezone.now())
    if rendered:
        ring("apps.billing.tasks.render_documents")
    return rendered
