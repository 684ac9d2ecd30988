"""Where a URL of a partner may lead: not into our own network (trust S20 to S24, decision 28).

Judged is the address that is connected to, never a spelling: `127.1`, `0x7f.1` and `2130706433` are the same host.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NEVER = tuple(
    map(ip_network, ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "100.100.100.200/32", "192.0.0.192/32"))
)
"""Where clouds keep the secrets of a machine: closed to private partners too."""

NOT_PUBLIC = tuple(map(ip_network, ("192.88.99.0/24", "fec0::/10", "::/96", "64:ff9b:1::/48")))
"""What Python calls global in some of its releases, and what is not."""

HTTPS, FIRST_FREE_PORT = 443, 1024

NAT64 = ip_network("64:ff9b::/96")
COMPATIBLE = ip_network("::/96")


def is_public(address: Address) -> bool:
    """On the open internet, whatever is wrapped in it too."""
    return all(_is_public(each) for each in _unwrapped(address))


def is_never(address: Address) -> bool:
    return any(_is_listed(each, NEVER) for each in _unwrapped(address))


def _is_public(address: Address) -> bool:
    is_carrier = address.version == 6 and (address in NAT64 or address.sixtofour or address.ipv4_mapped)
    if address.is_multicast or _is_listed(address, (*NOT_PUBLIC, *NEVER)):
        return False
    return bool(is_carrier or address.is_global)


def _is_listed(address: Address, networks: Iterable[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _unwrapped(address: Address) -> list[Address]:
    """The address, and the IPv4 addresses that routers or the kernel would take it for."""
    if address.version == 4:
        return [address]
    inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in NAT64 or address in COMPATIBLE:
        inner.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [address, *(each for each in inner if each is not None)]


class PrivateHost(NamedTuple):
    """An entry of OCPI_PRIVATE_HOSTS: a name, an address or a network, and for the first two perhaps a port."""

    name: str
    network: Network | None
    port: int | None

    def covers(self, host: str, port: int, address: Address) -> bool:
        if self.port not in (None, port):
            return False
        if self.network is not None:
            return address.version == self.network.version and address in self.network
        return host == self.name


class PrivateHosts:
    """The inner hosts that a private partner may be at."""

    def __init__(self, entries: Iterable[str] = ()):
        """ValueError for an entry that is none of host, host:port, address, [address]:port, network."""
        self._entries = [_private_host(entry.strip().lower()) for entry in entries if entry.strip()]

    def cover(self, host: str, port: int, address: Address) -> bool:
        plain = address.ipv4_mapped or address if address.version == 6 else address
        return any(entry.covers(host.lower(), port, plain) for entry in self._entries)


def _private_host(entry: str) -> PrivateHost:
    name, port = _split_port(entry)
    try:
        return PrivateHost(name, ip_network(name), port)
    except ValueError:
        if not name or any(character in name for character in "/ :@"):
            raise ValueError(f"{entry!r} is neither host, host:port nor a network") from None
        return PrivateHost(name, None, port)


def _split_port(entry: str) -> tuple[str, int | None]:
    if entry.startswith("["):
        name, _, port = entry[1:].partition("]")
        return name, int(port[1:]) if port else None
    name, colon, port = entry.partition(":")
    if not colon or ":" in port:
        return entry, None
    return name, int(port)


def is_for_https(port: int) -> bool:
    """Below 1024 are the ports of mail, file and login servers, which are nobody's OCPI (trust S22)."""
    return port == HTTPS or port >= FIRST_FREE_PORT


def reachable(
    candidates: Iterable[str], host: str, port: int, hosts: PrivateHosts | None, *, encrypted: bool
) -> list[str]:
    """Those addresses of a host that may be connected to; `hosts` is None for a partner that is not private.

    Unencrypted only where the host is named as a private one.
    """
    allowed = []
    for candidate in candidates:
        address = ip_address(candidate.partition("%")[0])
        is_named = hosts is not None and hosts.cover(host, port, address) and not is_never(address)
        if is_named or (encrypted and is_for_https(port) and is_public(address)):
            allowed.append(candidate)
    return allowed
