"""People who work here and what they may do: Unfold's pages, groups from a migration (see emsp/roles.py)."""

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import ManyToManyField
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from . import second_factor
from .models import SecondFactor, User
from .office import Refused, act, badge, day

admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):
    """Who leaves is made inactive, because their acts are still to be read."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["username", "first_name", "last_name", "email", "is_active", "is_superuser", "proves", "last_login"]
    list_select_related = ["second_factor"]
    list_filter = ["is_active", "is_superuser", "groups"]
    filter_horizontal = []
    formfield_overrides = {ManyToManyField: {"widget": UnfoldAdminCheckboxSelectMultipleWidget}}
    fieldsets = [
        (None, {"fields": ["username", "password"]}),
        ("Person", {"fields": [("first_name", "last_name"), "email"]}),
        ("What they may do", {"fields": [("is_active", "is_staff", "is_superuser"), "groups"]}),
        ("Dates", {"fields": [("last_login", "date_joined", "proves")]}),
    ]
    readonly_fields = ["last_login", "date_joined", "proves"]
    actions_detail = ["take_second_factor_away"]

    def has_delete_permission(self, request, obj=None) -> bool:
        return False

    def has_superuser_permission(self, request, object_id=None) -> bool:
        return request.user.is_superuser

    def get_actions_detail(self, request, object_id):
        """No button that would take away nothing."""
        shown = super().get_actions_detail(request, object_id)
        return shown if SecondFactor.objects.filter(user__pk=object_id).exists() else []

    @display(description="Second factor")
    def proves(self, user):
        factor = second_factor.of(user)
        return f"since {day(factor.made_at)}" if factor else badge("none", "odd")

    @act("Take second factor away", permission="superuser", icon="phonelink_erase", variant=ActionVariant.DANGER,
         question="For who lost the telephone and the recovery codes: be sure that it is them who ask. All their sessions end, "
         "and their password alone lets them set up another.")  # fmt: skip
    def take_second_factor_away(self, request, user, form):
        if not second_factor.take_away(user):
            raise Refused(f"{user} has none.")
        self.log_change(request, user, "Took the second factor away.")
        return f"{user} logs in by password alone, and sets up another."


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    filter_horizontal = []
    autocomplete_fields = []

    def get_queryset(self, request):
        """A permission is written with its model's name."""
        return super().get_queryset(request).prefetch_related("permissions__content_type")
