"""One Chromium for all of these tests, and pages that are watched: whatever goes wrong in one fails the test.

The browser is the system's own, driven by Playwright of the set-up. Where there is none the tests are left out, and say
so; with CI=true that is a failure.
"""

import os
import shutil
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.db import connections
from django.test import Client
from playwright.sync_api import sync_playwright

from apps.staff.models import User
from tests.admin.furnished import furnish

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
DESK, TELEPHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
PASSWORD = "a-long-password-1"


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.parent.name == "browser":
            item.add_marker(pytest.mark.django_db(transaction=True))


@pytest.fixture(scope="module")
def browser():
    """Playwright's own loop runs in this thread as long, and Django would take it for ours."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        leave = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        leave("no Chromium is installed (apt-get install chromium)")
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as started:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()
        connections.close_all()  # those of the loop's context, or the test database cannot be dropped


@pytest.fixture
def office(transactional_db):
    """An office with rows, some of them written by somebody hostile."""
    User.objects.create_superuser("eva", password=PASSWORD)
    return furnish(2)


@pytest.fixture
def watched(browser, live_server):
    """Pages of a stranger to the office; what went wrong in them is told at the end."""
    wrong, contexts = [], []

    def start(viewport=DESK):
        contexts.append(browser.new_context(viewport=viewport, base_url=live_server.url))
        page = contexts[-1].new_page()
        page.set_default_timeout(15_000)
        page.on("dialog", lambda dialog: (wrong.append(f"a script ran: {dialog.message}"), dialog.dismiss()))
        page.on("pageerror", lambda error: wrong.append(f"{page.url}: {error}"))
        page.on("console", lambda said: said.type == "error" and wrong.append(f"{page.url}: {said.text}"))
        page.on(
            "request", lambda request: is_ours(request.url, live_server.url) or wrong.append(f"asked {request.url}")
        )
        return page

    yield start
    for context in contexts:
        context.close()
    assert not wrong, "\n".join(wrong)


def is_ours(url: str, server: str) -> bool:
    return url.startswith((f"{server}/", "data:")) or urlsplit(url).scheme == "blob"


@pytest.fixture
def visit(watched, office, live_server):
    """Pages as somebody who is signed in already."""
    return lambda viewport=DESK: signed_in(watched(viewport), live_server.url)


def signed_in(page, url):
    client = Client()
    client.force_login(User.objects.get(username="eva"))
    name = settings.SESSION_COOKIE_NAME
    page.context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": url}])
    return page
