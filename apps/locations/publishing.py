"""Which locations somebody with this card may be shown (mod_locations, PublishTokenType; LOC-05)."""

from functools import reduce
from operator import or_

from django.db.models import BooleanField, Q
from django.db.models.expressions import RawSQL

from apps.bulk import as_json
from apps.ocpi import objects

from .models import Location

ALLOWED = """EXISTS (
    SELECT FROM jsonb_path_query(locations_location.details, '$.publish_allowed_to[*]') entry
    WHERE (entry ?& '{uid,type}' OR entry ?& '{visual_number,issuer}' OR entry ? 'group_id')
        AND jsonb_strip_nulls(%s::jsonb) @> jsonb_strip_nulls(entry - 'uid' - 'group_id')
        AND coalesce(upper(entry ->> 'uid') = upper(%s), true)
        AND coalesce(upper(entry ->> 'group_id') = upper(%s), true)
)"""
"""One entry of which everything that is set fits the card. An entry too short to mean a card means none."""


def shown_to(*cards: objects.PublishTokenType):
    """What is published, and of what is not (charge points at home, of a firm) what allows one of these cards."""
    return Location.objects.filter(reduce(or_, map(_allows, cards), ~Q(publish=False)))


def private_for(card: objects.PublishTokenType):
    """Locations that nobody is shown but a few, this card's driver among them."""
    return Location.objects.filter(_allows(card), publish=False)


def _allows(card: objects.PublishTokenType) -> Q:
    facts = {"type": card.type, "visual_number": card.visual_number, "issuer": card.issuer}
    said = [as_json(facts), card.uid or "", card.group_id or ""]
    return Q(RawSQL(ALLOWED, said, output_field=BooleanField()))  # noqa: S611 - all that varies is a parameter
