"""The forms of what our API takes and tells: what is said with them is what its description says.

Money and prices are decimal strings beside their currency, times are RFC 3339 in UTC, quantities name their unit.
"""

import math
from datetime import UTC

from django.conf import settings
from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.billing.models import Invoice
from apps.billing.offering import Offer
from apps.billing.usage import plain
from apps.charging import silence
from apps.charging.models import Command, Session
from apps.drivers.models import Contract, Driver
from apps.locations.models import Evse, Location
from apps.money import round_money
from apps.ocpi.vocabulary import PROFILES
from apps.tokens.models import Token

from . import ids, scope

FARTHEST_M, MOST, LAST = 100_000, 100, 10_000


class Id(serializers.CharField):
    """A row's id; None for none."""

    def __init__(self, model, **how):
        super().__init__(**how)
        self.model = model

    def to_representation(self, value):
        return ids.write(self.model, value)


class Row(serializers.CharField):
    """A row by its id, among those that the key may see."""

    default_error_messages = {"unknown": "There is no such thing."}

    def __init__(self, rows, **how):
        super().__init__(**how)
        self.rows = rows

    def to_internal_value(self, data):
        rows = self.rows(self.context["key"])
        found = rows.filter(pk=ids.read(rows.model, super().to_internal_value(data))).first()
        return found or self.fail("unknown")


class Degrees(serializers.FloatField):
    """A finite number: what is none compares with no limit."""

    def to_internal_value(self, data):
        degrees = super().to_internal_value(data)
        return degrees if math.isfinite(degrees) else self.fail("invalid")


class Number(serializers.CharField):
    """A decimal as text, exact and without needless zeros."""

    def to_representation(self, value):
        return plain(value)


class Money(serializers.CharField):
    """An amount of an invoice by its field's name, in the currency's minor unit."""

    def __init__(self, name: str):
        super().__init__(source="*")
        self.name = name

    def to_representation(self, value):
        return f"{round_money(getattr(value, self.name), value.currency):f}"


class Moment(serializers.DateTimeField):
    """RFC 3339 in UTC."""

    def __init__(self, **how):
        super().__init__(default_timezone=UTC, **how)


# What is asked for


class Paged(serializers.Serializer):
    limit = serializers.IntegerField(min_value=1, max_value=MOST, default=20, help_text="Of one page.")
    offset = serializers.IntegerField(min_value=0, max_value=LAST, default=0)


class ForContract(serializers.Serializer):
    contract = Row(
        scope.contracts, required=False,
        help_text="The contract's id. Prices are its, and private locations that allow one of its tokens are shown too.",
    )  # fmt: skip


class Near(Paged, ForContract):
    latitude = Degrees(min_value=-90, max_value=90, help_text="Degrees, WGS 84.")
    longitude = Degrees(min_value=-180, max_value=180, help_text="Degrees, WGS 84.")
    radius_m = serializers.IntegerField(min_value=1, max_value=FARTHEST_M, default=5000, help_text="Metres.")


class Start(serializers.Serializer):
    token = Row(scope.tokens, help_text="The id of one of the driver's tokens.")
    evse = Row(
        lambda key: Evse.objects.select_related("location__party__partner", "same_as__location__party__partner"),
        help_text="An EVSE's id.",
    )
    connector = serializers.CharField(
        required=False, default="", max_length=36, help_text="The id of a connector of it; needed where the CPO asks for it."
    )  # fmt: skip


class Wanted(serializers.Serializer):
    """What a driver wants of a session; what is left out the operator may do without, or ask for."""

    profile = serializers.ChoiceField(PROFILES, source="profile_type", help_text="As cheap, fast or green as it goes.")
    departure_at = Moment(source="departure_time", required=False, help_text="When the driver leaves.")
    energy_kwh = serializers.DecimalField(
        7, 3, source="energy_need", required=False, help_text="That are needed until then."
    )
    may_discharge = serializers.BooleanField(source="discharge_allowed", required=False)


# What is told


class Reason(serializers.Serializer):
    field = serializers.CharField()
    reason = serializers.CharField()


class Problem(serializers.Serializer):
    """A problem document (RFC 9457)."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    errors = Reason(many=True, required=False)


class Price(serializers.Serializer):
    """What the contract pays for charging here now, in its currency. Where nobody knows it is UNKNOWN: never free."""

    state = serializers.ChoiceField(Offer.State.choices)
    currency = serializers.CharField(source="price.plan.currency", allow_null=True, help_text="ISO 4217.")
    per_kwh = Number(source="price.per_kwh", allow_null=True)
    per_minute = Number(source="price.per_minute", allow_null=True)
    per_session = Number(source="price.per_session", allow_null=True)
    includes_vat = serializers.BooleanField(allow_null=True)
    reason = serializers.CharField(help_text="Why it is not known.")


class Connector(serializers.Serializer):
    id = serializers.CharField(source="ocpi_id")
    standard = serializers.CharField()
    format = serializers.CharField()
    power_type = serializers.CharField()
    max_power_w = serializers.IntegerField(source="max_electric_power", allow_null=True)
    max_voltage_v = serializers.IntegerField(source="max_voltage", allow_null=True)
    max_current_a = serializers.IntegerField(source="max_amperage", allow_null=True)


class EvseShape(serializers.Serializer):
    """A charge point's part that serves one vehicle at a time. Its status is as old as its age says."""

    id = Id(Evse, source="pk")
    evse_id = serializers.CharField()
    status = serializers.CharField(help_text="As OCPI says it: AVAILABLE, CHARGING, OUTOFORDER and more.")
    status_updated_at = Moment(source="last_updated")
    status_age_seconds = serializers.SerializerMethodField()
    price = serializers.SerializerMethodField()
    connectors = Connector(many=True, source="connectors.all")

    def get_status_age_seconds(self, evse) -> int:
        return age(evse.last_updated, self.context["now"])

    @extend_schema_field(Price)
    def get_price(self, evse):
        return Price(self.context["offers"].at(evse.location)).data


class LocationShape(serializers.Serializer):
    id = Id(Location, source="pk")
    operator = serializers.CharField(source="party", help_text="Country and id of the charge point operator.")
    name = serializers.CharField()
    address = serializers.CharField()
    postal_code = serializers.CharField()
    city = serializers.CharField()
    country = serializers.CharField(help_text="ISO 3166-1 alpha-3, as its CPO tells it.")
    latitude = serializers.FloatField(allow_null=True)
    longitude = serializers.FloatField(allow_null=True)
    time_zone = serializers.CharField()
    is_private = serializers.SerializerMethodField()
    updated_at = Moment(source="last_updated")
    evses = EvseShape(many=True, source="there")

    def get_is_private(self, location) -> bool:
        return location.publish is False


class NearLocation(LocationShape):
    distance_m = serializers.IntegerField()


class TokenShape(serializers.Serializer):
    """A card or app. Its UID is told to nobody here: whoever has it can copy the card."""

    id = Id(Token, source="pk")
    type = serializers.ChoiceField(Token.Type.choices)
    visual_number = serializers.CharField()
    state = serializers.SerializerMethodField()

    def get_state(self, token) -> str:
        return self.context["cards"][token.pk].verdict[0]


class ContractShape(serializers.Serializer):
    id = Id(Contract, source="pk")
    contract_id = serializers.CharField()
    driver = Id(Driver, source="driver_id")
    tokens = TokenShape(many=True, source="tokens.all")


class SessionShape(serializers.Serializer):
    """As its CPO last told. What it costs is on the invoice."""

    id = Id(Session, source="pk")
    status = serializers.CharField(help_text="As OCPI says it: ACTIVE, COMPLETED, INVALID, PENDING, RESERVATION.")
    contract = Id(Contract, source="token.contract_id")
    token = Id(Token, source="token_id")
    operator = serializers.CharField(source="party")
    location = Id(Location, source="place", allow_null=True)
    evse = Id(Evse, allow_null=True)
    started_at = Moment()
    ended_at = Moment(allow_null=True)
    energy_kwh = Number(source="energy")
    updated_at = Moment(source="last_updated")
    age_seconds = serializers.SerializerMethodField()
    is_silent = serializers.SerializerMethodField(help_text="So long without a word that nobody knows whether it runs.")

    def get_age_seconds(self, session) -> int:
        return age(session.last_updated, self.context["now"])

    def get_is_silent(self, session) -> bool:
        return silence.is_silent(session, self.context["now"])


class CommandShape(serializers.Serializer):
    """What a charge point was asked for, and how far that is. Only PROVEN says that a session shows it."""

    id = Id(Command, source="pk")
    kind = serializers.ChoiceField([Command.Kind.START_SESSION, *scope.OF_SESSIONS])
    state = serializers.ChoiceField(Command.State.choices)
    is_open = serializers.BooleanField(help_text="Whether it is still on its way.")
    requested_at = Moment()
    operator_answer = serializers.CharField(source="response")
    charge_point_answer = serializers.CharField(source="result")
    message = serializers.CharField(help_text="What they added for people to read.")
    session = Id(Session, source="session_id", allow_null=True)


class InvoiceShape(serializers.Serializer):
    """An issued document. A credit note's figures are positive; `corrects` is what it takes back."""

    id = Id(Invoice, source="pk")
    number = serializers.CharField()
    kind = serializers.ChoiceField(Invoice.Kind.choices)
    period = serializers.SerializerMethodField(help_text="A month, such as 2026-10.")
    issued_on = serializers.DateField()
    due_on = serializers.DateField()
    currency = serializers.CharField(help_text="ISO 4217.")
    net = Money("net")
    vat = Money("vat")
    gross = Money("gross")
    is_paid = serializers.SerializerMethodField()
    corrects = Id(Invoice, source="corrects_id", allow_null=True)
    pdf = serializers.SerializerMethodField(help_text="Null until it is made.")

    def get_period(self, invoice) -> str:
        return f"{invoice.period:%Y-%m}"

    def get_is_paid(self, invoice) -> bool:
        return hasattr(invoice, "payment")

    def get_pdf(self, invoice) -> str | None:
        """Only what is there has an address."""
        named = reverse("api-invoice-pdf", args=[ids.write(Invoice, invoice.pk)])
        return f"{settings.PUBLIC_URL}{named}" if invoice.is_made else None


def page_of(shape: type[serializers.Serializer]) -> type[serializers.Serializer]:
    """A list as it is told: so many, and the address where it goes on."""
    fields = {"items": shape(many=True), "next": serializers.URLField(allow_null=True)}
    return type(f"{shape.__name__}Page", (serializers.Serializer,), fields)


def age(at, now) -> int:
    return max(0, int((now - at).total_seconds()))
