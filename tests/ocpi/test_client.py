"""Calling a peer over a real socket: what is sent, what is believed, and what is not put up with."""

import gc
import gzip
import resource
import socket
import ssl
import threading
import time
import zlib
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from apps.ocpi import client
from apps.ocpi.client import Peer, context_of
from apps.ocpi.errors import PeerFailed
from apps.ocpi.objects import Party
from apps.ocpi.tls import USUAL, Tls
from apps.ocpi.versions import V211, V221
from tests.ocpi.certifying import Authority, Showing
from tests.ocpi.conftest import said

US, THEM = Party("SE", "EMP"), Party("DE", "CPO")
ROUTING = {
    "ocpi-from-country-code": "SE",
    "ocpi-from-party-id": "EMP",
    "ocpi-to-country-code": "DE",
    "ocpi-to-party-id": "CPO",
}


def failure(call, *arguments, **options) -> PeerFailed:
    with pytest.raises(PeerFailed) as failed:
        call(*arguments, **options)
    return failed.value


# What is sent


def test_the_data_of_an_answer_keeps_its_own_bytes(server, peer):
    data = b'{"price": 4.20, "id" : "\\u00e5", "price": 4.2}'
    server.answer = lambda handler, request: handler.reply(said(data))
    answer = peer.get(server.url("/ocpi/tariffs/1"))
    assert (answer.data, answer.status_code, answer.http_status) == (data, 1000, 200)


@pytest.mark.parametrize("method", ["put", "post", "patch", "delete"])
@pytest.mark.ocpi("TR-09", "TR-35")
def test_a_body_is_sent_as_json_with_exact_numbers(server, peer, method):
    getattr(peer, method)(server.url("/x?type=RFID"), {"price": Decimal("4.20")})
    (request,) = server.requests
    assert (request.method, request.path, request.body) == (method.upper(), "/x?type=RFID", b'{"price":4.20}')
    assert request.headers["content-type"] == "application/json"


def test_bytes_are_sent_as_they_are_and_nothing_is_sent_without_a_type(server, peer):
    peer.post(server.url(), b'{"a" : 1}')
    peer.delete(server.url())
    assert [request.body for request in server.requests] == [b'{"a" : 1}', b""]
    assert "content-type" not in server.requests[1].headers


def test_a_path_is_sent_as_it_is_written(server, peer):
    peer.get(server.url("/ocpi/SE%2AEMP/a%20b%2Fc/"))
    assert server.requests[0].path == "/ocpi/SE%2AEMP/a%20b%2Fc/"


def test_parameters_join_those_of_the_url(server, peer):
    peer.get(server.url("/x?a=1"), date_from=datetime(2026, 3, 1, tzinfo=UTC), date_to=None, limit=50)
    assert server.requests[0].path == "/x?a=1&date_from=2026-03-01T00%3A00%3A00Z&limit=50"


@pytest.mark.parametrize(
    ("options", "header"),
    [
        ({}, "Token c2VjcmV0LXRva2Vu"),
        ({"version": V221}, "Token c2VjcmV0LXRva2Vu"),
        ({"version": V211}, "Token secret-token"),
        ({"version": V221, "form": "raw"}, "Token secret-token"),
        ({"version": V211, "form": "base64"}, "Token c2VjcmV0LXRva2Vu"),
    ],
)
@pytest.mark.ocpi("TR-02", "all")
def test_the_token_is_spelt_as_the_version_or_the_partner_wants(server, make_peer, options, header):
    make_peer(**options).get(server.url())
    assert server.requests[0].headers["authorization"] == header


@pytest.mark.ocpi("TR-22", "all")
def test_every_call_has_ids_of_its_own(server, peer):
    peer.get(server.url())
    peer.get(server.url())
    ids = [request.headers[name] for request in server.requests for name in ("x-request-id", "x-correlation-id")]
    assert len(set(ids)) == 4 and all(len(identity) == 36 for identity in ids)


@pytest.mark.ocpi("TR-23")
def test_routing_names_both_parties(server, make_peer):
    make_peer(us=US, them=THEM, version=V221).get(server.url())
    assert ROUTING.items() <= server.requests[0].headers.items()


@pytest.mark.ocpi("TR-25")
def test_whom_a_hub_is_to_find_out_is_left_out(server, make_peer):
    make_peer(us=US, version=V221).get(server.url())
    named = {name for name in server.requests[0].headers if name.startswith("ocpi-")}
    assert named == {"ocpi-from-country-code", "ocpi-from-party-id"}


@pytest.mark.parametrize("options", [{"them": THEM}, {}, {"us": US, "them": THEM, "version": V211}])
def test_routing_is_left_out_where_we_or_the_version_do_not_have_it(server, make_peer, options):
    make_peer(**options).get(server.url())
    assert not [name for name in server.requests[0].headers if name.startswith("ocpi-")]


@pytest.mark.control("S24")
def test_no_proxy_of_the_environment_is_used(server, other_server, peer, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "https_proxy"):
        monkeypatch.setenv(name, other_server.url())
    peer.get(server.url())
    assert (len(server.requests), other_server.requests) == (1, [])


@pytest.mark.control("S24")
def test_no_login_is_taken_from_netrc(server, peer, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    peer.get(server.url())
    assert server.requests[0].headers["authorization"].startswith("Token ")


def test_cookies_are_not_kept(server, peer):
    server.answer = lambda handler, request: handler.reply(said(), Set_Cookie="a=b; Path=/")
    peer.get(server.url())
    peer.get(server.url())
    assert "cookie" not in server.requests[1].headers


def test_a_peer_that_is_forgotten_leaves_no_open_connection(server, make_peer, recwarn):
    peer = Peer("t", is_private=True, private_hosts=["127.0.0.1"])
    peer.get(server.url())
    del peer
    gc.collect()
    assert [warning for warning in recwarn if warning.category is ResourceWarning] == []


# What is believed


def answering(**reply):
    return lambda handler, request: handler.reply(**reply)


@pytest.mark.parametrize(
    ("status", "body", "code", "is_permanent"),
    [
        (200, said(code=2001, message="no such field"), 2001, True),
        (200, said(code=3000), 3000, False),
        (200, said(code=4003), 4003, False),
        (404, said(code=2003), 2003, True),
        (404, said(code=4001), 4001, False),
        (400, b"<html>Bad Request</html>", None, True),
        (401, b"", None, True),
        (405, said(code=2000), 2000, True),
        (408, b"", None, False),
        (429, b"", None, False),
        (500, b"Internal Server Error", None, False),
        (503, said(code=3000), 3000, False),
        (200, b"<html>Welcome</html>", None, False),
        (200, b"[]", None, False),
        (200, b'{"status_code": "ok"}', None, False),
        (200, b"", None, False),
    ],
)
@pytest.mark.ocpi("TR-13")
def test_what_is_no_success_fails_with_what_the_peer_said(server, peer, status, body, code, is_permanent):
    server.answer = answering(body=body, status=status)
    error = failure(peer.get, server.url())
    assert (error.http_status, error.status_code, error.permanent) == (status, code, is_permanent)
    assert error.url == server.url()


@pytest.mark.control("S40")
def test_the_message_of_the_peer_is_told_without_its_control_characters(server, peer):
    server.answer = answering(body=said(code=2001, message="no\\u0000 such\\u001b[31m token" + "x" * 900))
    error = failure(peer.put, server.url(), {})
    assert str(error).startswith(
        "HTTP 200, OCPI 2001: no\N{REPLACEMENT CHARACTER} such\N{REPLACEMENT CHARACTER}[31m token"
    )
    assert len(str(error)) <= 500


@pytest.mark.parametrize("code", [1000, 1001, 1999])
def test_every_code_of_the_first_thousand_is_a_success(server, peer, code):
    server.answer = answering(body=said(code=code))
    assert peer.get(server.url()).status_code == code


@pytest.mark.parametrize("status", [200, 201, 202, 204])
@pytest.mark.parametrize("method", ["put", "patch", "delete", "post"])
def test_a_peer_may_have_nothing_to_say_to_a_change(server, peer, method, status):
    server.answer = answering(status=status)
    assert getattr(peer, method)(server.url(), {}).status_code == 1000


@pytest.mark.control("S24")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(server, other_server, peer, status):
    server.answer = lambda handler, request: handler.reply(status=status, Location=other_server.url("/stolen"))
    error = failure(peer.get, server.url())
    assert (error.http_status, error.permanent, other_server.requests) == (status, True, [])
    assert "redirects are not followed" in str(error)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("99999", 3600), ("Sun, 01 Mar 2020 00:00:00 GMT", 0), ("soon", None), ("-1", None), ("", None)],
)
def test_how_long_the_peer_wants_to_be_left_alone_is_told(server, peer, header, seconds):
    server.answer = lambda handler, request: handler.reply(status=429, Retry_After=header)
    assert failure(peer.put, server.url(), {}).retry_after == seconds


def test_headers_are_told_in_lower_case(server, peer):
    server.answer = lambda handler, request: handler.reply(said(), X_Limit="50", LOCATION="/cdrs/1")
    headers = peer.get(server.url()).headers
    assert (headers["x-limit"], headers["location"]) == ("50", "/cdrs/1")


# What is recorded


@pytest.mark.control("S2")
def test_every_exchange_is_told_to_the_record_without_the_token(server, make_peer):
    calls = []
    server.answer = lambda handler, request: handler.reply(said(b"[1]"))
    make_peer(record=calls.append).put(server.url("/x"), {"a": 1})
    (call,) = calls
    assert (call.method, call.url, call.request_body, call.response_body) == (
        "PUT",
        server.url("/x"),
        b'{"a":1}',
        said(b"[1]"),
    )
    assert (call.http_status, call.status_code, call.error) == (200, 1000, "")
    assert call.request_id == server.requests[0].headers["x-request-id"]
    assert call.correlation_id == server.requests[0].headers["x-correlation-id"]
    assert 0 < call.duration.total_seconds() < 5
    assert "secret" not in repr(call) and "c2Vjcm" not in repr(call)


def test_a_failed_exchange_is_recorded_with_its_reason(server, make_peer):
    calls = []
    server.answer = answering(body=said(code=2001, message="no"))
    peer = make_peer(record=calls.append)
    failure(peer.put, server.url(), {})
    failure(peer.put, "http://169.254.169.254/", {})
    assert [(call.http_status, call.status_code) for call in calls] == [(200, 2001), (None, None)]
    assert calls[0].error == "HTTP 200, OCPI 2001: no" and calls[1].error


# Where a call may go


@pytest.mark.control("S20", "S21")
@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "127.1", "0x7f.1", "2130706433", "0177.0.0.1", "１２７.0.0.1", "[::1]", "0.0.0.0"],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.ocpi("CRED-13")
def test_nobody_gets_us_to_call_ourselves(server, host, scheme):
    error = failure(Peer("t").get, f"{scheme}://{host}:{server.server_port}/")
    assert (error.permanent, error.http_status, server.requests) == (True, None, [])


@pytest.mark.control("S24")
def test_a_private_partner_reaches_only_the_hosts_that_are_named(server, make_peer):
    for hosts in ([], ["cpo.test"], ["10.0.0.0/8"], [f"127.0.0.1:{server.server_port + 1}"], ["::1"]):
        assert failure(make_peer(private_hosts=hosts).get, server.url()).permanent
    assert server.requests == []


@pytest.mark.control("S24")
def test_a_named_host_is_of_no_use_to_a_partner_that_is_not_private(server, make_peer):
    assert failure(make_peer(is_private=False).get, server.url()).permanent
    assert server.requests == []


@pytest.mark.parametrize("entry", ["127.0.0.1", "127.0.0.0/8", "127.0.0.1:{port}", "127.0.0.1/32"])
def test_a_private_partner_reaches_what_is_named(server, make_peer, entry):
    make_peer(private_hosts=[entry.format(port=server.server_port)]).get(server.url())
    assert len(server.requests) == 1


@pytest.mark.parametrize("entry", ["localhost", "LOCALHOST:{port}", "127.0.0.1"])
def test_a_private_host_is_named_or_its_address_is(server, make_peer, entry):
    make_peer(private_hosts=[entry.format(port=server.server_port)]).get(server.url(host="localhost"))
    assert server.requests[0].headers["host"] == f"localhost:{server.server_port}"


@pytest.mark.control("S24")
@pytest.mark.parametrize("url", ["http://169.254.169.254/latest", "http://[fe80::1]/", "http://[fd00:ec2::254]/"])
def test_nothing_opens_where_clouds_keep_their_secrets(make_peer, url):
    peer = make_peer(private_hosts=["0.0.0.0/0", "::/0", "169.254.169.254"])
    assert failure(peer.get, url).permanent


@pytest.mark.control("S22")
@pytest.mark.parametrize(
    "url",
    [
        *("ftp://cpo.test/", "file:///etc/passwd", "//cpo.test/", "/ocpi", "", "https://", "https:///x", "gopher://x"),
        *("http://user:pw@127.0.0.1/", "http://127.0.0.1@cpo.test/", "http://127.0.0.1/#x", "http://127.0.0.1:0/"),
        *("http://127.0.0.1:99999/", "http://127.0.0.1:x/", "http://[::1/", "http://127.0.0.1/\r\nX: y", "http://a b/"),
        "http://127.0.0.1/" + "x" * 2000,
    ],
)
def test_what_is_no_url_is_not_called(peer, url):
    assert failure(peer.get, url).permanent


@pytest.fixture
def names(monkeypatch):
    """What names resolve to: a list of addresses for each time that they are asked for."""
    answers, resolve = {}, socket.getaddrinfo

    def answer(host, port, *arguments, **options):
        addresses = answers[host].pop(0) if host in answers else [host]
        return [found for address in addresses for found in resolve(address, port, *arguments, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return answers


@pytest.mark.control("S20")
def test_the_name_is_looked_up_once_and_that_address_is_called(server, make_peer, names):
    """A name that changes its mind between check and call gains nothing (DNS rebinding)."""
    names["cpo.test"] = [["127.0.0.1"], ["169.254.169.254"]]
    make_peer().get(server.url(host="cpo.test"))
    assert names["cpo.test"] == [["169.254.169.254"]]
    assert server.requests[0].headers["host"].startswith("cpo.test:")


def test_an_address_that_does_not_answer_gives_way_to_the_next(server, make_peer, names):
    names["cpo.test"] = [["127.0.0.9", "127.0.0.1"]]
    make_peer(private_hosts=["cpo.test"]).get(server.url(host="cpo.test"))
    assert len(server.requests) == 1


@pytest.mark.control("S20")
def test_an_inner_address_behind_a_public_name_is_not_called(server, names):
    names["cpo.test"] = [["127.0.0.1"]]
    assert failure(Peer("t").get, f"https://cpo.test:{server.server_port}/").permanent
    assert server.requests == []


def test_a_host_that_nobody_knows_may_be_known_later(peer):
    error = failure(peer.get, "https://nowhere.invalid/")
    assert (error.permanent, error.http_status) == (False, None)


def test_where_nobody_listens_may_be_listened_later(peer):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        error = failure(peer.get, f"http://127.0.0.1:{free.getsockname()[1]}/")
    assert not error.permanent and "no answer" in str(error)


@pytest.mark.control("S52")
def test_a_certificate_that_nobody_vouches_for_is_not_believed(make_peer, tmp_path):
    """The server ends the handshake as it likes; it never sees the token."""
    seen = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def listen():
            connection, _ = listener.accept()
            with connection:
                seen.append(connection.recv(4096))
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

        thread = threading.Thread(target=listen)
        thread.start()
        error = failure(make_peer().get, f"https://127.0.0.1:{listener.getsockname()[1]}/")
        thread.join()
    assert not error.permanent and b"Token" not in seen[0] and seen[0][:1] == b"\x16"


@pytest.mark.control("S52")
@pytest.mark.ocpi("TR-01", "all")
def test_certificates_are_checked():
    assert context_of(USUAL).verify_mode == ssl.CERT_REQUIRED and context_of(USUAL).check_hostname


@pytest.fixture
def https(server, tmp_path, names):
    """The server speaks TLS as cpo.test; the authority that vouches for it, and the names that it was asked for."""
    authority = Authority()
    showing = Showing(server, tmp_path, authority.issue("cpo.test"))
    names["cpo.test"], names["other.test"] = [["127.0.0.1"]], [["127.0.0.1"]]
    return Tls(authority.certificate), showing.asked


def test_the_checked_address_is_called_by_the_name_of_the_host(server, https, make_peer):
    """The certificate is the name's, though it is the address that is connected to."""
    tls, asked = https
    make_peer(tls=tls).get(f"https://cpo.test:{server.server_port}/x")
    assert asked == ["cpo.test"] and server.requests[0].headers["host"] == f"cpo.test:{server.server_port}"


@pytest.mark.control("S52")
def test_a_certificate_of_another_name_is_not_believed(server, https, make_peer):
    error = failure(make_peer(tls=https[0]).get, f"https://other.test:{server.server_port}/x")
    assert "certificate" in str(error).lower() and server.requests == [] and not error.permanent


# What is not put up with


def drip(chunk: bytes, start: bytes = b""):
    def answer(handler, request):
        handler.close_connection = True
        handler.wfile.write(start)
        for _ in range(200):
            handler.wfile.write(chunk)
            time.sleep(0.05)

    return answer


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"


@pytest.mark.control("S33")
@pytest.mark.parametrize(
    "answer",
    [drip(b" ", HEAD), drip(b"X", b"HTTP/1.1 200 OK\r\nX-Slow: "), drip(b"HTTP/1.1 102 Processing\r\n\r\n"), drip(b"")],
)
def test_one_deadline_covers_the_whole_call(server, make_peer, answer):
    server.answer = answer
    started = time.monotonic()
    error = failure(make_peer(patience=0.4).get, server.url())
    assert 0.3 < time.monotonic() - started < 3
    assert not error.permanent and "no answer" in str(error)


def test_a_connection_that_breaks_is_no_answer(server, peer):
    def answer(handler, request):
        handler.close_connection = True
        handler.wfile.write(HEAD + b'{"data":')

    server.answer = answer
    error = failure(peer.get, server.url())
    assert (error.permanent, error.http_status) == (False, 200)


def test_a_change_is_sent_once_whatever_happens(server, peer):
    server.answer = lambda handler, request: setattr(handler, "close_connection", True)
    failure(peer.put, server.url(), {})
    failure(peer.post, server.url(), {})
    assert [request.method for request in server.requests] == ["PUT", "POST"]


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP"])
def test_a_packed_answer_is_unpacked(server, peer, encoding):
    body = said(b"[" + b"1," * 5000 + b"2]")
    server.answer = lambda handler, request: handler.reply(gzip.compress(body), Content_Encoding=encoding)
    assert len(peer.get(server.url()).data) == 10_003
    assert server.requests[0].headers["accept-encoding"] == "gzip"


def bomb() -> bytes:
    """Two hundred megabytes of blanks in less than two hundred kilobytes."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join([*(packer.compress(b" " * 2**20) for _ in range(200)), packer.flush()])


@pytest.mark.control("S32")
def test_a_bomb_is_not_unpacked(server, peer):
    packed = bomb()
    assert len(packed) < 250_000
    server.answer = lambda handler, request: handler.reply(packed, Content_Encoding="gzip")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    error = failure(peer.get, server.url())
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert "unpacks to far more than it is" in str(error) and grown < 40 * 1024


@pytest.mark.parametrize(
    ("body", "encoding", "reason"),
    [
        (b"not packed", "gzip", "cannot unpack"),
        (gzip.compress(said(b"[1,2,3]"), mtime=0)[:-9], "gzip", "broken off"),
        (said(), "br", "packed with br"),
        (said(), "gzip, gzip", "packed with gzip, gzip"),
    ],
)
def test_what_cannot_be_unpacked_is_no_answer(server, peer, body, encoding, reason):
    server.answer = lambda handler, request: handler.reply(body, Content_Encoding=encoding)
    assert reason in str(failure(peer.get, server.url()))


@pytest.mark.control("S32")
def test_an_answer_without_end_is_cut_off(server, make_peer, monkeypatch):
    monkeypatch.setattr(client, "WIRE_LIMIT", 100_000)
    sent = []

    def answer(handler, request):
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(10_000):
            handler.wfile.write(b" " * 10_000)
            sent.append(10_000)

    server.answer = answer
    assert "too large" in str(failure(make_peer().get, server.url()))
    server.stop()
    assert sum(sent) < 50_000_000


@pytest.mark.control("S32")
def test_headers_without_end_are_cut_off(server, peer):
    server.answer = lambda handler, request: handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X-A: " + b"b" * 500_000)
    assert "no answer" in str(failure(peer.get, server.url()))
