"""Keys of our own API: made here, shown once, revoked here."""

from django.contrib import admin
from django.utils import timezone
from unfold.decorators import display
from unfold.enums import ActionVariant

from apps.staff.office import Record, Refused, act, badge, link, moment

from . import keys
from .forms import KeyForm
from .models import ApiKey


@admin.register(ApiKey)
class ApiKeyAdmin(Record):
    list_display = ["name", "scope", "for_account", "state", "last_four", "created", "created_by", "used"]
    list_filter = ["scope", ("revoked_at", admin.EmptyFieldListFilter)]
    list_select_related = ["account"]
    search_fields = ["name", "account__name__istartswith"]
    search_help_text = "Name, account"
    fields = [
        ("name", "state", "last_four"), ("scope", "for_account", "pace"), ("created", "created_by", "used"),
        ("revoked", "revoked_by"),
    ]  # fmt: skip
    actions_detail = ["revoke"]

    def has_add_permission(self, request, obj=None) -> bool:
        return request.user.has_perm("api.add_apikey")

    @display(description="Drivers of")
    def for_account(self, key):
        return link(key.account) if key.account else "all accounts"

    @display(description="State", ordering="revoked_at")
    def state(self, key):
        return badge("revoked", "bad") if key.revoked_at else badge("good", "good")

    @display(description="Made", ordering="created_at")
    def created(self, key):
        return moment(key.created_at)

    @display(description="Last used, to the hour", ordering="last_used_at")
    def used(self, key):
        return moment(key.last_used_at)

    @display(description="Revoked")
    def revoked(self, key):
        return moment(key.revoked_at)

    def add_view(self, request, form_url="", extra_context=None):
        """The key is on the page that answers, and can never be read again (trust S4)."""
        self.require(request, "api.add_apikey")
        form = KeyForm(request.POST or None)
        if not form.is_valid():
            return self.render(request, "admin/form.html", "Make an API key", form=form, button="Make", intro=MAKING)
        key, secret = keys.issue(now=timezone.now(), by=request.user.get_username(), **form.cleaned_data)
        answer = self.render(request, "admin/api_key.html", f"API key {key}", key=key, secret=secret)
        answer["Cache-Control"] = "no-store"
        return answer

    @act("Revoke", permission="api.change_apikey", icon="key_off", variant=ActionVariant.DANGER,
         question="It opens nothing from this moment on, and cannot be brought back.")  # fmt: skip
    def revoke(self, request, key, form):
        if not keys.revoke(key, timezone.now(), by=request.user.get_username()):
            raise Refused(f"{key} was revoked before.")
        return f"{key} opens nothing any more."


MAKING = "For an app or a web site of ours, or for the system of one account: see docs/api.md."
