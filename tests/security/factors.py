"""A telephone with an authenticator app: written from RFC 4226 and RFC 6238, knowing nothing of ours."""

import hashlib
import hmac
import struct
import time
from base64 import b32decode


def shown(secret: str, at: float | None = None) -> str:
    """The six digits for a secret in base32, as somebody typed it."""
    key = b32decode(secret.replace(" ", ""))
    counter = int(time.time() if at is None else at) // 30
    digest = hmac.new(key, struct.pack(">Q", counter), hashlib.sha1).digest()
    offset = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[offset : offset + 4])[0] & 0x7FFFFFFF) % 10**6:06d}"


def later(secret: str) -> str:
    """What a telephone shows whose clock is half a minute fast: still good, and never used before."""
    return shown(secret, time.time() + 30)
