"""The partner's view: a page and a file behind one address, for whoever has it. No login, no cookie, nothing to change."""

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import wraps
from http import HTTPStatus
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from apps import pace
from apps.onboarding.sheet import habits
from apps.partners import ourselves
from apps.tokens.models import Sandbox
from apps.tokens.sandbox import numbered, unknown_uid

from . import file, links, received, trials, wording
from .forms import ALL, SelectionForm
from .models import Link
from .received import State

log = logging.getLogger(__name__)

SAFE = ("GET", "HEAD")
ROWS = 100
LOOKS, FILES = pace.Limit(1, 30), pace.Limit(1 / 60, 5)
"""Of one link: pages, and files, which take long."""

HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
}
"""The address is the key, so nothing may carry it on, and nobody may keep what it opens."""

NOTHING = "There is nothing at this address. If it was given to you, ask for a new one."
READ_ONLY = "This can be read, and nothing else."
HASTE = "Too many requests. Try again in a moment."
FAULT = "We failed to answer. Try again in a moment."


def for_holders(limit: pace.Limit):
    """A view of (request, link, form, months), for whoever has a good address; everybody else is told one and the same."""

    def decorate(view):
        @csrf_exempt
        @wraps(view)
        def answer(request: HttpRequest, address: str) -> HttpResponse:
            try:
                response = _answered(view, limit, request, address)
            except pace.TooOften as haste:
                response = _said(HASTE, HTTPStatus.TOO_MANY_REQUESTS, {"Retry-After": str(haste.retry_after)})
            except Exception:  # Django would write the address into the log
                log.exception("the partner's view failed")
                response = _said(FAULT, HTTPStatus.SERVICE_UNAVAILABLE)
            for name, value in HEADERS.items():
                response.headers[name] = value
            return response

        return answer

    return decorate


def _answered(view, limit: pace.Limit, request: HttpRequest, address: str) -> HttpResponse:
    if request.method not in SAFE:
        return _said(READ_ONLY, HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": ", ".join(SAFE)})
    now = timezone.now()
    link = links.find(address, now)
    if link is None:
        pace.require(("stranger", pace.network_of(request.origin)), pace.STRANGERS)
        return _said(NOTHING, HTTPStatus.NOT_FOUND)
    pace.require((f"link {link.pk}", view.__name__), limit)
    form = SelectionForm(request.GET)
    if not form.is_valid():
        return _said(form.problems, HTTPStatus.BAD_REQUEST)
    return view(request, link, form, list(_months(*received.span(link.partner) or (now, now))))


def _months(first: datetime, last: datetime) -> Iterator[str]:
    """Those of UTC from the last to the first."""
    while last >= first.replace(day=1, hour=0, minute=0, second=0, microsecond=0):
        yield f"{last:%Y-%m}"
        last = last.replace(day=1) - timedelta(days=1)


def _said(text: str, status: HTTPStatus, headers: dict | None = None) -> HttpResponse:
    return HttpResponse(render_to_string("partnerview/said.html", {"text": text}), status=status, headers=headers)


def _heading(link: Link) -> dict:
    return {"us": f"{settings.OCPI_PARTY_NAME} ({ourselves.us()})", "link": link}


@for_holders(LOOKS)
def page(request: HttpRequest, link: Link, form: SelectionForm, months: list[str]) -> HttpResponse:
    asked = form.asked(months[0])
    selection = form.selection(link.partner, asked)
    rows = received.page(selection, ROWS + 1)
    shown, is_more = rows[:ROWS], len(rows) > ROWS
    totals = [] if asked["month"] == ALL else received.totals(selection)
    context = _heading(link) | {
        "asked": asked,
        "months": months,
        "meanings": [(state, wording.MEANINGS[state.label]) for state in State],
        "totals": totals,
        "received": sum(total.count for total in totals),
        "rows": shown,
        "table": f"{request.path}/cdrs.csv",
        "tests": f"{request.path}/tests",
        "query": urlencode(asked),
        "older": urlencode(asked | {"below": shown[-1].place}) if is_more else "",
        "is_first": selection.below is None,
    }
    return HttpResponse(render_to_string("partnerview/cdrs.html", context))


@for_holders(LOOKS)
def tests(request: HttpRequest, link: Link, form: SelectionForm, months: list[str]) -> HttpResponse:
    """What can be tried with which card, and what was."""
    sandbox = Sandbox.objects.filter(partner=link.partner).first()
    context = _heading(link) | {
        "cdrs": request.path.removesuffix("/tests"),
        "sandbox": sandbox,
        "cards": numbered(link.partner),
        "unknown": unknown_uid(link.partner),
        "tried": trials.tried(sandbox) if sandbox else [],
        "habits": habits(link.partner),
    }
    return HttpResponse(render_to_string("partnerview/tests.html", context))


@for_holders(FILES)
def table(request: HttpRequest, link: Link, form: SelectionForm, months: list[str]) -> HttpResponse:
    """The whole selection, not a page of it."""
    asked = form.asked(months[0])
    rows = received.every(form.selection(link.partner, asked))
    named = {"Content-Disposition": f'attachment; filename="cdrs-{asked["month"]}.csv"'}
    return StreamingHttpResponse(file.write(rows), content_type="text/csv; charset=utf-8", headers=named)
