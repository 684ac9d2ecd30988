"""The form that makes a key of our API."""

from django import forms
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from apps.drivers.models import Account

from .models import ApiKey


class AccountField(forms.CharField):
    """By its name, which is unique; nothing for all."""

    def clean(self, value) -> Account | None:
        name = super().clean(value).strip()
        found = Account.objects.filter(name=name).first()
        if name and found is None:
            raise forms.ValidationError("No account has this name.")
        return found


class KeyForm(forms.ModelForm):
    account = AccountField(
        required=False, label="Only of this account", help_text="Its name as it is in Accounts; empty: all drivers.",
        widget=UnfoldAdminTextInputWidget,
    )  # fmt: skip

    class Meta:
        model = ApiKey
        fields = ("name", "scope", "account", "pace")
        widgets = {
            "name": UnfoldAdminTextInputWidget,
            "scope": UnfoldAdminSelectWidget,
            "pace": UnfoldAdminIntegerFieldWidget,
        }
