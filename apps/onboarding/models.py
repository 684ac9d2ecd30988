import pghistory
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q

from apps.partners.models import Partner
from apps.tokens.models import Token
from apps.work import Due


class Report(Due):
    """What a partner's platform did when it was really called (X8): one line per check, kept with its date.

    Due until it is finished. The lines are for reading; what is decided on is `outcome` alone.
    """

    class Outcome(models.TextChoices):
        PASSED = "PASSED", "passed"
        INCOMPLETE = "INCOMPLETE", "nothing failed, not all was tried"
        FAILED = "FAILED", "failed"
        BROKEN = "BROKEN", "broke off"

    partner = models.ForeignKey(Partner, models.PROTECT, related_name="reports")
    version = models.CharField("OCPI version", max_length=10)
    card = models.ForeignKey(
        Token, models.PROTECT, null=True, blank=True, related_name="reports", help_text="To push, and to charge with."
    )
    location_id = models.CharField("location", max_length=255, blank=True, help_text="The partner's id.")
    evse_uid = models.CharField("EVSE", max_length=255, blank=True, help_text="The partner's uid; one for tests.")
    connector_id = models.CharField("connector", max_length=255, blank=True, help_text="Where it must be told.")
    wait_s = models.PositiveSmallIntegerField(
        "patience, seconds",
        default=120,
        validators=[MaxValueValidator(900)],
        help_text="How long to wait for a result, a session or a CDR.",
    )
    requested_at = models.DateTimeField()
    requested_by = models.CharField(max_length=150, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=10, choices=Outcome.choices, blank=True)
    checks = models.PositiveSmallIntegerField(help_text="How many lines it will have.")
    lines = models.JSONField(default=list, help_text="check, title, demands, outcome, reason, took_s.")

    class Meta:
        verbose_name = "readiness report"
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["partner"], condition=Q(due_at__isnull=False), name="report_of_a_partner_one_at_a_time"
            ),
            models.CheckConstraint(
                condition=Q(due_at__isnull=False, finished_at=None, outcome="")
                | Q(due_at=None, finished_at__isnull=False) & ~Q(outcome=""),
                name="report_is_due_or_finished",
            ),
        ]
        indexes = [models.Index(fields=["due_at"], name="report_due", condition=Q(due_at__isnull=False))]

    def __str__(self) -> str:
        return f"{self.partner}, {self.requested_at:%Y-%m-%d %H:%M}"

    def count(self, outcome: str) -> int:
        return sum(line["outcome"] == outcome for line in self.lines)


@pghistory.track()
class Clearance(models.Model):
    """Since when a partner is live, and why: a report that passed, or somebody who takes it upon himself."""

    partner = models.ForeignKey(Partner, models.PROTECT, related_name="clearances")
    report = models.ForeignKey(Report, models.PROTECT, null=True, blank=True, related_name="clearances")
    reason = models.TextField(blank=True, help_text="Why, without a report that passed.")
    by = models.CharField(max_length=150)
    at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["partner"], condition=Q(ended_at=None), name="clearance_once_at_a_time"),
            models.CheckConstraint(
                condition=Q(report__isnull=False) | ~Q(reason=""), name="clearance_by_report_or_with_a_reason"
            ),
            models.CheckConstraint(condition=~Q(by=""), name="clearance_by_somebody"),
            models.CheckConstraint(
                condition=Q(ended_at=None, ended_by="") | Q(ended_at__isnull=False) & ~Q(ended_by=""),
                name="clearance_ended_by_somebody",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.partner} live since {self.at:%Y-%m-%d}"
