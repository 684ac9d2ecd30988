"""Sealing every secret again with the first of FIELD_KEYS, so that older keys can be thrown away (trust S3)."""

from dataclasses import dataclass

from django.db import transaction

from . import peers, sealing
from .models import Partner


@dataclass(frozen=True)
class Resealed:
    """How many secrets the first key seals now, and why others could not be opened."""

    count: int
    unreadable: list[str]


def reseal() -> Resealed:
    """Open and seal again what partners gave us. What no key opens stays as it is, and is told."""
    partners = Partner.objects.exclude(outbound_token="").order_by("pk")
    problems = [problem for pk in partners.values_list("pk", flat=True) if (problem := _reseal_one(pk)) is not None]
    unreadable = [problem for problem in problems if problem]
    return Resealed(len(problems) - len(unreadable), unreadable)


@transaction.atomic
def _reseal_one(pk: int) -> str | None:
    """What is wrong with it: nothing, or a sentence; None if there is no secret any more."""
    partner = Partner.objects.select_for_update().filter(pk=pk).exclude(outbound_token="").first()
    if partner is None:
        return None
    place = peers.place_of_token(partner)
    try:
        partner.outbound_token = sealing.seal(sealing.unseal(partner.outbound_token, place), place)
    except sealing.Unreadable as error:
        return f"{partner}: {error}"
    partner.save(update_fields=["outbound_token"])
    return ""
