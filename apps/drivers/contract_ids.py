"""Contract ids (eMA IDs) as of ISO 15118-1 and eMI3: `SE-EMP-C00000012-8`.

Country, provider, then nine characters of which eMI3 wants the first to be a C, and a check digit.
"""

from collections.abc import Iterable
from functools import cache

from django.db import connection

from .models import Contract, contract_key

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
BODY_LENGTH = 14
MODULI = (2, 2, 3, 3)
LONGEST = 36


def check_digit(body: str) -> str:
    """The fifteenth character of an eMA ID, for the fourteen before it.

    Each character is a pair of bits and a pair of ternary digits. Before they are added up, both pairs are turned as
    often as the character's place says, so that any wrong character, swap of neighbours or swap over one place, and any
    doubled one, changes the sum. The check digit is the character that brings the sum to nothing (eMI3, Check Digit
    Calculation for Contract-IDs).

    >>> check_digit("NN123ABCDEFGHI")
    'T'
    """
    if len(body) != BODY_LENGTH or not set(body) <= set(ALPHABET):
        raise ValueError(f"{body}: an eMA ID has 14 of 0-9 and A-Z before its check digit")
    weights = [_weight(character, place) for place, character in enumerate(body)]
    return _closing()[_reduced(map(sum, zip(*weights, strict=True)))]


def _reduced(sums: Iterable[int]) -> tuple[int, ...]:
    return tuple(part % modulus for part, modulus in zip(sums, MODULI, strict=True))


@cache
def _weight(character: str, place: int) -> tuple[int, int, int, int]:
    fours, nines = divmod(ALPHABET.index(character), 9)
    (a, b), (c, d) = divmod(fours, 2), divmod(nines, 3)
    for _ in range(place):
        a, b, c, d = b, (a + b) % 2, d, (c + 2 * d) % 3
    return a, b, c, d


@cache
def _closing() -> dict[tuple, str]:
    """Which character at the fifteenth place takes a sum back to zero."""
    weights = {character: _weight(character, BODY_LENGTH) for character in ALPHABET}
    return {_reduced(-part for part in weight): character for character, weight in weights.items()}


def problem_of(contract_id: str) -> str | None:
    """What keeps a contract id from being told to partners (mod_tokens, contract_id: CiString(36)); None if nothing.

    Ids of other shapes, or with check digits of other schemes, are in use since before eMI3, and are kept as they are.
    """
    if not contract_id.isascii() or not contract_id.isprintable() or not contract_key(contract_id):
        return "only letters, digits and signs of ASCII"
    return "longer than 36 characters" if len(contract_id) > LONGEST else None


def next_contract_ids(count: int, country_code: str, party_id: str) -> list[str]:
    """New contract ids of ours. Numbers come from a sequence, so two at a time never draw the same one.

    Ids that came from elsewhere under the same provider are stepped over.
    """
    drawn: list[str] = []
    while len(drawn) < count:
        fresh = [_spelt(country_code, party_id, number) for number in _draw(count - len(drawn))]
        taken = set(Contract.objects.filter(key__in=map(contract_key, fresh)).values_list("key", flat=True))
        drawn += [contract_id for contract_id in fresh if contract_key(contract_id) not in taken]
    return drawn


def _spelt(country_code: str, party_id: str, number: int) -> str:
    country, provider, instance = country_code.upper(), party_id.upper(), f"C{number:08}"
    return f"{country}-{provider}-{instance}-{check_digit(country + provider + instance)}"


def _draw(count: int) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('drivers_contract_number') FROM generate_series(1, %s)", [count])
        return [number for (number,) in cursor.fetchall()]
