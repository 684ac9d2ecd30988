import pghistory
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeBoundary, RangeOperators
from django.db import models
from django.db.models import Q

from apps.drivers.models import Contract
from apps.postgresql.validity import Validity

PRICE = {"max_digits": 18, "decimal_places": 6, "default": 0}


@pghistory.track()
class Plan(models.Model):
    """What we sell charging at. Its prices are rows with a first day; used ones never change (BIL-10)."""

    class Basis(models.TextChoices):
        GROSS = "gross", "prices include VAT"
        NET = "net", "prices without VAT"

    name = models.CharField(max_length=100, unique=True)
    currency = models.CharField(max_length=3)
    basis = models.CharField("prices", max_length=5, choices=Basis.choices)
    is_default = models.BooleanField("default of its currency", default=False)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["currency"], condition=Q(is_default=True), name="plan_one_default_per_currency"
            ),
            models.CheckConstraint(condition=Q(currency__regex=r"^[A-Z]{3}$"), name="plan_currency_is_iso_4217"),
        ]

    def __str__(self) -> str:
        return self.name


@pghistory.track()
class PlanPrice(models.Model):
    """A plan's prices from a day on: that of the session's start counts. `country` empty: wherever one charges."""

    plan = models.ForeignKey(Plan, models.PROTECT, related_name="prices")
    country = models.CharField(
        max_length=2, blank=True, help_text="Only for charging in this country; empty: everywhere else."
    )
    valid_from = models.DateField()
    per_kwh = models.DecimalField("per kWh", **PRICE)
    per_minute = models.DecimalField("per minute", **PRICE)
    per_session = models.DecimalField("per session", **PRICE)
    monthly_fee = models.DecimalField("monthly fee", **PRICE)

    class Meta:
        ordering = ["-valid_from", "country"]
        constraints = [
            models.UniqueConstraint(fields=["plan", "country", "valid_from"], name="plan_price_once"),
            models.CheckConstraint(
                condition=Q(per_kwh__gte=0, per_minute__gte=0, per_session__gte=0, monthly_fee__gte=0),
                name="plan_price_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.plan} from {self.valid_from}"


@pghistory.track()
class Subscription(models.Model):
    """Which plan a contract has, from a day until before another."""

    contract = models.ForeignKey(Contract, models.PROTECT, related_name="subscriptions")
    plan = models.ForeignKey(Plan, models.PROTECT, related_name="subscriptions")
    valid_from = models.DateField()
    valid_until = models.DateField(null=True, blank=True, help_text="The first day it no longer holds.")

    class Meta:
        ordering = ["-valid_from"]
        constraints = [
            ExclusionConstraint(
                name="subscription_one_plan_at_a_time",
                expressions=[
                    ("contract", RangeOperators.EQUAL),
                    (Validity("valid_from", "valid_until", RangeBoundary()), RangeOperators.OVERLAPS),
                ],
            )
        ]

    def __str__(self) -> str:
        return f"{self.contract}: {self.plan}"
