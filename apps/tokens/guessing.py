"""Whether a partner tries out which cards there are (trust S43)."""

import threading
from collections import Counter
from datetime import datetime, timedelta

from django.db import connection

from apps.partners import alarms
from apps.partners.models import Alarm, Partner

LOOKED_AFTER = 10
"""Unknown cards that a process answers to a partner until it looks at what the partner asked altogether."""
LAST_CALLS, MOST_UNKNOWN = 100, 20
MOST_A_MINUTE = 30
SLOWED_FOR = timedelta(hours=1)

ASKED = """
WITH asked AS (
    SELECT allowed = 'UNKNOWN' AS is_unknown, at FROM tokens_authorization
    WHERE partner_id = %(partner)s AND at > %(now)s - interval '1 hour' ORDER BY at DESC LIMIT 1000
),
last AS (SELECT is_unknown FROM asked LIMIT %(calls)s)
SELECT (SELECT count(*) FROM last), (SELECT count(*) FROM last WHERE is_unknown),
    (SELECT count(*) FROM asked WHERE is_unknown AND at > %(now)s - interval '1 minute')
"""

_unknown: Counter[int] = Counter()
_lock = threading.Lock()


def note_unknown(partner_id: int, now: datetime) -> None:
    """A partner asked for a card that there is not; every so often that is a reason to look."""
    with _lock:
        _unknown[partner_id] += 1
        is_time = _unknown[partner_id] % LOOKED_AFTER == 0
    if is_time and (reason := suspicion(partner_id, now)):
        Partner.objects.filter(pk=partner_id).update(slowed_until=now + SLOWED_FOR)
        alarms.sound(partner_id, Alarm.Kind.GUESSING, reason, now)


def suspicion(partner_id: int, now: datetime) -> str:
    """Why it looks like guessing; empty if it does not."""
    with connection.cursor() as cursor:
        cursor.execute(ASKED, {"partner": partner_id, "now": now, "calls": LAST_CALLS})
        calls, unknown, of_last_minute = cursor.fetchone()
    if of_last_minute > MOST_A_MINUTE:
        return f"{of_last_minute} unknown cards in a minute"
    if calls == LAST_CALLS and unknown > MOST_UNKNOWN:
        return f"{unknown} of the last {LAST_CALLS} cards were unknown"
    return ""
