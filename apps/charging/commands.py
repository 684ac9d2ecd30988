"""What CPOs are asked to do at a charge point, and what becomes of it (mod_commands).

Asking only writes a row; `dispatch` sends it. Afterwards three tell of it, in any order and as late as they like: the
CPO, the charge point, and a session. Each is kept beside the others, and whoever knows more decides the state: a session
over a result, a result over our giving up (CMD-05).
"""

import secrets
from datetime import datetime, timedelta

import msgspec
from django.db import connection, transaction

from apps.charging.models import Command, Session
from apps.locations.finding import find_evse
from apps.locations.models import Connector, Evse
from apps.ocpi import objects, reader
from apps.ocpi.errors import InvalidObject, MissingEndpoints, PeerFailed, Problem, UnknownLocation, UnknownObject
from apps.ocpi.modules import RECEIVER, SENDER
from apps.ocpi.versions import VERSIONS
from apps.partners import clients, peers
from apps.partners.models import Partner, Party
from apps.partners.taking import fitting
from apps.tokens.authorization import Answer, authorize
from apps.tokens.models import Token
from apps.work import ring

Kind, State = Command.Kind, Command.State

SEND = "apps.charging.tasks.send_commands"
ACCEPTED, CANCELED_RESERVATION = "ACCEPTED", "CANCELED_RESERVATION"
START_STOP, UNLOCK, RESERVE, NEEDS_CONNECTOR, PREFERENCES = (
    "REMOTE_START_STOP_CAPABLE", "UNLOCK_CAPABLE", "RESERVABLE", "START_SESSION_CONNECTOR_REQUIRED",
    "CHARGING_PREFERENCES_CAPABLE",
)  # fmt: skip
OVER = frozenset({"COMPLETED", "INVALID"})
CLOCKS_DIFFER = timedelta(minutes=5)

PROVE = """
WITH told AS (
    SELECT session.*, upper(translate(session.sent_contract_id, '-* ', '')) AS contract_key
    FROM charging_session session WHERE session.id = ANY(%(ids)s::bigint[])
),
matched AS (
    SELECT told.id AS session, command.id AS command, command.kind FROM told JOIN charging_command command
        ON command.authorization_reference = lower(told.authorization_reference) AND command.party_id = told.party_id
    WHERE told.authorization_reference <> '' AND command.sent_at IS NOT NULL
    UNION ALL
    SELECT told.id, command.id, command.kind FROM told
    JOIN tokens_token card ON card.id = told.token_id OR card.contract_id IN (
        SELECT id FROM drivers_contract contract WHERE contract.key = told.contract_key AND told.contract_key <> ''
    )
    JOIN charging_command command ON command.token_id = card.id AND command.party_id = told.party_id
        AND upper(command.location_id) = upper(told.location_id)
        AND (told.evse_uid = '' OR upper(command.evse_uid) = upper(told.evse_uid))
    WHERE told.authorization_reference = '' AND command.kind IN ('START_SESSION', 'RESERVE_NOW')
        AND told.started_at BETWEEN command.sent_at - %(skew)s::interval AND command.answerable_until
    UNION ALL
    SELECT told.id, command.id, command.kind FROM told JOIN charging_command command ON command.session_id = told.id
    WHERE command.kind = 'STOP_SESSION' AND told.status = 'COMPLETED'
        AND command.state IN ('SENT', 'ACCEPTED', 'DONE', 'UNANSWERED')
),
newest AS (
    SELECT DISTINCT ON (session, kind) session, command FROM matched
    WHERE NOT EXISTS (
        SELECT FROM charging_command known
        WHERE known.session_id = matched.session AND known.kind = matched.kind AND known.state = 'PROVEN'
    ) AND NOT EXISTS (
        SELECT FROM charging_command over WHERE over.id = matched.command AND over.state IN ('PROVEN', 'CANCELED')
    )
    ORDER BY session, kind, command DESC
),
locked AS (
    SELECT id FROM charging_command WHERE id IN (SELECT command FROM newest) ORDER BY id FOR NO KEY UPDATE
)
UPDATE charging_command command
SET state = 'PROVEN', session_id = newest.session, proven_at = %(now)s, due_at = NULL, leased_until = NULL
FROM newest JOIN locked ON locked.id = newest.command
WHERE command.id = newest.command AND command.state NOT IN ('PROVEN', 'CANCELED')
"""
"""A start or reservation by the reference of our authorisation; where the CPO tells none (2.1.1 cannot), by contract,
place and time. A stop by the end of its session. Of several it is the newest, and one session proves one of a kind."""


class CannotCommand(Exception):
    """This cannot be asked of this charge point now; the text says why, for staff."""


class CardRefused(CannotCommand):
    """It is the card that may not charge; `allowed` is what a charge point would be answered."""

    def __init__(self, token: Token, answer: Answer):
        super().__init__(f"card {token}: {answer.reason}")
        self.allowed = answer.allowed


def request_start(evse: Evse, token: Token, now: datetime, *, connector_id: str = "", by: str = "") -> Command:
    """Let a card charge at an EVSE. The same wish while it is open is the same command: a second click sends nothing.

    CannotCommand if the card may not charge (CardRefused), the EVSE cannot be started from afar, or its CPO takes no commands.
    """
    _require(evse, START_STOP)
    wish = {"connector_id": connector_id or _connector_to_name(evse)}
    return _request_for(Kind.START_SESSION, evse, token, now, by, **wish)


def request_reservation(evse: Evse, token: Token, until: datetime, now: datetime, *, by: str = "") -> Command:
    """Keep an EVSE for a card until a moment. CannotCommand as for a start."""
    if until <= now:
        raise CannotCommand("a reservation ends in the future")
    _require(evse, RESERVE)
    return _request_for(Kind.RESERVE_NOW, evse, token, now, by, reserved_until=until)


def request_unlock(connector: Connector, now: datetime, *, by: str = "") -> Command:
    """Free a cable that is stuck: for the help desk alone, never for drivers themselves (CMD-07)."""
    evse = connector.evse
    _require(evse, UNLOCK)
    where = {"location_id": evse.location.ocpi_id, "evse_uid": evse.uid, "connector_id": connector.ocpi_id}
    return _request(Kind.UNLOCK_CONNECTOR, evse.location.party, now, requested_by=by, **where)


def request_stop(session: Session, now: datetime, *, by: str = "") -> Command:
    _require_running(session)
    where = {"location_id": session.location_id, "evse_uid": session.evse_uid, "connector_id": session.connector_id}
    return _request(Kind.STOP_SESSION, session.party, now, session=session, requested_by=by, **where)


def request_preferences(
    session: Session, wanted: objects.ChargingPreferences, now: datetime, *, by: str = ""
) -> Command:
    """Tell what the driver wants of a session that runs (SES-08). One wish at a time, so that the last one counts."""
    require_preferable(session)
    if wanted.departure_time and wanted.departure_time <= now:
        raise CannotCommand("the departure is in the future")
    if wanted.energy_need is not None and wanted.energy_need <= 0:
        raise CannotCommand("the energy that is needed is more than nothing")
    said = msgspec.to_builtins(wanted)
    command = _request(Kind.SET_PREFERENCES, session.party, now, session=session, preferences=said, requested_by=by)
    if command.preferences != said:
        raise CannotCommand("other preferences are on their way, and the CPO has not answered yet")
    return command


def require_preferable(session: Session) -> None:
    """CannotCommand where the CPO would take no preferences of this session; where we do not know, it says so itself."""
    _require_running(session)
    _reached_by(session.party, Kind.SET_PREFERENCES)
    try:
        evse = find_evse(session.party, session.location_id, session.evse_uid)
    except UnknownLocation:
        return
    _require(evse, PREFERENCES)


def request_cancellation(reservation: Command, now: datetime, *, by: str = "") -> Command:
    if not may_be_cancelled(reservation, now):
        raise CannotCommand(f"there is nothing to cancel: {reservation.get_state_display()}")
    return _request(Kind.CANCEL_RESERVATION, reservation.party, now, reservation=reservation, requested_by=by)


def may_be_cancelled(command: Command, now: datetime) -> bool:
    """Whether it is a reservation that the CPO may hold for us; where nobody knows, it may."""
    over = {State.REQUESTED, State.UNSENT, State.REFUSED, State.FAILED, State.CANCELED}
    return command.kind == Kind.RESERVE_NOW and command.state not in over and command.reserved_until > now


def _require_running(session: Session) -> None:
    if session.status in OVER:
        raise CannotCommand(f"session {session} is {session.status} already")


def _require(evse: Evse, capability: str) -> None:
    """What a CPO says that it cannot do is not asked of it (CMD-02); one that says nothing of capabilities may."""
    told = evse.details.get("capabilities") or ()
    if evse.status == "REMOVED" or evse.location.vanished_at:
        raise CannotCommand(f"EVSE {evse} is no longer there")
    if told and capability not in told:
        raise CannotCommand(f"EVSE {evse} is not {capability}, says its CPO")


def _connector_to_name(evse: Evse) -> str:
    """Nothing where the CPO does not ask for it (CMD-02)."""
    if NEEDS_CONNECTOR not in (evse.details.get("capabilities") or ()):
        return ""
    connectors = list(evse.connectors.values_list("ocpi_id", flat=True)[:2])
    if len(connectors) != 1:
        raise CannotCommand(f"EVSE {evse} has several connectors, and wants to be told which one")
    return connectors[0]


def _request_for(kind: Kind, evse: Evse, token: Token, now: datetime, by: str, **wish) -> Command:
    """For a card, which we authorise beforehand: the CPO will not ask (CMD-01)."""
    location = evse.location
    partner = _reached_by(location.party, kind)
    place = objects.LocationReferences(location_id=location.ocpi_id, evse_uids=(evse.uid,))
    answer = authorize(partner_id=partner.pk, uid=token.uid, token_type=token.type, references=place, now=now)
    if not answer.is_grant:
        raise CardRefused(token, answer)
    where = {"location_id": location.ocpi_id, "evse_uid": evse.uid, "authorization_reference": answer.reference}
    return _request(kind, location.party, now, token=token, requested_by=by, **where, **wish)


@transaction.atomic
def _request(kind: Kind, party: Party, now: datetime, **wish) -> Command:
    """The row is there before anything is sent: a result may come before the CPO's own answer (CMD-08)."""
    partner, key = _reached_by(party, kind), secrets.token_urlsafe(16)
    wanted = Command(kind=kind, party=party, partner=partner, reply_key=key, requested_at=now, due_at=now, **wish)
    Command.objects.bulk_create([wanted], ignore_conflicts=True)
    ring(SEND)
    return Command.objects.filter(reply_key=key).first() or _asked_already(wanted)


def _asked_already(wanted: Command) -> Command:
    """The open one in whose way it was (`command_asked_once_at_a_time`)."""
    same = {name: getattr(wanted, name) for name in ("party", "kind", "token", "session", "reservation")}
    same |= {f"{name}__iexact": getattr(wanted, name) for name in ("location_id", "evse_uid", "connector_id")}
    return Command.objects.filter(**same).order_by("-pk")[0]


def _reached_by(party: Party, kind: Kind) -> Partner:
    partner = party.partner
    if partner is None or not partner.is_connected:
        raise CannotCommand(f"{party} is not connected")
    version = VERSIONS[partner.version]
    if kind not in version.commands:
        raise CannotCommand(f"OCPI {version}, which {partner} speaks, has no {kind}")
    try:
        clients.require_connected(partner, [party])
        interface_of(partner, kind)
    except (MissingEndpoints, PeerFailed) as error:
        raise CannotCommand(str(error)) from error
    return partner


def preferences_of(command: Command) -> objects.ChargingPreferences:
    return reader.judge(command.preferences, objects.ChargingPreferences).object


def interface_of(partner: Partner, kind: str) -> str:
    """The URL under which a partner is asked; MissingEndpoints if it has none. Preferences are put to its sessions."""
    of = ("sessions", SENDER) if kind == Kind.SET_PREFERENCES else ("commands", RECEIVER)
    return peers.endpoint(partner, *of).rstrip("/")


def answerable(partner: Partner, kind: str, reply_key: str, now: datetime) -> Command:
    """The command whose result may be told at this URL, locked; UnknownObject else, whatever the reason (trust S45)."""
    rows = Command.objects.filter(partner=partner, kind=kind, reply_key=reply_key, answerable_until__gt=now)
    command = rows.select_for_update(no_key=True).first()
    if command is None:
        raise UnknownObject("There is no such command of yours here")
    return command


def settle(command: Command, told: objects.CommandResult, now: datetime) -> None:
    """Note what the charge point said, once; only a reservation may be withdrawn later (CMD-06). Call with it locked."""
    if told.result == command.result:
        return
    is_withdrawn = command.kind == Kind.RESERVE_NOW and told.result == CANCELED_RESERVATION
    if command.result and not is_withdrawn:
        raise InvalidObject([Problem("result", f"this command has its result already: {command.result}")])
    said = {"result": told.result, "result_at": now, "message": texts(told.message)}
    with fitting(), transaction.atomic():
        _move(command.pk, _state_after(command, told.result), **said)
    if command.kind == Kind.CANCEL_RESERVATION and told.result == ACCEPTED:
        _move(command.reservation_id, State.CANCELED)


def _state_after(command: Command, result: str) -> State:
    if command.kind == Kind.RESERVE_NOW and result == CANCELED_RESERVATION:
        return State.CANCELED
    if command.state == State.PROVEN:
        return State.PROVEN
    return State.DONE if result == ACCEPTED else State.FAILED


def _move(pk: int, state: State, **values) -> None:
    Command.objects.filter(pk=pk).update(state=state, due_at=None, leased_until=None, **values)


def texts(message: tuple[objects.DisplayText, ...]) -> str:
    return " / ".join(part.text for part in message)


def prove(session_ids: list[int], now: datetime) -> None:
    """See whether these sessions, just told, are what somebody asked for; called by whoever writes sessions."""
    if session_ids:
        with connection.cursor() as cursor:
            cursor.execute(PROVE, {"ids": session_ids, "now": now, "skew": CLOCKS_DIFFER})


@transaction.atomic
def give_up(now: datetime) -> int:
    """Expect nothing more of commands whose time is over. What became of them nobody knows, so they did not fail."""
    overdue = Command.objects.filter(state__in=[State.SENT, State.ACCEPTED], due_at__lte=now)
    taken = overdue.select_for_update(skip_locked=True, no_key=True).order_by("pk").values_list("pk", flat=True)
    rows = Command.objects.filter(pk__in=list(taken))
    return rows.update(state=State.UNANSWERED, unanswered_at=now, due_at=None, leased_until=None)
