"""Spoiled tariffs, stored: each is taken, or kept aside with a reason, and none is our fault."""

import random

import pytest

from apps.ocpi.versions import VERSIONS
from apps.partners.models import Quarantined
from apps.partners.taking import Outcome, take
from apps.tariffs.models import Tariff
from apps.tariffs.store import INTAKE, canonical_tariff
from tests.ocpi.bodies import as_bytes, sent
from tests.ocpi.spoiling import spoiled
from tests.partners.mirrors import NOW

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("number", ["2.1.1", "2.2.1", "2.3.0"])
def test_spoiled_tariffs_are_stored_or_kept_aside_and_can_be_told(number, partner):
    chance = random.Random(number)
    bodies = [as_bytes(spoiled(sent(number, "tariff"), chance)) for _ in range(200)]
    taken = [one for body in bodies for one in take(INTAKE, partner, VERSIONS[number], [body], NOW)]
    outcomes = {one.outcome for one in taken}
    assert Outcome.FAILED not in outcomes
    assert {Outcome.CREATED, Outcome.REFUSED} <= outcomes
    assert Quarantined.objects.count() == len({one.body for one in taken if one.is_kept_aside})
    for tariff in Tariff.objects.select_related("party"):
        for version in VERSIONS.values():
            assert version.write("tariff", canonical_tariff(tariff))
