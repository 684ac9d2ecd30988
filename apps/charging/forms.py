"""Forms of the pages of CDRs and charge points."""

from django import forms
from django.db.models import Q, QuerySet
from unfold.forms import BaseDialogForm
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from apps.drivers.models import Contract
from apps.locations.models import Connector
from apps.ocpi import objects
from apps.ocpi.vocabulary import PROFILES
from apps.tokens.finding import drivers_like
from apps.tokens.models import Token

from .models import Finding

NAMED = 5
"""How many contracts are named when a term fits several."""


class FoundField(forms.CharField):
    """One row, found by whatever the person knows. Subclasses say among which (`found`) and what names one exactly."""

    noun = ""

    def found(self, term: str) -> QuerySet:
        raise NotImplementedError

    def names(self, row) -> set[str]:
        raise NotImplementedError

    def described(self, row) -> str:
        raise NotImplementedError

    def clean(self, value):
        term = super().clean(value)
        found = list(self.found(term)[: NAMED + 1])
        exact = [row for row in found if term.strip() in self.names(row)]
        if len(exact or found) == 1:
            return (exact or found)[0]
        raise forms.ValidationError(self._told(found))

    def _told(self, found: list) -> str:
        if not found:
            return f"No {self.noun} is found by that."
        named = "; ".join(map(self.described, found[:NAMED]))
        return f"Several are: {named}{' and more' if len(found) > NAMED else ''}. Give the {self.noun}'s id."


class ContractField(FoundField):
    noun = "contract"

    def found(self, term):
        contracts = Contract.objects.filter(driver__in=drivers_like(term)).select_related("driver__account")
        return contracts.order_by("contract_id")

    def names(self, contract):
        return {contract.contract_id}

    def described(self, contract):
        return f"{contract} ({contract.driver}, {contract.driver.account})"


class CardField(FoundField):
    """Also by what is on the card itself, if the driver has several."""

    noun = "card"

    def found(self, term):
        cards = Token.objects.filter(contract__driver__in=drivers_like(term)).select_related("contract__driver")
        return cards.order_by("uid")

    def names(self, card):
        return {card.uid, card.visual_number} - {""}

    def described(self, card):
        return f"{card.uid} {card.visual_number} ({card.contract.driver})"


class ContractForm(BaseDialogForm):
    contract = ContractField(
        label="Whose it is", help_text="Contract id, name, e-mail or another card of the driver.",
        widget=UnfoldAdminTextInputWidget,
    )  # fmt: skip


def releasable(cdr: int | str) -> QuerySet[Finding]:
    """Findings that hold a CDR and that somebody may let pass; whether this one may is `verdicts.why_not_released`."""
    holds = Q(driver_severity=Finding.Severity.HOLD) | Q(cpo_severity=Finding.Severity.HOLD)
    return Finding.objects.filter(holds, cdr=cdr, is_released=False).exclude(driver_severity=Finding.Severity.BLOCK)


class Findings(forms.ModelChoiceField):
    def label_from_instance(self, finding: Finding) -> str:
        return f"{finding.code}: {finding.reason}"


class FindingForm(BaseDialogForm):
    finding = Findings(Finding.objects.none(), label="Verdict", empty_label=None, widget=UnfoldAdminSelectWidget)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["finding"].queryset = releasable(self.object_id).select_related("cdr")


class CardForm(BaseDialogForm):
    card = CardField(
        label="For whom", help_text="Card, contract id, name or e-mail of the driver.",
        widget=UnfoldAdminTextInputWidget,
    )  # fmt: skip


class ReservationForm(CardForm):
    minutes = forms.IntegerField(
        min_value=1, max_value=24 * 60, initial=30, label="For how many minutes", widget=UnfoldAdminIntegerFieldWidget
    )


class ConnectorForm(BaseDialogForm):
    connector = forms.ModelChoiceField(
        Connector.objects.none(), label="Connector", empty_label=None, widget=UnfoldAdminSelectWidget
    )

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        connectors = Connector.objects.filter(evse=self.object_id)
        self.fields["connector"].queryset = connectors.select_related("evse__location__party__partner")


class StartForm(CardForm):
    connector = forms.ModelChoiceField(
        Connector.objects.none(), label="Connector", required=False, empty_label="as the CPO likes",
        widget=UnfoldAdminSelectWidget,
    )  # fmt: skip

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["connector"].queryset = Connector.objects.filter(evse=self.object_id)


class PreferencesForm(BaseDialogForm):
    """Charging preferences (mod_sessions); the time is the office's."""

    profile_type = forms.ChoiceField(
        label="How", choices=[(name, name.lower()) for name in PROFILES], widget=UnfoldAdminSelectWidget
    )
    departure_time = forms.DateTimeField(
        label="Leaves at", required=False,
        widget=forms.DateTimeInput(
            {"type": "datetime-local", "class": UnfoldAdminTextInputWidget().attrs["class"]}, format="%Y-%m-%dT%H:%M"
        ),
    )  # fmt: skip
    energy_need = forms.DecimalField(
        label="Energy needed, kWh", required=False, max_digits=7, decimal_places=3, widget=UnfoldAdminDecimalFieldWidget
    )
    discharge_allowed = forms.BooleanField(
        label="May be discharged meanwhile", required=False, widget=UnfoldBooleanSwitchWidget
    )

    @property
    def preferences(self) -> objects.ChargingPreferences:
        names = objects.ChargingPreferences.__struct_fields__
        return objects.ChargingPreferences(**{name: self.cleaned_data[name] for name in names})
