"""What was agreed with a party on which day, and what follows from it: terms of payment and dispute, and the route.

Which of several connections leads to a party is decided here and nowhere else (trust S17, feature E2): while an agreement
holds, `Party.partner` is the one that it names, whatever partners register or hubs tell.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import TruncDate
from django.utils import timezone

from apps.work import ring

from .models import Agreement, Party

TERMS = ("payment_days", "dispute_days")


def day_of(at: datetime) -> date:
    """The office's day of a moment: by it agreements begin and end."""
    return timezone.localdate(at, timezone.get_default_timezone())


def with_parties(parties: Iterable[int]) -> Mapping[int, list[Agreement]]:
    """All that was ever agreed with these parties."""
    ever = defaultdict(list)
    for one in Agreement.objects.filter(party__in=parties):
        ever[one.party_id].append(one)
    return ever


def begun(agreements: Iterable[Agreement], day: date) -> Agreement | None:
    """The last that has begun by a day, though it may have ended again; None while nothing was agreed yet."""
    return max((one for one in agreements if one.valid_from <= day), key=lambda one: one.valid_from, default=None)


def holding(day: date | OuterRef) -> Q:
    """Agreements that hold on a day."""
    return Q(valid_from__lte=day) & (Q(valid_until=None) | Q(valid_until__gt=day))


def ending(day: date) -> Q:
    """Agreements that hold and end within a month, and none with the party follows."""
    following = Agreement.objects.filter(party=OuterRef("party"), valid_from__gte=OuterRef("valid_until"))
    return holding(day) & Q(valid_until__lte=day + timedelta(days=30)) & ~Exists(following)


def holds(day: str) -> str:
    """The same in SQL, of `agreement` and an expression for a day."""
    return f"agreement.valid_from <= {day} AND (agreement.valid_until IS NULL OR {day} < agreement.valid_until)"


def with_terms(rows: QuerySet, party: str, at: str) -> QuerySet:
    """Rows with the terms (TERMS) that held with their party at their moment, None where there were none."""
    dated = rows.annotate(agreed_on=TruncDate(at, tzinfo=timezone.get_default_timezone()))
    held = Agreement.objects.filter(holding(OuterRef("agreed_on")), party=OuterRef(party))
    return dated.annotate(**{name: Subquery(held.values(name)[:1]) for name in TERMS})


def terms_of(party: Party, at: datetime) -> tuple[int | None, int | None]:
    """The same of one row."""
    held = Agreement.objects.filter(holding(day_of(at)), party=party)
    return held.values_list(*TERMS).first() or (None, None)


def last_day(came: datetime, days: int | None) -> date | None:
    """So many days after the one on which something came: when it is due, or can be disputed for the last time (BIL-40).

    None where no days were agreed.
    """
    return None if days is None else day_of(came) + timedelta(days=days)


TAKE_ROUTES = f"""
UPDATE partners_party party SET partner_id = agreement.partner_id,
    claimed_by_id = nullif(party.claimed_by_id, agreement.partner_id)
FROM partners_agreement agreement
WHERE agreement.party_id = party.id AND party.partner_id IS DISTINCT FROM agreement.partner_id
    AND {holds("%(day)s")}
"""


@transaction.atomic
def take_routes(now: datetime) -> int:
    """Reach parties by the connections that the agreements of today name; how many are reached by another now.

    Objects stay the party's (decision 16). What the new route sent before and was kept aside is taken.
    """
    with connection.cursor() as cursor:
        cursor.execute(TAKE_ROUTES, {"day": day_of(now)})
        moved = cursor.rowcount
    if moved:
        ring("emsp.tasks.take_approved")
    return moved
