"""The gate of the back office: who is signed in no more, or only half, gets no further (trust S46)."""

from urllib.parse import urlencode, urlsplit

from django.contrib import messages
from django.contrib.admin import site
from django.contrib.auth import logout
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from . import sessions
from .dear import DEAR
from .office import go

OPEN = {"admin:login", "admin:logout", "admin:jsi18n"}
STEPS = {sessions.Missing.CODE: "staff:prove", sessions.Missing.FACTOR: "staff:enrol"}
READING = {"GET", "HEAD"}


class Gate:
    """Stands before every page of the admin, whatever its URL, and before no other page: those touch no session."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)

    def process_view(self, request, view, args, kwargs):
        match = request.resolver_match
        if match.namespace not in {"admin", "staff"} or match.view_name in OPEN or not request.user.is_authenticated:
            return None  # a stranger is sent to the login by the page itself
        now = timezone.now()
        if over := sessions.end_of(request.user, request.session, now):
            logout(request)
            messages.info(request, over)
            return go(request, step("admin:login", request))
        sessions.seen(request.session, now)
        return None if match.view_name in STEPS.values() else stopped(request, now)


def begin_session(request, **_signal) -> None:
    """Whichever way somebody logged in."""
    sessions.begin(request.session, timezone.now())


def stopped(request, now):
    """The answer in place of a page that is not for this person yet."""
    missing = sessions.missing(request.user, request.session)
    if missing is not None:
        return go(request, step(STEPS[missing], request))
    if request.resolver_match.view_name not in DEAR or _is_proved(request, now):
        return None
    return asked_again(request)


def _is_proved(request, now) -> bool:
    return sessions.is_proved(
        request.session, now, sessions.SHOWN_FOR if request.method in READING else sessions.GOOD_FOR
    )


def asked_again(request):
    """Before a form is shown, so that nothing typed is lost; a form that came too late is refused by a page that leads back."""
    again = step("staff:prove", request)
    if request.method in READING or "HX-Request" in request.headers:
        return go(request, again)
    frame = site.each_context(request) | {"title": "Confirm that it is you", "again": again}
    return render(request, "staff/too_late.html", frame, status=403)


def step(name: str, request) -> str:
    """The address of a step, which leads on to where somebody wanted to go."""
    return f"{reverse(name)}?{urlencode({'next': wanted(request)})}"


def wanted(request) -> str:
    """The page itself; for a dialog the page it stands on."""
    page = urlsplit(request.headers.get("HX-Current-URL", ""))
    return page.path or request.get_full_path()
