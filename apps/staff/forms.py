"""The forms people log in with, and say again who they are."""

from django import forms
from django.utils import timezone
from unfold.forms import AuthenticationForm
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from . import logins, pauses, second_factor


class LoginForm(AuthenticationForm):
    """Says the same of an account that there is not, so that nobody learns which there are."""

    def clean(self):
        username, origin = self.cleaned_data.get("username"), self.request.origin
        if not username:
            return super().clean()
        if wait := logins.admit(username, origin, timezone.now()):
            raise forms.ValidationError(pauses.in_words(wait), code="locked")
        cleaned = super().clean()
        logins.succeeded(username, origin)
        return cleaned


class CodeInput(UnfoldAdminTextInputWidget):
    """Empty again whatever was typed: that was wrong, or is used."""

    def format_value(self, value) -> None:
        return None


def code_field(label: str, **attributes: str) -> forms.CharField:
    widget = CodeInput({"spellcheck": "false", "autocapitalize": "none"} | attributes)
    return forms.CharField(label=label, required=False, max_length=40, widget=widget)


def app_code() -> forms.CharField:
    return code_field("Code of your app", autocomplete="one-time-code", inputmode="numeric", autofocus="")


class ProofForm(forms.Form):
    """Somebody who is signed in says again who they are."""

    def __init__(self, request, data=None):
        super().__init__(data)
        self.request = request

    def clean(self):
        cleaned = super().clean()
        if not self.errors:
            self.check(self.request.user, self.request.origin, timezone.now())
        return cleaned


class CodeForm(ProofForm):
    """By a code of the app, or one of those kept for the day it is lost."""

    code = app_code()
    recovery = code_field("Recovery code", autocomplete="off")

    def check(self, user, origin, now) -> None:
        code = self.cleaned_data["code"] or self.cleaned_data["recovery"]
        if not code:
            raise forms.ValidationError("Write a code.")
        try:
            second_factor.prove(user.second_factor, code, origin, now)
        except second_factor.WrongCode:
            raise forms.ValidationError("This code is not right, or was used. Wait for the next one.") from None
        except second_factor.NotTaken as why:
            raise forms.ValidationError(str(why), code="locked") from None


class PasswordForm(ProofForm):
    """By the password, where there is no second factor."""

    password = forms.CharField(
        label="Password", widget=UnfoldAdminPasswordWidget({"autocomplete": "current-password", "autofocus": ""})
    )

    def check(self, user, origin, now) -> None:
        if wait := logins.admit(user.get_username(), origin, now):
            raise forms.ValidationError(pauses.in_words(wait), code="locked")
        if not user.check_password(self.cleaned_data["password"]):
            raise forms.ValidationError("This is not your password.")
        logins.succeeded(user.get_username(), origin)


class EnrolForm(forms.Form):
    """The first code of an app."""

    code = app_code()
