"""What CPOs bill us for."""

from django.db import models
from django.db.models.functions import Upper

from apps.partners.models import Party


class BilledToUs(models.Model):
    """Which CDRs an invoice of a CPO is for (mod_invoice_reconciliation, InvoiceReconciliationRecord). What it asks for
    stands on the invoice itself, which comes another way."""

    party = models.ForeignKey(Party, models.PROTECT, related_name="invoices_to_us")
    ocpi_id = models.CharField("id", max_length=255)
    invoice_id = models.CharField("invoice", max_length=255)
    cdrs = models.JSONField("CDRs", help_text="Their ids, as the CPO lists them.")
    body = models.BinaryField(help_text="The record's own bytes, as last sent.")
    version = models.CharField("OCPI version of the body", max_length=10)
    content_hash = models.BinaryField()
    last_updated = models.DateTimeField()
    received_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True, blank=True, help_text="When the CPO said that the record was wrong.")

    class Meta:
        verbose_name = "invoice of a CPO"
        verbose_name_plural = "invoices of CPOs"
        ordering = ["-last_updated", "-pk"]
        constraints = [models.UniqueConstraint("party", Upper("ocpi_id"), name="billed_to_us_identity")]

    def __str__(self) -> str:
        return self.invoice_id
