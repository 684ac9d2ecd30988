"""What staff name when they have a partner checked, and when they let it begin."""

from django import forms
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from apps.tokens.finding import find_card

from .models import Report


class CheckForm(BaseDialogForm):
    """All of it may be left out; what cannot be tried then is shown as not tried."""

    card = forms.CharField(
        label="Card", required=False, max_length=36, help_text="UID of a card of ours, to push and to charge with.",
        widget=UnfoldAdminTextInputWidget,
    )  # fmt: skip
    location_id = forms.CharField(
        label="Location of the test EVSE", required=False, max_length=255, help_text="The partner's id.",
        widget=UnfoldAdminTextInputWidget,
    )  # fmt: skip
    evse_uid = forms.CharField(
        label="Test EVSE", required=False, max_length=255, widget=UnfoldAdminTextInputWidget,
        help_text="The partner's uid of one that may be started: a real charge is made.",
    )  # fmt: skip
    wait_s = forms.IntegerField(
        label="Patience, seconds", initial=120, min_value=1, max_value=900, widget=UnfoldAdminIntegerFieldWidget,
        help_text=Report._meta.get_field("wait_s").help_text,
    )  # fmt: skip

    def clean_card(self):
        uid = self.cleaned_data["card"].strip()
        try:
            return find_card(uid) if uid else None
        except LookupError as error:
            raise forms.ValidationError(str(error)) from error

    def clean(self):
        said = super().clean()
        if bool(said.get("location_id")) != bool(said.get("evse_uid")):
            raise forms.ValidationError("A test EVSE is named by its location and its uid.")
        return said

    @property
    def wishes(self) -> dict:
        return {name: self.cleaned_data[name] for name in ("card", "location_id", "evse_uid", "wait_s")}


class LiveForm(BaseDialogForm):
    reason = forms.CharField(
        label="Why, without a report that passed", required=False, widget=UnfoldAdminTextareaWidget,
        help_text="Kept with your name. Empty if the newest report passed.",
    )  # fmt: skip
