"""Accounts, drivers and contracts: what support works on all day."""

from django.contrib import admin, messages
from django.db.models import Count, OuterRef, Q, Subquery
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils import timezone
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from apps.billing import fleet_file
from apps.billing.enrolment import Result, enrol
from apps.billing.fleet_file import Sheet
from apps.billing.forms import CardForm, DriverForm, FileForm, PlanForm
from apps.billing.models import Invoice, Plan, Subscription
from apps.charging.models import Cdr, Session
from apps.partners.ourselves import us
from apps.staff.office import (
    Conditions,
    Page,
    Record,
    Refused,
    Table,
    act,
    badge,
    format_html_comma,
    is_of_one,
    link,
    moment,
    money,
    once,
    quantity,
    url_of,
)
from apps.tokens.announcing import announce
from apps.tokens.blocking import block_driver, known_by, unblock_driver
from apps.tokens.finding import drivers_like
from apps.tokens.models import Authorization, Token

from .models import Account, Contract, Driver

VERDICTS = {"ALLOWED": "good", "BLOCKED": "bad", "EXPIRED": "odd", "NOT_ALLOWED": "odd", "UNKNOWN": "bad"}


def plan_now(contract: str) -> Subquery:
    """The name of the plan that a contract has today; `contract` is the path to its id."""
    today = timezone.localdate()
    held = Subscription.objects.filter(contract=OuterRef(contract), valid_from__lte=today)
    held = held.filter(Q(valid_until=None) | Q(valid_until__gt=today))
    return Subquery(held.values("plan__name")[:1])


def card_state(token: Token) -> str:
    """What keeps a card from charging, its driver aside."""
    now = timezone.now()
    if token.blocked_at or not token.is_valid:
        return badge("blocked" if token.blocked_at else "not valid", "bad")
    if token.expires_at and token.expires_at <= now:
        return badge("expired", "odd")
    return badge("not yet valid", "odd") if token.valid_from and token.valid_from > now else badge("in order", "good")


def cards_table(tokens, more: str = "") -> Table:
    tokens = tokens.select_related("contract").annotate(plan=plan_now("contract"))
    rows = (
        [
            link(token),
            token.uid,
            token.get_type_display(),
            link(token.contract),
            token.plan or badge("no plan", "odd"),
            card_state(token),
        ]
        for token in tokens[:50]
    )
    return Table("Cards", Token, ["Card", "UID", "Type", "Contract", "Plan today", "State"], rows, more, "No card yet.")


def authorizations_table(authorizations, more: str) -> Table:
    rows = (
        [
            link(answer, moment(answer.at)), answer.partner.name, answer.token_uid, answer.location_id or "–",
            badge(answer.get_allowed_display(), VERDICTS.get(answer.allowed, "")), answer.reason,
        ]
        for answer in authorizations.select_related("partner").order_by("-at")[:11]
    )  # fmt: skip
    headers = ["When", "Asked by", "Card", "Location", "Answer", "Why"]
    return Table("Authorisations", Authorization, headers, rows, more, "No charge point has asked yet.")


def sessions_table(sessions, more: str) -> Table:
    rows = (
        [
            link(session, moment(session.started_at)), str(session.party), session.location_id, session.status,
            quantity(session.energy, "kWh"), money(session.cost_before_taxes, session.currency),
        ]
        for session in sessions.select_related("party").order_by("-started_at")[:11]
    )  # fmt: skip
    headers = ["Started", "CPO", "Location", "State", "Energy", "Purchase so far"]
    return Table("Sessions", Session, headers, rows, more, "No session yet.")


def cdrs_table(cdrs, more: str) -> Table:
    rows = (
        [
            link(cdr, cdr.ocpi_id), moment(cdr.ended_at), str(cdr.party), cdr.location_name or cdr.city or cdr.location_id,
            quantity(cdr.energy, "kWh"), money(cdr.cost_before_taxes, cdr.currency),
        ]
        for cdr in cdrs.select_related("party").order_by("-ended_at")[:11]
    )  # fmt: skip
    return Table("CDRs", Cdr, ["CDR", "Ended", "CPO", "Place", "Energy", "Purchase"], rows, more, "No CDR yet.")


def invoices_table(invoices, more: str) -> Table:
    rows = (
        [
            link(invoice), invoice.get_kind_display(), invoice.issued_on, f"{invoice.period:%Y-%m}",
            money(invoice.gross, invoice.currency),
            badge("paid", "good") if getattr(invoice, "payment", None) else f"due {invoice.due_on}",
        ]
        for invoice in invoices.select_related("payment").order_by("-issued_at", "-pk")[:11]
    )  # fmt: skip
    headers = ["Number", "Kind", "Issued", "Period", "To pay", "State"]
    return Table("Invoices", Invoice, headers, rows, more, "Nothing invoiced yet.")


class IncompleteFilter(Conditions):
    title = "for its invoices"
    parameter_name = "incomplete"
    conditions = {"1": ("something is missing", Account.incomplete)}


@admin.register(Account)
class AccountAdmin(Page):
    list_display = ["name", "kind", "country", "currency", "vat_id", "email", "driver_count", "for_invoices"]
    list_filter = [IncompleteFilter, "kind", "currency", "country"]
    search_fields = ["name", "legal_name", "email", "vat_id", "organisation_no"]
    search_help_text = "Name, e-mail, VAT id, organisation number"
    readonly_fields = ["for_invoices", "created_at"]
    fieldsets = [
        (None, {"fields": ["for_invoices", ("name", "legal_name"), ("kind", "email")]}),
        ("Address", {"fields": ["street", ("postal_code", "city", "country")]}),
        (
            "Invoicing",
            {"fields": [("currency", "language"), ("vat_id", "organisation_no", "cost_centre"), "created_at"]},
        ),
    ]

    def get_queryset(self, request):
        return super().get_queryset(request).annotate(driver_count=Count("drivers"))

    @display(description="Drivers", ordering="driver_count")
    def driver_count(self, account):
        return account.driver_count

    @display(description="For its invoices")
    def for_invoices(self, account):
        if account.pk is None:
            return "–"
        missing = account.missing_for_invoices()
        return badge("missing: " + ", ".join(missing), "bad") if missing else badge("complete", "good")

    def save_model(self, request, account, form, change):
        """Partners are told the language of a card's holder (mod_tokens, language)."""
        super().save_model(request, account, form, change)
        if "language" in form.changed_data:
            announce(Token.objects.filter(contract__driver__account=account).only("pk"), timezone.now())

    def get_tables(self, request, account):
        drivers = account.drivers.annotate(cards=Count("contracts__tokens"))
        rows = ([link(driver), driver.email, driver.cards, driver_state(driver)] for driver in drivers[:11])
        more = url_of(Driver, account__id__exact=account.pk)
        yield Table("Drivers", Driver, ["Name", "E-mail", "Cards", "State"], rows, more, "No drivers yet.")
        yield invoices_table(Invoice.objects.filter(account=account), url_of(Invoice, account__id__exact=account.pk))


def driver_state(driver: Driver) -> str:
    return badge("blocked", "bad") if driver.blocked_at else badge("active", "good")


@admin.register(Driver)
class DriverAdmin(Page):
    list_display = ["name", "account_link", "email", "contract_ids", "cards", "state"]
    list_filter = [("blocked_at", admin.EmptyFieldListFilter), "account__kind", "account__currency"]
    list_select_related = ["account"]
    search_fields = ["name"]
    search_help_text = "Name, e-mail, card, contract id"
    readonly_fields = ["account_link", "state", "known", "blocked_at", "created_at"]
    fieldsets = [
        (None, {"fields": [("name", "email"), "account_link", ("state", "known"), ("blocked_at", "created_at")]})
    ]
    actions_list = ["import_file"]
    actions_detail = ["block", "unblock", "add_card"]

    def get_queryset(self, request):
        rows = super().get_queryset(request)
        return rows if is_of_one(request) else rows.prefetch_related("contracts__tokens")

    def get_search_results(self, request, queryset, search_term):
        return drivers_like(search_term, queryset), False

    def lookup_allowed(self, lookup, value, request):
        return lookup == "account__id__exact" or super().lookup_allowed(lookup, value, request)

    @display(description="Account", ordering="account__name")
    def account_link(self, driver):
        return link(driver.account)

    @display(description="Contract")
    def contract_ids(self, driver):
        return format_html_comma(link(contract) for contract in driver.contracts.all()[:3])

    @display(description="Cards")
    def cards(self, driver):
        return format_html_comma(
            link(token) for contract in driver.contracts.all() for token in contract.tokens.all()[:3]
        )

    @display(description="State", ordering="blocked_at")
    def state(self, driver):
        return driver_state(driver)

    @display(description="Partners that know")
    @once
    def known(self, driver):
        return said_of_partners(driver)

    def get_actions_detail(self, request, object_id):
        """Only the one of block and unblock that changes anything."""
        blocked = Driver.objects.filter(pk=object_id, blocked_at__isnull=False).exists()
        hidden = "_block" if blocked else "_unblock"
        return [
            shown for shown in super().get_actions_detail(request, object_id) if not shown.action_name.endswith(hidden)
        ]

    def get_tables(self, request, driver):
        mine = {"token__contract__driver": driver}
        by_driver = {"token__contract__driver__id__exact": driver.pk}
        invoices = Invoice.objects.filter(account=driver.account_id)
        yield cards_table(
            Token.objects.filter(contract__driver=driver), url_of(Token, contract__driver__id__exact=driver.pk)
        )
        yield authorizations_table(Authorization.objects.filter(**mine), url_of(Authorization, **by_driver))
        yield sessions_table(Session.objects.filter(**mine), url_of(Session, **by_driver))
        yield cdrs_table(
            Cdr.objects.filter(contract__driver=driver), url_of(Cdr, contract__driver__id__exact=driver.pk)
        )
        yield invoices_table(invoices, url_of(Invoice, account__id__exact=driver.account_id))

    @act(
        "Block", permission="change", icon="block", variant=ActionVariant.DANGER,
        question="All cards of this driver are refused from now on. Partners that decide by themselves are told at once.",
    )  # fmt: skip
    def block(self, request, driver, form):
        block_driver(driver, timezone.now())
        return f"{driver} is blocked. {said_of_partners(driver)}"

    @act("Unblock", permission="change", icon="lock_open", question="The driver's cards charge again.")
    def unblock(self, request, driver, form):
        unblock_driver(driver, timezone.now())
        return f"{driver} may charge again. {said_of_partners(driver)}"

    @act(
        "Add a card", permission="tokens.add_token", icon="add_card", form=CardForm,
        question="The card gets a contract of its own unless you name one. Partners are told of it within a minute.",
    )  # fmt: skip
    def add_card(self, request, driver, form):
        taken(enrolled_by_hand(said_of(driver) | form.values()))
        return f"Card {form.cleaned_data['token_uid']} is added. Partners are told within a minute."

    def add_view(self, request, form_url="", extra_context=None):
        """A driver with an account and a card, by the same room as the file (`billing.enrolment`)."""
        self.require(request, "drivers.add_driver")
        form = DriverForm(request.POST or None)
        if form.is_valid() and (driver := self._enrolled(form)):
            messages.success(request, f"{driver} is enrolled. Partners are told of the card within a minute.")
            return redirect(url_of(driver))
        return self.render(request, "admin/enrol.html", "Add a driver", form=form)

    def _enrolled(self, form) -> Driver | None:
        result = enrolled_by_hand(form.values())
        for error in result.errors:
            form.add_error(error.column if error.column in form.fields else None, error.reason)
        if result.errors:
            return None
        card = {"uid__iexact": form.cleaned_data["token_uid"], "type": form.cleaned_data["token_type"]}
        return Token.objects.select_related("contract__driver").get(**card).contract.driver

    @action(description="Import a file", permissions=["add"], url_path="import", icon="upload_file")
    def import_file(self, request):
        form = FileForm(request.POST or None, request.FILES or None)
        result = None
        if form.is_valid():
            sheet = fleet_file.read(form.cleaned_data["file"].read())
            result = enrol(sheet, now=timezone.now(), us=us(), **form.choice())
        return self.render(request, "admin/import.html", "Import drivers", form=form, **told(result, form))

    def get_urls(self):
        template = self.admin_site.admin_view(self.download_template)
        return [path("import/template.csv", template, name="drivers_driver_template"), *super().get_urls()]

    def download_template(self, request):
        self.require(request, "drivers.add_driver")
        headers = {"Content-Disposition": 'attachment; filename="drivers.csv"'}
        return HttpResponse(fleet_file.template(), content_type="text/csv; charset=utf-8", headers=headers)


def said_of_partners(blocked: Driver | Token) -> str:
    known, listening = known_by(blocked, timezone.now())
    if not listening:
        return "No partner keeps a copy of our cards."
    return f"Known by {known} of {listening} partner{'' if listening == 1 else 's'}."


def said_of(driver: Driver) -> dict[str, str]:
    """What a line of the file would say of a driver that is there."""
    account = driver.account
    return {
        "account": account.name, "kind": account.kind, "country": account.country, "currency": account.currency,
        "driver": driver.name, "email": driver.email,
    }  # fmt: skip


def enrolled_by_hand(values: dict[str, str]) -> Result:
    """One line of the file, entered by hand."""
    row = fleet_file.check(values)
    if isinstance(row, list):
        return Result(errors=row)
    return enrol(Sheet(rows=[row]), now=timezone.now(), us=us())


def taken(result: Result) -> None:
    if result.errors:
        raise Refused("; ".join(f"{error.column or 'card'}: {error.reason}" for error in result.errors))


def told(result: Result | None, form: FileForm) -> dict:
    """What the import page says of the file."""
    said = {"columns": fleet_file.COLUMNS, "needed": fleet_file.NEEDED, "result": result}
    if result is None:
        return said
    counts = [[kind, result.created[kind], result.updated[kind], result.unchanged[kind]] for kind in result.created]
    return said | {
        "is_dry_run": form.choice()["dry_run"], "headings": ["", "Created", "Updated", "Unchanged"], "counts": counts,
        "error_headings": ["Line", "Column", "Reason"],
        "errors": [[error.line, error.column or "whole line", error.reason] for error in result.errors[:500]],
    }  # fmt: skip


@admin.register(Contract)
class ContractAdmin(Record):
    list_display = ["contract_id", "driver_link", "account_link", "plan", "created_at"]
    list_select_related = ["driver__account"]
    search_fields = ["contract_id", "driver__name"]
    search_help_text = "Contract id, driver"
    fields = ["contract_id", "driver_link", "account_link", "plan", "created_at"]
    actions_detail = ["change_plan", "add_card"]

    def get_queryset(self, request):
        return super().get_queryset(request).annotate(plan_name=plan_now("pk"))

    @display(description="Driver", ordering="driver__name")
    def driver_link(self, contract):
        return link(contract.driver)

    @display(description="Account", ordering="driver__account__name")
    def account_link(self, contract):
        return link(contract.driver.account)

    @display(description="Plan today")
    def plan(self, contract):
        return contract.plan_name or badge("no plan: its CDRs are held", "odd")

    def get_tables(self, request, contract):
        yield cards_table(contract.tokens.all())
        plans = contract.subscriptions.select_related("plan")
        rows = ([link(held.plan), held.valid_from, held.valid_until or "further notice"] for held in plans)
        yield Table("Plans", Plan, ["Plan", "From", "Until before"], rows)
        yield cdrs_table(Cdr.objects.filter(contract=contract), url_of(Cdr, contract__id__exact=contract.pk))

    @act(
        "Change plan", permission="drivers.change_contract", icon="sell", form=PlanForm,
        question="The plan holds from the day on; what is rated already stays as it is.",
    )  # fmt: skip
    def change_plan(self, request, contract, form):
        card = contract.tokens.order_by("pk").first()
        if card is None:
            raise Refused("Give the contract a card first.")
        taken(enrolled_by_hand(said_of(contract.driver) | form.values(contract, card)))
        return f"{contract} has {form.cleaned_data['plan']} from today on."

    @act(
        "Add a card", permission="tokens.add_token", icon="add_card", form=CardForm,
        question="Partners are told of the card within a minute.",
    )  # fmt: skip
    def add_card(self, request, contract, form):
        taken(enrolled_by_hand(said_of(contract.driver) | form.values() | {"contract_id": contract.contract_id}))
        return f"Card {form.cleaned_data['token_uid']} is added. Partners are told within a minute."
