from datetime import date

import pghistory
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeBoundary, RangeOperators
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Upper

from apps.postgresql.validity import Validity
from apps.work import Due

from .quirks import Quirks

PARTNER_SECRETS = ("outbound_token", "client_key")
"""Sealed, and in no history (trust S3)."""

MOST_PEM = 40_000
"""Characters: a dozen certificates."""


@pghistory.track(exclude=(*PARTNER_SECRETS, "slowed_until"))
class Partner(Quirks):
    """A platform we are connected to: one registration, one pair of credentials tokens, one or more parties."""

    class Role(models.TextChoices):
        CPO = "CPO", "charge point operator"
        HUB = "HUB", "hub"

    class State(models.TextChoices):
        INVITED = "INVITED", "invited"
        CONNECTED = "CONNECTED", "connected"
        DISCONNECTED = "DISCONNECTED", "disconnected"

    class TokenForm(models.TextChoices):
        AUTO = "auto", "by version"
        RAW = "raw", "raw"
        BASE64 = "base64", "Base64"

    name = models.CharField(max_length=100)
    role = models.CharField(max_length=3, choices=Role.choices, default=Role.CPO)
    state = models.CharField(max_length=12, choices=State.choices, default=State.INVITED, editable=False)
    version = models.CharField(
        "OCPI version", max_length=10, blank=True, editable=False, help_text="Empty: not connected."
    )
    versions_url = models.URLField(max_length=255, blank=True, editable=False)
    is_private = models.BooleanField(
        "private host", default=False, help_text="May use http and hosts named in OCPI_PRIVATE_HOSTS. For tests only."
    )
    token_form = models.CharField(
        "token in the header",
        max_length=6,
        choices=TokenForm.choices,
        default=TokenForm.AUTO,
        help_text="How our calls spell the credentials token (TR-03).",
    )
    outbound_token = models.TextField(blank=True, editable=False, help_text="Sealed; see apps/sealing.py.")
    certificate_authority = models.TextField(
        blank=True,
        default="",
        db_default="",
        max_length=MOST_PEM,
        help_text="PEM, where public authorities do not vouch for its servers: believed besides them, for it alone (S52).",
    )
    client_certificate = models.TextField(
        blank=True,
        default="",
        db_default="",
        max_length=MOST_PEM,
        help_text="PEM, where its servers ask who calls: ours, with those that lead to its authority behind it.",
    )
    client_key = models.TextField(
        blank=True, default="", db_default="", editable=False, help_text="Sealed; see apps/sealing.py."
    )
    roles = models.JSONField("roles as the partner sent them", default=list, blank=True, editable=False)
    pace = models.PositiveSmallIntegerField(
        default=1,
        db_default=1,
        validators=[MinValueValidator(1)],
        help_text="How many times the usual number of calls it may make (docs/operations.md).",
    )
    wants_place = models.BooleanField(
        "must say where",
        default=False,
        db_default=False,
        help_text="Whoever asks whether a card may charge must name the location, else the answer is 2002 (TOK-04).",
    )
    slowed_until = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Until then it may ask for one card a second."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    connected_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(Quirks.Meta):
        abstract = False
        ordering = ["name"]
        constraints = [
            *Quirks.Meta.constraints,
            models.CheckConstraint(
                condition=Q(client_certificate="", client_key="") | ~Q(client_certificate="") & ~Q(client_key=""),
                name="partner_certificate_has_its_key",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_hub(self) -> bool:
        return self.role == self.Role.HUB

    @property
    def is_connected(self) -> bool:
        return self.state == self.State.CONNECTED


@pghistory.track()
class Party(models.Model):
    """Who owns OCPI objects: a country and the three characters registered there. Printed SE*LAD (decision 36).

    `partner` is the one connection by which the party is reached now; empty while it has none. Objects stay the
    party's when the connection changes, so a CDR that comes again by another route is the same row (decision 16).
    `claimed_by` is a partner that says it is its, and waits for staff to say so too (trust S10).
    """

    country_code = models.CharField(max_length=2)
    party_id = models.CharField(max_length=3)
    name = models.CharField(max_length=100, blank=True)
    partner = models.ForeignKey(Partner, models.PROTECT, null=True, blank=True, related_name="parties")
    claimed_by = models.ForeignKey(
        Partner, models.SET_NULL, null=True, blank=True, editable=False, related_name="claims", db_index=False
    )

    class Meta:
        verbose_name_plural = "parties"
        ordering = ["country_code", "party_id"]
        constraints = [models.UniqueConstraint(Upper("country_code"), Upper("party_id"), name="party_identity")]

    def __str__(self) -> str:
        return f"{self.country_code}*{self.party_id}"


def _days(name: str, help_text: str) -> models.PositiveSmallIntegerField:
    return models.PositiveSmallIntegerField(name, null=True, blank=True, help_text=help_text)


@pghistory.track()
class Agreement(models.Model):
    """What we and a party agreed on, from a day until before another (BIL-02).

    Days are those of the office's time zone. `partner` is the connection by which the party is reached meanwhile, of
    several that lead to it (trust S17, decision 16). What a CDR is under was agreed on the day its charging began.
    """

    class CommercialModel(models.TextChoices):
        RESELLER = "reseller", "we buy from it and sell to the driver"
        DISCLOSED_AGENT = "disclosed_agent", "it sells to the driver itself, we are its agent"
        OWN_NETWORK = "own_network", "it is ourselves: we sell and buy nothing"

    class Cards(models.TextChoices):
        ALL = "all", "all"
        NAMED = "named", "those of the accounts below"
        NONE = "none", "none"

    party = models.ForeignKey(Party, models.PROTECT, related_name="agreements", db_index=False)
    partner = models.ForeignKey(
        Partner,
        models.PROTECT,
        related_name="agreements",
        verbose_name="reached through",
        help_text="The connection, direct or of a hub, that alone writes for it and is written to (S17).",
    )
    valid_from = models.DateField()
    valid_until = models.DateField(null=True, blank=True, help_text="The first day it no longer holds.")
    commercial_model = models.CharField(
        max_length=15,
        choices=CommercialModel.choices,
        default=CommercialModel.RESELLER,
        help_text="Only what we sell is billed to the driver, only what we buy is owed to the CPO (BIL-02).",
    )
    currency = models.CharField(
        max_length=3, blank=True, help_text="ISO 4217; a CDR in another is held (V-28). Empty: any."
    )
    payment_days = _days(
        "days to pay", "What we owe is due so many days after its CDR or invoice came. Empty: not agreed."
    )
    dispute_days = _days(
        "days to dispute", "A CDR may be disputed up to so many days after it came (BIL-40). Empty: not agreed."
    )
    sends_sessions = models.BooleanField(
        "sessions",
        default=False,
        help_text="It tells of every session; a CDR of one that it did not tell of is marked.",
    )
    may_credit = models.BooleanField("credits", default=True, help_text="Credit CDRs may come; else they are marked.")
    may_be_free = models.BooleanField(
        "CDRs that cost nothing", default=True, help_text="They may come; else they are marked."
    )
    cdr_days = _days(
        "CDRs within days", "A CDR that comes later than so many days after charging is marked. Empty: any time."
    )

    cards = models.CharField(
        "sees of our cards",
        max_length=5,
        choices=Cards.choices,
        default=Cards.ALL,
        help_text="Others are unknown to it, and those it was told of before are taken back (S18).",
    )

    class Meta:
        ordering = ["party", "-valid_from"]
        constraints = [
            ExclusionConstraint(
                name="agreement_one_of_a_party_at_a_time",
                expressions=[
                    ("party", RangeOperators.EQUAL),
                    (Validity("valid_from", "valid_until", RangeBoundary()), RangeOperators.OVERLAPS),
                ],
                violation_error_message="Another agreement with this party holds in that time.",
            ),
            models.CheckConstraint(
                condition=Q(valid_until=None) | Q(valid_until__gt=F("valid_from")),
                name="agreement_ends_after_it_begins",
                violation_error_message="It must hold for a day at least.",
            ),
            models.CheckConstraint(
                condition=Q(currency="") | Q(currency__regex=r"^[A-Z]{3}$"),
                name="agreement_currency_is_iso_4217",
                violation_error_message="A currency is three capital letters (ISO 4217).",
            ),
            models.CheckConstraint(
                condition=Q(commercial_model__in=["reseller", "disclosed_agent", "own_network"]),
                name="agreement_commercial_model_is_known",
            ),
            models.CheckConstraint(condition=Q(cards__in=["all", "named", "none"]), name="agreement_cards_are_known"),
        ]

    def __str__(self) -> str:
        return f"{self.party} from {self.valid_from}" + (f" until {self.valid_until}" if self.valid_until else "")

    def clean(self) -> None:
        """What no constraint sees: whoever is said to tell of no sessions cannot be held to it."""
        if self.sends_sessions and self.partner_id and self.partner.no_sessions:
            raise ValidationError({"sends_sessions": f"{self.partner} has the quirk that it tells of none."})

    def holds_on(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_until is None or day < self.valid_until)


class CredentialsToken(models.Model):
    """A credentials token that a partner presents to us. Only its SHA-256 is kept (trust S1, S2, S4)."""

    class Kind(models.TextChoices):
        INVITATION = "A", "token A, for registration alone"
        CREDENTIALS = "C", "credentials token"

    partner = models.ForeignKey(Partner, models.CASCADE, related_name="inbound_tokens")
    kind = models.CharField(max_length=1, choices=Kind.choices)
    digest = models.BinaryField(unique=True)
    last_four = models.CharField(max_length=4)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    first_used_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"token {self.kind} …{self.last_four} of {self.partner}"


class Alarm(models.Model):
    """Something a partner does that somebody has to look at; counted up while it is open."""

    class Kind(models.TextChoices):
        STALE_TOKEN = "STALE_TOKEN", "a token that is dead was used"
        GUESSING = "GUESSING", "asks for cards that there are not"
        HASTE = "HASTE", "calls too often"
        CERTIFICATE = "CERTIFICATE", "a certificate runs out"

    partner = models.ForeignKey(Partner, models.CASCADE, related_name="alarms")
    kind = models.CharField(max_length=11, choices=Kind.choices)
    reason = models.TextField()
    count = models.PositiveIntegerField("times")
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-last_at"]
        constraints = [
            models.UniqueConstraint(fields=["partner", "kind"], condition=Q(settled_at=None), name="alarm_open_once")
        ]

    def __str__(self) -> str:
        return f"{self.partner}: {self.get_kind_display()}"


class Endpoint(models.Model):
    """A URL of the partner's version details."""

    partner = models.ForeignKey(Partner, models.CASCADE, related_name="endpoints")
    identifier = models.CharField(max_length=50)
    role = models.CharField(max_length=8, choices=[("SENDER", "sender"), ("RECEIVER", "receiver")])
    url = models.URLField(max_length=255)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["partner", "identifier", "role"], name="endpoint_once")]

    def __str__(self) -> str:
        return f"{self.identifier} {self.role}"


class Certificate(Due):
    """Until when a certificate holds that calls to a partner need: of a host, or one that staff gave us for it.

    `name` is the host, with its port where that is not 443, or what staff gave us: see partners/certificates.py.
    """

    partner = models.ForeignKey(Partner, models.CASCADE, related_name="certificates", db_index=False)
    name = models.CharField(max_length=255)
    ends_at = models.DateTimeField(null=True, blank=True)
    has_ended = models.BooleanField(
        default=False, help_text="It is no longer believed, whether or not we saw its date."
    )
    looked_at = models.DateTimeField(null=True, blank=True)
    warned_at = models.DateTimeField(null=True, blank=True, help_text="Once, until another takes its place.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["partner", "name"], name="certificate_once")]

    def __str__(self) -> str:
        return f"{self.name} of {self.partner}"


class Feed(Due):
    """What we pull of one module of one partner, how far we have come, and how it goes."""

    class Module(models.TextChoices):
        TARIFFS = "tariffs", "tariffs"
        LOCATIONS = "locations", "locations"
        SESSIONS = "sessions", "sessions"
        CDRS = "cdrs", "CDRs"
        CLIENTS = "hubclientinfo", "parties behind a hub"
        INVOICES = "invoicereconciliation", "what invoices are for"

    partner = models.ForeignKey(Partner, models.CASCADE, related_name="feeds")
    module = models.CharField(max_length=30, choices=Module.choices)
    interval = models.DurationField(help_text="How often we pull; a random part of a fifth is added (TR-21).")
    watermark = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="The next pull asks for what changed since then."
    )
    last_good_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_full_at = models.DateTimeField(null=True, blank=True, editable=False)
    failures = models.PositiveIntegerField("failures in a row", default=0, editable=False)
    last_outcome = models.JSONField(default=dict, blank=True, editable=False)
    resume = models.JSONField(default=dict, blank=True, editable=False, help_text="Where a broken pull goes on.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["partner", "module"], name="feed_once")]

    def __str__(self) -> str:
        return f"{self.module} of {self.partner}"


class Client(models.Model):
    """A party behind a hub, as the hub last told of it (mod_hub_client_info). Codes are kept in upper case."""

    class Status(models.TextChoices):
        CONNECTED = "CONNECTED", "connected"
        OFFLINE = "OFFLINE", "offline"
        PLANNED = "PLANNED", "planned"
        SUSPENDED = "SUSPENDED", "suspended"

    hub = models.ForeignKey(Partner, models.CASCADE, related_name="clients")
    country_code = models.CharField(max_length=2)
    party_id = models.CharField(max_length=3)
    role = models.CharField(max_length=10)
    status = models.CharField(max_length=20, choices=Status.choices)
    last_updated = models.DateTimeField()
    received_at = models.DateTimeField()

    class Meta:
        verbose_name = "party behind a hub"
        verbose_name_plural = "parties behind hubs"
        ordering = ["country_code", "party_id", "role"]
        constraints = [
            models.UniqueConstraint(fields=["hub", "country_code", "party_id", "role"], name="client_of_hub_once")
        ]

    def __str__(self) -> str:
        return f"{self.country_code}*{self.party_id} {self.role}"


class Exchange(models.Model):
    """One OCPI call, in or out: its bytes as they were, tokens left out. No code decides on it."""

    class Direction(models.TextChoices):
        IN = "IN", "received"
        OUT = "OUT", "sent"

    partner = models.ForeignKey(
        Partner, models.CASCADE, null=True, blank=True, related_name="exchanges", db_index=False
    )
    direction = models.CharField(max_length=3, choices=Direction.choices)
    module = models.CharField(max_length=30, blank=True)
    object_id = models.TextField(
        "object", blank=True, default="", db_default="", help_text="Its id; of a card the mark that stands for it."
    )
    method = models.CharField(max_length=7)
    url = models.TextField()
    request_body = models.BinaryField(blank=True, default=b"")
    response_body = models.BinaryField(blank=True, default=b"")
    http_status = models.PositiveSmallIntegerField(null=True, blank=True)
    status_code = models.PositiveSmallIntegerField("OCPI status code", null=True, blank=True)
    error = models.TextField(blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    correlation_id = models.CharField(max_length=64, blank=True)
    duration = models.DurationField(null=True, blank=True)
    at = models.DateTimeField()

    class Meta:
        verbose_name = "message"
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["partner", "-at"], name="exchange_of_partner"),
            models.Index(Upper("object_id"), F("id").desc(), name="exchange_of_object", condition=~Q(object_id="")),
            models.Index(fields=["request_id"], name="exchange_of_request"),
            models.Index(fields=["correlation_id"], name="exchange_of_correlation"),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.url}"


class Quarantined(models.Model):
    """An object we could not take: its bytes as sent and every reason, until staff mend or dismiss it (decision 3).

    The same bytes sent again only raise `seen`. `mended` holds what staff made of it; the original stays.
    """

    class State(models.TextChoices):
        OPEN = "OPEN", "open"
        MENDED = "MENDED", "mended and taken"
        DISMISSED = "DISMISSED", "dismissed"

    partner = models.ForeignKey(Partner, models.PROTECT, related_name="quarantined")
    party = models.ForeignKey(Party, models.PROTECT, null=True, blank=True, related_name="quarantined")
    module = models.CharField(max_length=30)
    version = models.CharField("OCPI version", max_length=10)
    ocpi_id = models.CharField("id", max_length=255, blank=True, help_text="Empty: it could not be read.")
    body = models.BinaryField(help_text="The object's own bytes, as sent.")
    digest = models.BinaryField(help_text="SHA-256 of the body.")
    context = models.JSONField(default=dict, blank=True, help_text="What the URL said: ids and method.")
    code = models.CharField(
        max_length=4,
        blank=True,
        help_text="V-02: known with another content; V-05: not the sender's; WAIT: not the sender's yet.",
    )
    owner = models.CharField(
        max_length=6,
        blank=True,
        default="",
        db_default="",
        help_text="Of whom it says that it is, where its sender does not speak for them: SE*LAD.",
    )
    reasons = models.JSONField(help_text="Each problem as path and reason.")
    state = models.CharField(max_length=9, choices=State.choices, default=State.OPEN)
    mended = models.BinaryField(null=True, blank=True)
    seen = models.PositiveIntegerField(default=1)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "quarantined object"
        ordering = ["-last_seen_at"]
        constraints = [models.UniqueConstraint(fields=["partner", "module", "digest"], name="quarantined_once")]
        indexes = [
            models.Index(fields=["module"], name="quarantined_open", condition=Q(state="OPEN")),
            models.Index(fields=["partner", "module", "first_seen_at", "id"], name="quarantined_of_partner"),
        ]

    def __str__(self) -> str:
        return f"{self.module} {self.ocpi_id or '(no id)'}"
