import pghistory
from django.db import models


@pghistory.track()
class LegalEntity(models.Model):
    """The company that sells: what its documents say of it (BIL-77)."""

    name = models.CharField(max_length=200, unique=True)
    street = models.CharField(max_length=200)
    postal_code = models.CharField(max_length=20)
    city = models.CharField(max_length=100)
    country = models.CharField(max_length=2, help_text="ISO 3166-1 alpha-2.")
    organisation_no = models.CharField("organisation number", max_length=30)
    email = models.EmailField()
    phone = models.CharField(max_length=40, blank=True)
    website = models.URLField(blank=True)
    iban = models.CharField("IBAN", max_length=34, blank=True)
    bic = models.CharField("BIC", max_length=11, blank=True)
    bankgiro = models.CharField(max_length=20, blank=True)
    has_f_tax = models.BooleanField("approved for F-tax", default=False, help_text="Swedish documents must say so.")
    payment_days = models.PositiveSmallIntegerField(default=30)
    time_zone = models.CharField(
        max_length=50, default="Europe/Stockholm", help_text="Whose calendar months are the periods."
    )

    class Meta:
        verbose_name_plural = "legal entities"

    def __str__(self) -> str:
        return self.name


class TaxRegistration(models.Model):
    """A VAT number of the seller: supplies in its country are invoiced under it (billing finding 1)."""

    legal_entity = models.ForeignKey(LegalEntity, models.PROTECT, related_name="registrations")
    country = models.CharField(max_length=2)
    vat_id = models.CharField("VAT id", max_length=20)
    valid_from = models.DateField()
    valid_until = models.DateField(null=True, blank=True, help_text="The first day it is no longer valid.")

    class Meta:
        ordering = ["country"]
        constraints = [
            models.UniqueConstraint(fields=["legal_entity", "country", "vat_id"], name="tax_registration_once")
        ]

    def __str__(self) -> str:
        return f"{self.vat_id} ({self.legal_entity})"


class NumberSeries(models.Model):
    """A run of numbers without gaps, per registration and kind of document. The row is the lock (BIL-70)."""

    class Kind(models.TextChoices):
        INVOICE = "INVOICE", "invoices"
        CREDIT_NOTE = "CREDIT_NOTE", "credit notes"

    registration = models.ForeignKey(TaxRegistration, models.PROTECT, related_name="series")
    kind = models.CharField(max_length=11, choices=Kind.choices)
    prefix = models.CharField(max_length=10, unique=True)
    next_number = models.PositiveIntegerField(default=1)
    last_issued_on = models.DateField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name_plural = "number series"
        constraints = [models.UniqueConstraint(fields=["registration", "kind"], name="series_once")]

    def __str__(self) -> str:
        return f"{self.prefix}… {self.get_kind_display()}"


class LostNumbers(models.Model):
    """Numbers on documents that customers have and this database lost: they were issued after the backup it came from.

    They are why a series may have a gap, and never go (BIL-70, trust R25).
    """

    series = models.ForeignKey(NumberSeries, models.PROTECT, related_name="lost")
    first = models.PositiveIntegerField()
    last = models.PositiveIntegerField()
    noted_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "lost numbers"
        constraints = [
            models.CheckConstraint(condition=models.Q(first__lte=models.F("last")), name="lost_numbers_in_order"),
            models.UniqueConstraint(fields=["series", "first"], name="lost_numbers_once"),
        ]

    def __str__(self) -> str:
        return f"{self.series.prefix} {self.first} to {self.last}"
