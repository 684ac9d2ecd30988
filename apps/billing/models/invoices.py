from django.conf import settings
from django.db import models
from django.db.models import F, Q

from apps.drivers.models import Account
from apps.work import Due

from .charges import AMOUNT, Charge
from .plans import Plan
from .seller import LegalEntity, NumberSeries, TaxRegistration


class InvoiceRun(Due):
    """The issuing of a month's documents: which charges count, how far it came (BIL-150).

    Due until it is finished: whoever holds the lease goes on behind `reached`, where the one before it stopped (trust R2).
    """

    legal_entity = models.ForeignKey(LegalEntity, models.PROTECT, related_name="runs")
    period = models.DateField(help_text="First day of the month.")
    cutoff_at = models.DateTimeField(help_text="Charges rated later wait for the next run.")
    issued_on = models.DateField()
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    left_out = models.JSONField(default=list, blank=True, help_text="Accounts that got no document, with the reason.")
    accounts = models.PositiveIntegerField(default=0, help_text="That had charges when it began, by registration.")
    accounts_done = models.PositiveIntegerField(default=0)
    reached = models.JSONField(default=list, blank=True, help_text="The last registration and account that are done.")

    class Meta:
        ordering = ["-started_at"]
        indexes = [models.Index(fields=["due_at"], name="invoice_run_due", condition=Q(due_at__isnull=False))]

    def __str__(self) -> str:
        return f"{self.period:%Y-%m} of {self.legal_entity}"


class Invoice(models.Model):
    """An issued invoice or credit note: number, parties and figures as they were. Frozen by triggers (BIL-74).

    A credit note's figures are positive, as on EN 16931 type 381; `corrects` names what it takes back.
    """

    class Kind(models.TextChoices):
        INVOICE = "INVOICE", "invoice"
        CREDIT_NOTE = "CREDIT_NOTE", "credit note"

    kind = models.CharField(max_length=11, choices=Kind.choices)
    series = models.ForeignKey(NumberSeries, models.PROTECT, related_name="invoices")
    sequence = models.PositiveIntegerField("number in its series")
    number = models.CharField(max_length=20, unique=True)
    run = models.ForeignKey(InvoiceRun, models.PROTECT, null=True, blank=True, related_name="invoices")
    period = models.DateField()
    registration = models.ForeignKey(TaxRegistration, models.PROTECT, related_name="invoices")
    account = models.ForeignKey(Account, models.PROTECT, related_name="invoices")
    vat_category = models.CharField(max_length=2, choices=Charge.Category.choices)
    currency = models.CharField(max_length=3)
    basis = models.CharField(max_length=5, choices=Plan.Basis.choices)
    seller = models.JSONField(help_text="As they were when issued, like everything here.")
    buyer = models.JSONField()
    issued_on = models.DateField()
    due_on = models.DateField()
    supplied_from = models.DateField()
    supplied_until = models.DateField(help_text="The last day of supply.")
    payment_reference = models.CharField(max_length=30)
    net = models.DecimalField(**AMOUNT)
    vat = models.DecimalField("VAT", **AMOUNT)
    gross = models.DecimalField(**AMOUNT)
    line_count = models.PositiveIntegerField("lines", help_text="With it no line can be added or lost unseen.")
    corrects = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="corrected_by")
    issued_at = models.DateTimeField()

    class Meta:
        ordering = ["-issued_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["series", "sequence"], name="invoice_number_once"),
            models.CheckConstraint(condition=Q(gross=F("net") + F("vat")), name="invoice_adds_up"),
            models.CheckConstraint(condition=Q(net__gte=0, vat__gte=0), name="invoice_not_negative"),
            models.CheckConstraint(
                condition=Q(kind="CREDIT_NOTE") ^ Q(corrects=None), name="credit_note_corrects_an_invoice"
            ),
        ]
        indexes = [models.Index(fields=["account", "-issued_at"], name="invoice_of_account")]

    def __str__(self) -> str:
        return self.number


class InvoiceLine(models.Model):
    """One charge on one document. `details` is what is printed, worded by `wording.py`.

    Keys: kind (USAGE, FEE, CREDIT), plan, driver, place, city, evse_id, started_at, ended_at (ISO, UTC), time_zone, cdr,
    month (the charge's, 2026-10), is_late (its month is over), components: list of {kind: energy (kWh) | time (min) |
    session | month, quantity, price} with decimals as text.
    """

    invoice = models.ForeignKey(Invoice, models.PROTECT, related_name="lines")
    charge = models.OneToOneField(Charge, models.PROTECT, related_name="line")
    position = models.PositiveIntegerField()
    description = models.TextField()
    details = models.JSONField()
    supplied_on = models.DateField()
    vat_rate = models.DecimalField("VAT rate, %", max_digits=5, decimal_places=2, null=True, blank=True)
    net = models.DecimalField(**AMOUNT)
    gross = models.DecimalField(**AMOUNT, null=True, blank=True, help_text="Only where prices include VAT.")

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["invoice", "position"], name="invoice_line_position_once")]

    def __str__(self) -> str:
        return f"{self.invoice} line {self.position}"


class TaxSubtotal(models.Model):
    """VAT of a document by category and rate: computed on the summed base, rounded once (BIL-63)."""

    invoice = models.ForeignKey(Invoice, models.PROTECT, related_name="tax_subtotals")
    category = models.CharField(max_length=2, choices=Charge.Category.choices)
    rate = models.DecimalField("rate, %", max_digits=5, decimal_places=2, null=True, blank=True)
    base = models.DecimalField(**AMOUNT)
    vat = models.DecimalField("VAT", **AMOUNT)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["invoice", "category", "rate"], nulls_distinct=False, name="tax_subtotal_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.invoice} {self.category} {self.rate}"


class Document(Due):
    """The PDF of an invoice: rendered once from frozen data, then the same bytes for ever (BIL-75)."""

    invoice = models.OneToOneField(Invoice, models.PROTECT, related_name="document")
    pdf = models.BinaryField("PDF", null=True, blank=True)
    sha256 = models.CharField("SHA-256", max_length=64, blank=True)
    rendered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["due_at", "id"], name="document_next", condition=Q(due_at__isnull=False))]

    def __str__(self) -> str:
        return f"{self.invoice}.pdf"


class Payment(models.Model):
    """That an invoice was paid, and who said so. Stands beside the invoice, which is frozen."""

    invoice = models.OneToOneField(Invoice, models.PROTECT, related_name="payment")
    paid_on = models.DateField()
    marked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True)
    marked_at = models.DateTimeField()

    class Meta:
        ordering = ["-paid_on"]

    def __str__(self) -> str:
        return f"{self.invoice} paid on {self.paid_on}"
