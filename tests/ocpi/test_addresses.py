"""Which addresses are on the open internet, and which inner ones a private partner may be at."""

from ipaddress import ip_address

import pytest

from apps.ocpi.addresses import PrivateHosts, is_never, is_public, reachable

PUBLIC = ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "64:ff9b::101:101", "2a00:1450:4009::1"]
INNER = [
    *("127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "0.0.0.0", "0.1.2.3"),
    *("100.64.0.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "240.0.0.1", "224.0.0.1"),
    *("255.255.255.255", "192.88.99.1", "::", "::1", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1", "2001:db8::1"),
    *("::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1"),
    *("2002:7f00:1::", "2002:a00:1::1", "2001:0:7f00:1::", "2001:0:4136:e378:8000:63bf:80ff:fffe"),
]
CLOUDS = [
    *("169.254.169.254", "169.254.0.1", "fe80::1", "fd00:ec2::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"),
    *("2002:a9fe:a9fe::1", "100.100.100.200", "192.0.0.192", "::169.254.169.254"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_public(address):
    assert is_public(ip_address(address)) and not is_never(ip_address(address))


@pytest.mark.control("S20", "S21")
@pytest.mark.parametrize("address", INNER + CLOUDS)
def test_inner_addresses_are_not_public_however_they_are_wrapped(address):
    assert not is_public(ip_address(address))


@pytest.mark.control("S24")
@pytest.mark.parametrize("address", CLOUDS)
def test_where_clouds_keep_secrets_is_closed_to_everybody(address):
    everything = PrivateHosts(["0.0.0.0/0", "::/0", "host.test", address])
    assert is_never(ip_address(address))
    assert reachable([address], "host.test", 443, everything, encrypted=True) == []
    assert reachable([address], address, 80, everything, encrypted=False) == []


@pytest.mark.parametrize(
    ("entry", "host", "port", "address", "is_covered"),
    [
        ("cpo.test", "cpo.test", 80, "10.0.0.1", True),
        ("cpo.test", "CPO.test", 8080, "10.0.0.1", True),
        (" CPO.Test ", "cpo.test", 8080, "10.0.0.1", True),
        ("cpo.test", "x.cpo.test", 80, "10.0.0.1", False),
        ("cpo.test:8080", "cpo.test", 8080, "10.0.0.1", True),
        ("cpo.test:8080", "cpo.test", 8081, "10.0.0.1", False),
        ("10.0.0.1", "any.test", 80, "10.0.0.1", True),
        ("10.0.0.1:8080", "any.test", 8080, "10.0.0.1", True),
        ("10.0.0.1:8080", "any.test", 80, "10.0.0.1", False),
        ("10.0.0.0/8", "any.test", 80, "10.9.9.9", True),
        ("10.0.0.0/8", "any.test", 80, "11.0.0.1", False),
        ("10.0.0.0/8", "any.test", 80, "::ffff:10.0.0.1", True),
        ("::1", "localhost", 80, "::1", True),
        ("[::1]:8080", "localhost", 8080, "::1", True),
        ("[::1]:8080", "localhost", 80, "::1", False),
        ("fd00::/8", "any.test", 80, "fd00::1", True),
        ("fd00::/8", "any.test", 80, "10.0.0.1", False),
    ],
)
def test_an_entry_covers_a_name_an_address_or_a_network(entry, host, port, address, is_covered):
    assert PrivateHosts([entry]).cover(host, port, ip_address(address)) is is_covered


@pytest.mark.parametrize(
    "entry", ["http://cpo.test", "cpo.test/8", "10.0.0.1/33", "a b", "cpo.test:http", "user@cpo.test"]
)
def test_an_entry_that_is_none_of_them_is_refused(entry):
    with pytest.raises(ValueError, match=r"neither|invalid literal"):
        PrivateHosts([entry])


def test_empty_entries_are_nothing():
    assert not PrivateHosts(["", " "]).cover("", 80, ip_address("10.0.0.1"))


def test_of_several_addresses_only_those_allowed_are_tried():
    found = ["10.0.0.1", "1.1.1.1", "fe80::1%eth0", "::1"]
    assert reachable(found, "cpo.test", 443, None, encrypted=True) == ["1.1.1.1"]
    assert reachable(found, "cpo.test", 443, PrivateHosts(["10.0.0.0/8"]), encrypted=True) == ["10.0.0.1", "1.1.1.1"]


@pytest.mark.control("S22")
@pytest.mark.parametrize(
    ("port", "is_open"), [(443, True), (8443, True), (1024, True), (25, False), (22, False), (80, False)]
)
def test_only_ports_of_web_servers_are_called(port, is_open):
    assert reachable(["1.1.1.1"], "cpo.test", port, None, encrypted=True) == (["1.1.1.1"] if is_open else [])


@pytest.mark.control("S22")
def test_unencrypted_calls_are_for_named_hosts_alone():
    assert reachable(["1.1.1.1"], "cpo.test", 80, None, encrypted=False) == []
    assert reachable(["1.1.1.1"], "cpo.test", 80, PrivateHosts(["10.0.0.0/8"]), encrypted=False) == []
    assert reachable(["1.1.1.1"], "cpo.test", 80, PrivateHosts(["cpo.test"]), encrypted=False) == ["1.1.1.1"]
