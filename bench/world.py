"""A mobility provider of a given size, and the bodies its charge point operator sends."""

import random
from datetime import UTC, date, datetime, timedelta

import msgspec
from django.db import connection
from django.utils import timezone

from apps import sealing
from apps.billing import fleet_file
from apps.billing.enrolment import enrol
from apps.ocpi.objects import Party
from apps.partners import credentials, ourselves, peers, pull
from apps.partners.models import CredentialsToken, Endpoint, Partner
from apps.partners.models import Party as PartyRow
from apps.simulator.cpo import World
from apps.simulator.month import Month
from apps.simulator.wire import encode
from apps.tokens.models import Token
from emsp.demo import founding

MONTH = date(2026, 10, 1)
EVSES_PER_LOCATION = 4
CARDS_PER_ACCOUNT = 10
OWNER = Party("SE", "LAD")
PACE = 1000
"""How fast we are is asked here, not how much we allow: never at the end of it."""


def empty() -> None:
    """Take everything out but what the migrations put in; what was known of the tables' size too.

    Otherwise PostgreSQL would look at them once more while they are empty, and plan what comes next for no rows.
    """
    kept = ("django_migrations", "django_content", "auth_", "staff_", "pghistory_", "billing_vatrate")
    tables = [name for name in connection.introspection.table_names() if not name.startswith(kept)]
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY")
        cursor.execute("SET session_replication_role = DEFAULT")
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT pg_stat_reset()")


def enrol_cards(count: int) -> list[str]:
    """As many cards as asked for, through the file that `drivers import` takes; their uids."""
    now = timezone.now()
    founding.found_company(now)
    founding.make_plans()
    rows = [card(number) for number in range(count)]
    result = enrol(fleet_file.read(founding.as_file(rows)), now=now, us=ourselves.us())
    if not result.is_good:
        raise RuntimeError(result.errors[:3])
    return [row["token_uid"] for row in rows]


def card(number: int) -> dict:
    account = number // CARDS_PER_ACCOUNT
    address = {"street": "Storgatan 1", "postal_code": "111 22", "city": "Stockholm", "country": "SE"}
    return address | {
        "account": f"Account {account:06}", "kind": "private", "currency": "SEK", "language": "sv",
        "email": f"account{account:06}@example.com", "driver": f"Driver {number:07}", "plan": "Privat",
        "token_uid": f"04{number:012X}", "token_type": "RFID", "whitelist": "ALLOWED",
    } | {"email": f"driver{number:07}@example.com"}  # fmt: skip


def connect(owner: Party = OWNER) -> tuple[Partner, str]:
    """A partner as a handshake leaves it, and the token it calls us with."""
    now = timezone.now()
    partner = Partner.objects.create(
        name=f"Bench {owner}",
        state=Partner.State.CONNECTED,
        version="2.2.1",
        is_private=True,
        connected_at=now,
        pace=PACE,
    )
    partner.outbound_token = sealing.seal(credentials.mint(), peers.place_of_token(partner))
    partner.save()
    PartyRow.objects.create(country_code=owner.country_code, party_id=owner.party_id, partner=partner)
    return partner, credentials.issue(partner, CredentialsToken.Kind.CREDENTIALS, now)


def offer(partner: Partner, module: str, url: str) -> None:
    Endpoint.objects.update_or_create(partner=partner, identifier=module, role="SENDER", defaults={"url": url})
    pull.open_feeds(partner, timezone.now())


def listen(partner: Partner, url: str) -> None:
    """It takes our tokens."""
    Endpoint.objects.update_or_create(partner=partner, identifier="tokens", role="RECEIVER", defaults={"url": url})


def locations(evses: int) -> list[bytes]:
    """Locations of four EVSEs each, as one CPO would send them."""
    like = next(iter(World.small().locations.values()))
    return [encode(_location(like, number)) for number in range(evses // EVSES_PER_LOCATION)]


def _location(like: dict, number: int) -> dict:
    evse = like["evses"][0]
    evses = [
        evse | {"uid": f"{number}-{place}", "evse_id": f"SE*LAD*E{number}*{place}"}
        for place in range(EVSES_PER_LOCATION)
    ]
    return like | {"id": f"L{number}", "name": f"Place {number}", "evses": evses}


def evse_paths(evses: int) -> list[str]:
    return [
        f"{OWNER.country_code}/{OWNER.party_id}/L{location}/{location}-{evse}"
        for location, evse in (divmod(number, EVSES_PER_LOCATION) for number in range(evses))
    ]


def cdrs(uids: list[str], count: int, owner: Party = OWNER) -> list[bytes]:
    """CDRs of the month that are like each other in everything but card, time and energy."""
    dice, like, contracts = random.Random(1), cdr_like() | msgspec.to_builtins(owner), contracts_of_cards()
    numbered = ((number, uids[number % len(uids)]) for number in range(count))
    return [encode(_cdr(like, number, {"uid": uid, "contract_id": contracts[uid]}, dice)) for number, uid in numbered]


def contracts_of_cards() -> dict[str, str]:
    return dict(Token.objects.values_list("uid", "contract__contract_id"))


def cdr_like() -> dict:
    world = World.small()
    token = {
        "country_code": "SE",
        "party_id": "EMP",
        "uid": "X",
        "type": "RFID",
        "contract_id": "SEEMPC0",
        "valid": True,
    }
    (planned,) = Month(world, [token], f"{MONTH:%Y-%m}", 1, datetime(2026, 11, 2, tzinfo=UTC)).plan(1, odd=False)
    return planned.body | {"country_code": OWNER.country_code, "party_id": OWNER.party_id}


def _cdr(like: dict, number: int, card: dict[str, str], dice: random.Random) -> dict:
    start = datetime(2026, 10, 1, 6, tzinfo=UTC) + timedelta(minutes=dice.randrange(29 * 24 * 60))
    times = {
        "start_date_time": f"{start:%Y-%m-%dT%H:%M:%SZ}",
        "end_date_time": f"{start + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
    }
    own = {
        "id": f"C{number}",
        "session_id": f"S{number}",
        "cdr_token": like["cdr_token"] | card,
        "total_energy": round(dice.uniform(3, 60), 3),
    }
    return like | times | own
