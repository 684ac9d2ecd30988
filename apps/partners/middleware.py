"""OCPI's own way through Django: straight from the URL to the view, around everything that is for people."""

import logging
from http import HTTPStatus

from django.core.exceptions import DisallowedHost
from django.db import InterfaceError, OperationalError
from django.http import HttpResponse
from django.urls import Resolver404, get_resolver
from django.utils import timezone

from apps.ocpi import envelope
from apps.ocpi.errors import OcpiError, UnknownObject
from apps.postgresql.base import impatient

from .receiver import ACCEPTABLE_ID, headers_of, unavailable

log = logging.getLogger(__name__)


class Ocpi:
    """Answers everything under /ocpi/, with and without a slash at the end, always with an envelope (decision 1).

    No session, no CSRF token, no messages: a partner has none, and they would cost more than the answer. It stands
    before the middlewares of the pages for people, and leaves those pages to them.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if not (request.path_info + "/").startswith("/ocpi/"):
            return self.get_response(request)
        try:
            request.get_host()
            with impatient():
                response = _view(request)
        except Exception as error:  # what the frame of the views could not catch, or never saw
            response = _apology(_foreseen(error), request)
        response.headers["X-Content-Type-Options"] = "nosniff"  # it repeats what strangers sent
        response._has_been_logged = True  # RequestLog writes the line; Django would write another about each error
        return response


def _view(request) -> HttpResponse:
    match = get_resolver().resolve(request.path_info.removesuffix("/"))
    request.resolver_match = match
    return match.func(request, *match.args, **match.kwargs)


def _foreseen(error: Exception) -> OcpiError:
    if isinstance(error, Resolver404):
        return UnknownObject("There is nothing at this URL")
    if isinstance(error, DisallowedHost):
        return OcpiError("This is not the host you meant", http_status=HTTPStatus.BAD_REQUEST)
    if isinstance(error, (OperationalError, InterfaceError)):
        return unavailable()
    log.error("an OCPI request failed outside its view", exc_info=error)
    return OcpiError("Our server failed", status_code=3000)


def _apology(error: OcpiError, request) -> HttpResponse:
    content = envelope.failure(error.status_code, error.message, None, timezone.now())
    headers = headers_of(error) | {"X-Request-ID": request.id}
    response = HttpResponse(content, status=error.http_status, content_type="application/json", headers=headers)
    given = request.headers.get("X-Correlation-ID", "")
    if ACCEPTABLE_ID.fullmatch(given):
        response.headers["X-Correlation-ID"] = given
    return response
