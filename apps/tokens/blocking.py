"""Blocking and unblocking drivers and cards, and whether the partners know of it yet."""

from datetime import datetime

from django.db import connection, transaction

from apps.drivers.models import Driver
from apps.partners import agreements

from .announcing import LISTENING, announce
from .cards import TOLD
from .models import Token
from .sight import sees

KNOWN_BY = f"""
SELECT count(*) FILTER (WHERE knows), count(*) FROM (
    SELECT bool_and(coalesce(delivery.confirmed_version = token.version, false)) AS knows
    FROM partners_partner partner CROSS JOIN tokens_token token
    LEFT JOIN tokens_tokendelivery delivery ON delivery.partner_id = partner.id AND delivery.token_id = token.id
    WHERE token.id = ANY(%(tokens)s) AND token.type = ANY(%(told)s) AND {LISTENING}
        AND (delivery.id IS NOT NULL OR {sees("partner.id")})
    GROUP BY partner.id
) AS partners
"""


def block_driver(driver: Driver, now: datetime) -> bool:
    """Refuse all cards of a driver from now on; False if that was so already.

    Our own answers change at once; partners that decide from their copy are told before anything else.
    """
    return _set_blocked(Driver, driver, now, now)


def unblock_driver(driver: Driver, now: datetime) -> bool:
    return _set_blocked(Driver, driver, None, now)


def block_token(token: Token, now: datetime) -> bool:
    return _set_blocked(Token, token, now, now)


def unblock_token(token: Token, now: datetime) -> bool:
    return _set_blocked(Token, token, None, now)


def known_by(blocked: Driver | Token, now: datetime) -> tuple[int, int]:
    """How many of the partners we push to, and that see or knew them, know the present state of all these cards: n of m."""
    ids = [token.pk for token in _tokens_of(blocked)]
    with connection.cursor() as cursor:
        told = [kind.value for kind in TOLD]
        cursor.execute(KNOWN_BY, {"tokens": ids, "told": told, "today": agreements.day_of(now)})
        return cursor.fetchone()


@transaction.atomic
def _set_blocked(model: type, row: Driver | Token, blocked_at: datetime | None, now: datetime) -> bool:
    changed = model.objects.filter(pk=row.pk, blocked_at__isnull=blocked_at is not None).update(blocked_at=blocked_at)
    if changed:
        row.blocked_at = blocked_at
        announce(_tokens_of(row), now, urgent=True)
    return bool(changed)


def _tokens_of(row: Driver | Token) -> list[Token]:
    return [row] if isinstance(row, Token) else list(Token.objects.filter(contract__driver=row).only("pk"))
