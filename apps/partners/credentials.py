"""Credentials tokens that partners present to us: minted, found by digest, and what the use of one ends.

Only digests are kept (trust S2). A token that is replaced lives until the new one is first used, at most a day: a lost
reply locks nobody out (decision 27, trust S12).
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import transaction
from django.db.models import Q

from apps.bulk import run_prepared
from apps.ocpi.versions import token_forms

from .models import CredentialsToken, Partner, Party
from .quirks import HEARD
from .scope import NO_KEY, Key

INVITATION_LIFE = timedelta(days=7)
GRACE = timedelta(hours=24)
NOTED_EVERY = timedelta(hours=1)
"""How exactly `last_used_at` is kept: a write for every request would cost more than it tells."""


def mint() -> str:
    """32 random bytes in base64url, drawn until `-` or `_` is in them: never valid base64, so nobody can take it for
    an encoded token (TR-03, decision 27)."""
    while True:
        token = secrets.token_urlsafe(32)
        if "-" in token or "_" in token:
            return token


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def issue(partner: Partner, kind: CredentialsToken.Kind, now: datetime, *, expires_at: datetime | None = None) -> str:
    """A new token for the partner; it can be read here and never again (trust S4). Other tokens stay as they are."""
    token = mint()
    if kind == CredentialsToken.Kind.INVITATION:
        expires_at = now + INVITATION_LIFE
    CredentialsToken.objects.create(
        partner=partner, kind=kind, digest=digest(token), last_four=token[-4:], created_at=now, expires_at=expires_at
    )
    return token


@transaction.atomic
def replace(partner: Partner, now: datetime) -> str:
    """A new credentials token; the ones before it have a day left, or until the new one is used (CRED-07)."""
    older = valid(partner, now).filter(kind=CredentialsToken.Kind.CREDENTIALS)
    older.filter(Q(expires_at=None) | Q(expires_at__gt=now + GRACE)).update(expires_at=now + GRACE)
    return issue(partner, CredentialsToken.Kind.CREDENTIALS, now)


def valid(partner: Partner, now: datetime):
    unexpired = Q(expires_at=None) | Q(expires_at__gt=now)
    return CredentialsToken.objects.filter(unexpired, partner=partner, revoked_at=None)


def revoke_all(partner: Partner, now: datetime) -> None:
    """From this moment nothing the partner knows opens anything (CRED-08, trust S8)."""
    CredentialsToken.objects.filter(partner=partner, revoked_at=None).update(revoked_at=now)


class Caller(NamedTuple):
    """Who calls, with which token, and the parties of the URL and of the OCPI-from headers where they are its own."""

    partner: Partner
    token: CredentialsToken
    presented: str
    owner: Party | None
    sender: Party | None


def _fields(model, *names: str) -> list:
    """In the order of the model, in which `from_db` takes values."""
    return [field for field in model._meta.concrete_fields if field.name in names]


_TOKEN = _fields(CredentialsToken, "id", "partner", "kind", "digest", "expires_at", "first_used_at", "last_used_at")
_PARTNER = _fields(Partner, "id", "name", "role", "state", "version", "pace", "slowed_until", "wants_place", *HEARD)
_PARTY = _fields(Party, "id", "country_code", "party_id", "partner")
"""What requests need to know; whoever asks for more, as a registration does, fetches it then."""


def _columns(fields, table: str) -> str:
    return ", ".join(f'{table}."{field.column}"' for field in fields)


FIND = f"""
SELECT {_columns(_TOKEN, "token")}, {_columns(_PARTNER, "partner")},
    {_columns(_PARTY, "owner")}, {_columns(_PARTY, "sender")}
FROM partners_credentialstoken token
JOIN partners_partner partner ON partner.id = token.partner_id
LEFT JOIN partners_party owner ON owner.partner_id = partner.id
    AND upper(owner.country_code) = %s AND upper(owner.party_id) = %s
LEFT JOIN partners_party sender ON sender.partner_id = partner.id
    AND upper(sender.country_code) = %s AND upper(sender.party_id) = %s
WHERE token.digest IN (%s, %s) AND token.revoked_at IS NULL AND (token.expires_at IS NULL OR token.expires_at > %s)
"""
"""Every request asks this, so it is one statement, and not the ORM's."""


def find(header: str, now: datetime, owner: Key = NO_KEY, sender: Key = NO_KEY) -> Caller | None:
    """Who presents this Authorization header; None where it opens nothing. Nothing is remembered between requests, so
    a revoked token is dead at once (trust S5, S8)."""
    forms = {digest(form): form for form in token_forms(header)}
    if not forms:
        return None
    as_written, *decoded = forms
    found = run_prepared(FIND, [*owner, *sender, as_written, decoded[0] if decoded else as_written, now])
    return _caller(found[0], forms) if found else None


def find_dead(header: str) -> CredentialsToken | None:
    """The token in this Authorization header, where it was good once and is no more."""
    known = CredentialsToken.objects.filter(digest__in=[digest(form) for form in token_forms(header)])
    return known.select_related("partner").first()


def _caller(row: tuple, forms: dict[bytes, str]) -> Caller:
    parts, start = [], 0
    for model, fields in ((CredentialsToken, _TOKEN), (Partner, _PARTNER), (Party, _PARTY), (Party, _PARTY)):
        values = row[start : start + len(fields)]
        parts.append(None if values[0] is None else _instance(model, fields, values))
        start += len(fields)
    token, partner, owner, sender = parts
    token.partner = partner
    return Caller(partner, token, forms[bytes(token.digest)], owner, sender)


def _instance(model, fields, values):
    return model.from_db("default", [field.attname for field in fields], values)


def note_use(token: CredentialsToken, now: datetime) -> None:
    """Remember that the token was used. Its first use ends all older ones, token A included (decision 27).

    A token that has an end does not: it was replaced itself, or our own call that hands it over is still open, and a
    partner that looks at our versions with it may yet refuse it (trust S12 c).
    """
    if token.first_used_at is None and token.kind == token.Kind.CREDENTIALS and token.expires_at is None:
        _take_over(token, now)
    elif token.last_used_at is None or token.last_used_at < now - NOTED_EVERY:
        CredentialsToken.objects.filter(pk=token.pk).update(last_used_at=now)


@transaction.atomic
def _take_over(token: CredentialsToken, now: datetime) -> None:
    CredentialsToken.objects.filter(pk=token.pk).update(first_used_at=now, last_used_at=now)
    older = CredentialsToken.objects.filter(partner=token.partner_id, pk__lt=token.pk, revoked_at=None)
    older.update(revoked_at=now)
