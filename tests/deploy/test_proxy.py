"""The shipped proxy, where nginx is installed: slow and large requests end there, and partners get envelopes (trust D15, S36)."""

import json
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bench import proxy

pytestmark = pytest.mark.skipif(not proxy.nginx(), reason="nginx is not installed: apt-get install nginx")
SHORTER = (
    ("client_header_timeout 10s", "client_header_timeout 1s"),
    ("client_body_timeout 15s", "client_body_timeout 1s"),
)


class Web(BaseHTTPRequestHandler):
    """Answers with what reached it."""

    def do_POST(self):
        self.server.seen.append(self.rfile.read(int(self.headers["Content-Length"])))
        told = json.dumps(dict(self.headers)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *_arguments):
        """Nobody reads it."""


@pytest.fixture
def web():
    with ThreadingHTTPServer(("127.0.0.1", 0), Web) as server:
        server.seen = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def port(web, tmp_path):
    with proxy.proxied(tmp_path / "nginx", f"127.0.0.1:{web.server_port}", *SHORTER) as port:
        yield port


def line_to(port):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=10))


def head(length, **more):
    lines = ["POST /ocpi/2.2.1/cdrs HTTP/1.1", "Host: localhost", f"Content-Length: {length}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def answer(line):
    """Everything until it is hung up."""
    return b"".join(iter(lambda: line.recv(65536), b""))


def test_a_whole_request_is_handed_on_and_what_could_be_forged_is_not(port, web):
    with line_to(port) as line:
        line.sendall(head(2, X_Forwarded_Proto="http", X_Forwarded_For="1.2.3.4") + b"{}")
        status, _, told = answer(line).partition(b"\r\n\r\n")
    headers = json.loads(told)
    assert b" 200 " in status
    assert (headers["X-Forwarded-Proto"], headers["X-Forwarded-For"], web.seen) == ("https", "127.0.0.1", [b"{}"])


@pytest.mark.parametrize(
    "begun", [b"POST /ocpi/2.2.1/cdrs HTTP/1.1\r\nHost: loc", head(100) + b'{"id":'], ids=["head", "body"]
)
def test_a_request_that_stops_in_the_middle_is_cut_and_never_seen_by_web(begun, port, web):
    began = time.monotonic()
    with line_to(port) as line:
        line.sendall(begun)
        said = answer(line)
    assert said == b"" or b" 408 " in said.split(b"\r\n")[0]
    assert time.monotonic() - began < 5
    assert web.seen == []


def test_a_body_that_is_too_large_is_refused_with_an_envelope(port, web):
    with line_to(port) as line:
        line.sendall(head(5_000_000))
        status, _, body = line.recv(65536).partition(b"\r\n\r\n")
    assert b" 413 " in status
    assert b"application/json" in status
    told = json.loads(body)
    assert (told["status_code"], told["status_message"]) == (2001, "The body is over 4 MB")
    assert told["timestamp"]
    assert web.seen == []


def test_while_web_is_away_partners_get_an_envelope_and_are_asked_to_come_again(tmp_path):
    with proxy.proxied(tmp_path / "nginx", f"127.0.0.1:{proxy.free_port()}") as port, line_to(port) as line:
        line.sendall(head(2) + b"{}")
        status, _, body = answer(line).partition(b"\r\n\r\n")
    assert b" 503 " in status
    assert b"Retry-After: 5" in status
    assert json.loads(body)["status_code"] == 3000
