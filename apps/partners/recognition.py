"""What a list tells again byte for byte is known before it is read: most of what a pull brings (TR-20)."""

import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

import msgspec
from django.db import models

from apps.bulk import as_arrays, as_parameters, run_prepared
from apps.ocpi import objects
from apps.ocpi.versions import Version
from apps.partners.models import Party


class Standing(NamedTuple):
    """An object that we have exactly as it was sent; `row` is how its room knows it."""

    row: Any
    key: tuple[int, str]
    last_updated: datetime


class Named(msgspec.Struct):
    """What an object says it is, for looking it up and not for deciding anything."""

    id: Any = None
    country_code: Any = None
    party_id: Any = None

    @property
    def owner(self) -> objects.Party:
        return objects.Party(self.country_code, self.party_id)

    @property
    def is_plain(self) -> bool:
        return all(
            isinstance(said, str) and PLAIN.fullmatch(said) for said in (self.id, self.country_code, self.party_id)
        )


PLAIN = re.compile(r"[ -~]+")
_decode = msgspec.json.Decoder(Named).decode


def named(body: bytes, version: Version, implied: objects.Party) -> Named | None:
    """Whose and which it is; None where that is odd in any way."""
    try:
        said = _decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if not version.has_routing:
        said.country_code, said.party_id = implied.country_code, implied.party_id
    return said if said.is_plain else None


ASKED = ("bigint", "text", "bytea", "integer")


@dataclass(frozen=True)
class Kept:
    """Where a module keeps the bytes of its objects. `row`: the column by which its room knows them; `intact`: SQL over
    `kept` that holds as long as a row says what its bytes say."""

    model: type[models.Model]
    row: str = "id"
    intact: str = "true"

    def standing(self, names: list[tuple[Party, str] | None], bodies: list[bytes], version: Version) -> list:
        """The Standing of each body, or None. An id that comes twice is left to be read: the later copy may count."""
        keys = [name and (name[0].pk, name[1].upper()) for name in names]
        often = Counter(keys)
        pairs = enumerate(zip(keys, bodies, strict=True))
        asked = [(*key, body, nth) for nth, (key, body) in pairs if key is not None and often[key] == 1]
        found: list[Standing | None] = [None] * len(bodies)
        if asked:
            for nth, row, at in run_prepared(self.sql, [*as_arrays(ASKED, zip(*asked, strict=True)), version.number]):
                found[nth] = Standing(row, keys[nth], at)
        return found

    @cached_property
    def sql(self) -> str:
        """One row by its key at a time (`OFFSET 0`): after many were written the planner knows too little of them."""
        return f"""
SELECT told.nth, kept.row, kept.last_updated
FROM unnest({as_parameters(ASKED)}) AS told (party_id, id, body, nth)
CROSS JOIN LATERAL (
    SELECT kept.{self.row} AS row, kept.last_updated, kept.version, kept.body, {self.intact} AS is_intact
    FROM {self.model._meta.db_table} kept WHERE kept.party_id = told.party_id AND upper(kept.ocpi_id) = told.id OFFSET 0
) kept
WHERE kept.is_intact AND kept.version = %b::text AND kept.body = told.body
"""
