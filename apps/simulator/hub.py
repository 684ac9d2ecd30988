"""A hub: one platform with several parties behind it, and who of them is there (mod_hub_client_info)."""

from collections.abc import Iterable
from typing import Any

CLIENTS = "hubclientinfo"
CONNECTED = "CONNECTED"


class Hub:
    """`party` is the hub's own, such as NL*HUB; `statuses` are those of the CPOs behind it."""

    def __init__(self, party: str, parties: Iterable[str]):
        self.party = party
        self.statuses = dict.fromkeys(parties, CONNECTED)

    def info(self, party: str, at: str) -> dict[str, Any]:
        """(mod_hub_client_info, ClientInfo object)"""
        country, _, key = party.partition("*")
        status = self.statuses[party]
        return {"country_code": country, "party_id": key, "role": "CPO", "status": status, "last_updated": at}
