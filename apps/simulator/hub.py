"""A hub: one platform with several CPOs behind it. It says who of them is there (mod_hub_client_info), and passes on what
is for one of them, or for all (transport_and_format, Message Routing)."""

from collections.abc import Iterable
from typing import Any

from apps.simulator.memory import Memory

CLIENTS = "hubclientinfo"
CONNECTED = "CONNECTED"
ROUTED = frozenset({"locations", "tariffs", "sessions", "cdrs", "tokens", "commands", "invoicereconciliation"})
"""Modules with routing headers; the others are between the hub and its neighbours alone."""

HEADERS = ("country-code", "party-id")


class Hub:
    """`party` is the hub's own, such as NL*HUB; `statuses` are those of the CPOs behind it, also after a restart."""

    def __init__(self, party: str, parties: Iterable[str], memory: Memory):
        self.party = party
        self.memory = memory
        self.statuses = dict.fromkeys(parties, CONNECTED) | memory.get("clients", {})

    def note(self, party: str, status: str):
        if party not in self.statuses:
            raise LookupError(f"nobody behind this hub is {party}")
        self.statuses[party] = status
        self.memory.put(clients=self.statuses)

    def info(self, party: str, at: str) -> dict[str, Any]:
        """(mod_hub_client_info, ClientInfo object)"""
        status = self.statuses[party]
        return _named(party) | {"role": "CPO", "status": status, "last_updated": at}

    def credentials(self, names_parties: bool, roles: list[dict[str, Any]]) -> dict[str, Any]:
        """It was a role alone; now it stands beside the parties it reaches (credentials, Credentials object)."""
        if names_parties:
            return {"hub_party_id": self.party.replace("*", ""), "roles": roles}
        return {"roles": [_named(self.party) | {"role": "HUB", "business_details": {"name": "Roaming hub"}}]}

    def obstacle(self, module: str, headers: Any) -> tuple[int, str] | None:
        """Why a message cannot be passed on, with the code for it (status_codes, 4xxx)."""
        to = named_in(headers, "to")
        if module not in ROUTED or not to or (to == self.party and module != "commands"):
            return None
        if to not in self.statuses:
            return 4001, f"nobody behind this hub is {to}"
        return None if self.statuses[to] == CONNECTED else (4003, f"{to} is not connected")

    def answering(self, module: str, headers: Any) -> dict[str, str]:
        """The parties of the request, swapped; where it named no receiver the hub answers for itself."""
        if module not in ROUTED:
            return {}
        sides = {"from": named_in(headers, "to") or self.party, "to": named_in(headers, "from")}
        return {
            f"OCPI-{side}-{name}": part
            for side, party in sides.items()
            for name, part in zip(HEADERS, party.split("*"), strict=False)
        }


def named_in(headers: Any, side: str) -> str:
    """The party of the headers of one side, as SE*LAD; nothing where they name none."""
    return "*".join(headers[name].upper() for name in (f"ocpi-{side}-{part}" for part in HEADERS) if name in headers)


def _named(party: str) -> dict[str, str]:
    country, _, key = party.partition("*")
    return {"country_code": country, "party_id": key}
