"""What every PATCH has in common: it changes what it names, null clears, and it repeats no other identity (TR-27 to TR-30)."""

import msgspec
from django.db.models.expressions import RawSQL

from apps.bulk import as_json
from apps.ocpi import objects
from apps.ocpi.errors import InvalidObject, Problem


def said(patch: msgspec.Struct, **identity: str) -> dict:
    """What the patch changes. It may repeat the identity of its URL, not another (TR-27)."""
    changes = objects.changes(patch)
    sent = {name: changes.pop(name, known) for name, known in identity.items()}
    wrong = [name for name, known in identity.items() if (sent[name] or "").upper() != known.upper()]
    if wrong:
        raise InvalidObject([Problem(name, f"{sent[name]} is not the one of the URL") for name in wrong])
    return changes


def merge(changes: dict) -> tuple[str, list[str]]:
    """What to lay over `details`, and what to take out of them: null clears (TR-30)."""
    fresh = {name: value for name, value in changes.items() if value is not None}
    return as_json(fresh), [name for name in changes if name not in fresh]


def laid_over(changes: dict) -> RawSQL:
    """The `details` of a row with the changes on them."""
    return RawSQL("(details || %s::jsonb) - %s::text[]", merge(changes))
