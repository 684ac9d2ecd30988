"""What the simulated CPO asks for a session: its own arithmetic, shared with nobody.

It knows the restrictions its own tariffs use and stops at any other. Sessions lie on a grid of 36 seconds, so that
hours have two decimals and energies three, and nothing is rounded before a component is summed.
"""

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

GRID = timedelta(seconds=36)
KNOWN = {"start_time", "end_time", "day_of_week", "min_power", "max_power", "min_duration"}
WEEKDAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
TOTALS = {
    "FLAT": "total_fixed_cost",
    "ENERGY": "total_energy_cost",
    "TIME": "total_time_cost",
    "PARKING_TIME": "total_parking_cost",
}


class Stretch(NamedTuple):
    """A time of constant power in kW; none is asked for while parked."""

    start: datetime
    end: datetime
    power: Decimal

    @property
    def hours(self) -> Decimal:
        return Decimal((self.end - self.start) // GRID) / 100

    @property
    def energy(self) -> Decimal:
        return self.power * self.hours


class Bill(NamedTuple):
    stretches: list[Stretch]
    costs: dict[str, dict[str, Decimal]]
    total: dict[str, Decimal]

    @property
    def energy(self) -> Decimal:
        return sum((stretch.energy for stretch in self.stretches), Decimal(0))

    @property
    def hours(self) -> Decimal:
        return sum((stretch.hours for stretch in self.stretches), Decimal(0))

    @property
    def parking_hours(self) -> Decimal:
        return sum((stretch.hours for stretch in self.stretches if not stretch.power), Decimal(0))


def bill(stretches: list[Stretch], tariff: dict[str, Any], zone: str) -> Bill:
    """Per dimension the first matching element counts; a flat fee is due once (mod_tariffs, Tariff object)."""
    cut = list(_cut(stretches, tariff, ZoneInfo(zone)))
    sums: dict[str, list[Decimal]] = {}
    for index, stretch in enumerate(cut):
        for kind, volume in _volumes(stretch, is_first=index == 0):
            component = _component(kind, stretch, cut[0].start, tariff, ZoneInfo(zone))
            if component:
                net = volume * component["price"]
                total = sums.setdefault(kind, [Decimal(0), Decimal(0)])
                total[0] += net
                total[1] += net * (1 + component["vat"] / 100)
    costs = {TOTALS[kind]: price(net, gross) for kind, (net, gross) in sums.items()}
    return Bill(cut, costs, add(costs.values()))


def price(net: Decimal, gross: Decimal) -> dict[str, Decimal]:
    return {"excl_vat": _four_decimals(net), "incl_vat": _four_decimals(gross)}


def add(prices: Any) -> dict[str, Decimal]:
    return {side: sum((each[side] for each in prices), Decimal("0.0000")) for side in ("excl_vat", "incl_vat")}


def _four_decimals(amount: Decimal) -> Decimal:
    """(types, number): four decimals."""
    return amount.quantize(Decimal("0.0001"), ROUND_HALF_UP)


def _volumes(stretch: Stretch, is_first: bool) -> Iterator[tuple[str, Decimal]]:
    if is_first:
        yield "FLAT", Decimal(1)
    if stretch.power:
        yield "ENERGY", stretch.energy
        yield "TIME", stretch.hours
    else:
        yield "PARKING_TIME", stretch.hours


def _cut(stretches: list[Stretch], tariff: dict[str, Any], zone: ZoneInfo) -> Iterator[Stretch]:
    """A new period wherever another price may apply (mod_cdrs, ChargingPeriod)."""
    edges = _edges(stretches[0].start, stretches[-1].end, tariff, zone)
    for stretch in stretches:
        inside = sorted({edge for edge in edges if stretch.start < edge < stretch.end})
        for start, end in zip([stretch.start, *inside], [*inside, stretch.end], strict=True):
            yield Stretch(start, end, stretch.power)


def _edges(start: datetime, end: datetime, tariff: dict[str, Any], zone: ZoneInfo) -> set[datetime]:
    edges: set[datetime] = set()
    for element in tariff["elements"]:
        limits = element.get("restrictions", {})
        if set(limits) - KNOWN:
            raise ValueError(f"{tariff['id']}: this CPO does not sell by {set(limits) - KNOWN}")
        clock = {limits.get("start_time"), limits.get("end_time")} | ({"00:00"} if "day_of_week" in limits else set())
        edges |= {edge for text in clock if text for edge in _every_day(text, start, end, zone)}
        if "min_duration" in limits:
            edges.add(start + timedelta(seconds=limits["min_duration"]))
    return edges


def _every_day(text: str, start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    day, last = start.astimezone(zone).date(), end.astimezone(zone).date()
    while day <= last:
        yield datetime.combine(day, time.fromisoformat(text), zone).astimezone(start.tzinfo)
        day += timedelta(days=1)


def _component(kind: str, stretch: Stretch, begin: datetime, tariff: dict[str, Any], zone: ZoneInfo):
    for element in tariff["elements"]:
        for component in element["price_components"]:
            if component["type"] == kind and _matches(element.get("restrictions", {}), stretch, begin, zone):
                return component
    return None


def _matches(limits: dict[str, Any], stretch: Stretch, begin: datetime, zone: ZoneInfo) -> bool:
    local = stretch.start.astimezone(zone)
    weekday = WEEKDAYS[local.weekday()]
    return all(
        (
            limits.get("start_time", "00:00") <= f"{local:%H:%M}" < limits.get("end_time", "24:00"),
            weekday in limits.get("day_of_week", WEEKDAYS),
            limits.get("min_power", stretch.power) <= stretch.power,
            stretch.power < limits.get("max_power", stretch.power + 1),
            stretch.start >= begin + timedelta(seconds=limits.get("min_duration", 0)),
        )
    )
