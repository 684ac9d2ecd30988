"""How long somebody stays signed in, and what was proved in this session (trust S46).

Times are kept in the session itself, as whole seconds since 1970. It is written at a sign-in, at a proof, and while somebody
works at most once a minute.
"""

from datetime import datetime, timedelta
from enum import Enum

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase

from . import second_factor
from .models import SecondFactor, User

SIGNED_IN, SEEN, PROVED, FACTOR = "signed_in_at", "seen_at", "proved_at", "second_factor"
WRITTEN_EVERY = timedelta(minutes=1)
GOOD_FOR = timedelta(minutes=15)
"""A proof, for what is dear."""
SHOWN_FOR = timedelta(minutes=10)
"""A proof, for the form of something dear: five minutes are left at least to fill it in."""
JUST_NOW = timedelta(minutes=5)
"""A proof, for changing one's second factor."""


class Missing(Enum):
    """What somebody who gave the right password has yet to do."""

    CODE = "a code"
    FACTOR = "a second factor"


def begin(session: SessionBase, now: datetime) -> None:
    """Somebody gave the right password just now."""
    session.pop(FACTOR, None)  # of an earlier sign-in with the same cookie
    session[SIGNED_IN] = session[SEEN] = session[PROVED] = _seconds(now)


def end_of(user: User, session: SessionBase, now: datetime) -> str:
    """Why this session is over, in words for its person; nothing while it is not."""
    if _age(session, SIGNED_IN, now) > timedelta(seconds=settings.SESSION_COOKIE_AGE):
        return "You were signed in for a whole day of work. Please log in again."
    if settings.SESSION_IDLE_S and _age(session, SEEN, now) > timedelta(seconds=settings.SESSION_IDLE_S):
        return "Nothing happened here for a while, so you were signed out. Please log in again."
    if FACTOR in session and second_factor.of(user) is None:
        return "Your second factor was taken away, so you were signed out. Please log in again."
    return ""


def seen(session: SessionBase, now: datetime) -> None:
    if _age(session, SEEN, now) > WRITTEN_EVERY:
        session[SEEN] = _seconds(now)


def missing(user: User, session: SessionBase) -> Missing | None:
    factor = second_factor.of(user)
    if factor is not None:
        return None if session.get(FACTOR) == factor.pk else Missing.CODE
    return Missing.FACTOR if settings.SECOND_FACTOR_REQUIRED else None


def proved(session: SessionBase, factor: SecondFactor | None, now: datetime) -> None:
    """A code was right, or the password of somebody who has no factor. Whoever knew the session's key before knows it no more."""
    session.cycle_key()
    session[PROVED] = _seconds(now)
    if factor is not None:
        session[FACTOR] = factor.pk


def without_factor(session: SessionBase) -> None:
    """The person took it away themselves, and stays signed in."""
    session.pop(FACTOR, None)


def is_proved(session: SessionBase, now: datetime, within: timedelta = GOOD_FOR) -> bool:
    return _age(session, PROVED, now) <= within


def _age(session: SessionBase, name: str, now: datetime) -> timedelta:
    """Of what never was: older than anything."""
    at = session.get(name)
    return timedelta.max if at is None else timedelta(seconds=_seconds(now) - at)


def _seconds(now: datetime) -> int:
    return int(now.timestamp())
