"""Where drivers can charge, as the CPOs tell it."""

from datetime import datetime
from decimal import Decimal

from django.contrib import admin
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Count, OuterRef, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from unfold.decorators import action, display

from apps.ocpi.errors import OcpiError, PeerFailed
from apps.partners.models import Party
from apps.partners.taking import Outcome
from apps.staff.office import (
    Record,
    Refused,
    Table,
    act,
    badge,
    format_html_comma,
    link,
    moment,
    quantity,
    reading,
    url_of,
)
from apps.tariffs.asking import in_force, is_free

from . import refreshing
from .map import Box, Marker, View, inside, listed, markers, whole
from .models import Connector, Evse, Location
from .reading import opening_times, operator_of, planned
from .routes import shown_once

STATUSES = {"AVAILABLE": "good", "CHARGING": "new", "OUTOFORDER": "bad", "INOPERATIVE": "bad", "REMOVED": ""}


class PartyFilter(admin.SimpleListFilter):
    """By CPO; the few parties are read once, not their objects."""

    title = "CPO"
    parameter_name = "party"

    def lookups(self, request, model_admin):
        return [(party.pk, str(party)) for party in Party.objects.all()[:200]]

    def queryset(self, request, queryset):
        return queryset.filter(party=self.value()) if (self.value() or "").isdecimal() else queryset


class BoxFilter(admin.SimpleListFilter):
    """By a part of the map, which is where its address comes from."""

    title = "on the map"
    parameter_name = "box"

    def lookups(self, request, model_admin):
        return [(text, text) for text in [request.GET.get("box", "")] if Box.read(text)]

    def queryset(self, request, queryset):
        box = Box.read(self.value() or "")
        return inside(box, queryset) if box else queryset


class RouteFilter(admin.SimpleListFilter):
    """Places and EVSEs of which several partners tell, once or as often as they are told of."""

    title = "told by several"
    parameter_name = "routes"

    def lookups(self, request, model_admin):
        return [("every", "by every route")]

    def choices(self, changelist):
        first, *others = super().choices(changelist)
        return [first | {"display": "once"}, *others]

    def queryset(self, request, queryset):
        if self.value() == "every":
            return queryset
        return shown_once(queryset) if queryset.model is Location else queryset.filter(same_as=None)


FOUND = {"free": "good", "busy": "new", "down": "bad", "unknown": ""}
FETCHED = {
    Outcome.CREATED: "It is as its CPO has it now.",
    Outcome.UPDATED: "It is as its CPO has it now: something had changed.",
    Outcome.UNCHANGED: "Nothing had changed.",
    Outcome.STALE: "What its CPO has is older than what it told us before, so nothing changed.",
}
MOVES = {
    "zoom_in": ("Closer", {"closer": 2}), "zoom_out": ("Farther", {"closer": 0.5}), "west": ("West", {"right": -0.5}),
    "north": ("North", {"down": -0.5}), "south": ("South", {"down": 0.5}), "east": ("East", {"right": 0.5}),
}  # fmt: skip


@admin.register(Location)
class LocationAdmin(Record):
    list_display = ["name_or_id", "ocpi_id", "party", "also_by", "city", "country", "evse_count", "state", "updated"]
    list_filter = [PartyFilter, RouteFilter, "publish", ("vanished_at", admin.EmptyFieldListFilter), BoxFilter]
    actions_list = ["map"]
    actions_detail = ["fetch"]
    list_select_related = ["party"]
    search_fields = ["name", "ocpi_id__istartswith", "city__istartswith", "address"]
    search_help_text = "Name, id, city, address"
    ordering = ["party", "ocpi_id"]
    fields = [
        ("name_or_id", "ocpi_id", "party"), ("address", "postal_code", "city", "country"), ("on_the_map", "time_zone"),
        ("operator", "opening_times"), ("state", "publish", "updated", "received_at"), "forgiven", "as_sent",
    ]  # fmt: skip

    def get_queryset(self, request):
        there = Count("evses", filter=~Q(evses__status="REMOVED"))
        rows = super().get_queryset(request).defer("body", "details", "content_hash")
        return rows.annotate(
            evse_count=there,
            others=_partners_of(same_as__location=OuterRef("pk")),
            preferred=_partners_of(others__location=OuterRef("pk")),
        )

    @display(description="Name", ordering="name")
    def name_or_id(self, location):
        return str(location)

    @display(description="Also by")
    def also_by(self, location):
        return ", ".join(sorted({*location.others, *location.preferred} - {None})) or "–"

    @display(description="EVSEs")
    def evse_count(self, location):
        return location.evse_count

    @display(description="State", ordering="vanished_at")
    def state(self, location):
        if location.vanished_at:
            return badge("vanished from the feed", "odd")
        return badge("private") if location.publish is False else badge("listed", "good")

    @display(description="Last updated", ordering="last_updated")
    def updated(self, location):
        return moment(location.last_updated)

    @display(description="Coordinates")
    def on_the_map(self, location):
        if location.latitude is None:
            return "–"
        at = f"{location.latitude.normalize():f}, {location.longitude.normalize():f}"
        return format_html('<a class="text-link" href="{}">{}</a>', map_url(box_at(location)), at)

    @display(description="Operator")
    def operator(self, location):
        return operator_of(location) or "–"

    @display(description="Opening hours")
    def opening_times(self, location):
        return opening_times(location) or "not told"

    @display(description="What we forgave")
    def forgiven(self, location):
        return "; ".join(": ".join(map(str, warning)) for warning in location.warnings) or "–"

    @display(description="As sent")
    def as_sent(self, location):
        return reading(location.body)

    @action(description="Map", permissions=["view"], url_path="map", icon="map")
    def map(self, request):
        box = Box.read(request.GET.get("box", ""))
        view = View.around(box) if box else whole()
        found = [(marker, address_of(marker), named(marker)) for marker in markers(view)]
        moves = [(icon, label, map_url(view.moved(**by).box)) for icon, (label, by) in MOVES.items()]
        context = {"view": view, "markers": found, "moves": moves, "total": sum(marker.count for marker, *_ in found)}
        return self.render(
            request, "admin/map.html", "Map", **context, table=table_of(found), everything=map_url(),
            here=url_of(Location, box=view.box), unplaced=listed().filter(latitude=None).count(),
        )  # fmt: skip

    @act("Fetch anew", permission="partners.change_feed", icon="refresh",
         question="Its CPO is asked how this location is now, with its EVSEs and their status.")  # fmt: skip
    def fetch(self, request, location, form):
        try:
            taken = refreshing.refresh(location.party, location.ocpi_id, timezone.now())
        except (PeerFailed, OcpiError) as error:
            raise Refused(f"It did not come: {error}") from error
        if taken.is_kept_aside:
            raise Refused(f"It came and cannot be taken: {'; '.join(map(str, taken.problems[:5]))}")
        return FETCHED[taken.outcome]

    def get_tables(self, request, location):
        evses = location.evses.select_related(SHOWN).prefetch_related("connectors", OTHERS).order_by("uid")[:200]
        prices = prices_at(location, evses, timezone.now())
        rows = (
            [
                link(evse, evse.uid), evse.evse_id or "–", badge(evse.status, STATUSES.get(evse.status, "odd")),
                "gone from a PUT of the location" if evse.removed_by_us else routes_of(evse), moment(evse.last_updated),
                planned(evse) or "–", ", ".join(connector(row, prices) for row in evse.connectors.all()),
            ]
            for evse in evses
        )  # fmt: skip
        yield Table("EVSEs", Evse, ["UID", "EVSE ID", "Status", "Note", "Updated", "Planned", "Connectors"], rows)


def prices_at(location: Location, evses, now: datetime) -> dict[str, str]:
    """Tariffs in words, by id in upper case; what we do not know is not among them."""
    named = [tariff_id for evse in evses for row in evse.connectors.all() for tariff_id in row.tariff_ids]
    known = in_force(location.party, named, now)
    return {key: f"{tariff}: free" if is_free(tariff) else str(tariff) for key, tariff in known.items()}


SHOWN, OTHERS = "same_as__location__party__partner", "others__location__party__partner"


def routes_of(evse: Evse) -> str:
    """By which other routes it is told of, and whether one of them is preferred."""
    shown = [format_html("shown as that of {}", link(evse.same_as, told_by(evse.same_as)))] if evse.same_as else []
    others = [format_html("also by {}", link(other, told_by(other))) for other in evse.others.all()[:10]]
    notes = [*shown, *others]
    return format_html_comma(notes)


def told_by(evse: Evse) -> str:
    party = evse.location.party
    return f"{party} ({party.partner or 'not connected'})"


def _partners_of(**which) -> ArraySubquery:
    return ArraySubquery(Evse.objects.filter(**which).values("location__party__partner__name").distinct()[:10])


def connector(row: Connector, prices: dict[str, str]) -> str:
    power = f" {quantity(Decimal(row.max_electric_power) / 1000, 'kW', 1)}" if row.max_electric_power else ""
    asked = [prices[tariff_id.upper()] for tariff_id in row.tariff_ids if tariff_id.upper() in prices]
    return f"{row.standard} {row.power_type}{power} ({', '.join(asked) or 'price unknown'})"


def map_url(box: Box | None = None) -> str:
    return reverse("admin:locations_location_map") + (f"?box={box}" if box else "")


def box_at(location: Location) -> Box:
    longitude, latitude = float(location.longitude), float(location.latitude)
    return Box(longitude, latitude, longitude, latitude).widened()


def address_of(marker: Marker) -> str:
    """Its location; or a closer look; or, where that would show no more, the list."""
    if marker.only:
        return url_of(marker.only)
    return map_url(marker.extent.widened()) if marker.can_be_parted else url_of(Location, box=marker.extent)


def named(marker: Marker) -> str:
    one = ", ".join(filter(None, [str(marker.first), marker.first.city]))
    return one if marker.only else f"{marker.count} near {marker.first.city or marker.first}"


def table_of(found: list[tuple[Marker, str, str]]) -> Table:
    """What the map shows, to read."""
    rows = (
        [
            format_html('<a class="text-link" href="{}">{}</a>', address, name),
            badge(marker.state, FOUND[marker.state]) if marker.only else f"{marker.free} with a free EVSE",
        ]
        for marker, address, name in found
    )  # fmt: skip
    return Table("", Location, ["Location", "Now"], rows, empty="No location of ours is here.").read()
