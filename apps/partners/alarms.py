"""What partners do that somebody has to look at: one open row of each kind and partner, counted up until it is settled."""

import logging
from datetime import datetime

from django.db import connection

from .models import Alarm, Partner

log = logging.getLogger(__name__)

SOUND = """
INSERT INTO partners_alarm AS open (partner_id, kind, reason, count, first_at, last_at)
VALUES (%(partner)s, %(kind)s, %(reason)s, 1, %(now)s, %(now)s)
ON CONFLICT (partner_id, kind) WHERE settled_at IS NULL
DO UPDATE SET count = open.count + 1, reason = excluded.reason, last_at = greatest(open.last_at, excluded.last_at)
"""


def sound(partner_id: int, kind: Alarm.Kind, reason: str, now: datetime) -> None:
    """Say it in the log, on the home page and on the partner's page."""
    log.warning("partner %s: %s: %s", partner_id, kind.label, reason)
    with connection.cursor() as cursor:
        cursor.execute(SOUND, {"partner": partner_id, "kind": kind.value, "reason": reason, "now": now})


def settle(alarm: Alarm, now: datetime) -> None:
    """Somebody has looked. A partner that was slowed down for it goes on at its own pace. ValueError if it is settled."""
    if not Alarm.objects.filter(pk=alarm.pk, settled_at=None).update(settled_at=now):
        raise ValueError("this alarm is settled already")
    if alarm.kind == Alarm.Kind.GUESSING:
        Partner.objects.filter(pk=alarm.partner_id).update(slowed_until=None)
