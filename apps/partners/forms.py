"""Forms of the partners' pages."""

import re

from django import forms
from unfold.forms import BaseDialogForm
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from apps.ocpi import objects

from .models import Feed, Partner
from .quirks import PRESETS

PARTY = re.compile(r"([A-Za-z]{2})[*-]?([A-Za-z0-9]{3})")
"""Printed SE*LAD; SE-LAD and SELAD are read too (decision 36)."""

PRIVATE = "May use http and the hosts named in OCPI_PRIVATE_HOSTS. For tests only."


class PartyField(forms.CharField):
    def clean(self, value) -> objects.Party:
        text = super().clean(value)
        match = PARTY.fullmatch(text.strip())
        if match is None:
            raise forms.ValidationError("A country and three characters, such as SE*LAD.")
        return objects.Party(match[1].upper(), match[2].upper())


def private() -> forms.BooleanField:
    return forms.BooleanField(label="Private host", required=False, help_text=PRIVATE, widget=UnfoldBooleanSwitchWidget)


def name() -> forms.CharField:
    return forms.CharField(label="Name", max_length=100, widget=UnfoldAdminTextInputWidget)


class InviteForm(forms.Form):
    name = name()
    party = PartyField(label="Party", help_text="Such as SE*LAD.", widget=UnfoldAdminTextInputWidget)
    role = forms.ChoiceField(label="Role", choices=Partner.Role.choices, widget=UnfoldAdminSelectWidget)
    is_private = private()


class ConnectForm(forms.Form):
    """The token is a password: it is never shown again, also not on a form that was refused."""

    name = name()
    versions_url = forms.URLField(
        label="Their versions URL", max_length=255, assume_scheme="https", widget=UnfoldAdminTextInputWidget
    )
    token = forms.CharField(
        label="Token A", max_length=255,
        widget=forms.PasswordInput({"class": UnfoldAdminTextInputWidget().attrs["class"], "autocomplete": "off"}),
    )  # fmt: skip
    is_private = private()


class PullForm(BaseDialogForm):
    modules = forms.TypedChoiceField(
        label="What", required=False, choices=[("", "everything it offers"), *Feed.Module.choices],
        coerce=lambda module: [module], empty_value=[], widget=UnfoldAdminSelectWidget,
    )  # fmt: skip


class PresetForm(BaseDialogForm):
    preset = forms.ChoiceField(
        label="Such a platform", choices=[(name, name) for name in PRESETS], widget=UnfoldAdminSelectWidget
    )


class MendForm(forms.Form):
    body = forms.CharField(
        label="The object", strip=False, max_length=4_000_000,
        widget=UnfoldAdminTextareaWidget({"rows": 28, "spellcheck": "false", "style": "font-family: monospace; max-width: none"}),
    )  # fmt: skip
