"""Which of our cards a partner sees: what the agreements with its parties say of today (TOK-01, trust S18).

A partner is told of a card if one of its parties may see it: cards are told to connections, and a hub passes them on to all
behind it. While nothing was agreed with a party it sees all (decision 24); when the last agreement has ended, none. Test
cards are seen by the partner that they were made for, and by nobody else.
"""

from collections.abc import Sequence
from datetime import datetime

from django.db import connection

from apps.partners import agreements

HELD = agreements.holds("{today}")

AGREED = f"""(
    NOT EXISTS (SELECT FROM partners_agreement WHERE cards <> 'all' OR valid_until IS NOT NULL)
    OR NOT EXISTS (SELECT FROM partners_party party WHERE party.partner_id = {{partner}})
    OR EXISTS (
        SELECT FROM partners_party party WHERE party.partner_id = {{partner}} AND coalesce((
            SELECT CASE WHEN {HELD} THEN agreement.cards ELSE 'none' END FROM partners_agreement agreement
            WHERE agreement.party_id = party.id AND agreement.valid_from <= {{today}}
            ORDER BY agreement.valid_from DESC LIMIT 1
        ), 'all') = 'all')
    OR {{account}} IN (
        SELECT shown.account_id FROM tokens_shownaccount shown
        JOIN partners_agreement agreement ON agreement.id = shown.agreement_id
        JOIN partners_party party ON party.id = agreement.party_id
        WHERE party.partner_id = {{partner}} AND agreement.cards = 'named' AND {HELD})
)"""
"""The first line says nothing more; it is quick where no agreement hides anything, and somebody waits in the rain."""

SEES = f"""coalesce(
    (SELECT sandbox.partner_id = {{partner}} FROM tokens_sandbox sandbox WHERE sandbox.account_id = {{account}}), {AGREED})"""
"""Test cards are one partner's, whatever was agreed (apps/tokens/sandbox.py)."""

ACCOUNT = """(
    SELECT driver.account_id FROM drivers_contract contract JOIN drivers_driver driver ON driver.id = contract.driver_id
    WHERE contract.id = {card}.contract_id)"""


def sees(partner: str, account: str = ACCOUNT.format(card="token"), today: str = "%(today)s") -> str:
    """Whether a partner sees the cards of an account, in SQL: of three expressions, which are put in as they are."""
    return SEES.format(partner=partner, account=account, today=today)


SEEN = f"SELECT token.id FROM tokens_token token WHERE token.id = ANY(%(tokens)s) AND {sees('%(partner)s')}"


def seen_by(partner_id: int, token_ids: Sequence[int], now: datetime) -> set[int]:
    """Those of the cards that the partner sees now."""
    with connection.cursor() as cursor:
        cursor.execute(SEEN, {"partner": partner_id, "tokens": list(token_ids), "today": agreements.day_of(now)})
        return {pk for (pk,) in cursor.fetchall()}
