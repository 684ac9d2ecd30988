"""Sessions and CDRs: what was charged, what we think of it, and what becomes of it.

What is asked of charge points is in `asking`.
"""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from django.contrib import admin
from django.db.models import F, Q
from django.utils import timezone
from django.utils.html import format_html
from unfold.decorators import display
from unfold.enums import ActionVariant

from apps.billing.explanation import explain
from apps.billing.models import Charge, Held, Invoice, Payable
from apps.billing.states import NEEDS_SOMEBODY, State, with_state
from apps.charging import commands
from apps.charging.admin.asking import commands_table, follow
from apps.charging.attaching import CannotAttach, attach_card, attach_cdr
from apps.charging.checking import CannotRelease, release
from apps.charging.forms import ContractForm, FindingForm, PreferencesForm, releasable
from apps.charging.models import Cdr, Finding, Session, SessionPeriod
from apps.charging.silence import is_silent, silent
from apps.drivers.admin import cdrs_table
from apps.locations.admin import PartyFilter
from apps.partners.ourselves import us
from apps.staff.office import (
    Conditions,
    Record,
    Refused,
    Table,
    act,
    badge,
    is_of_one,
    link,
    moment,
    money,
    quantity,
    reading,
    url_of,
)

STATUSES = {"ACTIVE": "new", "PENDING": "new", "COMPLETED": "good", "INVALID": "bad"}
SEVERITIES = {"info": "", "warning": "odd", "hold": "bad", "block": "bad"}


class LiveFilter(Conditions):
    title = "live"
    parameter_name = "live"
    conditions = {
        "1": ("charging now", lambda: Q(status__in=Session.LIVE)),
        "silent": ("fallen silent", lambda: Q(pk__in=silent(timezone.now()).values("pk"))),
    }


@admin.register(Session)
class SessionAdmin(Record):
    list_display = ["started", "ocpi_id", "party", "driver", "location_id", "state", "kwh", "cost", "updated"]
    list_display_links = ["started", "ocpi_id"]
    list_filter = [LiveFilter, PartyFilter]
    list_select_related = ["party", "token__contract__driver"]
    search_fields = ["ocpi_id__istartswith", "token_uid__istartswith", "authorization_reference__iexact"]
    search_help_text = "Session id, card UID, authorisation reference"
    fields = [
        ("ocpi_id", "party", "partner"), ("state", "started", "ended"), ("kwh", "cost"), ("driver", "card", "sent_contract_id"),
        ("location_id", "evse_uid", "connector_id"), ("authorization_reference", "updated", "received_at", "asked_at"),
        "as_sent",
    ]  # fmt: skip
    actions_detail = ["stop", "prefer"]

    def get_queryset(self, request):
        return (
            super().get_queryset(request).defer("body", "details", "told").select_related("party__partner", "partner")
        )

    def lookup_allowed(self, lookup, value, request):
        mine = {"token__contract__driver__id__exact", "token__id__exact"}
        return lookup in mine or super().lookup_allowed(lookup, value, request)

    @display(description="Started", ordering="started_at")
    def started(self, session):
        return moment(session.started_at)

    @display(description="Ended")
    def ended(self, session):
        return moment(session.ended_at)

    @display(description="Driver")
    def driver(self, session):
        return link(session.token.contract.driver) if session.token else badge("unknown card", "bad")

    @display(description="Card")
    def card(self, session):
        return link(session.token) if session.token else session.token_uid

    @display(description="State", ordering="status")
    def state(self, session):
        if is_silent(session, timezone.now()):
            return badge(f"{session.status}, silent", "odd")
        return badge(session.status, STATUSES.get(session.status, "odd"))

    @display(description="Energy", ordering="energy")
    def kwh(self, session):
        return quantity(session.energy, "kWh")

    @display(description="Purchase so far")
    def cost(self, session):
        return money(session.cost_before_taxes, session.currency)

    @display(description="Last updated", ordering="last_updated")
    def updated(self, session):
        return moment(session.last_updated)

    @display(description="As sent")
    def as_sent(self, session):
        return reading(session.body)

    def get_tables(self, request, session):
        periods = session.periods.all()[:200]
        rows = (
            [moment(period.started_at), dimensions(period.period), moment(period.last_updated)] for period in periods
        )
        yield Table("Periods", SessionPeriod, ["From", "What was metered", "Last updated"], rows)
        yield cdrs_table(Cdr.objects.filter(party=session.party_id, session_id=session.ocpi_id), "")
        yield commands_table(session.commands.all())

    def get_actions_detail(self, request, object_id):
        """Only what still charges can be stopped, and preferences are told only where their CPO takes them."""
        session = Session.objects.filter(pk=object_id).exclude(status__in=commands.OVER).first()
        shown = super().get_actions_detail(request, object_id) if session else []
        return [action for action in shown if not action.action_name.endswith("_prefer") or is_preferable(session)]

    @act(
        "Stop", permission="charging.add_command", icon="stop_circle", variant=ActionVariant.PRIMARY,
        question="The CPO is asked to stop this session. That it did shows when the session is told as completed.",
    )  # fmt: skip
    def stop(self, request, session, form):
        return follow(request, lambda now, by: commands.request_stop(session, now, by=by))

    @act(
        "Charging preferences", permission="charging.add_command", icon="tune", form=PreferencesForm, button="Tell",
        question="The CPO is told what the driver wants. It may change the price, and is no promise.",
    )  # fmt: skip
    def prefer(self, request, session, form):
        wanted = form.preferences
        return follow(request, lambda now, by: commands.request_preferences(session, wanted, now, by=by))


def is_preferable(session: Session) -> bool:
    try:
        commands.require_preferable(session)
    except commands.CannotCommand:
        return False
    return True


def dimensions(period: dict) -> str:
    metered = period.get("dimensions") or []
    return ", ".join(f"{dimension.get('type')} {dimension.get('volume')}" for dimension in metered) or "–"


class StateFilter(Conditions):
    """By where it stands, each by a condition that starts from the few rows it is about."""

    title = "state"
    parameter_name = "state"
    conditions = {
        "unchecked": ("checks are due", lambda: Q(checked_at=None)),
        "nobodys": ("nobody's yet", lambda: Q(contract=None)),
        "held": ("held", lambda: Q(pk__in=Held.objects.filter(is_final=False).values("cdr"))),
        "blocked": ("blocked", lambda: Q(pk__in=Held.objects.filter(is_final=True).values("cdr"))),
        "odd": ("with a verdict that holds", lambda: Q(pk__in=holding().values("cdr"))),
        "waiting": ("rated, not invoiced yet", lambda: Q(pk__in=not_invoiced().values("cdr"))),
        "credit": ("credits", lambda: Q(is_credit=True)),
    }


def holding():
    return Finding.objects.filter(driver_severity__gte=Finding.Severity.HOLD, is_released=False)


def not_invoiced():
    return Charge.objects.filter(line=None, netted_at=None, cdr__isnull=False)


class ReasonFilter(admin.SimpleListFilter):
    """By the reason of the hold; only reasons that there are."""

    title = "held for"
    parameter_name = "held"

    def lookups(self, request, model_admin):
        return [(code, code) for code in Held.objects.order_by("code").values_list("code", flat=True).distinct()]

    def queryset(self, request, queryset):
        return queryset.filter(held__code=self.value()) if self.value() else queryset


STATES = {
    State.UNRATED: "new", State.UNMATCHED: "bad", State.HELD: "bad", State.BLOCKED: "bad", State.NETTED: "",
    State.RATED: "new", State.INVOICED: "good", State.CREDITED: "",
}  # fmt: skip


def state_badge(cdr: Cdr) -> str:
    """One word, and for a held one why."""
    state = State(cdr.state)
    if cdr.checked_at is None and state in NEEDS_SOMEBODY:
        return badge("its checks are due", "new")
    code = f": {cdr.held_code}" if cdr.held_code and state is State.HELD else ""
    return badge(f"{state.label}{code}", STATES[state])


@admin.register(Cdr)
class CdrAdmin(Record):
    list_display = ["ended", "ocpi_id", "party", "driver", "place", "kwh", "purchase", "state"]
    list_display_links = ["ended", "ocpi_id"]
    list_filter = [StateFilter, ReasonFilter, PartyFilter, "currency"]
    list_select_related = ["party", "contract__driver"]
    page_select_related = (
        "party", "partner", "contract__driver__account", "token", "authorization", "credits__party", "credited_by__party", "held",
        "payable",
    )  # fmt: skip
    search_fields = [
        "ocpi_id__istartswith",
        "token_uid__istartswith",
        "session_id__istartswith",
        "sent_contract_id__istartswith",
    ]
    search_help_text = "CDR id, card UID, session id, contract id"
    fieldsets = [
        (None, {"fields": [
            ("state", "driver", "contract_link", "card"), ("ocpi_id", "party", "partner", "credited"),
            ("started", "ended", "kwh", "hours", "parking"), ("place", "evse", "zone", "purchase"),
        ]}),
        ("As sent", {"fields": [
            ("sent_contract_id", "auth_method", "authorization_link"), ("version", "last_updated", "received_at", "public_id"),
            "forgiven", "as_sent",
        ], "classes": ["collapse"]}),
    ]  # fmt: skip
    actions_detail = ["attach", "attach_alone", "release"]

    def get_queryset(self, request):
        rows = with_state(super().get_queryset(request)).annotate(held_code=F("held__code"))
        return rows if is_of_one(request) else rows.defer("body", "content_hash")

    def lookup_allowed(self, lookup, value, request):
        mine = {"contract__driver__id__exact", "contract__id__exact", "contract__isnull", "token__id__exact"}
        return lookup in mine or super().lookup_allowed(lookup, value, request)

    @display(description="Ended", ordering="ended_at")
    def ended(self, cdr):
        return moment(cdr.ended_at)

    @display(description="Started")
    def started(self, cdr):
        return moment(cdr.started_at)

    @display(description="Driver")
    def driver(self, cdr):
        return link(cdr.contract.driver) if cdr.contract else badge("nobody's yet", "bad")

    @display(description="Contract")
    def contract_link(self, cdr):
        return link(cdr.contract)

    @display(description="Card")
    def card(self, cdr):
        return link(cdr.token) if cdr.token else cdr.token_uid or "–"

    @display(description="Place")
    def place(self, cdr):
        return ", ".join(filter(None, [cdr.location_name or cdr.location_id, cdr.city]))

    @display(description="EVSE")
    def evse(self, cdr):
        return cdr.evse_id or cdr.evse_uid or "–"

    @display(description="Country, time zone")
    def zone(self, cdr):
        return ", ".join(filter(None, [cdr.country, cdr.time_zone or "time zone not known"]))

    @display(description="Authorisation")
    def authorization_link(self, cdr):
        return link(cdr.authorization)

    @display(description="Energy", ordering="energy")
    def kwh(self, cdr):
        return quantity(cdr.energy, "kWh")

    @display(description="Time")
    def hours(self, cdr):
        return quantity(cdr.time, "h")

    @display(description="Of it parked")
    def parking(self, cdr):
        return quantity(cdr.parking_time, "h")

    @display(description="Purchase")
    def purchase(self, cdr):
        return money(cdr.cost_before_taxes, cdr.currency)

    @display(description="Credits")
    def credited(self, cdr):
        return link(cdr.credits) if cdr.credits else cdr.credit_reference_id or "–"

    @display(description="State")
    def state(self, cdr):
        return state_badge(cdr)

    @display(description="What we forgave")
    def forgiven(self, cdr):
        return "; ".join(": ".join(map(str, warning)) for warning in cdr.warnings) or "–"

    @display(description="As sent")
    def as_sent(self, cdr):
        return reading(cdr.body)

    def get_actions_detail(self, request, object_id):
        """Only acts that can change anything for this CDR."""
        nobodys = Cdr.objects.filter(pk=object_id, contract=None).exists()
        holding = releasable(object_id).exists()
        useless = ([] if nobodys else ["_attach", "_attach_alone"]) + ([] if holding else ["_release"])
        shown = super().get_actions_detail(request, object_id)
        return [action for action in shown if not action.action_name.endswith(tuple(useless))]

    @act(
        "Attach the card", permission="tokens.add_token", icon="add_card", form=ContractForm, button="Attach",
        variant=ActionVariant.PRIMARY,
        question="The card becomes one of this contract. All it charged is the driver's, and the next rating bills it.",
    )  # fmt: skip
    def attach(self, request, cdr, form):
        try:
            attached = attach_card(cdr, form.cleaned_data["contract"], timezone.now(), us())
        except CannotAttach as error:
            raise Refused(str(error)) from error
        found = "1 CDR has" if attached.cdrs == 1 else f"{attached.cdrs} CDRs have"
        return (
            f"Card {attached.token} is on {attached.token.contract}: {found} found a driver, and the next rating bills."
        )

    @act(
        "Give to a contract", permission="tokens.add_token", icon="person_add", form=ContractForm, button="Give",
        question="This CDR alone: for one that names no card, or a card that was lent.",
    )  # fmt: skip
    def attach_alone(self, request, cdr, form):
        try:
            attach_cdr(cdr, form.cleaned_data["contract"], timezone.now())
        except CannotAttach as error:
            raise Refused(str(error)) from error
        return f"The CDR is given to contract {form.cleaned_data['contract']}."

    @act(
        "Release a verdict", permission="charging.change_finding", icon="task_alt", form=FindingForm, button="Release",
        question="You looked at it and let it pass. The next rating bills the CDR if nothing else holds it.",
    )  # fmt: skip
    def release(self, request, cdr, form):
        finding = form.cleaned_data["finding"]
        try:
            release(finding, timezone.now())
        except CannotRelease as error:
            raise Refused(str(error)) from error
        return f"{finding.code} is released."

    def get_tables(self, request, cdr):
        told = explain(cdr)
        yield verdicts_table(cdr, told)
        yield from sale_tables(cdr, told)
        yield purchase_table(cdr, told)
        yield periods_table(told)


def at(text: str) -> str:
    """A time of the explanation, as the office reads it."""
    return moment(datetime.fromisoformat(text))


def verdicts_table(cdr: Cdr, told: dict) -> Table:
    rows = (
        [
            verdict["code"], format_html("<strong>{}</strong><br>{}", verdict["title"], verdict["reason"]),
            verdict["advice"] or "–",
            badge("released", "good") if verdict["is_released"] else badge(verdict["driver"], SEVERITIES[verdict["driver"]]),
            badge(verdict["cpo"], SEVERITIES[verdict["cpo"]]),
        ]
        for verdict in told["verdicts"]
    )  # fmt: skip
    headers = ["Rule", "What was found", "What to do", "For the driver", "For the CPO"]
    empty = "Nothing is odd about it." if cdr.checked_at else "Its checks are due."
    title = "Verdicts" if cdr.checked_at else "Verdicts, as of the last look: its checks are due"
    return Table(title, Finding, headers, rows, empty=empty)


def sale_tables(cdr: Cdr, told: dict) -> Iterator[Table]:
    """What the driver pays, and why it is this amount (BIL-23); or what keeps it from being billed."""
    if held := told["held"]:
        rows = [[held["code"], held["reason"], at(held["since"])]]
        yield Table("Held from billing", Held, ["Reason", "In words", "Since"], rows)
    if not told["sale"]:
        yield Table("Sale: what the driver pays", Charge, [], [], empty="Not rated yet.")
    for charge in told["sale"]:
        title = f"Sale: {charge['kind'].lower()}, {charge['amount']} {charge['currency']}"
        yield Table(title, Charge, ["", "Quantity", "Price", "Amount"], list(sale_rows(charge)))


def sale_rows(charge: dict) -> Iterator[list]:
    prices, vat, currency = charge["prices"], charge["vat"], charge["currency"]
    for part in charge["components"]:
        yield [part["kind"], part["quantity"], part["price"], part["amount"]]
    where = f" for {prices['country']}" if prices["country"] else ""
    plan = f"plan {charge['plan']}, {charge['basis']} prices{where} from {prices['from']}"
    yield ["unrounded, then rounded once", plan, charge["unrounded"], f"{charge['amount']} {currency}"]
    rate = f"{vat['rate']} %" if vat["rate"] is not None else "reverse charge"
    yield [
        f"VAT {vat['country']} {rate}",
        f"under {vat['registration']}: {vat['reason']}",
        "",
        f"{vat['vat']} {currency}",
    ]
    yield [
        "net and gross of this line alone",
        f"supplied on {charge['supplied_on']}",
        vat["net"],
        f"{vat['gross']} {currency}",
    ]
    shown = "netted" if charge["netted_at"] else "on no document yet"
    yield ["document", shown if charge["document"] is None else invoice_link(charge["document"]), "", ""]


def invoice_link(number: str) -> str:
    return format_html('<a class="text-link" href="{}">{}</a>', url_of(Invoice, q=number), number)


def purchase_table(cdr: Cdr, told: dict) -> Table:
    owed = told["purchase"]
    rows = [] if owed is None else [[
        money(Decimal(owed["net"]), owed["currency"]), owed["taxes_sent"] or "not told",
        badge("accepted", "good") if owed["is_accepted"] else badge("held towards the CPO", "bad"),
        owed["due_on"] or "–", owed["disputable_until"] or "–",
    ]]  # fmt: skip
    headers = ["Net, what we owe the CPO", "Taxes it told", "State", "Due on", "May be disputed until"]
    return Table("Purchase", Payable, headers, rows, empty="Not decided yet.")


def periods_table(told: dict) -> Table:
    rows = [[at(one["started_at"]), dimensions(one), one["tariff"] or "–"] for one in told["periods"][:200]]
    return Table("Charging periods, as sent", Cdr, ["From", "What was metered", "Tariff"], rows)
