"""Forms of the partners' pages."""

import re

from django import forms
from django.utils import timezone
from unfold.forms import BaseDialogForm
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from apps.ocpi import objects, tls

from . import encryption
from .models import MOST_PEM, Feed, Partner
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


class PemField(forms.CharField):
    """Lines end as in files, however a browser sends them."""

    def to_python(self, value) -> str:
        text = super().to_python(value)
        return "\n".join(text.splitlines()) + "\n" if text else ""


class SecretTextarea(UnfoldAdminTextareaWidget):
    """What was typed is not on the page that answers, also not where the form was refused."""

    def format_value(self, value) -> None:
        return None


PEM = {"rows": 6, "spellcheck": "false", "autocomplete": "off", "style": "font-family: monospace; max-width: none"}


class PartnerForm(forms.ModelForm):
    """The private key is a password: it is sealed, and never shown again."""

    private_key = PemField(
        label="Private key", required=False, max_length=MOST_PEM, widget=SecretTextarea(PEM),
        help_text="PEM, without a password. Sealed and never shown; empty: the one that is kept stays.",
    )  # fmt: skip

    class Meta:
        widgets = {
            "certificate_authority": UnfoldAdminTextareaWidget(PEM),
            "client_certificate": UnfoldAdminTextareaWidget(PEM),
        }
        field_classes = {"certificate_authority": PemField, "client_certificate": PemField}

    def clean_certificate_authority(self) -> str:
        return self._read(tls.read_authorities, "certificate_authority")

    def clean_client_certificate(self) -> str:
        return self._read(tls.read_certificate, "client_certificate")

    def _read(self, reader, name: str) -> str:
        """What is there already is not judged again: it may have expired since, and is no reason to change no more."""
        pem = self.cleaned_data[name]
        if not pem or name not in self.changed_data:
            return pem
        try:
            return reader(pem, timezone.now())
        except ValueError as error:
            raise forms.ValidationError(f"Refused: {error}.") from error

    def clean(self) -> dict:
        said = super().clean()
        if "client_certificate" in said and {"client_certificate", "private_key"} & set(self.changed_data):
            try:
                encryption.fit_key(self.instance, said["client_certificate"], said.get("private_key", ""))
            except ValueError as error:
                self.add_error("private_key", f"Refused: {error}.")
        return said
