"""The form people log in with."""

from django import forms
from django.utils import timezone
from unfold.forms import AuthenticationForm

from . import logins


class LoginForm(AuthenticationForm):
    """Says the same of an account that there is not, so that nobody learns which there are."""

    def clean(self):
        username, origin = self.cleaned_data.get("username"), self.request.origin
        if not username:
            return super().clean()
        if wait := logins.admit(username, origin, timezone.now()):
            minutes = -(-wait.total_seconds() // 60)
            raise forms.ValidationError(f"Too many tries. Try again in {minutes:.0f} min.", code="locked")
        cleaned = super().clean()
        logins.succeeded(username, origin)
        return cleaned
