"""Credentials of the simulated CPO, in both directions (credentials, Registration)."""

import secrets
import time
from collections.abc import Callable
from typing import Any

from apps.simulator.cpo import Operator, World
from apps.simulator.dialects import HOME, ONE_PARTY, spoken, understood
from apps.simulator.emsp import Answer, Emsp, Offer
from apps.simulator.hub import Hub
from apps.simulator.memory import Memory


class Registration:
    """Three kinds of credentials token: `token_a` we give out for a first call, `tokens_of_emsp` it calls us with
    (two while one is being replaced, for a lost reply must lock nobody out), `token_for_us` we call it with."""

    def __init__(
        self,
        memory: Memory,
        emsp: Emsp,
        world: World,
        versions_url: Callable[[], str],
        speaks: Callable[[], tuple[str, ...]],
        hub: Hub | None = None,
    ):
        self.memory = memory
        self.emsp = emsp
        self.world = world
        self.versions_url = versions_url
        self.speaks = speaks
        self.hub = hub

    def token_a(self) -> str:
        if not self.memory.get("token_a"):
            self.memory.put(token_a=secrets.token_urlsafe(32))
        return self.memory.get("token_a")

    def known_as(self, tokens: list[str]) -> str | None:
        """ "emsp", "stranger" (has our token A) or None."""
        if any(token in self.memory.get("tokens_of_emsp", []) for token in tokens):
            return "emsp"
        given = self.memory.get("token_a")
        return "stranger" if given and given in tokens else None

    def credentials(self, token: str, version: str) -> dict[str, Any]:
        roles = [_role(self.world.operator, country) for country in self.countries()]
        named = self.hub.credentials(version not in (ONE_PARTY, HOME), roles) if self.hub else {"roles": roles}
        return spoken(version, "credentials", {"token": token, "url": self.versions_url()} | named, {})

    def countries(self) -> list[str]:
        return sorted({location["country_code"] for location in self.world.locations.values()}, reverse=True) or ["SE"]

    def register(self, versions_url: str, token_a: str) -> Answer:
        """We begin: with the token A the eMSP gave us."""
        return self._tell("POST", versions_url, token_a)

    def renew(self) -> Answer:
        """Our address or token changed (credentials, PUT)."""
        return self._tell("PUT", self.memory.get("emsp_versions_url"), self.memory.get("token_for_us"))

    def _tell(self, method: str, versions_url: str, token: str) -> Answer:
        """Renewing finds the newest version that both speak by now (credentials, Updating to a newer version)."""
        offer = self.emsp.discover(versions_url, token, self.speaks())
        ours = secrets.token_urlsafe(32)
        before = self.memory.get("tokens_of_emsp", [])
        self.memory.put(tokens_of_emsp=[*before[-1:], ours])
        published = self.versions_url()
        said = self.credentials(ours, offer.version)
        answer = self.emsp.call(method, offer.url("credentials"), said, token=token, version=offer.version)
        if answer.is_ok:
            theirs = understood(offer.version, "credentials", answer.data)
            self._keep(theirs, [ours], offer)
            offer = self.emsp.discover(theirs["url"], theirs["token"], (offer.version,))
            self.memory.put(published=published, emsp_endpoints=offer.endpoints)
        elif answer.outcome == "REFUSED":
            self.memory.put(tokens_of_emsp=before)
        return answer

    def accept(self, said: dict[str, Any], version: str) -> dict[str, Any]:
        """The eMSP began or renewed: we look at its endpoints, and answer with a new token (LookupError: we cannot)."""
        theirs = understood(version, "credentials", said)
        offer = self.emsp.discover(theirs["url"], theirs["token"], (version,))
        ours = secrets.token_urlsafe(32)
        self._keep(theirs, [*self.memory.get("tokens_of_emsp", [])[-1:], ours], offer)
        self.memory.put(token_a=None, published=self.versions_url())
        return self.credentials(ours, version)

    def _keep(self, theirs: dict[str, Any], ours: list[str], offer: Offer):
        self.memory.put(
            version=offer.version,
            emsp_endpoints=offer.endpoints,
            tokens_of_emsp=ours,
            token_for_us=theirs["token"],
            emsp_versions_url=theirs["url"],
            emsp_roles=theirs["roles"],
        )

    def forget(self):
        self.memory.put(tokens_of_emsp=[], token_for_us=None, emsp_endpoints=[])

    def unregister(self) -> Answer:
        answer = self.emsp.call("DELETE", self.emsp.url("credentials"))
        if answer.is_ok:
            self.forget()
        return answer

    @property
    def is_stale(self) -> bool:
        return self.emsp.is_registered and self.memory.get("published") != self.versions_url()

    def renew_until_told(self, patience_s: float, pause: Callable[[float], bool]):
        """After a restart on another port the eMSP may not be up yet; `pause` says whether we are to stop."""
        deadline = time.monotonic() + patience_s
        while self.is_stale and time.monotonic() < deadline:
            if not self._is_renewed() and pause(0.5):
                return

    def _is_renewed(self) -> bool:
        try:
            return self.renew().is_ok
        except LookupError:
            return False


def _role(operator: Operator, country: str) -> dict[str, Any]:
    named = {"country_code": country, "party_id": operator.party_id}
    return {"role": "CPO", "business_details": operator.described(country)} | named
