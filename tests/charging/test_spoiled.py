"""Spoiled CDRs and sessions, stored: each is taken, or kept aside with a reason, and none is our fault."""

import random

import pytest

from apps.charging.checking import check_due
from apps.charging.intake import INTAKE as CDRS
from apps.charging.intake import retell
from apps.charging.models import Cdr, Session
from apps.charging.store import INTAKE as SESSIONS
from apps.charging.store import find_session
from apps.ocpi.versions import VERSIONS
from apps.partners.models import Quarantined
from apps.partners.taking import Outcome, take
from tests.ocpi.bodies import as_bytes, sent
from tests.ocpi.spoiling import spoiled

from .conftest import NOW

pytestmark = pytest.mark.django_db
COUNT = 100


def spoilt(kind: str, version: str) -> list[bytes]:
    chance = random.Random(f"{kind} {version}")
    return [as_bytes(named(spoiled(sent(version, kind), chance), number)) for number in range(COUNT)]


def named(whole, number: int):
    """Mostly another object each, or nearly all were copies of one."""
    return whole | {"id": f"{number}"} if number % 5 and isinstance(whole.get("id"), str) else whole


@pytest.mark.parametrize("number", ["2.1.1", "2.2.1", "2.3.0"])
@pytest.mark.parametrize(("kind", "intake", "model"), [("cdr", CDRS, Cdr), ("session", SESSIONS, Session)])
def test_spoiled_objects_are_stored_or_kept_aside(kind, intake, model, number, partner, party):
    bodies = spoilt(kind, number)
    taken = [one for body in bodies for one in take(intake, partner, VERSIONS[number], [body], NOW)]
    outcomes = [one.outcome for one in taken]
    assert Outcome.FAILED not in outcomes
    assert (Outcome.CREATED in outcomes, Outcome.REFUSED in outcomes) == (True, True)
    assert model.objects.count() == outcomes.count(Outcome.CREATED)
    assert all(one.problems and one.quarantined for one in taken if one.outcome is Outcome.REFUSED)
    assert Quarantined.objects.count() == len({one.body for one in taken if one.is_kept_aside})


@pytest.mark.parametrize("number", ["2.1.1", "2.2.1", "2.3.0"])
def test_what_was_stored_of_them_can_be_checked_and_told_in_every_version(number, partner):
    take(CDRS, partner, VERSIONS[number], spoilt("cdr", number), NOW)
    stored = list(Cdr.objects.select_related("party"))
    assert check_due(NOW) == len(stored) > 10
    for cdr in stored:
        for version in VERSIONS.values():
            assert retell(cdr, version)


@pytest.mark.parametrize("number", ["2.1.1", "2.2.1", "2.3.0"])
def test_what_was_stored_of_sessions_can_be_told(number, partner):
    take(SESSIONS, partner, VERSIONS[number], spoilt("session", number), NOW)
    for session in Session.objects.select_related("party"):
        for version in VERSIONS.values():
            assert version.write("session", find_session(session.party, session.ocpi_id))


def test_a_page_of_them_is_stored_as_one_by_one(partner):
    bodies = spoilt("cdr", "2.2.1")
    page = take(CDRS, partner, VERSIONS["2.2.1"], bodies, NOW)
    assert Cdr.objects.count() == len([one for one in page if one.outcome is Outcome.CREATED]) > 10
    assert Outcome.FAILED not in {one.outcome for one in page}
