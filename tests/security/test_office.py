"""The back office against strangers, forged posts and links that act (trust S4, S6, S37, S51)."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from apps.staff.models import User
from apps.staff.office import url_of
from tests.admin.conftest import admin, as_role
from tests.admin.furnished import furnish
from tests.admin.test_roles import ACTS

__all__ = ["admin", "as_role"]
pytestmark = pytest.mark.django_db


def addresses():
    for name, (model, _) in ACTS.items():
        yield reverse(f"admin:{name}", args=[model.objects.order_by("pk").first().pk] if model else [])


def contents():
    """A digest of every table that an act could change."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
        names = [name for (name,) in cursor.fetchall() if name not in ("django_session", "staff_user")]
        found = {}
        for name in names:
            cursor.execute(f"SELECT md5(coalesce(string_agg(t::text, chr(10) ORDER BY t::text), '')) FROM \"{name}\" t")
            found[name] = cursor.fetchone()[0]
    return found


def test_no_link_acts(admin):
    """Every page of ours by GET, and by HEAD, as one who may do everything: nothing is changed."""
    furnish(1)
    before = contents()
    for url in addresses():
        assert admin.get(url).status_code == 200, url
        admin.head(url)
        admin.get(url, {"_form_submitted": "on", "issue": "1", "period": "2026-10", "paid_on": "2026-11-20"})
    assert contents() == before


def test_no_post_acts_without_our_token(admin, as_role):
    furnish(1)
    before = contents()
    forger = Client(enforce_csrf_checks=True)
    forger.force_login(User.objects.get(username="admin"))
    for url in (*addresses(), reverse("admin:logout"), reverse("admin:login")):
        assert forger.post(url, {"_form_submitted": "on", "issue": "1", "period": "2026-10"}).status_code == 403, url
    assert contents() == before


def test_strangers_are_sent_to_the_login_from_everywhere(client):
    furnish(1)
    User.objects.create_user("anna")
    for url in addresses():
        answer = client.get(url)
        assert (answer.status_code, answer.url.partition("?")[0]) == (302, reverse("admin:login")), url


def test_a_login_leads_nowhere_else_and_begins_a_new_session(client):
    User.objects.create_superuser("anna", "", "right-and-long")
    client.get(reverse("admin:login"))
    session = client.session
    session["planted"] = "by somebody"
    session.save()
    client.cookies["sessionid"] = session.session_key
    said = {"username": "anna", "password": "right-and-long", "next": "https://evil.example/"}
    answer = client.post(reverse("admin:login") + "?next=//evil.example", said)
    assert answer.url == reverse("admin:index")
    assert client.cookies["sessionid"].value != session.session_key
    assert client.cookies["sessionid"]["httponly"]
    assert client.cookies["sessionid"]["samesite"] == "Lax"


@pytest.mark.control("S38")
def test_pages_are_in_no_frame_and_guess_no_type(admin):
    headers = admin.get(reverse("admin:index")).headers
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    policy = headers["Content-Security-Policy"]
    for told in ("default-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"):
        assert told in policy
    assert "http" not in policy


def test_pages_of_people_are_kept_nowhere(admin):
    """A page with drivers or a token must not be in the memory of a proxy, or of a browser that somebody else uses."""
    partner = furnish(1)
    for url in (reverse("admin:index"), url_of(partner), *addresses()):
        assert re.search("no-store|private", admin.get(url).headers.get("Cache-Control", "")), url


def test_a_password_is_hashed_slowly():
    assert User.objects.create_user("anna", password="right-and-long").password.startswith("argon2")


@pytest.mark.control("S4")
@pytest.mark.parametrize("field", ["password", "groups__permissions__codename"])
def test_nobody_learns_secrets_by_filtering(field, as_role):
    """Django takes any field in a URL of a list: what is secret is not answered."""
    furnish(1)
    client = as_role("auditor")
    assert client.get(url_of(User), {f"{field}__startswith": "a"}).status_code in (302, 400, 403)


@pytest.mark.control("S14")
def test_a_mended_object_stays_its_senders(admin):
    """Staff may correct what a partner sent, not put it into another partner's hands."""
    from apps.partners.models import Quarantined
    from tests.charging.conftest import cdr_body

    furnish(1)
    held = Quarantined.objects.order_by("pk").first()
    from apps.charging.models import Cdr

    before = Cdr.objects.count()
    Quarantined.objects.filter(pk=held.pk).update(module="cdrs", version="2.2.1", context={})
    url = reverse("admin:partners_quarantined_mend", args=[held.pk])
    answer = admin.post(url, {"body": cdr_body(country_code="DE", party_id="BIG").decode()})
    assert "is not a role of its sender" in answer.content.decode()
    assert Cdr.objects.count() == before
    assert Quarantined.objects.get(pk=held.pk).state == "OPEN"
