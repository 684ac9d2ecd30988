"""Every page of the back office opens, few queries make it, and nothing a partner wrote runs in it."""

import pytest
from django.contrib import admin as django_admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.billing.models import LegalEntity
from apps.staff.office import BoundedPaginator, url_of
from tests.admin.furnished import HOSTILE, furnish

LIST, DETAIL, HOME = 12, 15, 40
MODELS = sorted(django_admin.site._registry, key=lambda model: model._meta.label)
pytestmark = pytest.mark.django_db


def opened(client, url):
    """The page's text and how many queries it took."""
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(url)
    assert answer.status_code == 200, f"{url}: {answer.status_code}"
    return answer.content.decode(), [query["sql"] for query in queries]


def over(url, queries, most):
    """What to say of a page that takes more queries than it may."""
    listed = "\n  ".join(sql[:150] for sql in queries)
    return [f"{url}: {len(queries)} queries\n  {listed}"] if len(queries) > most else []


@pytest.mark.parametrize(("role", "rows"), [("admin", 1), ("admin", 30), ("auditor", 30)])
def test_pages_take_few_queries_whatever_they_show(as_role, role, rows):
    furnish(rows)
    client, slow = as_role(role), []
    for model in MODELS:
        assert model.objects.exists(), f"the office has no {model.__name__}"
        pages = [
            (url_of(model), LIST),
            *((url_of(row), DETAIL) for row in (model.objects.first(), model.objects.last())),
        ]
        for url, most in pages:
            text, queries = opened(client, url)
            slow += over(url, queries, most)
            assert HOSTILE not in text
    assert not slow, "\n".join(slow)


@pytest.mark.parametrize("rows", [0, 30])
def test_the_home_page_takes_few_queries(admin, rows):
    if rows:
        furnish(rows)
    text, queries = opened(admin, reverse("admin:index"))
    assert not over("home", queries, HOME)
    assert HOSTILE not in text


def test_every_list_can_be_searched_and_filtered(admin):
    furnish(2)
    for model in MODELS:
        answer = admin.get(url_of(model), {"q": "a'b%_\\"} if django_admin.site._registry[model].search_fields else {})
        assert answer.status_code == 200
        for spec in answer.context["cl"].filter_specs:
            for choice in spec.choices(answer.context["cl"]):
                assert admin.get(url_of(model) + choice["query_string"]).status_code == 200


def test_secrets_are_on_no_page(admin):
    partner = furnish(1)
    for page in (url_of(partner), url_of(type(partner))):
        text = admin.get(page).content.decode()
        assert "sealed-" not in text
        assert partner.inbound_tokens.get().digest.hex() not in text


def test_a_list_counts_no_further_than_is_cheap(company, monkeypatch):
    monkeypatch.setattr("apps.staff.office.MOST_COUNTED", 2)
    for number in range(4):
        LegalEntity.objects.create(
            name=f"N{number}", street="a", postal_code="1", city="b", country="SE", email="a@b.se"
        )

    paginator = BoundedPaginator(LegalEntity.objects.order_by("pk"), 2)

    assert (paginator.count, paginator.is_more) == (3, True)


def test_a_stranger_is_sent_to_the_login(client, db):
    for model in MODELS:
        answer = client.get(url_of(model))
        assert (answer.status_code, answer.url.split("?")[0]) == (302, reverse("admin:login"))
