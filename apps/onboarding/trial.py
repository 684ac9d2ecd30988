"""What every check of a partner works with: the partner as we call it, what staff gave us to try, and what came out."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, NamedTuple

from apps.ocpi import modules, objects
from apps.ocpi.client import Answer, Peer
from apps.ocpi.errors import PeerFailed
from apps.ocpi.versions import VERSIONS, Version
from apps.onboarding.models import Report
from apps.partners import peers
from apps.partners.models import Feed, Partner
from apps.work import Clock

PATIENCE_S = 15
"""For each call."""

LONGEST_REST_S = 10
"""Seconds that we wait if the partner asks for it; a partner that is to be checked should have time for us."""

LOOK_EVERY_S = 0.2


class Failed(Exception):
    """The partner does not do what the requirement says; the text says what it does."""


class Untried(Exception):
    """This could not be tried. `is_needed` False: nor is it missed, for the partner has nothing of the kind."""

    def __init__(self, reason: str, *, is_needed: bool = True):
        super().__init__(reason)
        self.is_needed = is_needed


class Check(NamedTuple):
    """`act` says what was seen, or raises Failed or Untried; it is tried only when all it `needs` have passed.

    `demands` are ids of the requirements (docs/ocpi.md)."""

    key: str
    title: str
    demands: str
    needs: tuple[str, ...]
    act: Callable[["Trial"], str]


@dataclass
class Trial:
    """`memory` is what one check leaves for the next, by names of their own."""

    report: Report
    clock: Clock
    memory: dict[str, Any] = field(default_factory=dict)
    _peers: dict[str, Peer] = field(default_factory=dict)

    @property
    def partner(self) -> Partner:
        return self.report.partner

    @property
    def version(self) -> Version:
        return VERSIONS[self.report.version]

    @property
    def began_at(self) -> datetime:
        return self.report.requested_at

    @property
    def owner(self) -> objects.Party:
        """Of objects that name none, as those of versions for one party do."""
        party = self.partner.parties.order_by("pk").first()
        return objects.Party(party.country_code, party.party_id) if party else objects.Party("", "")

    def endpoint(self, module: str, role: str) -> str:
        """Untried where the partner offers none, which is nothing missed."""
        if module == Feed.Module.SESSIONS and role == modules.SENDER:
            self.require_sessions()
        url = self.partner.endpoints.filter(identifier=module, role=role).values_list("url", flat=True).first()
        if url is None:
            raise Untried(f"It offers no {module} as {role}.", is_needed=False)
        return url

    def require_sessions(self) -> None:
        if self.partner.no_sessions:
            raise Untried("It tells of no sessions, and staff know it.", is_needed=False)

    def peer(self, module: str) -> Peer:
        if module not in self._peers:
            self._peers[module] = peers.peer_of(self.partner, module, patience=PATIENCE_S)
        return self._peers[module]

    def get(self, module: str, url: str, **params) -> Answer:
        """As a pull would: a partner that asks us to come back later is asked once more."""
        try:
            return self.peer(module).get(url, **params)
        except PeerFailed as error:
            self._rest(error)
        return self.peer(module).get(url, **params)

    def _rest(self, error: PeerFailed) -> None:
        if error.http_status != HTTPStatus.TOO_MANY_REQUESTS:
            raise error
        if error.retry_after is None:
            raise Failed("It answers 429 without Retry-After, so nobody knows when to come back (TR-08).")
        if error.retry_after > LONGEST_REST_S:
            raise Failed(f"It answers 429 and wants to be left alone for {error.retry_after:.0f} s (TR-08).")
        time.sleep(error.retry_after)

    def wait_for(self, look: Callable[[], Any]) -> Any:
        """What `look` finds, as soon as it finds something; nothing if it did not in time."""
        end = self.clock() + timedelta(seconds=self.report.wait_s)
        while not (found := look()) and self.clock() < end:
            time.sleep(LOOK_EVERY_S)
        return found
