"""What may be asked of a partner's view, and what staff say when they make a link to it."""

import re
from datetime import UTC, datetime, timedelta

from django import forms
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from apps.partners.models import Partner

from .received import EVER, Place, Selection, State

ALL = "all"
MONTH = re.compile(rf"{ALL}|20\d\d-(0[1-9]|1[0-2])")
BELOW = re.compile(r"\d{1,17}-[01]-\d{1,18}")


class SelectionForm(forms.Form):
    """The words of an address; all may be left out. An id is looked for in all months and states."""

    month = forms.RegexField(MONTH, required=False)
    state = forms.ChoiceField(choices=State.choices, required=False)
    id = forms.CharField(max_length=255, required=False)
    below = forms.RegexField(BELOW, required=False)

    def asked(self, usual_month: str) -> dict[str, str]:
        """What the rows are chosen by, and nothing that does not count."""
        said = self.cleaned_data
        if said["id"]:
            return {"month": ALL, "state": "", "id": said["id"]}
        return {"month": said["month"] or usual_month, "state": said["state"], "id": ""}

    def selection(self, partner: Partner, asked: dict[str, str]) -> Selection:
        since, until = EVER if asked["month"] == ALL else month_of(asked["month"])
        below = Place.read(self.cleaned_data["below"]) if self.cleaned_data["below"] else None
        return Selection(partner, since, until, asked["state"], asked["id"], below)

    @property
    def problems(self) -> str:
        return " ".join(f"{name}: {' '.join(said)}" for name, said in self.errors.items())


def month_of(text: str) -> tuple[datetime, datetime]:
    """The first moment of a month in UTC, and that of the next.

    >>> [f"{at:%Y-%m-%d}" for at in month_of("2026-12")]
    ['2026-12-01', '2027-01-01']
    """
    first = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    return first, (first + timedelta(days=31)).replace(day=1)


class LinkForm(forms.Form):
    holder = forms.CharField(
        label="For", max_length=150, help_text="Who gets it: a name, or an address of e-mail.",
        widget=UnfoldAdminTextInputWidget,
    )  # fmt: skip
    days = forms.TypedChoiceField(
        label="Good for", coerce=int, initial=90, widget=UnfoldAdminSelectWidget,
        choices=[(7, "a week"), (30, "30 days"), (90, "90 days"), (365, "a year")],
    )  # fmt: skip
