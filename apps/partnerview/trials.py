"""What a partner tries with its test cards, and what we made of it: for its own tests, without asking anybody.

Only what its own messages brought; of other partners' there is nothing, for nobody else sees these cards.
"""

from collections.abc import Iterator
from datetime import datetime
from heapq import nlargest
from typing import NamedTuple

from apps.charging.models import Cdr, Session
from apps.tokens.models import Authorization, Sandbox, Token

MOST = 50
"""The newest that are shown."""


class Tried(NamedTuple):
    """`what` is held to a reader, session or CDR; `said` what became of it."""

    at: datetime
    what: str
    card: str
    place: str
    said: str


def tried(sandbox: Sandbox) -> list[Tried]:
    """Since the cards were last made as at first, the newest first."""
    tokens = list(Token.objects.filter(contract__driver__account=sandbox.account_id).values_list("pk", flat=True))
    found = [*_asked(sandbox, tokens), *_sessions(sandbox, tokens), *_cdrs(sandbox)]
    return nlargest(MOST, found, key=lambda one: one.at)


def _asked(sandbox: Sandbox, tokens: list[int]) -> Iterator[Tried]:
    asked = Authorization.objects.filter(token__in=tokens, partner=sandbox.partner_id, at__gte=sandbox.reset_at)
    for one in asked.order_by("-at")[:MOST]:
        yield Tried(one.at, "Held to a reader", one.token_uid, one.location_id, one.allowed)


def _sessions(sandbox: Sandbox, tokens: list[int]) -> Iterator[Tried]:
    told = Session.objects.filter(token__in=tokens, received_at__gte=sandbox.reset_at)
    for one in told.order_by("-received_at")[:MOST]:
        place = " ".join(filter(None, (one.location_id, one.evse_uid)))
        yield Tried(one.received_at, f"Session {one.ocpi_id}", one.token_uid, place, f"{one.status}, {_kwh(one)}")


def _cdrs(sandbox: Sandbox) -> Iterator[Tried]:
    came = Cdr.objects.filter(contract__driver__account=sandbox.account_id, received_at__gte=sandbox.reset_at)
    for one in came.order_by("-received_at")[:MOST]:
        cost = f"{one.cost_before_taxes.normalize():f} {one.currency}"
        said = f"Taken: {_kwh(one)}, {cost} before taxes"
        yield Tried(one.received_at, f"CDR {one.ocpi_id}", one.token_uid, one.location_id, said)


def _kwh(one: Cdr | Session) -> str:
    return f"{one.energy.normalize():f} kWh"
