"""OCPI 2.3.0, the newest version we know: its objects are the canonical ones."""

from . import objects

OBJECTS = {
    "location": objects.Location,
    "evse": objects.Evse,
    "connector": objects.Connector,
    "tariff": objects.Tariff,
    "session": objects.Session,
    "cdr": objects.Cdr,
    "token": objects.Token,
    "location_references": objects.LocationReferences,
    "authorization": objects.AuthorizationInfo,
    "command_response": objects.CommandResponse,
    "command_result": objects.CommandResult,
    "credentials": objects.Credentials,
    "version_details": objects.VersionDetails,
    "client_info": objects.ClientInfo,
    "invoice_reconciliation_record": objects.InvoiceReconciliationRecord,
    "location_patch": objects.LocationPatch,
    "evse_patch": objects.EvsePatch,
    "connector_patch": objects.ConnectorPatch,
    "session_patch": objects.SessionPatch,
}

CDR_TOKEN = ("cdr_token.country_code", "cdr_token.party_id", "cdr_token.uid", "cdr_token.type")

REQUIRED = {
    "location": ("time_zone",),
    "tariff": ("tax_included",),
    "session": (*CDR_TOKEN, "evse_uid", "connector_id"),
    "cdr": (
        *CDR_TOKEN,
        "cdr_location.evse_uid",
        "cdr_location.evse_id",
        "cdr_location.connector_id",
        "cdr_location.connector_standard",
        "cdr_location.connector_format",
        "cdr_location.connector_power_type",
    ),
    "authorization": ("token",),
    "version_details": ("endpoints.role",),
    "location_patch": ("last_updated",),
    "evse_patch": ("last_updated",),
    "connector_patch": ("last_updated",),
    "session_patch": ("last_updated",),
}
"""What this version demands beyond the canonical object, by path in the body as sent; lists are looked into."""

COMMANDS = frozenset(
    {"START_SESSION", "STOP_SESSION", "UNLOCK_CONNECTOR", "RESERVE_NOW", "CANCEL_RESERVATION", "SET_PREFERENCES"}
)
"""What can be asked at a charge point (mod_commands, CommandType; preferences are put to sessions, and so named by us).
Their objects are only ever written."""

EXPECTED = {
    "cdr": ("tariffs.country_code", "tariffs.party_id", "tariffs.tax_included", "tariffs.last_updated"),
    "command_response": ("timeout",),
}
"""What it demands too, but a CDR is not refused for: its tariffs are evidence, and the examples of the specification
themselves leave such fields out."""

SPELT: dict[str, dict[str, str]] = {}
UPGRADES: dict = {}
DOWNGRADES: dict = {}
