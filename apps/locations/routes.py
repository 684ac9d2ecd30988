"""The same EVSE by several routes: a CPO that is connected itself and is behind a hub, too, or behind two hubs.

It is recognised by its EVSE ID and shown once, as the one of the route that is preferred (features E2, X15). That is found
out beside the work: whoever sends us objects waits for none of it.
"""

from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet

from .models import Evse, Location

MOST_AT_ONCE = 20_000
"""Rows that are locked together; the rest follows with the next round."""

BY_PREFERENCE = """
    partner.state IS DISTINCT FROM 'CONNECTED',
    partner.role = 'HUB',
    NOT starts_with(keyed.key, upper(party.country_code || party.party_id)),
    party.id
"""
"""Which route is shown, the best first: one that is there, directly rather than through a hub, of the CPO whose EVSE ID it
is, the one that we have known for longest. Who may say otherwise says it here."""

RECOGNISE = f"""
WITH keyed AS MATERIALIZED (
    SELECT id, location_id, substring(
        upper(translate(evse_id, '*- ', '')) FROM '^[A-Z]{{2}}[A-Z0-9]{{3}}E[A-Z0-9]+$'
    ) AS key FROM locations_evse WHERE status <> 'REMOVED' AND evse_id <> ''
), several AS (
    SELECT key FROM keyed WHERE key IS NOT NULL GROUP BY key HAVING count(*) > 1
), routed AS (
    SELECT keyed.id, party.partner_id, first_value(keyed.id) OVER routes AS best,
        first_value(party.partner_id) OVER routes AS best_partner_id
    FROM several JOIN keyed USING (key)
    JOIN locations_location place ON place.id = keyed.location_id AND place.vanished_at IS NULL
    JOIN partners_party party ON party.id = place.party_id
    LEFT JOIN partners_partner partner ON partner.id = party.partner_id
    WINDOW routes AS (PARTITION BY keyed.key ORDER BY {BY_PREFERENCE}, keyed.id)
), wanted AS (
    SELECT id, best FROM routed WHERE partner_id IS DISTINCT FROM best_partner_id
), changed AS (
    SELECT id, wanted.best
    FROM wanted FULL JOIN (SELECT id, same_as_id FROM locations_evse WHERE same_as_id IS NOT NULL) was USING (id)
    WHERE wanted.best IS DISTINCT FROM was.same_as_id
), locked AS (
    SELECT evse.id, changed.best FROM changed JOIN locations_evse evse ON evse.id = changed.id
    ORDER BY evse.id LIMIT %s FOR NO KEY UPDATE OF evse SKIP LOCKED
)
UPDATE locations_evse evse SET same_as_id = locked.best FROM locked WHERE locked.id = evse.id
"""
"""EVSE IDs of eMI3 and of ISO 15118 are the same with separators or without, in any case; what is neither, like "1", says
nothing. Twice the same by one connection is that partner's business, and shown as it tells it. Whoever is being written
now is passed over, so nobody is waited for."""


def recognise() -> int:
    """See anew which EVSEs are the same, and as which they are shown; of how many that changed."""
    with connection.cursor() as cursor:
        cursor.execute(RECOGNISE, [MOST_AT_ONCE])
        return cursor.rowcount


def shown_once(rows: QuerySet[Location]) -> QuerySet[Location]:
    """Of these locations those that are shown: all but those whose every EVSE is shown as another."""
    there = Evse.objects.filter(location=OuterRef("pk")).exclude(status="REMOVED")
    return rows.exclude(Exists(there.filter(same_as__isnull=False)) & ~Exists(there.filter(same_as=None)))
