import uuid
from decimal import Decimal

from django.db import models
from django.db.models import Case, Exists, F, OuterRef, Q, Value, When
from django.db.models.functions import Upper

from apps.drivers.models import Contract
from apps.partners.models import Partner, Party
from apps.tokens.models import Authorization, Token
from apps.work import Due

EXACT = {"max_digits": 30, "decimal_places": 10}
"""numeric(30,10): an OCPI number as sent, never rounded at intake (decision 13)."""


LARGEST = Decimal(10**20 - 1)


def are_numbers(model: str, *names: str) -> list[models.CheckConstraint]:
    """numeric accepts NaN, and one NaN poisons every sum (trust S28); it sorts above every number."""
    return [
        models.CheckConstraint(condition=Q(**{f"{name}__lte": LARGEST}), name=f"{model}_{name}_is_a_number")
        for name in names
    ]


class Session(models.Model):
    """A charging session as the CPO last told. Never billed; the CDR is (SES-03)."""

    LIVE = ("ACTIVE", "PENDING")

    party = models.ForeignKey(Party, models.PROTECT, related_name="sessions", db_index=False)
    partner = models.ForeignKey(Partner, models.PROTECT, related_name="sessions", db_index=False)
    ocpi_id = models.CharField("id", max_length=255)
    status = models.CharField(max_length=255)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    energy = models.DecimalField("energy, kWh", **EXACT)
    currency = models.CharField(max_length=3)
    cost_before_taxes = models.DecimalField(**EXACT, null=True, blank=True, help_text="What we owe the CPO so far.")
    token_uid = models.TextField(blank=True)
    token_type = models.CharField(max_length=255, blank=True)
    sent_contract_id = models.TextField("contract id, as sent", blank=True)
    token = models.ForeignKey(Token, models.PROTECT, null=True, blank=True, related_name="sessions", db_index=False)
    authorization_reference = models.TextField(blank=True)
    location_id = models.TextField(blank=True)
    evse_uid = models.TextField(blank=True)
    connector_id = models.TextField(blank=True)
    details = models.JSONField(default=dict, help_text="The canonical object without its periods.")
    told = models.JSONField(default=dict, help_text="By name: when a PATCH last told it, since the object came whole.")
    whole_at = models.DateTimeField(help_text="last_updated of the last PUT: what is older no longer counts.")
    body = models.BinaryField(help_text="The object's own bytes, as last PUT or pulled.")
    version = models.CharField("OCPI version of the body", max_length=10)
    last_updated = models.DateTimeField()
    received_at = models.DateTimeField()
    asked_at = models.DateTimeField(
        "asked for", null=True, blank=True, help_text="When its CPO was asked because it had fallen silent (SES-07)."
    )

    class Meta:
        ordering = ["-started_at"]
        constraints = [
            models.UniqueConstraint("party", Upper("ocpi_id"), name="session_identity"),
            *are_numbers("session", "energy", "cost_before_taxes"),
        ]
        indexes = [
            models.Index(fields=["token", "-started_at"], name="session_of_token"),
            models.Index(fields=["-last_updated"], name="session_live", condition=Q(status__in=["ACTIVE", "PENDING"])),
            models.Index(fields=["id"], name="session_unmatched", condition=Q(token=None)),
        ]

    def __str__(self) -> str:
        return self.ocpi_id


class SessionPeriod(models.Model):
    """A charging period of a running session. The same start is the same period; the newer wins (decision 21)."""

    session = models.ForeignKey(Session, models.CASCADE, related_name="periods")
    started_at = models.DateTimeField()
    period = models.JSONField(help_text="The canonical ChargingPeriod.")
    last_updated = models.DateTimeField()

    class Meta:
        ordering = ["started_at"]
        constraints = [models.UniqueConstraint(fields=["session", "started_at"], name="session_period_identity")]

    def __str__(self) -> str:
        return f"{self.session} {self.started_at:%H:%M}"


class CdrQuerySet(models.QuerySet):
    """CDRs by what we think of them. What has been billed is not known here: that is billing's."""

    def unchecked(self):
        """New ones, and those about which we learnt something since."""
        return self.filter(checked_at=None)

    def unmatched(self):
        """Nobody can be billed for them until somebody finds out whose they are (BIL-34)."""
        return self.filter(contract=None)

    def fit_to_bill(self):
        """Checked, somebody's, and nothing that holds it: rating takes them from here (BIL-33)."""
        return self.filter(~Exists(_held("driver_severity")), contract__isnull=False, checked_at__isnull=False)

    def fit_to_pay(self):
        """Checked, and nothing that keeps us from accepting what the CPO asks for (BIL-33)."""
        refused = Finding.objects.filter(cdr=OuterRef("pk"), cpo_severity=Finding.Severity.BLOCK)
        return self.filter(~Exists(_held("cpo_severity")), ~Exists(refused), checked_at__isnull=False)

    def with_standing(self):
        """Each with its `standing`, as one word for the driver's side."""
        blocked = _held("driver_severity").filter(driver_severity=Finding.Severity.BLOCK)
        rules = [
            When(checked_at=None, then=Value(Standing.UNCHECKED)),
            When(Exists(blocked), then=Value(Standing.BLOCKED)),
            When(contract=None, then=Value(Standing.UNMATCHED)),
            When(Exists(_held("driver_severity")), then=Value(Standing.HELD)),
        ]
        return self.annotate(standing=Case(*rules, default=Value(Standing.FIT), output_field=models.CharField()))


def _held(side: str):
    return Finding.objects.filter(cdr=OuterRef("pk"), is_released=False, **{f"{side}__gte": Finding.Severity.HOLD})


class Standing(models.TextChoices):
    """What stands between a CDR and the driver's bill."""

    UNCHECKED = "UNCHECKED", "checks are due"
    UNMATCHED = "UNMATCHED", "nobody's yet"
    BLOCKED = "BLOCKED", "blocked"
    HELD = "HELD", "held"
    FIT = "FIT", "fit to bill"


class Cdr(models.Model):
    """A charge detail record as the CPO sealed it: stored before it is judged, never changed (CDR-03, trust D3).

    Energy is in kWh, times in hours, as on the wire. `body` is the CPO's own bytes. What we find out about it later
    stands in `token` (whose it is, `matching`) and in the rows beside it: findings, charges, holds.
    Keys that begin an index below, or are never asked for, have none of their own: CDRs are written more than read.
    """

    public_id = models.UUIDField("UUID", default=uuid.uuid4, unique=True, editable=False)
    party = models.ForeignKey(Party, models.PROTECT, related_name="cdrs", db_index=False)
    partner = models.ForeignKey(Partner, models.PROTECT, related_name="cdrs", db_index=False, help_text="Who sent it.")
    ocpi_id = models.CharField("CDR id", max_length=255)
    session_id = models.TextField(blank=True)
    authorization_reference = models.TextField(blank=True)
    auth_method = models.CharField(max_length=255)
    token_uid = models.TextField(blank=True)
    token_type = models.CharField(max_length=255, blank=True)
    sent_contract_id = models.TextField("contract id, as sent", blank=True)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    energy = models.DecimalField("energy, kWh", **EXACT)
    time = models.DecimalField("time, hours", **EXACT)
    parking_time = models.DecimalField("parking time, hours", **EXACT, null=True, blank=True)
    currency = models.CharField(max_length=3)
    cost_before_taxes = models.DecimalField(**EXACT, help_text="What we owe the CPO, net (BIL-01).")
    cost_taxes = models.DecimalField(**EXACT, null=True, blank=True, help_text="Empty: the CPO did not say.")
    country = models.CharField(max_length=255, help_text="ISO 3166-1 alpha-3 of the charge point, as sent.")
    time_zone = models.CharField(
        max_length=255,
        blank=True,
        help_text="Of the location if known, else of a country with one zone; the local date decides VAT (BIL-53).",
    )
    location_id = models.TextField(blank=True)
    location_name = models.TextField(blank=True)
    city = models.TextField(blank=True)
    evse_uid = models.TextField(blank=True)
    evse_id = models.TextField("EVSE ID", blank=True)
    is_credit = models.BooleanField("credit", default=False)
    credit_reference_id = models.TextField(blank=True)
    body = models.BinaryField(help_text="The CDR's own bytes, as sent.")
    version = models.CharField("OCPI version of the body", max_length=10)
    content_hash = models.BinaryField()
    warnings = models.JSONField(default=list, blank=True, help_text="What we forgave, by path.")
    last_updated = models.DateTimeField()
    received_at = models.DateTimeField()
    token = models.ForeignKey(Token, models.PROTECT, null=True, blank=True, related_name="cdrs", db_index=False)
    contract = models.ForeignKey(
        Contract, models.PROTECT, null=True, blank=True, related_name="cdrs", help_text="Empty: nobody's yet."
    )
    authorization = models.ForeignKey(Authorization, models.PROTECT, null=True, blank=True, related_name="cdrs")
    credits = models.OneToOneField(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="credited_by",
        help_text="The CDR that this one takes back.",
    )
    checked_at = models.DateTimeField(null=True, blank=True, help_text="Empty: its checks are due.")

    objects = CdrQuerySet.as_manager()

    class Meta:
        verbose_name = "CDR"
        ordering = ["-ended_at", "-pk"]
        constraints = [
            models.UniqueConstraint("party", Upper("ocpi_id"), name="cdr_identity"),
            *are_numbers("cdr", "energy", "time", "parking_time", "cost_before_taxes", "cost_taxes"),
        ]
        indexes = [
            models.Index(fields=["-ended_at", "-id"], name="cdr_newest"),
            models.Index(fields=["id"], name="cdr_unchecked", condition=Q(checked_at=None)),
            models.Index(fields=["id"], name="cdr_checked", condition=Q(checked_at__isnull=False)),  # read by rating
            models.Index(fields=["id"], name="cdr_unmatched", condition=Q(contract=None)),
            models.Index(fields=["id"], name="cdr_without_zone", condition=Q(time_zone="")),
            models.Index(fields=["token", "-ended_at"], name="cdr_of_token"),
            models.Index(fields=["party", "received_at", "id"], name="cdr_of_party"),  # read by who sent it
            models.Index(
                "party",
                Upper("credit_reference_id"),
                name="cdr_credit_waiting",
                condition=Q(is_credit=True, credits=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.party}:{self.ocpi_id}"


class Finding(models.Model):
    """A verdict of a check on a CDR (BIL-32, BIL-33): one row per rule, judged apart for driver and CPO."""

    class Severity(models.IntegerChoices):
        INFO = 1, "info"
        WARN = 2, "warning"
        HOLD = 3, "hold"
        BLOCK = 4, "block"

    cdr = models.ForeignKey(Cdr, models.CASCADE, related_name="findings")
    code = models.CharField(max_length=4, help_text="V-20, V-35 …, see checks.RULES")
    driver_severity = models.PositiveSmallIntegerField(choices=Severity.choices)
    cpo_severity = models.PositiveSmallIntegerField(choices=Severity.choices)
    reason = models.TextField(help_text="In words for staff, with what was expected and what came.")
    is_released = models.BooleanField(default=False, help_text="Staff looked and let it pass.")
    found_at = models.DateTimeField()

    class Meta:
        ordering = ["-driver_severity", "code"]
        constraints = [models.UniqueConstraint(fields=["cdr", "code"], name="finding_once")]
        indexes = [
            models.Index(fields=["cdr"], name="finding_holding", condition=Q(driver_severity__gte=3, is_released=False))
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.get_driver_severity_display()}"


class Command(Due):
    """What a CPO was asked to do at a charge point, and how far it came (mod_commands; of preferences mod_sessions).

    It is sent once or not at all (CMD-08), and what comes back is never waited for: first what the CPO says at once
    (`response`), then what the charge point said (`result`), then perhaps a session, which alone proves that somebody
    charges (CMD-05). `due_at` is when to send it, later when to stop expecting anything.
    """

    class Kind(models.TextChoices):
        START_SESSION = "START_SESSION", "start"
        STOP_SESSION = "STOP_SESSION", "stop"
        UNLOCK_CONNECTOR = "UNLOCK_CONNECTOR", "unlock"
        RESERVE_NOW = "RESERVE_NOW", "reserve"
        CANCEL_RESERVATION = "CANCEL_RESERVATION", "cancel a reservation"
        SET_PREFERENCES = "SET_PREFERENCES", "charging preferences"

    class State(models.TextChoices):
        REQUESTED = "REQUESTED", "about to be sent"
        UNSENT = "UNSENT", "not sent"
        SENT = "SENT", "sent, the CPO has not answered"
        REFUSED = "REFUSED", "refused by the CPO"
        ACCEPTED = "ACCEPTED", "passed on to the charge point"
        UNANSWERED = "UNANSWERED", "no result: nobody knows"
        FAILED = "FAILED", "failed at the charge point"
        DONE = "DONE", "accepted by the charge point"
        PROVEN = "PROVEN", "shown by a session"
        CANCELED = "CANCELED", "cancelled"

    UNTOLD = (State.REQUESTED, State.UNSENT)
    OPEN = (State.REQUESTED, State.SENT, State.ACCEPTED)

    kind = models.CharField(max_length=18, choices=Kind.choices)
    state = models.CharField(max_length=10, choices=State.choices, default=State.REQUESTED)
    party = models.ForeignKey(Party, models.PROTECT, related_name="commands", help_text="Whose charge point it is.")
    partner = models.ForeignKey(Partner, models.PROTECT, related_name="commands", help_text="Whom we asked.")
    token = models.ForeignKey(Token, models.PROTECT, null=True, blank=True, related_name="commands")
    location_id = models.TextField(blank=True)
    evse_uid = models.TextField(blank=True)
    connector_id = models.TextField(blank=True)
    session = models.ForeignKey(
        Session,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="commands",
        help_text="The one to stop, the one that proves it, or whose preferences these are.",
    )
    reservation = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="cancellations", help_text="The one to cancel."
    )
    reserved_until = models.DateTimeField(null=True, blank=True)
    preferences = models.JSONField(null=True, blank=True, help_text="The canonical ChargingPreferences (SES-08).")
    authorization_reference = models.TextField(blank=True, help_text="Of the authorisation we gave (CMD-01).")
    reply_key = models.CharField(max_length=22, unique=True, editable=False, help_text="Ends the response_url.")
    requested_at = models.DateTimeField()
    requested_by = models.CharField(max_length=150, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    response = models.CharField(max_length=255, blank=True, help_text="What the CPO said at once.")
    answerable_until = models.DateTimeField(null=True, blank=True, help_text="Later results are not taken.")
    unanswered_at = models.DateTimeField(null=True, blank=True, help_text="Since when no result was expected any more.")
    result = models.CharField(max_length=255, blank=True, help_text="What the charge point said.")
    result_at = models.DateTimeField(null=True, blank=True)
    message = models.TextField(blank=True, help_text="What was added for people to read.")
    proven_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                "party",
                "kind",
                Upper("location_id"),
                Upper("evse_uid"),
                Upper("connector_id"),
                "token",
                "session",
                "reservation",
                condition=Q(state__in=["REQUESTED", "SENT", "ACCEPTED"]),
                nulls_distinct=False,
                name="command_asked_once_at_a_time",
            ),
            models.CheckConstraint(
                condition=~Q(kind__in=["START_SESSION", "RESERVE_NOW"])
                | Q(token__isnull=False) & ~Q(location_id="") & ~Q(authorization_reference=""),
                name="command_start_or_reserve_is_for_an_authorized_card_at_a_place",
            ),
            models.CheckConstraint(
                condition=~Q(kind="STOP_SESSION") | Q(session__isnull=False), name="command_stop_names_a_session"
            ),
            models.CheckConstraint(
                condition=~Q(kind="UNLOCK_CONNECTOR") | ~Q(location_id="") & ~Q(evse_uid="") & ~Q(connector_id=""),
                name="command_unlock_names_a_connector",
            ),
            models.CheckConstraint(
                condition=Q(kind="CANCEL_RESERVATION", reservation__isnull=False)
                | ~Q(kind="CANCEL_RESERVATION") & Q(reservation=None),
                name="command_cancel_names_a_reservation",
            ),
            models.CheckConstraint(
                condition=Q(kind="RESERVE_NOW", reserved_until__isnull=False, reserved_until__gt=F("requested_at"))
                | ~Q(kind="RESERVE_NOW") & Q(reserved_until=None),
                name="command_reservation_ends_later",
            ),
            models.CheckConstraint(
                condition=Q(kind="SET_PREFERENCES", session__isnull=False, preferences__isnull=False)
                | ~Q(kind="SET_PREFERENCES") & Q(preferences__isnull=True),
                name="command_preferences_are_of_a_session",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["REQUESTED", "UNSENT"], sent_at=None)
                | ~Q(state__in=["REQUESTED", "UNSENT"]) & Q(sent_at__isnull=False, answerable_until__isnull=False),
                name="command_told_has_a_time",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["REQUESTED", "SENT", "ACCEPTED"], due_at__isnull=False)
                | ~Q(state__in=["REQUESTED", "SENT", "ACCEPTED"]) & Q(due_at=None),
                name="command_open_is_due",
            ),
            models.CheckConstraint(
                condition=Q(result="", result_at=None) | ~Q(result="") & Q(result_at__isnull=False),
                name="command_result_has_a_time",
            ),
            models.CheckConstraint(
                condition=~Q(state="PROVEN") | Q(session__isnull=False, proven_at__isnull=False),
                name="command_proven_has_a_session",
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], name="command_due", condition=Q(due_at__isnull=False)),
            models.Index(
                fields=["authorization_reference"], name="command_reference", condition=~Q(authorization_reference="")
            ),
            models.Index(fields=["token", "-id"], name="command_of_token"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} at {self.party}, {self.requested_at:%Y-%m-%d %H:%M}"

    @property
    def is_open(self) -> bool:
        return self.state in self.OPEN

    @property
    def is_late(self) -> bool:
        """Whether its result came when nobody expected it any more."""
        return self.unanswered_at is not None and self.result_at is not None
