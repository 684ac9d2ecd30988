"""The only way in for a CDR: stored before it is judged, once, never changed (mod_cdrs, POST Method; trust D3).

Nothing that we lack refuses a CDR: unknown card, location, session or tariff (CDR-05). Only another content under a
known id does (CDR-02): then the first stays as it is, and the other is kept in quarantine as V-02.
"""

import uuid
from datetime import datetime

import msgspec

from apps.bulk import as_arrays, as_json, as_parameters, run_prepared
from apps.charging.matching import CONTRACT, JOINS, TOKEN, link_credits
from apps.charging.models import Cdr
from apps.charging.zones import zone_of
from apps.ocpi import objects
from apps.ocpi.errors import Problem
from apps.ocpi.versions import VERSIONS, Version, content_hash, same_cdr
from apps.partners.models import Partner
from apps.partners.recognition import Kept
from apps.partners.taking import Incoming, Intake, Outcome, Stored

EVIDENCE = {
    "public_id": "uuid", "party_id": "bigint", "partner_id": "bigint", "ocpi_id": "text", "session_id": "text",
    "authorization_reference": "text", "auth_method": "text", "token_uid": "text", "token_type": "text",
    "sent_contract_id": "text", "started_at": "timestamptz", "ended_at": "timestamptz", "energy": "numeric",
    "time": "numeric", "parking_time": "numeric", "currency": "text", "cost_before_taxes": "numeric",
    "cost_taxes": "numeric", "country": "text", "location_id": "text", "location_name": "text", "city": "text",
    "evse_uid": "text", "evse_id": "text", "is_credit": "boolean", "credit_reference_id": "text", "body": "bytea",
    "version": "text", "content_hash": "bytea", "warnings": "jsonb", "last_updated": "timestamptz",
    "received_at": "timestamptz",
}  # fmt: skip
"""The columns that the sender fills, with their types; sealed by triggers."""

COLUMNS = ", ".join(f'"{name}"' for name in EVIDENCE)

KINDS = (*EVIDENCE.values(), "text")
"""And of the zone, which follows them."""

ONE = f"SELECT {', '.join(f'%b::{kind}' for kind in KINDS)}, 1"
MANY = f"SELECT * FROM unnest({as_parameters(KINDS)}) WITH ORDINALITY"


def _accept(source: str) -> str:
    """Written, matched and placed in one statement, be it one CDR or a page of them (decision 25).

    In the order given: of two copies in a page the first is kept, and two pages that share keys lock them in one order
    and never deadlock. Returns what is new, and whether a credit is to be linked because of it.
    """
    return f"""
INSERT INTO charging_cdr AS cdr ({COLUMNS}, time_zone, token_id, contract_id, authorization_id)
SELECT {", ".join(f'told."{name}"' for name in EVIDENCE)},
    coalesce(nullif(place.time_zone, ''), told.zone), {TOKEN}, {CONTRACT}, granted.id
FROM ({source}) AS told ({COLUMNS}, zone, nth)
{JOINS}
LEFT JOIN locations_location place
    ON place.party_id = told.party_id AND upper(place.ocpi_id) = upper(told.location_id)
ORDER BY told.nth
ON CONFLICT (party_id, upper(ocpi_id)) DO NOTHING
RETURNING public_id, is_credit OR EXISTS (
    SELECT FROM charging_cdr waiting
    WHERE waiting.is_credit AND waiting.credits_id IS NULL AND waiting.party_id = cdr.party_id
        AND upper(waiting.credit_reference_id) = upper(cdr.ocpi_id)
)
"""


ACCEPT_ONE, ACCEPT_MANY = _accept(ONE), _accept(MANY)

KNOWN = """
SELECT key.party_id, key.id, cdr.public_id, cdr.content_hash, cdr.body, cdr.version, cdr.received_at
FROM unnest(%b::bigint[], %b::text[]) AS key (party_id, id)
JOIN charging_cdr cdr ON cdr.party_id = key.party_id AND upper(cdr.ocpi_id) = key.id
"""


def accept_cdrs(partner: Partner, incomings: list[Incoming], now: datetime) -> list[Stored]:
    """Store CDRs that are new, in the order given; `row` is the public id.

    The same CDR again changes nothing, also within one page. Concurrent senders of one CDR wait for each other at the
    unique index, and all but one find it stored.
    """
    if not incomings:
        return []
    rows = [evidence(partner, incoming, now) for incoming in incomings]
    written = dict(_write(rows))
    if any(written.values()):
        link_credits([public_id for public_id, is_about_credit in written.items() if is_about_credit])
    known = _known([one for one, row in zip(incomings, rows, strict=True) if row[0] not in written])
    return [
        Stored(Outcome.CREATED, row[0]) if row[0] in written else _compared(one, row, known[one.key])
        for one, row in zip(incomings, rows, strict=True)
    ]


def _write(rows: list[tuple]) -> list[tuple]:
    """One by values, which is quicker than by arrays of one."""
    if len(rows) == 1:
        return run_prepared(ACCEPT_ONE, rows[0])
    return run_prepared(ACCEPT_MANY, as_arrays(KINDS, zip(*rows, strict=True)))


def evidence(partner: Partner, incoming: Incoming, now: datetime) -> tuple:
    """The row of a CDR, in the order of EVIDENCE, and the zone of its country."""
    cdr: objects.Cdr = incoming.object
    token, place = cdr.cdr_token, cdr.cdr_location
    return (
        uuid.uuid4(), incoming.party.pk, partner.pk, cdr.id,
        cdr.session_id or (cdr.id if partner.cdr_is_session else ""), cdr.authorization_reference or "",
        cdr.auth_method, token.uid or "", token.type or "", token.contract_id, cdr.start_date_time, cdr.end_date_time,
        cdr.total_energy, cdr.total_time, cdr.total_parking_time, cdr.currency, cdr.total_cost.before_taxes,
        cdr.total_cost.tax_total, place.country, place.id, place.name or "", place.city,
        objects.known_id(place.evse_uid), objects.known_id(place.evse_id), bool(cdr.credit), cdr.credit_reference_id or "",
        incoming.body, incoming.version.number, content_hash(cdr), as_json(incoming.warnings), cdr.last_updated, now,
        zone_of(place.country),
    )  # fmt: skip


def _known(incomings: list[Incoming]) -> dict[tuple[int, str], tuple]:
    """Asked after the insert, in a statement of its own: a rival's row may have been committed while we waited."""
    if not incomings:
        return {}
    rows = run_prepared(KNOWN, [list(column) for column in zip(*(one.key for one in incomings), strict=True)])
    return {(party, ocpi_id): stored for party, ocpi_id, *stored in rows}


def _compared(incoming: Incoming, row: tuple, stored: list) -> Stored:
    """A CDR whose id is known: the same again, or another (BIL-31, decision 19)."""
    public_id, known_hash, body, version, received_at = stored
    if row[HASH] == known_hash or _says_the_same(incoming, bytes(body), version):
        return Stored(Outcome.UNCHANGED, public_id)
    reason = f"a CDR of this id, received at {received_at:%Y-%m-%dT%H:%M:%SZ}, says otherwise; a CDR cannot be changed"
    return Stored(Outcome.CONFLICT, public_id, (Problem("id", reason),))


HASH = list(EVIDENCE).index("content_hash")


def _says_the_same(incoming: Incoming, body: bytes, number: str) -> bool:
    version = VERSIONS[number]
    known = version.read_cdr(body, incoming.object.owner).object
    return same_cdr(incoming.object, known, incoming.version, version)


def find(partner: Partner, public_id: uuid.UUID) -> Cdr | None:
    """A CDR of a party whose route the partner is (trust S14)."""
    return Cdr.objects.filter(public_id=public_id, party__partner=partner).select_related("party").first()


def retell(cdr: Cdr, version: Version) -> msgspec.Raw | dict:
    """The CDR's own bytes in the version they came in, what the stair writes in another (decision 9, CDR-03)."""
    if cdr.version == version.number:
        return msgspec.Raw(bytes(cdr.body))
    owner = objects.Party(cdr.party.country_code, cdr.party.party_id)
    return version.write("cdr", VERSIONS[cdr.version].read_cdr(bytes(cdr.body), owner).object)


INTAKE = Intake("cdrs", "cdr", accept_cdrs, newest_only=False, kept=Kept(Cdr, row="public_id"))
