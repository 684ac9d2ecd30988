"""Calling a peer: the only place that opens a connection to where a partner's URL leads.

A partner chooses its URLs, and its answers are whatever it likes. So the address is checked when it is connected to,
nothing is followed but what stays on the same origin, one deadline covers the whole call, and no answer grows beyond a
bound, packed or unpacked (trust S20 to S24, S32 to S34).
"""

import random
import re
import socket
import ssl
import time
import weakref
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urlencode, urljoin, urlsplit
from uuid import uuid4

import httpcore
import httpx

from . import reader
from .addresses import HTTPS, PrivateHosts, reachable
from .envelope import SUCCESS, encode
from .errors import HUB_ERRORS, InvalidObject, PeerFailed
from .objects import Party
from .paging import Crawl, Page, next_link, on_origin
from .tls import USUAL, Tls, end_of, equip
from .types import write_moment
from .versions import V221, Version

CONNECT, SILENCE, WHOLE_CALL = 5, 20, 60
"""Seconds: until connected, between two reads, and for all of it (trust S33)."""

WIRE_LIMIT = 32 * 2**20
UNPACKED_LIMIT = 128 * 2**20
UNSUSPICIOUS = 4 * 2**20
MOST_PACKED = 50
"""Bytes of one answer; beyond the unsuspicious size not more than fifty times what came (trust S32)."""

LONGEST_URL = 2000
LONGEST_REASON = 500
TRIES = 3
LONGEST_WAIT = 30
"""Seconds we wait within a pull if the peer asks for it; whoever wants us to wait longer is called again later."""

MOVED = frozenset({HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT})
"""The same request, elsewhere; others would make a GET of it."""

TRY_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})

MOST_CONTEXTS = 64
"""One takes 20 ms to make and 700 kB, for it holds all authorities of the world: those in use are kept."""

HAS_EXPIRED = 10
"""X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL."""

BROKEN = (httpcore.ReadError, httpcore.WriteError, httpcore.RemoteProtocolError)
NO_ANSWER = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError, OSError)


class Habits(NamedTuple):
    """Where a peer's platform departs from OCPI, and we go along because staff said so.

    `slash`: every URL that we call ends in one, whatever it published. `redirects`: a 307 or 308 is followed, once a call
    and on its own origin. `next_pages_at`: a host, or host:port, to which the Link of a list may lead with our token.
    """

    slash: bool = False
    redirects: bool = False
    next_pages_at: str = ""


LITERAL = Habits()
"""As OCPI says."""


class Answer(NamedTuple):
    """`data` are the peer's own bytes, None where there are none; header names are in lower case."""

    data: bytes | None
    status_code: int
    http_status: int
    headers: dict[str, str]


class Call(NamedTuple):
    """What was said, for the record. The Authorization header is nowhere in it."""

    method: str
    url: str
    request_body: bytes
    response_body: bytes
    http_status: int | None
    status_code: int | None
    error: str
    duration: timedelta
    request_id: str
    correlation_id: str


class Peer:
    """A partner's platform, as one of our tasks speaks to it. Not for several threads at once.

    `version` and `form` say how the token is spelt (TR-03); without a version, as 2.2.1 does. `us` and `them` are the
    parties of the routing headers; leave both out for versions and credentials (TR-23). `private_hosts` is looked at
    for a private partner alone. `record` is told of every exchange. PeerFailed where `tls` cannot be used.
    """

    def __init__(  # noqa: PLR0913 (a partner is as manifold as that)
        self,
        token: str,
        *,
        version: Version | None = None,
        form: str = "auto",
        private_hosts: tuple[str, ...] | list[str] = (),
        is_private: bool = False,
        us: Party | None = None,
        them: Party | None = None,
        record: Callable[[Call], None] | None = None,
        patience: float = WHOLE_CALL,
        habits: Habits = LITERAL,
        tls: Tls = USUAL,
    ):
        self._headers = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "emsp"}
        self._headers["Authorization"] = (version or V221).authorization(token, form)
        self._headers |= _routing(us, them) if version is None or version.has_routing else {}
        self._record = record or (lambda call: None)
        self._patience = patience
        self._habits = habits
        self._line = _Line(PrivateHosts(private_hosts) if is_private else None)
        self._pool = _pool(self._line, tls)
        self.close = weakref.finalize(self, self._pool.close)

    def get(self, url: str, **params) -> Answer:
        return self._answer(self._send("GET", _with_params(self._ended(url), params)))

    def put(self, url: str, body: Any = None) -> Answer:
        return self._answer(self._send("PUT", self._ended(url), body))

    def post(self, url: str, body: Any = None) -> Answer:
        return self._answer(self._send("POST", self._ended(url), body))

    def patch(self, url: str, body: Any = None) -> Answer:
        return self._answer(self._send("PATCH", self._ended(url), body))

    def delete(self, url: str, body: Any = None) -> Answer:
        return self._answer(self._send("DELETE", self._ended(url), body))

    def pages(self, url: str, **params) -> Iterator[Page]:
        """All pages of a list, one after the other. PeerFailed where it is cut short: what was yielded is good.

        The Link is taken as it is (TR-18, TR-19), as long as it stays on the origin and gets us further.
        """
        crawl = Crawl(url, self._habits.next_pages_at)
        next_url: str | None = _with_params(self._ended(url), params)
        while next_url is not None:
            page, next_url = self._page(crawl, next_url)
            yield page
            next_url = crawl.following(page, next_url)

    def _page(self, crawl: Crawl, url: str) -> tuple[Page, str | None]:
        page, next_url = self._read_page(url)
        earlier = crawl.before_the_gap(page)
        return self._read_page(earlier) if earlier else (page, next_url)

    def _read_page(self, url: str) -> tuple[Page, str | None]:
        exchange = self._send_patiently(url)
        try:
            envelope, bodies = reader.split_page(exchange.body)
        except InvalidObject as error:
            raise exchange.failure(str(error)) from None
        total = exchange.headers.get("x-total-count", "")
        page = Page(bodies, int(total) if re.fullmatch(r"\d{1,12}", total) else None, url, envelope.timestamp)
        return page, next_link(exchange.headers.get("link", ""), url)

    def _send_patiently(self, url: str) -> "_Exchange":
        """A page that got lost on the way, or that the peer was too busy for, is asked for again."""
        for attempt in range(1, TRIES + 1):
            try:
                return self._send("GET", url)
            except PeerFailed as error:
                wait = _pause(error, attempt)
                if wait is None or attempt == TRIES:
                    raise
                time.sleep(wait)
        raise AssertionError("a last try either answers or raises")

    def _answer(self, exchange: "_Exchange") -> Answer:
        return Answer(exchange.data, exchange.status_code, exchange.http_status, exchange.headers)

    def _ended(self, url: str) -> str:
        path, mark, query = url.partition("?")
        return f"{path.rstrip('/')}/{mark}{query}" if self._habits.slash else url

    def _send(self, method: str, url: str, body: Any = None) -> "_Exchange":
        """One exchange, or two where the peer moves us on and that is its habit; PeerFailed unless it says 1xxx."""
        content = body if body is None or isinstance(body, bytes) else encode(body)
        deadline = time.monotonic() + self._patience
        exchange = self._exchanged(method, url, content, deadline, may_move=self._habits.redirects)
        if exchange.moved_to is None:
            return exchange
        return self._exchanged(method, exchange.moved_to, content, deadline, may_move=False)

    def _exchanged(
        self, method: str, url: str, content: bytes | None, deadline: float, *, may_move: bool
    ) -> "_Exchange":
        """One exchange, told to the record."""
        exchange, started = _Exchange(method, url, str(uuid4()), str(uuid4())), time.monotonic()
        error = ""
        try:
            self._transmit(exchange, content, deadline)
            if not (may_move and exchange.is_moved()):
                exchange.judge()
        except PeerFailed as failed:
            error = failed.reason
            raise
        finally:
            self._record(exchange.as_call(content or b"", error, timedelta(seconds=time.monotonic() - started)))
        return exchange

    def _transmit(self, exchange: "_Exchange", content: bytes | None, deadline: float) -> None:
        _refuse_odd_url(exchange)
        headers = self._headers | exchange.ids | ({} if content is None else {"Content-Type": "application/json"})
        self._line.start(exchange.url, deadline)
        try:
            said = {"headers": _as_bytes(headers), "content": content}
            with self._pool.stream(exchange.method, _target(exchange.url), **said) as response:
                exchange.http_status = response.status
                exchange.headers = _as_texts(response.headers)
                exchange.body = _bounded(response.iter_stream(), exchange)
        except _Forbidden as error:
            raise exchange.failure(str(error), permanent=True) from None
        except NO_ANSWER as error:
            raise _Silent(exchange, error) from None
        except (httpx.InvalidURL, ValueError) as error:
            raise exchange.failure(f"cannot call this: {error}", permanent=True) from None


class _Silent(PeerFailed):
    """No answer, or only a part of one."""

    def __init__(self, exchange: "_Exchange", error: Exception):
        self.is_broken = isinstance(error, BROKEN)
        reason = f"no answer: {type(error).__name__}" + (f", {error}" if str(error) else "")
        super().__init__(reason[:LONGEST_REASON], http_status=exchange.http_status, url=exchange.url)


def _pause(error: PeerFailed, attempt: int) -> float | None:
    """Seconds until a GET is worth another try, None if it is not. A peer that let a call time out is left alone."""
    if isinstance(error, _Silent):
        return random.uniform(0, 0.5 * attempt) if error.is_broken else None
    if error.retry_after is not None and error.retry_after <= LONGEST_WAIT:
        return error.retry_after
    return None


class _Exchange:
    """One request and what came back."""

    def __init__(self, method: str, url: str, request_id: str, correlation_id: str):
        self.method, self.url = method, url
        self.ids = {"X-Request-ID": request_id, "X-Correlation-ID": correlation_id}
        self.http_status: int | None = None
        self.headers: dict[str, str] = {}
        self.body = b""
        self.status_code: int | None = None
        self.message: str | None = None
        self.data: bytes | None = None
        self.moved_to: str | None = None

    def is_moved(self) -> bool:
        """Whether it is to be said again at `moved_to`; PeerFailed where that is no place for our token."""
        if self.http_status not in MOVED:
            return False
        target = self.headers.get("location", "")
        try:
            self.moved_to = on_origin(urljoin(self.url, target), self.url)
        except ValueError:
            self.moved_to = None
        if self.moved_to is None:
            raise self.failure(f"redirected elsewhere: {target[:100]}", permanent=True)
        return True

    def judge(self) -> None:
        """A failure is a status outside 2xx, or a code outside 1xxx (TR-13), or no envelope where there must be one."""
        unreadable = self._read_envelope()
        if not 200 <= self.http_status < 300:
            raise self.failure(self._said(_phrase(self.http_status)))
        if unreadable is not None:
            raise self.failure(unreadable)
        if not 1000 <= self.status_code < 2000:
            raise self.failure(self._said("refused"))

    def _read_envelope(self) -> str | None:
        """What is wrong with it. PUT, PATCH and DELETE have nothing to say, so some say nothing (TR-11)."""
        if not self.body.strip() and self.method != "GET":
            self.status_code = SUCCESS if 200 <= self.http_status < 300 else None
            return None
        try:
            envelope = reader.read_envelope(self.body)
        except InvalidObject as error:
            return str(error)
        self.status_code, self.message, self.data = envelope.status_code, envelope.status_message, envelope.data
        return None

    def _said(self, otherwise: str) -> str:
        status = f"HTTP {self.http_status}" + (f", OCPI {self.status_code}" if self.status_code is not None else "")
        told = f"{status}: {self.message or otherwise}"
        return f"the hub could not reach the party ({told})" if self.status_code in HUB_ERRORS else told

    def failure(self, reason: str, *, permanent: bool | None = None) -> PeerFailed:
        return PeerFailed(
            _legible(reason),
            http_status=self.http_status,
            status_code=self.status_code,
            permanent=self._is_final() if permanent is None else permanent,
            url=self.url,
            retry_after=_seconds(self.headers.get("retry-after", ""), datetime.now(UTC)),
        )

    def _is_final(self) -> bool:
        """A 3xxx is the peer's own trouble and a 4xxx a hub's, whatever HTTP says; a 2xxx is about what we said
        (status_codes, TR-26)."""
        if self.http_status is None or self.http_status >= 500 or self.http_status in TRY_AGAIN:
            return False
        if self.status_code in HUB_ERRORS:
            return False
        return self.http_status >= 300 or 2000 <= (self.status_code or 0) < 3000

    def as_call(self, request_body: bytes, error: str, duration: timedelta) -> Call:
        said = (request_body, self.body, self.http_status, self.status_code, error, duration)
        return Call(self.method, self.url, *said, self.ids["X-Request-ID"], self.ids["X-Correlation-ID"])


def _phrase(status: int) -> str:
    if 300 <= status < 400:
        return "redirects are not followed (TR-10)"
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "refused"


def _legible(text: str) -> str:
    """Text of a partner is hostile: no control characters, not without end (trust S37, S40)."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:LONGEST_REASON])


def _seconds(retry_after: str, now: datetime) -> float | None:
    """Retry-After as seconds or as a date (RFC 9110, 10.2.3); at most an hour."""
    if re.fullmatch(r"\d{1,9}", retry_after.strip()):
        return min(float(retry_after), 3600.0)
    try:
        until = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return min(max((until - now).total_seconds(), 0.0), 3600.0)


def _routing(us: Party | None, them: Party | None) -> dict[str, str]:
    """(transport_and_format, Message Routing Headers): without `them` a hub finds out by itself who is meant."""
    if us is None:
        return {}
    sides = {"from": us} if them is None else {"from": us, "to": them}
    return {
        f"OCPI-{side}-{name}": said
        for side, party in sides.items()
        for name, said in (("country-code", party.country_code), ("party-id", party.party_id))
    }


def _with_params(url: str, params: dict) -> str:
    written = {name: _as_text(value) for name, value in params.items() if value is not None}
    if not written:
        return url
    return url + ("&" if "?" in url else "?") + urlencode(written)


def _as_text(value) -> str:
    return write_moment(value, fraction=False) if isinstance(value, datetime) else str(value)


def _refuse_odd_url(exchange: _Exchange) -> None:
    """https or http, a host, no user, no fragment, an honest port (trust S22); the rest is judged when connecting."""
    try:
        parts = urlsplit(exchange.url)
        is_odd = parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.fragment
        port = parts.port
    except ValueError:
        is_odd, port = True, None
    if is_odd or len(exchange.url) > LONGEST_URL or port == 0 or not _is_bare(exchange.url):
        raise exchange.failure("this is no URL to call", permanent=True)


def _is_bare(url: str) -> bool:
    return url.isprintable() and " " not in url


# --- The connection -------------------------------------------------------------------------------------------------


class _Forbidden(Exception):
    """The URL leads where no partner may lead us."""


NO_HTTP = "http is for private partners at a host of OCPI_PRIVATE_HOSTS alone"


class _Line(httpcore.NetworkBackend):
    """Connects to checked addresses only, and reads until the deadline of the call. One call at a time."""

    def __init__(self, hosts: PrivateHosts | None):
        self._hosts = hosts
        self._sockets = httpcore.SyncBackend()
        self._deadline = 0.0
        self._encrypted = True

    def start(self, url: str, deadline: float) -> None:
        """A call begins."""
        self._deadline = deadline
        self._encrypted = urlsplit(url).scheme == "https"

    def left(self, most: float) -> float:
        """Seconds the next step may take."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("took too long")
        return min(left, most)

    def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):
        failed: Exception = httpcore.ConnectError("the host has no address")
        for address in self._addresses(host, port):
            try:
                stream = self._sockets.connect_tcp(address, port, self.left(CONNECT), local_address, socket_options)
                return _Stream(stream, self)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed

    def _addresses(self, host: str, port: int) -> list[str]:
        """The name is resolved once, and it is these addresses that are connected to (trust S20)."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"the host is not known: {error}") from None
        candidates = list(dict.fromkeys(sockaddr[0] for *_, sockaddr in found))
        allowed = reachable(candidates, host, port, self._hosts, encrypted=self._encrypted)
        # Which address it was is not said: the partner is told this too, and our inner names are not for it.
        if candidates and not allowed:
            raise _Forbidden(f"{host} leads where partners may not lead us" if self._encrypted else NO_HTTP)
        return allowed

    def connect_unix_socket(self, path, timeout=None, socket_options=None):
        raise _Forbidden("partners are not reached by a Unix socket")

    def sleep(self, seconds: float) -> None:
        self._sockets.sleep(self.left(seconds))


class _Stream(httpcore.NetworkStream):
    """A socket that knows when the call must be over, also where a byte a second drips in."""

    def __init__(self, stream: httpcore.NetworkStream, line: _Line):
        self._stream, self._line = stream, line

    def read(self, max_bytes, timeout=None):
        return self._stream.read(max_bytes, self._line.left(SILENCE))

    def write(self, buffer, timeout=None):
        self._stream.write(buffer, self._line.left(SILENCE))

    def close(self):
        self._stream.close()

    def start_tls(self, ssl_context, server_hostname=None, timeout=None):
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, self._line.left(SILENCE)), self._line)

    def get_extra_info(self, info):
        return self._stream.get_extra_info(info)


def _pool(line: _Line, tls: Tls) -> httpcore.ConnectionPool:
    """Connections on our own line: httpx would choose addresses by itself, follow redirects and read the environment."""
    return httpcore.ConnectionPool(_context(tls), max_connections=2, keepalive_expiry=5, network_backend=line)


@lru_cache(maxsize=MOST_CONTEXTS)
def context_of(tls: Tls) -> ssl.SSLContext:
    """One for all calls that are encrypted alike; found by the settings themselves, so changed ones have another.

    ValueError where OpenSSL does not take them.
    """
    return equip(httpx.create_ssl_context(trust_env=False), tls)


def _context(tls: Tls) -> ssl.SSLContext:
    try:
        return context_of(tls)
    except ValueError as error:
        raise PeerFailed(f"its certificate authority or our certificate {error}", permanent=True) from error


def _target(url: str) -> httpcore.URL:
    """A URL as it goes over the wire, which is in ASCII; httpx.InvalidURL where it cannot be written so."""
    parts = urlsplit(url if url.isascii() else str(httpx.URL(url)))
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    scheme, host, target = (one.encode("ascii") for one in (parts.scheme, parts.hostname, path))
    return httpcore.URL(scheme=scheme, host=host, port=parts.port, target=target)


def _as_bytes(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]


def _as_texts(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """By names in lower case; what is said several times is one list (RFC 9110, 5.2)."""
    texts: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode(errors="replace").lower(), raw_value.decode(errors="replace")
        texts[name] = f"{texts[name]}, {value}" if name in texts else value
    return texts


# --- The certificate of a host -------------------------------------------------------------------------------------


class Expired(PeerFailed):
    """The host shows a certificate that has ended, or that hangs on one that has."""


def certificate_ends_at(
    url: str,
    *,
    private_hosts: tuple[str, ...] | list[str] = (),
    is_private: bool = False,
    tls: Tls = USUAL,
    patience: float = WHOLE_CALL,
) -> datetime:
    """Until when the certificate of an https host holds: connected to and judged as for any call, and nothing is said.

    Expired where it no longer holds; PeerFailed where it cannot be seen.
    """
    exchange, line = _Exchange("GET", url, "", ""), _Line(PrivateHosts(private_hosts) if is_private else None)
    _refuse_odd_url(exchange)
    line.start(url, time.monotonic() + patience)
    try:
        return _end_of_certificate(line, _target(url), _context(tls))
    except _Forbidden as error:
        raise exchange.failure(str(error), permanent=True) from None
    except NO_ANSWER as error:
        raise _unseen(exchange, error) from None
    except (httpx.InvalidURL, ValueError) as error:
        raise exchange.failure(f"cannot call this: {error}", permanent=True) from None


def _end_of_certificate(line: _Line, target: httpcore.URL, context: ssl.SSLContext) -> datetime:
    host = target.host.decode()
    with (
        closing(line.connect_tcp(host, target.port or HTTPS)) as stream,
        closing(stream.start_tls(context, host)) as encrypted,
    ):
        return end_of(encrypted.get_extra_info("ssl_object").getpeercert(True))  # binary


def _unseen(exchange: _Exchange, error: Exception) -> PeerFailed:
    """httpcore's errors are made from OpenSSL's, which say by number what was wrong."""
    if getattr(error.__cause__, "verify_code", None) == HAS_EXPIRED:
        return Expired("the certificate has expired", url=exchange.url)
    return _Silent(exchange, error)


# --- Bounds on an answer --------------------------------------------------------------------------------------------


def _bounded(chunks: Iterator[bytes], exchange: _Exchange) -> bytes:
    """The body, unpacked by ourselves: libraries unpack without any bound (trust S32)."""
    encoding = exchange.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip", ""):
        raise exchange.failure(f"the answer is packed with {encoding}, which we did not ask for")
    unpacker = _Unpacker() if "gzip" in encoding else None
    wire, parts, size = 0, [], 0
    try:
        for chunk in chunks:
            wire += len(chunk)
            part = unpacker.feed(chunk, wire) if unpacker else chunk
            size += len(part)
            if wire > WIRE_LIMIT or size > UNPACKED_LIMIT:
                raise exchange.failure("the answer is too large")
            parts.append(part)
    except (_Bomb, zlib.error) as error:
        raise exchange.failure(f"cannot unpack the answer: {error}") from None
    if unpacker and not unpacker.is_whole and wire:
        raise exchange.failure("the packed answer is broken off")
    return b"".join(parts)


class _Bomb(Exception):
    """Packed answers of objects are a tenth of their size, not a thousandth."""


class _Unpacker:
    """gzip, a bounded piece at a time."""

    def __init__(self):
        self._stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self._size = 0

    @property
    def is_whole(self) -> bool:
        return self._stream.eof

    def feed(self, chunk: bytes, wire: int) -> bytes:
        """`wire` is the size of all that came until now."""
        most = max(UNSUSPICIOUS, MOST_PACKED * wire)
        part = self._stream.decompress(chunk, most - self._size + 1)
        self._size += len(part)
        if self._size > most:
            raise _Bomb("the answer unpacks to far more than it is")
        return part
