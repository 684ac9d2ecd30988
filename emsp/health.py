"""Whether we live, whether we can work, and what waits for how long (trust O1). Probes need no login and no https."""

import ipaddress
import secrets
from functools import cache

from celery import current_app
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from apps.postgresql.base import impatient
from emsp import metrics as backlog
from emsp import stopping

BROKER_PATIENCE_S = 2
TEXT = "text/plain; charset=utf-8"


def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers. Asks nobody else, so that a database that is down restarts no web process."""
    return HttpResponse("ok\n", content_type=TEXT)


def readyz(request: HttpRequest) -> HttpResponse:
    """200 when we can work, else 503; a line per thing we need. What is wrong in detail is for the log.

    A broker that is down is said and delays work, but cards are still authorised without it (trust O6, R26).
    """
    if stopping.is_announced():
        return HttpResponse("web: is about to stop\n", status=503, content_type=TEXT)
    needed, missed = {"database": database(), "migrations": migrations()}, {"broker": broker()}
    lines = "".join(f"{name}: {problem or 'ok'}\n" for name, problem in (needed | missed).items())
    return HttpResponse(lines, status=503 if any(needed.values()) else 200, content_type=TEXT)


def metrics(request: HttpRequest) -> HttpResponse:
    """Gauges for Prometheus, for whoever knows METRICS_TOKEN; without one, for this machine alone."""
    if not may_measure(request):
        return HttpResponse("forbidden\n", status=403, content_type=TEXT)
    return HttpResponse(backlog.text(timezone.now()), content_type=backlog.CONTENT_TYPE)


def database() -> str:
    """What is wrong with it, in a word; empty when nothing is."""
    try:
        with impatient(), connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "unreachable"
    return ""


def migrations() -> str:
    try:
        with impatient():
            missing = known_migrations() - set(MigrationRecorder(connection).applied_migrations())
    except DatabaseError:
        return "unknown"
    return f"{len(missing)} to be applied" if missing else ""


@cache
def known_migrations() -> frozenset:
    """Those of this code; they do not change while it runs."""
    return frozenset(MigrationLoader(None).disk_migrations)


def broker() -> str:
    """A broker that is down only delays work: what is due is found by the next round of the timetable that is heard."""
    line = current_app.connection_for_write(connect_timeout=BROKER_PATIENCE_S)
    line.transport_options = line.transport_options | {
        "socket_connect_timeout": BROKER_PATIENCE_S,
        "socket_timeout": BROKER_PATIENCE_S,
    }
    try:
        with line:
            line.ensure_connection(max_retries=1, timeout=BROKER_PATIENCE_S)
            line.default_channel  # noqa: B018  the channel is what talks to the broker
    except (BrokerError, OSError):
        return "unreachable"
    return ""


def may_measure(request: HttpRequest) -> bool:
    if settings.METRICS_TOKEN:
        wanted = f"Bearer {settings.METRICS_TOKEN}"
        return secrets.compare_digest(request.headers.get("Authorization", "").encode(), wanted.encode())
    # Behind a proxy everybody comes from its address: what it forwards is not from this machine.
    forwarded = {"X-Forwarded-For", "Forwarded", "X-Forwarded-Proto"} & set(request.headers)
    return not forwarded and ipaddress.ip_address(request.META.get("REMOTE_ADDR") or "0.0.0.0").is_loopback  # noqa: S104
