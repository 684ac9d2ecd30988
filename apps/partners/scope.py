"""Who may write and read for whom: the one rule, for what is pushed, pulled and asked for (trust S14, decision 16).

A partner acts for the parties whose route it is. What a hub reaches are its parties too (decision 29). Compared without
case, as CiStrings are.
"""

import re
from collections.abc import Iterable

from django.db import transaction

from apps.bulk import run_prepared
from apps.ocpi import objects
from apps.work import ring

from .models import Partner, Party

Key = tuple[str, str]

NO_KEY: Key = ("", "")
_COUNTRY, _PARTY = re.compile(r"[!-~]{2}"), re.compile(r"[!-~]{3}")


def key_of(country_code: str, party_id: str) -> Key:
    """What identity compares; NO_KEY where nobody could be called so."""
    if _COUNTRY.fullmatch(country_code) and _PARTY.fullmatch(party_id):
        return country_code.upper(), party_id.upper()
    return NO_KEY


_FIELDS = [field.attname for field in Party._meta.concrete_fields]
FIND = f"""
SELECT {", ".join(_FIELDS)} FROM partners_party
WHERE partner_id = %s::bigint
    AND (upper(country_code), upper(party_id)) IN (SELECT * FROM unnest(%s::text[], %s::text[]))
"""
FIND_ONE = f"""
SELECT {", ".join(_FIELDS)} FROM partners_party
WHERE partner_id = %s::bigint AND upper(country_code) = %s::text AND upper(party_id) = %s::text
"""
OLDEST = f"SELECT {', '.join(_FIELDS)} FROM partners_party WHERE partner_id = %s::bigint ORDER BY id LIMIT 1"


def parties_of(partner: Partner, owners: Iterable[objects.Party]) -> dict[Key, Party]:
    """Those of the owners for whom the partner may act, by their keys. Whoever is missing is foreign.

    Asked for every message, so it is one statement, and not the ORM's; a message is mostly of one party.
    """
    wanted = sorted({key_of(owner.country_code, owner.party_id) for owner in owners} - {NO_KEY})
    if not wanted:
        return {}
    if len(wanted) == 1:
        rows = run_prepared(FIND_ONE, [partner.pk, *wanted[0]])
    else:
        rows = run_prepared(FIND, [partner.pk, *map(list, zip(*wanted, strict=True))])
    found = [Party.from_db("default", _FIELDS, row) for row in rows]
    return {key_of(party.country_code, party.party_id): party for party in found}


def oldest_party_of(partner: Partner) -> Party | None:
    """Whose it is that a connection of one party alone brings, and does not name (LOC-10)."""
    rows = run_prepared(OLDEST, [partner.pk])
    return Party.from_db("default", _FIELDS, rows[0]) if rows else None


def hub_of(partner: Partner) -> objects.Party | None:
    """The party that a hub is itself, and as which it speaks for all behind it; None where it does not say (CRED-12)."""
    named = [role for role in partner.roles if role["role"] == Partner.Role.HUB] if partner.is_hub else []
    return objects.Party(named[0]["country_code"], named[0]["party_id"]) if named else None


def claim_of(partner: Partner, key: Key) -> Party | None:
    """A party that the partner says is its, and that staff have not approved yet."""
    return partner.claims.filter(country_code__iexact=key[0], party_id__iexact=key[1]).first()


@transaction.atomic
def approve(party: Party) -> Partner:
    """The claim is right: from now on the partner is the party's route, and what was kept aside of it becomes due.

    ValueError if nobody claims it, or it has a route by now.
    """
    held = Party.objects.select_for_update(of=("self",)).select_related("claimed_by").get(pk=party.pk)
    if held.claimed_by is None or held.partner_id is not None:
        raise ValueError(f"nothing of {party} waits to be approved")
    held.partner, held.claimed_by = held.claimed_by, None
    held.save(update_fields=["partner", "claimed_by"])
    ring("emsp.tasks.take_approved")
    return held.partner


def reject(party: Party) -> None:
    """The claim is wrong; what was kept aside of it stays in the quarantine. ValueError if nobody claims it."""
    if not Party.objects.filter(pk=party.pk).exclude(claimed_by=None).update(claimed_by=None):
        raise ValueError(f"nothing of {party} waits to be approved")


def party_of(named: objects.Party) -> Party:
    """The row of a party; LookupError where it is nobody's."""
    known = Party.objects.select_related("partner")
    row = known.filter(country_code__iexact=named.country_code, party_id__iexact=named.party_id).first()
    if row is None or row.partner is None:
        raise LookupError(f"{named} is not a party of any partner")
    return row


def partner_of(named: objects.Party) -> Partner:
    """The connection by which a party is reached; LookupError where there is none."""
    return party_of(named).partner
