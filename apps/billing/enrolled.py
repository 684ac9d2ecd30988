"""Whom and what a line of an enrolment means: the drivers, contracts, cards and plans there are already."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date

from django.db.models import Q
from django.db.models.functions import Upper

from apps.drivers.contract_ids import next_contract_ids
from apps.drivers.models import Account, Contract, Driver, contract_key
from apps.ocpi.objects import Party
from apps.tokens.models import Token

from .fleet_file import Row
from .models import Plan, Subscription

EVER = date(2000, 1, 1)
"""Where no day is given, a contract's first plan holds for whatever was ever charged under it."""


class Unclear(ValueError):
    """A line that may mean several things, or something that there is not; `column` is at fault."""

    def __init__(self, column: str, reason: str):
        super().__init__(reason)
        self.column = column


class People:
    """The drivers of some accounts: by account and e-mail, else by account and name."""

    def __init__(self, accounts: Iterable[Account]):
        self.by_email: dict[tuple, Driver] = {}
        self.by_name: dict[tuple, list[Driver]] = defaultdict(list)
        self.without_email: dict[tuple, Driver] = {}
        for driver in Driver.objects.filter(account__in=accounts).select_related("account"):
            self._index(driver.account.name, driver)

    def find(self, row: Row) -> Driver | None:
        """An e-mail that is new belongs to whoever has the name and no e-mail yet."""
        name = row.account, row.driver
        if not row.email:
            return self.without_email.get(name) or self._only(self.by_name[name])
        email = row.account, row.email.upper()
        driver = self.by_email.get(email) or self.without_email.pop(name, None)
        if driver:
            self.by_email[email] = driver
        return driver

    def add(self, row: Row, account: Account) -> Driver:
        driver = Driver(account=account, name=row.driver, email=row.email)
        self._index(row.account, driver)
        return driver

    def _index(self, account: str, driver: Driver) -> None:
        self.by_name[account, driver.name].append(driver)
        if driver.email:
            self.by_email[account, driver.email.upper()] = driver
        else:
            self.without_email[account, driver.name] = driver

    def _only(self, namesakes: list[Driver]) -> Driver | None:
        if len(namesakes) > 1:
            raise Unclear("driver", f"{len(namesakes)} drivers of the account have this name; give the e-mail")
        return namesakes[0] if namesakes else None


def card_key(row: Row) -> tuple[str, str]:
    """Cards are the same whatever the case of their uid; that of an RFID card is stored in upper case (TOK-09)."""
    return row.token_uid.upper(), row.token_type or Token.Type.RFID.value


def stored_cards(rows: list[Row]) -> dict[tuple[str, str], Token]:
    found = Token.objects.annotate(key=Upper("uid")).filter(key__in={row.token_uid.upper() for row in rows})
    return {(card.uid.upper(), card.type): card for card in found.select_related("contract__driver__account")}


class Contracts:
    """The contracts that lines name, and those of their drivers."""

    def __init__(self, pairs: list[tuple[Row, Driver]], cards: dict[tuple[str, str], Token]):
        keys = {contract_key(row.contract_id) for row, _ in pairs if row.contract_id}
        drivers = {driver.pk for _, driver in pairs}
        named_or_theirs = Contract.objects.filter(Q(key__in=keys) | Q(driver__in=drivers))
        found = named_or_theirs.select_related("driver__account").order_by("pk")
        self.by_key = {contract.key: contract for contract in found}
        self.of_driver: dict[int, list[Contract]] = defaultdict(list)
        for contract in found:
            self.of_driver[contract.driver_id].append(contract)
        self.of_card = {key: card.contract_id for key, card in cards.items()}

    def find(self, row: Row, driver: Driver) -> Contract:
        """The contract a line names; if it names none, that of its card, else the driver's first, else a new one."""
        key = contract_key(row.contract_id)
        if key:
            contract = self.by_key.get(key) or self._add(driver, row.contract_id)
            if contract.driver_id != driver.pk:
                raise Unclear("contract_id", f"belongs to another driver, {contract.driver}")
            return contract
        theirs = self.of_driver[driver.pk]
        of_card = [contract for contract in theirs if contract.pk and contract.pk == self.of_card.get(card_key(row))]
        return next(iter(of_card + theirs), None) or self._add(driver, "")

    def name(self, us: Party) -> None:
        """Give new contracts that have no id yet one of ours."""
        unnamed = [contract for theirs in self.of_driver.values() for contract in theirs if not contract.contract_id]
        ids = next_contract_ids(len(unnamed), us.country_code, us.party_id)
        for contract, contract_id in zip(unnamed, ids, strict=True):
            contract.contract_id, contract.key = contract_id, contract_key(contract_id)

    def _add(self, driver: Driver, contract_id: str) -> Contract:
        contract = Contract(driver=driver, contract_id=contract_id, key=contract_key(contract_id))
        self.of_driver[driver.pk].append(contract)
        if contract_id:
            self.by_key[contract.key] = contract
        return contract


class Plans:
    """The plans there are, and which contract has which: nobody has two at a time."""

    def __init__(self, contracts: Iterable[Contract]):
        plans = list(Plan.objects.all())
        self.by_name = {plan.name.casefold(): plan for plan in plans}
        self.defaults = {plan.currency: plan for plan in plans if plan.is_default}
        held = Subscription.objects.filter(contract__in=contracts).order_by("valid_from")
        self.last = {subscription.contract_id: subscription for subscription in held}
        self.named_in: dict[int, tuple[int, str]] = {}
        self.ended: list[Subscription] = []
        self.swapped: list[Subscription] = []
        self.begun: list[Subscription] = []

    def give(self, row: Row, contract: Contract, account: Account, today: date) -> bool:
        """Give a contract the plan its line names, or the default if it has none (decision 39); True if it changed."""
        last = self.last.get(contract.pk)
        plan = self._named(row, contract, account) if row.plan else self.defaults.get(account.currency)
        is_held = last and (not row.plan or (last.plan_id == plan.pk and _holds(last, today)))
        if plan is None or is_held:
            return False
        asked = row.valid_from and row.valid_from.date()
        if last is None:
            self._begin(contract, plan, asked or EVER)
        else:
            self._follow(last, contract, plan, asked or today)
        return last is not None

    def write(self) -> None:
        Subscription.objects.bulk_update(self.ended, ["valid_until"], batch_size=500)
        Subscription.objects.bulk_update(self.swapped, ["plan", "valid_until"], batch_size=500)
        Subscription.objects.bulk_create(self.begun, batch_size=2000)

    def _named(self, row: Row, contract: Contract, account: Account) -> Plan:
        plan = self.by_name.get(row.plan.casefold())
        if plan is None:
            raise Unclear("plan", f"there is no plan {row.plan}")
        if plan.currency != account.currency:
            raise Unclear("plan", f"{plan} is in {plan.currency}, the account in {account.currency}")
        line, name = self.named_in.setdefault(contract.pk, (row.line, plan.name))
        if name != plan.name:
            raise Unclear("plan", f"line {line} gives this contract {name}")
        return plan

    def _follow(self, last: Subscription, contract: Contract, plan: Plan, day: date) -> None:
        if day < last.valid_from:
            raise Unclear("valid_from", f"the contract has a plan from {last.valid_from} on")
        if day == last.valid_from:
            last.plan, last.valid_until = plan, None
            self.swapped.append(last)
            return
        if last.valid_until is None or last.valid_until > day:
            last.valid_until = day
            self.ended.append(last)
        self._begin(contract, plan, day)

    def _begin(self, contract: Contract, plan: Plan, day: date) -> None:
        self.last[contract.pk] = Subscription(contract=contract, plan=plan, valid_from=day)
        self.begun.append(self.last[contract.pk])


def _holds(subscription: Subscription, today: date) -> bool:
    return subscription.valid_until is None or subscription.valid_until > today
