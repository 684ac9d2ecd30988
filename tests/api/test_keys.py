"""Keys of our own API: who has one, what it opens, how often it calls, and how they are made and revoked."""

import json
from datetime import timedelta

import pytest
from django.contrib.messages import get_messages
from django.db import IntegrityError
from django.urls import reverse
from django.utils import timezone

from apps import pace
from apps.api import frame, ids, keys
from apps.api.models import ApiKey
from apps.drivers.models import Account, Driver
from tests.admin.furnished import NOW
from tests.api.conftest import Caller

pytestmark = pytest.mark.django_db
NEAR = {"latitude": 1, "longitude": 1}


@pytest.mark.control("S5", "S6")
def test_whoever_has_no_key_gets_one_answer(client, app):
    revoked = keys.issue("Old", "ACT", NOW, by="eva")
    keys.revoke(revoked[0], NOW, by="eva")
    good = app.headers["Authorization"].removeprefix("Bearer ")
    said = set()
    for header in (
        "",
        "Bearer",
        "Bearer ",
        f"Token {good}",
        good,
        f"Bearer {good}x",
        f"Bearer {revoked[1]}",
        "Bearer ü",
    ):
        answer = client.get("/api/v1/locations", NEAR, headers={"Authorization": header})
        assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer"), header
        said.add(answer.content)
    assert len(said) == 1
    assert app.get("locations", **NEAR).status_code == 200


@pytest.mark.control("S2", "S4")
def test_a_key_is_kept_by_its_digest_alone(as_key):
    key, secret = keys.issue("Web", "READ", NOW, by="eva")
    assert secret not in str(vars(ApiKey.objects.get(pk=key.pk)))
    assert bytes(key.digest) == keys.digest(secret)
    assert key.last_four == secret[-4:]


@pytest.mark.control("S8")
def test_a_revoked_key_is_dead_at_once_and_stays_so(app):
    key = ApiKey.objects.get()
    assert keys.revoke(key, NOW, by="eva")
    assert not keys.revoke(key, NOW, by="adam")
    key.refresh_from_db()
    assert (key.revoked_by, app.get("locations", **NEAR).status_code) == ("eva", 401)
    with pytest.raises(IntegrityError):
        ApiKey.objects.update(revoked_by="")


def test_its_last_use_is_known_to_the_hour(app):
    app.get("schema")
    first = ApiKey.objects.get().last_used_at
    app.get("schema")
    assert ApiKey.objects.get().last_used_at == first
    ApiKey.objects.update(last_used_at=timezone.now() - timedelta(hours=2))
    app.get("schema")
    assert ApiKey.objects.get().last_used_at > first


@pytest.mark.control("S42")
def test_who_calls_too_often_waits_and_others_do_not(as_key, monkeypatch):
    monkeypatch.setattr(frame, "USUAL_PACE", pace.Limit(0.1, 2))
    hasty, patient, quick = as_key(), as_key(), as_key(pace=2)
    assert [hasty.get("schema").status_code for _ in range(3)] == [200, 200, 429]
    answer = hasty.get("schema")
    assert 1 <= int(answer["Retry-After"]) <= 10
    assert (answer.json()["title"], answer["Content-Type"]) == ("Too Many Requests", "application/problem+json")
    assert patient.get("schema").status_code == 200
    assert [quick.get("schema").status_code for _ in range(5)] == [200] * 4 + [429]


@pytest.mark.control("S42")
def test_strangers_are_slowed_down(client, db):
    said = (Caller(client, "guess").get("schema").status_code for _ in range(1000))  # a slow machine asks slowly
    assert next(said) == 401
    assert 429 in said


def test_a_key_for_reading_asks_nothing_of_charge_points(app):
    for path in ("sessions", f"sessions/{'A' * 32}/stop"):
        answer = app.post(path)
        assert (answer.status_code, answer.json()["detail"]) == (403, "This key is for reading only")


# Ids


def test_an_id_means_one_row_of_one_kind_and_cannot_be_made_up(db):
    written = ids.write(Driver, 1)
    assert len({ids.write(Driver, number) for number in range(100)} | {ids.write(Account, 1)}) == 101
    assert ids.read(Driver, written) == 1
    assert ids.read(Account, written) is None
    for other in ("1", "", "A" * 32, written[:-1], written + "A", written[:-1] + "!", "ä" * 32):
        assert ids.read(Driver, other) is None


def test_ids_of_before_are_known_as_long_as_the_old_key_is(settings):
    before, old, settings.SECRET_KEY = ids.write(Driver, 7), settings.SECRET_KEY, "newest"
    assert ids.read(Driver, before) is None
    settings.SECRET_KEY_FALLBACKS = [old]
    assert ids.read(Driver, before) == 7
    assert ids.write(Driver, 7) != before


# In the back office


def test_a_key_is_made_and_shown_once(admin):
    Account.objects.create(name="Fleet", kind="company", country="SE", currency="SEK")
    values = {"name": "App", "scope": "ACT", "account": "Fleet", "pace": "3"}
    answer = admin.post(reverse("admin:api_apikey_add"), values)
    key = ApiKey.objects.get()
    secret = answer.context["secret"]
    assert secret in answer.content.decode()
    assert (key.account.name, key.may_act, key.pace, key.created_by) == ("Fleet", True, 3, "admin")
    assert keys.find(secret) == key
    assert "no-store" in answer["Cache-Control"]
    for url in (reverse("admin:api_apikey_change", args=[key.pk]), reverse("admin:api_apikey_changelist")):
        assert secret not in admin.get(url).content.decode()


def test_a_wrong_key_says_where(admin):
    keys.issue("App", "READ", NOW, by="eva")
    answer = admin.post(reverse("admin:api_apikey_add"), {"name": "App", "scope": "ALL", "account": "X", "pace": "0"})
    assert set(answer.context["form"].errors) == {"name", "scope", "account", "pace"}
    assert ApiKey.objects.count() == 1


def test_a_key_is_revoked(admin):
    key, secret = keys.issue("App", "READ", NOW, by="eva")
    url = reverse("admin:api_apikey_revoke", args=[key.pk])
    for words in ("App opens nothing any more.", "App was revoked before."):
        answer = admin.post(url, {"_form_submitted": "on"})
        assert words in " ".join(map(str, get_messages(answer.wsgi_request)))
    assert keys.find(secret) is None
    assert ApiKey.objects.get().revoked_by == "admin"


# What goes wrong


@pytest.mark.control("S26")
@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "head", "options", "trace"])
def test_nothing_under_it_is_ever_a_web_page(client, app, method):
    """Strange URLs and methods, with and without a key."""
    for path in (
        "",
        "/",
        "/v1",
        "/v1/locations/",
        "/v2/locations",
        "/v1/nothing",
        "/v1/sessions",
        "/v1/locations/%00",
        "/v1/invoices/x/pdf",
    ):
        for headers in ({}, app.headers, app.headers | {"Accept": "text/html"}):
            answer = getattr(client, method)(f"/api{path}", headers=headers)
            assert answer["Content-Type"] in ("application/problem+json", "application/json"), (method, path)
            assert 400 <= answer.status_code < 500, (method, path)
            if answer.status_code == 405:
                assert answer["Allow"]


@pytest.mark.control("S25")
@pytest.mark.parametrize(
    ("body", "status"),
    [(b"[" * 10_000, 400), (b"{", 400), (b'{"token": NaN}', 400), (b"\xff", 400), (b'"text"', 400), (b"[]", 400), (b"", 400),
     (b" " * 20_000, 413), (b'{"token": "\\u0000"}', 400), (b'{"token": {"a": 1}}', 400), (b'{"token": 1e400}', 400)],
)  # fmt: skip
def test_a_body_that_is_none_is_refused_with_a_reason(as_key, body, status):
    answer = as_key("ACT").post("sessions", body)
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    assert json.loads(answer.content)["detail"]


@pytest.mark.control("S51")
def test_a_strange_host_is_refused_in_the_same_form(app):
    answer = app.client.get("/api/v1/schema", headers=app.headers | {"Host": "evil.example"})
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
