"""Invoice runs: a month's charges become numbered, frozen documents (BIL-150 to BIL-157).

One document per VAT registration of ours, account, currency, treatment and basis (decision 38). Numbers are given in
the transaction that writes the documents, from a locked series (BIL-70); PDFs are made afterwards (BIL-155).
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Count, QuerySet, Sum

from apps.drivers.models import Account
from apps.work import ring

from . import subscriptions
from .calendar import today_of
from .collecting import drafts_of, read, waiting
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


def issue(period: date, now: datetime) -> Outcome:
    """Issue the documents of the month that begins on `period`, and what came late of months before.

    Whoever lacks what a document must show is left out by name; a batch that fails is tried account by account, and
    none of its numbers is lost (BIL-154). Run twice, the second finds nothing to do (BIL-152). Raises NotReady, with
    every reason, before anything is issued: the month is not over, a VAT rate is not confirmed (BIL-57), the company
    lacks what it must show, a series of numbers is missing.
    """
    outcome = Outcome(period, is_preview=False)
    outcome.left_out += fees_left_out(subscriptions.charge_month(period, now))
    charges = waiting(period, now)
    if found := obstacles(charges, period, now):
        raise NotReady(found)
    for company in LegalEntity.objects.filter(registrations__charges__in=charges).distinct().order_by("pk"):
        _run(company, charges.filter(registration__legal_entity=company), outcome, now)
    ring("apps.billing.tasks.render_documents")
    outcome.held = held_until(period)
    return outcome


def _run(company: LegalEntity, charges: QuerySet[Charge], outcome: Outcome, now: datetime) -> None:
    """One company's run, with a row that tells of it."""
    begun = {"period": outcome.period, "cutoff_at": now, "started_at": now, "issued_on": today_of(company, now)}
    run = InvoiceRun.objects.create(legal_entity=company, **begun)
    before = len(outcome.left_out)
    for batch in _batches(charges):
        _issue_or_split(batch, run, outcome)
    run.left_out, run.finished_at = [kept.as_json() for kept in outcome.left_out[before:]], now
    run.save(update_fields=["left_out", "finished_at"])


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


def _batches(charges: QuerySet[Charge]) -> Iterator[Batch]:
    """The charges by registration and some accounts at a time; small enough for memory and for one transaction."""
    for registration in TaxRegistration.objects.filter(charges__in=charges).distinct().order_by("pk"):
        under_it = charges.filter(registration=registration)
        ids = list(under_it.order_by("account").values_list("account", flat=True).distinct())
        for start in range(0, len(ids), ACCOUNTS_AT_ONCE):
            some = ids[start : start + ACCOUNTS_AT_ONCE]
            yield Batch(registration, some, under_it.filter(account__in=some))


def _issue_or_split(batch: Batch, run: InvoiceRun, outcome: Outcome) -> None:
    """Issue a batch; if it cannot be, each account by itself, so that one that is odd stops no other (BIL-154)."""
    try:
        _issue(batch, run, outcome)
    except Exception:
        log.exception("A batch of %d accounts could not be issued and is tried one by one", len(batch.account_ids))
        for single in batch.one_by_one():
            _issue_or_leave(single, run, outcome)


def _issue_or_leave(batch: Batch, run: InvoiceRun, outcome: Outcome) -> None:
    try:
        _issue(batch, run, outcome)
    except (OperationalError, InterfaceError):  # the database went, or somebody holds a lock: no fault of the account
        raise
    except Exception as error:
        log.exception("Account %s could not be issued", batch.account_ids[0])
        outcome.left_out += _failed(batch, error)


def _issue(batch: Batch, run: InvoiceRun, outcome: Outcome) -> None:
    """Number and write the documents of a batch in one transaction.

    The series is locked first: who comes after waits, and then no longer finds the charges. The charges are locked
    against rating, which nets a charge with its credit as long as no document shows it (BIL-43).
    """
    with transaction.atomic():
        press = Press(run, batch.registration, lock_series(batch.registration), batch.accounts())
        locked = list(batch.charges.select_for_update().values_list("pk", flat=True))
        drafts, left_out = told_apart(drafts_of(read(Charge.objects.filter(pk__in=locked))), press.accounts)
        press.write(drafts)
    outcome.add(batch.registration, drafts, left_out)


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
