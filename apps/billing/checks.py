"""What billing finds odd about a CDR (BIL-32): V-27, that its VAT cannot be decided on.

Written as a finding like those of charging, so that the CDR's page shows it, and judged anew by every rating: nobody
can release it, but a rate or a registration that is entered makes it go (BIL-34).
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from apps.bulk import Upsert
from apps.charging.models import Finding

from .vat import Untaxable

V_27 = "V-27"
OWN = (V_27,)

FINDINGS = Upsert(
    model=Finding,
    columns=("cdr", "code", "driver_severity", "cpo_severity", "reason", "is_released", "found_at"),
    target="cdr_id, code",
    update=("reason",),
    guard="old.reason <> excluded.reason",
)


def find(untaxable: Mapping[int, Untaxable], looked_at: Iterable[int], now: datetime) -> None:
    """Note which CDRs cannot be taxed, and forget it of those that were looked at and can."""
    Finding.objects.filter(cdr__in=looked_at, code__in=OWN).exclude(cdr__in=untaxable).delete()
    severities = (Finding.Severity.BLOCK, Finding.Severity.INFO)
    FINDINGS.write((cdr, V_27, *severities, str(why), False, now) for cdr, why in sorted(untaxable.items()))
