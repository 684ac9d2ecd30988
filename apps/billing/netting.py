"""Credit CDRs: what they take back was either never invoiced, then both are netted, or it was, then it is credited.

Before the original's invoice neither appears on any document (BIL-43); after it, a charge of kind CREDIT reverses the
original one with its VAT, and the next run makes a credit note of it (BIL-44, BIL-46). Both are locked first, the
original's charge too: whoever issues it just now wins, and the credit is looked at again the next time.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Exists, OuterRef

from apps.charging.models import Cdr

from .facts import Facts
from .models import Charge, InvoiceLine, Netting


@dataclass
class Netted:
    """`settled`: CDRs that are netted, and credits that became charges. `busy`: credits that must wait."""

    settled: set[int] = field(default_factory=set)
    busy: set[int] = field(default_factory=set)
    credits: list[tuple] = field(default_factory=list)


def is_fit(facts: Facts) -> bool:
    """A credit CDR that is linked to its original, and that nothing holds."""
    return facts.is_credit and facts.credits_id is not None and facts.finding is None


def settle(credit_cdrs: Sequence[Facts], now: datetime) -> Netted:
    """Net or reverse what these credit CDRs take back. Returns rows for the charges to write."""
    netted, pairs = Netted(), {facts.credits_id: facts for facts in credit_cdrs}
    if not pairs:
        return netted
    free, charges = _lock(list(pairs))
    for original, credit in pairs.items():
        if original not in free:
            netted.busy.add(credit.id)
            continue
        netted.settled.add(credit.id)
        invoiced = [charge for charge in charges[original] if charge.is_invoiced]
        if invoiced:
            netted.credits += [reversal(charge, credit, now) for charge in invoiced]
        else:
            netted.settled.add(original)
    _net([(original, pairs[original].id) for original in pairs if original in netted.settled], now)
    return netted


def _lock(originals: list[int]) -> tuple[set[int], dict[int, list[Charge]]]:
    """Which originals nobody else has in his hands, and their charges as they are once locked."""
    cdrs = Cdr.objects.filter(pk__in=originals).select_for_update(skip_locked=True, no_key=True)
    free = set(cdrs.order_by("pk").values_list("pk", flat=True))
    active = Charge.objects.filter(cdr__in=originals, netted_at=None)
    mine = set(active.select_for_update(skip_locked=True).order_by("pk").values_list("pk", flat=True))
    charges = defaultdict(list)
    for charge in active.annotate(is_invoiced=Exists(InvoiceLine.objects.filter(charge=OuterRef("pk")))):
        charges[charge.cdr_id].append(charge)
    taken = {cdr for cdr, theirs in charges.items() if any(charge.pk not in mine for charge in theirs)}
    return free - taken, charges


def _net(pairs: list[tuple[int, int]], now: datetime) -> None:
    Netting.objects.bulk_create(
        Netting(original_id=original, credit_id=credit, netted_at=now) for original, credit in pairs
    )
    Charge.objects.filter(cdr__in=[original for original, _ in pairs], netted_at=None).update(netted_at=now)


def reversal(charge: Charge, credit: Facts, now: datetime) -> tuple:
    """The charge that takes another back: same payer, VAT and day of supply, minus its amount (BIL-44)."""
    return (
        Charge.Kind.CREDIT, credit.id, charge.share, charge.account_id, charge.contract_id, charge.plan_price_id,
        charge.period, charge.supplied_on, charge.registration_id, charge.vat_category, charge.vat_rate_id,
        charge.currency, charge.basis, -charge.amount, charge.pk, charge.explanation | {"reverses": charge.pk}, now,
    )  # fmt: skip
