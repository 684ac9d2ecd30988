"""Charging preferences, put to a session of the simulated CPO (mod_sessions, Sender Interface)."""

from typing import Any

CAPABLE = "CHARGING_PREFERENCES_CAPABLE"
QUICK = ("REGULAR", "FAST")
SLOW = (*QUICK, "CHEAP", "GREEN")


def said_to(wanted: dict[str, Any], evse: dict[str, Any]) -> str:
    """Who charges quickly waits for no better hour; for one the hours and the energy must be known. None is fed back."""
    is_quick = any(connector["power_type"] == "DC" for connector in evse["connectors"])
    profile = wanted["profile_type"]
    if profile not in (QUICK if is_quick else SLOW):
        return "PROFILE_TYPE_NOT_SUPPORTED"
    if profile not in QUICK and not wanted.get("departure_time"):
        return "DEPARTURE_REQUIRED"
    if profile not in QUICK and not wanted.get("energy_need"):
        return "ENERGY_NEED_REQUIRED"
    return "NOT_POSSIBLE" if wanted.get("discharge_allowed") else "ACCEPTED"
