"""Forms of what is enrolled and sold. What a value may be is the file's to say (`fleet_file`), not theirs."""

from datetime import date, timedelta
from zoneinfo import available_timezones

from django import forms
from django.utils import timezone
from unfold.forms import BaseDialogForm
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from apps.drivers.models import Account
from apps.tokens.models import Token

from .exports import FORMATS
from .models import Plan

LARGEST_FILE = 20 * 1024 * 1024


def text(label: str, *, required: bool = False, hint: str = "", initial: str = "") -> forms.CharField:
    return forms.CharField(
        label=label, required=required, help_text=hint, initial=initial, widget=UnfoldAdminTextInputWidget
    )


def choice(label: str, choices, initial: str = "") -> forms.ChoiceField:
    return forms.ChoiceField(label=label, choices=choices, initial=initial, widget=UnfoldAdminSelectWidget)


class Plans(forms.ModelChoiceField):
    def __init__(self, **kwargs):
        super().__init__(Plan.objects.all(), widget=UnfoldAdminSelectWidget, **kwargs)

    def label_from_instance(self, plan: Plan) -> str:
        return f"{plan} ({plan.currency}, {plan.get_basis_display()})"


class DriverForm(forms.Form):
    """A driver with an account, a contract and a card. An account or driver of the same name is gone on with."""

    account = text("Account", required=True, hint="Who pays. An account of this name is used if there is one.")
    kind = choice("Kind", Account.Kind.choices)
    country = text("Country", required=True, initial="SE", hint="Two letters.")
    currency = text("Currency", required=True, initial="SEK", hint="Three letters.")
    name = text("Name on documents", hint="Empty: the account's.")
    street = text("Street")
    postal_code = text("Postal code")
    city = text("City")
    language = text("Language", initial="sv", hint="Two letters.")
    vat_id = text("VAT id")
    organisation_no = text("Organisation number")
    cost_centre = text("Cost centre")
    driver = text("Driver", required=True)
    email = text("E-mail")
    contract_id = text("Contract id", hint="Empty: the next of ours, with its check digit.")
    plan = Plans(label="Plan", required=False, empty_label="default of the currency")
    token_uid = text("Card UID", required=True, hint="As a reader shows it, such as 04A1B2C3D4E580.")
    token_type = choice("Type", Token.Type.choices)
    visual_number = text("Number printed on it")
    whitelist = choice("Whitelist", Token.Whitelist.choices, Token.Whitelist.ALLOWED)

    GROUPS = (
        ("Who pays", ("account", "kind", "country", "currency", "name", "street", "postal_code", "city", "language",
                      "vat_id", "organisation_no", "cost_centre")),
        ("Who drives", ("driver", "email", "contract_id", "plan")),
        ("The card", ("token_uid", "token_type", "visual_number", "whitelist")),
    )  # fmt: skip

    def groups(self) -> list[tuple]:
        return [(title, [self[name] for name in names]) for title, names in self.GROUPS]

    def values(self) -> dict[str, str]:
        """The cells of a line."""
        return {name: str(value or "") for name, value in self.cleaned_data.items()}


class CardForm(BaseDialogForm):
    token_uid = text("Card UID", required=True)
    token_type = choice("Type", Token.Type.choices)
    visual_number = text("Number printed on it")

    def values(self) -> dict[str, str]:
        return {name: self.cleaned_data[name] for name in ("token_uid", "token_type", "visual_number")}


class PlanForm(BaseDialogForm):
    plan = Plans(label="Plan")

    def values(self, contract, card: Token) -> dict[str, str]:
        own = {"contract_id": contract.contract_id, "token_uid": card.uid, "token_type": card.type}
        return own | {"plan": self.cleaned_data["plan"].name}


class FileForm(forms.Form):
    """A file to try or to take. Trying comes first."""

    TRY, ALL, GOOD = "try", "all", "good"

    file = forms.FileField(label="File", widget=UnfoldAdminFileFieldWidget, help_text="CSV, one line per card, UTF-8.")
    how = forms.ChoiceField(
        label="What to do", initial=TRY, widget=UnfoldAdminRadioSelectWidget,
        choices=[
            (TRY, "Try it: say what would happen, change nothing"),
            (ALL, "Take it, if every line is right"),
            (GOOD, "Take the lines that are right, and list the others"),
        ],
    )  # fmt: skip

    def clean_file(self):
        file = self.cleaned_data["file"]
        if file.size > LARGEST_FILE:
            raise forms.ValidationError("Larger than 20 MB: split it.")
        return file

    def choice(self) -> dict[str, bool]:
        how = self.cleaned_data["how"]
        return {"dry_run": how == self.TRY, "accept_good": how == self.GOOD}


class MonthField(forms.DateField):
    """A month, as its first day."""

    def __init__(self, **kwargs):
        look = {"type": "month", "class": UnfoldAdminTextInputWidget().attrs["class"]}
        super().__init__(
            input_formats=["%Y-%m"], widget=forms.DateInput(look, format="%Y-%m"), initial=last_month, **kwargs
        )


def last_month() -> date:
    return (timezone.localdate().replace(day=1) - timedelta(days=1)).replace(day=1)


class RunForm(forms.Form):
    period = MonthField(label="Month")


class ExportForm(forms.Form):
    period = MonthField(label="Month")
    file_format = choice("Format", [(name, name.upper()) for name in FORMATS])


class PaidForm(BaseDialogForm):
    paid_on = forms.DateField(
        label="Paid on", initial=timezone.localdate,
        widget=forms.DateInput({"type": "date", "class": UnfoldAdminTextInputWidget().attrs["class"]}, format="%Y-%m-%d"),
    )  # fmt: skip


class EntityForm(forms.ModelForm):
    """Codes are upper case, and the zone is one that there is."""

    def clean_country(self) -> str:
        return self.cleaned_data["country"].upper()

    def clean_time_zone(self) -> str:
        name = self.cleaned_data["time_zone"]
        if name not in available_timezones():
            raise forms.ValidationError("Not a time zone, such as Europe/Stockholm.")
        return name


class PriceForm(forms.ModelForm):
    """A price that something was charged by stays as it is (BIL-10)."""

    def clean(self) -> dict:
        if self.instance.pk and self.has_changed() and self.instance.charges.exists():
            raise forms.ValidationError("Charges were made by this price: add a row with a later first day instead.")
        return super().clean()

    def clean_country(self) -> str:
        return self.cleaned_data["country"].upper()
