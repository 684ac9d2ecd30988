"""Running the checks over CDRs that are due: new ones, and those about which we learnt something (BIL-34)."""

from datetime import datetime, timedelta

from django.db import connection, transaction

from apps.charging import zones
from apps.charging.checks import AGREED, RULES, Facts, Reference, judge
from apps.charging.models import Cdr, Finding
from apps.charging.verdicts import why_not_released
from apps.partners import agreements

LOOKED_AT_FOR = timedelta(days=90)
"""How long after it came a CDR is looked at again by itself (BIL-34)."""

REFERENCES = """
SELECT told.id, original.id IS NOT NULL, coalesce(original.is_credit, false), earlier.ocpi_id, foreigner.name
FROM charging_cdr told
LEFT JOIN charging_cdr original
    ON original.party_id = told.party_id AND upper(original.ocpi_id) = upper(told.credit_reference_id)
LEFT JOIN charging_cdr earlier ON earlier.credits_id = original.id
LEFT JOIN LATERAL (
    SELECT party.country_code || '*' || party.party_id AS name FROM partners_party party
    JOIN charging_cdr other ON other.party_id = party.id AND upper(other.ocpi_id) = upper(told.credit_reference_id)
    WHERE party.id <> told.party_id LIMIT 1
) foreigner ON true
WHERE told.id = ANY(%s)
"""

SESSIONS = """
SELECT told.id FROM charging_cdr told
JOIN charging_session session ON session.party_id = told.party_id AND upper(session.ocpi_id) = upper(told.session_id)
WHERE told.id = ANY(%s)
"""

TESTS = """
SELECT told.id FROM charging_cdr told
JOIN drivers_contract contract ON contract.id = told.contract_id
JOIN drivers_driver driver ON driver.id = contract.driver_id
JOIN tokens_sandbox sandbox ON sandbox.account_id = driver.account_id
WHERE told.id = ANY(%s)
"""

LOOK_AGAIN = """
UPDATE charging_cdr SET checked_at = NULL WHERE id IN (
    SELECT cdr.id FROM charging_cdr cdr
    WHERE cdr.party_id IN (SELECT party_id FROM partners_agreement) AND cdr.received_at > %(since)s
        AND cdr.checked_at IS NOT NULL
        AND EXISTS (SELECT FROM charging_finding finding WHERE finding.cdr_id = cdr.id AND finding.code = ANY(%(codes)s))
    ORDER BY cdr.id FOR NO KEY UPDATE SKIP LOCKED
)
"""

WRITE = """
INSERT INTO charging_finding AS old (cdr_id, code, driver_severity, cpo_severity, reason, is_released, found_at)
SELECT *, false, %s FROM unnest(%s::bigint[], %s::text[], %s::smallint[], %s::smallint[], %s::text[])
ON CONFLICT (cdr_id, code) DO UPDATE SET
    driver_severity = excluded.driver_severity, cpo_severity = excluded.cpo_severity, reason = excluded.reason,
    is_released = old.is_released AND old.reason = excluded.reason
"""
"""What staff let pass stays passed, unless it now says something else."""

FORGET = """
DELETE FROM charging_finding WHERE cdr_id = ANY(%s) AND code = ANY(%s)
    AND (cdr_id, code) NOT IN (SELECT * FROM unnest(%s::bigint[], %s::text[]))
"""

FINISH = """
UPDATE charging_cdr cdr SET checked_at = %s, time_zone = told.zone
FROM unnest(%s::bigint[], %s::text[]) AS told (id, zone) WHERE cdr.id = told.id
"""


class CannotRelease(Exception):
    """A blocked CDR is not billed, whoever looks at it."""


@transaction.atomic
def check_due(now: datetime, limit: int = 1000) -> int:
    """Check CDRs whose checks are due, and write down what was found. How many were checked.

    May run at once in several workers, and again at any time: the findings of a CDR are replaced, one row per rule.
    """
    cdrs = list(_due(limit))
    found = [(facts.cdr.pk, rule, reason) for facts in _facts(cdrs) for rule, reason in judge(facts)]
    _write([cdr.pk for cdr in cdrs], found, now)
    with connection.cursor() as cursor:
        cursor.execute(
            FINISH, [now, [cdr.pk for cdr in cdrs], [zones.zone_at(cdr.time_zone, cdr.country) for cdr in cdrs]]
        )
    return len(cdrs)


def _due(limit: int):
    """Taken first and joined then. In one statement PostgreSQL, used to few that are due, joins and sorts all when many are."""
    due = Cdr.objects.filter(checked_at=None).order_by("pk").select_for_update(skip_locked=True, no_key=True)
    taken = Cdr.objects.filter(pk__in=list(due.values_list("pk", flat=True)[:limit])).order_by("pk")
    return taken.select_related("party", "token__contract__driver", "authorization", "credits")


def _facts(cdrs: list[Cdr]) -> list[Facts]:
    ever = agreements.with_parties({cdr.party_id for cdr in cdrs})
    agreed = {cdr.pk: agreements.begun(ever[cdr.party_id], agreements.day_of(cdr.started_at)) for cdr in cdrs}
    unlinked = [cdr.pk for cdr in cdrs if cdr.is_credit and cdr.credits_id is None and cdr.credit_reference_id]
    references = {pk: Reference(*found) for pk, *found in _rows(REFERENCES, unlinked)}
    expected = [cdr.pk for cdr in cdrs if (agreement := agreed[cdr.pk]) and agreement.sends_sessions]
    told = {pk for (pk,) in _rows(SESSIONS, expected)}
    tests = {pk for (pk,) in _rows(TESTS, [cdr.pk for cdr in cdrs])}
    return [Facts(cdr, references.get(cdr.pk), agreed[cdr.pk], cdr.pk in told, cdr.pk in tests) for cdr in cdrs]


def _rows(statement: str, ids: list[int]) -> list[tuple]:
    """What a statement over these CDRs finds; it is not asked about none."""
    if not ids:
        return []
    with connection.cursor() as cursor:
        cursor.execute(statement, [ids])
        return cursor.fetchall()


def _write(ids: list[int], found: list[tuple], now: datetime) -> None:
    keys = [[pk for pk, *_ in found], [rule.code for _, rule, _ in found]]
    severities = [[rule.driver for _, rule, _ in found], [rule.cpo for _, rule, _ in found]]
    with connection.cursor() as cursor:
        cursor.execute(FORGET, [ids, [rule.code for rule in RULES], *keys])
        cursor.execute(WRITE, [now, *keys, *severities, [reason for *_, reason in found]])


def look_again(now: datetime) -> int:
    """Make checks due of the CDRs that were not as agreed: the agreement may be another by now (BIL-34). How many."""
    with connection.cursor() as cursor:
        cursor.execute(LOOK_AGAIN, {"since": now - LOOKED_AT_FOR, "codes": list(AGREED)})
        return cursor.rowcount


def release(finding: Finding, now: datetime) -> None:
    """Staff looked, and let it pass (BIL-33). CannotRelease says why not."""
    reason = why_not_released(finding, finding.cdr)
    if reason:
        raise CannotRelease(reason)
    Finding.objects.filter(pk=finding.pk, reason=finding.reason).update(is_released=True)


def hold_again(finding: Finding) -> None:
    """Staff changed their mind. What has been billed meanwhile stays billed."""
    Finding.objects.filter(pk=finding.pk).update(is_released=False)
