"""Who tries passwords: five in vain, then a pause that doubles (trust S46).

Counted by account and network, so that a stranger who tries somebody's account elsewhere does not keep that person out.
"""

import logging
from datetime import datetime, timedelta

from django.db import transaction

from apps.pace import network_of

from .models import FailedLogin

log = logging.getLogger(__name__)

FREE = 5
LONGEST_PAUSE = timedelta(hours=1)
FORGOTTEN_AFTER = timedelta(days=1)
LONGEST_NAME = 150


@transaction.atomic
def admit(username: str, origin: str, now: datetime) -> timedelta:
    """How long to wait; nothing if a password may be tried now. The try counts as failed until `succeeded` says otherwise,
    so that many at once are no more than one after the other."""
    name, network = _key(username, origin)
    FailedLogin.objects.get_or_create(username=name, network=network, defaults={"last_at": now})
    row = FailedLogin.objects.select_for_update().get(username=name, network=network)
    if row.locked_until is not None and row.locked_until > now:
        return row.locked_until - now
    row.tries = row.tries + 1 if row.last_at > now - FORGOTTEN_AFTER else 1
    row.last_at, row.locked_until = now, now + pause(row.tries) if row.tries >= FREE else None
    row.save()
    if row.locked_until:
        log.warning(
            "%s tries to log in to an account from %s, now locked until %s", row.tries, network, row.locked_until
        )
    return timedelta()


def pause(tries: int) -> timedelta:
    """
    >>> [str(pause(tries)) for tries in (5, 6, 10, 11, 1000)]
    ['0:01:00', '0:02:00', '0:32:00', '1:00:00', '1:00:00']
    """
    return min(timedelta(minutes=2 ** min(tries - FREE, 10)), LONGEST_PAUSE)


def succeeded(username: str, origin: str) -> None:
    name, network = _key(username, origin)
    FailedLogin.objects.filter(username=name, network=network).delete()


def forget(now: datetime) -> int:
    """What is too old to count."""
    return FailedLogin.objects.filter(last_at__lt=now - FORGOTTEN_AFTER).delete()[0]


def _key(username: str, origin: str) -> tuple[str, str]:
    return username.replace("\x00", "").casefold()[:LONGEST_NAME], network_of(origin)
