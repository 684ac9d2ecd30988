"""The back office's home: figures that are links, what needs a person, and on an empty system what to set up.

A figure is read only for those who may see what it counts, and counts no further than is cheap (see `office`).
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from django.contrib.auth.models import Group
from django.contrib.postgres.aggregates import ArrayAgg
from django.db import connection
from django.db.models import Count, Exists, Max, Model, OuterRef, Q, Sum
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.dataclasses import SearchResult

from apps.api.models import ApiKey
from apps.billing.models import (
    BilledToUs,
    Charge,
    Document,
    Held,
    Invoice,
    InvoiceLine,
    InvoiceRun,
    LegalEntity,
    NumberSeries,
    Payable,
    Plan,
    TaxRegistration,
    VatRate,
)
from apps.billing.parties import missing_of_seller
from apps.charging.models import Cdr, Command, Session
from apps.drivers.models import Account, Contract, Driver
from apps.locations.models import Location
from apps.onboarding.models import Report
from apps.partners import agreements
from apps.partners.health import is_silent, with_silent_feeds
from apps.partners.models import Agreement, Alarm, CredentialsToken, Exchange, Feed, Partner, Party, Quarantined
from apps.partnerview.models import Link
from apps.staff.models import User
from apps.staff.office import MOST_COUNTED, ago, badge, format_html_comma, grouped, may_view, money, url_of
from apps.tariffs.models import Tariff
from apps.tokens.announcing import could_not_be_told, on_their_way
from apps.tokens.finding import drivers_like
from apps.tokens.models import Authorization, Token, TokenDelivery
from emsp.models import Heartbeat, Invariant

FOUND = 10
NIGHTLY_H = 26
"""Hours after which what is done every night is late."""
UNHEARD = timedelta(minutes=10)
"""After which the timetable, rung for every minute, is not heard any more."""


@dataclass(frozen=True)
class Tile:
    """A figure and where it leads. `lines` are further figures of the same thing, each with its own address."""

    title: str
    icon: str
    figure: object
    href: str
    lines: tuple[tuple[str, str], ...] = ()


class Need(NamedTuple):
    """Something that waits for a person: how much of it, what it is, and where."""

    count: int
    text: str
    href: str
    kind: str = "odd"


class Step(NamedTuple):
    """A step of the set-up."""

    title: str
    hint: str
    href: str
    is_done: bool


def dashboard(request: HttpRequest, context: dict) -> dict:
    """What the home page shows (Unfold's DASHBOARD_CALLBACK)."""
    now = timezone.now()
    steps = checklist() if request.user.has_perm("billing.view_legalentity") else []
    return context | {
        "title": "Home",
        "tiles": [make(now) for model, make in TILES if may_view(request, model)],
        "needs": [need for model, find in NEEDS if may_view(request, model) for need in find(now) if need.count],
        "feeds": feeds(now) if may_view(request, Feed) else None,
        "steps": [] if all(step.is_done for step in steps) else steps,
    }


def about(rows) -> str:
    """How many rows, exact as long as that is cheap."""
    count = counted(rows)
    return f"more than {grouped(MOST_COUNTED)}" if count > MOST_COUNTED else grouped(count)


def counted(rows) -> int:
    """Stops counting one after MOST_COUNTED."""
    return rows.order_by()[: MOST_COUNTED + 1].count()


def whole(model: type[Model]) -> str:
    """How many rows a table has: exact while it is small, else as PostgreSQL last estimated."""
    if counted(model.objects.all()) <= MOST_COUNTED:
        return about(model.objects.all())
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass", [model._meta.db_table])
        estimate = cursor.fetchone()[0]
    return f"about {grouped(estimate)}" if estimate > MOST_COUNTED else about(model.objects.all())


def drivers_tile(now: datetime) -> Tile:
    blocked = Driver.objects.filter(blocked_at__isnull=False)
    lines = ((f"{about(blocked)} blocked", url_of(Driver, blocked_at__isempty=0)),)
    return Tile("Drivers", "person", whole(Driver), url_of(Driver), lines)


def cards_tile(now: datetime) -> Tile:
    waiting = Token.objects.filter(on_their_way(now))
    lines = (
        (f"{about(Token.objects.filter(blocked_at__isnull=False))} blocked", url_of(Token, blocked_at__isempty=0)),
        (f"{about(waiting)} on their way to partners", url_of(Token, told="waiting")),
    )
    return Tile("Cards", "contactless", whole(Token), url_of(Token), lines)


def sessions_tile(now: datetime) -> Tile:
    live = Session.objects.filter(status__in=Session.LIVE)
    return Tile(
        "Charging now", "ev_station", about(live), url_of(Session, live=1), (("All sessions", url_of(Session)),)
    )


def cdrs_tile(now: datetime) -> Tile:
    lines = (
        (f"{about(Cdr.objects.filter(checked_at=None))} with checks due", url_of(Cdr, state="unchecked")),
        (f"{about(Cdr.objects.filter(contract=None))} nobody's yet", url_of(Cdr, state="nobodys")),
        (f"{about(Held.objects.filter(is_final=False))} held", url_of(Cdr, state="held")),
    )
    return Tile("CDRs", "receipt", whole(Cdr), url_of(Cdr), lines)


def open_tile(now: datetime) -> Tile:
    """Charges that no document shows yet."""
    shown = InvoiceLine.objects.filter(charge=OuterRef("pk"))
    since = first_of_month(now, back=12)
    waiting = Charge.objects.filter(~Exists(shown), netted_at=None, period__gte=since)
    sums = waiting.values_list("currency").annotate(Sum("amount"), Count("pk")).order_by("currency")
    charges = sum(count for _, _, count in sums)
    listed = url_of(Charge, state="waiting", period__gte=since)
    lines = ((f"{grouped(charges)} charges", listed), ("Invoice a month", url_of(InvoiceRun)))
    return Tile("Not invoiced yet", "hourglass_top", amounts(sums), listed, lines)


def issued_tile(now: datetime) -> Tile:
    since = first_of_month(now, back=1)
    issued = Invoice.objects.filter(issued_on__gte=since)
    sums = signed(issued)
    unpaid = Q(kind=Invoice.Kind.INVOICE, payment=None)
    overdue = about(Invoice.objects.filter(unpaid, due_on__lt=timezone.localdate(now)))
    lines = (
        (f"{about(issued)} documents since {since}", url_of(Invoice, issued_on__gte=since)),
        (f"{overdue} overdue", url_of(Invoice, paid="overdue")),
    )
    return Tile("Issued", "request_quote", amounts(sums), url_of(Invoice), lines)


def invariants_tile(now: datetime) -> Tile:
    """What was found last, and when; red when something is broken."""
    rows = list(Invariant.objects.values_list("verdict", "inspected_at"))
    broken = sum(verdict == Invariant.Verdict.BROKEN for verdict, _ in rows)
    figure = badge(f"{broken} broken", "bad") if broken else badge("all held", "good")
    if not rows:
        return Tile("Invariants", "verified", badge("not looked at yet", "odd"), url_of(Invariant))
    last = max(inspected_at for _, inspected_at in rows)
    lines = ((f"{len(rows)} looked at on {timezone.localtime(last):%Y-%m-%d %H:%M}", url_of(Invariant)),)
    listed = url_of(Invariant, verdict__exact=Invariant.Verdict.BROKEN) if broken else url_of(Invariant)
    return Tile("Invariants", "verified", figure, listed, lines)


def signed(invoices) -> list[tuple[str, Decimal]]:
    """Gross by currency, credit notes taken off."""
    credited = Sum("gross", filter=Q(kind=Invoice.Kind.CREDIT_NOTE), default=Decimal(0))
    charged = Sum("gross", filter=Q(kind=Invoice.Kind.INVOICE), default=Decimal(0))
    sums = invoices.order_by("currency").values("currency").annotate(charged=charged, credited=credited)
    return [(row["currency"], row["charged"] - row["credited"]) for row in sums]


def amounts(sums) -> SafeString | str:
    return format_html_comma(money(amount, currency) for currency, amount, *_ in sums)


def first_of_month(now: datetime, back: int = 0) -> date:
    today = timezone.localdate(now)
    months = today.year * 12 + today.month - 1 - back
    return date(months // 12, months % 12 + 1, 1)


TILES: list[tuple[type[Model], Callable[[datetime], Tile]]] = [
    (Driver, drivers_tile),
    (Token, cards_tile),
    (Session, sessions_tile),
    (Cdr, cdrs_tile),
    (Charge, open_tile),
    (Invoice, issued_tile),
    (Invariant, invariants_tile),
]


def feeds(now: datetime) -> list[list]:
    """Every feed with its age, the worst first."""
    rows = Feed.objects.filter(partner__state=Partner.State.CONNECTED).select_related("partner")
    ordered = sorted(rows, key=lambda feed: (not is_silent(feed, now), feed.last_good_at or now))
    return [feed_row(feed, now) for feed in ordered[:40]]


def feed_row(feed: Feed, now: datetime) -> list:
    state = badge("silent", "bad") if is_silent(feed, now) else badge("good", "good")
    if feed.last_good_at is None and not feed.failures:
        state = badge("not pulled yet", "odd")
    return [
        url_of(feed.partner), feed.partner.name, feed.get_module_display(), state, ago(feed.last_good_at, now),
        feed.failures or "", feed.last_error,
    ]  # fmt: skip


def invariants(now: datetime) -> Iterator[Need]:
    """As the last night found them. The timetable looks every night; that it did not is said as well (trust O7)."""
    rules = list(Invariant.objects.all())
    for rule in rules:
        if rule.verdict == Invariant.Verdict.BROKEN:
            yield Need(rule.count, f"Breaks of {rule}", url_of(rule), "bad")
    last = max((rule.inspected_at for rule in rules), default=now)
    hours = int((now - last).total_seconds() // 3600)
    if hours > NIGHTLY_H:
        yield Need(
            hours, "Hours since the invariants were looked at: do beat and worker run?", url_of(Invariant), "bad"
        )


def unheard_timetable(now: datetime) -> Iterator[Need]:
    """Nothing begins by itself where beat, the broker or the workers of a queue are away (trust O7)."""
    for queue, heard in Heartbeat.objects.filter(heard_at__lt=now - UNHEARD).values_list("queue", "heard_at"):
        minutes = int((now - heard).total_seconds() // 60)
        text = f"Minutes since the workers of “{queue}” heard the timetable: do beat, broker and worker run?"
        yield Need(minutes, text, url_of(Invariant), "bad")


def silent_feeds(now: datetime) -> Iterator[Need]:
    silent = with_silent_feeds(now)
    yield Need(len(silent), "Partners with silent feeds", url_of(Partner, feeds="silent"), "bad")


def partners_waiting(now: datetime) -> Iterator[Need]:
    """Of few rows, and in one query. Tokens are renewed every month; after one and a half it is high time (trust S8)."""
    newest = Max("inbound_tokens__created_at", filter=Q(inbound_tokens__kind=CredentialsToken.Kind.CREDENTIALS))
    claims = Count("claims", filter=Q(claims__partner=None), distinct=True)
    alarms = ArrayAgg("alarms__kind", filter=Q(alarms__id__isnull=False, alarms__settled_at=None), distinct=True)
    end = Agreement.objects.filter(agreements.ending(agreements.day_of(now)))
    ending = Count("agreements", filter=Q(agreements__in=end), distinct=True)
    rows = Partner.objects.order_by().annotate(newest=newest, claimed=claims, alarmed=alarms, ending=ending)
    known = list(rows.values_list("state", "newest", "claimed", "alarmed", "ending"))
    for kind, count in Counter(kind for *_, kinds, _ in known for kind in kinds or ()).items():
        href = url_of(Alarm, settled_at__isempty=1, kind__exact=kind)
        yield Need(count, f"Alarms: {Alarm.Kind(kind).label}", href, "bad")
    ages = [now - at for state, at, *_ in known if state == Partner.State.CONNECTED and at is not None]
    days, kind = (45, "bad") if max(ages, default=timedelta()) > timedelta(days=45) else (30, "odd")
    aged = sum(age > timedelta(days=days) for age in ages)
    yield Need(aged, f"Partners with tokens older than {days} days: renew them", url_of(Partner), kind)
    ending = sum(count for *_, count in known)
    yield Need(ending, "Agreements that end within a month, and none follows", url_of(Agreement, holds="ending"))
    claimed = sum(count for _, _, count, *_ in known)
    yield Need(claimed, "Parties that wait to be approved for a partner", url_of(Party, claimed_by__isempty=0))
    invited = sum(state == Partner.State.INVITED for state, *_ in known)
    yield Need(invited, "Invited partners that have not connected yet", url_of(Partner, state__exact="INVITED"), "new")


def quarantine(now: datetime) -> Iterator[Need]:
    rows = Quarantined.objects.filter(state=Quarantined.State.OPEN)
    yield Need(counted(rows), "Objects in quarantine", url_of(Quarantined, state__exact="OPEN"), "bad")


def cdrs_of_nobody(now: datetime) -> Iterator[Need]:
    yield Need(
        counted(Cdr.objects.filter(contract=None)),
        "CDRs that are nobody's: attach the card",
        url_of(Cdr, state="nobodys"),
        "bad",
    )


def held_cdrs(now: datetime) -> Iterator[Need]:
    known = Held.objects.filter(cdr__contract__isnull=False, is_final=False)
    by_reason = known.order_by().values_list("code").annotate(count=Count("pk")).order_by("-count")
    for code, count in by_reason[:5]:
        yield Need(count, f"CDRs held: {code}", url_of(Cdr, state="held", held=code, contract__isnull=0))


def incomplete_accounts(now: datetime) -> Iterator[Need]:
    rows = Account.objects.filter(Account.incomplete())
    yield Need(counted(rows), "Accounts that lack what invoices must show", url_of(Account, incomplete=1))


def unrendered(now: datetime) -> Iterator[Need]:
    failed = Document.objects.filter(due_at__isnull=False).exclude(last_error="")
    yield Need(counted(failed), "Documents that could not be rendered", url_of(Invoice, pdf="failed"), "bad")


def broken_off_runs(now: datetime) -> Iterator[Need]:
    rows = InvoiceRun.objects.filter(due_at__isnull=False).exclude(last_error="")
    yield Need(
        counted(rows), "Invoice runs that broke off and are tried again", url_of(InvoiceRun, state="broken"), "bad"
    )


def unconfirmed_rates(now: datetime) -> Iterator[Need]:
    """Of countries where we are registered: nothing is issued with them."""
    ours = sorted(set(TaxRegistration.objects.values_list("country", flat=True)))
    rows = VatRate.objects.filter(confirmed_at=None, country__in=ours)
    yield Need(
        counted(rows), "VAT rates to be confirmed", url_of(VatRate, confirmed_at__isempty=1, country__in=",".join(ours))
    )


def late_cards(now: datetime) -> Iterator[Need]:
    late = Token.objects.filter(could_not_be_told())
    yield Need(counted(late), "Cards that partners could not be told of", url_of(Token, told="late"))


NEEDS: list[tuple[type[Model], Callable[[datetime], Iterator[Need]]]] = [
    (Invariant, invariants),
    (Invariant, unheard_timetable),
    (Feed, silent_feeds),
    (Quarantined, quarantine),
    (Cdr, cdrs_of_nobody),
    (Held, held_cdrs),
    (InvoiceRun, broken_off_runs),
    (Document, unrendered),
    (TokenDelivery, late_cards),
    (VatRate, unconfirmed_rates),
    (Account, incomplete_accounts),
    (Partner, partners_waiting),
]


def checklist() -> list[Step]:
    """What a new system needs before the first invoice, in the order of work."""
    series = set(NumberSeries.objects.values_list("kind", flat=True)) == set(NumberSeries.Kind.values)
    company = any(not missing_of_seller(entity) for entity in LegalEntity.objects.all())
    registration = url_of(TaxRegistration)
    confirmed = VatRate.objects.filter(confirmed_at__isnull=False).exists()
    plan = Plan.objects.filter(is_default=True, prices__isnull=False).exists()
    partner = Partner.objects.filter(state=Partner.State.CONNECTED).exists()
    return [
        Step("Your company", "Name, address, bank account, VAT registration.", url_of(LegalEntity), company),
        Step("Number series", "On the page of the VAT registration: one for invoices, one for credit notes.",
             registration, series),
        Step("A VAT rate confirmed", "Look it up, then confirm it: nothing is issued with a rate that nobody confirmed.",
             url_of(VatRate), confirmed),
        Step("A plan", "What drivers pay; one default per currency.", url_of(Plan), plan),
        Step("A partner", "Invite a charge point operator, or connect with the token it gave you.", url_of(Partner), partner),
        Step("Drivers", "From a file, or one by hand.", url_of(Driver), Driver.objects.exists()),
    ]  # fmt: skip


def search(request: HttpRequest, term: str) -> list[SearchResult]:
    """What the search of the side bar finds: drivers, cards, contracts, and documents by number."""
    results = []
    if may_view(request, Driver):
        found = drivers_like(term).select_related("account")[:FOUND]
        results += [result(driver, f"Driver of {driver.account}", "person") for driver in found]
    if may_view(request, Invoice):
        invoices = Invoice.objects.filter(number__istartswith=term).select_related("account")[:FOUND]
        results += [result(invoice, f"Invoice of {invoice.account}", "request_quote") for invoice in invoices]
    if may_view(request, Cdr):
        cdrs = Cdr.objects.filter(ocpi_id__istartswith=term).select_related("party")[:FOUND]
        results += [result(cdr, "CDR", "receipt") for cdr in cdrs]
    return results


def result(row: Model, description: str, icon: str) -> SearchResult:
    return SearchResult(title=str(row), description=description, link=url_of(row), icon=icon)


def style(request: HttpRequest) -> str:
    return static("office/office.css")


def favicon(request: HttpRequest) -> str:
    return static("office/favicon.svg")


NAVIGATION = {
    "Drivers": [
        ("Drivers", Driver, "person"),
        ("Accounts", Account, "apartment"),
        ("Contracts", Contract, "handshake"),
        ("Cards", Token, "contactless"),
        ("Authorisations", Authorization, "how_to_reg"),
    ],
    "Charging": [
        ("Sessions", Session, "ev_station"),
        ("Commands", Command, "settings_remote"),
        ("CDRs", Cdr, "receipt"),
        ("Locations", Location, "location_on"),
        ("CPO tariffs", Tariff, "sell"),
    ],
    "Billing": [
        ("Invoices", Invoice, "request_quote"),
        ("Invoice runs", InvoiceRun, "event_repeat"),
        ("Charges", Charge, "toll"),
        ("Owed to CPOs", Payable, "payments"),
        ("Invoices of CPOs", BilledToUs, "receipt_long"),
        ("Plans", Plan, "loyalty"),
        ("VAT rates", VatRate, "percent"),
        ("Company", LegalEntity, "store"),
        ("VAT registrations", TaxRegistration, "account_balance"),
    ],
    "Partners": [
        ("Partners", Partner, "hub"),
        ("Parties", Party, "badge"),
        ("Agreements", Agreement, "contract"),
        ("Readiness reports", Report, "fact_check"),
        ("Links for partners", Link, "share"),
        ("Alarms", Alarm, "notification_important"),
        ("Quarantine", Quarantined, "medical_services"),
        ("Messages", Exchange, "swap_horiz"),
    ],
    "Office": [
        ("People", User, "group"),
        ("Groups", Group, "shield_person"),
        ("API keys", ApiKey, "key"),
        ("Invariants", Invariant, "verified"),
    ],
}


def account(request: HttpRequest) -> list[dict]:
    """The person's own menu."""
    return [
        {"title": "Change password", "link": reverse("admin:password_change")},
        {"title": "Second factor", "link": reverse("staff:mine")},
    ]


def navigation(request: HttpRequest) -> list[dict]:
    """The side bar: what this person may see, and nothing else."""
    home = {"title": "Home", "icon": "home", "link": reverse("admin:index")}
    sections = [section(request, *named) for named in NAVIGATION.items()]
    return [{"title": "", "items": [home]}, *(section for section in sections if section["items"])]


def section(request: HttpRequest, title: str, entries: list[tuple]) -> dict:
    items = [
        {"title": name, "icon": icon, "link": url_of(model)}
        for name, model, icon in entries
        if may_view(request, model)
    ]
    return {"title": title, "separator": True, "items": items}
