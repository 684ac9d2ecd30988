"""What drivers owe us and what we owe CPOs, row by row."""

from django.contrib import admin
from django.db.models import Exists, OuterRef
from unfold.decorators import display

from apps.billing.models import (
    Charge,
    InvoiceLine,
    Payable,
)
from apps.partners import agreements
from apps.staff.office import Record, badge, day, link, moment, money, quantity

from .months import PeriodFilter


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

    list_display = ["cdr_link", "partner", "owed", "state", "due", "disputable", "decided"]
    list_display_links = ["owed"]
    list_filter = ["is_accepted", "currency"]
    list_select_related = ["cdr__party", "cdr__partner"]
    search_fields = ["cdr__ocpi_id__istartswith"]
    search_help_text = "CDR id"
    ordering = ["-pk"]
    fields = [("cdr_link", "partner"), ("owed", "state", "decided"), ("due", "disputable")]

    def get_queryset(self, request):
        return agreements.with_terms(super().get_queryset(request), "cdr__party", "cdr__started_at")

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

    @display(description="Due on")
    def due(self, owed):
        return day(agreements.last_day(owed.cdr.received_at, owed.payment_days if owed.is_accepted else None))

    @display(description="May be disputed until")
    def disputable(self, owed):
        return day(agreements.last_day(owed.cdr.received_at, owed.dispute_days))

    @display(description="Decided", ordering="decided_at")
    def decided(self, owed):
        return moment(owed.decided_at)
