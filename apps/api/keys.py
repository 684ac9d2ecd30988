"""Keys of our own API: made, found by digest, and revoked. A key is shown once; what is kept opens nothing (trust S2, S4)."""

from datetime import datetime

from apps.drivers.models import Account
from apps.partners.credentials import NOTED_EVERY, digest, mint

from .models import ApiKey


def issue(
    name: str, scope: str, now: datetime, *, by: str, account: Account | None = None, pace: int = 1
) -> tuple[ApiKey, str]:
    """A new key, and what is to be presented; it can be read here and never again."""
    secret = mint()
    kept = {"digest": digest(secret), "last_four": secret[-4:], "created_at": now, "created_by": by}
    return ApiKey.objects.create(name=name, scope=scope, account=account, pace=pace, **kept), secret


def find(secret: str) -> ApiKey | None:
    """None where it opens nothing. Nothing is remembered between requests: a revoked key is dead at once (trust S8)."""
    return ApiKey.objects.filter(digest=digest(secret), revoked_at=None).first()


def note_use(key: ApiKey, now: datetime) -> None:
    """To the hour: a write for every request would cost more than it tells."""
    if key.last_used_at is None or key.last_used_at < now - NOTED_EVERY:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)


def revoke(key: ApiKey, now: datetime, *, by: str) -> bool:
    """False if it was revoked before; who did it first stays."""
    return bool(ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now, revoked_by=by))
