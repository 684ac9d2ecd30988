"""Whose CDR is this? By card, else by contract, else by the authorization we gave (CDR-05).

In 2.1.1 only the contract is known. What cannot be matched waits, and is looked at again whenever the sweep comes by: a
card may have been added since (BIL-34).
"""

from datetime import datetime

from django.db import connection, transaction

from apps.charging import zones

JOINS = """
LEFT JOIN tokens_token card ON upper(card.uid) = upper(told.token_uid) AND card.type = told.token_type
LEFT JOIN drivers_contract named ON named.key = upper(translate(told.sent_contract_id, '-* ', ''))
LEFT JOIN LATERAL (
    SELECT answer.id, known.id AS token_id, known.contract_id
    FROM tokens_authorization answer LEFT JOIN tokens_token known ON known.id = answer.token_id
    WHERE answer.reference = CASE
        WHEN told.authorization_reference ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
        THEN told.authorization_reference::uuid END
    ORDER BY answer.id + 0 LIMIT 1
) granted ON true
"""
"""What we know of the token that `told` names. `+ 0`: else the planner walks all answers in order of their ids."""

TOKEN = """coalesce(card.id,
    CASE WHEN named.id IS NULL OR named.id = granted.contract_id THEN granted.token_id END)"""  # noqa: S105
CONTRACT = "coalesce(card.contract_id, named.id, granted.contract_id)"

REMATCH = f"""
WITH found AS (
    SELECT told.id, {TOKEN} AS token, {CONTRACT} AS contract, granted.id AS answer
    FROM charging_cdr told {JOINS} WHERE told.contract_id IS NULL AND {CONTRACT} IS NOT NULL
    ORDER BY told.id FOR NO KEY UPDATE OF told
)
UPDATE charging_cdr cdr SET token_id = found.token, contract_id = found.contract, checked_at = NULL,
    authorization_id = coalesce(found.answer, cdr.authorization_id)
FROM found WHERE cdr.id = found.id AND cdr.contract_id IS NULL
"""
"""Locked in one order: rounds that meet wait for each other and never deadlock."""

ONLY_CARD = """
LEFT JOIN LATERAL (
    SELECT min(id) AS id FROM tokens_token WHERE contract_id = named.id AND told.token_uid = '' HAVING count(*) = 1
) only_card ON true
"""
"""2.1.1 names no card, only the contract: of one with several cards nobody knows which it was."""

OF_SESSION = "coalesce(granted.token_id, card.id, only_card.id)"

LINK_SESSIONS = f"""
WITH found AS (
    SELECT told.id, {OF_SESSION} AS token FROM charging_session told {JOINS} {ONLY_CARD}
    WHERE (told.id = ANY(%(ids)s::bigint[]) OR (%(ids)s::bigint[] IS NULL AND told.token_id IS NULL))
        AND told.token_id IS DISTINCT FROM {OF_SESSION}
    FOR NO KEY UPDATE OF told SKIP LOCKED
)
UPDATE charging_session session SET token_id = found.token FROM found WHERE session.id = found.id
"""
"""A session that is being written now is linked by its writer."""

PLACE = """
UPDATE charging_cdr cdr SET time_zone = place.time_zone FROM locations_location place
WHERE cdr.time_zone = '' AND place.time_zone = ANY(%(zones)s)
    AND place.party_id = cdr.party_id AND upper(place.ocpi_id) = upper(cdr.location_id)
"""

UNLINKED = """
FROM charging_cdr credit JOIN charging_cdr original
    ON original.party_id = credit.party_id AND upper(original.ocpi_id) = upper(credit.credit_reference_id)
WHERE credit.is_credit AND credit.credits_id IS NULL AND NOT original.is_credit
    AND NOT EXISTS (SELECT FROM charging_cdr earlier WHERE earlier.credits_id = original.id)
    AND (%(ids)s::uuid[] IS NULL OR credit.public_id = ANY(%(ids)s::uuid[])
        OR original.public_id = ANY(%(ids)s::uuid[]))
"""

LOCK_ORIGINALS = f"""
SELECT id FROM charging_cdr WHERE id IN (SELECT original.id {UNLINKED}) ORDER BY id FOR NO KEY UPDATE
"""

LINK_CREDITS = f"""
UPDATE charging_cdr cdr SET credits_id = pair.original, checked_at = NULL
FROM (
    SELECT DISTINCT ON (original.id) original.id AS original, credit.id AS credit {UNLINKED}
    ORDER BY original.id, credit.id
) pair
WHERE cdr.id = pair.credit
"""

LOOK_AGAIN = """
UPDATE charging_cdr credit SET checked_at = NULL FROM charging_cdr original
WHERE credit.is_credit AND credit.credits_id IS NULL AND credit.checked_at IS NOT NULL
    AND original.party_id = credit.party_id AND upper(original.ocpi_id) = upper(credit.credit_reference_id)
    AND original.public_id = ANY(%(ids)s::uuid[])
"""
"""Credits that point to a CDR that came now, and still take nothing back: there is something else to say of them."""


def rematch(now: datetime) -> int:
    """Look again at what could not be matched, linked or placed when it came. How many CDRs found their contract."""
    link_credits()
    with connection.cursor() as cursor:
        cursor.execute(LINK_SESSIONS, {"ids": None})
        cursor.execute(PLACE, {"zones": list(zones.known())})
        cursor.execute(REMATCH)
        return cursor.rowcount


def link_sessions(ids: list[int]) -> None:
    """A session shows the card that our own authorization was for, else the one it names (SES-06), else the contract's."""
    with connection.cursor() as cursor:
        cursor.execute(LINK_SESSIONS, {"ids": ids})


@transaction.atomic
def link_credits(public_ids: list | None = None) -> int:
    """Link credit CDRs to what they take back, whichever came first (BIL-45). None: all that wait.

    The originals are locked first: of two credits of one CDR that arrive at once, the second sees the first then, and
    stays without a link, which is a finding (V-43).
    """
    with connection.cursor() as cursor:
        cursor.execute(LOCK_ORIGINALS, {"ids": public_ids})
        if cursor.rowcount:
            cursor.execute(LINK_CREDITS, {"ids": public_ids})
        linked = max(cursor.rowcount, 0)
        if public_ids:
            cursor.execute(LOOK_AGAIN, {"ids": public_ids})
        return linked
