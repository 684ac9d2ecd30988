"""Tokens as partners see them: one reading for the answer at the charge point, for our list and for the push."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from django.db import connection

from apps.ocpi import objects

from .models import Token

TOLD = [Token.Type.RFID, Token.Type.APP_USER, Token.Type.AD_HOC_USER, Token.Type.OTHER]
"""Types that partners are told of; EMAID is only asked for (TOK-01, TOK-08)."""

ALWAYS_ASKED = {Token.Type.APP_USER, Token.Type.AD_HOC_USER}
"""Their uids are made up by us, so a charge point has no use for a copy: whitelist NEVER (TOK-08)."""

VERDICT = """CASE
    WHEN driver.blocked_at IS NOT NULL THEN ARRAY['BLOCKED', 'the driver is blocked']
    WHEN token.blocked_at IS NOT NULL THEN ARRAY['BLOCKED', 'the card is blocked']
    WHEN NOT token.is_valid THEN ARRAY['BLOCKED', 'the card is marked as not valid']
    WHEN token.expires_at <= %(now)s THEN ARRAY['EXPIRED', 'the card has expired']
    WHEN token.valid_from > %(now)s THEN ARRAY['NOT_ALLOWED', 'the card is not valid yet']
    ELSE ARRAY['ALLOWED', 'driver and card are in order']
END"""
"""The only rule for who may charge: what AllowedType is answered, and why, in words for staff."""

CARD = f"""SELECT token.id, token.uid, token.type, token.visual_number, token.issuer, token.group_id, token.whitelist,
    token.version, token.last_updated, contract.contract_id, account.language, {VERDICT} AS verdict
FROM tokens_token token
JOIN drivers_contract contract ON contract.id = token.contract_id
JOIN drivers_driver driver ON driver.id = contract.driver_id
JOIN drivers_account account ON account.id = driver.account_id"""


class Card(NamedTuple):
    """A token with all that a partner is told of it: nothing of who the driver is (trust S19)."""

    pk: int
    uid: str
    type: str
    visual_number: str
    issuer: str
    group_id: str
    whitelist: str
    version: int
    last_updated: datetime
    contract_id: str
    language: str
    verdict: list[str]

    @property
    def is_in_order(self) -> bool:
        return self.verdict[0] == "ALLOWED"


def read_cards(condition: str, parameters: dict, now: datetime) -> list[Card]:
    """The cards that fulfil an SQL condition over `token`, as they are at that moment."""
    with connection.cursor() as cursor:
        cursor.execute(f"{CARD} WHERE {condition}", parameters | {"now": now})
        return list(map(Card._make, cursor.fetchall()))


def cards_of(token_ids: Sequence[int], now: datetime) -> dict[int, Card]:
    return {card.pk: card for card in read_cards("token.id = ANY(%(ids)s)", {"ids": list(token_ids)}, now)}


def describe(card: Card, us: objects.Party) -> objects.Token:
    """The OCPI object. Tokens are never deleted: what must not charge is sent as not valid (mod_tokens)."""
    return objects.Token(
        country_code=us.country_code,
        party_id=us.party_id,
        uid=card.uid,
        type=card.type,
        contract_id=card.contract_id,
        visual_number=card.visual_number or None,
        issuer=card.issuer,
        group_id=card.group_id or None,
        valid=card.is_in_order,
        whitelist=Token.Whitelist.NEVER.value if card.type in ALWAYS_ASKED else card.whitelist,
        language=card.language or None,
        last_updated=card.last_updated,
    )


def withdrawn(card: Card, us: objects.Party) -> objects.Token:
    """The OCPI object for whoever knows the card and no longer sees it: not valid, and to be asked for (TOK-08)."""
    return msgspec.structs.replace(describe(card, us), valid=False, whitelist=Token.Whitelist.NEVER.value)


def shown_as(token: Token) -> objects.PublishTokenType:
    """What private locations compare with whom they allow (LOC-05)."""
    return objects.PublishTokenType(
        **{name: getattr(token, name) or None for name in objects.PublishTokenType.__struct_fields__}
    )
