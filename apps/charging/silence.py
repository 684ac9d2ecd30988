"""Sessions that fall silent: the word that one is over may have got lost, or come too late for the next pull (SES-07).

A CPO has no URL for one session, so its list is asked for again from where the silent one spoke last. What it says then
is taken like everything; where it says nothing new the session is shown as silent, and the status stays the CPO's.
"""

from datetime import datetime, timedelta

from django.db.models import F, Min, Q, QuerySet

from apps.charging.models import Session
from apps.partners import pull
from apps.partners.models import Feed

AFTER = timedelta(hours=12)
"""Of a night at a charge point many tell the beginning and the end alone."""

WORTH_ASKING = timedelta(days=30)
"""What has been silent for longer is shown, and not asked for: the way back through all lists is long."""


def silent(now: datetime) -> QuerySet[Session]:
    """Those of which nobody knows whether they still run."""
    return Session.objects.filter(status__in=Session.LIVE, last_updated__lte=now - AFTER)


def is_silent(session: Session, now: datetime) -> bool:
    return session.status in Session.LIVE and session.last_updated <= now - AFTER


def ask(now: datetime) -> int:
    """Ask again from where they spoke last, once for each silence; of how many sessions."""
    is_asked = Q(asked_at__isnull=False, asked_at__gte=F("received_at"))
    waiting = silent(now).exclude(is_asked).filter(last_updated__gt=now - WORTH_ASKING)
    spoke = waiting.filter(party__partner__isnull=False).values_list("party__partner").annotate(Min("last_updated"))
    return sum(
        waiting.filter(party__partner=partner).update(asked_at=now)
        for partner, since in spoke.order_by("party__partner")
        if pull.reach_back(partner, Feed.Module.SESSIONS, since, now)
    )
