"""The partners of the demo: how each is started and what it plays. An operator of each version of OCPI, and a hub."""

from typing import NamedTuple

from emsp.launch import Simulated


class Role(NamedTuple):
    """`party` is the first of its parties, the one it is invited by; `cdrs` counts those that are only pulled too.

    `is_odd`: it plays the few CDRs that are odd on purpose. `names_cards`: its CDRs name the card, and not the contract
    alone. `is_hub`: parties are behind it, which staff approve.
    """

    name: str
    party: tuple[str, str]
    version: str
    simulated: Simulated
    sessions: int
    cdrs: int
    pull_only: int
    is_odd: bool = False
    names_cards: bool = True
    is_hub: bool = False

    def planned(self) -> dict:
        """For the recount."""
        ledger = {"ledger": f"ledger-{self.party[1]}.jsonl", "names_cards": self.names_cards}
        return {"name": self.name, "OCPI": self.version} | ledger


LADDNAT = Role("LAD Laddnät", ("SE", "LAD"), "2.2.1", Simulated("simulator"), 20, 2500, 120, is_odd=True)
KUSTEL = Role(
    "KST Kustel", ("SE", "KST"), "2.1.1",
    Simulated("simulator-kst", tuple("--operator KST --versions 2.1.1 --countries SE --locations 12 --evses 36".split())),
    sessions=4, cdrs=120, pull_only=10, names_cards=False,
)  # fmt: skip
NORDWIND = Role(
    "NWL Nordwind Laden", ("DE", "NWL"), "2.3.0",
    Simulated("simulator-nwl", tuple("--operator NWL --versions 2.3.0 --countries DE --locations 24 --evses 72".split())),
    sessions=4, cdrs=120, pull_only=10,
)  # fmt: skip
KNUTPUNKT = Role(
    "Knutpunkt Roaming", ("NL", "KNP"), "2.2.1",
    Simulated("simulator-knp", tuple("--hub NL*KNP --operator TLK --locations 12 --evses 36".split())),
    sessions=4, cdrs=120, pull_only=10, is_hub=True,
)  # fmt: skip
ROLES = (LADDNAT, KUSTEL, NORDWIND, KNUTPUNKT)
