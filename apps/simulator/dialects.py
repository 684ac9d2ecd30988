"""How the simulated CPO words its objects in the versions it speaks.

All that it keeps is in the words of 2.2.1; here is what the others say differently. It shares nothing with the reader
of the platform, so that one does not repeat the mistakes of the other.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

HOME = "2.2.1"
ONE_PARTY = "2.1.1"
"""Credentials of this version have room for one party, and its objects name none (credentials, Credentials object)."""

NEWEST = "2.3.0"
VERSIONS = (ONE_PARTY, HOME, NEWEST)

Body = dict[str, Any]
Locations = dict[str, Body]

PRICES = (
    "total_cost",
    "total_fixed_cost",
    "total_energy_cost",
    "total_time_cost",
    "total_parking_cost",
    "total_reservation_cost",
)
OLD_PLACES = {"ON_STREET", "PARKING_GARAGE", "UNDERGROUND_GARAGE", "PARKING_LOT"}
OLD_DIMENSIONS = {"ENERGY", "FLAT", "MAX_CURRENT", "MIN_CURRENT", "PARKING_TIME", "TIME"}
NOT_IN_OLD_CDRS = {
    *PRICES[1:],
    *("country_code", "party_id", "session_id", "authorization_reference", "invoice_reference_id"),
    *("credit", "credit_reference_id", "home_charging_compensation", "signed_data"),
}
EMSP_SAID = ("business_details", "party_id", "country_code")


def spoken(version: str, module: str, body: Any, locations: Locations) -> Any:
    """An object of ours, or the part of it that a PATCH names, for a peer; `locations` by id, for versions in which
    sessions and CDRs hold theirs."""
    step = SPOKEN.get((version, module))
    return step(body, locations) if step and isinstance(body, dict) else body


def understood(version: str, module: str, body: Body, country_code: str = "", party_id: str = "") -> Body:
    """What a peer sent; the party is the one of the URL."""
    if version != ONE_PARTY:
        return body
    if module == "credentials":
        role = {name: body[name] for name in EMSP_SAID} | {"role": "EMSP"}
        return {"token": body["token"], "url": body["url"], "roles": [role]}
    return _renamed(body, {"auth_id": "contract_id"}) | {"country_code": country_code, "party_id": party_id}


def can_credit(version: str) -> bool:
    return version != ONE_PARTY


# 2.3.0


def _new_cdr(cdr: Body, locations: Locations) -> Body:
    tariffs = [_new_tariff(tariff, locations) for tariff in cdr.get("tariffs", [])]
    return _new_prices(cdr) | ({"tariffs": tariffs} if tariffs else {})


def _new_session(session: Body, locations: Locations) -> Body:
    return _new_prices(session)


def _new_prices(body: Body) -> Body:
    return body | {name: _new_price(body[name]) for name in PRICES if name in body}


def _new_price(price: Body) -> Body:
    """(types, Price class)"""
    vat = price["incl_vat"] - price["excl_vat"]
    return {"before_taxes": price["excl_vat"], "taxes": [{"name": "VAT", "amount": vat}]}


def _new_tariff(tariff: Body, locations: Locations) -> Body:
    return tariff | {"tax_included": "NO"}


# 2.1.1


def _old_location(location: Body, locations: Locations) -> Body:
    old = _without(location, "country_code", "party_id", "publish", "parking_type")
    if "parking_type" in location:
        old["type"] = location["parking_type"] if location["parking_type"] in OLD_PLACES else "OTHER"
    if "evses" in location:
        old["evses"] = [_old_evse(evse) for evse in location["evses"]]
    if location.get("opening_times", {}).get("regular_hours"):
        old["opening_times"] = _without(location["opening_times"], "twentyfourseven")
    return old


def _old_evse(evse: Body) -> Body:
    old = evse | {"connectors": [_old_connector(connector) for connector in evse["connectors"]]}
    able = [capability for capability in evse["capabilities"] if capability != "CHARGING_PREFERENCES_CAPABLE"]
    return old | {"capabilities": able}


def _old_connector(connector: Body) -> Body:
    old = _renamed(connector, {"max_voltage": "voltage", "max_amperage": "amperage"})
    return _without(old, "tariff_ids", "max_electric_power") | {"tariff_id": connector["tariff_ids"][0]}


def _old_tariff(tariff: Body, locations: Locations) -> Body:
    elements = [
        element | {"price_components": [_without(component, "vat") for component in element["price_components"]]}
        for element in tariff["elements"]
    ]
    return _without(tariff, "country_code", "party_id", "type") | {"elements": elements}


def _old_session(session: Body, locations: Locations) -> Body:
    old = _old_usage(_renamed(session, {"start_date_time": "start_datetime", "end_date_time": "end_datetime"}))
    old = _without(
        old, "country_code", "party_id", "authorization_reference", "location_id", "evse_uid", "connector_id"
    )
    if "location_id" not in session:
        return old
    return old | {"location": _place(locations[session["location_id"]], session["evse_uid"], session["connector_id"])}


def _old_cdr(cdr: Body, locations: Locations) -> Body:
    old = _old_usage(_without(cdr, "cdr_location", *NOT_IN_OLD_CDRS))
    place = cdr["cdr_location"]
    return _renamed(old, {"end_date_time": "stop_date_time"}) | {
        "location": _place(locations[place["id"]], place["evse_uid"], place["connector_id"]),
        "tariffs": [_old_tariff(tariff, locations) for tariff in cdr["tariffs"]],
    }


def _place(location: Body, evse_uid: str, connector_id: str) -> Body:
    """Only the EVSE and the connector that were used (mod_cdrs, CDR Object)."""
    evse = next(evse for evse in location["evses"] if evse["uid"] == evse_uid)
    connectors = [connector for connector in evse["connectors"] if connector["id"] == connector_id]
    return _old_location(location | {"evses": [evse | {"connectors": connectors}]}, {})


def _old_usage(usage: Body) -> Body:
    old = _without(usage, "cdr_token")
    if "cdr_token" in usage:
        old["auth_id"] = usage["cdr_token"]["contract_id"]
    if "total_cost" in usage:
        old["total_cost"] = Decimal(usage["total_cost"]["excl_vat"])
    if "charging_periods" in usage:
        old["charging_periods"] = [_old_period(period) for period in usage["charging_periods"]]
    return old


def _old_period(period: Body) -> Body:
    kept = [dimension for dimension in period["dimensions"] if dimension["type"] in OLD_DIMENSIONS]
    return _without(period, "tariff_id") | {"dimensions": kept}


def _old_token(token: Body, locations: Locations) -> Body:
    return _without(_renamed(token, {"contract_id": "auth_id"}), "country_code", "party_id")


def _old_credentials(credentials: Body, locations: Locations) -> Body:
    if len(credentials["roles"]) > 1:
        raise ValueError(f"{ONE_PARTY} has room for one party: give a world of one country")
    (role,) = credentials["roles"]
    return _without(credentials, "roles") | _without(role, "role")


def _old_endpoints(details: Body, locations: Locations) -> Body:
    return details | {"endpoints": [_without(endpoint, "role") for endpoint in details["endpoints"]]}


def _without(body: Body, *names: str) -> Body:
    return {name: value for name, value in body.items() if name not in names}


def _renamed(body: Body, names: dict[str, str]) -> Body:
    return {names.get(name, name): value for name, value in body.items()}


SPOKEN: dict[tuple[str, str], Callable[[Body, Locations], Body]] = {
    ("2.3.0", "cdrs"): _new_cdr,
    ("2.3.0", "sessions"): _new_session,
    ("2.3.0", "tariffs"): _new_tariff,
    (ONE_PARTY, "locations"): _old_location,
    (ONE_PARTY, "tariffs"): _old_tariff,
    (ONE_PARTY, "sessions"): _old_session,
    (ONE_PARTY, "cdrs"): _old_cdr,
    (ONE_PARTY, "tokens"): _old_token,
    (ONE_PARTY, "credentials"): _old_credentials,
    (ONE_PARTY, "details"): _old_endpoints,
}
