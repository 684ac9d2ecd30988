"""The simulated CPO as one thing with a door: `with Simulator(folder) as cpo: cpo.versions_url`."""

import secrets
import socket
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from apps.simulator import control
from apps.simulator.behaviour import Behaviour
from apps.simulator.commands import Commands
from apps.simulator.cpo import MADE, World
from apps.simulator.dialects import HOME
from apps.simulator.emsp import Answer, Emsp
from apps.simulator.faults import Faults
from apps.simulator.hub import CLIENTS, Hub
from apps.simulator.interfaces import Interfaces
from apps.simulator.ledger import Ledger
from apps.simulator.memory import Item, Journal, Memory, write_private
from apps.simulator.registration import Registration
from apps.simulator.wire import Reply, Request, encode

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
RENEW_PATIENCE_S = 120
REMEMBERED_REQUESTS = 1000


class Simulator:
    """Port 0 is any free one; `world` is the small one unless given, and of the folder once it has been used.

    With `hub`, such as NL*HUB, it is that hub, and the parties of the world are behind it."""

    def __init__(
        self,
        data_dir: Path | str,
        *,
        world: World | None = None,
        port: int = 0,
        seed: int = 1,
        month: str | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        versions: tuple[str, ...] = (HOME,),
        hub: str | None = None,
    ):
        self._server = _Server(("127.0.0.1", port), _Handler, self)
        self.folder = Path(data_dir)
        self.memory = Memory(self.folder)
        self.world = world or World.small(seed)
        self.control_key = self._control_key()
        self.ledger = Ledger(self.folder / "ledger.jsonl")
        self._journal = Journal(self.folder / "objects.jsonl")
        self.emsp = Emsp(self.memory, self.world.locations)
        self.hub = Hub(hub, self.world.parties(), self.memory) if hub else None
        self.registration = Registration(
            self.memory, self.emsp, self.world, lambda: self.versions_url, lambda: self.interfaces.versions, self.hub
        )
        self.interfaces = Interfaces(self.registration, self.ledger, self._journal, clock, self.url)
        self.interfaces.versions = versions
        self.faults.seed = seed
        self.emsp.faults = self.faults
        self.behaviour = Behaviour(self.world, self.emsp, self.interfaces, self.ledger, self.memory, clock, seed)
        self.commands = Commands(self.behaviour, clock)
        self.interfaces.take_command = self.commands.reply
        self.requests: deque[Request] = deque(maxlen=REMEMBERED_REQUESTS)
        self.errors: list[str] = []
        self._stopping = threading.Event()
        self._renewal = threading.Thread(target=self._renew_until_told, daemon=True)
        self._clock = clock
        self.memory.put(port=self.port, seed=seed, month=month or self.memory.get("month"))
        self._open_shop()

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def versions_url(self) -> str:
        return f"{self.url}/ocpi/versions"

    @property
    def faults(self) -> Faults:
        return self.interfaces.faults

    @property
    def received_tokens(self) -> dict[str, dict[str, Any]]:
        """By uid; of two types with one uid the later."""
        return {token["uid"]: token for token in self.interfaces.tokens.values()}

    def __enter__(self) -> "Simulator":
        self.start()
        return self

    def __exit__(self, *_: object):
        self.stop()

    def start(self):
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        if self.registration.is_stale:
            self._renewal.start()

    def stop(self):
        self._stopping.set()
        self.commands.stop()
        if self._renewal.is_alive():
            self._renewal.join(timeout=20)
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self.emsp.close()
        self.ledger.close()
        self._journal.close()

    def token_a(self) -> str:
        return self.registration.token_a()

    def register(self, versions_url: str, token_a: str) -> Answer:
        return self._noted("POST", self.registration.register(versions_url, token_a))

    def renew(self) -> Answer:
        return self._noted("PUT", self.registration.renew())

    def unregister(self) -> Answer:
        return self._noted("DELETE", self.registration.unregister())

    def play(self, step: str, **how: Any) -> dict[str, Any]:
        return self.behaviour.play(step, **how)

    def play_aside(self, step: str, **how: Any):
        """For a caller that does not wait: what went wrong is in the state."""
        try:
            self.play(step, **how)
        except Exception as reason:  # a thread has nobody else to tell
            self.errors.append(f"{step}: {reason!r}")

    def fault(self, name: str, **how: Any):
        self.faults.switch_on(name, **how)

    def serve(
        self,
        module: str,
        objects: Iterable[dict[str, Any] | bytes],
        version: str = HOME,
        last_updated: str | None = None,
    ):
        """These objects and no others from now on, byte by byte when bytes; not kept over a restart."""
        if version not in self.interfaces.versions:
            self.interfaces.versions += (version,)
        shelf = self.interfaces.shelf(module, version)
        shelf.clear()
        for number, body in enumerate(objects):
            date = last_updated or (body.get("last_updated") if isinstance(body, dict) else None)
            shelf.put(Item(str(number), date, body if isinstance(body, bytes) else encode(body)))

    def speak(self, *versions: str):
        """Which versions are listed from now on. What is registered stays as it is until somebody renews."""
        self.interfaces.versions = versions

    def send(
        self,
        method: str,
        module: str,
        path: str = "",
        body: Any = None,
        party: str | None = "SE*LAD",
        role: str = "RECEIVER",
    ) -> Answer:
        """Any call to a receiver of the eMSP, for tests: `body` is an object or bytes."""
        return self.emsp.send(method, module, path, body, party, role)

    def state(self) -> dict[str, Any]:
        return {
            "url": self.url,
            "versions_url": self.versions_url,
            "seed": self.behaviour.seed,
            "month": self.memory.get("month"),
            "registered": self.emsp.is_registered,
            "told": not self.registration.is_stale,
            "version": self.emsp.version if self.emsp.is_registered else None,
            "emsp": self.emsp.party if self.emsp.is_registered else None,
            "objects": {
                module: len(self.interfaces.shelf(module))
                for module in self.interfaces.lists(max(self.interfaces.versions))
            },
            "evses": sum(len(location["evses"]) for location in self.world.locations.values()),
            "tokens": {"received": len(self.interfaces.tokens), "valid": len(self.behaviour.valid_tokens())},
            "ledger": self.ledger.counts(),
            "progress": self.behaviour.progress,
            "played": self.behaviour.played,
            "faults": self.faults.state(),
            "errors": self.errors,
        }

    def reply(self, request: Request, client: str) -> Reply:
        try:
            return self._reply(request, client)
        except Exception:  # the peer gets an answer, the state shows why
            self.errors.append(traceback.format_exc())
            return Reply(500, b'{"status_code":3000}')

    def _reply(self, request: Request, client: str) -> Reply:
        if request.path.startswith("/control/"):
            return control.reply(self, request, client)
        self.requests.append(request)
        if request.path.startswith("/ocpi/"):
            return self.interfaces.reply(request)
        return Reply(404, b"{}")

    def _control_key(self) -> str:
        path = self.folder / "control.key"
        if not path.exists():
            write_private(path, secrets.token_urlsafe(32))
        return path.read_text().strip()

    def _open_shop(self):
        """The world of the seed, and over it what became of it before the restart."""
        for module, made in (("tariffs", self.world.tariffs), ("locations", self.world.locations)):
            for body in made.values():
                self.interfaces.shelf(module).put(Item(body["id"].upper(), body["last_updated"], encode(body)))
        for party in self.hub.statuses if self.hub else ():
            self.interfaces.shelf(CLIENTS).put(Item(party, MADE, encode(self.hub.info(party, MADE))))
        self.interfaces.restore()
        for item in self.interfaces.shelf("locations").between(None, None):
            location = msgspec.json.decode(item.body)
            self.world.locations[location["id"]] = location

    def _noted(self, act: str, answer: Answer) -> Answer:
        self.ledger.write(self._clock(), "registration", None, self.emsp.party, answer, act=f"{act} by us")
        return answer

    def _renew_until_told(self):
        self.registration.renew_until_told(RENEW_PATIENCE_S, self._stopping.wait)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type["_Handler"], simulator: Simulator):
        super().__init__(address, handler)
        self.simulator = simulator
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any):
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any):
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self):
        """Peers keep connections open; nobody waits for them when the shop closes."""
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any):
        self.simulator.errors.append(f"{client_address}: the connection broke")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 120
    server: _Server

    def _serve(self):
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = "/" + unquote(url.path).strip("/")
        request = Request(self.command, path, dict(parse_qsl(url.query)), self.headers, body, self.path)
        self._write(self.server.simulator.reply(request, self.client_address[0]))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 named so by http.server

    def _write(self, reply: Reply):
        if reply.is_lost:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in ({"Content-Type": "application/json"} | reply.headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any):  # noqa: A002 named so by http.server
        """The ledger tells it better."""
