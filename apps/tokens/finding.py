"""Finding a driver, or a card, by whatever the person at the telephone can read out."""

from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.drivers.models import Contract, Driver, contract_key

from .models import Token


def drivers_like(term: str, drivers: QuerySet | None = None) -> QuerySet:
    """Drivers whose name, account or e-mail contains the term, or of whom a contract id or a card begins with it.

    Contract ids are found however they are spelt (decision 17), cards by uid or the number printed on them.
    """
    drivers = Driver.objects.all() if drivers is None else drivers
    term = term.strip().replace("\x00", "")
    if not term:
        return drivers
    said = Q(name__icontains=term) | Q(email__icontains=term) | Q(account__name__icontains=term)
    contracts = Contract.objects.filter(driver=OuterRef("pk"))
    cards = Token.objects.filter(contract__driver=OuterRef("pk"))
    holds = Exists(cards.filter(Q(uid__istartswith=term) | Q(visual_number__istartswith=term)))
    if key := contract_key(term):
        holds |= Exists(contracts.filter(key__startswith=key))
    return drivers.filter(said | holds)


def find_card(uid: str, kind: str = Token.Type.RFID) -> Token:
    """By uid, in any case; LookupError where there is none of this type."""
    token = Token.objects.filter(uid__iexact=uid, type=kind).first()
    if token is None:
        raise LookupError(f"there is no card {uid} of type {kind}")
    return token
