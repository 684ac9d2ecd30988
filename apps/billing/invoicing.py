"""Invoice runs: a month's charges become numbered, frozen documents (BIL-150 to BIL-157).

One document per VAT registration of ours, account, currency, treatment and basis (decision 38). Numbers are given in
the transaction that writes the documents, from a locked series (BIL-70); PDFs are made afterwards (BIL-155).
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Count, QuerySet, Sum

from apps.drivers.models import Account
from apps.work import Clock, ring

from . import subscriptions
from .calendar import today_of
from .collecting import companies_of, drafts_of, read, registrations_of, waiting
from .crediting import exceeding
from .documents import Press
from .drafts import Draft
from .models import Charge, InvoiceRun, LegalEntity, TaxRegistration
from .numbering import lock_series
from .outcome import Kept, Outcome, fees_left_out, held_until
from .parties import missing_of_buyer
from .readiness import NotReady, obstacles

log = logging.getLogger(__name__)

ACCOUNTS_AT_ONCE = 200
"""Documents of so many accounts are one transaction: if it fails, all their numbers are given back."""


LEASE = timedelta(minutes=5)
"""Longer than a batch takes, tried account by account too; every batch renews it."""

A_WHILE = timedelta(minutes=2)
"""A worker's turn at a run, well below the time limit of a task; then it is due again, for whoever is free."""


def preview(period: date, now: datetime) -> Outcome:
    """What `issue` would do for the month that begins on `period`: no number is taken, nothing is kept (BIL-153)."""
    outcome = Outcome(period, is_preview=True)
    with transaction.atomic():
        outcome.left_out += fees_left_out(subscriptions.charge_month(period, now))
        charges = waiting(period, now)
        outcome.obstacles = obstacles(charges, period, now)
        for batch in _batches(charges):
            outcome.add(batch.registration, *told_apart(drafts_of(read(batch.charges)), batch.accounts()))
        transaction.set_rollback(True)
    outcome.held = held_until(period)
    return outcome


def order(period: date, now: datetime) -> list[InvoiceRun]:
    """Have the month that begins on `period` issued by a worker: a due run for each company with charges. Returns at once.

    Raises NotReady, as `issue` does, and when a run of the month is under way.
    """
    subscriptions.charge_month(period, now)
    charges = _ready(period, now)
    under_way = [f"{run} is being issued" for run in InvoiceRun.objects.filter(period=period, due_at__isnull=False)]
    if under_way:
        raise NotReady(under_way)
    runs = [_run(company, charges, period, now) for company in companies_of(charges)]
    ring("apps.billing.tasks.issue_runs")
    return runs


def issue(period: date, now: datetime) -> Outcome:
    """Issue the documents of the month that begins on `period`, and what came late of months before; in this process.

    Whoever lacks what a document must show is left out by name; a batch that fails is tried account by account, and
    none of its numbers is lost (BIL-154). Run twice, the second finds nothing to do (BIL-152). If the process dies, a
    worker goes on with its run. Raises NotReady, with every reason, before anything is issued: the month is not over, a
    VAT rate is not confirmed (BIL-57), the company lacks what it must show, a series of numbers is missing. Raises
    TakenOver if it stood still for so long that a worker went on.
    """
    outcome, clock = Outcome(period, is_preview=False), Clock(now)
    outcome.left_out += fees_left_out(subscriptions.charge_month(period, now))
    charges = _ready(period, now)
    for company in companies_of(charges):
        run = _run(company, charges, period, now, leased_until=clock() + LEASE, attempts=1)
        Turn(run, clock, outcome).take()
    outcome.held = held_until(period)
    return outcome


def issue_due(now: datetime) -> dict[str, bool]:
    """Go on with the runs that are due, for a while each; whether they are finished. Other workers take others meanwhile."""
    clock, done = Clock(now), {}
    for run in InvoiceRun.objects.claim(now, LEASE, limit=1):
        turn = Turn(run, clock, Outcome(run.period, is_preview=False))
        done[str(run)] = turn.take_or_tell(until=now + A_WHILE)
        ring("apps.billing.tasks.issue_runs")  # the rest of it, or another
    return done


def _ready(period: date, now: datetime) -> QuerySet[Charge]:
    charges = waiting(period, now)
    if found := obstacles(charges, period, now):
        raise NotReady(found)
    return charges


def _companies(charges: QuerySet[Charge]) -> QuerySet[LegalEntity]:
    return LegalEntity.objects.filter(registrations__charges__in=charges).distinct().order_by("pk")


def _run(company: LegalEntity, charges: QuerySet[Charge], period: date, now: datetime, **held) -> InvoiceRun:
    """One company's run: due, and nobody's unless `held` says whose."""
    theirs = charges.filter(registration__legal_entity=company)
    accounts = theirs.order_by().values("registration", "account").distinct().count()
    begun = {"cutoff_at": now, "started_at": now, "due_at": now, "issued_on": today_of(company, now)}
    return InvoiceRun.objects.create(legal_entity=company, period=period, accounts=accounts, **begun, **held)


@dataclass(frozen=True)
class Batch:
    """The charges of some accounts under one registration."""

    registration: TaxRegistration
    account_ids: Sequence[int]
    charges: QuerySet[Charge]

    def accounts(self) -> dict[int, Account]:
        return Account.objects.in_bulk(self.account_ids)

    def one_by_one(self) -> Iterator["Batch"]:
        for account_id in self.account_ids:
            yield Batch(self.registration, [account_id], self.charges.filter(account=account_id))


def _batches(charges: QuerySet[Charge], reached: Sequence[int] = ()) -> Iterator[Batch]:
    """The charges by registration and some accounts at a time; small enough for memory and for one transaction.

    Those that were `reached` (registration, account) are done.
    """
    last_registration, last_account = reached or (0, 0)
    for registration in registrations_of(charges).filter(pk__gte=last_registration):
        behind = last_account if registration.pk == last_registration else 0
        under_it = charges.filter(registration=registration, account__gt=behind)
        ids = list(under_it.order_by("account").values_list("account", flat=True).distinct())
        for start in range(0, len(ids), ACCOUNTS_AT_ONCE):
            some = ids[start : start + ACCOUNTS_AT_ONCE]
            yield Batch(registration, some, under_it.filter(account__in=some))


class TakenOver(Exception):
    """The lease was lost: another process goes on with the run, and what this one had in hand is undone."""


NOBODYS_FAULT = (TakenOver, OperationalError, InterfaceError, OSError)
"""No account's: somebody else is at the run, holds a lock, or the database or the disk went."""


@dataclass
class Turn:
    """A process's turn at a run that it holds the lease of. What it did is added to `outcome`."""

    run: InvoiceRun
    clock: Clock
    outcome: Outcome

    def take_or_tell(self, until: datetime) -> bool:
        """For a worker: whatever goes wrong is told on the run, which is tried again after a pause."""
        try:
            return self.take(until)
        except TakenOver:
            log.warning("The run %s was taken over by another process", self.run)
        except Exception as error:
            log.exception("The run %s broke off", self.run)
            self._ours().update(**self.run.failed(f"{type(error).__name__}: {error}", self.clock()))
        return False

    def take(self, until: datetime | None = None) -> bool:
        """Issue until all is issued or it is `until`; whether all is."""
        run = self.run
        charges = waiting(run.period, run.cutoff_at).filter(registration__legal_entity=run.legal_entity_id)
        is_finished = all(self._issued(batch, until) for batch in _batches(charges, run.reached))
        now = self.clock()
        self._written(run.settled(None if is_finished else now) | {"finished_at": now if is_finished else None})
        ring("apps.billing.tasks.render_documents")
        return is_finished

    def _issued(self, batch: Batch, until: datetime | None) -> bool:
        """Issue a batch, unless time is up; if it cannot be, each account by itself, so that one that is odd stops no
        other (BIL-154)."""
        if until and self.clock() >= until:
            return False
        try:
            self._issue(batch)
        except TakenOver:
            raise
        except Exception:
            log.exception("A batch of %d accounts could not be issued and is tried one by one", len(batch.account_ids))
            for single in batch.one_by_one():
                self._issue_or_leave(single)
        return True

    def _issue_or_leave(self, batch: Batch) -> None:
        try:
            self._issue(batch)
        except NOBODYS_FAULT:
            raise
        except Exception as error:
            log.exception("Account %s could not be issued", batch.account_ids[0])
            left_out = _failed(batch, error)
            self._keep(self._noted(batch, left_out))
            self.outcome.left_out += left_out

    def _issue(self, batch: Batch) -> None:
        """Number and write the documents of a batch in one transaction, and how far the run is with it.

        The series is locked first: who comes after waits, and then no longer finds the charges. The charges are locked
        against rating, which nets a charge with its credit as long as no document shows it (BIL-43).
        """
        with transaction.atomic():
            press = Press(self.run, batch.registration, lock_series(batch.registration), batch.accounts())
            locked = list(batch.charges.select_for_update().values_list("pk", flat=True))
            drafts, left_out = told_apart(drafts_of(read(Charge.objects.filter(pk__in=locked))), press.accounts)
            press.write(drafts)
            noted = self._noted(batch, left_out)
        self._keep(noted)
        self.outcome.add(batch.registration, drafts, left_out)

    def _noted(self, batch: Batch, left_out: Iterable[Kept]) -> dict:
        """How far the run is, written beside what was done: a process that slept through its lease is undone by it."""
        return self._written(
            {
                "leased_until": self.clock() + LEASE,
                "reached": [batch.registration.pk, batch.account_ids[-1]],
                "accounts_done": self.run.accounts_done + len(batch.account_ids),
                "left_out": self.run.left_out + [kept.as_json() for kept in left_out],
            }
        )

    def _written(self, values: dict) -> dict:
        """Raises TakenOver unless the lease is ours. What is written is known here only once it is committed (`_keep`)."""
        if not self._ours().update(**values):
            raise TakenOver(f"{self.run} was taken over by another process, which goes on with it")
        return values

    def _keep(self, written: dict) -> None:
        for name, value in written.items():
            setattr(self.run, name, value)

    def _ours(self) -> QuerySet[InvoiceRun]:
        return InvoiceRun.objects.filter(pk=self.run.pk, leased_until=self.run.leased_until)


def told_apart(drafts: Sequence[Draft], accounts: dict[int, Account]) -> tuple[list[Draft], list[Kept]]:
    """Documents that can be issued, and what is left for later, by the account's name and with the reason."""
    too_much = exceeding(drafts)
    reasons = [_against(draft, accounts[draft.key.account_id], too_much) for draft in drafts]
    good = [draft for draft, reason in zip(drafts, reasons, strict=True) if not reason]
    left_out = [
        Kept(f"{accounts[draft.key.account_id]}: {reason}", len(draft.lines), draft.key.currency, draft.net)
        for draft, reason in zip(drafts, reasons, strict=True)
        if reason
    ]
    return good, left_out


def _against(draft: Draft, account: Account, too_much: set[int]) -> str:
    """Why a document cannot be issued; nothing if it can."""
    if missing := missing_of_buyer(account, draft.key.vat_category):
        return f"lacks {', '.join(missing)}"
    if draft.is_negative:
        return "adds up to less than nothing"
    return "credits more than its invoice charged" if draft.key.corrects_id in too_much else ""


def _failed(batch: Batch, error: Exception) -> list[Kept]:
    (account,) = batch.accounts().values()
    sums = batch.charges.order_by().values_list("currency").annotate(Count("pk"), Sum("amount"))
    return [Kept(f"{account}: {error}", count, currency, amount) for currency, count, amount in sums]
