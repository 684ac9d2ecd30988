"""Test cards of a partner: the same numbers for ever, each with an answer of its own, to try us out with.

One partner sees them and no other does (apps/tokens/sight.py); a CDR of one is held for good (apps/charging/checks.py).
"""

from datetime import UTC, datetime
from typing import NamedTuple

from babel.numbers import get_territory_currencies
from django.db import transaction

from apps.drivers.contract_ids import next_contract_ids
from apps.drivers.models import Account, Contract, Driver
from apps.ocpi import objects
from apps.partners.models import Partner

from .announcing import announce, introduce
from .models import Authorization, Sandbox, Token

LONG_AGO, FAR_AWAY = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
AS_NEW = {"is_valid": True, "valid_from": None, "expires_at": None, "blocked_at": None, "whitelist": "ALLOWED"}

Allowed, Whitelist = Authorization.Allowed, Token.Whitelist


class Sample(NamedTuple):
    """`differs`: what is not as on a card in order; `answer` is what we say when it is held to a reader."""

    purpose: str
    answer: Allowed
    differs: dict = {}


CARDS = (
    Sample("In order; you may decide from your list", Allowed.ALLOWED),
    Sample("In order; ask us each time", Allowed.ALLOWED, {"whitelist": Whitelist.NEVER}),
    Sample("In order; never ask us", Allowed.ALLOWED, {"whitelist": Whitelist.ALWAYS}),
    Sample("In order; your list counts while we cannot be reached", Allowed.ALLOWED, {"whitelist": Whitelist.ALLOWED_OFFLINE}),
    Sample("Blocked", Allowed.BLOCKED, {"blocked_at": LONG_AGO}),
    Sample("Expired", Allowed.EXPIRED, {"expires_at": LONG_AGO}),
    Sample("Not valid yet", Allowed.NOT_ALLOWED, {"valid_from": FAR_AWAY}),
)  # fmt: skip
"""A card's place is in its number: new ones come last."""

NOBODYS = 0xFF


def uid_of(partner: Partner, place: int) -> str:
    """Seven bytes, as of a real card, and the same for ever."""
    return f"7E57{partner.pk:08X}{place:02X}"


def unknown_uid(partner: Partner) -> str:
    """A number that is no card's."""
    return uid_of(partner, NOBODYS)


def numbered(partner: Partner) -> list[tuple[str, Sample]]:
    """The partner's cards by their numbers, whether they are made yet or not."""
    return [(uid_of(partner, place), card) for place, card in enumerate(CARDS, 1)]


@transaction.atomic
def reset(partner: Partner, now: datetime, us: objects.Party) -> Sandbox:
    """Make the partner's test cards, or make them what they were at first, and tell it of them as they are now."""
    Partner.objects.select_for_update().get(pk=partner.pk)  # one at a time
    sandbox = Sandbox.objects.filter(partner=partner).first() or _open(partner, now, us)
    sandbox.reset_at = now
    sandbox.save(update_fields=["reset_at"])
    Driver.objects.filter(account=sandbox.account).update(blocked_at=None)
    contract = Contract.objects.get(driver__account=sandbox.account)
    cards = [_restored(contract, uid, card, now, us) for uid, card in numbered(partner)]
    announce([card for card, is_new in cards if not is_new], now)
    introduce([card.pk for card, is_new in cards if is_new], now)
    return sandbox


def _restored(contract: Contract, uid: str, card: Sample, now: datetime, us: objects.Party) -> tuple[Token, bool]:
    values = AS_NEW | card.differs
    new = values | {"contract": contract, "issuer": str(us), "last_updated": now, "visual_number": f"Test {uid[-2:]}"}
    return Token.objects.update_or_create(uid=uid, type=Token.Type.RFID, defaults=values, create_defaults=new)


def _open(partner: Partner, now: datetime, us: objects.Party) -> Sandbox:
    account = Account.objects.create(
        name=f"Test cards of {partner} ({partner.pk})",
        kind=Account.Kind.COMPANY,
        country=us.country_code,
        currency=get_territory_currencies(us.country_code)[0],
    )
    driver = Driver.objects.create(account=account, name="Test driver")
    (contract_id,) = next_contract_ids(1, us.country_code, us.party_id)
    Contract.objects.create(driver=driver, contract_id=contract_id)
    return Sandbox.objects.create(partner=partner, account=account, reset_at=now)
