"""Forms of the CDRs' page."""

from django import forms
from django.db.models import Q, QuerySet
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from apps.drivers.models import Contract
from apps.tokens.finding import drivers_like

from .models import Finding

NAMED = 5
"""How many contracts are named when a term fits several."""


class ContractField(forms.CharField):
    """One contract, found by whatever the person knows: name, e-mail, card or contract id."""

    def clean(self, value) -> Contract:
        term = super().clean(value)
        contracts = Contract.objects.filter(driver__in=drivers_like(term)).select_related("driver__account")
        found = list(contracts.order_by("contract_id")[: NAMED + 1])
        exact = [contract for contract in found if contract.contract_id == term.strip()]
        if len(exact or found) == 1:
            return (exact or found)[0]
        raise forms.ValidationError(self._told(found))

    def _told(self, found: list[Contract]) -> str:
        if not found:
            return "No contract is found by that."
        named = "; ".join(f"{contract} ({contract.driver}, {contract.driver.account})" for contract in found[:NAMED])
        return f"Several are: {named}{' and more' if len(found) > NAMED else ''}. Give the contract id."


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
