"""Invoice runs: how far they are, what was issued when, and the page that previews a month and orders its run."""

from collections.abc import Iterator
from datetime import date

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import Case, Count, F, Q, Sum, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.html import format_html
from unfold.decorators import display

from apps.billing import invoicing
from apps.billing.forms import RunForm
from apps.billing.models import Invoice, InvoiceRun
from apps.billing.outcome import Kept, Outcome
from apps.billing.readiness import NotReady
from apps.staff.office import Conditions, Record, Table, badge, grouped, link, moment, money, url_of

from .documents import payment_state
from .months import PeriodFilter

ASK_AGAIN_S = 5
TOTALS = ["Registration", "Currency", "Documents", "Net", "VAT", "Gross"]


class UnderWayFilter(Conditions):
    title = "state"
    parameter_name = "state"
    conditions = {
        "due": ("under way", lambda: Q(due_at__isnull=False)),
        "broken": ("broke off", lambda: Q(due_at__isnull=False) & ~Q(last_error="")),
    }


@admin.register(InvoiceRun)
class InvoiceRunAdmin(Record):
    """Runs as they are; a new one is previewed first, and ordered when it looks right. A worker issues it."""

    list_display = ["started", "month", "legal_entity", "documents", "left", "issued_on", "state"]
    list_filter = [UnderWayFilter, PeriodFilter]
    list_select_related = ["legal_entity"]
    fields = [
        ("legal_entity", "month", "issued_on"), ("started", "state", "cutoff_at"), ("progress", "documents"), "trouble",
    ]  # fmt: skip

    def get_queryset(self, request):
        return super().get_queryset(request).annotate(document_count=Count("invoices"))

    def has_add_permission(self, request, obj=None):
        return request.user.has_perm("billing.add_invoicerun")

    @display(description="Started", ordering="started_at")
    def started(self, run):
        return moment(run.started_at)

    @display(description="State")
    def state(self, run):
        if run.finished_at:
            return format_html("finished {}", moment(run.finished_at))
        if run.last_error:
            return badge("broke off, tried again", "bad")
        return badge("under way", "new") if run.due_at else badge("not finished", "bad")

    @display(description="Accounts")
    def progress(self, run):
        return f"{grouped(run.accounts_done)} of {grouped(run.accounts)} done"

    @display(description="Last error")
    def trouble(self, run):
        return run.last_error

    @display(description="Month", ordering="period")
    def month(self, run):
        return f"{run.period:%Y-%m}"

    @display(description="Documents")
    def documents(self, run):
        return run.document_count

    @display(description="Left out")
    def left(self, run):
        return len(run.left_out) or "–"

    def change_view(self, request, object_id, form_url="", extra_context=None):
        """As long as the run is under way the browser asks again by itself."""
        answer = super().change_view(request, object_id, form_url, extra_context)
        if InvoiceRun.objects.filter(pk=unquote(object_id), due_at__isnull=False).exists():
            answer["Refresh"] = f"{ASK_AGAIN_S}"
        return answer

    def get_tables(self, request, run):
        yield Table("Issued so far" if run.due_at else "Issued", Invoice, TOTALS, issued_by(run), empty="Nothing.")
        kept = ([entry.get("reason"), entry.get("count"), entry.get("net")] for entry in run.left_out)
        yield Table("Left out, and why", InvoiceRun, ["Reason", "Charges", "Net"], kept, empty="Nobody was left out.")
        issued = run.invoices.select_related("account", "payment").order_by("number")
        rows = (
            [link(one), link(one.account), money(one.gross, one.currency), payment_state(one)] for one in issued[:11]
        )
        more = url_of(Invoice, run__id__exact=run.pk)
        yield Table("Its documents", Invoice, ["Number", "Account", "Gross", "State"], rows, more)

    def add_view(self, request, form_url="", extra_context=None):
        """Preview a month, then have it issued: the same room as the command (`billing.invoicing`)."""
        self.require(request, "billing.add_invoicerun")
        form, outcome, reasons = RunForm(request.POST or None), None, []
        if form.is_valid():
            period, now = form.cleaned_data["period"], timezone.now()
            try:
                if "issue" in request.POST:
                    return self.ordered(request, period, invoicing.order(period, now))
            except NotReady as refused:
                reasons = refused.reasons
            outcome = invoicing.preview(period, now)
            reasons = reasons or outcome.obstacles
        said = tables_of(outcome) if outcome else []
        return self.render(
            request, "admin/run.html", "Invoice a month", form=form, outcome=outcome, reasons=reasons, tables=said
        )

    def ordered(self, request: HttpRequest, period: date, runs: list[InvoiceRun]) -> HttpResponse:
        if not runs:
            messages.success(request, f"Nothing of {period:%Y-%m} is left to be issued.")
            return redirect(self.list_url())
        accounts = grouped(sum(run.accounts for run in runs))
        messages.success(
            request, f"{period:%Y-%m} is being issued for {accounts} accounts. PDFs follow within minutes."
        )
        return redirect(url_of(runs[0]))


def issued_by(run: InvoiceRun) -> Iterator[list]:
    """Sums of a run's documents, credit notes taken off."""

    def signed(name: str) -> Sum:
        return Sum(Case(When(kind=Invoice.Kind.CREDIT_NOTE, then=-F(name)), default=F(name)))

    by = run.invoices.order_by("registration__country", "currency").values_list("registration__country", "currency")
    sums = {"nets": signed("net"), "vats": signed("vat"), "grosses": signed("gross")}
    for country, currency, count, *amounts in by.annotate(Count("pk"), **sums):
        yield [country, currency, count, *(money(amount, currency) for amount in amounts)]


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
    left_out, held = map(kept_row, outcome.left_out), map(kept_row, outcome.held)
    reasons, asked = ["Reason", "Charges", "Net"], ["Reason", "CDRs", "What CPOs ask, net"]
    return [
        Table("Documents", Invoice, TOTALS, documents, empty="Nothing is to be invoiced.").read(),
        Table("Left out, and why", Invoice, reasons, left_out, empty="Nobody.").read(),
        Table("Held CDRs", Invoice, asked, held, empty="None.").read(),
    ]


def kept_row(kept: Kept) -> list:
    return [kept.reason, kept.count, money(kept.net, kept.currency)]
