"""Work that leaves PostgreSQL: what is due is a row, a lease says who has it, the broker only rings the bell.

Decision 23: the wish stands on the row that wants it (`due_at`, `leased_until`, `attempts`, `last_error`). Attempts are
counted and committed before the call, so a worker that dies in the middle has counted. Losing every message in the
broker delays work by one sweep of the timetable and loses nothing (trust D1, R5, R19).
"""

import time
from datetime import datetime, timedelta

from celery import current_app
from django.db import models, transaction
from django.db.models import F, Q

MAX_ATTEMPTS = 5
LONGEST_PAUSE = timedelta(minutes=15)


class DueQuerySet(models.QuerySet):
    def due(self, now: datetime):
        """Rows that want something done now and that nobody else is doing."""
        return self.filter(Q(leased_until=None) | Q(leased_until__lt=now), due_at__lte=now)

    def claim(self, now: datetime, lease: timedelta, limit: int = 100) -> list:
        """Take due rows for the time of the lease; another worker takes others meanwhile (SKIP LOCKED).

        The attempt is counted here, before anything is tried: a crash counts as well (trust R19).
        """
        with transaction.atomic():
            rows = list(
                self.due(now).select_for_update(skip_locked=True, of=("self",)).order_by("due_at", "pk")[:limit]
            )
            taken = self.model.objects.filter(pk__in=[row.pk for row in rows])
            taken.update(leased_until=now + lease, attempts=F("attempts") + 1)
        for row in rows:
            row.leased_until, row.attempts = now + lease, row.attempts + 1
        return rows


class Due(models.Model):
    """The wish of a row to have something done outside the database. `due_at` empty: nothing is wanted."""

    due_at = models.DateTimeField(null=True, blank=True, editable=False)
    leased_until = models.DateTimeField(null=True, blank=True, editable=False)
    attempts = models.PositiveIntegerField(default=0, editable=False)
    last_error = models.TextField(blank=True, editable=False)

    objects = DueQuerySet.as_manager()

    class Meta:
        abstract = True

    def settled(self, due_at: datetime | None = None) -> dict:
        """Column values of a row whose work is done; `due_at` when it wants the next round."""
        return {"due_at": due_at, "leased_until": None, "attempts": 0, "last_error": ""}

    def failed(self, error: str, now: datetime) -> dict:
        """Column values of a row whose work failed: try again after a growing pause."""
        pause = min(timedelta(seconds=2 ** min(self.attempts, 10)), LONGEST_PAUSE)
        return {"due_at": now + pause, "leased_until": None, "last_error": error[:2000]}


class Clock:
    """The time of the door that called, going on: leases must know how long work takes."""

    def __init__(self, now: datetime):
        self._now, self._started = now, time.monotonic()

    def __call__(self) -> datetime:
        return self._now + timedelta(seconds=time.monotonic() - self._started)


def ring(task: str) -> None:
    """Wake the worker once what we just wrote is committed. Lost rings cost a sweep, never the work.

    A broker that is down must not hold up whoever rings: `max_retries` 0 in CELERY_BROKER_TRANSPORT_OPTIONS, or kombu
    tries for six seconds.
    """
    transaction.on_commit(lambda: _send(task), robust=True)


def _send(task: str) -> None:
    current_app.send_task(task, retry=False, ignore_result=True)
