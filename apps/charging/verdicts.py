"""What we think of a CDR, in words for staff: one verdict per finding, apart for the driver and the CPO (BIL-33)."""

from datetime import datetime
from typing import NamedTuple

from apps.charging.checks import BY_CODE
from apps.charging.models import Cdr, Finding, Standing


class Verdict(NamedTuple):
    """A finding in words. `driver` and `cpo` are severities (info, warning, hold, block), `driver_severity` a number."""

    finding: int
    code: str
    title: str
    reason: str
    advice: str
    driver: str
    cpo: str
    driver_severity: int
    is_released: bool
    can_be_released: bool
    found_at: datetime


def verdicts(cdr: Cdr) -> list[Verdict]:
    """The gravest first. Uses `findings` if they were prefetched."""
    found = sorted(
        cdr.findings.all(), key=lambda finding: (-finding.driver_severity, -finding.cpo_severity, finding.code)
    )
    return [verdict(finding, cdr) for finding in found]


def verdict(finding: Finding, cdr: Cdr) -> Verdict:
    """Rules of billing write findings too; a code that is not ours has its reason for a title."""
    rule = BY_CODE.get(finding.code)
    return Verdict(
        finding=finding.pk,
        code=finding.code,
        title=rule.title if rule else finding.reason,
        reason=finding.reason,
        advice=rule.advice if rule else "",
        driver=finding.get_driver_severity_display(),
        cpo=finding.get_cpo_severity_display(),
        driver_severity=finding.driver_severity,
        is_released=finding.is_released,
        can_be_released=not finding.is_released and not why_not_released(finding, cdr),
        found_at=finding.found_at,
    )


def why_not_released(finding: Finding, cdr: Cdr) -> str:
    """What keeps staff from letting it pass; empty if nothing does."""
    if finding.driver_severity == Finding.Severity.BLOCK:
        rule = BY_CODE.get(finding.code)
        return f"{finding.code} blocks the CDR: it is not billed. {rule.advice if rule else ''}".strip()
    if Finding.Severity.HOLD not in (finding.driver_severity, finding.cpo_severity):
        return f"{finding.code} holds nothing"
    if finding.code == "V-20" and cdr.contract_id is None:
        return "nobody could be billed: attach the card to a contract first"
    if finding.code == "V-41" and cdr.credits_id is None:
        return "there is nothing to credit before the CDR that it takes back has come"
    return ""


def standing(cdr: Cdr) -> Standing:
    """What stands between this CDR and the driver's bill. For lists: `Cdr.objects.with_standing()`."""
    return Standing(Cdr.objects.with_standing().values_list("standing", flat=True).get(pk=cdr.pk))
