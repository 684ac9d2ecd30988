"""What is sold and to whom it is charged: the company, plans, VAT rates, charges, invoices and their runs.

Issued documents are read here and made elsewhere: nothing on these pages can change one.
"""

from datetime import date

from django.contrib import admin, messages
from django.db.models import Count, Exists, OuterRef, Prefetch
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.html import format_html
from unfold.admin import TabularInline
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from apps.billing import exports
from apps.staff.office import (
    Page,
    Record,
    Refused,
    Table,
    act,
    badge,
    day,
    link,
    moment,
    money,
    quantity,
    url_of,
)

from . import vat
from .forms import EntityForm, ExportForm, PaidForm, PriceForm, RunForm
from .models import (
    Charge,
    Invoice,
    InvoiceLine,
    InvoiceRun,
    LegalEntity,
    NumberSeries,
    Payable,
    Plan,
    PlanPrice,
    Subscription,
    TaxRegistration,
    TaxSubtotal,
    VatRate,
)
from .outcome import Kept, Outcome
from .payments import NotPayable, mark_paid
from .readiness import NotReady


class RegistrationInline(TabularInline):
    model = TaxRegistration
    extra = 0
    can_delete = False
    show_change_link = True
    verbose_name_plural = "VAT registrations (their number series are on their own pages)"


@admin.register(LegalEntity)
class LegalEntityAdmin(Page):
    """Who sells. Documents that are issued keep what they said; changes show on the next ones."""

    form = EntityForm
    list_display = ["name", "organisation_no", "city", "country", "registrations"]
    fieldsets = [
        (None, {"fields": [("name", "organisation_no"), ("street", "postal_code"), ("city", "country")]}),
        ("On documents", {"fields": [("email", "phone", "website"), ("has_f_tax", "payment_days")]}),
        ("Paid to", {"fields": [("iban", "bic", "bankgiro")]}),
        ("Calendar", {"fields": ["time_zone"]}),
    ]
    inlines = [RegistrationInline]

    def get_queryset(self, request):
        return super().get_queryset(request).annotate(registered=Count("registrations"))

    @display(description="VAT registrations")
    def registrations(self, company):
        return company.registered


class SeriesInline(TabularInline):
    """Its first number and prefix are chosen before the first document; later they are the books'."""

    model = NumberSeries
    extra = 0
    max_num = 2
    can_delete = False
    fields = ["kind", "prefix", "next_number", "last_issued_on"]
    readonly_fields = ["last_issued_on"]

    def has_change_permission(self, request, obj=None):
        begun = obj is not None and obj.series.filter(last_issued_on__isnull=False).exists()
        return not begun and super().has_change_permission(request, obj)


@admin.register(TaxRegistration)
class TaxRegistrationAdmin(Page):
    list_display = ["vat_id", "country", "legal_entity", "valid_from", "valid_until", "series_of"]
    list_select_related = ["legal_entity"]
    list_filter = ["country"]
    fields = [("legal_entity", "country"), ("vat_id", "valid_from", "valid_until")]
    inlines = [SeriesInline]

    def get_queryset(self, request):
        return super().get_queryset(request).prefetch_related("series")

    def get_readonly_fields(self, request, registration=None):
        """A registration that documents were issued under is only ended."""
        return ["legal_entity", "country", "vat_id", "valid_from"] if registration and used(registration) else []

    @display(description="Number series")
    def series_of(self, registration):
        series = ", ".join(f"{series.prefix} ({series.get_kind_display()})" for series in registration.series.all())
        return series or badge("none: nothing can be issued", "bad")


def used(registration: TaxRegistration) -> bool:
    return registration.charges.exists()


class PriceInline(TabularInline):
    model = PlanPrice
    form = PriceForm
    extra = 0
    can_delete = False
    fields = ["valid_from", "country", "per_kwh", "per_minute", "per_session", "monthly_fee"]
    verbose_name_plural = "prices: add a row with a later day to change them"


@admin.register(Plan)
class PlanAdmin(Page):
    list_display = ["name", "currency", "basis", "default", "prices_today", "contracts"]
    list_filter = ["currency", "basis"]
    search_fields = ["name"]
    search_help_text = "Name"
    fields = [("name", "currency"), ("basis", "is_default")]
    inlines = [PriceInline]

    def get_queryset(self, request):
        today = PlanPrice.objects.filter(valid_from__lte=timezone.localdate()).order_by("country", "-valid_from")
        return super().get_queryset(request).prefetch_related(Prefetch("prices", today, to_attr="until_today"))

    def get_readonly_fields(self, request, plan=None):
        """What is charged by it keeps its meaning."""
        charged = plan is not None and Charge.objects.filter(plan_price__plan=plan).exists()
        return ["currency", "basis"] if charged else []

    @display(description="Default of its currency")
    def default(self, plan):
        return badge("default", "good") if plan.is_default else "–"

    @display(description="Prices today")
    def prices_today(self, plan):
        newest = {price.country: price for price in reversed(plan.until_today)}
        return "; ".join(price_in_words(price, plan.currency) for _, price in sorted(newest.items())) or badge(
            "none", "bad"
        )

    @display(description="Contracts")
    def contracts(self, plan):
        return "–" if plan.pk is None else format_html('<a class="text-link" href="{}">see them</a>', url_of(plan))

    def get_tables(self, request, plan):
        today = timezone.localdate()
        held = plan.subscriptions.select_related("contract__driver__account").exclude(valid_until__lte=today)
        rows = (
            [link(one.contract), link(one.contract.driver), link(one.contract.driver.account), one.valid_from]
            for one in held.order_by("-valid_from", "-pk")[:50]
        )
        headers = ["Contract", "Driver", "Account", "Since"]
        yield Table("The newest contracts with it", Subscription, headers, rows, empty="No contract has it.")


def price_in_words(price: PlanPrice, currency: str) -> str:
    parts = [
        (price.per_kwh, "/kWh"),
        (price.per_minute, "/min"),
        (price.per_session, "/session"),
        (price.monthly_fee, "/month"),
    ]
    told = ", ".join(f"{quantity(amount, places=6)} {currency}{unit}" for amount, unit in parts if amount) or "free"
    return f"{price.country or 'everywhere'}: {told}"


@admin.register(VatRate)
class VatRateAdmin(Page):
    """The VAT table. A rate that somebody confirmed is only ended; another follows it."""

    list_display = ["country", "supply", "percent", "valid_from", "valid_until", "state", "source"]
    list_filter = ["country", "supply", ("confirmed_at", admin.EmptyFieldListFilter)]
    list_select_related = ["confirmed_by"]
    fields = [("country", "supply", "rate"), ("valid_from", "valid_until"), "source", "state"]
    readonly_fields = ["state"]
    actions_detail = ["confirm"]

    def get_readonly_fields(self, request, rate=None):
        if rate is None or not rate.is_confirmed:
            return self.readonly_fields
        return ["country", "supply", "rate", "valid_from", "source", "state"]

    @display(description="Rate", ordering="rate")
    def percent(self, rate):
        return quantity(rate.rate, "%", 2)

    @display(description="State")
    def state(self, rate):
        if not rate.is_confirmed:
            return badge("not confirmed: nothing is issued with it", "odd")
        note = f" ({rate.confirmation})" if rate.confirmation else ""
        return format_html(
            "{} by {}{} {}",
            badge("confirmed", "good"),
            rate.confirmed_by or "the set-up",
            note,
            moment(rate.confirmed_at),
        )

    def get_actions_detail(self, request, object_id):
        waits = VatRate.objects.filter(pk=object_id, confirmed_at=None).exists()
        return super().get_actions_detail(request, object_id) if waits else []

    @act(
        "Confirm", permission="billing.change_vatrate", icon="verified", variant=ActionVariant.PRIMARY,
        question="You looked the rate up and vouch for it. Your name stays on it, and documents are issued with it.",
    )  # fmt: skip
    def confirm(self, request, rate, form):
        try:
            vat.confirm(rate, request.user, timezone.now())
        except vat.AlreadyConfirmed as error:
            raise Refused(str(error)) from error
        return f"{rate} is confirmed by {request.user}."


def last_months(count: int) -> list[date]:
    today = timezone.localdate()
    months = [today.year * 12 + today.month - 1 - back for back in range(count)]
    return [date(month // 12, month % 12 + 1, 1) for month in months]


class PeriodFilter(admin.SimpleListFilter):
    """By month; the months come from the calendar and not from a walk through all rows."""

    title = "period"
    parameter_name = "period"

    def lookups(self, request, model_admin):
        return [(f"{month:%Y-%m}", f"{month:%Y-%m}") for month in last_months(18)]

    def queryset(self, request, queryset):
        chosen = {f"{month:%Y-%m}": month for month in last_months(18)}.get(self.value())
        return queryset.filter(period=chosen) if chosen else queryset


class WaitingFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request, model_admin):
        return [("waiting", "not invoiced yet"), ("netted", "netted")]

    def queryset(self, request, queryset):
        if self.value() == "waiting":
            shown = InvoiceLine.objects.filter(charge=OuterRef("pk"))
            return queryset.filter(~Exists(shown), netted_at=None)
        return queryset.filter(netted_at__isnull=False) if self.value() == "netted" else queryset


@admin.register(Charge)
class ChargeAdmin(Record):
    """What drivers' accounts owe, one row per session, fee or credit."""

    list_display = ["supplied_on", "kind", "account", "contract", "cdr_link", "amount_due", "plan", "state"]
    list_filter = [WaitingFilter, PeriodFilter, "kind", "currency"]
    list_select_related = ["account", "contract", "cdr__party", "plan_price__plan", "line__invoice"]
    search_fields = ["account__name__istartswith", "contract__contract_id__istartswith"]
    search_help_text = "Account, contract id"
    ordering = ["-pk"]
    fields = [
        ("kind", "period", "supplied_on"), ("account", "contract", "plan"), ("amount_due", "basis", "rate"),
        ("registration", "vat_category", "rated_at"), ("cdr_link", "reverses", "state"),
    ]  # fmt: skip

    @display(description="CDR")
    def cdr_link(self, charge):
        return link(charge.cdr)

    @display(description="Amount", ordering="amount")
    def amount_due(self, charge):
        return money(charge.amount, charge.currency)

    @display(description="Plan")
    def plan(self, charge):
        return str(charge.plan_price.plan)

    @display(description="VAT rate")
    def rate(self, charge):
        return f"{quantity(charge.vat_rate.rate)} %" if charge.vat_rate else charge.get_vat_category_display()

    @display(description="State")
    def state(self, charge):
        if line := getattr(charge, "line", None):
            return link(line.invoice)
        return badge("netted", "") if charge.netted_at else badge("not invoiced yet", "new")


@admin.register(Payable)
class PayableAdmin(Record):
    """What we owe CPOs, one row per CDR."""

    list_display = ["cdr_link", "partner", "owed", "state", "decided"]
    list_filter = ["is_accepted", "currency"]
    list_select_related = ["cdr__party", "cdr__partner"]
    search_fields = ["cdr__ocpi_id__istartswith"]
    search_help_text = "CDR id"
    ordering = ["-pk"]
    fields = [("cdr_link", "partner"), ("owed", "state", "decided")]

    @display(description="CDR")
    def cdr_link(self, owed):
        return link(owed.cdr)

    @display(description="Partner")
    def partner(self, owed):
        return link(owed.cdr.partner)

    @display(description="Net", ordering="net")
    def owed(self, owed):
        return money(owed.net, owed.currency)

    @display(description="State")
    def state(self, owed):
        return badge("accepted", "good") if owed.is_accepted else badge("held towards the CPO", "bad")

    @display(description="Decided", ordering="decided_at")
    def decided(self, owed):
        return moment(owed.decided_at)


class PaidFilter(admin.SimpleListFilter):
    title = "payment"
    parameter_name = "paid"

    def lookups(self, request, model_admin):
        return [("yes", "paid"), ("no", "not paid"), ("overdue", "overdue")]

    def queryset(self, request, queryset):
        invoices = queryset.filter(kind=Invoice.Kind.INVOICE)
        if self.value() == "yes":
            return queryset.filter(payment__isnull=False)
        if self.value() == "no":
            return invoices.filter(payment=None)
        return invoices.filter(payment=None, due_on__lt=timezone.localdate()) if self.value() == "overdue" else queryset


class PdfFilter(admin.SimpleListFilter):
    title = "PDF"
    parameter_name = "pdf"

    def lookups(self, request, model_admin):
        return [("waiting", "waits to be rendered"), ("failed", "could not be rendered")]

    def queryset(self, request, queryset):
        waiting = queryset.filter(document__due_at__isnull=False)
        choices = {"waiting": waiting, "failed": waiting.exclude(document__last_error="")}
        return choices.get(self.value(), queryset)


def payment_state(invoice: Invoice) -> str:
    if invoice.kind == Invoice.Kind.CREDIT_NOTE:
        return badge("credit note", "")
    if payment := getattr(invoice, "payment", None):
        return badge(f"paid {payment.paid_on}", "good")
    overdue = invoice.due_on < timezone.localdate()
    return badge(f"overdue since {invoice.due_on}", "bad") if overdue else badge(f"due {invoice.due_on}", "new")


@admin.register(Invoice)
class InvoiceAdmin(Record):
    list_display = ["number", "account", "kind", "issued_on", "month", "net_amount", "vat_amount", "to_pay", "state"]
    list_filter = [PaidFilter, PeriodFilter, "kind", "currency", PdfFilter]
    list_select_related = [
        "account", "payment", "document", "corrects", "run__legal_entity", "registration__legal_entity",
    ]  # fmt: skip
    search_fields = ["number__istartswith", "account__name__istartswith", "payment_reference__istartswith"]
    search_help_text = "Number, account, payment reference"
    fields = [
        ("number", "kind", "state"), ("account", "month", "run"), ("issued_on", "due_on", "supplied_until"),
        ("net_amount", "vat_amount", "to_pay"), ("registration", "vat_category", "payment_reference"),
        ("corrects_link", "pdf_state"),
    ]  # fmt: skip
    actions_list = ["export"]
    actions_detail = ["pdf", "pay"]

    def get_queryset(self, request):
        return super().get_queryset(request).defer("seller", "buyer", "document__pdf")

    @display(description="Month", ordering="period")
    def month(self, invoice):
        return f"{invoice.period:%Y-%m}"

    @display(description="Net", ordering="net")
    def net_amount(self, invoice):
        return money(invoice.net, invoice.currency)

    @display(description="VAT", ordering="vat")
    def vat_amount(self, invoice):
        return money(invoice.vat, invoice.currency)

    @display(description="Gross", ordering="gross")
    def to_pay(self, invoice):
        return money(invoice.gross, invoice.currency)

    @display(description="State")
    def state(self, invoice):
        return payment_state(invoice)

    @display(description="Corrects")
    def corrects_link(self, invoice):
        return link(invoice.corrects)

    @display(description="PDF")
    def pdf_state(self, invoice):
        document = getattr(invoice, "document", None)
        if document is None:
            return badge("none", "odd")
        if document.rendered_at:
            return format_html("{} SHA-256 {}", badge("rendered", "good"), document.sha256)
        return badge(f"waits: {document.last_error}" if document.last_error else "waits to be rendered", "odd")

    def get_actions_detail(self, request, object_id):
        """No button for a PDF that is not there, or an invoice that is paid."""
        invoice = Invoice.objects.filter(pk=object_id)
        open_ = invoice.filter(kind=Invoice.Kind.INVOICE, payment=None).exists()
        rendered = invoice.filter(document__rendered_at__isnull=False).exists()
        useless = ([] if open_ else ["_pay"]) + ([] if rendered else ["_pdf"])
        shown = super().get_actions_detail(request, object_id)
        return [action for action in shown if not action.action_name.endswith(tuple(useless))]

    def get_tables(self, request, invoice):
        yield lines_table(invoice)
        rows = (
            [part.get_category_display(), f"{quantity(part.rate)} %" if part.rate is not None else "–",
             money(part.base, invoice.currency), money(part.vat, invoice.currency)]
            for part in invoice.tax_subtotals.all()
        )  # fmt: skip
        yield Table("VAT", TaxSubtotal, ["Treatment", "Rate", "On", "VAT"], rows)
        notes = invoice.corrected_by.all()
        rows = ([link(note), day(note.issued_on), money(note.gross, note.currency)] for note in notes)
        yield Table("Credit notes", Invoice, ["Number", "Issued", "Amount"], rows)

    @action(description="Open the PDF", permissions=["view"], url_path="pdf", icon="picture_as_pdf")
    def pdf(self, request, object_id):
        """The same bytes for ever (BIL-75)."""
        invoice = Invoice.objects.select_related("document").filter(pk=object_id).first()
        document = getattr(invoice, "document", None)
        if document is None or document.pdf is None:
            raise Http404
        named = {"Content-Disposition": f'inline; filename="{invoice.number}.pdf"'}
        return HttpResponse(bytes(document.pdf), content_type="application/pdf", headers=named)

    @act("Mark paid", permission="billing.add_payment", icon="paid", form=PaidForm,
         question="The whole amount has come in. The invoice itself stays as it is.")  # fmt: skip
    def pay(self, request, invoice, form):
        try:
            payment = mark_paid(invoice, form.cleaned_data["paid_on"], request.user, timezone.now())
        except NotPayable as error:
            raise Refused(str(error)) from error
        return f"{payment}."

    @action(description="Export", permissions=["billing.view_invoicerun"], url_path="export", icon="table_view")
    def export(self, request):
        """A month's documents and lines as a file, streamed."""
        form = ExportForm(request.POST or None)
        if form.is_valid():
            period, kind = form.cleaned_data["period"], form.cleaned_data["file_format"]
            named = {"Content-Disposition": f'attachment; filename="invoices-{period:%Y-%m}.{kind}"'}
            type_ = {"csv": "text/csv; charset=utf-8", "json": "application/json"}[kind]
            return StreamingHttpResponse(exports.stream(period, kind), content_type=type_, headers=named)
        return self.render(request, "admin/form.html", "Export a month", form=form, button="Download", intro=EXPORTING)


EXPORTING = (
    "One row per line of each document, for the accounting system. Credit notes are negative, so columns add up."
)


def lines_table(invoice: Invoice) -> Table:
    lines = invoice.lines.select_related("charge__cdr__party").order_by("position")
    rows = (
        [
            line.position, line.description, line.supplied_on, link(line.charge.cdr), line.details.get("driver", "–"),
            f"{quantity(line.vat_rate)} %" if line.vat_rate is not None else "–",
            money(line.net, invoice.currency), money(line.gross, invoice.currency),
        ]
        for line in lines[:500]
    )  # fmt: skip
    headers = ["", "What", "Supplied", "CDR", "Driver", "VAT rate", "Net", "Gross"]
    return Table(f"Lines ({invoice.line_count})", InvoiceLine, headers, rows)


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
    from . import invoicing

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
