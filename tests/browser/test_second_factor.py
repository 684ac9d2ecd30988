"""From the password to the back office: setting up a telephone, and logging in with it; also without scripts."""

import re

import pytest
from django.contrib.sessions.models import Session
from django.urls import reverse
from django.utils import timezone

from apps.staff import second_factor
from apps.staff.models import SecondFactor, User
from tests.browser.conftest import DESK, PASSWORD, TELEPHONE, signed_in
from tests.browser.test_pages import faults_of
from tests.security.factors import later, shown

either = pytest.mark.parametrize("viewport", [DESK, TELEPHONE], ids=["desk", "telephone"])
pytestmark = pytest.mark.control("S46")


@pytest.fixture
def eva(transactional_db, settings):
    settings.SECOND_FACTOR_REQUIRED = True
    return User.objects.create_superuser("eva", password=PASSWORD)


def sign_in(page):
    page.goto("/admin/drivers/driver/")
    page.fill("input[name=username]", "eva")
    page.fill("input[name=password]", PASSWORD)
    page.click("button[type=submit]")


def sound(page):
    faults = faults_of(page)
    assert not faults, f"{page.url}: {faults}"


@either
def test_somebody_sets_up_a_telephone_and_logs_in_with_it(watched, eva, viewport):
    page = watched(viewport)
    sign_in(page)
    page.wait_for_selector("#enrolment")
    sound(page)
    box = page.locator("img.qr").bounding_box()
    assert box["width"] == box["height"] > 150
    assert page.evaluate("document.querySelector('img.qr').naturalWidth") > 0, "the policy lets it be shown"
    secret = page.inner_text("#secret")

    page.fill("input[name=code]", "000000")
    page.click("#enrolment button")
    page.wait_for_selector("text=not what the app shows")
    sound(page)
    page.fill("input[name=code]", shown(secret))
    page.click("#enrolment button")
    page.wait_for_selector("#codes")
    sound(page)
    codes = page.locator("#codes li").all_inner_texts()
    with page.expect_download() as saved:
        page.click("text=Save them as a file")
    assert saved.value.path().read_text().split() == codes
    page.click("text=I have kept them")
    page.wait_for_url("**/admin/drivers/driver/")

    page.context.clear_cookies()
    sign_in(page)
    page.wait_for_selector("#proof")
    sound(page)
    page.fill("input[name=code]", "000000")
    page.click("#proof button")
    page.wait_for_selector("text=This code is not right")
    sound(page)
    page.fill("input[name=code]", later(secret))
    page.click("#proof button")
    page.wait_for_url("**/admin/drivers/driver/")

    page.goto(reverse("staff:mine"))
    sound(page)
    page.click("summary")
    page.fill("input[name=recovery]", codes[0])
    page.click("text=New recovery codes")
    page.wait_for_selector("#codes")
    assert not set(codes) & set(page.locator("#codes li").all_inner_texts())


@pytest.fixture
def without_scripts(browser, live_server):
    context = browser.new_context(viewport=TELEPHONE, base_url=live_server.url, java_script_enabled=False)
    yield context.new_page()
    context.close()


def test_it_works_without_scripts(without_scripts, eva):
    page = without_scripts
    sign_in(page)
    page.wait_for_selector("#enrolment")
    secret = page.inner_text("#secret")
    page.fill("input[name=code]", shown(secret))
    page.click("#enrolment button")
    code = page.locator("#codes li").first.inner_text()
    page.click("text=I have kept them")
    page.wait_for_url("**/admin/drivers/driver/")
    page.context.clear_cookies()
    sign_in(page)
    page.click("summary")
    page.fill("input[name=recovery]", code)
    page.click("#proof button")
    page.wait_for_url("**/admin/drivers/driver/")


@either
def test_something_dear_is_asked_again_and_then_goes_on(visit, viewport):
    page = visit(viewport)
    late(page)
    page.goto(reverse("admin:partners_partner_add"))
    page.wait_for_selector("text=Confirm that it is you")
    sound(page)
    page.fill("input[name=password]", PASSWORD)
    page.click("#proof button")
    page.wait_for_selector("text=Invite a partner")


def test_a_form_that_comes_too_late_leads_back(browser, live_server, office):
    """403, which Chromium writes to its console: not watched."""
    context = browser.new_context(viewport=TELEPHONE, base_url=live_server.url)
    page = signed_in(context.new_page(), live_server.url)
    page.goto(reverse("admin:partners_partner_add"))
    page.fill("input[name=name]", "Volta")
    page.fill("input[name=party]", "SE*VOL")
    late(page)
    page.click("#form button[type=submit]")
    page.wait_for_selector("text=Nothing was done.")
    sound(page)
    page.click("text=Go on")
    page.fill("input[name=password]", PASSWORD)
    page.click("#proof button")
    page.wait_for_selector("text=Invite a partner")
    context.close()


def late(page):
    """As if the last proof were an hour old."""
    for row in Session.objects.all():
        kept = row.get_decoded() | {"proved_at": row.get_decoded()["proved_at"] - 3600}
        row.session_data = Session.get_session_store_class()().encode(kept)
        row.save()


def test_a_dialog_is_asked_again(visit):
    page = visit()
    eva = User.objects.get(username="eva")
    other = User.objects.create_user("bert", is_staff=True)
    second_factor.confirm(other, *drafted(other))
    late(page)
    page.goto(reverse("admin:staff_user_change", args=[other.pk]))
    page.click("text=Take second factor away")
    page.wait_for_selector("text=Confirm that it is you")
    page.fill("input[name=password]", PASSWORD)
    page.click("#proof button")
    page.wait_for_url(re.compile(f"/user/{other.pk}/change/"))
    page.click("text=Take second factor away")
    page.click("#dialog button[type=submit]")
    page.wait_for_selector("text=logs in by password alone")
    assert not SecondFactor.objects.exists()
    assert eva.pk != other.pk


def drafted(user):
    sealed, now = second_factor.draft(user), timezone.now()
    return sealed, shown(second_factor.spell(user, sealed), now.timestamp()), now
