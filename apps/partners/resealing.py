"""Sealing every secret again with the first of FIELD_KEYS, so that older keys can be thrown away (trust S3)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from django.db import transaction
from django.db.models import Model

from apps import sealing
from apps.staff import second_factor
from apps.staff.models import SecondFactor

from .models import PARTNER_SECRETS, Partner


class Kept(NamedTuple):
    """Where sealed text is, and what it is bound to."""

    model: type[Model]
    field: str
    place_of: Callable[[Model], str]


SEALED = (
    *(Kept(Partner, name, partial(sealing.place, name=name)) for name in PARTNER_SECRETS),
    Kept(SecondFactor, "secret", lambda factor: second_factor.place_of_secret(factor.user)),
)


@dataclass(frozen=True)
class Resealed:
    """How many secrets the first key seals now, and why others could not be opened."""

    count: int
    unreadable: list[str]


def reseal() -> Resealed:
    """Open and seal again what partners gave us, our keys, and what codes of staff are made from. What no key opens stays
    as it is, and is told."""
    problems = [problem for kept in SEALED for problem in _reseal(kept)]
    unreadable = [problem for problem in problems if problem]
    return Resealed(len(problems) - len(unreadable), unreadable)


def _reseal(kept: Kept) -> Iterator[str]:
    for pk in kept.model.objects.exclude(**{kept.field: ""}).order_by("pk").values_list("pk", flat=True):
        if (problem := _reseal_one(kept, pk)) is not None:
            yield problem


@transaction.atomic
def _reseal_one(kept: Kept, pk: int) -> str | None:
    """What is wrong with it: nothing, or a sentence; None if there is no secret any more."""
    row = kept.model.objects.select_for_update().filter(pk=pk).exclude(**{kept.field: ""}).first()
    if row is None:
        return None
    place = kept.place_of(row)
    try:
        sealed = sealing.seal(sealing.unseal(getattr(row, kept.field), place), place)
    except sealing.Unreadable as error:
        return f"{row}: {error}"
    setattr(row, kept.field, sealed)
    row.save(update_fields=[kept.field])
    return ""
