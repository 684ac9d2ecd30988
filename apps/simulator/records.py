"""Sessions and CDRs of the simulated CPO as OCPI bodies."""

import random
from datetime import datetime
from decimal import Decimal
from typing import Any

from apps.simulator.costs import GRID, TOTALS, Bill, Stretch, bill
from apps.simulator.cpo import Place
from apps.simulator.wire import utc


def charge(rng: random.Random, place: Place, start: datetime) -> list[Stretch]:
    """A plausible stay of at most five hours: quick and fading on DC, even on AC, sometimes parked afterwards."""
    is_dc = place.connector["power_type"] == "DC"
    steps = _quick(rng, place) if is_dc else [(rng.randint(60, 320), _power(rng, 37, 109))]
    if rng.random() < (0.2 if is_dc else 0.4):
        steps.append((rng.randint(10, 40 if is_dc else 150), Decimal(0)))
    stretches = []
    for length, power in steps:
        end = start + length * GRID
        stretches.append(Stretch(start, end, power))
        start = end
    return stretches


def _quick(rng: random.Random, place: Place) -> list[tuple[int, Decimal]]:
    return [(rng.randint(18, 48), _power(rng, 600, 1400)), (rng.randint(8, 30), _power(rng, 220, 440))]


def _power(rng: random.Random, low: int, high: int) -> Decimal:
    return Decimal(rng.randint(low, high)) / 10


def priced(place: Place, stretches: list[Stretch]) -> Bill:
    return bill(stretches, place.tariff, place.location["time_zone"])


def cdr_token(token: dict[str, Any]) -> dict[str, Any]:
    return {name: token[name] for name in ("country_code", "party_id", "uid", "type", "contract_id")}


def cdr(
    number: str, session_id: str, place: Place, token: dict[str, Any], asked: Bill, made: datetime
) -> dict[str, Any]:
    """(mod_cdrs, CDR object)"""
    parked = {"total_parking_time": asked.parking_hours} if asked.parking_hours else {}
    return {
        "country_code": place.country,
        "party_id": place.location["party_id"],
        "id": f"{place.location['party_id']}-{number}",
        "start_date_time": utc(asked.stretches[0].start),
        "end_date_time": utc(asked.stretches[-1].end),
        "session_id": session_id,
        "cdr_token": cdr_token(token),
        "auth_method": "AUTH_REQUEST" if token.get("whitelist") == "NEVER" else "WHITELIST",
        "cdr_location": cdr_location(place),
        "meter_id": f"M-{place.evse['uid']}",
        "currency": place.tariff["currency"],
        "tariffs": [place.tariff],
        "charging_periods": periods(asked, place.tariff["id"]),
        "total_cost": asked.total,
        "total_energy": asked.energy,
        "total_time": asked.hours,
        **parked,
        **asked.costs,
        "last_updated": utc(made),
    }


def cdr_location(place: Place) -> dict[str, Any]:
    """(mod_cdrs, CdrLocation class)"""
    copied = ("id", "name", "address", "city", "postal_code", "country", "coordinates")
    return {name: place.location[name] for name in copied} | {
        "evse_uid": place.evse["uid"],
        "evse_id": place.evse["evse_id"],
        "connector_id": place.connector["id"],
        "connector_standard": place.connector["standard"],
        "connector_format": place.connector["format"],
        "connector_power_type": place.connector["power_type"],
    }


def periods(asked: Bill, tariff_id: str) -> list[dict[str, Any]]:
    return [period(stretch, tariff_id) for stretch in asked.stretches]


def period(stretch: Stretch, tariff_id: str) -> dict[str, Any]:
    if stretch.power:
        volumes = {
            "ENERGY": stretch.energy,
            "TIME": stretch.hours,
            "MAX_POWER": stretch.power,
            "MIN_POWER": stretch.power,
        }
    else:
        volumes = {"PARKING_TIME": stretch.hours}
    return {
        "start_date_time": utc(stretch.start),
        "dimensions": [{"type": kind, "volume": volume} for kind, volume in volumes.items()],
        "tariff_id": tariff_id,
    }


def session(key: str, place: Place, token: dict[str, Any], start: datetime, reference: str | None) -> dict[str, Any]:
    """A session that just began (mod_sessions, Session object)."""
    body = {
        "country_code": place.country,
        "party_id": place.location["party_id"],
        "id": key,
        "start_date_time": utc(start),
        "kwh": Decimal(0),
        "cdr_token": cdr_token(token),
        "auth_method": "AUTH_REQUEST" if reference else "WHITELIST",
        "authorization_reference": reference,
        "location_id": place.location["id"],
        "evse_uid": place.evse["uid"],
        "connector_id": place.connector["id"],
        "currency": place.tariff["currency"],
        "status": "ACTIVE",
        "last_updated": utc(start),
    }
    return {name: value for name, value in body.items() if value is not None}


def progress(asked: Bill, place: Place, known_periods: int, at: datetime) -> dict[str, Any]:
    """A PATCH adds the periods that are new (mod_sessions, PATCH Method)."""
    return {
        "kwh": asked.energy,
        "charging_periods": periods(asked, place.tariff["id"])[known_periods:],
        "total_cost": asked.total,
        "last_updated": utc(at),
    }


def completion(end: datetime, at: datetime) -> dict[str, Any]:
    return {"status": "COMPLETED", "end_date_time": utc(end), "last_updated": utc(at)}


def negated(amounts: dict[str, Decimal]) -> dict[str, Decimal]:
    return {side: -amount for side, amount in amounts.items()}


def credit_of(original: dict[str, Any], made: datetime) -> dict[str, Any]:
    """All data of the original, only `total_cost` is negative (mod_cdrs, Credit CDRs)."""
    return original | {
        "id": f"{original['id']}-C",
        "total_cost": negated(original["total_cost"]),
        "credit": True,
        "credit_reference_id": original["id"],
        "last_updated": utc(made),
    }


def facts(body: dict[str, Any]) -> dict[str, Any]:
    """What a recount needs of a CDR, amounts as text (see ledger.py)."""
    components = [body[name]["excl_vat"] for name in TOTALS.values() if name in body]
    return {
        "token_uid": body["cdr_token"]["uid"],
        "contract_id": body["cdr_token"]["contract_id"],
        "session_id": body["session_id"],
        "reference": body.get("authorization_reference"),
        "auth_method": body["auth_method"],
        "country": body["cdr_location"]["country"],
        "location_id": body["cdr_location"]["id"],
        "evse_uid": body["cdr_location"]["evse_uid"],
        "start": body["start_date_time"],
        "end": body["end_date_time"],
        "kwh": str(body["total_energy"]),
        "hours": str(body["total_time"]),
        "parking_hours": str(body.get("total_parking_time", 0)),
        "currency": body.get("currency"),
        "net": str(body["total_cost"]["excl_vat"]),
        "gross": str(body["total_cost"]["incl_vat"]),
        "component_net": str(sum(components, Decimal(0))),
        "tariff_id": body["tariffs"][0]["id"],
        "credit": body.get("credit", False),
        "credit_reference": body.get("credit_reference_id"),
    }
