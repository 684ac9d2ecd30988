"""Pages between the password and the back office, and a person's own second factor: a door to `second_factor`."""

from functools import wraps
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.contrib.admin import site
from django.contrib.auth.views import redirect_to_login
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache

from . import second_factor, sessions
from .forms import CodeForm, EnrolForm, PasswordForm

DRAFT = "second_factor_draft"
"""Where the session keeps the secret of an enrolment that is not confirmed, sealed."""


def for_staff(view):
    """Who gave no password yet does so first; no proxy and no browser keeps the page."""

    @never_cache
    @wraps(view)
    def answer(request):
        if not (request.user.is_authenticated and request.user.is_staff):
            return redirect_to_login(request.get_full_path(), reverse("admin:login"))
        return view(request)

    return answer


@for_staff
def prove(request):
    """A code, or the password of who has no second factor: after the login, and before what is dear."""
    factor = second_factor.of(request.user)
    form = (CodeForm if factor else PasswordForm)(request, request.POST or None)
    if not form.is_valid():
        missing = sessions.missing(request.user, request.session)
        title = "Second step" if missing is sessions.Missing.CODE else "Confirm that it is you"
        return page(request, "staff/prove.html", title, form=form, is_login=missing is not None)
    sessions.proved(request.session, factor, timezone.now())
    tell_codes_left(request, form)
    return redirect(wanted(request))


@for_staff
def enrol(request):
    """The secret as a picture and as text, a code that shows it arrived, and recovery codes, once."""
    if not may_enrol(request):
        return redirect(f"{reverse('staff:prove')}?{urlencode({'next': request.get_full_path()})}")
    sealed = request.session.setdefault(DRAFT, second_factor.draft(request.user))
    form = EnrolForm(request.POST or None)
    if form.is_valid() and (codes := confirmed(request, sealed, form)):
        return shown_once(request, codes, wanted(request))
    return enrolling(request, sealed, form)


@for_staff
def mine(request):
    """What a person has, and how to change it: with a code of this moment."""
    factor = second_factor.of(request.user)
    form = CodeForm(request, request.POST or None) if factor else None
    if form is not None and form.is_valid():
        sessions.proved(request.session, factor, timezone.now())
        return changed(request, factor)
    left = factor.recovery_codes.count() if factor else 0
    return page(request, "staff/mine.html", "Second factor", form=form, factor=factor, left=left,
                is_required=settings.SECOND_FACTOR_REQUIRED)  # fmt: skip


def changed(request, factor):
    match request.POST.get("what"):
        case "codes":
            return shown_once(request, second_factor.renew_recovery_codes(factor), reverse("staff:mine"))
        case "remove" if not settings.SECOND_FACTOR_REQUIRED:
            second_factor.take_away(request.user)
            sessions.without_factor(request.session)
            messages.success(request, "Your password alone opens the back office now.")
            return redirect("staff:mine")
    return redirect(f"{reverse('staff:enrol')}?{urlencode({'next': reverse('staff:mine')})}")


def may_enrol(request) -> bool:
    """Who has a factor shows it just now; who has none gave the password not long ago."""
    if sessions.missing(request.user, request.session) is sessions.Missing.CODE:
        return False
    within = sessions.JUST_NOW if second_factor.of(request.user) else sessions.GOOD_FOR
    return sessions.is_proved(request.session, timezone.now(), within)


def confirmed(request, sealed: str, form: EnrolForm) -> list[str]:
    """The recovery codes; none if the code is wrong."""
    now = timezone.now()
    try:
        factor, codes = second_factor.confirm(request.user, sealed, form.cleaned_data["code"], now)
    except second_factor.WrongCode:
        form.add_error("code", "This is not what the app shows now. Is the clock of the telephone right?")
        return []
    del request.session[DRAFT]
    sessions.proved(request.session, factor, now)
    return codes


def enrolling(request, sealed: str, form: EnrolForm):
    picture = second_factor.picture(request.user, sealed, settings.OCPI_PARTY_NAME)
    return page(request, "staff/enrol.html", "Set up your second factor", form=form, picture=picture,
                address=second_factor.address(request.user, sealed, settings.OCPI_PARTY_NAME),
                spelt=second_factor.spell(request.user, sealed))  # fmt: skip


def shown_once(request, codes: list[str], onward: str):
    return page(request, "staff/codes.html", "Your recovery codes", codes=codes, onward=onward)


def tell_codes_left(request, form) -> None:
    """Who used a recovery code should know how many there are."""
    if form.cleaned_data.get("recovery") and not form.cleaned_data.get("code"):
        left = request.user.second_factor.recovery_codes.count()
        messages.warning(request, f"{left} recovery codes are left. Your own menu makes new ones.")


def wanted(request) -> str:
    """Where somebody was on the way to, if it is ours."""
    url = request.GET.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure())
    return url if is_ours else reverse("admin:index")


def page(request, template: str, title: str, **context):
    return render(request, template, site.each_context(request) | {"title": title} | context)
