"""Where drivers can charge, as the CPOs tell it."""

from decimal import Decimal

from django.contrib import admin
from django.db.models import Count, Q
from unfold.decorators import display

from apps.partners.models import Party
from apps.staff.office import Record, Table, badge, moment, quantity, reading

from .models import Connector, Evse, Location

STATUSES = {"AVAILABLE": "good", "CHARGING": "new", "OUTOFORDER": "bad", "INOPERATIVE": "bad", "REMOVED": ""}


class PartyFilter(admin.SimpleListFilter):
    """By CPO; the few parties are read once, not their objects."""

    title = "CPO"
    parameter_name = "party"

    def lookups(self, request, model_admin):
        return [(party.pk, str(party)) for party in Party.objects.all()[:200]]

    def queryset(self, request, queryset):
        return queryset.filter(party=self.value()) if (self.value() or "").isdecimal() else queryset


@admin.register(Location)
class LocationAdmin(Record):
    list_display = ["name_or_id", "ocpi_id", "party", "city", "country", "evse_count", "state", "updated"]
    list_filter = [PartyFilter, ("vanished_at", admin.EmptyFieldListFilter)]
    list_select_related = ["party"]
    search_fields = ["name", "ocpi_id__istartswith", "city__istartswith", "address"]
    search_help_text = "Name, id, city, address"
    ordering = ["party", "ocpi_id"]
    fields = [
        ("name_or_id", "ocpi_id", "party"), ("address", "postal_code", "city", "country"), ("latitude", "longitude", "time_zone"),
        ("state", "publish", "updated", "received_at"), "forgiven", "as_sent",
    ]  # fmt: skip

    def get_queryset(self, request):
        there = Count("evses", filter=~Q(evses__status="REMOVED"))
        rows = super().get_queryset(request).defer("body", "details", "content_hash")
        return rows.annotate(evse_count=there)

    @display(description="Name", ordering="name")
    def name_or_id(self, location):
        return str(location)

    @display(description="EVSEs")
    def evse_count(self, location):
        return location.evse_count

    @display(description="State", ordering="vanished_at")
    def state(self, location):
        return badge("vanished from the feed", "odd") if location.vanished_at else badge("listed", "good")

    @display(description="Last updated", ordering="last_updated")
    def updated(self, location):
        return moment(location.last_updated)

    @display(description="What we forgave")
    def forgiven(self, location):
        return "; ".join(": ".join(map(str, warning)) for warning in location.warnings) or "–"

    @display(description="As sent")
    def as_sent(self, location):
        return reading(location.body)

    def get_tables(self, request, location):
        evses = location.evses.prefetch_related("connectors").order_by("uid")
        rows = (
            [
                evse.uid, evse.evse_id or "–", badge(evse.status, STATUSES.get(evse.status, "odd")),
                "gone from a PUT of the location" if evse.removed_by_us else "–", moment(evse.last_updated),
                ", ".join(map(connector, evse.connectors.all())),
            ]
            for evse in evses[:200]
        )  # fmt: skip
        yield Table("EVSEs", Evse, ["UID", "EVSE ID", "Status", "Note", "Updated", "Connectors"], rows)


def connector(row: Connector) -> str:
    power = f" {quantity(Decimal(row.max_electric_power) / 1000, 'kW', 1)}" if row.max_electric_power else ""
    tariffs = f" ({', '.join(map(str, row.tariff_ids))})" if row.tariff_ids else ""
    return f"{row.standard} {row.power_type}{power}{tariffs}"
