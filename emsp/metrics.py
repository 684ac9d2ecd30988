"""What waits, how much and for how long, read from the tables when somebody asks: the tables are the queues.

Every process would give the same figures, so nothing has to be added up over processes. Labels are partners, modules and
reasons, never cards or URLs (trust O1). Times are seconds.
"""

from collections.abc import Callable, Iterator
from datetime import datetime

from django.db import connection, transaction
from django.db.models import Count, Exists, Min, OuterRef
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest

from apps.billing.models import Document, Held, InvoiceRun, Payable
from apps.charging.models import Cdr, Command, Session
from apps.partners.models import Feed, Partner, Quarantined
from apps.tokens.models import TokenDelivery
from emsp.models import Heartbeat

CONTENT_TYPE = CONTENT_TYPE_LATEST
PATIENCE_MS = 5000

Sample = tuple[list[str], float]


def text(now: datetime) -> bytes:
    registry = CollectorRegistry()
    registry.register(Backlog(now))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL statement_timeout = {PATIENCE_MS}")
        return generate_latest(registry)


class Backlog:
    """All gauges at one moment, as Prometheus' client wants a collector."""

    def __init__(self, now: datetime):
        self.now = now

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for name, help_text, labels, samples in GAUGES:
            family = GaugeMetricFamily(f"emsp_{name}", help_text, labels=labels)
            for values, figure in samples(self.now):
                family.add_metric(values, figure)
            yield family

    def describe(self) -> list:
        """Registering must not ask the database."""
        return []


QUEUES = {"tokens": TokenDelivery, "feeds": Feed, "documents": Document, "runs": InvoiceRun, "commands": Command}


def due(now: datetime) -> Iterator[Sample]:
    for name, model in QUEUES.items():
        yield [name], model.objects.filter(due_at__lte=now).count()


def overdue(now: datetime) -> Iterator[Sample]:
    for name, model in QUEUES.items():
        oldest = model.objects.filter(due_at__lte=now).aggregate(oldest=Min("due_at"))["oldest"]
        yield [name], (now - oldest).total_seconds() if oldest else 0


def failing(now: datetime) -> Iterator[Sample]:
    for name, model in QUEUES.items():
        yield [name], model.objects.filter(due_at__isnull=False, attempts__gt=0).exclude(last_error="").count()


def heartbeats(now: datetime) -> Iterator[Sample]:
    for queue, heard in Heartbeat.objects.order_by("queue").values_list("queue", "heard_at"):
        yield [queue], (now - heard).total_seconds()


def partners(now: datetime) -> Iterator[Sample]:
    for state, count in Partner.objects.order_by("state").values_list("state").annotate(Count("pk")):
        yield [state], count


def connected_feeds():
    return Feed.objects.filter(partner__state=Partner.State.CONNECTED).order_by("partner", "module")


def feed_ages(now: datetime) -> Iterator[Sample]:
    """Since the last good pull, or since we are connected if there was none."""
    rows = connected_feeds().values_list("partner_id", "module", "last_good_at", "partner__connected_at")
    for partner, module, good, connected in rows:
        since = good or connected or now
        yield [str(partner), module], (now - since).total_seconds()


def feed_failures(now: datetime) -> Iterator[Sample]:
    for partner, module, failures in connected_feeds().values_list("partner_id", "module", "failures"):
        yield [str(partner), module], failures


def unrated():
    """Rating leaves a payable for every CDR it has looked at."""
    return Cdr.objects.filter(~Exists(Payable.objects.filter(cdr=OuterRef("pk"))))


def unrated_cdrs(now: datetime) -> Iterator[Sample]:
    yield [], unrated().count()


def oldest_unrated_cdr(now: datetime) -> Iterator[Sample]:
    oldest = unrated().aggregate(oldest=Min("received_at"))["oldest"]
    yield [], (now - oldest).total_seconds() if oldest else 0


def held_cdrs(now: datetime) -> Iterator[Sample]:
    for code, count in Held.objects.order_by("code").values_list("code").annotate(Count("pk")):
        yield [code], count


def unmatched_cdrs(now: datetime) -> Iterator[Sample]:
    yield [], Cdr.objects.unmatched().count()


def quarantined(now: datetime) -> Iterator[Sample]:
    found = Quarantined.objects.filter(state=Quarantined.State.OPEN)
    for module, count in found.order_by("module").values_list("module").annotate(Count("pk")):
        yield [module], count


def live_sessions(now: datetime) -> Iterator[Sample]:
    yield [], Session.objects.filter(status__in=Session.LIVE).count()


GAUGES: list[tuple[str, str, list[str], Callable[[datetime], Iterator[Sample]]]] = [
    ("due", "Rows whose work is due", ["queue"], due),
    ("due_oldest_seconds", "For how long the oldest of them has been due", ["queue"], overdue),
    ("due_failing", "Rows whose last attempt failed and that will be tried again", ["queue"], failing),
    ("heartbeat_age_seconds", "Since the workers of a queue heard the timetable", ["queue"], heartbeats),
    ("partners", "Partners by state", ["state"], partners),
    ("feed_age_seconds", "Since the last good pull", ["partner", "module"], feed_ages),
    ("feed_failures", "Failed pulls in a row", ["partner", "module"], feed_failures),
    ("cdrs_unrated", "CDRs that rating has not looked at", [], unrated_cdrs),
    ("cdrs_unrated_oldest_seconds", "For how long the oldest of them has been here", [], oldest_unrated_cdr),
    ("cdrs_held", "CDRs that are not billed for now, by reason", ["code"], held_cdrs),
    ("cdrs_unmatched", "CDRs that are nobody's yet", [], unmatched_cdrs),
    ("quarantine_open", "Objects that could not be taken and wait for staff", ["module"], quarantined),
    ("sessions_live", "Charging sessions under way", [], live_sessions),
]
