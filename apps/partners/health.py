"""How the connections go: which feeds are good, since when not, and why."""

from datetime import datetime, timedelta
from typing import NamedTuple

from .models import Feed, Partner

SILENT_AFTER = 3
AT_LEAST = timedelta(minutes=15)
"""A feed that was not good for so many of its intervals, and at least so long, needs somebody."""


class FeedHealth(NamedTuple):
    """`age` is how long ago the last good pull ended, None if there never was one."""

    module: str
    last_good: datetime | None
    age: timedelta | None
    failures: int
    error: str
    is_silent: bool


class Health(NamedTuple):
    partner: Partner
    parties: list[str]
    feeds: list[FeedHealth]

    @property
    def name(self) -> str:
        """The partner as operators call it: by its first party (decision 36)."""
        return self.parties[0] if self.parties else self.partner.name


def health_of(partner: Partner, now: datetime) -> Health:
    """The state of one partner's connection."""
    parties = [str(party) for party in partner.parties.order_by("pk")]
    return Health(partner, parties, [feed_health(feed, now) for feed in partner.feeds.order_by("pk")])


def health_of_all(now: datetime) -> list[Health]:
    return [health_of(partner, now) for partner in Partner.objects.order_by("name", "pk")]


def feed_health(feed: Feed, now: datetime) -> FeedHealth:
    age = None if feed.last_good_at is None else now - feed.last_good_at
    error = feed.last_error or feed.last_outcome.get("error", "")
    return FeedHealth(feed.module, feed.last_good_at, age, feed.failures, error, is_silent(feed, now))


def with_silent_feeds(now: datetime) -> set[int]:
    """Connected partners that somebody should look at."""
    feeds = Feed.objects.filter(partner__state=Partner.State.CONNECTED)
    return {feed.partner_id for feed in feeds if is_silent(feed, now)}


def is_silent(feed: Feed, now: datetime) -> bool:
    """Whether the safety net under the pushes of this module has a hole."""
    if feed.last_good_at is None:
        return feed.failures > 0
    return feed.last_good_at < now - max(feed.interval * SILENT_AFTER, AT_LEAST)
