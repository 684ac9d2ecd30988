"""A readiness report as a sheet to send to the partner: a page for the browser, or PDF."""

from django.conf import settings
from django.template.loader import render_to_string

from apps.onboarding import readiness
from apps.onboarding.models import Report
from apps.partners import ourselves
from apps.typesetting import typeset


def worded(report: Report) -> dict:
    """Everything that is printed, ready worded."""
    parties = ", ".join(map(str, report.partner.parties.order_by("pk")))
    counts = [(outcome, report.count(outcome)) for outcome in readiness.OUTCOMES]
    return {
        "title": f"Readiness of {report.partner}",
        "outcome": report.get_outcome_display(),
        "is_good": report.outcome == Report.Outcome.PASSED,
        "facts": [
            ["Parties", parties],
            ["OCPI version", report.version],
            ["Checked by", f"{settings.OCPI_PARTY_NAME} ({ourselves.us()})"],
            ["At", f"{report.requested_at:%Y-%m-%d %H:%M} UTC"],
            ["Lines", ", ".join(f"{count} {outcome}" for outcome, count in counts)],
        ],
        "date": [report.requested_at.year, report.requested_at.month, report.requested_at.day],
        "lines": [{name: line[name] for name in ("title", "demands", "outcome", "reason")} for line in report.lines],
    }


def as_html(report: Report) -> str:
    return render_to_string("onboarding/sheet.html", worded(report))


def as_pdf(report: Report) -> bytes:
    return typeset(settings.BASE_DIR / "templates" / "onboarding" / "sheet.typ", worded(report))
