"""What is tried in vain: five times, then a pause that doubles (trust S46).

Counted by account and network, so that a stranger who tries somebody's account elsewhere does not keep that person out.
"""

import logging
from datetime import datetime, timedelta

from django.db import transaction

from .models import Tries

log = logging.getLogger(__name__)

FREE = 5
LONGEST_PAUSE = timedelta(hours=1)
FORGOTTEN_AFTER = timedelta(days=1)


@transaction.atomic
def admit(model: type[Tries], now: datetime, **key) -> timedelta:
    """How long to wait; nothing if it may be tried now. The try counts as failed until its row is deleted, so that many at
    once are no more than one after the other."""
    model.objects.get_or_create(**key, defaults={"last_at": now})
    row = model.objects.select_for_update().get(**key)
    if row.locked_until is not None and row.locked_until > now:
        return row.locked_until - now
    row.tries = row.tries + 1 if row.last_at > now - FORGOTTEN_AFTER else 1
    row.last_at, row.locked_until = now, now + pause(row.tries) if row.tries >= FREE else None
    row.save()
    if row.locked_until:
        log.warning("%s: try %s from %s, locked until %s", model.__name__, row.tries, row.network, row.locked_until)
    return timedelta()


def pause(tries: int) -> timedelta:
    """
    >>> [str(pause(tries)) for tries in (5, 6, 10, 11, 1000)]
    ['0:01:00', '0:02:00', '0:32:00', '1:00:00', '1:00:00']
    """
    return min(timedelta(minutes=2 ** min(tries - FREE, 10)), LONGEST_PAUSE)


def in_words(wait: timedelta) -> str:
    return f"Too many tries. Try again in {-(-wait.total_seconds() // 60):.0f} min."
