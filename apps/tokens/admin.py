"""Cards, what charge points asked about them, and which partners know them."""

from django.contrib import admin
from django.utils import timezone
from unfold.decorators import display
from unfold.enums import ActionVariant

from apps.charging.models import Cdr, Session
from apps.drivers.admin import (
    VERDICTS,
    authorizations_table,
    card_state,
    cdrs_table,
    said_of_partners,
    sessions_table,
)
from apps.locations.models import Location
from apps.locations.publishing import private_for
from apps.partners.models import Partner
from apps.staff.office import Conditions, Page, Record, Table, act, badge, link, moment, once, url_of

from .announcing import announce, could_not_be_told, on_their_way
from .blocking import block_token, unblock_token
from .cards import shown_as
from .models import Authorization, Token


class ToldFilter(Conditions):
    title = "partners"
    parameter_name = "told"
    conditions = {
        "waiting": ("on its way to one", lambda: on_their_way(timezone.now())),
        "late": ("could not be told", could_not_be_told),
    }


@admin.register(Token)
class TokenAdmin(Page):
    list_display = ["uid", "visual_number", "type", "driver", "contract_link", "whitelist", "state"]
    list_filter = ["type", "whitelist", "is_valid", ("blocked_at", admin.EmptyFieldListFilter), ToldFilter]
    list_select_related = ["contract__driver"]
    search_fields = [
        "uid__istartswith",
        "visual_number__istartswith",
        "contract__contract_id__istartswith",
        "contract__driver__name",
    ]
    search_help_text = "UID, printed number, contract id, driver"
    readonly_fields = [
        "uid", "type", "driver", "contract_link", "issuer", "state", "known", "blocked_at", "last_updated", "version",
    ]  # fmt: skip
    fieldsets = [
        (None, {"fields": [("uid", "type"), ("driver", "contract_link"), ("state", "known")]}),
        (
            "What charge points are told",
            {"fields": [("visual_number", "whitelist", "is_valid"), ("valid_from", "expires_at")]},
        ),
        ("Behind it", {"fields": [("issuer", "version", "last_updated", "blocked_at")], "classes": ["collapse"]}),
    ]
    actions_detail = ["block", "unblock"]

    def has_add_permission(self, request, obj=None):
        """Cards come with their driver or contract: see there, or the import."""
        return False

    def lookup_allowed(self, lookup, value, request):
        return lookup == "contract__driver__id__exact" or super().lookup_allowed(lookup, value, request)

    def save_model(self, request, token, form, change):
        super().save_model(request, token, form, change)
        if form.changed_data:
            announce([token], timezone.now())

    @display(description="Driver", ordering="contract__driver__name")
    def driver(self, token):
        return link(token.contract.driver)

    @display(description="Contract", ordering="contract__contract_id")
    def contract_link(self, token):
        return link(token.contract)

    @display(description="State")
    def state(self, token):
        blocked = token.contract.driver.blocked_at
        return badge("driver is blocked", "bad") if blocked else card_state(token)

    @display(description="Partners that know")
    @once
    def known(self, token):
        return said_of_partners(token)

    def get_actions_detail(self, request, object_id):
        blocked = Token.objects.filter(pk=object_id, blocked_at__isnull=False).exists()
        hidden = "_block" if blocked else "_unblock"
        return [
            shown for shown in super().get_actions_detail(request, object_id) if not shown.action_name.endswith(hidden)
        ]

    def get_tables(self, request, token):
        by_card = {"token__id__exact": token.pk}
        yield authorizations_table(Authorization.objects.filter(token=token), url_of(Authorization, **by_card))
        yield sessions_table(Session.objects.filter(token=token), url_of(Session, **by_card))
        yield cdrs_table(Cdr.objects.filter(token=token), url_of(Cdr, **by_card))
        deliveries = token.deliveries.select_related("partner").order_by("partner__name")
        rows = (
            [
                link(told.partner),
                badge("knows", "good") if told.confirmed_version == token.version else badge("waits", "odd"),
                moment(told.confirmed_at), told.attempts, told.last_error or "–",
            ]
            for told in deliveries
        )  # fmt: skip
        yield private_table(token)
        headers = ["Partner", "Our card as it is", "Last confirmed", "Attempts", "Last error"]
        yield Table("What partners know", Partner, headers, rows, empty="No partner is told of cards.")

    @act(
        "Block", permission="change", icon="block", variant=ActionVariant.DANGER,
        question="This card is refused from now on. Partners that decide by themselves are told at once.",
    )  # fmt: skip
    def block(self, request, token, form):
        block_token(token, timezone.now())
        return f"Card {token} is blocked. {said_of_partners(token)}"

    @act("Unblock", permission="change", icon="lock_open", question="This card charges again.")
    def unblock(self, request, token, form):
        unblock_token(token, timezone.now())
        return f"Card {token} may charge again. {said_of_partners(token)}"


def private_table(token: Token) -> Table:
    """Charge points at home and of firms, which only some may be shown (LOC-05)."""
    found = private_for(shown_as(token)).select_related("party").defer("body", "details", "content_hash")
    rows = ([link(place), place.city, str(place.party)] for place in found.order_by("pk")[:20])
    return Table("Private locations it may see", Location, ["Location", "City", "CPO"], rows)


@admin.register(Authorization)
class AuthorizationAdmin(Record):
    """Every answer to "may this card charge?", with its reason."""

    list_display = ["asked_at", "partner", "token_uid", "driver", "location_id", "answer", "reason"]
    list_filter = ["allowed", "partner"]
    list_select_related = ["partner", "token__contract__driver"]
    search_fields = ["token_uid__istartswith", "reference__iexact", "location_id__istartswith"]
    search_help_text = "Card UID, reference, location id"
    ordering = ["-at"]
    fields = [
        ("asked_at", "answer"), "reason", ("partner", "location_id", "evse_uids"), ("token_uid", "token_type"), "driver",
        "reference",
    ]  # fmt: skip

    def lookup_allowed(self, lookup, value, request):
        mine = {"token__contract__driver__id__exact", "token__id__exact"}
        return lookup in mine or super().lookup_allowed(lookup, value, request)

    @display(description="When", ordering="at")
    def asked_at(self, answer):
        return moment(answer.at)

    @display(description="Driver")
    def driver(self, answer):
        return link(answer.token.contract.driver) if answer.token else "–"

    @display(description="Answer", ordering="allowed")
    def answer(self, answer):
        return badge(answer.get_allowed_display(), VERDICTS.get(answer.allowed, ""))

    def get_tables(self, request, answer):
        cdrs = Cdr.objects.filter(authorization=answer)
        yield cdrs_table(cdrs, "")
