"""Sending commands, each at most once: a start that comes minutes late, or twice, would surprise the driver (CMD-08).

A command is marked as sent, and that is committed, before the call begins. Whatever happens then, it is not sent again:
an answer that got lost leaves it waiting for the result, which may come all the same.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from urllib.parse import quote

from django.db import transaction

from apps.charging.commands import ACCEPTED, interface_of, preferences_of, texts
from apps.charging.models import Command
from apps.ocpi import objects
from apps.ocpi.client import Answer
from apps.ocpi.errors import WENT_NOWHERE, InvalidObject, OcpiError, PeerFailed
from apps.ocpi.versions import VERSIONS, Version, read_preferences_response
from apps.partners import clients, ourselves, peers
from apps.partners.taking import fitting
from apps.tokens.cards import cards_of, describe
from apps.work import Clock

Kind, State = Command.Kind, Command.State

TOO_LATE = timedelta(minutes=1)
LEASE = timedelta(minutes=1)
PATIENCE_S = 20
"""For what the CPO says at once; the charge point is not asked meanwhile (mod_commands, Flow)."""

USUAL_TIMEOUT_S, LONGEST_TIMEOUT_S = 60, 3600
"""Where the CPO names none (2.1.1 cannot), and where it names one that nobody would wait out (CMD-05)."""

MARGIN = timedelta(hours=1)
"""For how long after the time a result is taken (trust S45)."""


class TooLate(Exception):
    """Nobody sent it in time, or the card is no longer in order."""


def send_due(now: datetime) -> int:
    """Send what waits, one after the other; whoever runs beside this takes others. How many were sent."""
    clock, sent = Clock(now), 0
    while claimed := Command.objects.filter(state=State.REQUESTED).claim(clock(), LEASE, 1):
        sent += send(claimed[0], clock)
    return sent


def send(command: Command, clock: Clock) -> bool:
    """Send a claimed command; False where it may not or cannot be sent."""
    try:
        ask = _prepare(command, clock())
    except (TooLate, OcpiError, PeerFailed) as error:
        _leave(command, str(error))
        return False
    if not _mark_sent(command, clock()):
        return False
    _call(command, ask)
    return True


def _prepare(command: Command, now: datetime) -> Callable[[], Answer]:
    """The call, with all that needs no answer done before it counts as sent."""
    if now - command.requested_at > TOO_LATE:
        raise TooLate("it could not be sent within a minute, and now it would surprise")
    clients.require_connected(command.partner, [command.party])
    party = objects.Party(command.party.country_code, command.party.party_id)
    is_preference = command.kind == Kind.SET_PREFERENCES
    peer = peers.peer_of(command.partner, "sessions" if is_preference else "commands", patience=PATIENCE_S, them=party)
    version, url = VERSIONS[command.partner.version], interface_of(command.partner, command.kind)
    told = version.write(command.kind.lower(), _worded(command, version, now), nulls=command.partner.nulls)
    if is_preference:
        return partial(peer.put, f"{url}/{quote(command.session.ocpi_id, safe='')}/charging_preferences", told)
    return partial(peer.post, f"{url}/{command.kind}", told)


def _worded(command: Command, version: Version, now: datetime):
    """The object of the command (mod_commands, Object description)."""
    if command.kind == Kind.SET_PREFERENCES:
        return preferences_of(command)
    said = {"response_url": f"{ourselves.version_url(version)}/commands/{command.kind}/{command.reply_key}"}
    where = {"location_id": command.location_id, "evse_uid": command.evse_uid or None}
    connector = {"connector_id": command.connector_id or None}
    match command.kind:
        case Kind.START_SESSION:
            return objects.StartSession(**said, **where, **connector, **_holder(command, now))
        case Kind.STOP_SESSION:
            return objects.StopSession(**said, session_id=command.session.ocpi_id)
        case Kind.UNLOCK_CONNECTOR:
            return objects.UnlockConnector(**said, **where, **connector)
        case Kind.RESERVE_NOW:
            kept = {"expiry_date": command.reserved_until, "reservation_id": str(command.pk)}
            return objects.ReserveNow(**said, **where, **kept, **_holder(command, now))
    return objects.CancelReservation(**said, reservation_id=str(command.reservation_id))


def _holder(command: Command, now: datetime) -> dict:
    """The card it is for, as it is now."""
    card = cards_of([command.token_id], now)[command.token_id]
    if not card.is_in_order:
        raise TooLate(card.verdict[1])
    return {
        "token": describe(card, ourselves.us()),
        "authorization_reference": command.authorization_reference,
    }


def _leave(command: Command, reason: str) -> None:
    """Nothing has left us, and nothing will."""
    untold = {"state": State.UNSENT, "sent_at": None, "answerable_until": None}
    _row(command).update(**untold, due_at=None, leased_until=None, last_error=reason)


def _mark_sent(command: Command, now: datetime) -> bool:
    """False if our lease ran out and somebody else has seen to it."""
    command.sent_at = now
    ours = _row(command).filter(state=State.REQUESTED, leased_until=command.leased_until)
    return bool(ours.update(state=State.SENT, sent_at=now, **_expected(command, USUAL_TIMEOUT_S)))


def _expected(command: Command, timeout_s: int) -> dict:
    """When to give up, and until when a result is taken all the same: of a reservation until it is over (CMD-06)."""
    due = command.sent_at + timedelta(seconds=timeout_s)
    last = max(due, command.reserved_until or due)
    return {"due_at": due, "answerable_until": last + MARGIN, "leased_until": None}


def _call(command: Command, ask: Callable[[], Answer]) -> None:
    note = _note_preferences if command.kind == Kind.SET_PREFERENCES else _note_response
    try:
        answer = ask()
        with fitting(), transaction.atomic():
            note(command, answer.data or b"null")
    except PeerFailed as error:
        _note_failure(command, error)
    except InvalidObject as error:
        _row(command).update(last_error=f"the answer cannot be read: {error}")


def _note_failure(command: Command, error: PeerFailed) -> None:
    """A clear no is one, and a hub's word that it could not pass it on is none of the CPO's (TR-26). Where nobody
    answered, their server broke, or a hub lost sight of it, the result may still come."""
    if error.status_code in WENT_NOWHERE or (error.permanent and error.http_status is None):
        _leave(command, str(error))
    elif error.permanent or error.http_status == HTTPStatus.TOO_MANY_REQUESTS:
        _row(command).filter(state=State.SENT).update(state=State.REFUSED, due_at=None, last_error=str(error))
    else:
        _row(command).update(last_error=str(error))


def _note_preferences(command: Command, data: bytes) -> None:
    """The CPO's answer is all that comes (mod_sessions, PUT Method); what is no yes is kept as it said it."""
    said = read_preferences_response(data)
    state = State.DONE if said == ACCEPTED else State.REFUSED
    _row(command).update(response=said, state=state, due_at=None)


def _note_response(command: Command, data: bytes) -> None:
    """What the CPO said is kept in any case; it decides nothing where the charge point or a session was quicker."""
    told = VERSIONS[command.partner.version].read_command_response(data).object
    _row(command).update(response=told.result)
    waiting = _row(command).filter(state=State.SENT)
    if told.result != ACCEPTED:
        waiting.update(state=State.REFUSED, due_at=None, message=texts(told.message))
        return
    timeout_s = min(told.timeout, LONGEST_TIMEOUT_S) if told.timeout and told.timeout > 0 else USUAL_TIMEOUT_S
    waiting.update(state=State.ACCEPTED, message=texts(told.message), **_expected(command, timeout_s))


def _row(command: Command):
    return Command.objects.filter(pk=command.pk)
