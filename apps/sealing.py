"""Secrets we must be able to read again, encrypted at rest: AES-256-GCM with keys of FIELD_KEYS (trust S3).

Sealed text is bound to its place, so a row's secret put into another row opens nothing. The first key seals, all keys
open: a new key goes first, and the old one stays until everything was sealed again.
"""

import hashlib
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db.models import Model

KEY_ID, NONCE = 4, 12
"""Bytes at the front of what is sealed."""


class Unreadable(Exception):
    """The text was not sealed for this place, or its key is not in FIELD_KEYS."""


def place(row: Model, name: str) -> str:
    """What a secret is bound to: the column of its row."""
    return f"{row._meta.model_name} {row.pk} {name}"


def seal(text: str, place: str) -> str:
    """Encrypt a text for one place, such as "partner 7 outbound_token"."""
    key = _keys()[0]
    nonce = secrets.token_bytes(NONCE)
    sealed = AESGCM(key).encrypt(nonce, text.encode(), place.encode())
    return urlsafe_b64encode(_key_id(key) + nonce + sealed).decode()


def unseal(sealed: str, place: str) -> str:
    """The text again; Unreadable where it is not this place's."""
    try:
        content = urlsafe_b64decode(sealed)
    except ValueError as error:
        raise Unreadable(f"what is stored as {place} is not sealed") from error
    key_id, nonce, encrypted = content[:KEY_ID], content[KEY_ID : KEY_ID + NONCE], content[KEY_ID + NONCE :]
    key = next((key for key in _keys() if _key_id(key) == key_id), None)
    if key is None:
        raise Unreadable(f"the key that sealed {place} is not in FIELD_KEYS")
    try:
        return AESGCM(key).decrypt(nonce, encrypted, place.encode()).decode()
    except InvalidTag as error:
        raise Unreadable(f"what is stored was not sealed as {place}") from error


def _keys() -> list[bytes]:
    return [urlsafe_b64decode(key) for key in settings.FIELD_KEYS]


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()[:KEY_ID]
