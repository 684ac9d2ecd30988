"""The only writer of sessions (mod_sessions, Receiver Interface). A session is shown, never billed (SES-03).

A PUT replaces everything, a PATCH changes what it names and adds charging periods. Messages are repeated and overtake
each other; whatever the order of PATCHes, the outcome is that of the right one, because every field remembers when it
was told and a period is known by its start (decision 21, trust R8).
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

import msgspec
from django.db import connection, transaction
from django.db.models import F, TextField, Value
from django.db.models.functions import Cast, Greatest

from apps.bulk import Upsert, exact_json
from apps.charging.commands import prove
from apps.charging.matching import link_sessions
from apps.charging.models import Session, SessionPeriod
from apps.locations.finding import find_location
from apps.locations.rows import canonical_location
from apps.ocpi import objects, reader
from apps.ocpi.errors import InvalidObject, NotJson, Problem, UnknownLocation, UnknownObject
from apps.ocpi.versions import VERSIONS, Version
from apps.partners import patching, pull, quarantine
from apps.partners.models import Feed, Partner, Party
from apps.partners.taking import Incoming, Intake, Outcome, Stored, Taken

COMPLETED = "COMPLETED"

TOLD = (
    "status", "started_at", "ended_at", "energy", "currency", "cost_before_taxes", "token_uid", "token_type",
    "sent_contract_id", "authorization_reference", "location_id", "evse_uid", "connector_id",
)  # fmt: skip
CHANGING = (*TOLD, "partner", "details", "told", "whole_at", "body", "version", "last_updated", "received_at")

SESSIONS = Upsert(
    model=Session,
    columns=("party", "ocpi_id", *CHANGING),
    target="party_id, upper(ocpi_id)",
    update=CHANGING,
    guard=(
        "old.last_updated <= excluded.last_updated"
        " AND (old.status <> 'COMPLETED' OR excluded.status = 'COMPLETED')"
        " AND (old.last_updated < excluded.last_updated OR old.body <> excluded.body)"
    ),
    returning=("party", "ocpi_id", "id"),
)
"""What is older changes nothing, nor does what would reopen a completed session (SES-03), nor the very same again."""

PERIODS = Upsert(
    model=SessionPeriod,
    columns=("session", "started_at", "period", "last_updated"),
    target="session_id, started_at",
    update=("period", "last_updated"),
    guard="old.last_updated <= excluded.last_updated",
)

Key = tuple[int, str]


def put_sessions(partner: Partner, incomings: list[Incoming], now: datetime) -> list[Stored]:
    """Store whole sessions, one per key and in key order: a page of a pull, or the one of a PUT (SES-01)."""
    rows = SESSIONS.write(_row(partner, incoming, now) for incoming in incomings)
    written = {(party, ocpi_id.upper()): (pk, is_new) for party, ocpi_id, pk, is_new in rows}
    accepted = [(*written[one.key], one.object) for one in incomings if one.key in written]
    _replace_periods(accepted)
    changed = [pk for pk, *_ in accepted]
    link_sessions(changed)
    prove(changed, now)
    bodies = _bodies([one.key for one in incomings if one.key not in written])
    return [_stored(one, written.get(one.key), bodies) for one in incomings]


def _stored(incoming: Incoming, written: tuple[int, bool] | None, bodies: dict[Key, tuple]) -> Stored:
    if written:
        pk, is_new = written
        return Stored(Outcome.CREATED if is_new else Outcome.UPDATED, pk)
    pk, body = bodies[incoming.key]
    return Stored(Outcome.UNCHANGED if bytes(body) == incoming.body else Outcome.STALE, pk)


def _bodies(keys: list[Key]) -> dict[Key, tuple]:
    if not keys:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT key.party, key.id, session.id, session.body"
            " FROM unnest(%s::bigint[], %s::text[]) AS key (party, id) JOIN charging_session session"
            " ON session.party_id = key.party AND upper(session.ocpi_id) = key.id",
            [list(column) for column in zip(*keys, strict=True)],
        )
        return {(party, ocpi_id): tuple(found) for party, ocpi_id, *found in cursor.fetchall()}


def _replace_periods(sessions: list[tuple[int, bool, objects.Session]]) -> None:
    """What a PUT no longer has goes (SES-01); a session that is new has nothing to lose."""
    rows = [
        row for pk, _, session in sessions for row in _period_rows(pk, session.charging_periods, session.last_updated)
    ]
    known = [pk for pk, is_new, _ in sessions if not is_new]
    if known:
        kept = [[pk for pk, *_ in rows], [started_at for _, started_at, *_ in rows]]
        with connection.cursor() as cursor:
            cursor.execute(
                "DELETE FROM charging_sessionperiod WHERE session_id = ANY(%s) AND (session_id, started_at) NOT IN"
                " (SELECT * FROM unnest(%s::bigint[], %s::timestamptz[]))",
                [known, *kept],
            )
    PERIODS.write(rows)


def _period_rows(session: int, periods: Iterable[objects.ChargingPeriod], at: datetime) -> list[tuple]:
    """The same start is the same period; of two in one message the last counts."""
    by_start = {period.start_date_time: period for period in periods}
    return [(session, start, by_start[start], at) for start in sorted(by_start)]


def take_patch(partner: Partner, party: Party, version: Version, session_id: str, body: bytes, now: datetime) -> Stored:
    """Apply a PATCH as it was sent; one that cannot be applied is kept, and InvalidObject says why (decision 3)."""
    try:
        return _read_and_patch(partner, party, version, session_id, body, now)
    except NotJson:
        raise
    except InvalidObject as error:
        context = {"method": "PATCH", "id": session_id}
        quarantine.keep(partner, INTAKE.module, version, body, error.problems, now, party=party, context=context)
        raise


def _read_and_patch(
    partner: Partner, party: Party, version: Version, session_id: str, body: bytes, now: datetime
) -> Stored:
    owner = objects.Party(party.country_code, party.party_id)
    patch = version.read_session_patch(body, owner, undated=partner.undated_patches).object
    return patch_session(party, session_id, patch, now)


def patch_session(party: Party, session_id: str, patch: objects.SessionPatch, now: datetime) -> Stored:
    """Change what the patch names and append its periods (mod_sessions, PATCH Method; SES-02)."""
    changes = patching.said(patch, id=session_id, country_code=party.country_code, party_id=party.party_id)
    changes.pop("charging_periods", None)
    periods = () if patch.charging_periods is msgspec.UNSET else patch.charging_periods or ()
    with transaction.atomic():
        rows = Session.objects.filter(party=party, ocpi_id__iexact=session_id).select_for_update(no_key=True)
        session = rows.defer("body", "details").first()
        if session is not None:
            outcome = _patch(session, changes, periods)
            prove([session.pk], now)
            return Stored(outcome, session.pk)
    raise unknown(party, now, f"session {session_id} is not known here")


def _patch(session: Session, changes: dict, periods: tuple) -> Outcome:
    """Without `last_updated`, as 2.1.1 allows, it is applied and leaves the stored one as it is (decision 12)."""
    at = changes.pop("last_updated", None) or session.last_updated
    fresh = {name: value for name, value in changes.items() if _counts(session, name, value, at)}
    if at < session.whole_at or not (fresh or periods):
        return Outcome.STALE
    PERIODS.write(_period_rows(session.pk, periods, at))
    Session.objects.filter(pk=session.pk).update(**_columns(session, fresh, at))
    if {"cdr_token", "authorization_reference"} & fresh.keys():
        link_sessions([session.pk])
    return Outcome.UPDATED


def _counts(session: Session, name: str, value, at: datetime) -> bool:
    """Newer than what the field says; but COMPLETED stays, and comes through whenever it was told (SES-03)."""
    if name == "status" and COMPLETED in (session.status, value):
        return session.status != COMPLETED
    told = session.told.get(name)
    return told is None or datetime.fromisoformat(told) <= at


def _columns(session: Session, fresh: dict, at: datetime) -> dict:
    return _told(fresh) | {
        "details": patching.laid_over(fresh),
        "told": session.told | dict.fromkeys(fresh, at.isoformat()),
        "last_updated": Greatest(F("last_updated"), Value(at)),
    }


def _row(partner: Partner, incoming: Incoming, now: datetime) -> tuple:
    session: objects.Session = incoming.object
    details = msgspec.to_builtins(session, builtin_types=(Decimal, datetime))
    details.pop("charging_periods", None)
    told = _told(dict.fromkeys(OPTIONAL) | details)
    at = details.pop("last_updated")
    return (
        incoming.party.pk, session.id, *(told[name] for name in TOLD), partner.pk, details, {}, at, incoming.body,
        incoming.version.number, at, now,
    )  # fmt: skip


def _told(said: dict) -> dict:
    """The columns that follow from canonical fields."""
    columns = {column: said[name] for name, column in PLAIN.items() if name in said}
    columns |= {column: objects.known_id(said[name]) for name, column in OPTIONAL_TEXTS.items() if name in said}
    if "total_cost" in said:
        columns["cost_before_taxes"] = (said["total_cost"] or {}).get("before_taxes")
    if "cdr_token" in said:
        columns |= {column: said["cdr_token"].get(name) or "" for name, column in OF_TOKEN.items()}
    return columns


PLAIN = {
    "status": "status",
    "start_date_time": "started_at",
    "end_date_time": "ended_at",
    "kwh": "energy",
    "currency": "currency",
    "location_id": "location_id",
}
OPTIONAL_TEXTS = {name: name for name in ("authorization_reference", "evse_uid", "connector_id")}
OF_TOKEN = {"uid": "token_uid", "type": "token_type", "contract_id": "sent_contract_id"}
OPTIONAL = ("end_date_time", "total_cost", *OPTIONAL_TEXTS)


def find_session(party: Party, session_id: str) -> objects.Session:
    """A session of the party as its CPO would tell it now; UnknownObject if there is none."""
    found = Session.objects.filter(party=party, ocpi_id__iexact=session_id).values_list("pk", flat=True).first()
    if found is None:
        raise UnknownObject(f"session {session_id} is not known here")
    return canonical_session(found)


def place_of(party: Party, session: objects.Session) -> dict | objects.Location | None:
    """Where it is, with the session's EVSE and connector alone; else as the session brought it along, if it did."""
    try:
        place = canonical_location(find_location(party, session.location_id))
    except UnknownLocation:
        return _brought_along(party, session)
    evses = _named(place["evses"], "uid", session.evse_uid)
    return place | {
        "evses": [evse | {"connectors": _named(evse["connectors"], "id", session.connector_id)} for evse in evses]
    }


def _named(items: list[dict], key: str, wanted: str | None) -> list[dict]:
    return [item for item in items if item[key].upper() == (wanted or "").upper()]


def _brought_along(party: Party, session: objects.Session) -> objects.Location | None:
    rows = Session.objects.filter(party=party, ocpi_id__iexact=session.id)
    body, number = rows.values_list("body", "version").get()
    place = VERSIONS[number].place_in(bytes(body), objects.Party(party.country_code, party.party_id))
    return place if place and place.id.upper() == session.location_id.upper() else None


def canonical_session(pk: int) -> objects.Session:
    """What was put, with every patch on it."""
    found = Session.objects.annotate(exact=Cast("details", TextField())).only("last_updated").get(pk=pk)
    periods = SessionPeriod.objects.filter(session=pk).annotate(exact=Cast("period", TextField()))
    charging_periods = [exact_json(period.exact) for period in periods.order_by("started_at")]
    said = exact_json(found.exact) | {
        "charging_periods": charging_periods,
        "last_updated": found.last_updated.isoformat(),
    }
    return reader.judge(said, objects.Session).object


def unknown(party: Party, now: datetime, message: str) -> UnknownObject:
    """What to raise for a session we lack: we missed its PUT (decision 2)."""
    pull.missed(party, Feed.Module.SESSIONS, now)
    return UnknownObject(message)


class _Sessions(Intake):
    """A PATCH that was kept is mended as what it is, not as a whole session."""

    def attempt(self, partner, version, body, now, *, owner=None, context=None) -> Taken:
        if (context or {}).get("method") != "PATCH":
            return super().attempt(partner, version, body, now, owner=owner, context=context)
        try:
            stored = _read_and_patch(partner, owner, version, context["id"], body, now)
        except UnknownObject as error:
            return Taken(body, Outcome.REFUSED, problems=(Problem("", error.message),))
        return Taken(body, stored.outcome, stored.row)


INTAKE = _Sessions("sessions", "session", put_sessions)
