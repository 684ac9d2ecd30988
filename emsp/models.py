from django.db import models


class Heartbeat(models.Model):
    """When the workers of a queue last heard the timetable: then beat, broker and they were all there (trust O7)."""

    queue = models.CharField(max_length=40, unique=True)
    heard_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.queue


class Invariant(models.Model):
    """What must always be true, and what was last found about it (trust I1 to I16). One row a rule."""

    class Verdict(models.TextChoices):
        HELD = "held", "held"
        BROKEN = "broken", "broken"
        NOT_APPLICABLE = "not applicable", "not applicable"

    code = models.CharField(max_length=4, unique=True, help_text="I1 … I16.")
    rule = models.TextField()
    verdict = models.CharField(max_length=14, choices=Verdict.choices)
    reason = models.TextField(blank=True, help_text="Why it does not apply.")
    count = models.PositiveIntegerField("faults", default=0)
    faults = models.JSONField(default=list, blank=True, help_text="The first of them: name and fault.")
    seconds = models.DecimalField("took, seconds", max_digits=8, decimal_places=3)
    inspected_at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.code}: {self.rule}"


class AuditDay(models.Model):
    """A day of UTC whose changes are sealed (trust S49): `digest` is of them and of the digest of the day before.

    Written by `audit.chain` alone. Triggers refuse a day that is not over or does not follow the one before, and that a row
    changes or goes.
    """

    day = models.DateField(unique=True)
    count = models.PositiveBigIntegerField("changes")
    tables = models.JSONField(help_text="By table: count, digest, and the columns that went into it.")
    previous = models.CharField("digest of the day before", max_length=64)
    digest = models.CharField(max_length=64, unique=True)
    sealed_at = models.DateTimeField()

    class Meta:
        ordering = ["-day"]
        constraints = [
            models.CheckConstraint(condition=models.Q(digest__regex=r"^[0-9a-f]{64}$"), name="audit_day_has_a_digest")
        ]

    def __str__(self) -> str:
        return f"{self.day}: {self.digest}"
