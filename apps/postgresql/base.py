"""The database backend of the settings: Django's own, but that those who must answer soon do not wait for ever (trust R26).

A server that stands still neither answers nor hangs up, so no timeout of its own helps: every thread of web would hang
on it, and no CPO would be told to fall back on its whitelist. Inside `impatient()` a statement is waited for so long
and no longer, then its connection is given up. Then nobody asks again for a moment, so that they do not pile up.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import psycopg
from django.db import OperationalError
from django.db.backends.postgresql import base
from psycopg.types.datetime import TimestamptzLoader

LONGEST_S = 1.5
"""Many times longer than any statement that answers a partner takes, locks of a page of a pull included."""

PAUSE_S = 1.0

_limit: ContextVar[float | None] = ContextVar("limit", default=None)
_silence = {"until": 0.0}


@contextmanager
def impatient() -> Iterator[None]:
    """Statements in here fail after LONGEST_S. OperationalError at once, where the server was silent a moment ago."""
    if is_silent():
        raise OperationalError("PostgreSQL did not answer a moment ago")
    before = _limit.set(LONGEST_S)
    try:
        yield
    finally:
        _limit.reset(before)


def is_silent() -> bool:
    """Whether the server let somebody of this process wait too long a moment ago."""
    return time.monotonic() < _silence["until"]


def _note_silence() -> None:
    _silence["until"] = time.monotonic() + PAUSE_S


class Line(psycopg.Connection):
    def wait(self, gen, interval: float = 0.1, timeout: float | None = None):
        limit = _limit.get()
        if limit is None:
            return super().wait(gen, interval, timeout)
        began = time.monotonic()
        try:
            return super().wait(gen, interval, limit)
        except psycopg.OperationalError:
            if time.monotonic() - began >= limit:
                _note_silence()
                self.pgconn.finish()  # what is under way there can be told neither to end nor to go on
            raise


class DatabaseWrapper(base.DatabaseWrapper):
    def get_new_connection(self, conn_params):
        try:
            line = super().get_new_connection(conn_params)
        except psycopg.errors.ConnectionTimeout:
            _note_silence()
            raise
        line.__class__ = Line  # Django names the class that it connects by nowhere
        return line

    def create_cursor(self, name=None):
        """Times are read in C: Django's own reader gives the same, since all our connections are in UTC, but in Python."""
        cursor = super().create_cursor(name)
        cursor.adapters.register_loader("timestamptz", TimestamptzLoader)
        return cursor
