"""Start, steer and stop charging from afar, and unlock connectors: a door to `charging.commands` and `dispatch`."""

import json
import time
from argparse import ArgumentTypeError
from datetime import datetime
from decimal import Decimal

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.charging import commands, dispatch
from apps.charging.models import Command as Asked
from apps.charging.models import Session
from apps.locations.finding import find_connector, find_evse
from apps.ocpi.errors import OcpiError
from apps.ocpi.objects import ChargingPreferences
from apps.ocpi.types import read_moment, read_number
from apps.ocpi.vocabulary import PROFILES
from apps.partners.models import Party
from apps.partners.scope import party_of
from apps.tokens.finding import find_card
from apps.tokens.models import Token
from emsp.management.commands.partner import party

LOOK_EVERY_S = 0.25
PASSED_ON = {Asked.State.ACCEPTED}
DONE = {Asked.State.DONE, Asked.State.PROVEN}
BY = "command line"


class Command(BaseCommand):
    help = "Ask something of a charge point, and wait for what it says; only a session shows that somebody charges."

    def add_arguments(self, parser):
        verbs = parser.add_subparsers(dest="verb", required=True)
        starting = verbs.add_parser("start", help="let a card charge")
        starting.add_argument("party", type=party)
        starting.add_argument("location", help="the CPO's id")
        starting.add_argument("evse", help="the CPO's uid")
        starting.add_argument("--card", required=True, help="its UID")
        starting.add_argument("--type", choices=Token.Type.values, default=Token.Type.RFID)
        starting.add_argument("--connector", default="", help="the CPO's id, where it must be told")
        stopping = verbs.add_parser("stop", help="end a session")
        stopping.add_argument("party", type=party)
        stopping.add_argument("session", help="the CPO's id")
        preferring = verbs.add_parser("preferences", help="tell what the driver of a session wants")
        preferring.add_argument("party", type=party)
        preferring.add_argument("session", help="the CPO's id")
        preferring.add_argument("--profile", choices=PROFILES, required=True, help="how to charge")
        preferring.add_argument("--departure", type=moment, help="when the driver leaves, such as 2026-11-29T17:00:00Z")
        preferring.add_argument("--energy", type=energy, help="kWh that are needed")
        preferring.add_argument("--discharge", action="store_true", help="the battery may be discharged meanwhile")
        unlocking = verbs.add_parser("unlock", help="free a cable that is stuck")
        unlocking.add_argument("party", type=party)
        for name in ("location", "evse", "connector"):
            unlocking.add_argument(name, help="the CPO's id")
        for verb in verbs.choices.values():
            verb.add_argument("--no-wait", action="store_true", help="be content if the CPO passes it on")
            verb.add_argument("--json", action="store_true", help="one JSON document on stdout")

    def handle(self, *, verb, **options):
        try:
            command = getattr(self, f"_{verb}")(timezone.now(), party_of(options["party"]), **options)
        except (commands.CannotCommand, OcpiError, LookupError) as error:
            raise CommandError(str(error)) from error
        dispatch.send_due(timezone.now())
        wanted = DONE | (PASSED_ON if options["no_wait"] else set())
        _wait_for(command, wanted)
        self.stdout.write(json.dumps(_told(command), ensure_ascii=False) if options["json"] else _line(command))
        if command.state not in wanted:
            raise CommandError(_line(command))

    def _start(self, now, owner, *, location, evse, card, type, connector, **_options):  # noqa: A002 named by its option
        token = find_card(card, type)
        place = find_evse(owner, location, evse)
        return commands.request_start(place, token, now, connector_id=connector, by=BY)

    def _stop(self, now, owner, *, session, **_options):
        return commands.request_stop(_session_of(owner, session), now, by=BY)

    def _preferences(self, now, owner, *, session, profile, departure, energy, discharge, **_options):
        wanted = ChargingPreferences(
            profile_type=profile, departure_time=departure, energy_need=energy, discharge_allowed=discharge
        )
        return commands.request_preferences(_session_of(owner, session), wanted, now, by=BY)

    def _unlock(self, now, owner, *, location, evse, connector, **_options):
        return commands.request_unlock(find_connector(owner, location, evse, connector), now, by=BY)


def _session_of(owner: Party, session: str) -> Session:
    found = Session.objects.filter(party=owner, ocpi_id__iexact=session).first()
    if found is None:
        raise LookupError(f"there is no session {session} of {owner}")
    return found


def moment(written: str) -> datetime:
    at = read_moment(written)
    if at is None:
        raise ArgumentTypeError(f"{written} is no time, such as 2026-11-29T17:00:00Z")
    return at


def energy(written: str) -> Decimal:
    kwh = read_number(written)
    if kwh is None:
        raise ArgumentTypeError(f"{written} is no number of kWh, such as 20 or 7.5")
    return kwh


def _wait_for(command: Asked, wanted: set) -> None:
    """A worker may have been quicker to send it, and what comes back comes to the web server."""
    command.refresh_from_db()
    while command.is_open and command.state not in wanted:
        time.sleep(LOOK_EVERY_S)
        commands.give_up(timezone.now())
        command.refresh_from_db()


def _told(command: Asked) -> dict:
    return {
        "command": command.pk,
        "kind": command.kind,
        "state": command.state,
        "response": command.response or None,
        "result": command.result or None,
        "message": command.message or None,
        "error": command.last_error or None,
        "session": command.session.ocpi_id if command.session else None,
    }


def _line(command: Asked) -> str:
    why = " ".join(filter(None, [command.response, command.result, command.message, command.last_error]))
    return f"{command}: {command.get_state_display()}" + (f" ({why})" if why else "")
