"""What CPOs ask of us. What drivers pay are the plans."""

from django.contrib import admin
from unfold.decorators import display

from apps.locations.admin import PartyFilter
from apps.staff.office import Record, Table, badge, moment, reading

from .models import Tariff, TariffRevision


@admin.register(Tariff)
class TariffAdmin(Record):
    list_display = ["ocpi_id", "party", "currency", "type", "state", "updated"]
    list_filter = [PartyFilter, ("deleted_at", admin.EmptyFieldListFilter)]
    list_select_related = ["party"]
    search_fields = ["ocpi_id__istartswith"]
    search_help_text = "Id"
    ordering = ["party", "ocpi_id"]
    fields = [
        ("ocpi_id", "party"), ("currency", "type", "state"), ("start_date_time", "end_date_time", "updated"), "as_sent",
    ]  # fmt: skip

    def get_queryset(self, request):
        return super().get_queryset(request).defer("body", "content_hash")

    @display(description="State", ordering="deleted_at")
    def state(self, tariff):
        return badge("deleted", "odd") if tariff.deleted_at else badge("published", "good")

    @display(description="Last updated", ordering="last_updated")
    def updated(self, tariff):
        return moment(tariff.last_updated)

    @display(description="As sent")
    def as_sent(self, tariff):
        return reading(tariff.body)

    def get_tables(self, request, tariff):
        rows = (
            [moment(revision.received_at), moment(revision.last_updated), revision.version, reading(revision.body)]
            for revision in tariff.revisions.all()[:20]
        )
        headers = ["Received", "Last updated", "OCPI version", "As sent"]
        yield Table("Every content it had", TariffRevision, headers, rows)
