"""What rating looks at of a CDR: read for many in one query, after they were locked."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from django.db import connection

from .vat import Customer

OF_CREDITS = ["V-40", "V-41", "V-42", "V-43"]
"""All that can hold a credit which is linked to its original: it repeats what was odd about that one, and takes it back."""

FACTS = """
SELECT cdr.id, cdr.started_at, cdr.ended_at, cdr.energy, cdr.time, cdr.currency, cdr.cost_before_taxes, cdr.country,
    cdr.time_zone, cdr.is_credit, cdr.credits_id, cdr.contract_id, account.id, account.kind, account.country,
    account.vat_id, finding.code, finding.reason, finding.driver_severity,
    EXISTS (SELECT FROM billing_payable payable WHERE payable.cdr_id = cdr.id),
    EXISTS (SELECT FROM billing_charge charge WHERE charge.cdr_id = cdr.id)
        OR EXISTS (SELECT FROM billing_netting netting WHERE netting.credit_id = cdr.id)
        OR EXISTS (SELECT FROM billing_netting netting WHERE netting.original_id = cdr.id),
    NOT EXISTS (SELECT FROM charging_finding refused WHERE refused.cdr_id = cdr.id
        AND (refused.cpo_severity = 4 OR refused.cpo_severity = 3 AND NOT refused.is_released))
FROM charging_cdr cdr
LEFT JOIN drivers_contract contract ON contract.id = cdr.contract_id
LEFT JOIN drivers_driver driver ON driver.id = contract.driver_id
LEFT JOIN drivers_account account ON account.id = driver.account_id
LEFT JOIN LATERAL (
    SELECT finding.code, finding.reason, finding.driver_severity FROM charging_finding finding
    WHERE finding.cdr_id = cdr.id AND finding.driver_severity >= 3 AND NOT finding.is_released
        AND finding.code <> ALL(%(own)s) AND (cdr.credits_id IS NULL OR finding.code = ANY(%(of_credits)s))
    ORDER BY finding.driver_severity DESC, finding.code LIMIT 1
) finding ON true
WHERE cdr.id = ANY(%(ids)s) AND cdr.checked_at IS NOT NULL
ORDER BY cdr.id
"""


class Facts(NamedTuple):
    """A CDR with its payer and the gravest finding that holds it. Energy in kWh, time in hours."""

    id: int
    started_at: datetime
    ended_at: datetime
    energy: Decimal
    time: Decimal
    currency: str
    cost_before_taxes: Decimal
    country: str
    time_zone: str
    is_credit: bool
    credits_id: int | None
    contract_id: int | None
    account_id: int | None
    account_kind: str | None
    account_country: str | None
    vat_id: str | None
    finding: str | None
    finding_reason: str | None
    severity: int | None
    has_payable: bool
    is_settled: bool
    is_payable: bool

    @property
    def customer(self) -> Customer:
        return Customer(self.account_kind == "company", self.account_country, self.vat_id)


def read_facts(ids: Sequence[int], own: Sequence[str]) -> list[Facts]:
    """`own`: codes of findings that rating judges anew, and that hold nothing."""
    with connection.cursor() as cursor:
        cursor.execute(FACTS, {"ids": list(ids), "own": list(own), "of_credits": OF_CREDITS})
        return [Facts(*row) for row in cursor.fetchall()]
