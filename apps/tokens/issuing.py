"""Giving a contract another card, by hand: the one way besides enrolment from a file."""

from datetime import datetime

from django.db import transaction

from apps.drivers.models import Contract
from apps.ocpi import objects

from .announcing import introduce
from .models import Token


class CannotIssue(Exception):
    """This card cannot be given to this contract; the text says why."""


@transaction.atomic
def issue(contract: Contract, uid: str, kind: str, now: datetime, us: objects.Party) -> Token:
    """Make a card of the contract, and tell partners of it.

    Cards are the same whatever the case of their uid; that of an RFID card is stored in upper case (TOK-09). The same
    card on the same contract again is the card there is.
    """
    spelt = uid.upper() if kind == Token.Type.RFID else uid
    _require_spelling(spelt, kind)
    known = Token.objects.filter(uid__iexact=spelt, type=kind).select_related("contract__driver").first()
    if known is not None:
        return _require_same(known, contract)
    token = Token(contract=contract, uid=spelt, type=kind, issuer=_issuer(us), last_updated=now)
    Token.objects.bulk_create([token], ignore_conflicts=True)
    stored = Token.objects.select_related("contract__driver").get(uid__iexact=spelt, type=kind)
    introduce([stored.pk], now)
    return _require_same(stored, contract)


def _require_spelling(uid: str, kind: str) -> None:
    longest = Token._meta.get_field("uid").max_length
    if kind not in Token.Type.values:
        raise CannotIssue(f"{kind or 'no type'} is not a type of card that we know")
    if not uid or len(uid) > longest or not (uid.isascii() and uid.isprintable()):
        raise CannotIssue(f"{uid or 'nothing'} is no card number: 1 to {longest} characters of ASCII (mod_tokens, uid)")


def _require_same(token: Token, contract: Contract) -> Token:
    if token.contract_id != contract.pk:
        raise CannotIssue(f"card {token} is on contract {token.contract} of {token.contract.driver} already")
    return token


def _issuer(us: objects.Party) -> str:
    """As our newest card says, else our party (mod_tokens, issuer)."""
    return Token.objects.order_by("-pk").values_list("issuer", flat=True).first() or str(us)
