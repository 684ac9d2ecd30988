"""The month as a workbook, from the page where finance fetches it."""

import io
import zipfile

from django.urls import reverse

from apps.billing import invoicing
from tests.billing.charged import NOW, OCTOBER, World


def test_a_month_is_exported_as_a_workbook(admin, db):
    world = World()
    world.charge(world.account(), "268.74")
    invoicing.issue(OCTOBER, NOW)

    answer = admin.post(reverse("admin:billing_invoice_export"), {"period": "2026-10", "file_format": "xlsx"})

    book = zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content)))
    assert b"SE-000001" in book.read("xl/worksheets/sheet1.xml")
    assert answer["Content-Type"].endswith("spreadsheetml.sheet")
    assert answer["Content-Disposition"] == 'attachment; filename="invoices-2026-10.xlsx"'
