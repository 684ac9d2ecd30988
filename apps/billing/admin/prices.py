"""Plans with their prices, and the VAT table."""

from django.contrib import admin
from django.db.models import Prefetch
from django.utils import timezone
from django.utils.html import format_html
from unfold.decorators import display
from unfold.enums import ActionVariant

from apps.billing import vat
from apps.billing.forms import PriceForm
from apps.billing.models import (
    Charge,
    Plan,
    PlanPrice,
    Subscription,
    VatRate,
)
from apps.staff.office import Page, Refused, Rows, Table, act, badge, link, moment, quantity


class PriceInline(Rows):
    model = PlanPrice
    form = PriceForm
    fields = ["valid_from", "country", "per_kwh", "per_minute", "per_session", "monthly_fee"]
    verbose_name_plural = "prices: add a row with a later day to change them"


@admin.register(Plan)
class PlanAdmin(Page):
    list_display = ["name", "currency", "basis", "default", "prices_today"]
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
