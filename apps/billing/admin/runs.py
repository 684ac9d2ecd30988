"""Invoice runs: what was issued when, and the page that previews and issues a month."""

from django.contrib import admin, messages
from django.db.models import Count
from django.shortcuts import redirect
from django.utils import timezone
from unfold.decorators import display

from apps.billing import invoicing
from apps.billing.forms import RunForm
from apps.billing.models import (
    Invoice,
    InvoiceRun,
)
from apps.billing.outcome import Kept, Outcome
from apps.billing.readiness import NotReady
from apps.staff.office import Record, Table, badge, link, moment, money, url_of

from .documents import payment_state
from .months import PeriodFilter


@admin.register(InvoiceRun)
class InvoiceRunAdmin(Record):
    """Runs that were; a new one is previewed first, and issued when it looks right."""

    list_display = ["started", "month", "legal_entity", "documents", "left", "issued_on", "finished"]
    list_filter = [PeriodFilter]
    list_select_related = ["legal_entity"]
    fields = [("legal_entity", "month", "issued_on"), ("started", "finished", "cutoff_at"), "documents"]

    def get_queryset(self, request):
        return super().get_queryset(request).annotate(document_count=Count("invoices"))

    def has_add_permission(self, request, obj=None):
        return request.user.has_perm("billing.add_invoicerun")

    @display(description="Started", ordering="started_at")
    def started(self, run):
        return moment(run.started_at)

    @display(description="Finished")
    def finished(self, run):
        return moment(run.finished_at) if run.finished_at else badge("not finished", "bad")

    @display(description="Month", ordering="period")
    def month(self, run):
        return f"{run.period:%Y-%m}"

    @display(description="Documents")
    def documents(self, run):
        return run.document_count

    @display(description="Left out")
    def left(self, run):
        return len(run.left_out) or "–"

    def get_tables(self, request, run):
        kept = ([entry.get("reason"), entry.get("count"), entry.get("net")] for entry in run.left_out)
        yield Table("Left out, and why", InvoiceRun, ["Reason", "Charges", "Net"], kept, empty="Nobody was left out.")
        issued = run.invoices.select_related("account", "payment").order_by("number")
        rows = (
            [link(one), link(one.account), money(one.gross, one.currency), payment_state(one)] for one in issued[:11]
        )
        more = url_of(Invoice, run__id__exact=run.pk)
        yield Table("Its documents", Invoice, ["Number", "Account", "Gross", "State"], rows, more)

    def add_view(self, request, form_url="", extra_context=None):
        """Preview a month, then issue it: the same room as the command (`billing.invoicing`)."""
        self.require(request, "billing.add_invoicerun")
        form = RunForm(request.POST or None)
        outcome, reasons = run_it(form, "issue" in request.POST) if form.is_valid() else (None, [])
        if outcome and not outcome.is_preview:
            issued = sum(total.count for total in outcome.totals.values())
            messages.success(
                request, f"{issued} documents of {outcome.period:%Y-%m} are issued. PDFs follow within minutes."
            )
            return redirect(self.list_url())
        said = tables_of(outcome) if outcome else []
        return self.render(
            request, "admin/run.html", "Invoice a month", form=form, outcome=outcome, reasons=reasons, tables=said
        )


def run_it(form: RunForm, is_real: bool) -> tuple[Outcome | None, list[str]]:
    """What a preview or a run did, and what forbids to issue."""
    period, now = form.cleaned_data["period"], timezone.now()
    if is_real:
        try:
            return invoicing.issue(period, now), []
        except NotReady as refused:
            outcome = invoicing.preview(period, now)
            return outcome, refused.reasons
    outcome = invoicing.preview(period, now)
    return outcome, outcome.obstacles


def tables_of(outcome: Outcome) -> list[Table]:
    documents = (
        [
            country,
            currency,
            total.count,
            money(total.net, currency),
            money(total.vat, currency),
            money(total.gross, currency),
        ]
        for (country, currency), total in sorted(outcome.totals.items())
    )
    headers = ["Registration", "Currency", "Documents", "Net", "VAT", "Gross"]
    left_out, held = map(kept_row, outcome.left_out), map(kept_row, outcome.held)
    reasons, asked = ["Reason", "Charges", "Net"], ["Reason", "CDRs", "What CPOs ask, net"]
    return [
        Table("Documents", Invoice, headers, documents, empty="Nothing is to be invoiced.").read(),
        Table("Left out, and why", Invoice, reasons, left_out, empty="Nobody.").read(),
        Table("Held CDRs", Invoice, asked, held, empty="None.").read(),
    ]


def kept_row(kept: Kept) -> list:
    return [kept.reason, kept.count, money(kept.net, kept.currency)]
