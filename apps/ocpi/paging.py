"""Walking through the pages of a peer's list without going astray (TR-18, TR-19; trust S23, S34)."""

import re
from datetime import datetime
from hashlib import blake2b
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from .envelope import SUCCESS
from .errors import PeerFailed

MOST_PAGES = 200_000
MOST_EMPTY_PAGES = 3
LONGEST_LINK = 4096
HTTP, HTTPS = ("http", 80), ("https", 443)


class Page(NamedTuple):
    """A page of a list: each object's own bytes, and how many the peer says there are in all.

    `timestamp` is the peer's clock when it answered, which may serve as the next `date_from` (TR-20).
    """

    bodies: list[bytes]
    total: int | None
    url: str
    timestamp: datetime | None


_LINK = re.compile(r"<([^>]*)>((?:[^,\"]|\"[^\"]*\")*)")
_NEXT = re.compile(r";\s*rel\s*=\s*(?:\"(?:[^\"]*\s)?next(?:\s[^\"]*)?\"|next(?=[\s;]|\Z))", re.IGNORECASE)


def next_link(header: str, url: str) -> str | None:
    """The URL of the next page (RFC 8288), relative ones too; None on the last page."""
    for target, parameters in _LINK.findall(header[:LONGEST_LINK]):
        if _NEXT.search(parameters) and target.strip():
            return _joined(url, target.strip())
    return None


def _joined(url: str, target: str) -> str:
    try:
        return urljoin(url, target)
    except ValueError:
        return target  # no URL at all, as `Crawl` will find


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: who gets to see our token."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or (HTTPS if parts.scheme == HTTPS[0] else HTTP)[1]


def on_origin(url: str, ours: str) -> str | None:
    """The URL if it leads to the origin of `ours`, where our token is known; None if elsewhere, ValueError if it is no
    URL. A peer behind a proxy may not know that it is called by https."""
    us, them = origin(ours), origin(url)
    if them == us:
        return url
    if them == (HTTP[0], us[1], HTTP[1]) and us[0] == HTTPS[0]:
        return urlsplit(url)._replace(scheme=HTTPS[0], netloc=urlsplit(ours).netloc).geturl()
    return None


class Crawl:
    """Keeps a walk through pages from going astray or round in circles (trust S23, S34)."""

    def __init__(self, url: str, also_at: str = ""):
        self._url, self._also_at = url, also_at
        self._urls: set[str] = set()
        self._contents: set[bytes] = set()
        self._read = 0
        self._empty = 0
        self._largest = 1
        self._total: int | None = None

    def before_the_gap(self, page: Page) -> str | None:
        """Where to read a page again: an object before it went away meanwhile, and the rest moved up (TR-18)."""
        before, self._total = self._total, page.total
        if before is None or page.total is None or page.total >= before:
            return None
        query = dict(parse_qsl(urlsplit(page.url).query, keep_blank_values=True))
        offset = query.get("offset", "")
        if not offset.isdecimal() or int(offset) < before - page.total:
            return None
        earlier = urlencode(query | {"offset": int(offset) - (before - page.total)})
        return urlsplit(page.url)._replace(query=earlier).geturl()

    def following(self, page: Page, next_url: str | None) -> str | None:
        """Where the walk goes on, None at its end; PeerFailed where it leads nowhere."""
        self._urls.add(page.url)
        is_repeated = self._is_repeated(page)
        self._read += 0 if is_repeated else len(page.bodies)
        self._empty = 0 if page.bodies else self._empty + 1
        if next_url is None:
            return None
        next_url = self._allowed(next_url)
        if next_url in self._urls or is_repeated:
            if page.total is not None and self._read >= page.total:
                return None
            raise self._astray("the pages lead in a circle")
        if self._empty > MOST_EMPTY_PAGES or len(self._urls) >= self._most_pages(page):
            raise self._astray("the pages have no end")
        return next_url

    def _most_pages(self, page: Page) -> int:
        """Generous, since some peers count the objects of the page where all are meant."""
        self._largest = max(self._largest, len(page.bodies))
        return MOST_PAGES if page.total is None else min(MOST_PAGES, 1000 + 10 * (page.total // self._largest))

    def _is_repeated(self, page: Page) -> bool:
        if not page.bodies:
            return False
        content = blake2b(b"\n".join(page.bodies), digest_size=16).digest()
        is_repeated = content in self._contents
        self._contents.add(content)
        return is_repeated

    def _allowed(self, next_url: str) -> str:
        """Nobody else gets to see our token, but a host that staff named, by the same scheme."""
        try:
            own, theirs = on_origin(next_url, self._url), origin(next_url)
        except ValueError:
            raise self._astray("the Link of the next page is no URL") from None
        if own is not None:
            return own
        if self._also_at and theirs == origin(f"{origin(self._url)[0]}://{self._also_at}"):
            return next_url
        raise self._astray("the next page is elsewhere: {}, {:.100}, {}".format(*theirs), permanent=True)

    def _astray(self, reason: str, permanent: bool = False) -> PeerFailed:
        return PeerFailed(reason, http_status=HTTPStatus.OK, status_code=SUCCESS, permanent=permanent, url=self._url)
