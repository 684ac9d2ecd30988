"""Spoiled locations and their parts, stored: each is taken, or refused with a reason, and none is our fault."""

import random

import pytest
from django.db import transaction

from apps.locations import rows
from apps.locations.models import Location
from apps.locations.patches import patch_connector, patch_evse, patch_location
from apps.locations.store import INTAKE, put_connector, put_evse
from apps.ocpi.errors import OcpiError
from apps.ocpi.objects import Party
from apps.ocpi.versions import VERSIONS
from apps.partners.models import Quarantined
from apps.partners.taking import Outcome, take
from tests.ocpi.bodies import as_bytes, sent
from tests.ocpi.spoiling import spoiled
from tests.partners.mirrors import NOW, location

pytestmark = pytest.mark.django_db
OWNER = Party("SE", "LAD")
COUNT = 100
PARTS = {
    "evse": (put_evse, ()),
    "connector": (put_connector, ("LAD-7-1",)),
    "location_patch": (patch_location, ()),
    "evse_patch": (patch_evse, ("LAD-7-1",)),
    "connector_patch": (patch_connector, ("LAD-7-1", "1")),
}


def spoilt(kind: str, version: str) -> list[bytes]:
    chance = random.Random(f"{kind} {version}")
    return [as_bytes(spoiled(sent(version, kind), chance)) for _ in range(COUNT)]


@pytest.mark.parametrize("number", ["2.1.1", "2.2.1", "2.3.0"])
def test_spoiled_locations_are_stored_or_kept_aside_and_can_be_told(number, partner):
    taken = [one for body in spoilt("location", number) for one in take(INTAKE, partner, VERSIONS[number], [body], NOW)]
    outcomes = {one.outcome for one in taken}
    assert Outcome.FAILED not in outcomes
    assert {Outcome.CREATED, Outcome.REFUSED} <= outcomes
    assert Quarantined.objects.count() == len({one.body for one in taken if one.is_kept_aside})
    for place in Location.objects.all():
        for version in VERSIONS.values():
            assert version.write("location", rows.canonical_location(place))


@pytest.mark.parametrize("number", ["2.1.1", "2.2.1", "2.3.0"])
@pytest.mark.parametrize("kind", PARTS)
def test_spoiled_parts_are_stored_or_refused_and_leave_a_readable_location(kind, number, put, party):
    put(location())
    (room, ids), version = PARTS[kind], VERSIONS[number]
    done = 0
    for body in spoilt(kind, number):
        try:
            read = version.read(kind, body, OWNER).object
            with transaction.atomic():
                room(party, "LOC-7", *ids, read, NOW)
        except OcpiError:
            continue
        done += 1
    assert 0 < done < COUNT
    for teller in VERSIONS.values():
        assert teller.write("location", rows.canonical_location(Location.objects.get()))
