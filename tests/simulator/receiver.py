"""A receiver that takes everything and keeps it: the other end of the line for tests of the simulated CPO."""

import base64
import json
import threading
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

TOKEN_A, TOKEN_C = "a-token-for-the-first-call", "c-token-for-all-others"
MODULES = ("credentials", "locations", "tariffs", "sessions", "cdrs", "tokens")


class Call(NamedTuple):
    method: str
    path: str
    token: str
    body: Any


class TakesEverything:
    def __init__(self, version: str = "2.2.1"):
        self.version = version
        self.calls: list[Call] = []
        self.refuses = lambda call: None
        self.credentials_of_cpo: dict[str, Any] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.versions_url = f"{self.url}/versions"

    def __enter__(self) -> "TakesEverything":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object):
        self._server.shutdown()
        self._server.server_close()

    def bodies(self, method: str, module: str) -> list[Any]:
        return [call.body for call in self.calls if (call.method, call.path.split("/")[1]) == (method, module)]

    def answer(self, call: Call) -> tuple[int, int, Any]:
        """HTTP status, OCPI status code, data."""
        if call.token not in (TOKEN_A, TOKEN_C):
            return 401, 2001, None
        self.calls.append(call)
        return self.refuses(call) or (200, 1000, self._data(call))

    def _data(self, call: Call) -> Any:
        module = call.path.split("?")[0].split("/")[1]
        if module == "versions":
            return [
                {"version": self.version, "url": f"{self.url}/details"},
                {"version": "2.0", "url": "http://old.example"},
            ]
        if module == "details":
            roles = {"tokens": "SENDER"}
            endpoints = [
                {"identifier": name, "role": roles.get(name, "RECEIVER"), "url": f"{self.url}/{name}"}
                for name in MODULES
            ]
            if self.version == "2.1.1":
                endpoints = [{name: entry[name] for name in ("identifier", "url")} for entry in endpoints]
            return {"version": self.version, "endpoints": endpoints}
        if module == "credentials":
            self.credentials_of_cpo = call.body
            return our_credentials(self.versions_url, self.version)
        if "/authorize" in call.path:
            return {"allowed": "ALLOWED", "authorization_reference": f"ref-{len(self.calls)}", "token": token("X")}
        return call.body if call.method == "GET" else None


def our_credentials(versions_url: str, version: str = "2.2.1") -> dict[str, Any]:
    role = {"country_code": "SE", "party_id": "EMO", "business_details": {"name": "eMSP"}}
    credentials = {"token": TOKEN_C, "url": versions_url}
    return credentials | (role if version == "2.1.1" else {"roles": [role | {"role": "EMSP"}]})


def token(uid: str, **changed: Any) -> dict[str, Any]:
    return {
        "country_code": "SE",
        "party_id": "EMO",
        "uid": uid,
        "type": "RFID",
        "contract_id": f"SEEMOC{uid}",
        "issuer": "eMSP",
        "valid": True,
        "whitelist": "ALLOWED",
        "last_updated": "2026-01-01T00:00:00Z",
    } | changed


def _handler_of(receiver: TakesEverything) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def _serve(self):
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.loads(content, parse_float=Decimal) if content else None
            presented = self.headers["Authorization"].removeprefix("Token ")
            if receiver.version != "2.1.1":
                presented = base64.b64decode(presented).decode()
            status, code, data = receiver.answer(Call(self.command, self.path, presented, body))
            said = json.dumps(
                {"data": data, "status_code": code, "timestamp": "2026-01-01T00:00:00Z"}, default=str
            ).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(said)))
            if self.path == "/cdrs" and self.command == "POST":
                self.send_header("Location", f"{receiver.url}/cdrs/{len(receiver.calls)}")
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815  http.server's names

        def log_message(self, format: str, *args: Any):  # noqa: A002  http.server's name
            pass

    return Handler
