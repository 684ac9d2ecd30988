"""What is asked of charge points: the buttons at an EVSE, and every command with how far it came."""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.contrib import admin, messages
from django.utils import timezone
from django.utils.html import format_html
from unfold.decorators import display
from unfold.enums import ActionVariant

from apps.charging import commands
from apps.charging.forms import ConnectorForm, ReservationForm, StartForm
from apps.charging.models import Command
from apps.locations.admin import SHOWN, STATUSES, PartyFilter, RouteFilter, connector, prices_at, routes_of
from apps.locations.models import Evse
from apps.staff.office import (
    Record,
    Refused,
    Table,
    act,
    badge,
    format_html_comma,
    go,
    link,
    moment,
    once,
    quantity,
    url_of,
)

COMMAND_STATES = {
    "REQUESTED": "new", "UNSENT": "bad", "SENT": "new", "REFUSED": "bad", "ACCEPTED": "new", "UNANSWERED": "odd", "FAILED": "bad",
    "DONE": "good", "PROVEN": "good", "CANCELED": "",
}  # fmt: skip


WANTING = {
    "DEPARTURE_REQUIRED": "DEPARTURE_REQUIRED: it wants to know when the driver leaves",
    "ENERGY_NEED_REQUIRED": "ENERGY_NEED_REQUIRED: it wants to know how much energy is needed",
    "NOT_POSSIBLE": "NOT_POSSIBLE: the charge point cannot do that",
    "PROFILE_TYPE_NOT_SUPPORTED": "PROFILE_TYPE_NOT_SUPPORTED: the charge point does not know this way of charging",
}
"""Answers to preferences (mod_sessions, ChargingPreferencesResponse)."""


def preferences_in_words(command: Command) -> str:
    wanted = commands.preferences_of(command)
    parts = [
        wanted.profile_type.lower(),
        wanted.departure_time and format_html("until {}", moment(wanted.departure_time)),
        wanted.energy_need is not None and f"{quantity(wanted.energy_need, 'kWh')}",
        wanted.discharge_allowed and "may be discharged meanwhile",
    ]
    return format_html_comma(part for part in parts if part)


def command_badge(command: Command) -> str:
    return badge(command.get_state_display(), COMMAND_STATES[command.state])


def follow(request, ask: Callable[[datetime, str], Command]):
    """Ask it of the CPO, and go to where one sees what becomes of it."""
    try:
        command = ask(timezone.now(), request.user.get_username())
    except commands.CannotCommand as error:
        raise Refused(str(error)) from error
    messages.success(request, f"{command.partner} is asked.")
    return go(request, url_of(command))


def commands_table(rows) -> Table:
    """What was asked of charge points, the newest first."""
    found = rows.select_related("party", "token", "session").order_by("-pk")[:20]
    cells = (
        [
            link(one, moment(one.requested_at)), one.get_kind_display(), link(one.token), command_badge(one),
            link(one.session), one.requested_by or "–",
        ]
        for one in found
    )  # fmt: skip
    return Table("Commands", Command, ["Asked", "For what", "Card", "State", "Session", "By"], cells)


@admin.register(Command)
class CommandAdmin(Record):
    list_display = ["asked", "kind", "party", "place", "card", "state", "answers", "shown_by", "requested_by"]
    list_filter = ["state", "kind", PartyFilter]
    list_select_related = ["party", "token", "session"]
    page_select_related = ("party__partner", "partner", "token__contract__driver", "session", "reservation__party")
    search_fields = ["token__uid__istartswith", "location_id__istartswith", "evse_uid__istartswith"]
    search_help_text = "Card UID, location id, EVSE UID"
    fields = [
        ("state", "kind", "party", "partner"), ("place", "connector_id", "card", "driver"),
        ("shown_by", "reservation_link", "reserved", "authorization_reference"), "wish",
        ("asked", "requested_by", "sent"), ("answers", "answered", "unanswered", "proven"), ("message", "last_error"),
    ]  # fmt: skip
    actions_detail = ["cancel"]

    @display(description="Asked", ordering="requested_at")
    def asked(self, command):
        return moment(command.requested_at)

    @display(description="Sent")
    def sent(self, command):
        return moment(command.sent_at)

    @display(description="Charge point answered")
    def answered(self, command):
        late = " (late)" if command.is_late else ""
        return f"{moment(command.result_at)}{late}" if command.result_at else "–"

    @display(description="Given up")
    def unanswered(self, command):
        return moment(command.unanswered_at)

    @display(description="Shown by the session")
    def proven(self, command):
        return moment(command.proven_at)

    @display(description="Reserved until")
    def reserved(self, command):
        return moment(command.reserved_until)

    @display(description="Preferences")
    def wish(self, command):
        return preferences_in_words(command) if command.preferences else "–"

    @display(description="State", ordering="state")
    def state(self, command):
        return command_badge(command)

    @display(description="Place")
    def place(self, command):
        return " ".join(filter(None, [command.location_id, command.evse_uid])) or "–"

    @display(description="Card")
    def card(self, command):
        return link(command.token)

    @display(description="Driver")
    def driver(self, command):
        return link(command.token.contract.driver) if command.token else "–"

    @display(description="Session")
    def shown_by(self, command):
        return link(command.session)

    @display(description="Reservation")
    def reservation_link(self, command):
        return link(command.reservation)

    @display(description="CPO, charge point")
    def answers(self, command):
        if command.preferences:
            return WANTING.get(command.response, command.response or "–")
        return f"{command.response or '–'}, {command.result or '–'}"

    def get_actions_detail(self, request, object_id):
        command = Command.objects.filter(pk=object_id).first()
        held = command is not None and commands.may_be_cancelled(command, timezone.now())
        return super().get_actions_detail(request, object_id) if held else []

    @act(
        "Cancel the reservation", permission="charging.add_command", icon="event_busy",
        question="The CPO is asked to free the EVSE. The reservation may cost something all the same.",
    )  # fmt: skip
    def cancel(self, request, command, form):
        return follow(request, lambda now, by: commands.request_cancellation(command, now, by=by))


@admin.register(Evse)
class EvseAdmin(Record):
    """Where one stands at a charge point: what it is, what was asked of it, and what can be asked."""

    list_display = ["uid", "evse_id", "place", "party", "state", "updated"]
    list_filter = ["status", RouteFilter]
    list_select_related = ["location__party"]
    page_select_related = ("location__party__partner", SHOWN)
    search_fields = ["evse_id__istartswith", "uid__istartswith", "location__name", "location__ocpi_id__istartswith"]
    search_help_text = "EVSE ID, UID, location"
    ordering = ["location", "uid"]
    fields = [
        ("uid", "evse_id", "state"),
        ("place", "party", "updated"),
        ("capabilities", "physical_reference", "routes"),
    ]
    actions_detail = ["start", "reserve", "unlock"]

    @display(description="Location", ordering="location")
    def place(self, evse):
        return link(evse.location)

    @display(description="CPO")
    def party(self, evse):
        return evse.location.party

    @display(description="Status", ordering="status")
    def state(self, evse):
        return badge(evse.status, STATUSES.get(evse.status, "odd"))

    @display(description="Last updated", ordering="last_updated")
    def updated(self, evse):
        return moment(evse.last_updated)

    @display(description="Can do")
    def capabilities(self, evse):
        return ", ".join(map(str, evse.details.get("capabilities") or ())) or "its CPO does not say"

    @display(description="Other routes")
    @once
    def routes(self, evse):
        return routes_of(evse)

    @display(description="On it is written")
    def physical_reference(self, evse):
        return evse.details.get("physical_reference") or "–"

    @act(
        "Start", permission="charging.add_command", icon="play_arrow", form=StartForm, variant=ActionVariant.PRIMARY,
        question="The CPO is asked to let this card charge here, now. That it does so only a session shows.",
    )  # fmt: skip
    def start(self, request, evse, form):
        card, connector = form.cleaned_data["card"], form.cleaned_data["connector"]
        named = connector.ocpi_id if connector else ""
        return follow(request, lambda now, by: commands.request_start(evse, card, now, connector_id=named, by=by))

    @act(
        "Reserve", permission="charging.add_command", icon="event_available", form=ReservationForm,
        question="The CPO is asked to keep this EVSE for the card. It may cost something, also if nobody comes.",
    )  # fmt: skip
    def reserve(self, request, evse, form):
        card, length = form.cleaned_data["card"], timedelta(minutes=form.cleaned_data["minutes"])
        return follow(request, lambda now, by: commands.request_reservation(evse, card, now + length, now, by=by))

    @act(
        "Unlock a connector", permission="charging.add_command", icon="lock_open", form=ConnectorForm, button="Unlock",
        question="Only where a cable is stuck after a session, and with the driver on the telephone.",
    )  # fmt: skip
    def unlock(self, request, evse, form):
        connector = form.cleaned_data["connector"]
        return follow(request, lambda now, by: commands.request_unlock(connector, now, by=by))

    def get_tables(self, request, evse):
        prices = prices_at(evse.location, [evse], timezone.now())
        rows = ([one.ocpi_id, connector(one, prices)] for one in evse.connectors.all()[:50])
        yield Table("Connectors", Evse, ["Id", "Kind"], rows)
        at = {"location_id": evse.location.ocpi_id, "evse_uid": evse.uid}
        yield commands_table(Command.objects.filter(party=evse.location.party_id, **at))
