"""Where changes are kept: the event tables of everything that is tracked, found by themselves, and what guards them."""

from django.apps import apps
from django.db import connection
from django.db.models import Model
from pghistory.models import Event

LATE = "1 hour"
"""What is written so long after its transaction began belongs to the day on which it is written. Days are sealed later
than that (chain.py), so nothing is ever added to one that is."""

GUARD = """
CREATE TRIGGER change_is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION emsp_audit_is_kept();
CREATE TRIGGER change_is_of_today BEFORE INSERT ON {table}
    FOR EACH ROW WHEN (NEW.pgh_created_at NOT BETWEEN clock_timestamp() - interval '{late}' AND clock_timestamp())
    EXECUTE FUNCTION emsp_audit_is_of_today();
"""

UNGUARDED = """
SELECT name FROM unnest(%s::text[]) AS name
WHERE to_regclass(name) IS NOT NULL AND to_regproc('emsp_audit_is_kept') IS NOT NULL
    AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = to_regclass(name) AND tgname = 'change_is_kept')
"""


def event_models() -> list[type[Model]]:
    """In the order of their tables."""
    found = [model for model in apps.get_models() if issubclass(model, Event)]
    return sorted(found, key=lambda model: model._meta.db_table)


def names() -> list[str]:
    return [model._meta.db_table for model in event_models()]


def guard(**_signal) -> None:
    """After every migration: a table of changes that has no guards yet gets them, whoever made it and for whatever."""
    with connection.cursor() as cursor:
        cursor.execute(UNGUARDED, [names()])
        for (table,) in cursor.fetchall():
            cursor.execute(GUARD.format(table=table, late=LATE))
