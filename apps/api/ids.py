"""Ids as our API tells them: they mean something here alone, and nobody guesses one or counts with them (trust S16).

A row's number is sealed together with its kind. The keys are SECRET_KEY's: whoever changes that keeps the old one in
SECRET_KEY_FALLBACKS for as long as somebody may come with ids of before.
"""

import base64
import re
from functools import cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from django.conf import settings
from django.db.models import Model
from django.utils.crypto import salted_hmac

SPELLING = r"[A-Za-z0-9_-]{32}"


def write(model: type[Model], pk: int) -> str:
    sealed = _cipher(settings.SECRET_KEY).encrypt(pk.to_bytes(8), [_kind(model)])
    return base64.urlsafe_b64encode(sealed).decode()


def read(model: type[Model], written: str) -> int | None:
    """The row's number; None for what we never wrote of this kind."""
    if not re.fullmatch(SPELLING, written, re.ASCII):
        return None
    sealed = base64.urlsafe_b64decode(written)
    opened = (_open(secret, sealed, _kind(model)) for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))
    return next((int.from_bytes(number) for number in opened if number), None)


def _open(secret: str, sealed: bytes, kind: bytes) -> bytes | None:
    try:
        return _cipher(secret).decrypt(sealed, [kind])
    except InvalidTag:
        return None


def _kind(model: type[Model]) -> bytes:
    return model._meta.label_lower.encode()


@cache
def _cipher(secret: str) -> AESSIV:
    return AESSIV(salted_hmac(__name__, "ids", secret=secret, algorithm="sha512").digest())
