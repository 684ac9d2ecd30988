"""A readiness report as a sheet to send to the partner: a page for the browser, or PDF."""

from django.conf import settings
from django.template.loader import render_to_string

from apps import pace
from apps.ocpi import reader
from apps.onboarding import readiness
from apps.onboarding.models import Report
from apps.partners import ourselves, quirks
from apps.partners.models import Partner
from apps.staff.office import long
from apps.tokens.listing import MOST
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
        "habits": habits(report.partner),
        "lines": [{name: line[name] for name in ("title", "demands", "outcome", "reason")} for line in report.lines],
    }


def habits(partner: Partner) -> list[list[str]]:
    """Our limits for the partner, and where we depart from OCPI for it: name, value, meaning."""
    calls = pace.LIMITS["messages"].times(partner.pace)
    limits = [
        ["Our lists", f"{MOST} objects a page", "A larger limit is lowered; follow Link, or count by offset."],
        ["Bodies", f"CDR {_kib(reader.CDR_LIMIT)}, PATCH {_kib(reader.PATCH_LIMIT)}, others {_kib(reader.BODY_LIMIT)}",
         "More is 413."],
        ["Calls", f"{calls.rate:g} a second", "More is 429 with Retry-After; of some modules fewer."],
    ]  # fmt: skip
    pulls = [
        [
            f"Pull of {feed.get_module_display()}",
            f"every {long(feed.interval)}",
            "From the newest we saw minus 15 minutes.",
        ]
        for feed in partner.feeds.order_by("pk")
    ]
    departures = [list(departure) for departure in quirks.departures(partner)]
    return [*limits, *pulls, *(departures or [["Quirks", "none", "Everything is as OCPI says."]])]


def _kib(size: int) -> str:
    return f"{size // 2**10:,} KiB"


def as_html(report: Report) -> str:
    return render_to_string("onboarding/sheet.html", worded(report))


def as_pdf(report: Report) -> bytes:
    return typeset(settings.BASE_DIR / "templates" / "onboarding" / "sheet.typ", worded(report))
