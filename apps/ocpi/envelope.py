"""The envelope around every answer of ours (transport_and_format, Response format), and the headers of a page."""

from datetime import datetime
from typing import Any

import msgspec

from .types import write_moment

SUCCESS = 1000
CLIENT_ERROR = 2000
INVALID = 2001
SERVER_ERROR = 3000

encode = msgspec.json.Encoder(decimal_format="number").encode
"""Amounts leave as JSON numbers, digit by digit (types, Number). `msgspec.Raw` leaves as the bytes it is."""


def success(data: Any, now: datetime) -> bytes:
    """`data` is what a Version wrote, or `msgspec.Raw` of stored bytes; None leaves it out (TR-11)."""
    return encode(_envelope(SUCCESS, None, data, now))


def failure(status_code: int, message: str, data: Any, now: datetime) -> bytes:
    """What went wrong, in OCPI's words (status_codes); the message is for people."""
    return encode(_envelope(status_code, message, data, now))


def _envelope(status_code: int, message: str | None, data: Any, now: datetime) -> dict:
    said = {"data": data, "status_code": status_code, "status_message": message, "timestamp": write_moment(now)}
    return {name: value for name, value in said.items() if value is not None}


def page_headers(total: int, limit: int, next_url: str | None) -> dict[str, str]:
    """`total` objects match, `limit` is the most we give at once; no Link on the last page (TR-15)."""
    headers = {"X-Total-Count": str(total), "X-Limit": str(limit)}
    return headers | ({"Link": f'<{next_url}>; rel="next"'} if next_url else {})
