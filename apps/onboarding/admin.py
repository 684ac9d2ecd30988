"""Readiness reports: how far they are, line by line, and as a sheet for the partner."""

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.http import Http404, HttpResponse
from django.utils.html import format_html
from unfold.decorators import action, display

from apps.partners.models import Partner
from apps.staff.office import Record, Table, badge, link, moment

from . import readiness, sheet
from .models import Clearance, Report

ASK_AGAIN_S = 3
KINDS = {"PASSED": "good", "INCOMPLETE": "odd", "FAILED": "bad", "BROKEN": "bad"}
MARKS = {readiness.PASSED: "good", readiness.FAILED: "bad", readiness.UNTRIED: ""}


def outcome_badge(report: Report) -> str:
    if report.due_at:
        return badge(f"{len(report.lines)} of {report.checks} checked", "new")
    return badge(report.get_outcome_display(), KINDS[report.outcome])


def counted(report: Report) -> str:
    return ", ".join(f"{count} {outcome}" for outcome in readiness.OUTCOMES if (count := report.count(outcome)))


def reports_table(partner: Partner) -> Table:
    rows = (
        [
            link(report, moment(report.requested_at)),
            outcome_badge(report),
            counted(report) or "–",
            report.requested_by or "–",
        ]
        for report in partner.reports.all()[:5]
    )
    headers = ["Made", "Outcome", "Lines", "By"]
    return Table("Readiness reports", Report, headers, rows, empty="None: press Check.")


def clearances_table(clearances: list[Clearance]) -> Table:
    headers = ["Live since", "Until", "By", "Why"]
    return Table(
        "Live",
        Clearance,
        headers,
        map(clearance_row, clearances),
        empty="It never was.",
    )


def clearance_row(clearance: Clearance) -> list:
    until = f"{moment(clearance.ended_at)}, {clearance.ended_by}" if clearance.ended_at else badge("live", "good")
    by_report = f"the report of {clearance.report.requested_at:%Y-%m-%d %H:%M} passed" if clearance.report else ""
    return [moment(clearance.at), until, clearance.by, by_report or f"without a report that passed: {clearance.reason}"]


@admin.register(Report)
class ReportAdmin(Record):
    """What partners did when they were really called."""

    list_display = ["made", "partner", "version", "state", "lines_told", "requested_by"]
    list_filter = ["outcome", "partner"]
    list_select_related = ["partner"]
    search_fields = ["partner__name"]
    search_help_text = "Partner"
    fields = [
        ("partner_link", "version", "state"), ("made", "requested_by", "lines_told"),
        ("card", "location_id", "evse_uid", "wait_s"), "last_error",
    ]  # fmt: skip
    readonly_fields = ["partner_link", "state", "made", "lines_told"]
    actions_detail = ["html", "pdf"]

    @display(description="Partner")
    def partner_link(self, report):
        return link(report.partner)

    @display(description="Made", ordering="requested_at")
    def made(self, report):
        return moment(report.requested_at)

    @display(description="Outcome", ordering="outcome")
    def state(self, report):
        return outcome_badge(report)

    @display(description="Lines")
    def lines_told(self, report):
        return counted(report) or "–"

    def change_view(self, request, object_id, form_url="", extra_context=None):
        """As long as it is being made the browser asks again by itself."""
        answer = super().change_view(request, object_id, form_url, extra_context)
        if Report.objects.filter(pk=unquote(object_id), due_at__isnull=False).exists():
            answer["Refresh"] = f"{ASK_AGAIN_S}"
        return answer

    def get_tables(self, request, report):
        rows = (
            [
                badge(line["outcome"], MARKS[line["outcome"]]),
                line["title"],
                line["reason"],
                line["demands"],
                f"{line['took_s']} s",
            ]
            for line in report.lines
        )
        yield Table(
            "Lines", Report, ["Outcome", "What", "What was seen", "Demanded by", "Took"], rows, empty="None yet."
        )

    def get_actions_detail(self, request, object_id):
        """A sheet is sent when there is one."""
        is_finished = Report.objects.filter(pk=object_id, finished_at__isnull=False).exists()
        return super().get_actions_detail(request, object_id) if is_finished else []

    @action(description="HTML for the partner", permissions=["view"], url_path="html", icon="html")
    def html(self, request, object_id):
        return sent(object_id, "text/html; charset=utf-8", "html", sheet.as_html)

    @action(description="PDF for the partner", permissions=["view"], url_path="pdf", icon="picture_as_pdf")
    def pdf(self, request, object_id):
        return sent(object_id, "application/pdf", "pdf", sheet.as_pdf)


def sent(object_id: str, content_type: str, ending: str, write) -> HttpResponse:
    report = Report.objects.select_related("partner").filter(pk=object_id, finished_at__isnull=False).first()
    if report is None:
        raise Http404
    name = f"readiness-{report.pk}-{report.requested_at:%Y-%m-%d}.{ending}"
    return HttpResponse(
        write(report), content_type=content_type, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


def live_badge(clearance: Clearance | None) -> str:
    """Since when, and on whose word."""
    if clearance is None:
        return badge("not live", "odd")
    why = "by report" if clearance.report_id else f"without report: {clearance.by}"
    return format_html("{} since {}, {}", badge("live", "good"), moment(clearance.at), why)
