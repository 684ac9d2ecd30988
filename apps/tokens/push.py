"""Telling partners of our tokens: wanted state against confirmed state (trust D5, R6).

Always the whole object in its present state, never a queue of changes: an older wish is overtaken by a newer one, the
order does not matter, and sending twice does no harm (mod_tokens, Receiver Interface, PUT).
"""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from http import HTTPStatus
from itertools import groupby
from typing import NamedTuple
from urllib.parse import quote, urlencode

from django.db import transaction
from django.db.models import Q

from apps.bulk import run_prepared
from apps.ocpi import objects
from apps.ocpi.client import Peer
from apps.ocpi.errors import OcpiError, PeerFailed
from apps.ocpi.versions import VERSIONS, Version
from apps.partners import exchanges
from apps.partners.clients import require_connected
from apps.partners.models import Partner
from apps.partners.peers import endpoint, peer_of
from apps.work import ring

from .announcing import PUSH, enlist
from .cards import Card, cards_of, describe, withdrawn
from .models import Token, TokenDelivery
from .sight import seen_by

BATCH = 100
SOON_S = 0.2
LEASE = timedelta(minutes=5)
"""Longer than a batch can take: the first call that gets no answer ends it for that partner."""


def push_due(now: datetime, us: objects.Party, limit: int = BATCH) -> dict:
    """Deliver what is due, to any partner; rings for the rest. Whoever runs beside this takes other rows."""
    claimed = _connected().select_related("partner").claim(now, LEASE, limit)
    confirmed = sum(_push_batch(partner, batch, now, us) for partner, batch in _by_partner(claimed))
    if len(claimed) == limit:
        ring(PUSH)
    return {"due": len(claimed), "confirmed": confirmed, "behind": len(claimed) - confirmed}


def push_partner(partner: Partner, now: datetime, us: objects.Party) -> dict:
    """Deliver all that one partner does not know, also what waits for its next try; waits for a running push."""
    started = time.monotonic()
    enlist(partner, now)
    wanted = _connected().filter(partner=partner, due_at__isnull=False)
    wanted.filter(due_at__gt=now).update(due_at=now)
    due = wanted.count()
    while batch := _next_batch(wanted, now, started):
        if not _push_batch(partner, batch, now, us):
            break
    behind = wanted.count()
    return {"due": due, "confirmed": max(due - behind, 0), "behind": behind}


def trouble_with(partner: Partner) -> str:
    """What was wrong when a token last could not be delivered to the partner; nothing if none waits for that."""
    waiting = TokenDelivery.objects.filter(partner=partner, due_at__isnull=False).exclude(last_error="")
    return waiting.order_by("-due_at").values_list("last_error", flat=True).first() or ""


def _connected():
    return TokenDelivery.objects.filter(partner__state=Partner.State.CONNECTED)


def _next_batch(wanted, now: datetime, started: float) -> list[TokenDelivery]:
    """Rows to push; empty when none is left that could go now. Rows that another process holds are waited for."""
    while True:
        clock = now + timedelta(seconds=time.monotonic() - started)
        batch = wanted.filter(due_at__lte=now).claim(clock, LEASE, BATCH)
        if batch or not wanted.filter(due_at__lte=now, leased_until__gte=clock).exists():
            return batch
        time.sleep(0.2)


def _by_partner(claimed: list[TokenDelivery]) -> Iterator[tuple[Partner, list[TokenDelivery]]]:
    """Partners that answered last time come first, so that a silent one does not hold up a blocked card."""
    deliveries = sorted(claimed, key=lambda delivery: delivery.partner_id)
    batches = [list(batch) for _, batch in groupby(deliveries, key=lambda delivery: delivery.partner_id)]
    for batch in sorted(batches, key=lambda batch: max(delivery.attempts for delivery in batch)):
        yield batch[0].partner, batch


def _push_batch(partner: Partner, batch: list[TokenDelivery], now: datetime, us: objects.Party) -> int:
    """PUT one token after the other; how many were confirmed. Who does not answer is left alone for a while."""
    try:
        require_connected(partner, partner.parties.all())
        told = Confirming(now)
        peer, url = peer_of(partner, "tokens", keep=told.said.append), endpoint(partner, "tokens", "RECEIVER")
    except (OcpiError, PeerFailed) as error:
        return _rest(partner, batch[0], str(error), now)
    ids = [delivery.token_id for delivery in batch]
    cards, seen = cards_of(ids, now), seen_by(partner.pk, ids, now)
    for delivery in _worth_telling(batch, seen):
        is_seen = delivery.token_id in seen
        try:
            _put(peer, url, partner, cards[delivery.token_id], us, is_seen=is_seen)
        except PeerFailed as error:
            if not _is_about_this_token(error):
                return told.finish() + _rest(partner, delivery, str(error), now)
            _give_up([delivery], str(error), now)
        else:
            told.add(Told(delivery, cards[delivery.token_id].version, is_withdrawn=not is_seen))
    return told.finish()


def _worth_telling(batch: list[TokenDelivery], seen: set[int]) -> Iterator[TokenDelivery]:
    """All but cards that the partner does not see and was never told of: of those it learns nothing (trust S18)."""
    for delivery in batch:
        if delivery.token_id in seen or delivery.confirmed_version or delivery.attempts > 1:
            yield delivery
        else:
            delivery.delete()


def _is_about_this_token(error: PeerFailed) -> bool:
    """Whether another token may fare better. No answer, no access, too many requests, a broken server, a hub that cannot
    reach who is meant are about all."""
    about_all = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)
    status = error.http_status
    is_answer = status is not None and status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in about_all
    return is_answer and not error.is_of_hub


def _put(peer: Peer, url: str, partner: Partner, card: Card, us: objects.Party, *, is_seen: bool) -> None:
    version = VERSIONS[partner.version]
    told = describe(card, us) if is_seen else withdrawn(card, us)
    token = version.write("token", told, nulls=partner.nulls)
    peer.put(url_of(card, url, version, us), token)


def url_of(card: Card, url: str, version: Version, us: objects.Party) -> str:
    """Where a partner keeps a card of ours, by the URL of its endpoint.

    The type is part of a token's key, RFID where nothing is said (mod_tokens, Receiver Interface). Before 2.2 no URL
    names it, and tokens of one uid and different types are one to the partner (TOK-07)."""
    path = "/".join(quote(part, safe="") for part in (us.country_code, us.party_id, card.uid))
    is_usual = card.type == Token.Type.RFID or not version.has_types_of_tokens
    query = "" if is_usual else "?" + urlencode({"type": card.type})
    return f"{url.rstrip('/')}/{path}{query}"


class Told(NamedTuple):
    """A state of a token that the partner took."""

    delivery: TokenDelivery
    version: int
    is_withdrawn: bool = False


class Confirming:
    """What a partner took, and what was said, noted together: one by one that took longer than telling it. Who answers
    slowly is noted at once, for somebody may wait to see that a card is blocked everywhere."""

    def __init__(self, now: datetime):
        self._now, self._told, self._since, self._confirmed = now, [], time.monotonic(), 0
        self.said: list[exchanges.Said] = []

    def add(self, told: Told) -> None:
        self._told.append(told)
        if time.monotonic() - self._since > SOON_S:
            self.finish()

    def finish(self) -> int:
        """How many are known in their present state, in all."""
        with transaction.atomic():
            exchanges.keep_all(self.said)
            self._confirmed += confirm(self._told, self._now) if self._told else 0
        self._told, self._since = [], time.monotonic()
        self.said.clear()
        return self._confirmed


@transaction.atomic
def confirm(told: list[Told], now: datetime) -> int:
    """Note what the partner knows now; how much of that is the present state.

    The deliveries are locked before the versions of the tokens are read, in a statement of its own: `announce` raises the
    version first and then makes the delivery due, so we see either both or neither. Read in one statement, a change that
    commits while we wait for the lock would be forgotten. If our lease ran out, somebody else may have sent a newer
    state before this one arrived: it is sent once more.
    """
    rows = TokenDelivery.objects.filter(pk__in=[one.delivery.pk for one in told])
    held = {row.pk: row.leased_until for row in rows.select_for_update().order_by("pk")}
    ours = [one for one in told if held.get(one.delivery.pk) == one.delivery.leased_until]
    if len(ours) < len(told):
        rows.exclude(pk__in=[one.delivery.pk for one in ours]).update(due_at=now)
    columns = list(zip(*((one.delivery.pk, one.version, one.is_withdrawn) for one in ours), strict=True))
    return sum(is_current for (is_current,) in run_prepared(CONFIRM, [now, *map(list, columns)])) if ours else 0


CONFIRM = """
UPDATE tokens_tokendelivery kept SET
    confirmed_version = told.version, confirmed_at = %s, is_withdrawn = told.is_withdrawn,
    leased_until = NULL, attempts = 0, last_error = '', due_at = CASE WHEN token.version <> told.version THEN kept.due_at END
FROM unnest(%s::bigint[], %s::integer[], %s::boolean[]) AS told (id, version, is_withdrawn), tokens_token token
WHERE kept.id = told.id AND token.id = kept.token_id
RETURNING kept.due_at IS NULL
"""


def _give_up(batch: list[TokenDelivery], error: str, now: datetime) -> int:
    for delivery in batch:
        values = delivery.failed(error, now)
        TokenDelivery.objects.filter(pk=delivery.pk, leased_until=delivery.leased_until).update(**values)
    return 0


def _rest(partner: Partner, tried: TokenDelivery, error: str, now: datetime) -> int:
    """All that this partner waits for waits together, or 50,000 tokens would wait out one timeout each."""
    idle_or_ours = Q(leased_until=None, due_at__lte=now) | Q(leased_until=tried.leased_until)
    TokenDelivery.objects.filter(idle_or_ours, partner=partner).update(
        attempts=tried.attempts, **tried.failed(error, now)
    )
    return 0
