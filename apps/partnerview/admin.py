"""Links that staff made for partners: for whom, until when, and when they were last opened."""

from django.conf import settings
from django.contrib import admin
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from unfold.decorators import display
from unfold.enums import ActionVariant

from apps.partners.models import Partner
from apps.staff.office import Record, Refused, act, badge, url_of

from . import links
from .models import Link


def url_of_view(address: str) -> str:
    return settings.PUBLIC_URL + reverse("partnerview_page", args=[address])


def link_state(row: Link) -> str:
    if row.revoked_at:
        return badge("taken back")
    return badge("open", "good") if row.expires_at > timezone.now() else badge("expired")


def links_of(partner: Partner) -> str:
    return format_html('<a class="text-link" href="{}">links made</a>', url_of(Link, partner__id__exact=partner.pk))


@admin.register(Link)
class LinkAdmin(Record):
    """Who may look at which partner's CDRs; the address itself is kept nowhere."""

    list_display = ["holder", "partner", "state", "expires_at", "last_seen_at", "created_by"]
    list_filter = ["partner"]
    list_select_related = ["partner"]
    search_fields = ["holder", "partner__name"]
    search_help_text = "For whom, partner"
    fields = [
        ("holder", "partner", "state"), ("created_at", "created_by", "expires_at"),
        ("last_seen_at", "revoked_at", "revoked_by"),
    ]  # fmt: skip
    readonly_fields = ["state"]
    actions_detail = ["take_back"]

    @display(description="State")
    def state(self, row):
        return link_state(row)

    @act("Take back", permission="partnerview.change_link", icon="link_off", variant=ActionVariant.DANGER,
         question="The address opens nothing from now on.")  # fmt: skip
    def take_back(self, request, row, form):
        try:
            links.take_back(row, str(request.user), timezone.now())
        except links.CannotTakeBack as error:
            raise Refused(f"{error}.") from error
        return "Taken back."
