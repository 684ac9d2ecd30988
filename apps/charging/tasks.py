from celery import shared_task
from django.utils import timezone

from apps.partners import pull
from apps.work import ring

from . import checking, commands, dispatch, matching, silence
from .pull import CDRS, SESSIONS

BATCH = 1000
CHECK = "apps.charging.tasks.check_cdrs"
RATE = "apps.billing.tasks.rate_new_cdrs"


@shared_task
def check_cdrs(**_future) -> int:
    """Rung by whoever learns something about CDRs."""
    checked = checking.check_due(timezone.now(), BATCH)
    if checked:
        ring(CHECK if checked == BATCH else RATE)
    return checked


@shared_task
def sweep_cdrs(**_future) -> int:
    """Every half minute: whose they are may be known by now, and new ones are checked."""
    matching.rematch(timezone.now())
    return check_cdrs()


@shared_task
def look_again(**_future) -> int:
    """Every night, and rung by whoever changes an agreement."""
    count = checking.look_again(timezone.now())
    if count:
        ring(CHECK)
    return count


@shared_task
def pull_due(**_future) -> dict:
    """Every minute, and rung by whoever misses something or connects a partner."""
    now = timezone.now()
    done = {"sessions": pull.pull_due(SESSIONS, now), "cdrs": pull.pull_due(CDRS, now)}
    if done["cdrs"]:
        ring(CHECK)
    return done


@shared_task
def ask_for_silent(**_future) -> int:
    """Every ten minutes: of sessions that fell silent the CPO is asked."""
    return silence.ask(timezone.now())


@shared_task
def send_commands(**_future) -> int:
    """Rung by whoever asks something of a charge point."""
    return dispatch.send_due(timezone.now())


@shared_task
def sweep_commands(**_future) -> dict:
    """Every ten seconds: what nobody rang for while it may still be sent, and what is over time."""
    now = timezone.now()
    return {"sent": dispatch.send_due(now), "unanswered": commands.give_up(now)}
