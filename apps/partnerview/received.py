"""Every CDR that came from a partner, and what became of it: each once, in one state (B11, X12).

CDRs belong to parties, and a partner sees those of the parties whose route it is (decision 16, trust S14); what could not
be taken is seen by who sent it. A mended object is the CDR that was made of it, and no refused one any more.
Nothing here is of the driver's side: no card, no contract, no plan, no price of ours.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from heapq import merge
from itertools import islice
from typing import NamedTuple

from django.conf import settings
from django.db import connection
from django.db.models import Max, Min, Q, QuerySet, TextChoices

from apps.partners import agreements
from apps.partners.models import Partner, Quarantined
from apps.partnerview import wording

EVER = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LARGEST_ID = 2**63 - 1


class State(TextChoices):
    ACCEPTED = "accepted", "accepted"
    HELD = "held", "held"
    CREDITED = "credited", "credited"
    REFUSED = "refused", "refused"
    CHECKING = "checking", "being checked"


class Place(NamedTuple):
    """Where in the list a row stands: by when it came, the newest first. Written as in an address."""

    at: datetime
    is_cdr: bool
    pk: int

    def __str__(self) -> str:
        return f"{(self.at - EPOCH) // timedelta(microseconds=1)}-{self.is_cdr:d}-{self.pk}"

    @classmethod
    def read(cls, text: str) -> "Place":
        """
        >>> str(Place.read("1780000000123456-1-42"))
        '1780000000123456-1-42'
        """
        at, is_cdr, pk = map(int, text.split("-"))
        return cls(EPOCH + timedelta(microseconds=at), bool(is_cdr), pk)


@dataclass(frozen=True)
class Selection:
    """Which of a partner's CDRs: those that came from `since` until before `until`, in a state, of an id without case.

    Empty is all. `below` goes on after a row of the list.
    """

    partner: Partner
    since: datetime = EVER[0]
    until: datetime = EVER[1]
    state: str = ""
    cdr_id: str = ""
    below: Place | None = None

    @property
    def parameters(self) -> dict:
        return {
            "partner": self.partner.pk, "since": self.since, "until": self.until, "state": self.state, "id": self.cdr_id,
        }  # fmt: skip

    def bound(self, *, of_cdrs: bool) -> dict:
        """What a row of a table must be below: of two that came at once, CDRs stand first."""
        if self.below is None or self.below.at >= self.until:
            return {"at": self.until, "pk": 0}
        if self.below.is_cdr == of_cdrs:
            return {"at": self.below.at, "pk": self.below.pk}
        return {"at": self.below.at, "pk": 0 if of_cdrs else LARGEST_ID}


class Received(NamedTuple):
    """A CDR as the partner is told of it. Cost is net in the CDR's currency (BIL-01), energy in kWh; of what was refused we
    know neither. `since` is when the state was decided on, `why` says why it is in it, `other` is the CDR that it takes
    back or is taken back by. `due_on`: when what we accepted is to be paid, `disputable_until`: the last day on which it may
    be disputed (BIL-40), both by the agreement, in our days."""

    place: Place
    state: State
    since: datetime
    cdr_id: str
    party: str
    started_at: datetime | None
    ended_at: datetime | None
    energy: Decimal | None
    currency: str
    cost: Decimal | None
    other: str
    why: tuple[str, ...]
    due_on: date | None = None
    disputable_until: date | None = None


class Total(NamedTuple):
    state: State
    currency: str
    count: int
    cost: Decimal | None


JUDGED = """
SELECT cdr.*, payable.decided_at, coalesce(payable.net, cdr.cost_before_taxes) AS cost, CASE
    WHEN payable.id IS NULL THEN 'checking'
    WHEN cdr.credits_id IS NOT NULL AND payable.is_accepted OR EXISTS (
        SELECT FROM charging_cdr credit JOIN billing_payable judged ON judged.cdr_id = credit.id
        WHERE credit.credits_id = cdr.id AND judged.is_accepted
    ) THEN 'credited'
    WHEN payable.is_accepted THEN 'accepted'
    ELSE 'held'
END AS state
FROM charging_cdr cdr LEFT JOIN billing_payable payable ON payable.cdr_id = cdr.id
"""
"""A pair of a CDR and the credit that we accepted is credited, whatever we thought of the first: nothing of it is owed."""

BY_ID = {True: "AND upper(ocpi_id) = upper(%(id)s)", False: ""}
BY_STATE = {True: "WHERE told.state = %(state)s", False: ""}
NARROWER = {State.HELD: "AND NOT payable.is_accepted", State.CHECKING: "AND payable.id IS NULL"}
"""What a state needs in any case, for the few among a million: so an index finds them."""


def _statement(selection: Selection) -> str:
    """A walk along the index of each party, no longer than the page."""
    return f"""
SELECT page.id, page.received_at, page.state, coalesce(page.decided_at, page.received_at), page.ocpi_id,
    page.country_code || '*' || page.party_code, page.started_at, page.ended_at, page.energy, page.currency, page.cost,
    coalesce(original.ocpi_id, credit.ocpi_id, ''), page.credits_id IS NOT NULL,
    agreement.payment_days, agreement.dispute_days, ARRAY(
        SELECT ARRAY[finding.code, finding.reason] FROM charging_finding finding WHERE finding.cdr_id = page.id
            AND (finding.cpo_severity = 4 OR finding.cpo_severity = 3 AND NOT finding.is_released)
        ORDER BY finding.cpo_severity DESC, finding.code
    )
FROM (
    SELECT told.*, party.country_code, party.party_id AS party_code
    FROM partners_party party CROSS JOIN LATERAL (
        SELECT told.* FROM (
            {JUDGED} WHERE cdr.party_id = party.id AND cdr.received_at >= %(since)s
                AND (cdr.received_at, cdr.id) < (%(at)s, %(pk)s) {BY_ID[bool(selection.cdr_id)]}
                {NARROWER.get(selection.state, "")}
        ) told {BY_STATE[bool(selection.state)]}
        ORDER BY told.received_at DESC, told.id DESC LIMIT %(limit)s
    ) told
    WHERE party.partner_id = %(partner)s
    ORDER BY told.received_at DESC, told.id DESC LIMIT %(limit)s
) page
LEFT JOIN charging_cdr original ON original.id = page.credits_id
LEFT JOIN charging_cdr credit ON credit.credits_id = page.id
LEFT JOIN partners_agreement agreement ON agreement.party_id = page.party_id
    AND {agreements.holds("(page.started_at AT TIME ZONE %(zone)s)::date")}
ORDER BY page.received_at DESC, page.id DESC
"""


TOTALS = f"""
SELECT told.state, told.currency, count(*), sum(told.cost) FROM (
    {JUDGED} JOIN partners_party party ON party.id = cdr.party_id
    WHERE party.partner_id = %(partner)s AND cdr.received_at >= %(since)s AND cdr.received_at < %(until)s
) told GROUP BY told.state, told.currency
"""


SPAN = """
SELECT min(first.at), max(last.at) FROM partners_party party
CROSS JOIN LATERAL (SELECT min(received_at) AS at FROM charging_cdr WHERE party_id = party.id) first
CROSS JOIN LATERAL (SELECT max(received_at) AS at FROM charging_cdr WHERE party_id = party.id) last
WHERE party.partner_id = %s
"""


def page(selection: Selection, size: int) -> list[Received]:
    """The next rows of the list, the newest first."""
    cdrs = () if selection.state == State.REFUSED else _cdrs(selection, size)
    refused = _refused(selection, size) if selection.state in {"", State.REFUSED} else ()
    return list(islice(merge(cdrs, refused, key=lambda row: row.place, reverse=True), size))


def every(selection: Selection, at_once: int = 2000) -> Iterator[Received]:
    """All rows of the list, so many a statement."""
    while rows := page(selection, at_once):
        yield from rows
        selection = replace(selection, below=rows[-1].place)


def totals(selection: Selection) -> list[Total]:
    """How many in each state and currency, and what they come to; state and id of the selection do not count."""
    with connection.cursor() as cursor:
        cursor.execute(TOTALS, selection.parameters)
        found = [Total(State(state), *rest) for state, *rest in cursor.fetchall()]
    refused = (
        kept(selection.partner).filter(first_seen_at__gte=selection.since, first_seen_at__lt=selection.until).count()
    )
    order = list(State)
    return sorted(
        [*found, *([Total(State.REFUSED, "", refused, None)] if refused else [])],
        key=lambda total: (order.index(total.state), total.currency),
    )


def span(partner: Partner) -> tuple[datetime, datetime] | None:
    """When the first and the last came; None if none did."""
    with connection.cursor() as cursor:
        cursor.execute(SPAN, [partner.pk])
        came = [*cursor.fetchone(), *kept(partner).aggregate(Min("first_seen_at"), Max("first_seen_at")).values()]
    known = [at for at in came if at]
    return (min(known), max(known)) if known else None


def kept(partner: Partner) -> QuerySet[Quarantined]:
    """What it sent as CDRs that could not be taken, and that nobody mended."""
    return Quarantined.objects.filter(partner=partner, module="cdrs").exclude(state=Quarantined.State.MENDED)


def _cdrs(selection: Selection, size: int) -> list[Received]:
    with connection.cursor() as cursor:
        bound = selection.bound(of_cdrs=True)
        how = selection.parameters | bound | {"limit": size, "zone": settings.TIME_ZONE}
        cursor.execute(_statement(selection), how)
        return [_cdr(*row) for row in cursor.fetchall()]


def _cdr(pk, at, state, since, *told) -> Received:
    *told, is_credit, to_pay, to_dispute, findings = told
    why = wording.why_held(findings) if state == State.HELD else wording.why_credited(told[-1], is_credit=is_credit)
    due_on = agreements.last_day(at, to_pay) if state == State.ACCEPTED else None
    return Received(Place(at, True, pk), State(state), since, *told, why, due_on, agreements.last_day(at, to_dispute))


def _refused(selection: Selection, size: int) -> list[Received]:
    at, pk = selection.bound(of_cdrs=False).values()
    rows = kept(selection.partner).filter(first_seen_at__gte=selection.since, first_seen_at__lte=at)
    rows = rows.filter(Q(first_seen_at__lt=at) | Q(pk__lt=pk))
    if selection.cdr_id:
        rows = rows.filter(ocpi_id__iexact=selection.cdr_id)
    rows = rows.order_by("-first_seen_at", "-pk").select_related("party").defer("body", "mended")
    return [_kept(row) for row in rows[:size]]


def _kept(row: Quarantined) -> Received:
    nothing = dict.fromkeys(("started_at", "ended_at", "energy", "cost"))
    return Received(
        place=Place(row.first_seen_at, False, row.pk), state=State.REFUSED, since=row.first_seen_at, cdr_id=row.ocpi_id,
        party=str(row.party or ""), currency="", other="", why=wording.why_refused(row.reasons), **nothing,
    )  # fmt: skip
