"""The objects of OCPI as we think of them: names, units and vocabulary of 2.3.0, whatever version they came in.

Energy is in kWh, time in hours, power in W on connectors and kW in tariffs. None means that the sender did not say.
An object read from an older version leaves empty what that version cannot express.
"""

import re
from datetime import datetime
from decimal import Decimal
from typing import get_origin

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from . import vocabulary as v
from .types import (
    CountryCode,
    Currency,
    Date,
    DateTime,
    Flag,
    Integer,
    Latitude,
    Longitude,
    Number,
    PartyId,
    TimeOfDay,
    code,
    identity,
    some,
    some_or_none,
    text,
)


class Party(Struct, frozen=True, order=True):
    """A market participant: ISO 3166 alpha-2 country and the three characters it registered."""

    country_code: str
    party_id: str

    def __str__(self) -> str:
        return f"{self.country_code}*{self.party_id}"

    @property
    def key(self) -> tuple[str, str]:
        """What identity compares: CiStrings are the same in any case (types, CiString)."""
        return self.country_code.upper(), self.party_id.upper()

    @classmethod
    def parse(cls, written: str) -> "Party":
        """Read SE*LAD, SE-LAD or SELAD: a shell may expand the star (decision 36)."""
        match = re.fullmatch(r"([A-Za-z]{2})[*-]?([A-Za-z0-9]{3})", written.strip(), re.ASCII)
        if match is None:
            raise ValueError(f"{written!r} is no party: two letters of the country and three characters, like SE*LAD")
        return cls(match[1].upper(), match[2].upper())


NOT_APPLICABLE = "#NA"


def known_id(told: str | None) -> str:
    """An id to look something up by; empty where there can be none, as of a reservation without an EVSE (TR-38)."""
    return "" if told is None or told == NOT_APPLICABLE else told


class Object(Struct, frozen=True, omit_defaults=True, gc=False):
    """Anything on the wire. None can hold itself, so the collector of cycles need not look at them."""


class Owned(Object, kw_only=True):
    country_code: CountryCode
    party_id: PartyId

    @property
    def owner(self) -> Party:
        """The party whose object this is; in 2.1.1 it was only in the URL."""
        return Party(self.country_code, self.party_id)


class DisplayText(Object, kw_only=True):
    language: text(2)
    text: text(512)


class Image(Object, kw_only=True):
    url: text(255)
    category: v.ImageCategory
    type: code(4)
    thumbnail: text(255) | None = None
    width: Integer | None = None
    height: Integer | None = None


class BusinessDetails(Object, kw_only=True):
    name: text(100)
    website: text(255) | None = None
    logo: Image | None = None


class GeoLocation(Object, kw_only=True):
    """Decimal degrees, as text."""

    latitude: Latitude
    longitude: Longitude


class AdditionalGeoLocation(GeoLocation, kw_only=True):
    name: DisplayText | None = None


class RegularHours(Object, kw_only=True):
    """Local time; weekday 1 is Monday."""

    weekday: Integer
    period_begin: TimeOfDay
    period_end: TimeOfDay


class ExceptionalPeriod(Object, kw_only=True):
    period_begin: DateTime
    period_end: DateTime


class Hours(Object, kw_only=True):
    twentyfourseven: Flag
    regular_hours: tuple[RegularHours, ...] = ()
    exceptional_openings: tuple[ExceptionalPeriod, ...] = ()
    exceptional_closings: tuple[ExceptionalPeriod, ...] = ()


class EnergySource(Object, kw_only=True):
    source: v.EnergySourceCategory
    percentage: Number


class EnvironmentalImpact(Object, kw_only=True):
    """Grams per kWh."""

    category: v.EnvironmentalImpactCategory
    amount: Number


class EnergyMix(Object, kw_only=True):
    is_green_energy: Flag
    energy_sources: tuple[EnergySource, ...] = ()
    environ_impact: tuple[EnvironmentalImpact, ...] = ()
    supplier_name: text(64) | None = None
    energy_product_name: text(64) | None = None


class PublishTokenType(Object, kw_only=True):
    uid: code(36) | None = None
    type: v.TokenType | None = None
    visual_number: text(64) | None = None
    issuer: text(64) | None = None
    group_id: code(36) | None = None


class Parking(Object, kw_only=True):
    """A parking place: lengths in centimetres, weight in kilograms, time limit in minutes."""

    id: identity(36)
    vehicle_types: some_or_none(v.VehicleType)
    restricted_to_type: Flag
    reservation_required: Flag
    physical_reference: text(12) | None = None
    max_vehicle_weight: Number | None = None
    max_vehicle_height: Number | None = None
    max_vehicle_length: Number | None = None
    max_vehicle_width: Number | None = None
    parking_space_length: Number | None = None
    parking_space_width: Number | None = None
    dangerous_goods_allowed: Flag | None = None
    direction: v.ParkingDirection | None = None
    drive_through: Flag | None = None
    time_limit: Number | None = None
    roofed: Flag | None = None
    images: tuple[Image, ...] = ()
    lighting: Flag | None = None
    refrigeration_outlet: Flag | None = None
    standards: tuple[code(36), ...] = ()
    apds_reference: code(255) | None = None


class EvseParking(Object, kw_only=True):
    parking_id: code(36)
    evse_position: v.EvsePosition | None = None


class StatusSchedule(Object, kw_only=True):
    period_begin: DateTime
    status: v.Status
    period_end: DateTime | None = None


class Connector(Object, kw_only=True):
    """Volt, ampere, watt."""

    id: identity(36)
    standard: v.ConnectorType
    format: v.ConnectorFormat
    power_type: v.PowerType
    max_voltage: Integer
    max_amperage: Integer
    max_electric_power: Integer | None = None
    tariff_ids: tuple[code(36), ...] = ()
    terms_and_conditions: text(255) | None = None
    capabilities: tuple[v.ConnectorCapability, ...] = ()
    last_updated: DateTime


class Evse(Object, kw_only=True):
    uid: identity(39)
    evse_id: code(48) | None = None
    status: v.Status
    status_schedule: tuple[StatusSchedule, ...] = ()
    capabilities: tuple[v.Capability, ...] = ()
    connectors: some_or_none(Connector)
    floor_level: text(4) | None = None
    coordinates: GeoLocation | None = None
    physical_reference: text(16) | None = None
    directions: tuple[DisplayText, ...] = ()
    parking_restrictions: tuple[v.ParkingRestriction, ...] = ()
    parking: tuple[EvseParking, ...] = ()
    images: tuple[Image, ...] = ()
    accepted_service_providers: tuple[text(50), ...] = ()
    last_updated: DateTime


class Location(Owned, kw_only=True):
    """OCPI's own field `owner` (business details of the site's owner) is `site_owner` here."""

    id: identity(39)
    publish: Flag
    publish_allowed_to: tuple[PublishTokenType, ...] = ()
    name: text(255) | None = None
    address: text(255)
    city: text(45)
    postal_code: text(10) | None = None
    state: text(45) | None = None
    country: text(3)
    coordinates: GeoLocation
    related_locations: tuple[AdditionalGeoLocation, ...] = ()
    parking_type: v.ParkingType | None = None
    evses: tuple[Evse, ...] = ()
    parking_places: tuple[Parking, ...] = ()
    directions: tuple[DisplayText, ...] = ()
    operator: BusinessDetails | None = None
    suboperator: BusinessDetails | None = None
    site_owner: BusinessDetails | None = field(default=None, name="owner")
    facilities: tuple[v.Facility, ...] = ()
    time_zone: text(255) | None = None
    opening_times: Hours | None = None
    charging_when_closed: Flag | None = None
    images: tuple[Image, ...] = ()
    energy_mix: EnergyMix | None = None
    help_phone: code(25) | None = None
    last_updated: DateTime


class TaxAmount(Object, kw_only=True):
    name: text(255)
    account_number: text(255) | None = None
    percentage: Number | None = None
    amount: Number


class Price(Object, kw_only=True):
    """An amount in the currency of the object around it. No taxes: the sender did not say; `()`: there are none."""

    before_taxes: Number
    taxes: tuple[TaxAmount, ...] | None = None

    @property
    def tax_total(self) -> Decimal | None:
        return None if self.taxes is None else sum((tax.amount for tax in self.taxes), Decimal(0))


class PriceLimit(Object, kw_only=True):
    before_taxes: Number
    after_taxes: Number | None = None


class PriceComponent(Object, kw_only=True):
    """Price per kWh, per hour or once; VAT in percent; steps in Wh or seconds."""

    type: v.TariffDimensionType
    price: Number
    vat: Number | None = None
    step_size: Integer


class TariffRestrictions(Object, kw_only=True):
    """Local time of the location; kWh, A, kW and seconds; lower bounds belong to the range, upper ones do not."""

    start_time: TimeOfDay | None = None
    end_time: TimeOfDay | None = None
    start_date: Date | None = None
    end_date: Date | None = None
    min_kwh: Number | None = None
    max_kwh: Number | None = None
    min_current: Number | None = None
    max_current: Number | None = None
    min_power: Number | None = None
    max_power: Number | None = None
    min_duration: Integer | None = None
    max_duration: Integer | None = None
    day_of_week: tuple[v.DayOfWeek, ...] = ()
    reservation: v.ReservationRestriction | None = None


class TariffElement(Object, kw_only=True):
    price_components: some(PriceComponent)
    restrictions: TariffRestrictions | None = None


class Tariff(Owned, kw_only=True):
    id: identity(36)
    currency: Currency
    type: v.TariffType | None = None
    tariff_alt_text: tuple[DisplayText, ...] = ()
    tariff_alt_url: text(255) | None = None
    min_price: PriceLimit | None = None
    max_price: PriceLimit | None = None
    elements: some(TariffElement)
    tax_included: v.TaxIncluded | None = None
    start_date_time: DateTime | None = None
    end_date_time: DateTime | None = None
    energy_mix: EnergyMix | None = None
    last_updated: DateTime


class CdrTariff(Tariff, kw_only=True):
    """A tariff inside a CDR. Peers leave out what the CDR around it says; it is evidence, so it may."""

    country_code: CountryCode | None = None
    party_id: PartyId | None = None
    last_updated: DateTime | None = None

    @property
    def owner(self) -> Party | None:
        return Party(self.country_code, self.party_id) if self.country_code and self.party_id else None


class CdrToken(Object, kw_only=True):
    """In 2.1.1 only the contract is known."""

    country_code: code(2) | None = None
    party_id: code(3) | None = None
    uid: code(36) | None = None
    type: v.TokenType | None = None
    contract_id: code(36)


class CdrDimension(Object, kw_only=True):
    type: v.CdrDimensionType
    volume: Number


class ChargingPeriod(Object, kw_only=True):
    start_date_time: DateTime
    dimensions: some(CdrDimension)
    tariff_id: code(36) | None = None


class Session(Owned, kw_only=True):
    id: identity(36)
    start_date_time: DateTime
    end_date_time: DateTime | None = None
    kwh: Number
    cdr_token: CdrToken
    auth_method: v.AuthMethod
    authorization_reference: code(36) | None = None
    location_id: code(39)
    evse_uid: code(39) | None = None
    connector_id: code(36) | None = None
    meter_id: text(255) | None = None
    currency: Currency
    charging_periods: tuple[ChargingPeriod, ...] = ()
    total_cost: Price | None = None
    status: v.SessionStatus
    last_updated: DateTime


class CdrLocation(Object, kw_only=True):
    """Where it was, as it was then. In 2.1.1 the EVSE is known only if the embedded location names exactly one."""

    id: code(39)
    name: text(255) | None = None
    address: text(255)
    city: text(45)
    postal_code: text(10) | None = None
    state: text(45) | None = None
    country: text(3)
    coordinates: GeoLocation
    evse_uid: code(39) | None = None
    evse_id: code(48) | None = None
    connector_id: code(36) | None = None
    connector_standard: v.ConnectorType | None = None
    connector_format: v.ConnectorFormat | None = None
    connector_power_type: v.PowerType | None = None


class SignedValue(Object, kw_only=True):
    nature: code(32)
    plain_data: text(5000)
    signed_data: text(5000)


class SignedData(Object, kw_only=True):
    encoding_method: code(36)
    encoding_method_version: Integer | None = None
    public_key: text(512) | None = None
    signed_values: some_or_none(SignedValue)
    url: text(512) | None = None


class Cdr(Owned, kw_only=True):
    """A charge detail record: sealed by the CPO, corrected only by a credit CDR (mod_cdrs, Credit CDRs)."""

    id: identity(39)
    start_date_time: DateTime
    end_date_time: DateTime
    session_id: code(36) | None = None
    cdr_token: CdrToken
    auth_method: v.AuthMethod
    authorization_reference: code(36) | None = None
    cdr_location: CdrLocation
    meter_id: text(255) | None = None
    currency: Currency
    tariffs: tuple[CdrTariff, ...] = ()
    charging_periods: some(ChargingPeriod)
    signed_data: SignedData | None = None
    total_cost: Price
    total_fixed_cost: Price | None = None
    total_energy: Number
    total_energy_cost: Price | None = None
    total_time: Number
    total_time_cost: Price | None = None
    total_parking_time: Number | None = None
    total_parking_cost: Price | None = None
    total_reservation_cost: Price | None = None
    remark: text(255) | None = None
    invoice_reference_id: code(39) | None = None
    credit: Flag | None = None
    credit_reference_id: code(39) | None = None
    home_charging_compensation: Flag | None = None
    last_updated: DateTime


class EnergyContract(Object, kw_only=True):
    supplier_name: text(64)
    contract_id: text(64) | None = None


class Token(Owned, kw_only=True):
    uid: identity(36)
    type: v.TokenType
    contract_id: code(36)
    visual_number: text(64) | None = None
    issuer: text(64)
    group_id: code(36) | None = None
    valid: Flag
    whitelist: v.WhitelistType
    language: text(2) | None = None
    default_profile_type: v.ProfileType | None = None
    energy_contract: EnergyContract | None = None
    last_updated: DateTime


class LocationReferences(Object, kw_only=True):
    location_id: code(39)
    evse_uids: tuple[code(39), ...] = ()


class AuthorizationInfo(Object, kw_only=True):
    allowed: v.AllowedType
    token: Token | None = None
    location: LocationReferences | None = None
    authorization_reference: code(36) | None = None
    info: DisplayText | None = None


class StartSession(Object, kw_only=True):
    """`connector_id` and `authorization_reference` are later than 2.1.1."""

    response_url: text(255)
    token: Token
    location_id: code(39)
    evse_uid: code(39) | None = None
    connector_id: code(36) | None = None
    authorization_reference: code(36) | None = None


class StopSession(Object, kw_only=True):
    response_url: text(255)
    session_id: code(36)


class UnlockConnector(Object, kw_only=True):
    response_url: text(255)
    location_id: code(39)
    evse_uid: code(39)
    connector_id: code(36)


class ReserveNow(Object, kw_only=True):
    """`reservation_id` are digits: in 2.1.1 it is a number."""

    response_url: text(255)
    token: Token
    expiry_date: DateTime
    reservation_id: code(36)
    location_id: code(39)
    evse_uid: code(39) | None = None
    authorization_reference: code(36) | None = None


class CancelReservation(Object, kw_only=True):
    response_url: text(255)
    reservation_id: code(36)


class ChargingPreferences(Object, kw_only=True):
    """What a driver wants of a session, later than 2.1.1; energy in kWh."""

    profile_type: v.ProfileType
    departure_time: DateTime | None = None
    energy_need: Number | None = None
    discharge_allowed: bool | None = None


class CommandResponse(Object, kw_only=True):
    """What the CPO says at once. `timeout`: seconds until it gives up on the charge point; 2.1.1 does not say."""

    result: v.CommandResponseType
    timeout: Integer | None = None
    message: tuple[DisplayText, ...] = ()


class CommandResult(Object, kw_only=True):
    """What the charge point said, told later."""

    result: v.CommandResultType
    message: tuple[DisplayText, ...] = ()


class CredentialsRole(Owned, kw_only=True):
    role: v.Role
    business_details: BusinessDetails


class Credentials(Object, kw_only=True):
    token: text(64)
    url: text(255)
    hub_party_id: code(5) | None = None
    roles: some(CredentialsRole)


class ClientInfo(Owned, kw_only=True):
    """How a party is connected to a hub. The specification's own example leaves the date out, so it may be absent."""

    role: v.Role
    status: v.ConnectionStatus
    last_updated: DateTime | None = None


class InvoiceReconciliationRecord(Owned, kw_only=True):
    """Which CDRs an invoice is for. Ids of credit CDRs are longer than the 36 of its table (mod_cdrs, Credit CDRs)."""

    id: identity(36)
    invoice_id: code(255)
    cdrs: some(code(39))
    last_updated: DateTime


class VersionRef(Object, kw_only=True):
    version: text(10)
    url: text(255)


class Endpoint(Object, kw_only=True):
    """In 2.1.1 an endpoint has no role: one URL serves both."""

    identifier: code(255)
    role: v.InterfaceRole | None = None
    url: text(255)


class VersionDetails(Object, kw_only=True):
    version: text(10)
    endpoints: some_or_none(Endpoint)


def _patch_of(cls: type[Struct], *, key: str | None = None, **replaced) -> type[Struct]:
    """The PATCH of an object: every field may be absent (UNSET); null clears what may be empty (TR-29, TR-30)."""
    fields = []
    for known in msgspec.structs.fields(cls):
        kind = replaced.get(known.name, known.type)
        if known.name == key:
            fields.append((known.name, kind))
        else:
            clearable = kind | None if get_origin(kind) is tuple and not known.required else kind
            fields.append((known.name, clearable | UnsetType, field(default=UNSET, name=known.encode_name)))
    return msgspec.defstruct(
        f"{cls.__name__}Patch", fields, bases=(Object,), module=__name__, frozen=True, kw_only=True
    )


ConnectorPatch = _patch_of(Connector)
EvsePatch = _patch_of(Evse)
EvsePatchInLocation = _patch_of(Evse, key="uid")
LocationPatch = _patch_of(Location, evses=tuple[EvsePatchInLocation, ...])
SessionPatch = _patch_of(Session)


def changes(patch: Struct) -> dict:
    """Only what a PATCH said, as the store applies it: nested objects as builtins, numbers and times as they are."""
    return msgspec.to_builtins(patch, builtin_types=(datetime, Decimal))
