"""The CDRs of one month: who charged where and when, and the few that are odd on purpose. Pure and repeatable."""

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from apps.simulator import records
from apps.simulator.costs import GRID, add, price
from apps.simulator.cpo import Place, World

SPECIALS = ("twice", "unknown_card", "wrong_total", "late", "refused", "credited", "credit", "replacement")


class Planned(NamedTuple):
    body: dict[str, Any]
    how: str = "push"
    fault: str | None = None

    @property
    def party(self) -> str:
        return f"{self.body['country_code']}*{self.body['party_id']}"


class Slot(NamedTuple):
    """A third of a local day; a card is used at most once in it, and an EVSE too."""

    day: date
    third: int


class Month:
    """`count` CDRs in all, the odd ones among them: `pull_only` of them are never pushed."""

    def __init__(self, world: World, tokens: list[dict[str, Any]], month: str, seed: int, made: datetime):
        self.rng = random.Random(f"month {seed} {month}")
        self.first = date.fromisoformat(f"{month}-01")
        self.tokens = sorted(tokens, key=lambda token: token["uid"])
        self.places = list(world.places())
        self.made = made
        self._taken: set[tuple[str, Slot]] = set()
        self._number = 0

    def plan(self, count: int, pull_only: int = 0, odd: bool = True) -> list[Planned]:
        if not self.tokens:
            raise ValueError("no valid token was pushed to this CPO: nobody can have charged")
        ordinary = count - (len(SPECIALS) if odd else 0)
        bodies = [body for token, slots in self._shared_out(max(ordinary, 0)) for body in self._stays(token, slots)]
        pulled = set(self.rng.sample(range(len(bodies)), min(pull_only, len(bodies))))
        usual = [Planned(body, "pull-only" if index in pulled else "push") for index, body in enumerate(bodies)]
        return usual + (self._odd() if odd else [])

    def _shared_out(self, count: int) -> Iterator[tuple[dict[str, Any], list[Slot]]]:
        """Everybody charges before anybody charges twice as often as the others."""
        shares = [count // len(self.tokens)] * len(self.tokens)
        for index in range(count % len(self.tokens)):
            shares[index] += 1
        for _ in self.tokens:
            giver, taker = self.rng.randrange(len(shares)), self.rng.randrange(len(shares))
            given = self.rng.randint(0, max(shares[giver] - 1, 0))
            if shares[taker] + given <= 60:
                shares[giver] -= given
                shares[taker] += given
        for token, share in zip(self.tokens, shares, strict=True):
            slots = self._slots()
            surplus = self.rng.choices(slots, k=max(share - len(slots), 0))
            yield token, sorted(self.rng.sample(slots, min(share, len(slots))) + surplus)

    def _slots(self) -> list[Slot]:
        """No stay crosses the edges of the month, in local time or in UTC."""
        days = [self.first + timedelta(days=number) for number in range((self._next_month() - self.first).days)]
        return [Slot(day, third) for day in days for third in range(3)][1:-1]

    def _next_month(self) -> date:
        return (self.first + timedelta(days=31)).replace(day=1)

    def _stays(self, token: dict[str, Any], slots: list[Slot]) -> Iterator[dict[str, Any]]:
        country = _home(token)
        home = self._neighbourhood(country)
        away = self._neighbourhood("DE") if country == "SE" and self.rng.random() < 0.15 else []
        for slot in slots:
            yield self._cdr(token, self._free(_around(slot, home, away) or home, slot), slot)

    def _neighbourhood(self, country: str) -> list[Place]:
        places = [place for place in self.places if place.country == country] or self.places
        centre = self.rng.choice(places)
        return sorted(places, key=lambda place: _distance(place, centre))[:24]

    def _free(self, places: list[Place], slot: Slot) -> Place:
        free = [place for place in places if (place.evse["uid"], slot) not in self._taken]
        place = self.rng.choice(
            free or [place for place in self.places if (place.evse["uid"], slot) not in self._taken] or places
        )
        self._taken.add((place.evse["uid"], slot))
        return place

    def _cdr(self, token: dict[str, Any], place: Place, slot: Slot) -> dict[str, Any]:
        self._taken.add((token["uid"], slot))
        zone = ZoneInfo(place.location["time_zone"])
        midnight = datetime(slot.day.year, slot.day.month, slot.day.day, tzinfo=zone)
        local = midnight + timedelta(hours=8 * slot.third) + self.rng.randint(0, 150) * GRID
        asked = records.priced(place, records.charge(self.rng, place, local.astimezone(UTC)))
        number = self._next_number()
        return records.cdr(number, f"S-{number}", place, token, asked, self.made)

    def _next_number(self) -> str:
        self._number += 1
        return f"{self.first:%Y%m}-{self._number:05d}"

    def _odd(self) -> list[Planned]:
        """The order counts: a credit follows what it credits, and the replacement follows the credit."""
        original = self._one()
        return [
            Planned(self._one(), "twice"),
            Planned(self._one(token=self._stranger()), fault="unknown_card"),
            Planned(_with_wrong_total(self._one()), fault="wrong_total"),
            Planned(self._one(day=self.first - timedelta(days=9)), fault="late"),
            Planned(_without(self._one(), "currency"), fault="refused"),
            Planned(original, fault="credited"),
            Planned(records.credit_of(original, self.made), fault="credit"),
            Planned(self._replacement(original), fault="replacement"),
        ]

    def _one(self, token: dict[str, Any] | None = None, day: date | None = None) -> dict[str, Any]:
        """A stay at home that costs something, on a third of a day of its own."""
        slot = Slot(day or self.first + timedelta(days=self.rng.randint(1, 26)), 1)
        idle = [card for card in self.tokens if (card["uid"], slot) not in self._taken] or self.tokens
        token = token or self.rng.choice(idle)
        payable = [place for place in self.places if not place.tariff["id"].endswith("-FREE")]
        at_home = [place for place in payable if place.country == _home(token)]
        return self._cdr(token, self._free(at_home or payable, slot), slot)

    def _stranger(self) -> dict[str, Any]:
        like = self.tokens[0]
        return like | {
            "uid": "04D00DFEED0B0E",
            "type": "RFID",
            "contract_id": f"{like['country_code']}{like['party_id']}CSTRANGE1",
        }

    def _replacement(self, original: dict[str, Any]) -> dict[str, Any]:
        """The same stay, the same session, metered and charged anew."""
        place = next(place for place in self.places if place.evse["uid"] == original["cdr_location"]["evse_uid"])
        start = datetime.fromisoformat(original["start_date_time"])
        asked = records.priced(place, records.charge(self.rng, place, start))
        token = original["cdr_token"]
        body = records.cdr(self._next_number(), original["session_id"], place, token, asked, self.made)
        return body | {"auth_method": original["auth_method"]}


def _home(token: dict[str, Any]) -> str:
    return "DE" if token["contract_id"].upper().startswith("DE") else "SE"


def _around(slot: Slot, home: list[Place], away: list[Place]) -> list[Place]:
    """A traveller is away for four days."""
    return away if 11 <= slot.day.day <= 14 else home


def _distance(place: Place, centre: Place) -> Decimal:
    here, there = place.location["coordinates"], centre.location["coordinates"]
    return sum(((Decimal(here[axis]) - Decimal(there[axis])) ** 2 for axis in here), Decimal(0))


def _with_wrong_total(body: dict[str, Any]) -> dict[str, Any]:
    """The components do not add up to it any more; the VAT does."""
    vat = body["tariffs"][0]["elements"][0]["price_components"][0]["vat"]
    more = price(Decimal(10), 10 + vat / 10)
    return body | {"total_cost": add([body["total_cost"], more])}


def _without(body: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != name}
