"""Addresses that open a partner's view to whoever has them: made for somebody, for a time, and taken back.

An address is a secret with our signature, so that what was made up or mistyped is known without asking the database.
Whatever is wrong with one, it opens nothing, and nobody is told why (trust S5, S6).
"""

import secrets
from datetime import datetime, timedelta

from django.core.signing import BadSignature, Signer

from apps.partners.credentials import digest
from apps.partners.models import Partner
from apps.partnerview.models import Link

NOTED_EVERY = timedelta(minutes=1)
"""How exactly `last_seen_at` is kept."""

SIGNER = {"salt": "apps.partnerview.links", "sep": "."}


class CannotTakeBack(Exception):
    """The text says why, for staff."""


def make(partner: Partner, holder: str, life: timedelta, by: str, now: datetime) -> str:
    """A new link; returns its address, which can be read here and never again (trust S4)."""
    secret = secrets.token_urlsafe(32)
    Link.objects.create(
        partner=partner, holder=holder, digest=digest(secret), created_at=now, created_by=by, expires_at=now + life
    )
    return Signer(**SIGNER).sign(secret)


def find(address: str, now: datetime) -> Link | None:
    """The link of an address that is good now; that it was used is noted."""
    try:
        secret = Signer(**SIGNER).unsign(address)
    except BadSignature:
        return None
    good = Link.objects.filter(digest=digest(secret), revoked_at=None, expires_at__gt=now)
    link = good.select_related("partner").first()
    if link and (link.last_seen_at is None or now - link.last_seen_at >= NOTED_EVERY):
        Link.objects.filter(pk=link.pk).update(last_seen_at=now)
    return link


def take_back(link: Link, by: str, now: datetime) -> None:
    """From now on it opens nothing. CannotTakeBack if it does so already."""
    still_good = Link.objects.filter(pk=link.pk, revoked_at=None, expires_at__gt=now)
    if not still_good.update(revoked_at=now, revoked_by=by):
        raise CannotTakeBack(f"the link for {link.holder} opens nothing any more")
