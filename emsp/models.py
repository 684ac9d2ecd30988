from django.db import models


class Heartbeat(models.Model):
    """When the workers of a queue last heard the timetable: then beat, broker and they were all there (trust O7)."""

    queue = models.CharField(max_length=40, unique=True)
    heard_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.queue


class Invariant(models.Model):
    """What must always be true, and what was last found about it (trust I1 to I14). One row a rule."""

    class Verdict(models.TextChoices):
        HELD = "held", "held"
        BROKEN = "broken", "broken"
        NOT_APPLICABLE = "not applicable", "not applicable"

    code = models.CharField(max_length=4, unique=True, help_text="I1 … I14.")
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
