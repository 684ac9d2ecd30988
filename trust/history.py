"""What is here, held against the operator's ledger: nothing lost, nothing doubled, nothing invented (trust T2)."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

from django.db import connection, transaction
from django.utils import timezone

from apps.tokens.cards import read_cards
from emsp.demo import check, recount, sabotage
from emsp.demo.story import Stage
from emsp.invariants import inspecting

CDRS = """
SELECT party.country_code || '*' || party.party_id || ':' || cdr.ocpi_id, cdr.energy, cdr.cost_before_taxes, cdr.currency,
    upper(cdr.token_uid), cdr.is_credit
FROM charging_cdr cdr JOIN partners_party party ON party.id = cdr.party_id
"""
BILLED_TWICE = """
SELECT cdr.ocpi_id FROM charging_cdr cdr JOIN billing_charge charge ON charge.cdr_id = cdr.id AND charge.kind = 'USAGE'
    AND charge.reverses_id IS NULL
GROUP BY cdr.id HAVING count(*) > 1
"""
IN_TWO_STATES = """
SELECT cdr.ocpi_id FROM charging_cdr cdr JOIN billing_held held ON held.cdr_id = cdr.id
WHERE EXISTS (SELECT FROM billing_charge charge WHERE charge.cdr_id = cdr.id)
"""
NOT_JUDGED = """
SELECT cdr.ocpi_id FROM charging_cdr cdr LEFT JOIN billing_payable payable ON payable.cdr_id = cdr.id
WHERE payable.id IS NULL
"""
SESSIONS = "SELECT upper(ocpi_id), status, energy FROM charging_session"
EVSES = """
SELECT party.country_code || '*' || party.party_id || ':' || upper(evse.uid), evse.status
FROM locations_evse evse JOIN locations_location place ON place.id = evse.location_id
JOIN partners_party party ON party.id = place.party_id
"""
EFFECTS = """
SELECT 'CDRs', count(*) FROM charging_cdr UNION ALL SELECT 'sessions', count(*) FROM charging_session
UNION ALL SELECT 'EVSEs', count(*) FROM locations_evse UNION ALL SELECT 'cards', count(*) FROM tokens_token
UNION ALL SELECT 'charges', count(*) FROM billing_charge UNION ALL SELECT 'payables', count(*) FROM billing_payable
UNION ALL SELECT 'documents', count(*) FROM billing_document
UNION ALL SELECT 'calls', count(*) FROM partners_exchange WHERE direction = 'OUT'
"""
NOT_COMPARED = {"posts", "posts refused"}
"""Attempts: a web worker that dies after it stored a CDR does not say so in the log of messages."""

PLANTED = {
    "a CDR is gone": "DELETE FROM charging_cdr WHERE id = (SELECT min(id) FROM charging_cdr)",
    "a CDR is another": "UPDATE charging_cdr SET energy = energy + 1 WHERE id = (SELECT max(id) FROM charging_cdr)",
    "a CDR is owed to nobody": "DELETE FROM billing_payable WHERE id = (SELECT min(id) FROM billing_payable)",
    "a session goes on": "UPDATE charging_session SET status = 'ACTIVE' WHERE status = 'COMPLETED'",
    "a session is gone": "DELETE FROM charging_session WHERE id = (SELECT min(id) FROM charging_session)",
    "an EVSE works again": "UPDATE locations_evse SET status = 'AVAILABLE' WHERE status <> 'AVAILABLE'",
    "a card is blocked and nobody was told": "UPDATE tokens_token SET blocked_at = now() WHERE id = "
    "(SELECT min(id) FROM tokens_token WHERE blocked_at IS NULL AND expires_at IS NULL)",
}
"""What the check of every scenario must not pass over; the recount of the books has faults of its own to find."""


def complaints(stage: Stage) -> list[str]:
    """Every way in which the platform and the ledger differ, as long as nothing is issued."""
    ledgers = read(stage)
    return [
        *_differences("CDR", _cdrs_here(), _all(_cdrs_there, ledgers)),
        *_differences("session", _sessions_here(), _all(_sessions_there, ledgers)),
        *_wrong_evses(ledgers),
        *(wrong for ledger in ledgers for wrong in _differences("card", _cards_here(), _cards_there(ledger))),
        *(f"CDR {key}: charged twice" for (key,) in rows(BILLED_TWICE)),
        *(f"CDR {key}: held and charged" for (key,) in rows(IN_TWO_STATES)),
        *(f"CDR {key}: owed to nobody" for (key,) in rows(NOT_JUDGED)),
        *(
            f"CDR {one['id']}: read back as another"
            for ledger in ledgers
            for one in ledger.entries["cdr_read"]
            if _is_other(one)
        ),
        *(
            f"{found.code}, {found.rule}: {fault.name}, {fault.fault}"
            for found in inspecting.inspect(timezone.now())
            for fault in found.faults
        ),
    ]


def effects() -> dict[str, int]:
    """How much of everything there is: what is told as counted, and what nothing may add to without a reason."""
    return dict(rows(EFFECTS))


def books(stage: Stage, folder: Path) -> list[str]:
    """The demo's recount of every figure and document, from the ledger and the plan alone."""
    check.write_files(stage, folder)
    expected = recount.Expected(stage.planned(), read(stage))
    summary, wanted = json.loads((folder / "summary.json").read_text()), expected.summary()
    for said in (summary, wanted):
        said["CDRs"] = {name: figure for name, figure in said["CDRs"].items() if name not in NOT_COMPARED}
    exported = recount.read_books(folder, stage.planned()["months"])
    return [*recount.compare(summary, wanted), *exported.check(expected)]


def overlooked(stage: Stage, folder: Path) -> list[str]:
    """Planted faults that neither check sees; each is taken back at once."""
    found = []
    for name, statement in PLANTED.items():
        with _planting():
            _run(statement)
            found += [] if complaints(stage) else [name]
    for fault in sabotage.SABOTAGES.values():
        with _planting():
            fault.plant(stage.world.month)
            found += [] if books(stage, folder) else [fault.name]
    return found


@contextmanager
def _planting() -> Iterator[None]:
    with transaction.atomic():
        sabotage.without_guards()
        yield
        transaction.set_rollback(True)


def _run(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        if not cursor.rowcount:
            raise LookupError(f"nothing to spoil: {statement}")


def read(stage: Stage) -> list[recount.Ledger]:
    return [recount.read(operator.ledger, operator.role.names_cards) for operator in stage.operators]


def _all(facts, ledgers: list[recount.Ledger]) -> Counter:
    return sum(map(facts, ledgers), Counter())


def rows(statement: str) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def _differences(what: str, here: Counter, there: Counter) -> Iterator[str]:
    yield from (f"{what} {fact}: {count} too many" for fact, count in (here - there).items())
    yield from (f"{what} {fact}: missing" for fact in there - here)


def _cdrs_here() -> Counter:
    return Counter((key.upper(), *map(_plain, facts)) for key, *facts in rows(CDRS))


def _cdrs_there(ledger: recount.Ledger) -> Counter:
    return Counter(
        (
            key.upper(), _plain(Decimal(cdr["kwh"])), _plain(Decimal(cdr["net"])), cdr["currency"],
            cdr["told_uid"], cdr["credit"],
        )
        for key, cdr in ledger.cdrs().items()
    )  # fmt: skip


def _plain(fact):
    """1.50 and 1.5 are one number."""
    if isinstance(fact, Decimal):
        return format(fact.normalize(), "f") if fact else "0"
    return fact


def _sessions_here() -> Counter:
    return Counter((key, status, _plain(energy)) for key, status, energy in rows(SESSIONS))


def _sessions_there(ledger: recount.Ledger) -> Counter:
    told = ledger.last("session").items()
    return Counter((key.upper(), entry["session_status"], _plain(Decimal(entry["kwh"]))) for key, entry in told)


def _wrong_evses(ledgers: list[recount.Ledger]) -> Iterator[str]:
    here = dict(rows(EVSES))
    for entry in (entry for ledger in ledgers for entry in ledger.last("evse_status").values()):
        key = f"{entry['party']}:{entry['id'].upper()}"
        if here.get(key) != entry["evse_status"]:
            yield f"EVSE {key}: {here.get(key)} here, {entry['evse_status']} there"


def _cards_here() -> Counter:
    return Counter((card.uid.upper(), card.is_in_order) for card in read_cards("true", {}, timezone.now()))


def _cards_there(ledger: recount.Ledger) -> Counter:
    """What the operator took last; what came late and older it has passed over."""
    told = {entry["id"].upper(): entry["valid"] for entry in ledger.entries["token"] if not entry["is_stale"]}
    return Counter(told.items())


def _is_other(entry: dict) -> bool:
    return entry["outcome"] == "OK" and not entry["is_same"]
