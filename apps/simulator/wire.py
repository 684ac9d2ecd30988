"""How the simulated CPO puts OCPI on the wire: JSON, envelope, time, credentials tokens in headers."""

import base64
import binascii
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

# Amounts are Decimal and leave as JSON numbers, digit by digit (types, Number).
_encoder = msgspec.json.Encoder(decimal_format="number")
encode = _encoder.encode


class Request(NamedTuple):
    method: str
    path: str
    query: dict[str, str]
    headers: Any
    body: bytes
    target: str = ""
    """As it was asked for, with its slashes."""

    def json(self) -> Any:
        """The body, or ValueError where it is no JSON."""
        return json.loads(self.body, parse_float=Decimal)


@dataclass
class Reply:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    is_lost: bool = False


def utc(moment: datetime) -> str:
    """string(25) in UTC with the designator (types, DateTime)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> datetime:
    """A DateTime without designator is UTC (types, DateTime)."""
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def authorization(token: str, is_encoded: bool = True) -> str:
    """(transport_and_format, Authorization header): base64 of the UTF-8 token; in 2.1.1 the token as it is."""
    return "Token " + (base64.b64encode(token.encode()).decode() if is_encoded else token)


def presented_tokens(header: str | None) -> list[str]:
    """What a peer may have meant: many send the token as it is (transport_and_format, Authorization header)."""
    scheme, _, text = (header or "").partition(" ")
    if scheme.lower() != "token" or not text:
        return []
    try:
        return [base64.b64decode(text, validate=True).decode().strip(), text]
    except (binascii.Error, UnicodeDecodeError):
        return [text]


def answer(
    now: datetime, data: Any = None, *, status: int = 200, code: int = 1000, message: str | None = None
) -> Reply:
    """(transport_and_format, Response format); no `data` where there is none."""
    body = {"data": data, "status_code": code, "status_message": message, "timestamp": utc(now)}
    return Reply(status, encode({name: value for name, value in body.items() if value is not None}))


def list_answer(now: datetime, objects: list[bytes]) -> Reply:
    tail = b'],"status_code":1000,"timestamp":"' + utc(now).encode() + b'"}'
    return Reply(200, b'{"data":[' + b",".join(objects) + tail)
