from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q

from apps.drivers.models import Account


class ApiKey(models.Model):
    """What an app or a web site of ours presents to our own API. Only its SHA-256 is kept (trust S2, S4)."""

    class Scope(models.TextChoices):
        READ = "READ", "reading only"
        ACT = "ACT", "acting for drivers"

    name = models.CharField(max_length=100, unique=True, help_text="Who uses it, and for what.")
    scope = models.CharField("may", max_length=4, choices=Scope.choices, default=Scope.READ)
    account = models.ForeignKey(
        Account,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="api_keys",
        help_text="Only of this account's drivers; empty: of all.",
    )
    pace = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1)], help_text="How many times the usual number of calls it may make."
    )
    digest = models.BinaryField(unique=True, editable=False)
    last_four = models.CharField(max_length=4, editable=False)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=150)
    last_used_at = models.DateTimeField(null=True, blank=True, help_text="To the hour.")
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.CharField(max_length=150, blank=True)

    class Meta:
        verbose_name = "API key"
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(revoked_at=None, revoked_by="") | Q(revoked_at__isnull=False) & ~Q(revoked_by=""),
                name="api_key_revoked_by_somebody",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def may_act(self) -> bool:
        return self.scope == self.Scope.ACT
