"""What a location says of itself, for people: who runs it, when it is open, what is planned. It decides nothing (LOC-08)."""

from calendar import day_abbr
from collections.abc import Iterator

from .models import Evse, Location


def operator_of(location: Location) -> str:
    """Who runs it: as it says itself, else as the party's role in the credentials says (LOC-06)."""
    return (location.details.get("operator") or _of_role(location)).get("name") or location.party.name


def _of_role(location: Location) -> dict:
    party = location.party
    roles = party.partner.roles if party.partner else ()
    key = (party.country_code.upper(), party.party_id.upper())
    ours = (role for role in roles if (role["country_code"].upper(), role["party_id"].upper()) == key)
    return next((role.get("business_details") or {} for role in ours), {})


def opening_times(location: Location) -> str:
    """Local times of the location; exceptions are in UTC, and a closing outdoes all else (mod_locations, Hours)."""
    hours = location.details.get("opening_times")
    if not hours:
        return ""
    usual = ["around the clock"] if hours.get("twentyfourseven") else map(_weekly, hours.get("regular_hours") or ())
    return "; ".join([*usual, *_exceptions(hours, "exceptional_openings", "open"), *_closings(location, hours)])


def _weekly(period: dict) -> str:
    return f"{day_abbr[(period['weekday'] - 1) % 7]} {period['period_begin']}–{period['period_end']}"


def _closings(location: Location, hours: dict) -> Iterator[str]:
    """Unless it is said otherwise, one may charge there all the same (mod_locations, charging_when_closed)."""
    may_charge = location.details.get("charging_when_closed") is not False
    yield from _exceptions(hours, "exceptional_closings", "closed")
    yield "charging when closed" if may_charge else "no charging when closed"


def _exceptions(hours: dict, name: str, state: str) -> Iterator[str]:
    return (f"{state} {period['period_begin']} – {period['period_end']}" for period in hours.get(name) or ())


def planned(evse: Evse) -> str:
    """Its status as planned; the status itself is what the CPO says at the time (LOC-08)."""
    periods = evse.details.get("status_schedule") or ()
    return "; ".join(f"{one['status']} {one['period_begin']} – {one.get('period_end') or '…'}" for one in periods)
