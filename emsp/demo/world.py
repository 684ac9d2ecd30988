"""The demo's mobility provider: a Swedish company with 200 accounts, their drivers, cards and plans, made from a seed.

Everything here is invented. What is planned is written to a file as well, so that the recount can start from the plan
and from what the charge point operator says it sent, and from nothing that the platform computed.
"""

import random
from dataclasses import dataclass, field
from datetime import date, timedelta

from stdnum import luhn
from stdnum.iso7064 import mod_11_10

from apps.drivers.contract_ids import check_digit

SEED = 20260401
ACCOUNTS = 200
BLOCKED_CARDS = 5
EXPIRED_CARDS = 3

COMPANY = {
    "name": "Nordladd Mobilitet AB",
    "street": "Kungsgatan 12",
    "postal_code": "111 35",
    "city": "Stockholm",
    "country": "SE",
    "organisation_no": "556712-3458",
    "email": "faktura@nordladd.example",
    "phone": "+46 8 000 00 00",
    "website": "https://nordladd.example",
    "iban": "SE4550000000058398257466",
    "bic": "ESSESESS",
    "bankgiro": "5805-6201",
    "has_f_tax": True,
}
REGISTRATIONS = {"SE": "SE556712345801", "DE": "DE123456788"}
SERIES = {
    ("SE", "INVOICE"): "SE",
    ("SE", "CREDIT_NOTE"): "SEK-",
    ("DE", "INVOICE"): "DE",
    ("DE", "CREDIT_NOTE"): "DEK-",
}
RATES = {"SE": "25", "DE": "19"}

PLANS = [
    {"name": "Privat", "currency": "SEK", "basis": "gross", "is_default": True, "monthly_fee": "0",
     "prices": {"": ("5.49", "0", "0"), "DE": ("7.25", "0", "0")}},
    {"name": "Privat Plus", "currency": "SEK", "basis": "gross", "is_default": False, "monthly_fee": "49",
     "prices": {"": ("4.79", "0", "0"), "DE": ("6.40", "0", "0")}},
    {"name": "Företag", "currency": "SEK", "basis": "net", "is_default": False, "monthly_fee": "0",
     "prices": {"": ("3.95", "0.05", "1.50"), "DE": ("5.35", "0.05", "1.50")}},
    {"name": "Flotte", "currency": "EUR", "basis": "net", "is_default": True, "monthly_fee": "0",
     "prices": {"": ("0.41", "0.01", "0.20"), "DE": ("0.49", "0.01", "0.20")}},
]  # fmt: skip
"""Prices per country: per kWh, per minute, per session; the empty country is everywhere else."""

FIRST_NAMES = (
    "Anna Erik Maria Lars Karin Johan Sara Nils Eva Åsa Oskar Elin Gustav Ida Björn Lena Per Märta Ola Tove".split()
)
LAST_NAMES = (
    "Andersson Johansson Karlsson Nilsson Eriksson Larsson Olsson Persson Svensson Gustafsson "
    "Pettersson Lindberg Jönsson Hansson Bergström Lundqvist Åkesson Sjöberg Öberg Nyström"
).split()
STREETS = "Storgatan Kyrkogatan Skolgatan Björkvägen Ängsvägen Parkgatan Järnvägsgatan Nygatan".split()
CITIES = [
    ("114 55", "Stockholm"),
    ("411 05", "Göteborg"),
    ("211 20", "Malmö"),
    ("753 20", "Uppsala"),
    ("582 22", "Linköping"),
]
SWEDISH_FIRMS = "Bygg Åkeri Konsult Måleri El Städ Livs Trädgård Rör Taxi".split()
GERMAN_FIRMS = "Logistik Pflegedienst Handwerk Elektro Gartenbau".split()
GERMAN_CITIES = [("10115", "Berlin"), ("20095", "Hamburg"), ("24103", "Kiel"), ("18055", "Rostock")]


def month_before(day: date) -> date:
    """The first day of the month before that of a day."""
    return (day.replace(day=1) - timedelta(days=1)).replace(day=1)


@dataclass
class World:
    """What the demo plans: rows of the import file and which of the cards are to be blocked. `length` months are played,
    of which `month` is the last."""

    month: date
    rows: list[dict] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)
    length: int = 1

    @property
    def months(self) -> list[date]:
        """From the first to the last."""
        months = [self.month]
        while len(months) < self.length:
            months.insert(0, month_before(months[0]))
        return months

    def planned(self) -> dict:
        """The plan as JSON, for the recount."""
        return {
            "month": f"{self.month:%Y-%m}",
            "months": [f"{month:%Y-%m}" for month in self.months],
            "seed": SEED,
            "company": COMPANY,
            "registrations": REGISTRATIONS,
            "series": [[country, kind, prefix] for (country, kind), prefix in SERIES.items()],
            "rates": RATES,
            "plans": PLANS,
            "rows": self.rows,
            "blocked": self.blocked,
            "expired": self.expired,
        }


def make_world(month: date, length: int = 1) -> World:
    """The same world for the same month: the dice are seeded."""
    dice = random.Random(SEED)
    world, since = World(month, length=length), f"{month.year - 1}-01-01"
    for number in range(ACCOUNTS):
        account = make_account(number, dice)
        world.rows += [
            card_row(account, number, place, dice) | {"valid_from": since} for place in range(cards_of(account, dice))
        ]
    uids = [row["token_uid"] for row in world.rows]
    chosen = dice.sample(uids, BLOCKED_CARDS + EXPIRED_CARDS)
    world.blocked, world.expired = chosen[:BLOCKED_CARDS], chosen[BLOCKED_CARDS:]
    return world


def make_account(number: int, dice: random.Random) -> dict:
    if number % 10 == 9:
        return german_company(number, dice)
    return swedish_company(number, dice) if number % 10 in (3, 6) else private_person(number, dice)


def private_person(number: int, dice: random.Random) -> dict:
    name = f"{FIRST_NAMES[number % 20]} {LAST_NAMES[number // 20 + 10 * (number % 2)]}"
    postal_code, city = dice.choice(CITIES)
    return {
        "account": name, "kind": "private", "name": name, "street": street(dice), "postal_code": postal_code, "city": city,
        "country": "SE", "currency": "SEK", "language": "sv", "email": f"kund{number:03}@kunder.example",
        "plan": "Privat Plus" if dice.random() < 0.25 else "Privat",
    }  # fmt: skip


def swedish_company(number: int, dice: random.Random) -> dict:
    postal_code, city = dice.choice(CITIES)
    organisation = f"559{number:06}" + luhn.calc_check_digit(f"559{number:06}")
    name = f"{LAST_NAMES[number % 20]}s {SWEDISH_FIRMS[number // 20]} {number} AB"
    return {
        "account": name, "kind": "company", "name": name, "street": street(dice), "postal_code": postal_code, "city": city,
        "country": "SE", "currency": "SEK", "language": "sv", "vat_id": f"SE{organisation}01",
        "organisation_no": f"{organisation[:6]}-{organisation[6:]}", "cost_centre": f"KS{number:03}",
        "email": f"ekonomi{number:03}@foretag.example", "plan": "Företag",
    }  # fmt: skip


def german_company(number: int, dice: random.Random) -> dict:
    postal_code, city = dice.choice(GERMAN_CITIES)
    name = f"{GERMAN_FIRMS[number % 5]} Nord {number} GmbH"
    return {
        "account": name, "kind": "company", "name": name, "street": f"Hafenstraße {dice.randint(1, 90)}",
        "postal_code": postal_code, "city": city, "country": "DE", "currency": "EUR", "language": "de",
        "vat_id": f"DE3{number:07}" + mod_11_10.calc_check_digit(f"3{number:07}"), "organisation_no": f"HRB {10000 + number}",
        "email": f"rechnung{number:03}@firmen.example", "plan": "Flotte",
    }  # fmt: skip


def street(dice: random.Random) -> str:
    return f"{dice.choice(STREETS)} {dice.randint(1, 120)}"


def cards_of(account: dict, dice: random.Random) -> int:
    return dice.randint(2, 5) if account["kind"] == "company" else 1


def card_row(account: dict, number: int, place: int, dice: random.Random) -> dict:
    """One line of the import file: a driver with a card."""
    private = account["kind"] == "private"
    driver = (
        account["name"]
        if private
        else f"{FIRST_NAMES[(number + 7 * place) % 20]} {LAST_NAMES[(3 * number + place) % 20]}"
    )
    return {key: value for key, value in account.items() if key != "name"} | {
        "name": account["name"],
        "driver": driver if private else f"{driver} ({place + 1})",
        "email": account["email"] if private else f"forare{number:03}.{place + 1}@foretag.example",
        "contract_id": "" if account["country"] == "SE" else german_contract(number, place),
        "token_uid": f"04{dice.getrandbits(48):012X}",
        "token_type": "RFID",
        "visual_number": f"NLM-{number:03}-{place + 1}",
        "whitelist": "ALLOWED",
        "valid": "true",
    }


def german_contract(number: int, place: int) -> str:
    """A German fleet has German contract ids; the charge point operator takes them for people who live there."""
    body = f"DEEMPC{number:05}{place + 1:03}"
    return f"DE-EMP-{body[5:]}-{check_digit(body)}"
