import pghistory
from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeBoundary, RangeOperators
from django.db import models

from apps.postgresql.validity import Validity


@pghistory.track()
class VatRate(models.Model):
    """A VAT rate with its dates. Seeded rows are unconfirmed, and nothing is issued with one (BIL-56, BIL-57)."""

    class Supply(models.TextChoices):
        ELECTRICITY = "electricity", "charging (electricity)"
        SERVICE = "service", "access fee, subscription"

    country = models.CharField(max_length=2)
    supply = models.CharField(max_length=11, choices=Supply.choices)
    rate = models.DecimalField("rate, %", max_digits=5, decimal_places=2)
    valid_from = models.DateField()
    valid_until = models.DateField(null=True, blank=True, help_text="The first day it is no longer valid.")
    source = models.CharField(max_length=300)
    confirmed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, editable=False)
    confirmed_at = models.DateTimeField(null=True, blank=True, editable=False)
    confirmation = models.CharField(max_length=100, blank=True, editable=False, help_text="E.g. that it is a demo's.")

    class Meta:
        verbose_name = "VAT rate"
        ordering = ["country", "supply", "-valid_from"]
        constraints = [
            ExclusionConstraint(
                name="vat_rate_one_at_a_time",
                expressions=[
                    ("country", RangeOperators.EQUAL),
                    ("supply", RangeOperators.EQUAL),
                    (Validity("valid_from", "valid_until", RangeBoundary()), RangeOperators.OVERLAPS),
                ],
            ),
            models.CheckConstraint(condition=models.Q(rate__gte=0, rate__lte=100), name="vat_rate_is_a_percentage"),
        ]

    def __str__(self) -> str:
        return f"{self.country} {self.get_supply_display()} {self.rate.normalize():f} % from {self.valid_from}"

    @property
    def is_confirmed(self) -> bool:
        return self.confirmed_at is not None
