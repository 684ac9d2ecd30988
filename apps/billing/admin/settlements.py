"""What CPOs bill us for, beside what we owe them."""

from django.contrib import admin
from django.db.models import F, Func, IntegerField
from unfold.decorators import display

from apps.billing import settlement
from apps.billing.models import BilledToUs, Payable
from apps.locations.admin import PartyFilter
from apps.partners import agreements
from apps.staff.office import Record, Table, badge, day, moment, money, reading

MOST_SHOWN = 100


@admin.register(BilledToUs)
class BilledToUsAdmin(Record):
    """A CPO's invoice as the list of its CDRs, what they come to with us, and what does not fit."""

    list_display = ["invoice_id", "party", "number_of_cdrs", "updated", "due", "state"]
    list_filter = [PartyFilter, ("deleted_at", admin.EmptyFieldListFilter)]
    list_select_related = ["party"]
    search_fields = ["invoice_id__istartswith", "ocpi_id__istartswith"]
    search_help_text = "Invoice, id of the record"
    fields = [("invoice_id", "party", "ocpi_id"), ("number_of_cdrs", "updated", "due", "state"), "as_sent"]

    def get_queryset(self, request):
        count = Func(F("cdrs"), function="jsonb_array_length", output_field=IntegerField())
        rows = super().get_queryset(request).defer("body", "content_hash").annotate(listed=count)
        return agreements.with_terms(rows, "party", "last_updated")

    @display(description="CDRs", ordering="listed")
    def number_of_cdrs(self, record):
        return record.listed

    @display(description="Last updated", ordering="last_updated")
    def updated(self, record):
        return moment(record.last_updated)

    @display(description="Due on")
    def due(self, record):
        """By the date of the record: the invoice itself comes another way."""
        return day(agreements.last_day(record.last_updated, record.payment_days))

    @display(description="State", ordering="deleted_at")
    def state(self, record):
        return badge("withdrawn by the CPO", "odd") if record.deleted_at else badge("billed", "good")

    @display(description="As sent")
    def as_sent(self, record):
        return reading(record.body)

    def get_tables(self, request, record):
        found = settlement.reconcile(record)
        owed = [
            [one.currency, one.count, *(money(sum_, one.currency) for sum_ in (one.net, one.accepted))]
            for one in found.owed
        ]
        yield Table(
            "What its CDRs come to here, net", Payable, ["Currency", "CDRs", "We owe", "Of it nothing speaks against"], owed,
            empty="No CDR of this invoice is priced here.",
        )  # fmt: skip
        yield Table("What does not fit", BilledToUs, ["CDR", "Why"], _odd(found), empty="Everything is here, once.")


WHY = {
    "gaps": badge("we have no such CDR", "bad"),
    "twice": badge("on another invoice too", "bad"),
    "unpriced": badge("not judged yet", "new"),
}


def _odd(found: settlement.Reconciled) -> list[list]:
    return [[listed, why] for kind, why in WHY.items() for listed in getattr(found, kind)[:MOST_SHOWN]]
