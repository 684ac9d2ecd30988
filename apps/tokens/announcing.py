"""What partners must learn of our tokens: versions are raised and deliveries become due here, and nowhere else (R6)."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Greatest

from apps.partners import agreements
from apps.partners.models import Partner
from apps.work import ring

from .cards import TOLD
from .models import Token, TokenDelivery
from .sight import sees

PUSH = "apps.tokens.tasks.push_tokens"

BEFORE_ALL_ELSE = timedelta(days=365)
"""Due so long that it is taken before any backlog: a blocked card must not wait for 50,000 new ones (trust R6)."""

NEWLY = timedelta(minutes=10)

PATIENCE = 5
"""After so many attempts somebody should look at it."""

LISTENING = """partner.state = 'CONNECTED' AND EXISTS (
    SELECT FROM partners_endpoint endpoint
    WHERE endpoint.partner_id = partner.id AND endpoint.identifier = 'tokens' AND endpoint.role = 'RECEIVER')"""
"""Partners that tokens can be pushed to. The others read our list."""

MAKE_DUE = f"""
INSERT INTO tokens_tokendelivery AS stored (partner_id, token_id, confirmed_version, attempts, last_error, due_at)
SELECT partner.id, token.id, 0, 0, '', %(due)s
FROM tokens_token token CROSS JOIN partners_partner partner
WHERE token.id = ANY(%(tokens)s) AND token.type = ANY(%(told)s) AND {LISTENING} AND (
    {sees("partner.id")}
    OR EXISTS (SELECT FROM tokens_tokendelivery told WHERE told.partner_id = partner.id AND told.token_id = token.id))
ORDER BY token.id, partner.id
ON CONFLICT (partner_id, token_id) DO UPDATE SET due_at = excluded.due_at, attempts = 0
"""

SEEN = sees("%(partner)s")

ENLIST = f"""
INSERT INTO tokens_tokendelivery AS stored (partner_id, token_id, confirmed_version, attempts, last_error, due_at)
SELECT partner.id, token.id, 0, 0, '', %(now)s
FROM tokens_token token CROSS JOIN partners_partner partner
LEFT JOIN tokens_tokendelivery known ON known.partner_id = partner.id AND known.token_id = token.id
WHERE partner.id = %(partner)s AND token.type = ANY(%(told)s) AND {LISTENING} AND known.due_at IS NULL
    AND CASE WHEN known.id IS NULL THEN {SEEN} ELSE known.confirmed_version <> token.version
        OR known.confirmed_at IS NULL OR known.confirmed_at < partner.connected_at OR known.is_withdrawn = {SEEN} END
ORDER BY token.id
ON CONFLICT (partner_id, token_id) DO UPDATE SET due_at = excluded.due_at
"""
"""Also what it knows and sees no longer, or sees again."""


@transaction.atomic
def announce(tokens: Iterable[Token], now: datetime, *, urgent: bool = False) -> None:
    """Tell every partner of tokens that changed. Called in the transaction of the change itself.

    Rows are locked in one order first, so that two acts on the same cards wait for each other and never deadlock.
    """
    ids = [token.pk for token in tokens]
    locked = Token.objects.filter(pk__in=ids).order_by("pk").select_for_update().values_list("pk", flat=True)
    later = F("last_updated") + timedelta(milliseconds=1)
    Token.objects.filter(pk__in=list(locked)).update(version=F("version") + 1, last_updated=Greatest(now, later))
    introduce(ids, now, urgent=urgent)


def introduce(token_ids: Iterable[int], now: datetime, *, urgent: bool = False) -> None:
    """Make deliveries due to whoever sees them, also of tokens that are new and have their first version."""
    due_at = now - BEFORE_ALL_ELSE if urgent else now
    parameters = {"due": due_at, "tokens": list(token_ids), "told": _told(), "today": agreements.day_of(now)}
    if parameters["tokens"] and _execute(MAKE_DUE, parameters):
        ring(PUSH)


def enlist(partner: Partner, now: datetime) -> int:
    """Make due what a partner lacks: deliveries that never were, and all that it knew before it registered anew."""
    wanted = {"partner": partner.pk, "now": now, "told": _told(), "today": agreements.day_of(now)}
    count = _execute(ENLIST, wanted)
    if count:
        ring(PUSH)
    return count


def enlist_everywhere(now: datetime) -> int:
    """Compares every token with every partner: for the hourly round."""
    return sum(enlist(partner, now) for partner in Partner.objects.filter(state=Partner.State.CONNECTED).order_by("pk"))


def welcome(now: datetime) -> int:
    """Enlist partners that connected since the last rounds, or that have never been told anything."""
    newly = Q(connected_at__gt=now - NEWLY) | ~Exists(TokenDelivery.objects.filter(partner=OuterRef("pk")))
    connected = Partner.objects.filter(newly, state=Partner.State.CONNECTED).order_by("pk")
    return sum(enlist(partner, now) for partner in connected)


def lapse(now: datetime) -> int:
    """Announce tokens whose first or last moment has passed since partners were told of them."""
    begun = Q(valid_from__lte=now, valid_from__gt=F("last_updated"))
    ended = Q(expires_at__lte=now, expires_at__gt=F("last_updated"))
    with transaction.atomic():
        tokens = list(Token.objects.filter(begun | ended).only("pk"))
        announce(tokens, now)
    return len(tokens)


def _told() -> list[str]:
    return [kind.value for kind in TOLD]


def _execute(statement: str, parameters: dict) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.rowcount


def on_their_way(now: datetime) -> Q:
    """Cards that some partner is to be told of."""
    return Q(pk__in=TokenDelivery.objects.filter(due_at__lte=now).values("token"))


def could_not_be_told() -> Q:
    """Cards that some partner has not taken for long."""
    return Q(pk__in=TokenDelivery.objects.filter(due_at__isnull=False, attempts__gte=PATIENCE).values("token"))
