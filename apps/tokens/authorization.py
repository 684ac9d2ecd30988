"""May this card charge? Decided, written down and answered in one statement (decision 25): somebody waits in the rain.

A card that the partner does not see is as unknown to it as one that there is not (trust S18). Opening hours and the state of
the charge point do not count (TOK-06), and nothing is asked of anybody else.
"""

import hmac
import json
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from django.utils.crypto import salted_hmac

from apps.bulk import run_prepared
from apps.ocpi import objects
from apps.partners.agreements import day_of

from .cards import CARD, Card, describe
from .models import Authorization, Token
from .sight import sees

SAME_TAP = timedelta(seconds=30)
"""For how long a repeat of (partner, card, location) is the same act and has the same reference (trust R28)."""

PRESENTED = "upper(token.uid) = upper(%(uid)s) AND token.type = %(type)s"

STATEMENT = f"""
WITH card AS ({CARD} WHERE {PRESENTED} AND {sees("%(partner)s", "driver.account_id")}),
repeated AS (
    SELECT earlier.reference FROM tokens_authorization earlier JOIN card ON card.id = earlier.token_id
    WHERE earlier.partner_id = %(partner)s AND earlier.location_id = %(location)s AND earlier.allowed = 'ALLOWED'
    AND earlier.at > %(since)s AND earlier.at <= %(now)s AND NOT EXISTS (
        SELECT FROM tokens_authorization first
        WHERE first.reference = earlier.reference AND first.at <= %(since)s
    )
    ORDER BY earlier.at DESC LIMIT 1
),
written AS (
    INSERT INTO tokens_authorization
        (partner_id, token_id, token_uid, token_type, location_id, evse_uids, allowed, reason, reference, at)
    SELECT %(partner)s, card.id, %(uid)s, %(type)s, %(location)s, %(evses)s::jsonb,
        coalesce(card.verdict[1], 'UNKNOWN'), CASE WHEN card.id IS NOT NULL THEN card.verdict[2]
            WHEN EXISTS (SELECT FROM tokens_token token WHERE {PRESENTED}) THEN 'the partner does not see this card'
            ELSE 'no such card' END,
        coalesce((SELECT reference FROM repeated), %(reference)s), %(now)s
    FROM (SELECT) AS always LEFT JOIN card ON true
    RETURNING allowed, reason, reference
)
SELECT written.*, card.* FROM written LEFT JOIN card ON true
"""

INFO = {
    "BLOCKED": "This card is blocked.",
    "EXPIRED": "This card has expired.",
    "NOT_ALLOWED": "This card cannot be used yet.",
}
"""What the driver reads at the charge point; why exactly is for staff alone."""


@dataclass(frozen=True)
class Answer:
    """What we said. `reference` only of a grant; `card` None: unknown here."""

    allowed: str
    reason: str
    reference: str | None
    card: Card | None
    references: objects.LocationReferences | None

    @property
    def is_grant(self) -> bool:
        return self.allowed == Authorization.Allowed.ALLOWED

    def as_object(self, us: objects.Party) -> objects.AuthorizationInfo:
        """The location comes back only of a grant: where one may charge (TOK-05)."""
        info = INFO.get(self.allowed)
        return objects.AuthorizationInfo(
            allowed=self.allowed,
            token=describe(self.card, us),
            location=self.references if self.is_grant else None,
            authorization_reference=self.reference,
            info=objects.DisplayText(language="en", text=info) if info else None,
        )


def authorize(
    *,
    partner_id: int,
    uid: str,
    token_type: str = Token.Type.RFID,
    references: objects.LocationReferences | None = None,
    now: datetime,
) -> Answer:
    """Decide, and keep the answer with its reason, whatever it is."""
    uid = uid.replace("\0", "")
    location = references.location_id if references else ""
    parameters = {
        "partner": partner_id,
        "uid": uid,
        "type": str(token_type),
        "location": location,
        "evses": json.dumps(references.evse_uids if references else []),
        "reference": _reference(partner_id, uid, str(token_type), location, now),
        "now": now,
        "today": day_of(now),
        "since": now - SAME_TAP,
    }
    ((allowed, reason, reference, *card),) = run_prepared(STATEMENT, parameters)
    return Answer(
        allowed=allowed,
        reason=reason,
        reference=str(reference) if allowed == Authorization.Allowed.ALLOWED else None,
        card=Card._make(card) if card[0] is not None else None,
        references=references,
    )


def _reference(partner_id: int, uid: str, token_type: str, location: str, now: datetime) -> uuid.UUID:
    """The reference that a new grant gets: the same for two taps that arrive at once, which cannot see each other.

    Keyed, so that nobody guesses it. Two grants more than `SAME_TAP` apart never share one.
    """
    told = json.dumps([partner_id, uid.upper(), token_type, location, int(now.timestamp() // SAME_TAP.total_seconds())])
    return uuid.UUID(bytes=hmac.digest(_reference_key(), told.encode(), "sha256")[:16], version=4)


@cache
def _reference_key() -> bytes:
    return salted_hmac(__name__, "references", algorithm="sha256").digest()
