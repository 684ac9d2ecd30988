"""OCPI 2.2.1: only what 2.3.0 says differently.

A step upwards changes the freshly decoded dict it is given. It never judges and never fails, whatever it is fed: what
it does not understand it hands on, for the reader to name. Steps of objects that can be patched touch only the keys
that are there.
"""

from decimal import Context, Decimal

from . import v230
from .types import read_number

PRICES = (
    "total_cost",
    "total_fixed_cost",
    "total_energy_cost",
    "total_time_cost",
    "total_parking_cost",
    "total_reservation_cost",
)
LIMITS = ("min_price", "max_price")

VAT = "VAT"
"""The only tax of this version."""

EXACT = Context(prec=60)
"""More digits than the difference of two numeric(30, 10) can have."""

MANY = 10**20
"""An integer this large is refused by the reader, and would only cost time here."""

REQUIRED = v230.REQUIRED | {"tariff": ()}
EXPECTED = v230.EXPECTED | {"cdr": ("tariffs.country_code", "tariffs.party_id", "tariffs.last_updated")}
COMMANDS = v230.COMMANDS


def upgrade_cdr(cdr: dict, owner) -> dict:
    for name in PRICES:
        if name in cdr:
            cdr[name] = upgrade_price(cdr[name])
    tariffs = cdr.get("tariffs")
    for tariff in tariffs if isinstance(tariffs, list) else ():
        upgrade_tariff(tariff, owner)
    return cdr


def upgrade_session(session: dict, owner) -> dict:
    if "total_cost" in session:
        session["total_cost"] = upgrade_price(session["total_cost"])
    return session


def upgrade_tariff(tariff: dict, owner) -> dict:
    """Prices were before VAT, always; limits were a Price (mod_tariffs, PriceComponent)."""
    if isinstance(tariff, dict):
        tariff.setdefault("tax_included", "NO")
        for name in LIMITS:
            if name in tariff:
                tariff[name] = upgrade_limit(tariff[name])
    return tariff


def upgrade_credentials(credentials: dict, owner) -> dict:
    """A hub was a role of its own; now it is a party beside the roles (credentials, Credentials object)."""
    roles = credentials.get("roles")
    for role in roles if isinstance(roles, list) and "hub_party_id" not in credentials else ():
        if isinstance(role, dict) and role.get("role") == "HUB":
            credentials["hub_party_id"] = f"{role.get('country_code')}{role.get('party_id')}"
            break
    return credentials


def upgrade_price(price):
    """Price: excl_vat and incl_vat became before_taxes and a list of taxes (types, Price class)."""
    if not isinstance(price, dict):
        return price
    before, after = price.get("excl_vat"), price.get("incl_vat")
    if after is None:
        return {"before_taxes": before}
    return {"before_taxes": before, "taxes": [{"name": VAT, "amount": difference(after, before)}]}


def upgrade_limit(limit):
    if not isinstance(limit, dict):
        return limit
    return {"before_taxes": limit.get("excl_vat"), "after_taxes": limit.get("incl_vat")}


def difference(after, before):
    """The VAT between two amounts. Text stays text, so that the reader finds it; garbage is handed on."""
    if type(after) is Decimal and type(before) is Decimal:
        return EXACT.subtract(after, before)
    minuend, subtrahend = as_number(after), as_number(before)
    if minuend is None or subtrahend is None:
        return after if minuend is None else 0
    vat = EXACT.subtract(minuend, subtrahend)
    return format(vat, "f") if isinstance(after, str) else vat


def as_number(value) -> Decimal | None:
    if type(value) is int:
        return Decimal(value) if abs(value) < MANY else None
    return read_number(value) if type(value) is str else value if type(value) is Decimal else None


def downgrade_cdr(cdr: dict) -> dict:
    downgraded = cdr | {name: downgrade_price(cdr[name]) for name in PRICES if cdr.get(name) is not None}
    if cdr.get("tariffs"):
        downgraded["tariffs"] = [downgrade_tariff(tariff) for tariff in cdr["tariffs"]]
    return downgraded


def downgrade_session(session: dict) -> dict:
    return session | {"total_cost": downgrade_price(session["total_cost"])} if session.get("total_cost") else session


def downgrade_tariff(tariff: dict) -> dict:
    """Where prices were with taxes, they are written before VAT; without a rate no VAT applies, and both are equal."""
    downgraded = without(tariff, "tax_included")
    downgraded |= {name: downgrade_limit(tariff[name]) for name in LIMITS if tariff.get(name) is not None}
    if tariff.get("tax_included") == "YES":
        downgraded["elements"] = [
            element | {"price_components": [before_vat(component) for component in element["price_components"]]}
            for element in tariff["elements"]
        ]
    return downgraded


def before_vat(component: dict) -> dict:
    rate = Decimal(component.get("vat") or 0)
    return component | {"price": plain(Decimal(component["price"]) * 100 / (100 + rate))} if rate else component


def plain(number: Decimal) -> Decimal:
    """Four decimals, as numbers have unless said otherwise (types, number)."""
    return number.quantize(Decimal("0.0001"))


def downgrade_location(location: dict) -> dict:
    downgraded = without(location, "parking_places", "help_phone")
    if location.get("evses"):
        downgraded["evses"] = [downgrade_evse(evse) for evse in location["evses"]]
    return downgraded


def downgrade_evse(evse: dict) -> dict:
    downgraded = without(evse, "parking", "accepted_service_providers")
    if evse.get("connectors"):
        downgraded["connectors"] = [downgrade_connector(connector) for connector in evse["connectors"]]
    return downgraded


def downgrade_connector(connector: dict) -> dict:
    return without(connector, "capabilities")


def downgrade_token(token: dict) -> dict:
    return token | {"type": "OTHER"} if token.get("type") == "EMAID" else token


def downgrade_holder(command: dict) -> dict:
    """Of START_SESSION and RESERVE_NOW: whose card it is for."""
    return command | {"token": downgrade_token(command["token"])}


def downgrade_authorization(authorization: dict) -> dict:
    token = authorization.get("token")
    return authorization | {"token": downgrade_token(token)} if token else authorization


def downgrade_credentials(credentials: dict) -> dict:
    return without(credentials, "hub_party_id")


def downgrade_price(price: dict) -> dict:
    return with_vat(price["before_taxes"], price.get("taxes"))


def with_vat(before, taxes) -> dict:
    if taxes is None:
        return {"excl_vat": before}
    return {"excl_vat": before, "incl_vat": sum((Decimal(tax["amount"]) for tax in taxes), Decimal(before))}


def downgrade_limit(limit: dict) -> dict:
    after = limit.get("after_taxes")
    return {"excl_vat": limit["before_taxes"]} | ({} if after is None else {"incl_vat": after})


def without(whole: dict, *names: str) -> dict:
    return {name: value for name, value in whole.items() if name not in names}


def spelt_price(path: str) -> dict:
    """A price that is no object at all keeps its own path."""
    return {
        f"{path}.before_taxes": f"{path}.excl_vat",
        f"{path}.taxes[].amount": f"{path}.incl_vat",
        f"{path}.after_taxes": f"{path}.incl_vat",
    }


SPELT = {
    "cdr": {
        wrong: right
        for path in (*PRICES, *(f"tariffs[].{name}" for name in LIMITS))
        for wrong, right in spelt_price(path).items()
    },
    "session": spelt_price("total_cost"),
    "session_patch": spelt_price("total_cost"),
    "tariff": spelt_price("min_price") | spelt_price("max_price"),
}
UPGRADES = {
    "cdr": upgrade_cdr,
    "session": upgrade_session,
    "session_patch": upgrade_session,
    "tariff": upgrade_tariff,
    "credentials": upgrade_credentials,
}
DOWNGRADES = {
    "cdr": downgrade_cdr,
    "session": downgrade_session,
    "tariff": downgrade_tariff,
    "location": downgrade_location,
    "evse": downgrade_evse,
    "connector": downgrade_connector,
    "token": downgrade_token,
    "start_session": downgrade_holder,
    "reserve_now": downgrade_holder,
    "authorization": downgrade_authorization,
    "credentials": downgrade_credentials,
}
