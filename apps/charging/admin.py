"""Sessions and CDRs: what was charged, what we think of it, and what becomes of it."""

from django.contrib import admin
from django.db.models import Exists, F, OuterRef, Subquery
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from unfold.decorators import display
from unfold.enums import ActionVariant

from apps.billing.models import Charge, Held, InvoiceLine, Netting, Payable
from apps.drivers.admin import cdrs_table
from apps.locations.admin import PartyFilter
from apps.partners.ourselves import us
from apps.staff.office import Record, Refused, Table, act, badge, link, moment, money, quantity, reading

from .attaching import CannotAttach, attach_card, attach_cdr
from .checking import CannotRelease, release
from .forms import ContractForm, FindingForm, releasable
from .models import Cdr, Finding, Session, SessionPeriod, Standing
from .verdicts import verdicts

LIVE = ("ACTIVE", "PENDING")
STATUSES = {"ACTIVE": "new", "PENDING": "new", "COMPLETED": "good", "INVALID": "bad"}
SEVERITIES = {"info": "", "warning": "odd", "hold": "bad", "block": "bad"}


class LiveFilter(admin.SimpleListFilter):
    title = "live"
    parameter_name = "live"

    def lookups(self, request, model_admin):
        return [("1", "charging now")]

    def queryset(self, request, queryset):
        return queryset.filter(status__in=LIVE) if self.value() == "1" else queryset


@admin.register(Session)
class SessionAdmin(Record):
    list_display = ["started", "ocpi_id", "party", "driver", "location_id", "state", "kwh", "cost", "updated"]
    list_filter = [LiveFilter, PartyFilter]
    list_select_related = ["party", "token__contract__driver"]
    search_fields = ["ocpi_id__istartswith", "token_uid__istartswith", "authorization_reference__iexact"]
    search_help_text = "Session id, card UID, authorisation reference"
    fields = [
        ("ocpi_id", "party", "partner"), ("state", "started", "ended"), ("kwh", "cost"), ("driver", "card", "sent_contract_id"),
        ("location_id", "evse_uid", "connector_id"), ("authorization_reference", "updated", "received_at"), "as_sent",
    ]  # fmt: skip

    def get_queryset(self, request):
        return super().get_queryset(request).defer("body", "details", "told").select_related("party", "partner")

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


def dimensions(period: dict) -> str:
    metered = period.get("dimensions") or []
    return ", ".join(f"{dimension.get('type')} {dimension.get('volume')}" for dimension in metered) or "–"


class StandingFilter(admin.SimpleListFilter):
    """By what stands between a CDR and the bill, each by a condition that an index answers."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request, model_admin):
        return [
            ("unchecked", "checks are due"), ("nobodys", "nobody's yet"), ("held", "held"), ("odd", "with a holding verdict"),
            ("credit", "credits"),
        ]  # fmt: skip

    def queryset(self, request, queryset):
        conditions = {
            "unchecked": {"checked_at": None},
            "nobodys": {"contract": None},
            "held": {"pk__in": Held.objects.values("cdr")},
            "odd": {"pk__in": Finding.objects.filter(driver_severity__gte=3, is_released=False).values("cdr")},
            "credit": {"is_credit": True},
        }
        return queryset.filter(**conditions.get(self.value(), {}))


def with_billing(cdrs):
    """Each with what became of it: held, rated, on a document."""
    active = Charge.objects.filter(cdr=OuterRef("pk"), netted_at=None)
    return cdrs.with_standing().annotate(
        held_code=F("held__code"),
        is_rated=Exists(active),
        is_netted=Exists(Netting.objects.filter(original=OuterRef("pk")))
        | Exists(Netting.objects.filter(credit=OuterRef("pk"))),
        invoice_number=Subquery(InvoiceLine.objects.filter(charge__cdr=OuterRef("pk")).values("invoice__number")[:1]),
    )


def billing_state(cdr: Cdr) -> str:
    """One word for the list: the furthest the CDR has come."""
    if cdr.invoice_number:
        return badge(cdr.invoice_number, "good")
    if cdr.is_netted:
        return badge("netted with its credit", "")
    if cdr.is_rated:
        return badge("rated", "new")
    if cdr.standing == Standing.BLOCKED:
        return badge("blocked", "bad")
    if cdr.held_code:
        return badge(f"held: {cdr.held_code}", "bad")
    kind = {Standing.UNMATCHED: "bad", Standing.HELD: "bad", Standing.FIT: "new"}.get(cdr.standing, "odd")
    return badge(Standing(cdr.standing).label, kind)


@admin.register(Cdr)
class CdrAdmin(Record):
    list_display = ["ended", "ocpi_id", "party", "driver", "place", "kwh", "purchase", "state"]
    list_filter = [StandingFilter, PartyFilter, "currency"]
    list_select_related = ["party", "contract__driver"]
    search_fields = [
        "ocpi_id__istartswith",
        "token_uid__istartswith",
        "session_id__istartswith",
        "sent_contract_id__istartswith",
    ]
    search_help_text = "CDR id, card UID, session id, contract id"
    fieldsets = [
        (None, {"fields": ["state", ("ocpi_id", "party", "partner"), ("ended", "started"), ("kwh", "hours", "parking")]}),
        ("Whose", {"fields": [("driver", "contract_link", "card"), ("sent_contract_id", "auth_method", "authorization")]}),
        ("Where", {"fields": [("place", "evse_id", "country", "time_zone")]}),
        ("Purchase", {"fields": [("purchase", "cost_taxes", "credited")]}),
        ("As sent", {"fields": [("version", "last_updated", "received_at", "public_id"), "forgiven", "as_sent"],
                     "classes": ["collapse"]}),
    ]  # fmt: skip
    actions_detail = ["attach", "attach_alone", "release"]

    def get_queryset(self, request):
        return with_billing(super().get_queryset(request)).defer("body", "content_hash")

    def lookup_allowed(self, lookup, value, request):
        mine = {"contract__driver__id__exact", "contract__id__exact", "token__id__exact"}
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
        return billing_state(cdr)

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
        return (
            f"Card {attached.token} is on contract {attached.token.contract}: {attached.cdrs} CDRs found their driver."
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
        yield verdicts_table(cdr)
        yield held_table(cdr)
        charges = list(cdr.charges.select_related("account", "plan_price__plan", "vat_rate", "line__invoice"))
        yield sale_table(charges)
        yield from (explanation_table(charge) for charge in charges)
        yield purchase_table(cdr)


def verdicts_table(cdr: Cdr) -> Table:
    rows = (
        [
            verdict.code, format_html("<strong>{}</strong><br>{}", verdict.title, verdict.reason), verdict.advice or "–",
            badge("released", "good") if verdict.is_released else badge(verdict.driver, SEVERITIES[verdict.driver]),
            badge(verdict.cpo, SEVERITIES[verdict.cpo]),
        ]
        for verdict in verdicts(cdr)
    )  # fmt: skip
    headers = ["Rule", "What was found", "What to do", "For the driver", "For the CPO"]
    empty = "Nothing is odd about it." if cdr.checked_at else "Its checks are due."
    return Table("Verdicts", Finding, headers, rows, empty=empty)


def held_table(cdr: Cdr) -> Table:
    rows = (
        [
            held.code,
            held.reason,
            moment(held.since),
            held.attempts,
            moment(held.next_try_at) if held.next_try_at else "–",
        ]
        for held in Held.objects.filter(cdr=cdr)
    )
    headers = ["Reason", "In words", "Since", "Attempts", "Next try"]
    return Table("Held from billing", Held, headers, rows, empty="Not held.")


def sale_table(charges: list[Charge]) -> Table:
    rows = (
        [
            charge.get_kind_display(), link(charge.account), link(charge.plan_price.plan),
            money(charge.amount, charge.currency), f"{charge.get_basis_display()}, {vat_of(charge)}",
            link(charge.line.invoice) if hasattr(charge, "line") else badge("netted" if charge.netted_at else "not invoiced yet"),
        ]
        for charge in charges
    )  # fmt: skip
    return Table(
        "Sale: what the driver pays",
        Charge,
        ["Kind", "Account", "Plan", "Amount", "VAT", "On"],
        rows,
        empty="Not rated yet.",
    )


def vat_of(charge: Charge) -> str:
    return f"{quantity(charge.vat_rate.rate)} % VAT" if charge.vat_rate else charge.get_vat_category_display()


def explanation_table(charge: Charge) -> Table:
    """Why it is this amount (BIL-23): each entry of the explanation as it was written down when it was rated."""
    rows = [[name.replace("_", " "), wording(value)] for name, value in charge.explanation.items()]
    return Table(f"Why {charge.amount:f} {charge.currency}", Charge, ["", ""], rows)


def wording(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {wording(part)}" for name, part in value.items())
    if isinstance(value, list):
        lines = [wording(part) for part in value]
        return format_html("{}", "\n".join(lines)) if len(lines) < 2 else lined(lines)
    return "–" if value is None else str(value)


def lined(lines: list[str]) -> str:
    return format_html_join("", "<div>{}</div>", ((line,) for line in lines))


def purchase_table(cdr: Cdr) -> Table:
    rows = (
        [
            money(owed.net, owed.currency), moment(owed.decided_at),
            badge("accepted", "good") if owed.is_accepted else badge("held towards the CPO", "bad"),
        ]
        for owed in Payable.objects.filter(cdr=cdr)
    )  # fmt: skip
    return Table("Purchase: what we owe the CPO", Payable, ["Net", "Decided", "State"], rows, empty="Not decided yet.")
