"""Partners: how their feeds go, how they get in, what was said, and what we could not take."""

from datetime import datetime, timedelta

from django.contrib import admin, messages
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Count, F, OuterRef, Q
from django.db.models.functions import JSONObject
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from apps import marks
from apps.charging.models import Finding
from apps.ocpi import objects
from apps.ocpi.errors import InvalidObject, OcpiError, PeerFailed
from apps.onboarding import live, readiness
from apps.onboarding.admin import clearances_table, live_badge, reports_table
from apps.onboarding.forms import CheckForm, LiveForm
from apps.partnerview import links
from apps.partnerview.admin import links_of, url_of_view
from apps.partnerview.forms import LinkForm
from apps.staff.office import (
    Conditions,
    Page,
    Record,
    Refused,
    Rows,
    Table,
    act,
    ago,
    badge,
    beginning,
    format_html_comma,
    go,
    indented,
    is_of_one,
    link,
    long,
    moment,
    once,
    reading,
    url_of,
)
from apps.tokens import sandbox
from apps.tokens.announcing import enlist
from apps.tokens.models import ShownAccount, Token
from apps.work import ring
from emsp.intakes import INTAKES

from . import agreements, alarms, certificates, handshake, pull, quarantine, quirks, scope
from .forms import ConnectForm, InviteForm, MendForm, PartnerForm, PresetForm, PullForm
from .health import is_silent, with_silent_feeds
from .models import (
    Agreement,
    Alarm,
    Certificate,
    Client,
    CredentialsToken,
    Endpoint,
    Exchange,
    Feed,
    Partner,
    Party,
    Quarantined,
)
from .ourselves import us

CLIENT_STATES = {"CONNECTED": "good", "OFFLINE": "bad", "PLANNED": "new", "SUSPENDED": "bad"}
STATES = {"CONNECTED": "good", "INVITED": "new", "DISCONNECTED": "bad"}
PUSH = "apps.tokens.tasks.push_tokens"
GIVEN = (
    "Only where public authorities do not vouch for its servers, or where its servers ask who calls. Certificates are checked "
    "in any case."
)
QUIRKS = "Where it departs from OCPI and we go along. As they come, it is OCPI to the letter."


def feed_state(feed: Feed, now) -> str:
    if feed.last_good_at is None:
        return badge("never good", "bad") if feed.failures else badge("not pulled yet", "odd")
    if is_silent(feed, now):
        return badge("silent", "bad")
    return badge("resting", "odd") if feed.failures else badge("good", "good")


CERTIFICATES = ArraySubquery(
    Certificate.objects.filter(partner=OuterRef("pk"))
    .order_by("name")
    .values(told=JSONObject(**{name: name for name in ("name", "ends_at", "has_ended", "last_error")}))
)
"""With the partner itself, whose page asks for enough."""


def certificate_told(values: dict) -> Certificate:
    ends_at = values["ends_at"] and datetime.fromisoformat(values["ends_at"])
    return Certificate(**values | {"ends_at": ends_at})


def certificate_seen(row: Certificate, now) -> str:
    state = certificates.state_of(row, now)
    if certificates.is_over(row, now):
        return format_html("{}: {}", row.name, badge(state, "bad"))
    soon = badge("ends soon", "odd") if certificates.is_ending(row, now) else ""
    unseen = f"({beginning(row.last_error)})" if row.last_error else ""
    return format_html("{}: {} {} {}", row.name, state, soon, unseen)


class FeedInline(Rows):
    """How each feed goes; the interval is ours to choose."""

    model = Feed
    max_num = 0
    hide_title = True
    fields = ["module", "state", "last_good", "next_pull", "counts", "failures", "last_error", "interval"]
    readonly_fields = ["module", "state", "last_good", "next_pull", "counts", "failures", "last_error"]

    @display(description="State")
    def state(self, feed):
        return feed_state(feed, timezone.now())

    @display(description="Last good")
    def last_good(self, feed):
        return ago(feed.last_good_at, timezone.now())

    @display(description="Next")
    def next_pull(self, feed):
        now = timezone.now()
        if feed.leased_until and feed.leased_until > now:
            return badge("pulling now", "new")
        if feed.due_at is None:
            return "–"
        return "now" if feed.due_at <= now else f"in {long(feed.due_at - now)}"

    @display(description="Last pull")
    def counts(self, feed):
        told = {name: feed.last_outcome.get(name) for name in ("seen", "stored", "unchanged", "stale", "quarantined")}
        return ", ".join(f"{count} {name}" for name, count in told.items() if count) or "–"


class SilentFilter(Conditions):
    title = "feeds"
    parameter_name = "feeds"
    conditions = {"silent": ("silent", lambda: Q(pk__in=with_silent_feeds(timezone.now())))}


@admin.register(Partner)
class PartnerAdmin(Page):
    form = PartnerForm
    list_display = [
        "name",
        "parties_of",
        "role",
        "state_badge",
        "version",
        "feeds",
        "quarantined_count",
        "connected_at",
    ]
    list_filter = ["state", "role", SilentFilter]
    search_fields = ["name", "parties__party_id__iexact", "parties__name"]
    search_help_text = "Name, party id"
    readonly_fields = [
        "parties_of",
        "state_badge",
        "version",
        "versions_url",
        "connected_at",
        "certificates_seen",
        "created_at",
        "known_cards",
        "live_since",
        "shared",
        "agreed",
    ]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("name", "role", "agreed"),
                    ("state_badge", "parties_of", "known_cards"),
                    ("live_since", "shared"),
                ]
            },
        ),
        ("Connection", {
            "fields": [("version", "versions_url", "connected_at"), ("token_form", "is_private"), "certificates_seen"],
        }),
        ("Private authority and client certificate", {
            "fields": ["certificate_authority", "client_certificate", "private_key"],
            "classes": ["collapse"],
            "description": GIVEN,
        }),
        ("Its calls", {"fields": [("pace", "wants_place")]}),
        ("Quirks", {"fields": quirks.NAMES, "description": QUIRKS}),
    ]  # fmt: skip
    inlines = [FeedInline]
    actions_list = ["connect"]
    actions_detail = [
        "pull_now", "push_now", "check_readiness", "fill_quirks",
        {"title": "For them", "icon": "share", "items": ["share", "reset_cards"]},
        {"title": "Live", "icon": "rocket_launch", "items": ["go_live", "end_live"]},
        {"title": "Connection", "icon": "key", "items": ["invite_again", "renew", "disconnect"]},
    ]  # fmt: skip

    def get_queryset(self, request):
        listed = () if is_of_one(request) else ("feeds",)
        rows = super().get_queryset(request).prefetch_related("parties", *listed)
        rows = rows.select_related("sandbox").annotate(told_certificates=CERTIFICATES) if is_of_one(request) else rows
        waiting = Count("quarantined", filter=Q(quarantined__state=Quarantined.State.OPEN))
        return rows.annotate(waiting=waiting)

    @display(description="Parties")
    def parties_of(self, partner):
        return format_html_comma(link(party) for party in partner.parties.all()[:5])

    @display(description="State", ordering="state")
    def state_badge(self, partner):
        return badge(partner.get_state_display(), STATES[partner.state])

    @display(description="Feeds")
    def feeds(self, partner):
        now = timezone.now()
        return format_html_comma(
            format_html("{} {}", feed.module, feed_state(feed, now)) for feed in partner.feeds.all()
        )

    @display(description="In quarantine")
    def quarantined_count(self, partner):
        return partner.waiting or "–"

    @display(description="Certificates")
    def certificates_seen(self, partner):
        now = timezone.now()
        told = (certificate_seen(certificate_told(one), now) for one in partner.told_certificates)
        return format_html_join("", "{}<br>", ((one,) for one in told)) or "–"

    @display(description="Private key")
    def private_key(self, partner):
        """To who may not change it; who may has a field of that name."""
        return "kept, and never shown" if partner.client_key else "–"

    @display(description="Our cards")
    @once
    def known_cards(self, partner):
        told = partner.deliveries.aggregate(
            known=Count("pk", filter=Q(confirmed_version=F("token__version"))), all=Count("pk")
        )
        return f"knows {told['known']} of {told['all']} cards as they are" if told["all"] else "none told"

    @display(description="Live")
    @once
    def live_since(self, partner):
        return live_badge(next((one for one in self.clearances(partner) if not one.ended_at), None))

    @display(description="Its CDRs")
    def shared(self, partner):
        return links_of(partner)

    @display(description="Agreements")
    def agreed(self, partner):
        url = url_of(Agreement, partner__id__exact=partner.pk)
        return format_html('<a class="text-link" href="{}">what was agreed</a>', url)

    @once
    def clearances(self, partner):
        return list(partner.clearances.select_related("report")[:5])

    def get_tables(self, request, partner):
        yield alarms_table(partner)
        yield reports_table(partner)
        yield test_cards_table(partner)
        yield clearances_table(self.clearances(partner))
        yield quarantined_table(partner)
        yield exchanges_table(partner)
        rows = (
            [endpoint.identifier, endpoint.role, endpoint.url] for endpoint in partner.endpoints.order_by("identifier")
        )
        yield Table("Their endpoints", Endpoint, ["Module", "Role", "URL"], rows, empty="Not connected.")
        if partner.is_hub:
            yield clients_table(partner)
        yield tokens_table(partner)

    def save_related(self, request, form, formsets, change):
        super().save_related(request, form, formsets, change)
        if not set(quirks.NAMES).isdisjoint(form.changed_data):
            pull.fit_feeds(form.instance, timezone.now())
        if given := set(certificates.GIVEN) & set(form.changed_data):
            certificates.look_again(form.instance, given, timezone.now())

    def add_view(self, request, form_url="", extra_context=None):
        """An invitation: the token is on the page that answers, and can never be read again (trust S4)."""
        self.require(request, "partners.add_partner")
        form = InviteForm(request.POST or None)
        if form.is_valid() and (invitation := invited(form)):
            return self.token_page(request, invitation)
        return self.render(request, "admin/form.html", "Invite a partner", form=form, button="Invite", intro=INVITING)

    def token_page(self, request, invitation):
        title = f"Invitation for {invitation.partner}"
        answer = self.render(request, "admin/invitation.html", title, invitation=invitation)
        answer["Cache-Control"] = "no-store"
        return answer

    @action(description="Connect with their token", permissions=["add"], url_path="connect", icon="link")
    def connect(self, request):
        form = ConnectForm(request.POST or None)
        if form.is_valid() and (partner := connected(form)):
            messages.success(request, f"{partner} is connected with OCPI {partner.version}.")
            return go(request, url_of(partner))
        return self.render(
            request, "admin/form.html", "Connect with their token", form=form, button="Connect", intro=CONNECTING
        )

    @action(description="Invite again", permissions=["add"], url_path="invite-again", icon="mail")
    def invite_again(self, request, object_id):
        """A page of its own, not a dialog: the token must be readable on the answer."""
        partner = get_object_or_404(Partner, pk=object_id)
        party = partner.parties.first()
        if request.method == "POST" and party:
            theirs = objects.Party(party.country_code, party.party_id)
            how = {"role": partner.role, "is_private": partner.is_private}
            return self.token_page(request, handshake.invite(partner.name, theirs, timezone.now(), **how))
        intro = INVITING_AGAIN if party else "It speaks for no party yet: invite it by its party."
        return self.render(request, "admin/form.html", f"Invite {partner} again", intro=intro, button="Invite again")

    @action(description="Link to its CDRs", permissions=["partnerview.add_link"], url_path="share", icon="share")
    def share(self, request, object_id):
        """The address is on the page that answers, and can never be read again (trust S4)."""
        partner = get_object_or_404(Partner, pk=object_id)
        form = LinkForm(request.POST or None)
        title = f"Link to the CDRs of {partner}"
        if not form.is_valid():
            return self.render(request, "admin/form.html", title, form=form, button="Make a link", intro=SHARING)
        life = timedelta(days=form.cleaned_data["days"])
        address = links.make(partner, form.cleaned_data["holder"], life, str(request.user), timezone.now())
        answer = self.render(request, "admin/address.html", title, url=url_of_view(address), partner=partner)
        answer["Cache-Control"] = "no-store"
        return answer

    @act("Pull now", permission="partners.change_feed", icon="download", form=PullForm,
         question="A worker pulls what changed as soon as it is free.")  # fmt: skip
    def pull_now(self, request, partner, form):
        require_connected(partner)
        chosen = form.cleaned_data["modules"]
        feeds = list(partner.feeds.filter(module__in=chosen) if chosen else partner.feeds.all())
        if not feeds:
            raise Refused(f"{partner} offers nothing of that to pull.")
        for feed in feeds:
            pull.want(feed, timezone.now())
        return f"{', '.join(feed.get_module_display() for feed in feeds)}: due now. This page shows when it is done."

    @act("Push cards", permission="partners.change_feed", icon="upload",
         question="Every card that it does not know as it is becomes due at once.")  # fmt: skip
    def push_now(self, request, partner, form):
        require_connected(partner)
        now = timezone.now()
        added = enlist(partner, now)
        waiting = partner.deliveries.filter(due_at__isnull=False).update(due_at=now)
        ring(PUSH)
        return f"{max(added, waiting)} cards are on their way." if added or waiting else f"{partner} knows all cards."

    @act("Check", permission="onboarding.add_report", icon="fact_check", form=CheckForm,
         question="A worker really calls it, line by line, and charges where you name a card and an EVSE.")  # fmt: skip
    def check_readiness(self, request, partner, form):
        try:
            report = readiness.order(partner, timezone.now(), requested_by=str(request.user), **form.wishes)
        except readiness.CannotCheck as error:
            raise Refused(f"{error}.") from error
        return go(request, url_of(report))

    @act("Quirks", permission="partners.change_partner", icon="tune", form=PresetForm,
         question="All quirks are set as such a platform needs them; each can be changed below.")  # fmt: skip
    def fill_quirks(self, request, partner, form):
        quirks.fill(partner, form.cleaned_data["preset"])
        partner.save()
        pull.fit_feeds(partner, timezone.now())
        found = [name for name, *_ in quirks.departures(partner)]
        return f"{partner}: {', '.join(found)}." if found else f"{partner} is treated as OCPI says."

    @act("Test cards", permission="tokens.add_token", icon="science",
         question="Only it sees them, and each has an answer of its own. Those it has become as they were at first.")  # fmt: skip
    def reset_cards(self, request, partner, form):
        require_connected(partner)
        sandbox.reset(partner, timezone.now(), us())
        return f"{partner} is told of {len(sandbox.CARDS)} test cards, as they are at first."

    @act("Go live", permission="onboarding.add_clearance", icon="rocket_launch", form=LiveForm,
         question="It needs a readiness report that passed, or your word.")  # fmt: skip
    def go_live(self, request, partner, form):
        try:
            live.begin(partner, str(request.user), timezone.now(), reason=form.cleaned_data["reason"])
        except live.CannotGoLive as error:
            raise Refused(f"{error}.") from error
        return f"{partner} is live."

    @act("No longer live", permission="onboarding.change_clearance", icon="undo",
         question="It goes on to be called and taken from; the office goes by this.")  # fmt: skip
    def end_live(self, request, partner, form):
        try:
            live.end(partner, str(request.user), timezone.now())
        except live.CannotGoLive as error:
            raise Refused(f"{error}.") from error
        return f"{partner} is no longer live."

    @act("Renew tokens", permission="partners.change_partner", icon="key",
         question="Both sides get new tokens, and their endpoints are read anew.")  # fmt: skip
    def renew(self, request, partner, form):
        require_connected(partner)
        try:
            handshake.renew(partner, timezone.now())
        except (PeerFailed, OcpiError) as error:
            raise Refused(f"Nothing changed: {error}") from error
        return f"{partner} has new tokens."

    @act(
        "Disconnect", permission="partners.change_partner", icon="link_off", variant=ActionVariant.DANGER,
        question="Both sides' tokens are dead at once. What was exchanged stays.",
    )  # fmt: skip
    def disconnect(self, request, partner, form):
        require_connected(partner)
        error = handshake.end(partner, timezone.now())
        return f"{partner} is disconnected." + (f" It could not be told: {error}" if error else "")


INVITING = "For a partner that will register with us. It needs our versions URL and the token, by a way that is safe."
INVITING_AGAIN = "A new token A; the one before is dead from then on. What is connected stays connected meanwhile."
SHARING = "Whoever has the address reads what became of this partner's CDRs, without a login, until it expires or is taken back."
CONNECTING = (
    "For a partner that gave you its versions URL and a token A. If it needs a private authority or a certificate of ours: "
    "invite it, give those on its page, and then connect under the same name."
)


def require_connected(partner: Partner) -> None:
    if not partner.is_connected:
        raise Refused(f"{partner} is not connected.")


def invited(form: InviteForm):
    said = form.cleaned_data
    try:
        return handshake.invite(
            said["name"], said["party"], timezone.now(), role=said["role"], is_private=said["is_private"]
        )
    except ValueError as error:
        form.add_error("party", str(error))
    return None


def connected(form: ConnectForm) -> Partner | None:
    said = form.cleaned_data
    try:
        return handshake.connect(
            said["name"], said["versions_url"], said["token"], timezone.now(), is_private=said["is_private"]
        )
    except (PeerFailed, OcpiError, ValueError) as error:
        form.add_error(None, str(error))
    return None


def alarms_table(partner: Partner) -> Table:
    rows = (
        [link(alarm, alarm.get_kind_display()), alarm.reason, alarm.count, moment(alarm.last_at)]
        for alarm in partner.alarms.filter(settled_at=None)
    )
    return Table("Alarms", Alarm, ["What", "Why", "Times", "Last"], rows, empty="None.")


def test_cards_table(partner: Partner) -> Table:
    cards = sandbox.numbered(partner) if hasattr(partner, "sandbox") else ()
    rows = ([found_by(uid), card.purpose, card.answer] for uid, card in cards)
    return Table("Test cards", Token, ["Card", "What it is", "Answer"], rows, empty="None were made for it yet.")


def found_by(uid: str) -> str:
    return format_html('<a class="text-link" href="{}">{}</a>', url_of(Token, q=uid), uid)


def quarantined_table(partner: Partner) -> Table:
    rows = (
        [link(held, held.module), held.ocpi_id or "–", first_reason(held), moment(held.last_seen_at), held.seen]
        for held in partner.quarantined.filter(state=Quarantined.State.OPEN)[:11]
    )
    more = url_of(Quarantined, partner__id__exact=partner.pk, state__exact="OPEN")
    headers = ["Module", "Id", "Why", "Last sent", "Times"]
    return Table("In quarantine", Quarantined, headers, rows, more, "Everything it sent could be taken.")


def clients_table(hub: Partner) -> Table:
    rows = (
        [f"{row.country_code}*{row.party_id}", row.role, badge(row.get_status_display(), CLIENT_STATES.get(row.status, "odd")),
         moment(row.last_updated)]
        for row in hub.clients.all()[:100]
    )  # fmt: skip
    headers = ["Party", "Role", "Status", "Since"]
    return Table("Parties behind it", Client, headers, rows, empty="It has told of none yet.")


def exchanges_table(partner: Partner) -> Table:
    rows = (
        exchange_row(exchange)
        for exchange in partner.exchanges.order_by("-at").defer("request_body", "response_body")[:11]
    )
    more = url_of(Exchange, partner__id__exact=partner.pk)
    return Table(
        "Messages", Exchange, ["When", "", "Call", "HTTP", "OCPI", "Took", "Error"], rows, more, "Nothing said yet."
    )


def exchange_row(exchange: Exchange) -> list:
    took = f"{exchange.duration.total_seconds() * 1000:.0f}\u00a0ms" if exchange.duration else "–"
    return [
        link(exchange, moment(exchange.at)), exchange.get_direction_display(), f"{exchange.method} {exchange.url}",
        str(exchange.http_status or "–"), str(exchange.status_code or "–"), took, exchange.error or "–",
    ]  # fmt: skip


def token_state(token: CredentialsToken) -> str:
    if token.revoked_at:
        return badge("revoked", "")
    return f"until {token.expires_at:%Y-%m-%d %H:%M}" if token.expires_at else badge("in use", "good")


def tokens_table(partner: Partner) -> Table:
    rows = (
        [
            token.get_kind_display(), f"…{token.last_four}", moment(token.created_at), moment(token.last_used_at),
            token_state(token),
        ]
        for token in partner.inbound_tokens.order_by("-pk")[:5]
    )  # fmt: skip
    headers = ["Kind", "Ends in", "Issued", "Last used", "State"]
    return Table("Tokens it presents to us", CredentialsToken, headers, rows, empty="None yet.")


@admin.register(Party)
class PartyAdmin(Page):
    """Who owns objects. Moving a party to another partner is what lets that partner write for it (decision 16)."""

    list_display = ["__str__", "name", "partner_link", "claimed"]
    list_select_related = ["partner", "claimed_by"]
    list_filter = [("claimed_by", admin.EmptyFieldListFilter)]
    search_fields = ["party_id__iexact", "name", "country_code__iexact"]
    search_help_text = "Party id, name, country"
    readonly_fields = ["country_code", "party_id", "claimed"]
    fields = [("country_code", "party_id"), "name", ("partner", "claimed")]
    autocomplete_fields = ["partner"]
    actions_detail = ["approve", "reject"]

    def get_readonly_fields(self, request, obj=None):
        """While an agreement names the connection, it is changed there."""
        is_agreed = obj and obj.agreements.filter(agreements.holding(agreements.day_of(timezone.now()))).exists()
        return [*super().get_readonly_fields(request, obj), *(["partner"] if is_agreed else [])]

    def get_tables(self, request, party):
        yield agreements_table(party)

    def has_add_permission(self, request, obj=None):
        """Parties come with invitations and handshakes."""
        return False

    @display(description="Reached through", ordering="partner__name")
    def partner_link(self, party):
        return link(party.partner)

    @display(description="Waits to be approved for", ordering="claimed_by__name")
    def claimed(self, party):
        return link(party.claimed_by)

    @act("Approve", permission="partners.change_party", icon="check",
         question="The partner that claims it reads and writes for it from now on, and what it sent is taken.")  # fmt: skip
    def approve(self, request, party, form):
        try:
            partner = scope.approve(party)
        except ValueError as error:
            raise Refused(str(error)) from error
        return f"{partner} speaks for {party} now."

    @act("Reject", permission="partners.change_party", icon="block", variant=ActionVariant.DANGER,
         question="The partner does not speak for it; what it sent of it stays in quarantine.")  # fmt: skip
    def reject(self, request, party, form):
        try:
            scope.reject(party)
        except ValueError as error:
            raise Refused(str(error)) from error
        return f"The claim on {party} is rejected."


def agreements_table(party: Party) -> Table:
    today = agreements.day_of(timezone.now())
    rows = (
        [
            link(row, row.valid_from), row.valid_until or "–", validity(row, today), row.partner.name,
            row.get_commercial_model_display(), row.currency or "any",
        ]
        for row in party.agreements.select_related("party", "partner").order_by("-valid_from")[:20]
    )  # fmt: skip
    headers = ["From", "Until", "", "Reached through", "Who sells", "Currency"]
    return Table("Agreements", Agreement, headers, rows, empty="None: nothing is expected of it.")


def not_as_agreed_table(agreement: Agreement) -> Table:
    """The last of a month; all of them are on their CDRs' pages."""
    since = timezone.now() - timedelta(days=30)
    found = Finding.objects.filter(code="DEAL", cdr__party=agreement.party_id, cdr__received_at__gt=since)
    rows = (
        [link(one.cdr, one.cdr.ocpi_id), moment(one.cdr.received_at), one.reason]
        for one in found.select_related("cdr__party").order_by("-cdr__received_at", "-cdr")[:20]
    )
    title = f"CDRs that came not as agreed, of the last 30 days: {found[:1000].count()}"
    return Table(title, Finding, ["CDR", "Came", "What"], rows)


def validity(agreement: Agreement, today) -> str:
    if agreement.holds_on(today):
        return badge("holds", "good")
    return badge("ended") if agreement.valid_from <= today else badge("to come", "new")


class ShownAccountInline(Rows):
    """Only of use where the agreement says that it sees those of some accounts alone."""

    model = ShownAccount
    verbose_name = "account"
    hide_title = True
    can_delete = True
    autocomplete_fields = ["account"]

    def has_delete_permission(self, request, obj=None):
        """To take one out is to change the agreement, and is kept as such."""
        return self.has_change_permission(request, obj)


class HoldsFilter(Conditions):
    title = "holds"
    parameter_name = "holds"
    conditions = {
        "now": ("today", lambda: agreements.holding(agreements.day_of(timezone.now()))),
        "ending": ("ends within a month", lambda: agreements.ending(agreements.day_of(timezone.now()))),
    }


@admin.register(Agreement)
class AgreementAdmin(Page):
    """What we and a party agreed on, with its days (BIL-02)."""

    list_display = [
        "party",
        "valid_from",
        "valid_until",
        "holds",
        "partner",
        "commercial_model",
        "currency",
        "payment_days",
    ]
    list_filter = [HoldsFilter, "commercial_model", "partner"]
    list_select_related = ["party", "partner"]
    search_fields = ["party__party_id__iexact", "party__name", "partner__name"]
    search_help_text = "Party id, name of the party or partner"
    autocomplete_fields = ["party", "partner"]
    readonly_fields = ["holds"]
    fieldsets = [
        (None, {"fields": [("partner", "party"), ("valid_from", "valid_until", "holds")]}),
        ("Money", {"fields": [("commercial_model", "currency"), ("payment_days", "dispute_days")]}),
        ("What to expect", {
            "fields": [("sends_sessions", "may_credit", "may_be_free"), "cdr_days"],
            "description": "What comes otherwise is marked DEAL on the CDR's page, and billed and paid all the same.",
        }),
        ("Our cards", {"fields": ["cards"]}),
    ]  # fmt: skip
    inlines = [ShownAccountInline]

    @display(description="Holds")
    def holds(self, agreement):
        return validity(agreement, agreements.day_of(timezone.now())) if agreement.pk else "–"

    def get_readonly_fields(self, request, obj=None):
        """Whom it is with is what it is; another party needs another agreement."""
        return [*super().get_readonly_fields(request, obj), *(["party"] if obj else [])]

    def save_model(self, request, obj, form, change):
        super().save_model(request, obj, form, change)
        agreements.take_routes(timezone.now())
        ring("apps.charging.tasks.look_again")
        ring("apps.tokens.tasks.enlist_tokens")

    def get_tables(self, request, agreement):
        yield not_as_agreed_table(agreement)


@admin.register(Alarm)
class AlarmAdmin(Record):
    """What partners do that somebody has to look at."""

    list_display = ["last", "partner", "kind", "reason", "count", "state"]
    list_filter = [("settled_at", admin.EmptyFieldListFilter), "kind", "partner"]
    list_select_related = ["partner"]
    fields = [("kind", "partner", "state"), "reason", ("count", "first_at", "last_at", "settled_at")]
    actions_detail = ["settle"]

    @display(description="Last", ordering="last_at")
    def last(self, alarm):
        return moment(alarm.last_at)

    @display(description="State", ordering="settled_at")
    def state(self, alarm):
        return badge("settled") if alarm.settled_at else badge("open", "bad")

    @act("Settle", permission="partners.change_alarm", icon="check",
         question="You have looked at it. If it happens again, it is said again.")  # fmt: skip
    def settle(self, request, alarm, form):
        try:
            alarms.settle(alarm, timezone.now())
        except ValueError as error:
            raise Refused(str(error)) from error
        return "Settled."


class OutcomeFilter(admin.SimpleListFilter):
    title = "outcome"
    parameter_name = "outcome"
    CONDITIONS = {
        "taken": ("taken", Q(status_code__lt=2000, http_status__lt=400)),
        "refused": ("refused: 2xxx", Q(status_code__range=(2000, 2999))),
        "failed": ("failed: 3xxx, 4xxx, 5xx", Q(status_code__gte=3000) | Q(http_status__gte=500)),
        "none": ("no answer", Q(http_status=None)),
    }

    def lookups(self, request, model_admin):
        return [(name, words) for name, (words, _) in self.CONDITIONS.items()]

    def queryset(self, request, queryset):
        return queryset.filter(self.CONDITIONS[self.value()][1]) if self.value() in self.CONDITIONS else queryset


@admin.register(Exchange)
class ExchangeAdmin(Record):
    """Every call in and out, its bytes as they were; tokens are in none of them."""

    list_display = ["when", "partner", "direction", "method", "short_url", "http", "ocpi", "took", "error"]
    list_filter = ["direction", OutcomeFilter, "module", "partner", "method"]
    list_select_related = ["partner"]
    search_fields = ["object_id__iexact", "request_id__exact", "correlation_id__exact"]
    search_help_text = "Id of an object or of a card, request id, correlation id"
    fields = [
        ("when", "partner", "direction", "took"), ("module", "object_id"), ("method", "url"), ("http", "ocpi", "error"),
        ("request_id", "correlation_id"), "sent", "answered",
    ]  # fmt: skip

    def get_queryset(self, request):
        return super().get_queryset(request).defer("request_body", "response_body")

    def get_search_results(self, request, queryset, search_term):
        """A card is found by its uid, though only the mark that stands for it is kept."""
        found, may_repeat = super().get_search_results(request, queryset, search_term)
        card = search_term.strip()
        return (found | queryset.filter(object_id__iexact=marks.mark(card)) if card else found), may_repeat

    @display(description="When", ordering="at")
    def when(self, exchange):
        return moment(exchange.at)

    @display(description="URL")
    def short_url(self, exchange):
        return exchange.url if len(exchange.url) < 70 else f"{exchange.url[:30]}…{exchange.url[-38:]}"

    @display(description="HTTP", ordering="http_status")
    def http(self, exchange):
        if exchange.http_status is None:
            return badge("no answer", "bad")
        return badge(exchange.http_status, "good" if exchange.http_status < 400 else "bad")

    @display(description="OCPI", ordering="status_code")
    def ocpi(self, exchange):
        return str(exchange.status_code or "–")

    @display(description="Took", ordering="duration")
    def took(self, exchange):
        return exchange_row(exchange)[-2]

    @display(description="Sent")
    def sent(self, exchange):
        return reading(exchange.request_body)

    @display(description="Answered")
    def answered(self, exchange):
        return reading(exchange.response_body)


def first_reason(held: Quarantined) -> str:
    reasons = [": ".join(filter(None, map(str, reason))) for reason in held.reasons]
    return f"{reasons[0]} (+{len(reasons) - 1})" if len(reasons) > 1 else "".join(reasons)


@admin.register(Quarantined)
class QuarantinedAdmin(Record):
    """What partners sent and we could not take: mend it, try it again, or dismiss it."""

    list_display = ["seen_last", "partner", "module", "ocpi_id", "why", "code", "seen", "state_badge"]
    list_filter = ["state", "module", "partner"]
    list_select_related = ["partner"]
    search_fields = ["ocpi_id__istartswith"]
    search_help_text = "Id"
    fields = [
        ("state_badge", "module", "version", "code"), "reasons_in_words", ("partner", "party", "ocpi_id"),
        ("seen", "first_seen_at", "last_seen_at", "settled_at"), "as_sent", "as_mended",
    ]  # fmt: skip
    actions_detail = ["rehearse", "mend", "retry", "dismiss"]

    @display(description="Last sent", ordering="last_seen_at")
    def seen_last(self, held):
        return moment(held.last_seen_at)

    @display(description="Why")
    def why(self, held):
        return beginning(first_reason(held))

    @display(description="Why")
    def reasons_in_words(self, held):
        reasons = ((path or "whole object", reason) for path, reason in held.reasons)
        return format_html_join("", "<strong>{}</strong>: {}<br>", reasons)

    @display(description="State", ordering="state")
    def state_badge(self, held):
        kinds = {"OPEN": "bad", "MENDED": "good", "DISMISSED": ""}
        return badge(held.get_state_display(), kinds[held.state])

    @display(description="As sent")
    def as_sent(self, held):
        return reading(held.body)

    @display(description="As mended")
    def as_mended(self, held):
        return reading(held.mended)

    def get_queryset(self, request):
        return super().get_queryset(request).select_related("partner", "party")

    def get_actions_detail(self, request, object_id):
        """A settled object is only read."""
        is_open = Quarantined.objects.filter(pk=object_id, state=Quarantined.State.OPEN).exists()
        return super().get_actions_detail(request, object_id) if is_open else []

    @action(description="Mend", permissions=["partners.change_quarantined"], url_path="mend", icon="build")
    def mend(self, request, object_id):
        """The object's text to change; what is still wrong stays beside what was typed."""
        held = get_object_or_404(Quarantined.objects.select_related("partner", "party"), pk=object_id)
        form = MendForm(request.POST or None, initial={"body": indented(held.body)})
        if form.is_valid() and mended(held, form):
            messages.success(request, f"{held} is mended and taken.")
            return go(request, url_of(held))
        return self.render(request, "admin/form.html", f"Mend {held}", form=form, button="Take it", intro=MENDING)

    @act("Try dry", permission="partners.change_quarantined", icon="science",
         question="Its bytes as sent are read and judged as if they came now, and nothing is changed by it.")  # fmt: skip
    def rehearse(self, request, held, form):
        try:
            problems = quarantine.rehearse(held, INTAKES, timezone.now())
        except ValueError as error:
            raise Refused(str(error)) from error
        if problems:
            raise Refused(f"It would be refused again: {first_reason(Quarantined(reasons=problems))}")
        return f"{held} would be taken now. Nothing was changed."

    @act("Retry", permission="partners.change_quarantined", icon="replay",
         question="Its bytes as sent are tried once more; that helps after a change of ours.")  # fmt: skip
    def retry(self, request, held, form):
        try:
            is_taken = quarantine.retry(held, INTAKES, timezone.now())
        except ValueError as error:
            raise Refused(str(error)) from error
        if not is_taken:
            raise Refused("It still cannot be taken; the reasons are those of now.")
        return f"{held} is taken."

    @act(
        "Dismiss", permission="partners.change_quarantined", icon="delete_sweep", variant=ActionVariant.DANGER,
        question="Nobody needs it any more. Its bytes stay and can be read.",
    )  # fmt: skip
    def dismiss(self, request, held, form):
        try:
            quarantine.dismiss(held, timezone.now())
        except ValueError as error:
            raise Refused(str(error)) from error
        return f"{held} is dismissed."


MENDING = "Change what is wrong. It is taken by the same way as everything that partners send; what was sent is kept."


def mended(held: Quarantined, form: MendForm) -> bool:
    try:
        quarantine.mend(held, form.cleaned_data["body"].encode(), INTAKES, timezone.now())
    except InvalidObject as error:
        for problem in error.problems:
            form.add_error(None, str(problem))
    except (OcpiError, ValueError) as error:
        form.add_error(None, str(error))
    return form.is_valid()
