"""Sessions end, and what is dear is asked again (trust S46). Time is moved by making what the session knows older."""

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.api.models import ApiKey
from apps.partners.models import Partner
from apps.staff.dear import DEAR
from apps.staff.models import User
from apps.staff.office import url_of
from tests.admin.furnished import furnish
from tests.admin.test_roles import ACTS
from tests.security.factors import shown
from tests.security.test_second_factor import PASSWORD, PROVE, equip, give, with_password

pytestmark = [pytest.mark.control("S46"), pytest.mark.django_db]
HOME = "/admin/"
HOUR = 60


@pytest.fixture
def anna(db):
    return User.objects.create_superuser("anna", "", PASSWORD)


@pytest.fixture
def client(anna):
    return with_password()


def age(client, *names, minutes):
    """As if that long ago."""
    session = client.session
    for name in names:
        session[name] -= int(minutes * 60)
    session.save()


def is_in(client):
    answer = client.get(HOME)
    if answer.status_code == 200:
        return True
    assert answer.url.partition("?")[0] == reverse("admin:login")
    return False


@pytest.mark.parametrize(("minutes", "stays"), [(29, True), (31, False)])
def test_half_an_hour_without_a_request_ends_it_in_production(client, settings, minutes, stays):
    settings.SESSION_IDLE_S = 30 * 60
    age(client, "signed_in_at", "seen_at", minutes=minutes)
    assert is_in(client) is stays
    if not stays:
        assert "Nothing happened here for a while" in client.get(reverse("admin:login")).content.decode()
        assert "_auth_user_id" not in client.session


@pytest.mark.parametrize(("minutes", "stays"), [(8 * HOUR - 1, True), (8 * HOUR + 1, False)])
def test_eight_hours_end_it_however_busy_somebody_was(client, settings, minutes, stays):
    settings.SESSION_IDLE_S = 30 * 60
    age(client, "signed_in_at", minutes=minutes)
    assert is_in(client) is stays


def test_a_dialog_of_a_session_that_ended_leads_to_the_login(client):
    age(client, "signed_in_at", minutes=9 * HOUR)
    answer = client.get(HOME, headers={"HX-Request": "true"})
    assert answer.headers["HX-Redirect"] == f"{reverse('admin:login')}?next=%2Fadmin%2F"


def test_on_one_machine_nobody_is_hurried(client):
    age(client, "signed_in_at", "seen_at", minutes=5 * HOUR)
    assert is_in(client)


def test_a_session_that_knows_no_times_is_over(client):
    session = client.session
    del session["signed_in_at"]
    session.save()
    assert not is_in(client)


def writes(client):
    with CaptureQueriesContext(connection) as queries:
        assert is_in(client)
    return [one["sql"] for one in queries if "django_session" in one["sql"] and not one["sql"].startswith("SELECT")]


def test_a_session_is_written_once_a_minute_at_most(client):
    assert not writes(client)
    age(client, "seen_at", minutes=2)
    assert writes(client)
    assert not writes(client)


def test_what_is_hot_touches_no_session_and_other_pages_write_none(client):
    age(client, "seen_at", minutes=10)
    for url, least in (("/ocpi/versions", "django_session"), ("/api/v1/locations", "django_session"),
                       ("/healthz", "UPDATE"), ("/view/nothing", "UPDATE")):  # fmt: skip
        with CaptureQueriesContext(connection) as queries:
            client.get(url)
        assert not [one["sql"] for one in queries if least in one["sql"] and "django_session" in one["sql"]], url


# Asking again


OF_PEOPLE = {"staff_user_add": (None, set()), "auth_user_password_change": (User, set())}
"""Pages of Django's own, for superusers."""


def dear_addresses():
    for name in sorted(DEAR):
        model, _ = (OF_PEOPLE | ACTS)[name.removeprefix("admin:")]
        yield reverse(name, args=[model.objects.order_by("pk").first().pk] if model else [])


def test_whatever_is_dear_is_asked_again_after_a_quarter_of_an_hour(client):
    furnish(1)
    urls = list(dear_addresses())
    for url in urls:
        assert client.get(url).status_code == 200, url
    age(client, "proved_at", minutes=16)
    partners, keys = Partner.objects.count(), ApiKey.objects.count()
    for url in urls:
        led = client.get(url)
        assert (led.status_code, led.url.partition("?")[0]) == (302, PROVE), url
        late = client.post(
            url, {"_form_submitted": "on", "name": "A", "party": "SE*NEW", "role": "CPO", "scope": "READ"}
        )
        assert late.status_code == 403, url
        assert "Nothing was done." in late.content.decode()
        assert f'href="{led.url}"' in late.content.decode().replace("&amp;", "&")
    assert (Partner.objects.count(), ApiKey.objects.count()) == (partners, keys)
    assert len(urls) == len(DEAR) >= 11

    assert client.post(led.url, {"password": "wrong"}).status_code == 200
    assert client.post(led.url, {"password": PASSWORD}).url == url
    for url in urls:
        assert client.get(url).status_code == 200, url


def test_who_has_a_second_factor_is_asked_for_that(anna):
    secret, _ = equip(anna)
    client = with_password()
    give(client, shown(secret, timezone.now().timestamp() - 30))
    url = reverse("admin:partners_partner_add")
    age(client, "proved_at", minutes=16)
    led = client.get(url).url
    assert client.post(led, {"password": PASSWORD}).status_code == 200
    assert client.get(url).status_code == 302
    assert client.post(led, {"code": shown(secret)}).url == url
    assert client.get(url).status_code == 200


def test_a_form_that_was_shown_has_five_minutes_at_least(client):
    url = reverse("admin:partners_partner_add")
    age(client, "proved_at", minutes=9.5)
    assert client.get(url).status_code == 200
    age(client, "proved_at", minutes=5)
    said = client.post(url, {"name": "Volta", "party": "SE*VOL", "role": "CPO"})
    assert "Token A" in said.content.decode()
    assert Partner.objects.filter(name="Volta").exists()


def test_a_form_is_not_shown_that_would_come_too_late(client):
    age(client, "proved_at", minutes=11)
    assert client.get(reverse("admin:partners_partner_add")).status_code == 302


def test_a_dialog_leads_to_the_question_and_back_to_its_page(client):
    partner = furnish(1)
    age(client, "proved_at", minutes=16)
    url = reverse("admin:partners_partner_renew", args=[partner.pk])
    headers = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{url_of(partner)}"}
    for method in (client.get, client.post):
        answer = method(url, headers=headers)
        assert answer.headers["HX-Redirect"] == f"{PROVE}?next={url_of(partner).replace('/', '%2F')}"


def test_what_is_not_dear_is_not_asked_again(client):
    furnish(1)
    age(client, "proved_at", minutes=7 * HOUR)
    for name, (model, _) in ACTS.items():
        if f"admin:{name}" not in DEAR:
            url = reverse(f"admin:{name}", args=[model.objects.order_by("pk").first().pk] if model else [])
            assert client.get(url).status_code == 200, url


def test_wrong_passwords_there_are_counted_as_at_the_login(client):
    age(client, "proved_at", minutes=16)
    for _ in range(5):
        client.post(PROVE, {"password": "wrong"})
    assert "Too many tries" in client.post(PROVE, {"password": PASSWORD}).content.decode()
    assert Client().post(reverse("admin:login"), {"username": "anna", "password": PASSWORD}).status_code == 200


# Production


def test_the_check_warns_where_passwords_alone_open(settings, capsys):
    settings.SECOND_FACTOR_REQUIRED = False
    call_command("check", "--deploy", "--tag", "security")
    assert "staff.W001" in capsys.readouterr().err
    settings.SECOND_FACTOR_REQUIRED = True
    call_command("check", "--deploy", "--tag", "security")
    assert "staff.W001" not in capsys.readouterr().err
