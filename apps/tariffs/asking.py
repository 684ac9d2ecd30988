"""What a CPO asks of somebody who plugs in now: a price, nothing, or we do not know (LOC-07, TAR-03, TAR-04)."""

from collections.abc import Iterable
from datetime import datetime

from django.db.models import Q
from django.db.models.functions import Upper

from apps.ocpi.errors import InvalidObject
from apps.partners.models import Party

from .models import Tariff
from .store import canonical_tariff

AD_HOC = "AD_HOC_PAYMENT"


def in_force(party: Party, tariff_ids: Iterable[str], at: datetime) -> dict[str, Tariff]:
    """Of these ids the party's tariffs that hold at that moment, by id in upper case; what is absent is unknown.

    The end is not part of the time (TAR-03). What is asked of people without a contract is never asked of our drivers.
    """
    named = {tariff_id.upper() for tariff_id in tariff_ids}
    rows = Tariff.objects.annotate(key=Upper("ocpi_id")).filter(party=party, key__in=named, deleted_at=None)
    has_begun = Q(start_date_time=None) | Q(start_date_time__lte=at)
    has_not_ended = Q(end_date_time=None) | Q(end_date_time__gt=at)
    held = rows.filter(has_begun, has_not_ended).exclude(type=AD_HOC).select_related("party")
    return {tariff.key: tariff for tariff in held}


def is_free(tariff: Tariff) -> bool:
    """Only an explicit price of zero is free, and no least price beside it (LOC-07); what we cannot read is not."""
    try:
        told = canonical_tariff(tariff)
    except InvalidObject:
        return False
    least = told.min_price.before_taxes if told.min_price else 0
    return not least and not any(part.price for element in told.elements for part in element.price_components)
