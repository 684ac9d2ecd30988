import uuid

import pghistory
from django.db import models
from django.db.models.functions import Upper

from apps.drivers.models import Account, Contract
from apps.partners.models import Agreement, Partner
from apps.work import Due


@pghistory.track()
class Token(models.Model):
    """A card or app that a driver presents (mod_tokens, Token Object).

    `version` is raised by every act that changes what partners must know; `last_updated` is that act's time.
    """

    class Type(models.TextChoices):
        RFID = "RFID", "RFID card"
        APP_USER = "APP_USER", "app"
        AD_HOC_USER = "AD_HOC_USER", "ad hoc"
        EMAID = "EMAID", "eMA ID (Plug & Charge)"
        OTHER = "OTHER", "other"

    class Whitelist(models.TextChoices):
        ALWAYS = "ALWAYS", "always: the CPO never asks"
        ALLOWED = "ALLOWED", "allowed: the CPO may ask"
        ALLOWED_OFFLINE = "ALLOWED_OFFLINE", "only when we cannot be reached"
        NEVER = "NEVER", "never: the CPO always asks"

    contract = models.ForeignKey(Contract, models.PROTECT, related_name="tokens")
    uid = models.CharField(max_length=36)
    type = models.CharField(max_length=11, choices=Type.choices, default=Type.RFID)
    visual_number = models.CharField(max_length=64, blank=True)
    issuer = models.CharField(max_length=64)
    group_id = models.CharField(max_length=36, blank=True)
    whitelist = models.CharField(max_length=15, choices=Whitelist.choices, default=Whitelist.ALLOWED)
    is_valid = models.BooleanField("valid", default=True)
    valid_from = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    blocked_at = models.DateTimeField(null=True, blank=True, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)
    last_updated = models.DateTimeField(editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["uid"]
        constraints = [models.UniqueConstraint(Upper("uid"), "type", name="token_identity")]
        indexes = [
            models.Index(fields=["last_updated", "id"], name="token_changed"),
            models.Index(fields=["valid_from"], name="token_begins", condition=models.Q(valid_from__isnull=False)),
            models.Index(fields=["expires_at"], name="token_ends", condition=models.Q(expires_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.visual_number or self.uid


class Authorization(models.Model):
    """One answer to "may this card charge?", kept with its reason (mod_tokens, Real-time authorization).

    `reference` is the authorization_reference of a grant; a repeat within 30 seconds gets the same (trust R28).
    """

    class Allowed(models.TextChoices):
        ALLOWED = "ALLOWED", "allowed"
        BLOCKED = "BLOCKED", "blocked"
        EXPIRED = "EXPIRED", "expired"
        NO_CREDIT = "NO_CREDIT", "no credit"
        NOT_ALLOWED = "NOT_ALLOWED", "not allowed"
        UNKNOWN = "UNKNOWN", "unknown card"

    partner = models.ForeignKey(Partner, models.PROTECT, related_name="authorizations", db_index=False)
    token = models.ForeignKey(
        Token, models.PROTECT, null=True, blank=True, related_name="authorizations", db_index=False
    )
    token_uid = models.TextField()
    token_type = models.CharField(max_length=11)
    location_id = models.TextField(blank=True)
    evse_uids = models.JSONField(default=list, blank=True)
    allowed = models.CharField(max_length=11, choices=Allowed.choices)
    reason = models.TextField(help_text="Why, in words for staff.")
    reference = models.UUIDField(default=uuid.uuid4)
    at = models.DateTimeField()

    class Meta:
        ordering = ["-at"]
        indexes = [
            models.Index(fields=["token", "-at"], name="authorization_of_token"),
            models.Index(fields=["reference"], name="authorization_reference"),
            models.Index(fields=["-at"], name="authorization_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.token_uid} {self.allowed}"


class TokenDelivery(Due):
    """What a partner knows of a token: wanted is `token.version`, known is `confirmed_version` (decision 24)."""

    partner = models.ForeignKey(Partner, models.CASCADE, related_name="deliveries")
    token = models.ForeignKey(Token, models.CASCADE, related_name="deliveries")
    confirmed_version = models.PositiveIntegerField(default=0, editable=False)
    confirmed_at = models.DateTimeField(null=True, blank=True, editable=False)
    is_withdrawn = models.BooleanField(
        "taken back",
        default=False,
        db_default=False,
        editable=False,
        help_text="It was told that the card is not valid, because it sees it no longer.",
    )

    class Meta:
        verbose_name_plural = "token deliveries"
        constraints = [models.UniqueConstraint(fields=["partner", "token"], name="delivery_once")]
        indexes = [
            models.Index(fields=["due_at", "id"], name="delivery_next", condition=models.Q(due_at__isnull=False))
        ]

    def __str__(self) -> str:
        return f"{self.token} at {self.partner}"


@pghistory.track(pghistory.InsertEvent(), pghistory.UpdateEvent(), pghistory.DeleteEvent())
class ShownAccount(models.Model):
    """An account whose cards a party sees, where its agreement says that it sees those of some alone."""

    agreement = models.ForeignKey(Agreement, models.CASCADE, related_name="shown_accounts", db_index=False)
    account = models.ForeignKey(Account, models.PROTECT, related_name="shown_to")

    class Meta:
        verbose_name = "account whose cards it sees"
        verbose_name_plural = "accounts whose cards it sees"
        constraints = [models.UniqueConstraint(fields=["agreement", "account"], name="shown_account_once")]

    def __str__(self) -> str:
        return str(self.account)


@pghistory.track()
class Sandbox(models.Model):
    """An account of test cards for one partner, which sees them, and nobody else does. What is charged on them is neither
    billed nor paid for."""

    partner = models.OneToOneField(Partner, models.PROTECT, related_name="sandbox")
    account = models.OneToOneField(Account, models.PROTECT, related_name="sandbox")
    reset_at = models.DateTimeField("as at first since", help_text="What was tried before is no longer shown.")

    class Meta:
        verbose_name_plural = "sandboxes"

    def __str__(self) -> str:
        return str(self.account)
