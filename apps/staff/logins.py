"""Who tries passwords, counted by the name they give and the network they come from (see pauses.py; trust S46)."""

from datetime import datetime, timedelta

from apps.pace import network_of

from . import pauses
from .models import FailedCode, FailedLogin

LONGEST_NAME = 150


def admit(username: str, origin: str, now: datetime) -> timedelta:
    """How long to wait; nothing if a password may be tried now, which counts as failed until `succeeded` says otherwise."""
    return pauses.admit(FailedLogin, now, **_key(username, origin))


def succeeded(username: str, origin: str) -> None:
    FailedLogin.objects.filter(**_key(username, origin)).delete()


def forget(now: datetime) -> int:
    """What is too old to count, of passwords and of codes."""
    old = {"last_at__lt": now - pauses.FORGOTTEN_AFTER}
    return sum(model.objects.filter(**old).delete()[0] for model in (FailedLogin, FailedCode))


def _key(username: str, origin: str) -> dict[str, str]:
    name = username.replace("\x00", "").casefold()[:LONGEST_NAME]
    return {"username": name, "network": network_of(origin)}
