"""Where a CDR stands on its way to a document, in one word: every CDR is in exactly one state (BIL-36)."""

from django.db import models
from django.db.models import Case, Count, Exists, OuterRef, Q, QuerySet, Value, When

from apps.charging.models import Cdr

from .models import Charge, Held, InvoiceLine, Netting, Payable


class State(models.TextChoices):
    UNRATED = "unrated", "not rated yet"
    UNMATCHED = "unmatched", "nobody's yet"
    HELD = "held", "held"
    BLOCKED = "blocked", "blocked"
    NETTED = "netted", "netted"
    RATED = "rated", "rated, not invoiced yet"
    INVOICED = "invoiced", "invoiced"
    CREDITED = "credited", "invoiced and credited"


NEEDS_SOMEBODY = (State.UNMATCHED, State.HELD, State.BLOCKED)


def with_state(cdrs: QuerySet[Cdr]) -> QuerySet[Cdr]:
    """Each CDR with its `state`, for lists and filters: `with_state(Cdr.objects.all()).filter(state=State.HELD)`."""
    charges = Charge.objects.filter(cdr=OuterRef("pk"), netted_at=None)
    lines = InvoiceLine.objects.filter(charge__cdr=OuterRef("pk"))
    reversals = Charge.objects.filter(reverses__cdr=OuterRef("pk"))
    held = Held.objects.filter(cdr=OuterRef("pk"))
    rules = (
        When(_is_netted(), then=Value(State.NETTED)),
        When(Exists(reversals), then=Value(State.CREDITED)),
        When(Exists(lines), then=Value(State.INVOICED)),
        When(Exists(charges), then=Value(State.RATED)),
        When(Exists(held.filter(is_final=True)), then=Value(State.BLOCKED)),
        When(Exists(held), contract=None, then=Value(State.UNMATCHED)),
        When(Exists(held), then=Value(State.HELD)),
    )
    return cdrs.annotate(state=Case(*rules, default=Value(State.UNRATED), output_field=models.CharField()))


def _is_netted() -> Q:
    pairs = Netting.objects.all()
    return Q(Exists(pairs.filter(original=OuterRef("pk")))) | Q(Exists(pairs.filter(credit=OuterRef("pk"))))


def state_of(cdr: Cdr) -> State:
    return State(with_state(Cdr.objects.filter(pk=cdr.pk)).values_list("state", flat=True).get())


def count_by_state(cdrs: QuerySet[Cdr]) -> dict[State, int]:
    """How many of these are in each state; all of them add up to how many there are."""
    rows = with_state(cdrs).order_by().values_list("state").annotate(Count("pk"))
    return dict.fromkeys(State, 0) | {State(state): count for state, count in rows}


def count_waiting() -> dict[State, int]:
    """How many are on their way and need somebody, of all there ever were: quick, for the home page."""
    held, is_nobodys = Held.objects.all(), Q(cdr__contract=None)
    known = held.aggregate(
        blocked=Count("pk", filter=Q(is_final=True)),
        unmatched=Count("pk", filter=Q(is_final=False) & is_nobodys),
        held=Count("pk", filter=Q(is_final=False) & ~is_nobodys),
    )
    looked_at = Payable.objects.filter(cdr=OuterRef("pk"))
    unrated = Cdr.objects.filter(~Exists(looked_at), ~Exists(held.filter(cdr=OuterRef("pk")))).order_by().count()
    return {State.UNRATED: unrated} | {State(state): count for state, count in known.items()}
