"""Sessions that fall silent are asked for and marked (SES-07), against the simulated CPO over HTTP."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.charging import silence, tasks
from apps.charging.models import Session
from apps.charging.pull import SESSIONS
from apps.ocpi.versions import VERSIONS
from apps.partners.models import Feed
from apps.partners.pull import open_feeds, pull_partner
from apps.simulator import records
from apps.simulator.cpo import World
from apps.simulator.server import Simulator
from tests.admin.conftest import admin, as_role
from tests.admin.test_acts import page
from tests.partners.mirrors import TOKEN, connect, make_partner

__all__ = ["admin", "as_role"]
pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def cpo(tmp_path, settings):
    settings.OCPI_PRIVATE_HOSTS = ["127.0.0.1"]
    with Simulator(tmp_path, world=World.small().of("SE"), versions=tuple(VERSIONS)) as simulator:
        simulator.memory.put(tokens_of_emsp=[TOKEN])
        yield simulator


def shelve(cpo, key, at, **changes):
    """A session as the CPO has it; nobody is told."""
    place = next(cpo.world.places())
    holder = {"country_code": "SE", "party_id": "EMP", "uid": "04AB", "type": "RFID", "contract_id": "SE-EMP-C00000001"}
    body = records.session(key, place, holder, at, None) | {"last_updated": f"{at:%Y-%m-%dT%H:%M:%SZ}"}
    cpo.interfaces.put("sessions", body | changes)


def asked(cpo):
    return [request.query["date_from"] for request in cpo.requests.copy() if request.path.endswith("/sessions")]


@pytest.mark.ocpi("SES-07", "all")
@pytest.mark.parametrize("version", list(VERSIONS))
def test_a_session_that_falls_silent_is_asked_for_and_marked(version, cpo):
    """The word that one ended came late, and under an old date: the usual pull asks from later on."""
    partner = connect(make_partner(version=version), cpo.url, "sessions")
    now = timezone.now().replace(microsecond=0)
    for key, hours in (("LOST", 40), ("STUCK", 20), ("NEW", 1)):
        shelve(cpo, key, now - hours * HOUR)
    open_feeds(partner, now)
    pull_partner(SESSIONS, partner, now)
    shelve(cpo, "LOST", now - 39 * HOUR, status="COMPLETED", end_date_time=f"{now - 39 * HOUR:%Y-%m-%dT%H:%M:%SZ}")
    usual = pull_partner(SESSIONS, partner, now)
    assert (usual["stored"], {one.ocpi_id for one in silence.silent(now)}) == (0, {"LOST", "STUCK"})

    assert tasks.ask_for_silent() == 2
    pull_partner(SESSIONS, partner, now)
    lost, stuck, new = (Session.objects.get(ocpi_id=key) for key in ("LOST", "STUCK", "NEW"))
    assert (lost.status, stuck.status, new.status) == ("COMPLETED", "ACTIVE", "ACTIVE"), "the status stays the CPO's"
    assert [silence.is_silent(one, now) for one in (lost, stuck, new)] == [False, True, False]
    assert asked(cpo)[-1] == f"{now - 40 * HOUR:%Y-%m-%dT%H:%M:%SZ}"
    assert tasks.ask_for_silent() == 0, "each silence is asked for once"


def test_who_is_silent_again_is_asked_for_again_and_what_is_long_over_is_not(cpo):
    partner = connect(make_partner(), cpo.url, "sessions")
    now = timezone.now().replace(microsecond=0)
    shelve(cpo, "S", now - 90 * HOUR)
    shelve(cpo, "ANCIENT", now - timedelta(days=31))
    open_feeds(partner, now)
    pull_partner(SESSIONS, partner, now)
    assert silence.ask(now) == 1
    shelve(cpo, "S", now - 80 * HOUR, kwh=3)
    pull_partner(SESSIONS, partner, now + HOUR)
    assert (silence.ask(now + 2 * HOUR), silence.ask(now + 3 * HOUR)) == (1, 0)


def test_a_pull_that_runs_or_goes_on_is_not_led_elsewhere(cpo):
    partner = connect(make_partner(), cpo.url, "sessions")
    now = timezone.now().replace(microsecond=0)
    shelve(cpo, "S", now - 20 * HOUR)
    open_feeds(partner, now)
    pull_partner(SESSIONS, partner, now)
    for values in ({"leased_until": now + HOUR}, {"leased_until": None, "resume": {"url": "x"}}):
        Feed.objects.update(**values)
        assert silence.ask(now) == 0, values
    Feed.objects.update(resume={})
    assert silence.ask(now) == 1


def test_staff_see_who_fell_silent(admin, cpo):
    partner = connect(make_partner(), cpo.url, "sessions")
    now = timezone.now()
    for key, hours in (("STUCK", 20), ("NEW", 1)):
        shelve(cpo, key, now - hours * HOUR)
    open_feeds(partner, now)
    pull_partner(SESSIONS, partner, now)
    found = page(admin, "/admin/charging/session/?live=silent")
    assert ("STUCK" in found, "NEW" in found, "ACTIVE, silent" in found) == (True, False, True)
