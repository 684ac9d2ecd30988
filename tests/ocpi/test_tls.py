"""Whom we believe and who we say we are, with real handshakes (trust S52)."""

import socket
import ssl
import time
from datetime import UTC, datetime

import pytest

from apps.ocpi import tls
from apps.ocpi.client import MOST_CONTEXTS, Expired, certificate_ends_at, context_of
from apps.ocpi.tls import USUAL, Tls
from tests.ocpi.certifying import Authority, Showing, in_pem, new_key
from tests.ocpi.test_client import failure

NOW = datetime.now(UTC)
HERE = {"is_private": True, "private_hosts": ["127.0.0.1"], "patience": 5}


@pytest.fixture
def authority():
    return Authority("The CPO's own")


@pytest.fixture
def url(server, tmp_path, authority):
    Showing(server, tmp_path, authority.issue("127.0.0.1"))
    return f"https://127.0.0.1:{server.server_port}/"


# Whom we believe


@pytest.mark.control("S52")
def test_an_authority_is_believed_where_it_is_named_and_nowhere_else(server, url, authority, make_peer):
    for stranger in (USUAL, Tls(Authority("The CPO's own").certificate)):
        assert "certificate verify failed" in str(failure(make_peer(tls=stranger).get, url))
    make_peer(tls=Tls(authority.certificate)).get(url)
    assert len(server.requests) == 1
    assert "certificate verify failed" in str(failure(make_peer().get, url))


@pytest.mark.control("S52")
def test_the_usual_authorities_are_believed_besides_and_nothing_is_left_unchecked(authority):
    usual, own = context_of(USUAL), context_of(Tls(authority.certificate))
    assert len(own.get_ca_certs()) == len(usual.get_ca_certs()) + 1 > 50
    assert (own.verify_mode, own.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert own.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_the_authority_that_signs_is_enough_without_the_one_above_it(server, tmp_path, authority, make_peer):
    signing = Authority("Signing", above=authority)
    Showing(server, tmp_path, signing.issue("127.0.0.1"))
    make_peer(tls=Tls(signing.certificate)).get(f"https://127.0.0.1:{server.server_port}/")
    assert len(server.requests) == 1


def test_calls_that_are_encrypted_alike_share_what_is_dear_to_make(authority):
    assert context_of(Tls(authority.certificate)) is context_of(Tls(authority.certificate))
    assert context_of(Tls(authority.certificate)) is not context_of(Tls(Authority().certificate))
    assert context_of.cache_info().maxsize == MOST_CONTEXTS


# Who we say we are


@pytest.mark.control("S52")
def test_a_server_that_asks_who_calls_is_shown_our_certificate(server, tmp_path, authority, make_peer):
    clients = Authority("Clients")
    showing = Showing(server, tmp_path, authority.issue("127.0.0.1"), clients=clients)
    url, ours = f"https://127.0.0.1:{server.server_port}/", clients.issue("emsp.test")
    for unwelcome in (Tls(authority.certificate), Tls(authority.certificate, *Authority().issue("emsp.test")[:2])):
        assert not failure(make_peer(tls=unwelcome).get, url).permanent
    assert server.requests == []
    make_peer(tls=Tls(authority.certificate, ours.certificate, ours.key)).get(url)
    assert [dict(shown["subject"][0]) for shown in showing.shown] == [{"commonName": "emsp.test"}]


@pytest.mark.control("S52")
def test_our_key_is_told_to_nobody(tmp_path, monkeypatch):
    """OpenSSL reads it from a file, which is gone afterwards, and was locked while it was there."""
    seen, ours = [], Authority().issue("emsp.test")
    read = ssl.SSLContext.load_cert_chain
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def load(context, file, **how):
        seen.append((file.read_text(), oct(file.parent.stat().st_mode & 0o777)))
        read(context, file, **how)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", load)
    given = Tls("", ours.certificate, ours.key)
    context_of(given)
    ((text, mode),) = seen
    assert "BEGIN ENCRYPTED PRIVATE KEY" in text and ours.key[100:140] not in text and mode == "0o700"
    assert list(tmp_path.iterdir()) == []
    assert ours.key[30:60] not in repr(given)


@pytest.mark.parametrize("given", [Tls("nonsense"), Tls("", *Authority().issue("a.test")[:1], in_pem(new_key()))])
def test_what_openssl_does_not_take_is_no_call(make_peer, given):
    assert failure(make_peer, tls=given).permanent


# What staff give us


def authorities(*certificates):
    return tls.read_authorities("\n".join(certificates), NOW)


@pytest.mark.control("S52")
@pytest.mark.parametrize(
    ("read", "reason"),
    [
        (lambda: authorities("trust me"), "no certificate in PEM"),
        (lambda: authorities(Authority().certificate[:300]), "no certificate in PEM"),
        (lambda: authorities(Authority("One").issue("a.test").certificate), "CN=a.test is no certificate of an authority"),
        (lambda: authorities(Authority("Two").certificate, Authority("Old", days=-1).certificate), "CN=Old has expired on 2"),
        (lambda: authorities(Authority().certificate, in_pem(new_key())), "a private key is among it"),
        (lambda: tls.read_certificate(Authority().issue("a.test", days=-1).certificate, NOW), "CN=a.test has expired on 2"),
        (lambda: tls.read_certificate("".join(Authority().issue("a.test")[:2]), NOW), "a private key is among it"),
        (lambda: tls.read_key(in_pem(new_key()), Authority().issue("a.test").certificate), "not the key of CN=a.test"),
        (lambda: tls.read_key(in_pem(new_key(), b"pw"), Authority().issue("a.test").certificate), "has a password"),
        (lambda: tls.read_key("nonsense", Authority().issue("a.test").certificate), "no private key in PEM"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_its_reason(read, reason):
    with pytest.raises(ValueError, match=reason):
        read()


def test_several_authorities_are_kept_as_they_are_without_what_stands_between_them():
    one, two = Authority("One").certificate, Authority("Two").certificate
    assert authorities("The first:", one, "and the second:", two) == one + two
    assert tls.ends_at(authorities(Authority(days=9).certificate, one)).date() == Authority(days=9).ends_at.date()


# Until when a host's certificate holds


@pytest.mark.control("S52")
def test_until_when_a_certificate_holds_is_seen_without_a_word(server, tmp_path, authority):
    issued = authority.issue("127.0.0.1", days=20)
    Showing(server, tmp_path, issued)
    url = f"https://127.0.0.1:{server.server_port}/"
    assert certificate_ends_at(url, tls=Tls(authority.certificate), **HERE) == issued.ends_at
    assert server.requests == []


@pytest.mark.control("S52")
def test_one_that_has_ended_is_told_from_one_that_is_not_believed(server, tmp_path, authority):
    Showing(server, tmp_path, authority.issue("127.0.0.1", days=-1))
    url = f"https://127.0.0.1:{server.server_port}/"
    assert isinstance(failure(certificate_ends_at, url, tls=Tls(authority.certificate), **HERE), Expired)
    other = failure(certificate_ends_at, url, tls=Tls(Authority().certificate), **HERE)
    assert not isinstance(other, Expired) and "certificate verify failed" in str(other)


@pytest.mark.control("S20", "S22", "S24")
@pytest.mark.parametrize(
    "url", ["https://127.0.0.1:{}/", "https://localhost:{}/", "https://2130706433:{}/", "https://a:b@127.0.0.1:{}/"]
)
def test_nobody_gets_us_to_shake_hands_with_ourselves(url):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        assert failure(certificate_ends_at, url.format(listener.getsockname()[1]), patience=2).permanent
        with pytest.raises(TimeoutError):
            listener.accept()


@pytest.mark.control("S33")
def test_one_deadline_covers_the_handshake():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        started = time.monotonic()
        error = failure(
            certificate_ends_at, f"https://127.0.0.1:{listener.getsockname()[1]}/", **HERE | {"patience": 0.4}
        )
        assert 0.3 < time.monotonic() - started < 3
    assert not error.permanent and "no answer" in str(error)
