from django.db import models
from django.db.models import Q

from apps.charging.models import EXACT, Cdr, are_numbers
from apps.drivers.models import Account, Contract

from .plans import Plan, PlanPrice
from .seller import TaxRegistration
from .vat import VatRate

AMOUNT = {"max_digits": 18, "decimal_places": 4}


class Charge(models.Model):
    """What a driver's account owes us for one thing: a CDR, a month's fee, or minus what a credit CDR takes back.

    `amount` is the line's amount, rounded once, gross or net as `basis` says. Never changed but for `netted_at`: a charge
    whose credit CDR came before its invoice is netted and appears on no document (BIL-43).
    """

    class Kind(models.TextChoices):
        USAGE = "USAGE", "charging session"
        FEE = "FEE", "monthly fee"
        CREDIT = "CREDIT", "credit"

    class Category(models.TextChoices):
        STANDARD = "S", "VAT charged"
        REVERSE_CHARGE = "AE", "reverse charge"

    kind = models.CharField(max_length=6, choices=Kind.choices)
    cdr = models.ForeignKey(Cdr, models.PROTECT, null=True, blank=True, related_name="charges")
    share = models.PositiveSmallIntegerField(default=1, help_text="Which payer's share of the CDR; one payer: 1.")
    account = models.ForeignKey(Account, models.PROTECT, related_name="charges")
    contract = models.ForeignKey(Contract, models.PROTECT, related_name="charges")
    plan_price = models.ForeignKey(PlanPrice, models.PROTECT, related_name="charges")
    period = models.DateField(help_text="First day of the month it belongs to, by the session's end (BIL-61).")
    supplied_on = models.DateField(help_text="Local date at the charge point: the tax point (BIL-53).")
    registration = models.ForeignKey(TaxRegistration, models.PROTECT, related_name="charges", db_index=False)
    vat_category = models.CharField(max_length=2, choices=Category.choices)
    vat_rate = models.ForeignKey(VatRate, models.PROTECT, null=True, blank=True, help_text="Empty: no VAT is charged.")
    currency = models.CharField(max_length=3)
    basis = models.CharField(max_length=5, choices=Plan.Basis.choices)
    amount = models.DecimalField(**AMOUNT)
    reverses = models.OneToOneField("self", models.PROTECT, null=True, blank=True, related_name="reversed_by")
    explanation = models.JSONField(help_text="Quantities, prices, unrounded values: why it is this amount (BIL-23).")
    rated_at = models.DateTimeField()
    netted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["cdr", "share"], condition=Q(netted_at=None), name="charge_one_active_per_cdr_and_share"
            ),
            models.UniqueConstraint(
                fields=["contract", "period", "supplied_on"],
                condition=Q(kind="FEE", netted_at=None),
                name="charge_one_fee_per_contract_and_part_of_month",
            ),
            models.CheckConstraint(condition=Q(kind="FEE") ^ Q(cdr__isnull=False), name="charge_of_a_cdr_or_a_fee"),
            models.CheckConstraint(
                condition=Q(kind="CREDIT") ^ Q(reverses=None), name="charge_credit_reverses_another"
            ),
            *are_numbers("charge", "amount"),
            models.CheckConstraint(
                condition=Q(vat_category="S", vat_rate__isnull=False) | ~Q(vat_category="S") & Q(vat_rate=None),
                name="charge_standard_category_has_a_rate",
            ),
        ]
        indexes = [
            models.Index(fields=["period", "account"], name="charge_of_period"),
            models.Index(fields=["registration", "account"], name="charge_of_registration"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.amount:f} {self.currency}"


class Netting(models.Model):
    """A CDR and the credit CDR that took it back before its invoice: neither appears on a document (BIL-43)."""

    original = models.OneToOneField(Cdr, models.PROTECT, related_name="netted_by")
    credit = models.OneToOneField(Cdr, models.PROTECT, related_name="nets")
    netted_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=~Q(original=models.F("credit")), name="netting_of_two_cdrs")]

    def __str__(self) -> str:
        return f"{self.credit} nets {self.original}"


class Held(models.Model):
    """A CDR that is not billed for now, with the reason. Rating tries again by itself; a release or a mend is quicker."""

    cdr = models.OneToOneField(Cdr, models.CASCADE, related_name="held")
    code = models.CharField(max_length=20, help_text="NO_PLAN, NO_VAT_RATE, … or the V-code that holds it.")
    reason = models.TextField(help_text="In words for staff.")
    is_final = models.BooleanField("blocked", default=False, help_text="Nobody can release it (BIL-33).")
    attempts = models.PositiveIntegerField(default=1)
    since = models.DateTimeField()
    next_try_at = models.DateTimeField(null=True, blank=True, help_text="Empty: when its finding is released or gone.")

    class Meta:
        verbose_name = "held CDR"
        ordering = ["since"]
        indexes = [models.Index(fields=["next_try_at"], name="held_due")]

    def __str__(self) -> str:
        return f"{self.cdr}: {self.code}"


class Payable(models.Model):
    """What we owe the CPO for a CDR: net, from the CDR alone, whatever the driver pays (BIL-01, EX-28)."""

    cdr = models.OneToOneField(Cdr, models.PROTECT, related_name="payable")
    currency = models.CharField(max_length=3)
    net = models.DecimalField(**EXACT, help_text="Minus for a credit CDR.")
    is_accepted = models.BooleanField(help_text="No finding holds it towards the CPO.")
    decided_at = models.DateTimeField()

    class Meta:
        constraints = are_numbers("payable", "net")
        indexes = [models.Index(fields=["cdr"], name="payable_not_accepted", condition=Q(is_accepted=False))]

    def __str__(self) -> str:
        return f"{self.net:f} {self.currency} for {self.cdr}"
