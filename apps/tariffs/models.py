from django.db import models
from django.db.models.functions import Upper

from apps.partners.models import Party


class Tariff(models.Model):
    """A CPO's tariff as now published. What it is made of is read from the body of its newest revision."""

    party = models.ForeignKey(Party, models.PROTECT, related_name="tariffs")
    ocpi_id = models.CharField("id", max_length=255)
    currency = models.CharField(max_length=3)
    type = models.CharField(max_length=255, blank=True)
    start_date_time = models.DateTimeField(null=True, blank=True)
    end_date_time = models.DateTimeField(null=True, blank=True)
    body = models.BinaryField(help_text="The object's own bytes, as last sent.")
    version = models.CharField("OCPI version of the body", max_length=10)
    content_hash = models.BinaryField()
    last_updated = models.DateTimeField()
    received_at = models.DateTimeField()
    deleted_at = models.DateTimeField(
        null=True, blank=True, help_text="When the CPO deleted it or a full pull lacked it."
    )

    class Meta:
        constraints = [models.UniqueConstraint("party", Upper("ocpi_id"), name="tariff_identity")]

    def __str__(self) -> str:
        return self.ocpi_id


class TariffRevision(models.Model):
    """Every content a tariff ever had, because a CDR is checked against the one of its session's start (TAR-01)."""

    tariff = models.ForeignKey(Tariff, models.CASCADE, related_name="revisions")
    body = models.BinaryField()
    version = models.CharField("OCPI version of the body", max_length=10)
    content_hash = models.BinaryField()
    last_updated = models.DateTimeField()
    received_at = models.DateTimeField()

    class Meta:
        ordering = ["-received_at"]
        constraints = [
            models.UniqueConstraint(fields=["tariff", "content_hash", "last_updated"], name="tariff_revision_once")
        ]

    def __str__(self) -> str:
        return f"{self.tariff} of {self.received_at:%Y-%m-%d %H:%M}"
