"""OCPI 2.1.1: only what 2.2.1 says differently. The rules for steps are those of `v221`.

What 2.1.1 leaves out stays empty. What it implies is added to whole objects only: the owner, who was in the URL, and
that every location is meant to be shown.
"""

from . import v221
from .v221 import without

PATCHES = ("location_patch", "evse_patch", "connector_patch", "session_patch")

REQUIRED = dict.fromkeys(PATCHES, ()) | {"location": ("type", "postal_code")}
EXPECTED: dict[str, tuple[str, ...]] = {}
COMMANDS = v221.COMMANDS - {"CANCEL_RESERVATION", "SET_PREFERENCES"}

CAPABILITIES = {
    "CHARGING_PROFILE_CAPABLE",
    "CREDIT_CARD_PAYABLE",
    "REMOTE_START_STOP_CAPABLE",
    "RESERVABLE",
    "RFID_READER",
    "UNLOCK_CAPABLE",
}
PARKING_TYPES = {"ON_STREET", "PARKING_GARAGE", "UNDERGROUND_GARAGE", "PARKING_LOT"}
PARKING_RESTRICTIONS = {"EV_ONLY", "PLUGGED", "DISABLED", "CUSTOMERS", "MOTORCYCLES"}
LATER_FACILITIES = {"BIKE_SHARING", "TRAM_STOP", "METRO_STATION", "PARKING_LOT"}
DIMENSIONS = {"ENERGY", "FLAT", "MAX_CURRENT", "MIN_CURRENT", "PARKING_TIME", "TIME"}


def upgrade_location(location: dict, owner) -> dict:
    location.setdefault("publish", True)
    return owned_by(owner, upgrade_location_patch(location, owner))


def upgrade_location_patch(location: dict, owner) -> dict:
    rename(location, "type", "parking_type")
    if location.get("parking_type") == "UNKNOWN":
        location["parking_type"] = None
    for evse in the_list(location.get("evses")):
        upgrade_evse(evse, owner)
    hours = location.get("opening_times")
    if isinstance(hours, dict) and "regular_hours" in hours:
        hours.setdefault("twentyfourseven", False)  # it was a choice of one of the two (mod_locations, Hours)
    return upgrade_energy_mix(location)


def upgrade_evse(evse, owner):
    for connector in the_list(the_object(evse).get("connectors")):
        upgrade_connector(connector, owner)
    return evse


def upgrade_connector(connector, owner):
    if isinstance(connector, dict):
        rename(connector, "voltage", "max_voltage")
        rename(connector, "amperage", "max_amperage")
        if "tariff_id" in connector:
            tariff_id = connector.pop("tariff_id")
            connector["tariff_ids"] = [] if tariff_id is None else [tariff_id]
    return connector


def upgrade_energy_mix(whole: dict) -> dict:
    """The category of an environmental impact was called source."""
    if "energy_mix" in whole:
        for impact in the_list(the_object(whole["energy_mix"]).get("environ_impact")):
            rename(the_object(impact), "source", "category")
    return whole


def upgrade_tariff(tariff, owner):
    return owned_by(owner, upgrade_energy_mix(tariff)) if isinstance(tariff, dict) else tariff


def upgrade_session(session: dict, owner) -> dict:
    return owned_by(owner, upgrade_session_patch(session, owner))


def upgrade_session_patch(session: dict, owner) -> dict:
    rename(session, "start_datetime", "start_date_time")
    rename(session, "end_datetime", "end_date_time")
    if "location" in session:
        location = the_object(session.pop("location"))
        evse, connector = place_of(location)
        found = {"location_id": location.get("id"), "evse_uid": evse.get("uid"), "connector_id": connector.get("id")}
        session |= {name: value for name, value in found.items() if value is not None}
    return upgrade_usage(session)


def upgrade_cdr(cdr: dict, owner) -> dict:
    rename(cdr, "stop_date_time", "end_date_time")
    rename(cdr, "location", "cdr_location")
    upgrade_cdr_location(the_object(cdr.get("cdr_location")))
    for tariff in the_list(cdr.get("tariffs")):
        upgrade_tariff(tariff, owner)
    return owned_by(owner, upgrade_usage(cdr))


def upgrade_cdr_location(location: dict) -> None:
    evse, connector = place_of(location)
    if evse:
        location["evse_uid"] = evse.get("uid")
        location["evse_id"] = evse.get("evse_id")
    if connector:
        location["connector_id"] = connector.get("id")
        location["connector_standard"] = connector.get("standard")
        location["connector_format"] = connector.get("format")
        location["connector_power_type"] = connector.get("power_type")


def upgrade_usage(usage: dict) -> dict:
    """What sessions and CDRs share: of the token only the contract, and a cost that is a number before VAT."""
    if "auth_id" in usage:
        usage["cdr_token"] = {"contract_id": usage.pop("auth_id")}
    if usage.get("total_cost") is not None and not isinstance(usage["total_cost"], dict):
        usage["total_cost"] = {"excl_vat": usage["total_cost"]}
    return usage


def upgrade_token(token: dict, owner) -> dict:
    rename(token, "auth_id", "contract_id")
    return owned_by(owner, token)


def upgrade_credentials(credentials: dict, owner) -> dict:
    """One party and its business details, where later there is a list of roles (credentials, Credentials object)."""
    role = {name: credentials.get(name) for name in ("business_details", "party_id", "country_code")}
    credentials.setdefault("roles", [role | {"role": "CPO"}])
    return credentials


def owned_by(owner, whole: dict) -> dict:
    whole["country_code"], whole["party_id"] = owner.country_code, owner.party_id
    return whole


def rename(whole: dict, name: str, later: str) -> None:
    """Where a peer sends both, the name of its own version counts."""
    if name in whole:
        whole[later] = whole.pop(name)


def renamed(whole: dict, names: dict) -> dict:
    return {names.get(name, name): value for name, value in whole.items()}


def place_of(location: dict) -> tuple[dict, dict]:
    """EVSE and connector, if the location names exactly one: with several nobody knows which it was (PIT-17)."""
    evse = the_one(location.get("evses"))
    return evse, the_one(evse.get("connectors"))


def the_one(several) -> dict:
    is_one = isinstance(several, list) and len(several) == 1 and isinstance(several[0], dict)
    return several[0] if is_one else {}


def the_object(value) -> dict:
    return value if isinstance(value, dict) else {}


def the_list(value) -> list:
    return value if isinstance(value, list) else []


def downgrade_location(location: dict) -> dict:
    downgraded = without(location, "country_code", "party_id", "publish", "publish_allowed_to", "parking_type", "state")
    kind = location.get("parking_type")
    downgraded["type"] = kind if kind in PARKING_TYPES else "OTHER" if kind else "UNKNOWN"
    downgraded.setdefault("postal_code", "")
    keep(downgraded, "facilities", lambda facility: facility not in LATER_FACILITIES)
    if "evses" in location:
        downgraded["evses"] = [downgrade_evse(evse) for evse in location["evses"]]
    if "opening_times" in location:
        downgraded["opening_times"] = downgrade_hours(location["opening_times"])
    return downgrade_energy_mix(downgraded)


def downgrade_evse(evse: dict) -> dict:
    downgraded = dict(evse)
    keep(downgraded, "capabilities", CAPABILITIES.__contains__)
    keep(downgraded, "parking_restrictions", PARKING_RESTRICTIONS.__contains__)
    if "connectors" in evse:
        downgraded["connectors"] = [downgrade_connector(connector) for connector in evse["connectors"]]
    return downgraded


def downgrade_connector(connector: dict) -> dict:
    """One tariff at most; of several the first is named."""
    downgraded = without(connector, "tariff_ids", "max_electric_power")
    downgraded = renamed(downgraded, {"max_voltage": "voltage", "max_amperage": "amperage"})
    if connector.get("tariff_ids"):
        downgraded["tariff_id"] = connector["tariff_ids"][0]
    return downgraded


def downgrade_hours(hours: dict) -> dict:
    return without(hours, "twentyfourseven") if hours.get("regular_hours") else hours


def downgrade_energy_mix(whole: dict) -> dict:
    mix = whole.get("energy_mix")
    if not mix or "environ_impact" not in mix:
        return whole
    impacts = [renamed(impact, {"category": "source"}) for impact in mix["environ_impact"]]
    return whole | {"energy_mix": mix | {"environ_impact": impacts}}


def downgrade_tariff(tariff: dict) -> dict:
    """Reservations had no price of their own: their elements would have priced the charging itself."""
    downgraded = without(
        tariff, "country_code", "party_id", "type", "min_price", "max_price", "start_date_time", "end_date_time"
    )
    downgraded["elements"] = [
        downgrade_element(element)
        for element in tariff["elements"]
        if "reservation" not in the_object(element.get("restrictions"))
    ]
    return downgrade_energy_mix(downgraded)


def downgrade_element(element: dict) -> dict:
    downgraded = {"price_components": [without(component, "vat") for component in element["price_components"]]}
    restrictions = without(the_object(element.get("restrictions")), "min_current", "max_current")
    return downgraded | ({"restrictions": restrictions} if restrictions else {})


def downgrade_session(session: dict) -> dict:
    downgraded = without(
        session, "country_code", "party_id", "authorization_reference", "location_id", "evse_uid", "connector_id"
    )
    downgraded = renamed(downgraded, {"start_date_time": "start_datetime", "end_date_time": "end_datetime"})
    downgraded["location"] = {"id": session["location_id"], "evses": evses_of(session)}
    if session["status"] == "RESERVATION":
        downgraded["status"] = "PENDING"
    return downgrade_usage(downgraded)


def downgrade_cdr(cdr: dict) -> dict:
    kept = [name for name in cdr if name not in LATER_CDR_FIELDS]
    downgraded = renamed({name: cdr[name] for name in kept}, {"end_date_time": "stop_date_time"})
    place = cdr["cdr_location"]
    shown = {name: value for name, value in place.items() if not name.startswith(("evse_", "connector_", "state"))}
    downgraded["location"] = shown | {"evses": evses_of(place)}
    if "tariffs" in cdr:
        downgraded["tariffs"] = [downgrade_tariff(tariff) for tariff in cdr["tariffs"]]
    return downgrade_usage(downgraded)


LATER_CDR_FIELDS = {
    "country_code",
    "party_id",
    "session_id",
    "authorization_reference",
    "cdr_location",
    "signed_data",
    *(name for name in v221.PRICES if name != "total_cost"),
    "invoice_reference_id",
    "credit",
    "credit_reference_id",
    "home_charging_compensation",
}


def downgrade_usage(usage: dict) -> dict:
    """What sessions and CDRs share: contract for token, a number for the cost, COMMAND was an AUTH_REQUEST."""
    usage["auth_id"] = usage.pop("cdr_token")["contract_id"]
    if usage.get("total_cost") is not None:
        usage["total_cost"] = usage["total_cost"]["excl_vat"]
    if usage.get("auth_method") == "COMMAND":
        usage["auth_method"] = "AUTH_REQUEST"
    if usage.get("charging_periods"):
        usage["charging_periods"] = [downgrade_period(period) for period in usage["charging_periods"]]
    return usage


def downgrade_period(period: dict) -> dict:
    dimensions = [dimension for dimension in period["dimensions"] if dimension["type"] in DIMENSIONS]
    return without(period, "tariff_id") | {"dimensions": dimensions}


def evses_of(place: dict) -> list:
    """The embedded EVSE, as far as it is known."""
    if not place.get("evse_uid"):
        return []
    names = {"connector_id": "id", "connector_standard": "standard", "connector_format": "format"}
    names |= {"connector_power_type": "power_type"}
    connector = {name: place[ours] for ours, name in names.items() if place.get(ours)}
    evse = {"uid": place["evse_uid"], "connectors": [connector] if connector else []}
    return [evse | ({"evse_id": place["evse_id"]} if place.get("evse_id") else {})]


def downgrade_token(token: dict) -> dict:
    """Only RFID and OTHER; no groups, preferences or energy contracts (mod_tokens, TokenType)."""
    kept = without(token, "country_code", "party_id", "group_id", "default_profile_type", "energy_contract")
    downgraded = renamed(kept, {"contract_id": "auth_id"})
    return downgraded | {"type": token["type"] if token["type"] == "RFID" else "OTHER"}


def downgrade_start(command: dict) -> dict:
    downgraded = without(command, "connector_id", "authorization_reference")
    return downgraded | {"token": downgrade_token(command["token"])}


def downgrade_reservation(command: dict) -> dict:
    return downgrade_start(command) | {"reservation_id": int(command["reservation_id"])}


def downgrade_authorization(authorization: dict) -> dict:
    return without(authorization, "token", "authorization_reference")


def downgrade_credentials(credentials: dict) -> dict:
    role = credentials["roles"][0]
    return without(credentials, "roles") | without(role, "role")


def downgrade_version_details(details: dict) -> dict:
    """One URL per module, whatever the role."""
    urls = {endpoint["identifier"]: endpoint["url"] for endpoint in reversed(details["endpoints"])}
    endpoints = [{"identifier": name, "url": url} for name, url in reversed(urls.items())]
    return details | {"endpoints": endpoints}


def keep(whole: dict, name: str, fits) -> None:
    """Closed enumerations: what this version has no word for is left out."""
    if name in whole:
        whole[name] = [value for value in whole[name] if fits(value)]


def under(prefix: str, spelt: dict) -> dict:
    return {f"{prefix}.{later}": f"{prefix}.{name}" for later, name in spelt.items()}


SPELT_CONNECTOR = {"max_voltage": "voltage", "max_amperage": "amperage"} | {
    "tariff_ids[]": "tariff_id",
    "tariff_ids": "tariff_id",
}
SPELT_EVSE = under("connectors[]", SPELT_CONNECTOR)
SPELT_MIX = {"energy_mix.environ_impact[].category": "energy_mix.environ_impact[].source"}
SPELT_LOCATION = under("evses[]", SPELT_EVSE) | SPELT_MIX | {"parking_type": "type"}
SPELT_USAGE = {"cdr_token.contract_id": "auth_id", "cdr_token": "auth_id", "total_cost.excl_vat": "total_cost"}
SPELT_SESSION = SPELT_USAGE | {
    "start_date_time": "start_datetime",
    "end_date_time": "end_datetime",
    "location_id": "location.id",
    "evse_uid": "location.evses[0].uid",
    "connector_id": "location.evses[0].connectors[0].id",
}
SPELT_PLACE = {
    "evse_uid": "evses[0].uid",
    "evse_id": "evses[0].evse_id",
    "connector_id": "evses[0].connectors[0].id",
    "connector_standard": "evses[0].connectors[0].standard",
    "connector_format": "evses[0].connectors[0].format",
    "connector_power_type": "evses[0].connectors[0].power_type",
}
SPELT = {
    "connector": SPELT_CONNECTOR,
    "connector_patch": SPELT_CONNECTOR,
    "evse": SPELT_EVSE,
    "evse_patch": SPELT_EVSE,
    "location": SPELT_LOCATION,
    "location_patch": SPELT_LOCATION,
    "tariff": SPELT_MIX,
    "session": SPELT_SESSION,
    "session_patch": SPELT_SESSION,
    "cdr": SPELT_USAGE
    | {"end_date_time": "stop_date_time", "cdr_location": "location"}
    | {f"cdr_location.{later}": f"location.{name}" for later, name in SPELT_PLACE.items()}
    | under("tariffs[]", SPELT_MIX),
    "token": {"contract_id": "auth_id"},
    "credentials": {"roles[].business_details": "business_details"}
    | {f"roles[].{name}": name for name in ("party_id", "country_code")},
}
UPGRADES = {
    "location": upgrade_location,
    "location_patch": upgrade_location_patch,
    "evse": upgrade_evse,
    "evse_patch": upgrade_evse,
    "connector": upgrade_connector,
    "connector_patch": upgrade_connector,
    "tariff": upgrade_tariff,
    "session": upgrade_session,
    "session_patch": upgrade_session_patch,
    "cdr": upgrade_cdr,
    "token": upgrade_token,
    "credentials": upgrade_credentials,
}
DOWNGRADES = {
    "location": downgrade_location,
    "evse": downgrade_evse,
    "connector": downgrade_connector,
    "tariff": downgrade_tariff,
    "session": downgrade_session,
    "cdr": downgrade_cdr,
    "token": downgrade_token,
    "start_session": downgrade_start,
    "reserve_now": downgrade_reservation,
    "authorization": downgrade_authorization,
    "credentials": downgrade_credentials,
    "version_details": downgrade_version_details,
}
