"""Where a CDR's day begins: OCPI sends no time zone with a CDR, and the local date decides VAT (BIL-53, COST-07)."""

from functools import cache
from zoneinfo import available_timezones

ZONE_OF_COUNTRY = {
    "ALB": "Europe/Tirane",
    "AND": "Europe/Andorra",
    "AUT": "Europe/Vienna",
    "BEL": "Europe/Brussels",
    "BGR": "Europe/Sofia",
    "BIH": "Europe/Sarajevo",
    "CHE": "Europe/Zurich",
    "CZE": "Europe/Prague",
    "DEU": "Europe/Berlin",
    "DNK": "Europe/Copenhagen",
    "EST": "Europe/Tallinn",
    "FIN": "Europe/Helsinki",
    "FRA": "Europe/Paris",
    "GBR": "Europe/London",
    "GRC": "Europe/Athens",
    "HRV": "Europe/Zagreb",
    "HUN": "Europe/Budapest",
    "IRL": "Europe/Dublin",
    "ISL": "Atlantic/Reykjavik",
    "ITA": "Europe/Rome",
    "LIE": "Europe/Vaduz",
    "LTU": "Europe/Vilnius",
    "LUX": "Europe/Luxembourg",
    "LVA": "Europe/Riga",
    "MCO": "Europe/Monaco",
    "MKD": "Europe/Skopje",
    "MLT": "Europe/Malta",
    "MNE": "Europe/Podgorica",
    "NLD": "Europe/Amsterdam",
    "NOR": "Europe/Oslo",
    "POL": "Europe/Warsaw",
    "ROU": "Europe/Bucharest",
    "SRB": "Europe/Belgrade",
    "SVK": "Europe/Bratislava",
    "SVN": "Europe/Ljubljana",
    "SWE": "Europe/Stockholm",
    "TUR": "Europe/Istanbul",
}
"""Countries with one zone. Spain and Portugal have islands in another; there only the location tells."""


def zone_of(country: str) -> str:
    """The zone of a country (ISO 3166-1 alpha-3), or nothing where there are several.

    >>> zone_of("swe"), zone_of("ESP")
    ('Europe/Stockholm', '')
    """
    return ZONE_OF_COUNTRY.get(country.upper(), "")


def zone_at(named: str, country: str) -> str:
    """The zone that is named. One that nobody knows is none: then the country tells, if it has only one."""
    return named if named in known() else zone_of(country)


@cache
def known() -> frozenset[str]:
    """The zones of the IANA list, of which a location must name one (mod_locations, time_zone)."""
    return frozenset(available_timezones())
