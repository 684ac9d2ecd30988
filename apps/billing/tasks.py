from dataclasses import asdict

from celery import shared_task
from django.utils import timezone

from apps.partners import pull
from apps.work import ring

from . import invoicing, rating, rendering
from .pull import PULL


@shared_task
def rate_new_cdrs(**_future) -> dict:
    """Every half minute, and rung by whoever checked CDRs, released one or gave a contract its plan."""
    return asdict(rating.rate_due(timezone.now()))


@shared_task
def pull_due(**_future) -> dict:
    """Every minute, and rung by whoever connects a partner."""
    return pull.pull_due(PULL, timezone.now())


@shared_task
def issue_runs(**_future) -> dict:
    """Rung by whoever orders a run, and every minute: goes on with a run that is due."""
    return invoicing.issue_due(timezone.now())


@shared_task
def render_documents(**_future) -> int:
    """Rung by an invoice run, and every minute: a batch of PDFs. As long as more wait, another worker is rung for."""
    now = timezone.now()
    if rendering.waiting(now) > rendering.BATCH:
        ring("apps.billing.tasks.render_documents")
    return rendering.render_due(now)
