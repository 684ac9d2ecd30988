"""The world of the simulated CPO: its parties, sites, EVSEs and tariffs, made from a seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from apps.simulator.places import GERMANY, SWEDEN, Site

MADE = "2025-01-15T08:00:00Z"

COUNTRIES = {
    "SE": {"alpha3": "SWE", "zone": "Europe/Stockholm", "currency": "SEK", "vat": Decimal("25.0"), "language": "sv"},
    "DE": {"alpha3": "DEU", "zone": "Europe/Berlin", "currency": "EUR", "vat": Decimal("19.0"), "language": "de"},
}


class Operator(NamedTuple):
    """Who it is. `first_site` lets neighbours stand at other places."""

    party_id: str
    names: dict[str, str]
    first_site: int

    def described(self, country: str) -> dict[str, str]:
        return {"name": self.names[country], "website": f"https://{self.party_id.lower()}.example/{country.lower()}"}


LADDNAT = Operator("LAD", {"SE": "LAD Laddnät Sverige", "DE": "LAD Ladenetz Deutschland"}, 0)
KUSTEL = Operator("KST", {"SE": "KST Kustel", "DE": "KST Küstenstrom"}, 7)
NORDWIND = Operator("NWL", {"SE": "NWL Nordvind", "DE": "NWL Nordwind Laden"}, 11)
TALLKRAFT = Operator("TLK", {"SE": "TLK Tallkraft", "DE": "TLK Tannenstrom"}, 15)
OPERATORS = {operator.party_id: operator for operator in (LADDNAT, KUSTEL, NORDWIND, TALLKRAFT)}


class Place(NamedTuple):
    """One connector, with what is around it."""

    location: dict[str, Any]
    evse: dict[str, Any]
    connector: dict[str, Any]
    tariff: dict[str, Any]

    @property
    def country(self) -> str:
        return self.location["country_code"]


@dataclass
class World:
    operator: Operator
    locations: dict[str, dict[str, Any]]
    tariffs: dict[str, dict[str, Any]]

    @classmethod
    def make(cls, seed: int = 1, locations: int = 60, evses: int = 200, operator: Operator = LADDNAT) -> "World":
        rng = random.Random(f"world {seed}")
        tariffs = {tariff["id"]: tariff for tariff in _tariffs(operator)}
        sites = _choose_sites(locations, operator.first_site)
        sizes = _share_out(rng, len(sites), evses)
        made = [
            _location(rng, operator, number, site, size)
            for number, (site, size) in enumerate(zip(sites, sizes, strict=True), 1)
        ]
        return cls(operator, {location["id"]: location for location in made}, tariffs)

    @classmethod
    def small(cls, seed: int = 1) -> "World":
        """Two sites in Sweden and one in Germany, for tests that want to be quick."""
        return cls.make(seed, locations=3, evses=8)

    def of(self, *countries: str) -> "World":
        """Only the parties of these countries."""
        kept = (
            {key: body for key, body in made.items() if body["country_code"] in countries}
            for made in (self.locations, self.tariffs)
        )
        return World(self.operator, *kept)

    def parties(self) -> list[str]:
        return sorted({f"{body['country_code']}*{body['party_id']}" for body in self.locations.values()}, reverse=True)

    def places(self) -> Iterator[Place]:
        for location in self.locations.values():
            for evse in location["evses"]:
                connector = evse["connectors"][0]
                yield Place(location, evse, connector, self.tariffs[connector["tariff_ids"][0]])

    def set_status(self, location_id: str, evse_uid: str, status: str, at: str) -> dict[str, Any]:
        """The parents carry the newest date (mod_locations, Location object)."""
        location = self.locations[location_id]
        evse = next(evse for evse in location["evses"] if evse["uid"] == evse_uid)
        evse["status"] = status
        evse["last_updated"] = location["last_updated"] = at
        return location


def _choose_sites(count: int, first: int) -> list[Site]:
    """Two of three in Sweden; one country first, then the other, as a CPO that grew would have them."""
    swedish = -(-count * 2 // 3)
    return [*_cycle(SWEDEN, first, swedish), *_cycle(GERMANY, first, count - swedish)]


def _cycle(sites: tuple[Site, ...], first: int, count: int) -> Iterator[Site]:
    for number in range(first, first + count):
        site, lap = sites[number % len(sites)], number // len(sites)
        yield site if not lap else site._replace(name=f"{site.name} {lap + 1}")


def _share_out(rng: random.Random, sites: int, evses: int) -> list[int]:
    sizes = [min(2, evses // sites) or 1] * sites
    while sum(sizes) < evses:
        index = rng.randrange(sites)
        sizes[index] += sizes[index] < max(8, evses // sites + 1)
    return sizes


def _location(rng: random.Random, operator: Operator, number: int, site: Site, size: int) -> dict[str, Any]:
    country, party_id = COUNTRIES[site.country], operator.party_id
    key = f"{site.country}-{party_id}-{number:04d}"
    return {
        "country_code": site.country,
        "party_id": party_id,
        "id": key,
        "publish": True,
        "name": f"{party_id} {site.name}",
        "address": site.address,
        "city": site.city,
        "postal_code": site.postal_code,
        "country": country["alpha3"],
        "coordinates": {"latitude": site.latitude, "longitude": site.longitude},
        "parking_type": site.parking_type,
        "evses": [_evse(site, party_id, number, index) for index in range(1, size + 1)],
        "directions": [{"language": country["language"], "text": site.name}],
        "operator": operator.described(site.country),
        "facilities": rng.sample(["SUPERMARKET", "CAFE", "RESTAURANT", "WIFI", "BUS_STOP"], rng.randint(0, 2)),
        "time_zone": country["zone"],
        "opening_times": _opening_times(rng, site),
        "charging_when_closed": True,
        "energy_mix": {"is_green_energy": True, "supplier_name": f"{party_id} Energi"},
        "last_updated": MADE,
    }


def _has_dc(number: int, index: int) -> bool:
    """Every fourth site is for quick charging, every fourth has one such EVSE among slow ones."""
    return number % 4 == 1 or (number % 4 == 2 and index == 1)


def _opening_times(rng: random.Random, site: Site) -> dict[str, Any]:
    if site.parking_type not in ("PARKING_GARAGE", "UNDERGROUND_GARAGE") or rng.random() < 0.5:
        return {"twentyfourseven": True}
    hours = [{"weekday": day, "period_begin": "06:00", "period_end": "23:00"} for day in range(1, 8)]
    return {"twentyfourseven": False, "regular_hours": hours}


def _evse(site: Site, party_id: str, number: int, index: int) -> dict[str, Any]:
    return {
        "uid": f"{site.country}{number:04d}-{index}",
        "evse_id": f"{site.country}*{party_id}*E{number:04d}*{index}",
        "status": "AVAILABLE",
        "capabilities": ["RFID_READER", "REMOTE_START_STOP_CAPABLE", "UNLOCK_CAPABLE", "CHARGING_PREFERENCES_CAPABLE"],
        "connectors": _connectors(site.country, number, _has_dc(number, index)),
        "physical_reference": str(index),
        "last_updated": MADE,
    }


def _connectors(country: str, number: int, is_dc: bool) -> list[dict[str, Any]]:
    if not is_dc:
        return [
            _connector(
                "1",
                "IEC_62196_T2",
                "SOCKET",
                "AC_3_PHASE",
                230,
                32 if number % 2 else 16,
                None,
                _ac_tariff(country, number),
            )
        ]
    first = _connector("1", "IEC_62196_T2_COMBO", "CABLE", "DC", 920, 400, 150000, f"{country}-DC")
    second = _connector("2", "CHADEMO", "CABLE", "DC", 500, 125, 50000, f"{country}-DC")
    return [first, second] if number % 8 == 1 else [first]


def _ac_tariff(country: str, number: int) -> str:
    if number % 20 == 0:
        return f"{country}-FREE"
    return f"{country}-{('DAY', 'PARK', 'WORK')[number % 3]}"


def _connector(key, standard, form, power_type, voltage, amperage, watts, tariff) -> dict[str, Any]:
    return {
        "id": key,
        "standard": standard,
        "format": form,
        "power_type": power_type,
        "max_voltage": voltage,
        "max_amperage": amperage,
        "max_electric_power": watts or (22000 if amperage == 32 else 11000),
        "tariff_ids": [tariff],
        "last_updated": MADE,
    }


def _tariffs(operator: Operator) -> list[dict[str, Any]]:
    own = {"party_id": operator.party_id}
    return [tariff | own for country in COUNTRIES for tariff in _tariffs_of(country)]


def _tariffs_of(country: str) -> list[dict[str, Any]]:
    """Prices without VAT, so that each restriction makes a difference that can be seen."""
    sek = country == "SE"
    day, night, quick, slow, start, parking = (
        Decimal(text)
        for text in (("3.20 2.40 5.20 4.20 5.00 30.00" if sek else "0.45 0.35 0.69 0.55 0.50 3.00").split())
    )
    workdays = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY"]
    energy, flat, parked = (_price(country, kind) for kind in ("ENERGY", "FLAT", "PARKING_TIME"))
    return [
        _tariff(country, "DAY", [_element(energy(day), start_time="06:00", end_time="22:00"), _element(energy(night))]),
        _tariff(
            country,
            "WORK",
            [
                _element(energy(day), day_of_week=workdays, start_time="07:00", end_time="19:00"),
                _element(energy(night)),
            ],
        ),
        _tariff(
            country,
            "DC",
            [_element(energy(slow), max_power=Decimal(50)), _element(energy(quick), min_power=Decimal(50))],
        ),
        _tariff(
            country,
            "PARK",
            [
                _element(flat(start), energy(night)),
                _element(parked(parking), start_time="08:00", end_time="20:00", min_duration=7200),
            ],
        ),
        _tariff(country, "FREE", [_element(flat(Decimal("0.00")))]),
    ]


def _price(country: str, kind: str):
    return lambda price: {"type": kind, "price": price, "vat": COUNTRIES[country]["vat"], "step_size": 1}


def _element(*components: dict[str, Any], **restrictions: Any) -> dict[str, Any]:
    element: dict[str, Any] = {"price_components": list(components)}
    return element | {"restrictions": restrictions} if restrictions else element


def _tariff(country: str, name: str, elements: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "country_code": country,
        "id": f"{country}-{name}",
        "currency": COUNTRIES[country]["currency"],
        "type": "REGULAR",
        "elements": elements,
        "last_updated": MADE,
    }
