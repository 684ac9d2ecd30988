"""The back office in a real browser: what people click, on a desk and on a telephone.

Runs where Playwright and a Chromium are installed; the pages themselves are tested without them in tests/admin.
"""

import shutil

import pytest
from django.contrib import admin as django_admin
from django.db import connections

from apps.charging.models import Cdr
from apps.drivers.models import Driver
from apps.staff.models import User
from apps.staff.office import url_of
from tests.admin.furnished import furnish

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
    pytest.mark.django_db(transaction=True),
]
DESK, TELEPHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
PASSWORD = "a-long-password-1"


@pytest.fixture
def browser(monkeypatch):
    """Playwright's own loop runs in this thread, and Django would take it for ours."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()
        connections.close_all()  # those of the loop's context, or the test database cannot be dropped


@pytest.fixture
def office(db):
    """An office with rows, some of them written by somebody hostile."""
    User.objects.create_superuser("eva", password=PASSWORD)
    furnish(2)


@pytest.fixture
def visit(browser, live_server, office):
    """Log in and open pages; whatever goes wrong in the page is told at the end."""
    wrong = []

    def start(viewport=DESK):
        page = browser.new_context(viewport=viewport, base_url=live_server.url).new_page()
        page.on("dialog", lambda dialog: (wrong.append(f"a script ran: {dialog.message}"), dialog.dismiss()))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: "Content Security Policy" in said.text and wrong.append(said.text))
        page.on(
            "request", lambda request: request.url.startswith(live_server.url) or wrong.append(f"asked {request.url}")
        )
        page.goto("/admin/")
        page.fill("input[name=username]", "eva")
        page.fill("input[name=password]", PASSWORD)
        page.click("button[type=submit]")
        page.wait_for_selector("#home")
        return page

    yield start
    assert not wrong


def pages():
    for model in django_admin.site._registry:
        yield url_of(model)
        if row := model.objects.order_by("pk").last():
            yield url_of(row)


@pytest.mark.parametrize("viewport", [DESK, TELEPHONE], ids=["desk", "telephone"])
def test_every_page_fits_and_runs_nothing_of_a_stranger(visit, viewport):
    page = visit(viewport)
    too_wide = []
    for url in ["/admin/", *pages()]:
        answer = page.goto(url)
        assert answer.status == 200, url
        wider = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        too_wide += [f"{url} by {wider}"] if wider > 0 else []
    assert not too_wide


def test_a_driver_is_blocked_after_a_question(visit):
    page, driver = visit(), Driver.objects.first()
    page.goto(url_of(driver))
    page.click("text=Block")
    page.wait_for_selector("#dialog")
    driver.refresh_from_db()
    assert driver.blocked_at is None

    page.click("#dialog button[type=submit]")
    page.wait_for_selector("text=Known by 0 of")
    driver.refresh_from_db()
    assert driver.blocked_at is not None


def test_the_card_of_a_held_cdr_is_attached_in_the_page(visit):
    page, cdr = visit(), Cdr.objects.filter(contract=None).first()
    page.goto("/admin/")
    page.click("text=CDRs are nobody's")
    page.click(f"text={cdr.ocpi_id}")
    page.click("text=Attach the card")
    page.fill("#dialog-form input[name=contract]", "Öberg")
    page.click("#dialog button[type=submit]")
    page.wait_for_selector("text=Several are")

    page.fill("#dialog-form input[name=contract]", "anna1@example.com")
    page.click("#dialog button[type=submit]")
    page.wait_for_selector("text=found a driver")
    cdr.refresh_from_db()
    assert cdr.contract.driver.email == "anna1@example.com"


def test_a_driver_is_found_from_any_page(visit):
    page = visit()
    page.keyboard.press("Control+k")
    page.keyboard.type("anna1@", delay=30)
    page.click("text=Driver of Anna Öberg 1")
    page.wait_for_selector("#related")
    assert page.url.endswith(url_of(Driver.objects.get(email="anna1@example.com")))
