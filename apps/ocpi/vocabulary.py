"""The enumerations of 2.3.0 and what older versions had beside them.

They are known sets, not closed ones: a value outside is kept as text and gets a warning (TR-40), so a field annotated
with one of these can hold any text.
"""

from typing import Literal, get_args

AllowedType = Literal["ALLOWED", "BLOCKED", "EXPIRED", "NO_CREDIT", "NOT_ALLOWED"]

AuthMethod = Literal["AUTH_REQUEST", "COMMAND", "WHITELIST"]

Capability = Literal[
    "CHARGING_PROFILE_CAPABLE", "CHARGING_PREFERENCES_CAPABLE", "CHIP_CARD_SUPPORT", "CONTACTLESS_CARD_SUPPORT",
    "CREDIT_CARD_PAYABLE", "DEBIT_CARD_PAYABLE", "PED_TERMINAL", "REMOTE_START_STOP_CAPABLE", "RESERVABLE",
    "RFID_READER", "START_SESSION_CONNECTOR_REQUIRED", "TOKEN_GROUP_CAPABLE", "UNLOCK_CAPABLE",
]  # fmt: skip

CdrDimensionType = Literal[
    "CURRENT", "ENERGY", "ENERGY_EXPORT", "ENERGY_IMPORT", "MAX_CURRENT", "MIN_CURRENT", "MAX_POWER", "MIN_POWER",
    "PARKING_TIME", "POWER", "RESERVATION_TIME", "STATE_OF_CHARGE", "TIME", "FLAT",
]  # fmt: skip
"""FLAT is 2.1.1's alone."""

CommandResponseType = Literal["ACCEPTED", "NOT_SUPPORTED", "REJECTED", "TIMEOUT", "UNKNOWN_SESSION"]
"""TIMEOUT is 2.1.1's alone."""

CommandResultType = Literal[
    "ACCEPTED", "CANCELED_RESERVATION", "EVSE_INOPERATIVE", "EVSE_OCCUPIED", "FAILED", "NOT_SUPPORTED", "REJECTED",
    "TIMEOUT", "UNKNOWN_RESERVATION", "UNKNOWN_SESSION",
]  # fmt: skip
"""UNKNOWN_SESSION is 2.1.1's alone, which has one type for both answers."""

ConnectorCapability = Literal["ISO_15118_2_PLUG_AND_CHARGE", "ISO_15118_20_PLUG_AND_CHARGE"]

ConnectorFormat = Literal["SOCKET", "CABLE"]

ConnectorType = Literal[
    "CHADEMO", "CHAOJI", "DOMESTIC_A", "DOMESTIC_B", "DOMESTIC_C", "DOMESTIC_D", "DOMESTIC_E", "DOMESTIC_F",
    "DOMESTIC_G", "DOMESTIC_H", "DOMESTIC_I", "DOMESTIC_J", "DOMESTIC_K", "DOMESTIC_L", "DOMESTIC_M", "DOMESTIC_N",
    "DOMESTIC_O", "GBT_AC", "GBT_DC", "IEC_60309_2_single_16", "IEC_60309_2_three_16", "IEC_60309_2_three_32",
    "IEC_60309_2_three_64", "IEC_62196_T1", "IEC_62196_T1_COMBO", "IEC_62196_T2", "IEC_62196_T2_COMBO",
    "IEC_62196_T3A", "IEC_62196_T3C", "MCS", "NEMA_5_20", "NEMA_6_30", "NEMA_6_50", "NEMA_10_30", "NEMA_10_50",
    "NEMA_14_30", "NEMA_14_50", "PANTOGRAPH_BOTTOM_UP", "PANTOGRAPH_TOP_DOWN", "SAE_J3400", "TESLA_R", "TESLA_S",
]  # fmt: skip

DayOfWeek = Literal["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"]

EnergySourceCategory = Literal[
    "NUCLEAR", "GENERAL_FOSSIL", "COAL", "GAS", "GENERAL_GREEN", "SOLAR", "WIND", "WATER"
]  # fmt: skip

EnvironmentalImpactCategory = Literal["NUCLEAR_WASTE", "CARBON_DIOXIDE"]

EvsePosition = Literal["LEFT", "RIGHT", "CENTER"]

Facility = Literal[
    "HOTEL", "RESTAURANT", "CAFE", "MALL", "SUPERMARKET", "SPORT", "RECREATION_AREA", "NATURE", "MUSEUM",
    "BIKE_SHARING", "BUS_STOP", "TAXI_STAND", "TRAM_STOP", "METRO_STATION", "TRAIN_STATION", "AIRPORT", "PARKING_LOT",
    "CARPOOL_PARKING", "FUEL_STATION", "WIFI",
]  # fmt: skip

ImageCategory = Literal["CHARGER", "ENTRANCE", "LOCATION", "NETWORK", "OPERATOR", "OTHER", "OWNER"]

InterfaceRole = Literal["SENDER", "RECEIVER"]

ParkingDirection = Literal["PARALLEL", "PERPENDICULAR", "ANGLE"]

ParkingRestriction = Literal[
    "CUSTOMERS", "DISABLED", "EMPLOYEES", "EV_ONLY", "MOTORCYCLES", "PLUGGED", "TAXIS", "TENANTS"
]  # fmt: skip

ParkingType = Literal[
    "ALONG_MOTORWAY", "PARKING_GARAGE", "PARKING_LOT", "ON_DRIVEWAY", "ON_STREET", "UNDERGROUND_GARAGE", "OTHER",
]  # fmt: skip
"""OTHER is 2.1.1's alone; its UNKNOWN is what later versions say by leaving the field out."""

PowerType = Literal["AC_1_PHASE", "AC_2_PHASE", "AC_2_PHASE_SPLIT", "AC_3_PHASE", "DC"]

ProfileType = Literal["CHEAP", "FAST", "GREEN", "REGULAR"]
PROFILES: tuple[str, ...] = get_args(ProfileType)
"""Also asked for by us: what a driver may wish (mod_sessions, ProfileType)."""

ConnectionStatus = Literal["CONNECTED", "OFFLINE", "PLANNED", "SUSPENDED"]

ReservationRestriction = Literal["RESERVATION", "RESERVATION_EXPIRES"]

Role = Literal["CPO", "EMSP", "HUB", "NAP", "NSP", "OTHER", "PTP", "SCSP"]
"""HUB is 2.2.1's, PTP the payments extension's."""

SessionStatus = Literal["ACTIVE", "COMPLETED", "INVALID", "PENDING", "RESERVATION"]

Status = Literal[
    "AVAILABLE", "BLOCKED", "CHARGING", "INOPERATIVE", "OUTOFORDER", "PLANNED", "REMOVED", "RESERVED", "UNKNOWN"
]  # fmt: skip

TariffDimensionType = Literal["ENERGY", "FLAT", "PARKING_TIME", "TIME"]

TariffType = Literal["AD_HOC_PAYMENT", "PROFILE_CHEAP", "PROFILE_FAST", "PROFILE_GREEN", "REGULAR"]

TaxIncluded = Literal["YES", "NO", "N/A"]

TokenType = Literal["AD_HOC_USER", "APP_USER", "EMAID", "OTHER", "RFID"]

VehicleType = Literal[
    "MOTORCYCLE", "PERSONAL_VEHICLE", "PERSONAL_VEHICLE_WITH_TRAILER", "VAN", "SEMI_TRACTOR", "RIGID",
    "TRUCK_WITH_TRAILER", "BUS", "DISABLED",
]  # fmt: skip

WhitelistType = Literal["ALWAYS", "ALLOWED", "ALLOWED_OFFLINE", "NEVER"]
