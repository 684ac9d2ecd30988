"""Who is live, since when and on whose word; and the sheet that a partner gets."""

import pypdfium2
import pytest
from django.db import IntegrityError, connection
from django.test import Client
from django.urls import reverse

from apps.onboarding import live, readiness, sheet
from apps.onboarding.models import Clearance, Report
from apps.partners.models import Partner
from apps.staff.models import User
from apps.staff.office import url_of
from tests.admin.furnished import HOSTILE, NOW, make_partner
from tests.admin.test_acts import DO

pytestmark = pytest.mark.django_db


@pytest.fixture
def partner():
    return make_partner()


def report(partner, outcome="PASSED", version="2.2.1", reason="It lists 2.2.1 🔌."):
    made = {"requested_at": NOW, "finished_at": NOW, "checks": 1, "requested_by": "Ada"}
    told = {"passed": "passed", "failed": "failed"}.get(outcome.lower(), "not tried")
    line = {
        "check": "versions",
        "title": "Versions",
        "demands": "VER-01",
        "outcome": told,
        "reason": reason,
        "took_s": 0.1,
    }
    return Report.objects.create(partner=partner, version=version, outcome=outcome, lines=[line], **made)


@pytest.mark.parametrize("outcome", ["FAILED", "INCOMPLETE", "BROKEN"])
def test_without_a_report_that_passed_nobody_is_live_unless_somebody_says_why(partner, outcome):
    with pytest.raises(live.CannotGoLive, match="No report of this version was made: without a report"):
        live.begin(partner, "Ada", NOW)
    report(partner, outcome)
    with pytest.raises(live.CannotGoLive, match="The newest report of 2026-11-03 12:00 says"):
        live.begin(partner, "Ada", NOW, reason="  ")
    clearance = live.begin(partner, "Ada", NOW, reason="Their tariffs are empty, and that is right.")
    assert (clearance.report, clearance.by, clearance.at) == (None, "Ada", NOW)


def test_a_report_that_passed_is_enough(partner):
    passed = report(partner)
    assert live.begin(partner, "Ada", NOW).report == passed
    with pytest.raises(live.CannotGoLive, match="is live already"):
        live.begin(partner, "Ada", NOW)
    live.end(partner, "Eva", NOW)
    with pytest.raises(live.CannotGoLive, match="is not live"):
        live.end(partner, "Eva", NOW)
    assert Clearance.objects.get().ended_by == "Eva"


def test_the_newest_report_counts_and_only_of_the_version_that_is_spoken(partner):
    report(partner)
    report(partner, "FAILED")
    with pytest.raises(live.CannotGoLive, match="says: failed"):
        live.begin(partner, "Ada", NOW)
    report(partner, version="2.1.1")
    with pytest.raises(live.CannotGoLive, match="says: failed"):
        live.begin(partner, "Ada", NOW)


def test_who_is_not_connected_is_not_live(partner):
    partner.state = Partner.State.DISCONNECTED
    with pytest.raises(live.CannotGoLive, match="is not connected"):
        live.begin(partner, "Ada", NOW, reason="All is well.")


@pytest.mark.parametrize(("by", "reason"), [("", "All is well."), ("Ada", "")])
def test_the_database_wants_a_name_and_a_reason(partner, by, reason):
    with pytest.raises(IntegrityError):
        Clearance.objects.create(partner=partner, by=by, reason=reason, at=NOW)


# The sheet


def test_the_sheet_says_each_line_with_its_demand(partner):
    made = report(partner, "FAILED", reason=f"evses[0].uid: required {HOSTILE}")
    page = sheet.as_html(made)
    assert "evses[0].uid: required &lt;script&gt;" in page and HOSTILE not in page
    with pypdfium2.PdfDocument(sheet.as_pdf(made)) as pdf:
        printed = pdf[0].get_textpage().get_text_bounded()
    assert all(
        told in printed for told in ("Readiness of Laddnät", "SE*LAD", "VER-01", "evses[0].uid: required", "1 failed")
    )


def test_no_letter_of_a_partner_keeps_its_sheet_from_it(partner):
    assert sheet.as_pdf(report(partner, reason="充电站 🔌 \u202e")).startswith(b"%PDF")


# The office


@pytest.fixture
def office(client):
    client.force_login(User.objects.create_superuser("eva", password="a-long-password-1"))
    return client


def press(client: Client, row, act: str, **said):
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_{act}"
    return client.post(reverse(name, args=[row.pk]), DO | said, follow=True)


def test_a_check_is_ordered_from_the_partners_page_and_its_progress_is_seen(office, partner):
    page = press(office, partner, "check_readiness", wait_s=5).content.decode()
    ordered = Report.objects.get()
    assert (ordered.requested_by, ordered.wait_s, ordered.card) == ("eva", 5, None)
    assert f"0 of {len(readiness.CHECKS)} checked" in page
    assert office.get(url_of(ordered))["Refresh"] == "3"
    assert "is being checked already" in press(office, partner, "check_readiness", wait_s=5).content.decode()


def test_going_live_is_shown_on_the_partner_with_who_and_why(office, partner):
    assert "not live" in office.get(url_of(partner)).content.decode()
    assert "say why it may be live" in press(office, partner, "go_live").content.decode()
    page = press(office, partner, "go_live", reason="Tried by telephone.").content.decode()
    assert "without report: eva" in page and "Tried by telephone." in page
    assert "is no longer live" in press(office, partner, "end_live").content.decode()


def test_a_report_is_loaded_down_to_be_sent(office, partner):
    made = report(partner)
    for ending, beginning in (("html", b"<!doctype html>"), ("pdf", b"%PDF")):
        answer = office.get(reverse(f"admin:onboarding_report_{ending}", args=[made.pk]))
        assert answer.content.startswith(beginning)
        assert answer["Content-Disposition"] == f'attachment; filename="readiness-{made.pk}-2026-11-03.{ending}"'


def test_a_report_that_is_not_made_yet_is_not_sent(office, partner):
    ordered = readiness.order(partner, NOW)
    assert office.get(reverse("admin:onboarding_report_pdf", args=[ordered.pk])).status_code == 404


def test_the_line_of_a_report_that_passed_names_no_override(partner):
    report(partner)
    live.begin(partner, "Ada", NOW, reason="")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM onboarding_clearance WHERE report_id IS NOT NULL AND reason = ''")
        assert cursor.fetchone() == (1,)
