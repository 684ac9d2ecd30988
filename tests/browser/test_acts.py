"""What people do in the back office, click by click: from the password to the file for the books."""

import json
import zipfile

import pytest
from django.utils import timezone

from apps.billing import invoicing, rating, rendering
from apps.billing.models import Charge, Document, Invoice
from apps.charging import checking
from apps.charging.models import Cdr
from apps.drivers.models import Driver
from apps.partners.models import Quarantined
from apps.staff.office import url_of
from tests.admin.furnished import cdr_body, receive
from tests.browser.conftest import PASSWORD


def sign_in(page, password):
    page.goto("/admin/")
    page.fill("input[name=username]", "eva")
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")


def press(page, button, **fields):
    """An act of a row's page: the button, what the question wants to know, and yes."""
    page.click(f"text={button}")
    for name, value in fields.items():
        page.fill(f"#dialog-form [name={name}]", value)
    page.click("#dialog button[type=submit]")


def test_somebody_signs_in_with_the_right_password_alone(watched, office):
    page = watched()
    sign_in(page, "a wrong one")
    page.wait_for_selector("text=Please enter the correct")
    assert page.locator("#home").count() == 0

    sign_in(page, PASSWORD)
    page.wait_for_selector("#home")


def test_a_driver_is_blocked_after_a_question_and_unblocked(visit):
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

    press(page, "Unblock")
    page.wait_for_selector("text=may charge again")
    driver.refresh_from_db()
    assert driver.blocked_at is None


def test_a_driver_is_found_from_any_page(visit):
    page = visit()
    page.goto("/admin/")
    page.click("text=Find anything")
    page.keyboard.type("anna1@", delay=20)
    page.click("text=Driver of Anna Öberg 1")
    page.wait_for_selector("#related")
    assert page.url.endswith(url_of(Driver.objects.get(email="anna1@example.com")))


def work():
    """What the workers do once their bell is rung."""
    now = timezone.now()
    checking.check_due(now), rating.catch_up(now), invoicing.issue_due(now), rendering.render_due(now)


def test_an_unknown_card_gets_from_the_home_page_onto_an_invoice(visit):
    page, cdr, before = visit(), Cdr.objects.filter(contract=None).order_by("pk").first(), Invoice.objects.count()
    page.goto("/admin/")
    page.click("text=CDRs that are nobody's")
    page.click(f"text={cdr.ocpi_id}")
    page.wait_for_selector("text=Held from billing")
    press(page, "Attach the card", contract="Öberg")
    page.wait_for_selector("text=Several are")
    page.fill("#dialog-form input[name=contract]", "anna1@example.com")
    page.click("#dialog button[type=submit]")
    page.wait_for_selector("text=found a driver")
    work()

    page.goto("/admin/billing/invoicerun/add/")
    page.fill("input[name=period]", "2026-10")
    page.click("text=Preview")
    page.wait_for_selector("text=Documents")
    assert Invoice.objects.count() == before
    page.click("text=Issue these documents")
    page.wait_for_selector("text=is being issued")
    work()

    invoice = Charge.objects.get(cdr=cdr).line.invoice
    assert Invoice.objects.count() == before + 1
    page.goto(url_of(invoice))
    assert page.locator(f"#related >> text={cdr.ocpi_id}").count() == 1
    href = page.locator("a:has-text('Open the PDF')").first.get_attribute("href")
    answer = page.request.get(href)
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.body() == bytes(Document.objects.get(invoice=invoice).pdf)


def test_a_faulty_object_is_mended_and_another_tried_again(visit):
    page, partner = visit(), Cdr.objects.first().partner
    body = json.loads(cdr_body("ODD-1", "04AA", "SE-EMP-C00000001-X")) | {"currency": None}
    receive(partner, json.dumps(body).encode())
    held = Quarantined.objects.get(ocpi_id="ODD-1")

    page.goto("/admin/")
    page.click("text=Objects in quarantine")
    page.click("#result_list tbody th a >> nth=0")
    press(page, "Retry")
    page.wait_for_selector("text=still cannot be taken")
    page.click("text=Mend")
    text = page.input_value("textarea")
    page.click("text=Take it")
    page.wait_for_selector("text=currency")
    page.fill("textarea", text.replace('"currency": null', '"currency": "SEK"'))
    page.click("text=Take it")
    page.wait_for_selector("text=is mended and taken")

    held.refresh_from_db()
    assert held.state == "MENDED"
    assert Cdr.objects.filter(ocpi_id="ODD-1").exists()


@pytest.mark.parametrize("kind", ["csv", "json", "xlsx"])
def test_a_month_is_saved_as_a_file(visit, kind, tmp_path):
    page, number = visit(), Invoice.objects.first().number
    page.goto("/admin/billing/invoice/")
    page.click("text=Export")
    page.fill("input[name=period]", "2026-10")
    page.select_option("select[name=file_format]", kind)
    with page.expect_download() as saved:
        page.click("text=Download")
    saved.value.save_as(tmp_path / "file")

    assert saved.value.suggested_filename == f"invoices-2026-10.{kind}"
    assert number in text_of(tmp_path / "file", kind)


def text_of(file, kind) -> str:
    if kind != "xlsx":
        return file.read_text()
    with zipfile.ZipFile(file) as book:
        return book.read("xl/worksheets/sheet1.xml").decode()
