"""Enrolling drivers: accounts, drivers, contracts, plans and cards, from a file or one by hand.

A cell that says nothing leaves what is stored as it is, so a file may hold only what it wants to change, and the same
file twice changes nothing. Kind after kind is brought to what the rows say, in a few statements each. If a row turns
out wrong, all of it is taken back and done again without the wrong rows: a wrong row leaves no half of itself behind.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import pghistory
from django.db import connection, models, transaction
from django.utils import timezone

from apps.drivers.models import Account, Contract, Driver
from apps.ocpi.objects import Party
from apps.tokens.announcing import announce, introduce
from apps.tokens.models import Token

from .enrolled import Contracts, People, Plans, Unclear, card_key, stored_cards
from .fleet_file import Error, Row, Sheet
from .models import LegalEntity

ONE_AT_A_TIME = 2_160_421
"""Advisory lock: two enrolments that both found an account missing would both make it."""

LIKE_ACCOUNT = (
    "kind", "street", "postal_code", "city", "country", "currency", "language", "vat_id", "organisation_no",
    "cost_centre",
)  # fmt: skip
COLUMN = {"legal_name": "name", "name": "driver", "is_valid": "valid"}
"""Columns of the file where they are not called as the model's."""


class Kept(NamedTuple):
    """What became of the rows of one model."""

    created: list
    updated: list
    unchanged: list


@dataclass
class Result:
    """How many of each kind were created, updated, or found as the file has them; and what was not taken.

    `is_good`: the file, or what is good of it, was taken, or would have been if it was a dry run.
    """

    created: dict[str, int] = field(default_factory=dict)
    updated: dict[str, int] = field(default_factory=dict)
    unchanged: dict[str, int] = field(default_factory=dict)
    errors: list[Error] = field(default_factory=list)
    is_good: bool = False


@transaction.atomic
def enrol(sheet: Sheet, *, now: datetime, us: Party, dry_run: bool = False, accept_good: bool = False) -> Result:
    """Create or update what the rows say: all of them or, with `accept_good`, those without an error."""
    with pghistory.context(act="enrolment"):  # without one the triggers that keep history fail within, row by row
        return _enrol(sheet, now, us, dry_run, accept_good)


def _enrol(sheet: Sheet, now: datetime, us: Party, dry_run: bool, accept_good: bool) -> Result:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ONE_AT_A_TIME])
    accept_good &= not sheet.is_refused
    rows, errors = sheet.rows, list(sheet.errors)
    kept, found = _attempt(rows, now, us)
    while found and accept_good:
        errors, wrong = errors + found, {error.line for error in found}
        rows = [row for row in rows if row.line not in wrong]
        kept, found = _attempt(rows, now, us)
    errors, is_good = sorted(errors + found), accept_good or not (errors or found)
    transaction.set_rollback(dry_run or not is_good)
    counts = [{kind: len(kept[kind][place]) if is_good else 0 for kind in kept} for place in range(3)]
    return Result(*counts, errors=errors, is_good=is_good)


def _attempt(rows: list[Row], now: datetime, us: Party) -> tuple[dict[str, Kept], list[Error]]:
    with transaction.atomic():
        enrolment = Enrolment(now, us)
        kept = enrolment.take(rows)
        transaction.set_rollback(bool(enrolment.errors))
    return kept, enrolment.errors


class Enrolment:
    """One go through the file, kind after kind. Errors are collected; if there are any, nothing of it may stay."""

    def __init__(self, now: datetime, us: Party):
        self.now, self.us, self.issuer = now, us, _issuer(us)
        self.errors: list[Error] = []

    def take(self, rows: list[Row]) -> dict[str, Kept]:
        told_before = _languages(rows)
        accounts, account_of = self._accounts(rows)
        drivers, of_drivers = self._drivers(rows, account_of)
        cards = stored_cards(rows)
        contracts, of_contracts = self._contracts(of_drivers, cards)
        tokens = self._tokens(of_contracts, cards)
        contracts = self._subscribe(of_contracts, contracts)
        if not self.errors:
            introduce([token.pk for token in tokens.created], self.now)
            announce(tokens.updated + _cards_worded_anew(accounts, told_before, tokens), self.now)
        return {"accounts": accounts, "drivers": drivers, "contracts": contracts, "tokens": tokens}

    def _accounts(self, rows: list[Row]) -> tuple[Kept, dict[str, Account]]:
        names = {row.account for row in rows}
        accounts = {account.name: account for account in Account.objects.filter(name__in=names)}
        for row in rows:
            if row.account not in accounts:
                private = row.kind == Account.Kind.PRIVATE
                accounts[row.account] = Account(name=row.account, email=row.email if private else "")
        kept = self._store(Account, [(row, accounts[row.account]) for row in rows], _account_values)
        return kept, accounts

    def _drivers(self, rows: list[Row], account_of: dict[str, Account]) -> tuple[Kept, list]:
        people, pairs = People(account_of.values()), []
        for row in rows:
            with self._unclear(row):
                pairs.append((row, people.find(row) or people.add(row, account_of[row.account])))
        return self._store(Driver, pairs, _driver_values), pairs

    def _contracts(self, of_drivers: list[tuple[Row, Driver]], cards: dict) -> tuple[Kept, list]:
        contracts, pairs = Contracts(of_drivers, cards), []
        for row, driver in of_drivers:
            with self._unclear(row):
                pairs.append((row, contracts.find(row, driver)))
        contracts.name(self.us)
        return self._store(Contract, pairs, lambda row: {}), pairs

    def _tokens(self, pairs: list[tuple[Row, Contract]], cards: dict) -> Kept:
        seen, wanted, contract_of = {}, [], {}
        for row, contract in pairs:
            key = card_key(row)
            first = seen.setdefault(key, row.line)
            owner = cards[key].contract.driver.account if key in cards else None
            if first != row.line:
                self._error(row, "token_uid", f"the same card as in line {first}")
            elif owner and owner.name != row.account:
                self._error(row, "token_uid", f"belongs to another account, {owner}")
            else:
                contract_of[row.line] = contract.pk
                wanted.append((row, cards.get(key) or self._new_token(row)))
        return self._store(Token, wanted, lambda row: {"contract_id": contract_of[row.line]} | _token_values(row))

    def _new_token(self, row: Row) -> Token:
        uid, kind = card_key(row)
        spelt = uid if kind == Token.Type.RFID else row.token_uid
        return Token(uid=spelt, type=kind, issuer=self.issuer, last_updated=self.now)

    def _subscribe(self, of_contracts: list[tuple[Row, Contract]], contracts: Kept) -> Kept:
        """Give contracts their plan. Another plan is a changed contract; the old one ends on the day the new begins."""
        plans, changed = Plans([contract for _, contract in of_contracts]), set()
        for row, contract in sorted(of_contracts, key=lambda pair: not pair[0].plan):
            with self._unclear(row):
                if plans.give(row, contract, contract.driver.account, timezone.localdate(self.now)):
                    changed.add(contract.pk)
        plans.write()
        moved = [contract for contract in contracts.unchanged if contract.pk in changed]
        unchanged = [contract for contract in contracts.unchanged if contract.pk not in changed]
        return Kept(contracts.created, contracts.updated + moved, unchanged)

    def _store(self, model: type[models.Model], pairs: Iterable[tuple[Row, models.Model]], said_by: Callable) -> Kept:
        """Bring rows to what the lines say of them. Of two lines that disagree the later one is wrong."""
        rows, said = {}, defaultdict(dict)
        for line, row in pairs:
            rows[id(row)] = row
            for name, value in said_by(line).items():
                first, before = said[id(row)].setdefault(name, (line.line, value))
                if before != value:
                    self._error(line, COLUMN.get(name, name), f"line {first} says {before}")
        kept = Kept([], [], [])
        fields = set()
        for key, row in rows.items():
            changed = _set(row, said[key])
            fields |= changed if row.pk else set()
            (kept.created if row.pk is None else kept.updated if changed else kept.unchanged).append(row)
        model.objects.bulk_create(kept.created, batch_size=2000)
        if fields:
            model.objects.bulk_update(kept.updated, fields, batch_size=500)
        return kept

    @contextmanager
    def _unclear(self, row: Row) -> Iterator[None]:
        try:
            yield
        except Unclear as unclear:
            self._error(row, unclear.column, str(unclear))

    def _error(self, row: Row, column: str, reason: str) -> None:
        self.errors.append(Error(row.line, column, reason))


def _issuer(us: Party) -> str:
    """Who cards name as the company behind them (mod_tokens, issuer)."""
    name = LegalEntity.objects.order_by("pk").values_list("name", flat=True).first()
    return (name or str(us))[: Token._meta.get_field("issuer").max_length]


def _set(row: models.Model, said: dict[str, tuple]) -> set[str]:
    changed = {name for name, (_, value) in said.items() if getattr(row, name) != value}
    for name in changed:
        setattr(row, name, said[name][1])
    return changed


def _account_values(row: Row) -> dict:
    values = {name: getattr(row, name) for name in LIKE_ACCOUNT if getattr(row, name)}
    return values | ({"legal_name": row.name if row.name != row.account else ""} if row.name else {})


def _driver_values(row: Row) -> dict:
    return {"name": row.driver} | ({"email": row.email} if row.email else {})


def _token_values(row: Row) -> dict:
    values = {"visual_number": row.visual_number or None, "whitelist": row.whitelist or None}
    values |= {"is_valid": row.valid, "valid_from": row.valid_from}
    return {name: value for name, value in values.items() if value is not None}


def _languages(rows: list[Row]) -> dict[int, str]:
    return dict(Account.objects.filter(name__in={row.account for row in rows}).values_list("pk", "language"))


def _cards_worded_anew(accounts: Kept, told_before: dict[int, str], tokens: Kept) -> list[Token]:
    """Cards that did not change themselves, but whose language is told to partners (mod_tokens, language)."""
    reworded = [account.pk for account in accounts.updated if told_before[account.pk] != account.language]
    known = {token.pk for token in tokens.updated + tokens.created}
    return [card for card in Token.objects.filter(contract__driver__account__in=reworded) if card.pk not in known]
