"""Issued invoices and credit notes: read here and made elsewhere. Nothing on these pages can change one."""

from django.contrib import admin
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.utils import timezone
from django.utils.html import format_html
from unfold.decorators import action, display

from apps.billing import exports
from apps.billing.forms import ExportForm, PaidForm
from apps.billing.models import (
    Invoice,
    InvoiceLine,
    TaxSubtotal,
)
from apps.billing.payments import NotPayable, mark_paid
from apps.staff.office import Record, Refused, Table, act, badge, day, link, money, quantity

from .months import PeriodFilter


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
            pieces = exports.stream(period, kind)
            return StreamingHttpResponse(pieces, content_type=exports.TYPES[kind], headers=named)
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
