"""Every page, on a desk and on a telephone, full of what hostile partners wrote: it fits, is fit for everybody, and runs
nothing of theirs."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib import admin as django_admin
from django.urls import reverse

from apps.locations.models import Location
from apps.staff.models import User
from apps.staff.office import url_of
from tests.browser import hostile
from tests.browser.conftest import DESK, PASSWORD, TELEPHONE, signed_in

GRAVE = ("serious", "critical")
TALLEST = 500
"""Pixels of a row: more, and the next one is out of sight."""
OUR_OWN = [
    "admin:index", "admin:locations_location_map", "admin:drivers_driver_add", "admin:drivers_driver_import_file",
    "admin:partners_partner_add", "admin:partners_partner_connect", "admin:billing_invoicerun_add", "admin:billing_invoice_export",
    "admin:api_apikey_add",
]  # fmt: skip
either = pytest.mark.parametrize("viewport", [DESK, TELEPHONE], ids=["desk", "telephone"])


def pages():
    yield from map(reverse, OUR_OWN)
    for model in django_admin.site._registry:
        yield url_of(model)
        if row := model.objects.order_by("pk").last():
            yield url_of(row)


def faults_of(page) -> list[str]:
    """What is wrong with how a page shows."""
    return [*misfits_of(page), *barriers_of(page)]


def misfits_of(page) -> list[str]:
    wider = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    tall = page.evaluate("Math.max(0, ...[...document.querySelectorAll('tbody tr')].map(row => row.offsetHeight))")
    return [
        *([f"{wider} pixels too wide"] if wider > 0 else []),
        *([f"a row is {tall} pixels high"] if tall > TALLEST and page.viewport_size == DESK else []),
    ]


def barriers_of(page, contrast=True) -> list[str]:
    """What keeps somebody from using it. Colours take axe longer than all else together."""
    options = {"resultTypes": ["violations"], "rules": {"color-contrast": {"enabled": contrast}}}
    found = Axe().run(page, options=options).response["violations"]
    grave = [rule for rule in found if rule["impact"] in GRAVE]
    return [f"{rule['impact']}: {rule['id']} {rule['nodes'][0]['html'][:200]}" for rule in grave]


@either
def test_every_page_is_fit_to_be_used_whatever_partners_write(visit, viewport):
    Location.objects.update(longitude=18.06, latitude=59.33)
    Location.objects.filter(pk=Location.objects.first().pk).update(latitude=55)
    assert hostile.spoil(hostile.WITHOUT_END if viewport == DESK else ("",)) > 200
    page, faults = visit(viewport), []
    for number, url in enumerate(pages()):
        answer = page.goto(url)
        assert answer.status == 200, url
        faults += [f"{url}: {fault}" for fault in misfits_of(page)]
        if viewport == DESK or number % 3 == 0:  # the page is the same, laid out otherwise
            faults += [f"{url}: {fault}" for fault in barriers_of(page, contrast=number % 2 == 0)]
    assert not faults, "\n".join(faults)


@either
def test_an_empty_office_says_what_to_set_up(watched, transactional_db, live_server, viewport):
    User.objects.create_superuser("eva", password=PASSWORD)
    page = signed_in(watched(viewport), live_server.url)
    for url in [reverse("admin:index"), reverse("admin:locations_location_map"), url_of(Location)]:
        page.goto(url)
        assert not faults_of(page)
    page.goto(reverse("admin:index"))
    assert page.locator("#set-up li").count() == 6


@either
def test_the_door_is_fit_to_be_used(watched, transactional_db, viewport):
    page = watched(viewport)
    page.goto("/admin/")
    assert not faults_of(page)


PLANT = """() => {
    window.ran = [];
    const script = document.createElement("script");
    script.textContent = "ran.push('script')";
    document.body.append(script);
    document.body.insertAdjacentHTML("beforeend", "<img src='data:,' onerror='ran.push(`handler`)'>");
}"""


@pytest.mark.control("S38")
def test_what_became_a_script_in_a_page_does_not_run(browser, live_server, transactional_db):
    page = browser.new_page()
    page.goto(f"{live_server.url}/admin/login/")
    with page.expect_console_message(lambda said: "event handler" in said.text):
        page.evaluate(PLANT)
    assert page.evaluate("ran") == []
    page.close()
