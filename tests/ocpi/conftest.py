"""A peer to call: a real server on a real socket, that answers as a test tells it to."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import pytest

from apps.ocpi.client import Peer


class Request(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        self.server.requests.append(request)
        try:
            self.server.answer(self, request)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client has had enough

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 (http.server looks for these names)

    def reply(self, body: bytes = b"", status: int = 200, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[Request] = []
        self.answer: Callable[[Handler, Request], None] = lambda handler, request: handler.reply(said())
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server_port}{path}"

    def stop(self):
        self.shutdown()
        self.thread.join()
        self.server_close()

    def handle_error(self, request, client_address):
        pass  # clients that hang up are what is tested


def said(data: bytes = b"", code: int = 1000, message: str = "") -> bytes:
    parts = [b'"status_code":%d' % code, b'"timestamp":"2026-03-01T12:00:00Z"']
    parts += [b'"data":' + data] if data else []
    parts += [b'"status_message":"' + message.encode() + b'"'] if message else []
    return b"{" + b",".join(parts) + b"}"


@pytest.fixture
def server():
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def other_server():
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def make_peer():
    """A peer that may be at 127.0.0.1."""
    peers = []

    def make(**options):
        peers.append(Peer(**{"token": "secret-token", "is_private": True, "private_hosts": ["127.0.0.1"]} | options))
        return peers[-1]

    yield make
    for peer in peers:
        peer.close()


@pytest.fixture
def peer(make_peer):
    return make_peer()
