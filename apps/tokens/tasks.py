from celery import shared_task
from django.utils import timezone

from apps.partners.ourselves import us

from . import announcing, push


@shared_task
def push_tokens(**_future) -> dict:
    """Rung by whoever changes a token."""
    return push.push_due(timezone.now(), us())


@shared_task
def sweep_tokens(**_future) -> dict:
    """Every half minute: what nobody rang for, because a ring was lost, a moment passed or a partner is new."""
    now = timezone.now()
    announcing.welcome(now)
    announcing.lapse(now)
    return push.push_due(now, us())


@shared_task
def enlist_tokens(**_future) -> int:
    """Every hour: compare all tokens with all partners."""
    return announcing.enlist_everywhere(timezone.now())
