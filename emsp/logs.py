"""Structured logs: one event per line, each with the request or task it belongs to (trust S40)."""

import hashlib
import logging
import re
import time
import uuid

import structlog
from django.conf import settings
from django.urls import Resolver404, resolve

from apps import marks

LONGEST = 8192  # characters of a field
ACCEPTABLE_ID = re.compile(r"[!-~]{1,64}\Z")

log = structlog.get_logger("emsp.request")


class RequestLog:
    """Binds the request's id to every line written while it is answered, and writes one line about the answer."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        started = time.perf_counter()
        structlog.contextvars.clear_contextvars()
        request.id = request_id(request.headers.get("X-Request-ID", ""))
        request.origin = origin(request.META)
        structlog.contextvars.bind_contextvars(request_id=request.id)
        response = self.get_response(request)
        response.headers.setdefault("X-Request-ID", request.id)
        response._has_been_logged = True  # Django would write a second line about each error, with the whole path
        took = time.perf_counter() - started
        log.info(
            "request",
            method=request.method,
            path=told_path(request),
            status=response.status_code,
            ms=f"{took * 1000:.1f}",
        )
        return response


def told_path(request) -> str:
    """The path without the card, contract, or key to a partner's view, that may be in it (trust S40, S41)."""
    try:
        match = request.resolver_match or resolve(request.path_info)  # a redirect to https resolves nothing
    except Resolver404:
        return request.path
    secret = next(filter(None, map(match.kwargs.get, ("token_uid", "contract_id", "address"))), None)
    return request.path.replace(secret, marks.mark(secret)) if secret else request.path


def request_id(given: str) -> str:
    """The caller's own id if it is harmless; else one that can be traced to it."""
    if ACCEPTABLE_ID.match(given):
        return given
    return f"sha256-{hashlib.sha256(given.encode()).hexdigest()[:32]}" if given else str(uuid.uuid4())


def origin(meta: dict) -> str:
    """The address of the caller. Behind our proxy it is the last one the proxy named: those before it anybody can make up
    (trust S51)."""
    forwarded = meta.get("HTTP_X_FORWARDED_FOR", "") if settings.TRUST_PROXY else ""
    return (forwarded.rpartition(",")[2] or meta.get("REMOTE_ADDR") or "").strip()


def bound_values(_logger, _method, event: dict) -> dict:
    """No value is longer than 8 KiB, and what is no text is written as text by the renderer."""
    for key, value in event.items():
        if isinstance(value, str) and len(value) > LONGEST:
            event[key] = value[:LONGEST] + "…"
    return event


def configured(*, as_json: bool, level: str) -> dict:
    """Django's LOGGING; lines of the standard library go the same way as our own."""
    shared = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": shared,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered(as_json)],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django": {"handlers": [], "level": level},
            "django.server": {"handlers": [], "propagate": False},
            "httpx": {"level": "WARNING"},
        },
    }


def rendered(as_json: bool) -> list:
    if as_json:
        return [structlog.processors.format_exc_info, bound_values, structlog.processors.JSONRenderer()]
    # A plain traceback: the pretty one shows the values of all variables, tokens and bodies among them, in seconds.
    plain = structlog.dev.plain_traceback
    return [bound_values, structlog.dev.ConsoleRenderer(colors=False, exception_formatter=plain)]


def bind_task(task_id: str, task, **_signal) -> None:
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(task=task.name, task_id=task_id)


def keep_loggers(**_signal) -> None:
    """Celery asks before it makes loggers of its own; ours are configured with Django."""
    logging.captureWarnings(True)
