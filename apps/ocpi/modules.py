"""Which modules we serve in which version, in which role, and which a partner must have."""

from typing import NamedTuple

SENDER, RECEIVER = "SENDER", "RECEIVER"


class Module(NamedTuple):
    """`path` is under /ocpi/<version>/."""

    identifier: str
    role: str
    path: str


CREDENTIALS = Module("credentials", SENDER, "credentials")
"""Credentials has no direction; it is listed once, and the role is to be ignored (version_information_endpoint)."""

FUNCTIONAL = (
    Module("locations", RECEIVER, "locations"),
    Module("sessions", RECEIVER, "sessions"),
    Module("cdrs", RECEIVER, "cdrs"),
    Module("tariffs", RECEIVER, "tariffs"),
    Module("tokens", SENDER, "tokens"),
    Module("commands", SENDER, "commands"),
)

CLIENTS = Module("hubclientinfo", RECEIVER, "hubclientinfo")
"""Parties behind a hub; there are none before 2.2."""

RECONCILIATION = Module("invoicereconciliation", RECEIVER, "invoicereconciliation")
"""Of the second edition of 2.3.0; its identifier is in no list of modules there (IR-03)."""

MODULES = {
    "2.1.1": (CREDENTIALS, *FUNCTIONAL),
    "2.2.1": (CREDENTIALS, *FUNCTIONAL, CLIENTS),
    "2.3.0": (CREDENTIALS, *FUNCTIONAL, CLIENTS, RECONCILIATION),
}

MODULES_OF_PARTNER_REQUIRED = frozenset({("locations", SENDER), ("cdrs", SENDER)})
"""One of these is enough: without either a partner has nothing for us (decision 7)."""

WITHOUT_ROUTING = frozenset({"versions", "credentials", "hubclientinfo"})
"""Configuration modules: OCPI-to and OCPI-from headers are not for them (TR-23)."""


def missing_modules(offered: set[tuple[str, str | None]]) -> list[str]:
    """What a partner lacks for us to work with it; 2.1.1 names no roles."""
    if any(
        (identifier, role) in offered or (identifier, None) in offered
        for identifier, role in MODULES_OF_PARTNER_REQUIRED
    ):
        return []
    return sorted(f"{identifier} ({role})" for identifier, role in MODULES_OF_PARTNER_REQUIRED)
