"""Invoices of CPOs beside what we owe for their CDRs (IR-01 to IR-03).

A record says which CDRs an invoice is for, and no amount. So we say what they come to here: the sum to look for on the
invoice. Ids that we do not know are gaps, and refuse nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import connection

from apps.bulk import Upsert
from apps.ocpi import objects
from apps.ocpi.errors import Problem
from apps.ocpi.versions import VERSIONS, content_hash
from apps.partners.mirror import Mirror
from apps.partners.models import Partner, Party
from apps.partners.taking import Incoming, Intake, Outcome, Stored

from .models import BilledToUs

MODULE = "invoicereconciliation"
KIND = "invoice_reconciliation_record"

RECORDS = Upsert(
    model=BilledToUs,
    columns=(
        "party", "ocpi_id", "invoice_id", "cdrs", "body", "version", "content_hash", "last_updated", "received_at",
        "deleted_at",
    ),
    target="party_id, upper(ocpi_id)",
    update=("invoice_id", "cdrs", "body", "version", "content_hash", "last_updated", "received_at", "deleted_at"),
    guard="old.last_updated <= excluded.last_updated",
    returning=("party", "ocpi_id", "id"),
)  # fmt: skip


def _row(incoming: Incoming, content: bytes, now: datetime) -> tuple:
    record: objects.InvoiceReconciliationRecord = incoming.object
    return (
        incoming.party.pk, record.id, record.invoice_id, list(record.cdrs), incoming.body, incoming.version.number, content,
        record.last_updated, now, None,
    )  # fmt: skip


MIRROR = Mirror(RECORDS, "deleted_at", _row, "record")


def put_records(partner: Partner, incomings: list[Incoming], now: datetime) -> list[Stored]:
    """Store records, the newest of each id (mod_invoice_reconciliation, PUT). One that was deleted comes back."""
    return [told.stored for told in MIRROR.put(incomings, now)]


def post_records(partner: Partner, incomings: list[Incoming], now: datetime) -> list[Stored]:
    """Store records that are new; the same again is the same, another of its id is refused (as CDR-02)."""
    return [_conflict(one) or put_records(partner, [one], now)[0] for one in incomings]


def _conflict(incoming: Incoming) -> Stored | None:
    known = MIRROR.of(incoming.party, incoming.object.id).filter(deleted_at=None)
    if not known.exclude(content_hash=content_hash(incoming.object)).exists():
        return None
    return Stored(Outcome.CONFLICT, problems=(Problem("id", "is known with another content; a PUT changes it"),))


INTAKE = Intake(MODULE, KIND, put_records, kept=MIRROR.kept)
POSTED = Intake(MODULE, KIND, post_records)


def known_record(party: Party, record_id: str) -> BilledToUs:
    """What the CPO last sent, and has not deleted since."""
    return MIRROR.known(party, record_id)


def remove_record(party: Party, record_id: str, now: datetime) -> None:
    """The record itself was wrong. Repeating is harmless."""
    MIRROR.remove(party, record_id, now)


def canonical_record(record: BilledToUs) -> objects.InvoiceReconciliationRecord:
    owner = objects.Party(record.party.country_code, record.party.party_id)
    return VERSIONS[record.version].read(KIND, bytes(record.body), owner).object


@dataclass(frozen=True)
class Owed:
    """What the CDRs of an invoice come to in one currency: net, as we owe it, and how much of it nothing speaks against."""

    currency: str
    count: int
    net: Decimal
    accepted: Decimal


@dataclass(frozen=True)
class Reconciled:
    """An invoice beside our own rows. `gaps`: listed ids of which we have no CDR; `twice`: listed by another invoice too;
    `unpriced`: those of which we do not know yet what we owe."""

    owed: list[Owed]
    gaps: list[str]
    twice: list[str]
    unpriced: list[str]

    @property
    def is_clean(self) -> bool:
        return not (self.gaps or self.twice or self.unpriced)


LISTED = """
SELECT DISTINCT ON (upper(listed.id)) listed.id, cdr.id, payable.currency, payable.net, payable.is_accepted,
    EXISTS (
        SELECT FROM billing_billedtous other
        WHERE other.party_id = record.party_id AND other.id <> record.id AND other.deleted_at IS NULL
            AND upper(listed.id) IN (SELECT upper(each) FROM jsonb_array_elements_text(other.cdrs) each)
    )
FROM billing_billedtous record CROSS JOIN LATERAL jsonb_array_elements_text(record.cdrs) listed(id)
LEFT JOIN charging_cdr cdr ON cdr.party_id = record.party_id AND upper(cdr.ocpi_id) = upper(listed.id)
LEFT JOIN billing_payable payable ON payable.cdr_id = cdr.id
WHERE record.id = %s ORDER BY upper(listed.id)
"""


def reconcile(record: BilledToUs) -> Reconciled:
    """Compare the list with our CDRs: membership is decided by the list, not by time (IR-02)."""
    with connection.cursor() as cursor:
        cursor.execute(LISTED, [record.pk])
        rows = cursor.fetchall()
    gaps = [listed for listed, cdr, *_ in rows if cdr is None]
    unpriced = [listed for listed, cdr, currency, *_ in rows if cdr is not None and currency is None]
    twice = [row[0] for row in rows if row[-1]]
    return Reconciled(_sums(row[2:5] for row in rows if row[2]), gaps, twice, unpriced)


def _sums(payables: Iterable[tuple[str, Decimal, bool]]) -> list[Owed]:
    by_currency: dict[str, list[tuple[Decimal, bool]]] = {}
    for currency, net, is_accepted in payables:
        by_currency.setdefault(currency, []).append((net, is_accepted))
    return [
        Owed(currency, len(nets), sum((net for net, _ in nets), Decimal()), sum((net for net, good in nets if good), Decimal()))
        for currency, nets in sorted(by_currency.items())
    ]  # fmt: skip
