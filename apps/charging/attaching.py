"""What staff do about CDRs of nobody: say whose card it was, and all that it charged finds its driver (BIL-34)."""

from datetime import datetime
from typing import NamedTuple

from django.db import transaction

from apps.charging.matching import rematch
from apps.charging.models import Cdr
from apps.drivers.models import Contract
from apps.ocpi import objects
from apps.tokens.issuing import CannotIssue, issue
from apps.tokens.models import Token
from apps.work import ring

CHECK = "apps.charging.tasks.check_cdrs"


class CannotAttach(Exception):
    """This CDR cannot be given to this contract; the text says why, for staff."""


class Attached(NamedTuple):
    """The card, and how many CDRs found their contract by it."""

    token: Token
    cdrs: int


@transaction.atomic
def attach_card(cdr: Cdr, contract: Contract, now: datetime, us: objects.Party) -> Attached:
    """Put the unknown card of a CDR on a contract. Partners are told of it, as of every card.

    All CDRs and live sessions of the card are matched, their checks are due, and the next rating bills them.
    CannotAttach if the CDR names no card, has its contract already, or its card is another contract's.
    """
    held = Cdr.objects.select_for_update(of=("self",), no_key=True).get(pk=cdr.pk)
    _require_unmatched(held)
    if not held.token_uid:
        raise CannotAttach("the CDR names no card (OCPI 2.1.1): give the CDR itself to the contract")
    try:
        token = issue(contract, held.token_uid, held.token_type, now, us)
    except CannotIssue as reason:
        raise CannotAttach(str(reason)) from reason
    found = rematch(now)
    ring(CHECK)
    return Attached(token, found)


@transaction.atomic
def attach_cdr(cdr: Cdr, contract: Contract, now: datetime) -> None:
    """Give one CDR to a contract, and say nothing of its card: for one that names none, or a card that was lent."""
    held = Cdr.objects.select_for_update(of=("self",), no_key=True).get(pk=cdr.pk)
    _require_unmatched(held)
    Cdr.objects.filter(pk=held.pk).update(contract=contract, checked_at=None)
    ring(CHECK)


def _require_unmatched(cdr: Cdr) -> None:
    """Once it has its contract it may have been charged to it."""
    if cdr.contract_id is not None:
        raise CannotAttach(f"CDR {cdr} is matched to contract {cdr.contract} already")
