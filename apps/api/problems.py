"""What is said when it is not what was asked for: problem documents, never a web page (RFC 9457).

`type` is about:blank, so `title` is HTTP's own word for the status; `errors` name the fields, each with its reason.
"""

import logging
from collections.abc import Iterator
from http import HTTPStatus
from math import ceil

import msgspec
from django.core.exceptions import DisallowedHost
from django.db import InterfaceError, OperationalError
from django.http import HttpResponse
from django.urls import Resolver404
from rest_framework.exceptions import APIException, NotFound, ValidationError

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_S = 5


class Conflict(APIException):
    """It cannot be done as things are now; the text says why, and perhaps which field is in the way."""

    status_code = HTTPStatus.CONFLICT

    def __init__(self, detail: str, **reasons: str):
        super().__init__(detail)
        self.reasons = reasons


class TooLarge(APIException):
    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def document(status: int, detail: str, errors: list[dict] = (), headers: dict | None = None) -> HttpResponse:
    said = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": int(status), "detail": detail}
    content = msgspec.json.encode(said | ({"errors": errors} if errors else {}))
    return HttpResponse(content, status=status, content_type=CONTENT_TYPE, headers=headers)


def foreseen(error: Exception, _context=None) -> HttpResponse | None:
    """What is the caller's to mend (REST framework's EXCEPTION_HANDLER); None for what is not."""
    if isinstance(error, ValidationError):
        errors = list(_reasons(error.detail))
        return document(error.status_code, f"Not as it must be: {', '.join(one['field'] for one in errors)}", errors)
    if isinstance(error, APIException):
        errors = list(_reasons(getattr(error, "reasons", {})))
        return document(error.status_code, str(error.detail), errors, _headers(error))
    return None


def of(error: Exception) -> HttpResponse:
    """Of whatever happened outside a view, or was not foreseen in one."""
    if isinstance(error, Resolver404):
        return foreseen(NotFound("There is nothing at this URL"))
    if isinstance(error, DisallowedHost):
        return document(HTTPStatus.BAD_REQUEST, "This is not the host you meant")
    if isinstance(error, (OperationalError, InterfaceError)):
        later = {"Retry-After": str(RETRY_AFTER_S)}
        return document(HTTPStatus.SERVICE_UNAVAILABLE, "Not available now, try again", headers=later)
    log.error("a request of our own API failed, and the fault is ours", exc_info=error)
    return document(HTTPStatus.INTERNAL_SERVER_ERROR, "Our server failed")


def _headers(error: APIException) -> dict[str, str]:
    told = {"WWW-Authenticate": getattr(error, "auth_header", None), "Retry-After": getattr(error, "wait", None)}
    return {name: str(ceil(value) if name == "Retry-After" else value) for name, value in told.items() if value}


def _reasons(detail, path: str = "") -> Iterator[dict]:
    """Each field by its path with one reason at a time; what is about no field alone is about the body."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _reasons(inner, path if name == "non_field_errors" else f"{path}.{name}".lstrip("."))
    elif isinstance(detail, list):
        for inner in detail:
            yield from _reasons(inner, path)
    else:
        yield {"field": path or "body", "reason": str(detail)}
