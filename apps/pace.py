"""How often somebody may do something: buckets that run empty and fill up again (trust S42).

All processes draw from one bucket in the broker's Redis, a handful at a time, so that most requests ask nobody. While it
does not answer, or the broker is none, each process has buckets of its own; what must not be done too often even then
(`is_open` False) is not done at all.
"""

import ipaddress
import logging
import threading
import time
from collections.abc import Hashable
from http import HTTPStatus
from math import ceil
from typing import NamedTuple

import redis
from celery import current_app

from apps.ocpi.errors import OcpiError

log = logging.getLogger(__name__)


class Limit(NamedTuple):
    """So many a second in the long run, and so many at once."""

    rate: float
    burst: float
    is_open: bool = True
    """Whether it may be done when nobody can say how often it was."""

    def times(self, factor: float) -> "Limit":
        return self._replace(rate=self.rate * factor, burst=self.burst * factor)


LIMITS = {
    "authorize": Limit(50, 200),
    "messages": Limit(200, 1000),
    "cdrs": Limit(50, 200),
    "lists": Limit(5, 20),
    "handshakes": Limit(6 / 3600, 6, is_open=False),
}
"""Of a partner; `Partner.pace` is how many times as much it may."""

SLOWED = Limit(1, 1)
STRANGERS = Limit(10, 20)
"""Refused callers of one network: twenty, then ten a second."""

HANDFUL_S = 0.2
"""Of how many seconds' worth a process takes at once."""
STALE_S = 1.0
"""For how long it may use what it took."""
PATIENCE_S, SILENCE_S = 0.05, 5.0
"""How long Redis may think, and for how long it is left alone when it did not answer."""
LONG_PATIENCE_S = 2.0
"""How long where nothing is done unless it answers: a handshake that is turned away is a morning lost."""
MOST_REMEMBERED = 10_000


class TooOften(OcpiError):
    """HTTP 429 with the seconds to wait."""

    http_status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, retry_after: int, message: str = "Too many requests"):
        super().__init__(message)
        self.retry_after = retry_after


class Unanswered(Exception):
    """Nobody could say how often it was done."""


class Bucket:
    """One bucket of this process."""

    def __init__(self, burst: float, now: float):
        self.left, self.at = burst, now

    def take(self, limit: Limit, wanted: int, now: float) -> tuple[int, float]:
        """How many of them may be done, and if none, in how many seconds one may."""
        self.left = min(limit.burst, self.left + (now - self.at) * limit.rate)
        self.at = now
        given = min(wanted, int(self.left))
        self.left -= given
        return given, 0 if given else (1 - self.left) / limit.rate


TAKE = """
local rate, burst, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local kept = redis.call('HMGET', KEYS[1], 'left', 'at')
local gone = math.max(0, now - (tonumber(kept[2]) or now))
local left = math.min(burst, (tonumber(kept[1]) or burst) + gone * rate)
local given = math.min(wanted, math.floor(left))
left = left - given
redis.call('HSET', KEYS[1], 'left', string.format('%.6f', left), 'at', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil(burst / rate * 1000) + 1000)
return {given, string.format('%.6f', given > 0 and 0 or (1 - left) / rate)}
"""
"""The same bucket in Redis, by its clock."""


class Shared:
    """The buckets of all processes."""

    def __init__(self, url: str):
        self._hasty, self._patient = (_script(url, patience) for patience in (PATIENCE_S, LONG_PATIENCE_S))
        self._silent_until = 0.0

    def take(self, name: str, limit: Limit, wanted: int) -> tuple[int, float]:
        if limit.is_open and time.monotonic() < self._silent_until:
            raise Unanswered
        ask = self._hasty if limit.is_open else self._patient
        try:
            given, wait = ask(keys=[f"pace:{name}"], args=[limit.rate, limit.burst, wanted])
        except redis.RedisError as error:
            self._silent_until = time.monotonic() + SILENCE_S
            log.warning("how often partners call is not counted for all processes together: %s", error)
            raise Unanswered from error
        return int(given), float(wait)


def _script(url: str, patience: float):
    how = {"socket_timeout": patience, "socket_connect_timeout": patience}
    return redis.Redis.from_url(url.replace("redis+socket://", "unix://"), **how).register_script(TAKE)


class Pace:
    """What this process holds in its hand, and where it gets more."""

    def __init__(self) -> None:
        self._hands: dict[Hashable, list] = {}
        self._buckets: dict[Hashable, Bucket] = {}
        self._lock = threading.Lock()
        self._shared: Shared | None = None
        self._url: str | None = None

    def wait(self, key: tuple, limit: Limit) -> int:
        """Seconds to wait; 0 if it may be done now, which then counts.

        Two threads may use up the last of a hand together: one too many is cheaper than a lock for every request.
        """
        hand = self._hands.get(key)
        if hand is not None and hand[0] > 0 and time.monotonic() < hand[1]:
            hand[0] -= 1
            return 0
        return self._fill(key, limit)

    def forget(self) -> None:
        """As if nobody had done anything, as far as this process counts."""
        self._hands.clear()
        self._buckets.clear()

    def _fill(self, key: tuple, limit: Limit) -> int:
        wanted = max(1, int(limit.rate * HANDFUL_S))
        try:
            given, wait = self._take(key, limit, wanted)
        except Unanswered:
            return ceil(SILENCE_S)
        if not given:
            return max(1, ceil(wait))
        if given > 1:
            self._remember(self._hands, key, [given - 1, time.monotonic() + STALE_S])
        return 0

    def _take(self, key: tuple, limit: Limit, wanted: int) -> tuple[int, float]:
        shared = self._everybodys()
        if shared is None:
            return self._take_here(key, limit, wanted)
        try:
            return shared.take(":".join(map(str, key)), limit, wanted)
        except Unanswered:
            if not limit.is_open:
                raise
            return self._take_here(key, limit, wanted)

    def _take_here(self, key: tuple, limit: Limit, wanted: int) -> tuple[int, float]:
        with self._lock:
            now = time.monotonic()
            bucket = self._buckets.get(key) or self._remember(self._buckets, key, Bucket(limit.burst, now))
            return bucket.take(limit, wanted, now)

    def _remember(self, kept: dict, key: tuple, value):
        """Strangers have as many addresses as they like: whoever fills the memory empties it."""
        if len(kept) >= MOST_REMEMBERED:
            kept.clear()
        kept[key] = value
        return value

    def _everybodys(self) -> Shared | None:
        """By the broker of the moment; only Redis can count."""
        url = current_app.conf.broker_url or ""
        if url != self._url:
            self._url = url
            self._shared = Shared(url) if url.startswith(("redis", "valkey", "unix")) else None
        return self._shared


PACE = Pace()


def require(key: tuple, limit: Limit) -> None:
    """Count it; TooOften if it was done too often."""
    if wait := PACE.wait(key, limit):
        raise TooOften(wait)


def network_of(address: str) -> str:
    """What one stranger has at least: a /24, or a /56 of IPv6.

    >>> network_of("192.0.2.77"), network_of("2001:db8:1:203:4::5"), network_of("")
    ('192.0.2.0', '2001:db8:1:200::', '')
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    bits = 24 if found.version == 4 else 56
    return str(ipaddress.ip_network((found, bits), strict=False).network_address)
