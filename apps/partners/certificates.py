"""Until when the certificates hold that our calls need, looked at once a day, and said in time (trust S52).

Of each connection: those of the hosts that we call, seen by a handshake as for any call, and those that staff gave us.
A host that does not answer costs itself: it is looked at tomorrow, and that it is silent its feeds say.
"""

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction

from apps.ocpi import tls
from apps.ocpi.addresses import HTTPS
from apps.ocpi.client import Expired, certificate_ends_at
from apps.ocpi.errors import PeerFailed
from apps.work import Clock, ring

from . import alarms
from .encryption import tls_of
from .models import Alarm, Certificate, Endpoint, Partner

log = logging.getLogger(__name__)

NOTICE = timedelta(days=21)
EVERY = timedelta(days=1)
PATIENCE_S = 10
LEASE = timedelta(minutes=2)
LONGEST_ROUND = timedelta(minutes=3)
"""Shorter than the pause between two rounds, so that silent hosts keep one worker busy at most."""

GIVEN = {"certificate_authority": "its certificate authority", "client_certificate": "our client certificate"}
"""What staff gave us: the names of the rows of those columns. No host is called so."""

LOOK = "apps.partners.tasks.look_at_certificates"


def look_at_due(now: datetime) -> int:
    """Look at the certificates that are due, one after the other, for a while. How many."""
    enlist(now)
    clock, looked = Clock(now), 0
    while clock() < now + LONGEST_ROUND and (claimed := _connected().claim(clock(), LEASE, limit=1)):
        _look_at(claimed[0], clock())
        looked += 1
    return looked


def look_again(partner: Partner, columns: set[str], now: datetime) -> None:
    """Staff changed what its calls are encrypted with: all of it is looked at soon, and what is new is warned of anew."""
    partner.certificates.update(due_at=now, leased_until=None)
    partner.certificates.filter(name__in=[GIVEN[column] for column in columns]).update(warned_at=None)
    ring(LOOK)


def hosts_of(partner: Partner) -> list[str]:
    """The https hosts of the partner that we call, each once."""
    urls = [partner.versions_url, *partner.endpoints.values_list("url", flat=True)]
    return sorted(set(filter(None, map(_host, urls))))


def host_ends_at(partner: Partner, host: str) -> datetime:
    """Until when the certificate that a host shows now holds; Expired or PeerFailed where it is not believed."""
    where = {"private_hosts": settings.OCPI_PRIVATE_HOSTS, "is_private": partner.is_private}
    return certificate_ends_at(f"https://{host}/", tls=tls_of(partner), patience=PATIENCE_S, **where)


def is_ending(row: Certificate, now: datetime) -> bool:
    """It is over, or somebody has to renew it soon."""
    return is_over(row, now + NOTICE)


def is_over(row: Certificate, now: datetime) -> bool:
    return row.has_ended or (row.ends_at is not None and row.ends_at <= now)


# Which


@transaction.atomic
def enlist(now: datetime) -> None:
    """A row for each certificate that is needed, due at once; what is no longer needed is forgotten."""
    wanted = set(_wanted())
    held = {(partner, name): pk for pk, partner, name in Certificate.objects.values_list("pk", "partner_id", "name")}
    Certificate.objects.filter(pk__in=[pk for key, pk in held.items() if key not in wanted]).delete()
    new = [Certificate(partner_id=partner, name=name, due_at=now) for partner, name in sorted(wanted - held.keys())]
    Certificate.objects.bulk_create(new, ignore_conflicts=True)


def _wanted() -> Iterator[tuple[int, str]]:
    partners = Partner.objects.filter(state=Partner.State.CONNECTED)
    endpoints = Endpoint.objects.filter(partner__in=partners)
    for urls in (partners.values_list("pk", "versions_url"), endpoints.values_list("partner_id", "url")):
        yield from ((partner, host) for partner, url in urls if (host := _host(url)))
    for column, name in GIVEN.items():
        yield from ((pk, name) for pk in partners.exclude(**{column: ""}).values_list("pk", flat=True))


def _host(url: str) -> str | None:
    """As in a URL; None where there is no TLS, or no URL that could be called."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme != "https" or not host:
        return None
    host = f"[{host}]" if ":" in host else host
    return host if port in (None, HTTPS) else f"{host}:{port}"


def _connected():
    return Certificate.objects.filter(partner__state=Partner.State.CONNECTED).select_related("partner")


# Until when


class _Seen(NamedTuple):
    """`ends_at` None: unknown."""

    ends_at: datetime | None
    has_ended: bool
    error: str = ""


def _look_at(row: Certificate, now: datetime) -> None:
    try:
        seen = _seen(row, now)
    except Exception as error:
        log.exception("the look at the certificate of %s broke off, and the fault is ours", row)
        seen = _Seen(row.ends_at, row.has_ended, f"our fault: {type(error).__name__}")
    _keep(row, seen, now)


def _seen(row: Certificate, now: datetime) -> _Seen:
    """Where it cannot be seen, what was seen last still holds."""
    try:
        ends_at = _ends_at(row)
    except Expired as error:
        return _Seen(row.ends_at if row.ends_at and row.ends_at <= now else None, has_ended=True, error=error.reason)
    except PeerFailed as error:
        return _Seen(row.ends_at, row.has_ended, error.reason)
    return _Seen(ends_at, has_ended=ends_at <= now)


def _ends_at(row: Certificate) -> datetime:
    column = next((column for column, name in GIVEN.items() if name == row.name), None)
    return tls.ends_at(getattr(row.partner, column)) if column else host_ends_at(row.partner, row.name)


@transaction.atomic
def _keep(row: Certificate, seen: _Seen, now: datetime) -> None:
    """Tomorrow again, whatever came of it. Nothing where the row was taken over, or is needed no more."""
    row.ends_at, row.has_ended, row.looked_at = seen.ends_at, seen.has_ended, now
    is_new, row.warned_at = is_ending(row, now) and row.warned_at is None, _warned_at(row, now)
    told = {name: getattr(row, name) for name in ("ends_at", "has_ended", "looked_at", "warned_at")}
    told |= row.settled(due_at=now + EVERY) | {"last_error": seen.error}
    if Certificate.objects.filter(pk=row.pk, leased_until=row.leased_until).update(**told) and is_new:
        alarms.sound(row.partner_id, Alarm.Kind.CERTIFICATE, _reason(row.partner_id, now), now)


def _warned_at(row: Certificate, now: datetime) -> datetime | None:
    """Once for a certificate: another takes its place when there is time again."""
    return (row.warned_at or now) if is_ending(row, now) else None


def _reason(partner_id: int, now: datetime) -> str:
    """All of the partner's that are ending, for one alarm stands for them."""
    rows = Certificate.objects.filter(partner=partner_id).order_by("ends_at", "name")
    return "; ".join(worded(row, now) for row in rows if is_ending(row, now))


def worded(row: Certificate, now: datetime) -> str:
    """Whose it is, and until when.

    >>> from datetime import UTC
    >>> end = datetime(2026, 3, 1, tzinfo=UTC)
    >>> worded(Certificate(name="cpo.example", ends_at=end), end - timedelta(days=9))
    'cpo.example: until 2026-03-01'
    """
    return f"{row.name}: {state_of(row, now)}"


def state_of(row: Certificate, now: datetime) -> str:
    """Days are UTC's, as certificates have them."""
    if row.ends_at is None:
        return "expired" if row.has_ended else "not seen yet"
    return f"{'expired' if is_over(row, now) else 'until'} {row.ends_at:%Y-%m-%d}"
