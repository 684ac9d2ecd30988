from django.contrib import admin
from unfold.decorators import display

from apps.staff.office import Record, Table, badge
from emsp.models import Invariant

COLOURS = {Invariant.Verdict.HELD: "good", Invariant.Verdict.BROKEN: "bad", Invariant.Verdict.NOT_APPLICABLE: ""}


@admin.register(Invariant)
class InvariantAdmin(Record):
    """What must always be true, as it was last found: every night, and by `manage.py invariants`."""

    list_display = ["code", "rule", "found", "count", "inspected_at"]
    list_filter = ["verdict"]
    fields = ["code", "rule", "found", "reason", "count", "seconds", "inspected_at"]
    readonly_fields = ["found"]

    @display(description="found")
    def found(self, invariant):
        return badge(invariant.get_verdict_display(), COLOURS[invariant.verdict])

    def get_tables(self, request, invariant):
        rows = ([one["name"], one["fault"]] for one in invariant.faults)
        yield Table("Broken by", Invariant, ["What", "How"], rows, empty="Nothing.")
