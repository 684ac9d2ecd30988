from datetime import timedelta

import pytest
from celery import current_app
from django.utils import timezone

from apps.charging import tasks
from apps.charging.models import Cdr, Finding, Session
from apps.charging.pull import CDRS, SESSIONS
from apps.partners.models import Feed, Quarantined
from apps.partners.pull import open_feeds, pull_partner
from apps.simulator.server import Simulator
from emsp.celery import app
from tests.partners.mirrors import TOKEN, connect

from .conftest import CDR, NOW, SESSION, bent, cdr_body, session_body

pytestmark = pytest.mark.django_db


@pytest.fixture
def cpo(tmp_path):
    with Simulator(tmp_path) as simulator:
        simulator.memory.put(tokens_of_emsp=[TOKEN])
        yield simulator


@pytest.fixture
def partner(cpo, partner, settings):
    settings.OCPI_PRIVATE_HOSTS = ["127.0.0.1"]
    connect(partner, cpo.url, "sessions", "cdrs")
    open_feeds(partner, NOW)
    return partner


def cdrs(count: int) -> list[dict]:
    return [bent(CDR, {"id": f"CDR-{number}"}) for number in range(count)]


def asked(cpo, module):
    return [request.query for request in cpo.requests if request.path.endswith(f"/{module}")]


@pytest.mark.ocpi("CDR-09")
def test_what_was_not_pushed_is_found(cpo, partner, send):
    send(*(cdr_body(id=f"CDR-{number}") for number in range(100)))
    cpo.serve("cdrs", cdrs(250))
    told = pull_partner(CDRS, partner, NOW)
    assert (told["seen"], told["stored"], told["unchanged"], told["complete"]) == (250, 150, 100, True)
    assert Cdr.objects.count() == 250


def test_what_was_pushed_and_is_told_otherwise_is_kept_aside(cpo, partner, send):
    send(cdr_body())
    cpo.serve("cdrs", [bent(CDR, {"total_energy": 99}), {"id": "BAD"}, bent(CDR, {"id": "GOOD"})])
    told = pull_partner(CDRS, partner, NOW)
    assert (told["stored"], told["quarantined"], told["complete"]) == (1, 2, True)
    assert sorted(Quarantined.objects.values_list("ocpi_id", "code")) == [("BAD", ""), ("CDR-1", "V-02")]


def test_pulled_and_pushed_they_are_the_same_row(cpo, partner, send):
    cpo.serve("cdrs", [CDR])
    pull_partner(CDRS, partner, NOW)
    (taken,) = send(cdr_body())
    assert (taken.outcome, Cdr.objects.count()) == ("unchanged", 1)


def test_the_bytes_are_those_of_the_page(cpo, partner):
    body = b'{ "x" : 1.50,' + cdr_body()[1:]
    cpo.serve("cdrs", [body], last_updated=CDR["last_updated"])
    pull_partner(CDRS, partner, NOW)
    assert bytes(Cdr.objects.get().body) == body


def test_sessions_are_asked_for_from_a_date(cpo, partner):
    cpo.serve("sessions", [bent(SESSION, {"id": f"S-{number}"}) for number in range(3)])
    assert pull_partner(SESSIONS, partner, NOW)["stored"] == 3
    assert asked(cpo, "sessions")[0]["date_from"].startswith("2015-01-01T00:00:00")
    pull_partner(SESSIONS, partner, NOW + timedelta(hours=1))
    assert asked(cpo, "sessions")[1]["date_from"] > "2026-10-19"


def test_a_session_that_was_pushed_newer_stays(cpo, partner, send_session):
    send_session(session_body(kwh=9, last_updated="2026-10-19T09:00:00Z"))
    cpo.serve("sessions", [SESSION])
    assert pull_partner(SESSIONS, partner, NOW)["stale"] == 1
    assert Session.objects.get().energy == 9


@pytest.mark.ocpi("CDR-09")
def test_once_a_day_late_cdrs_are_looked_for(cpo, partner):
    """CPOs may deliver monthly, with the date of the charging."""
    cpo.serve("cdrs", [CDR])
    pull_partner(CDRS, partner, NOW)
    cpo.serve("cdrs", [CDR, bent(CDR, {"id": "LATE", "last_updated": "2026-09-25T00:00:00Z"})])
    assert pull_partner(CDRS, partner, NOW + timedelta(hours=1))["stored"] == 0
    assert pull_partner(CDRS, partner, NOW + timedelta(days=1, minutes=1))["stored"] == 1


def test_the_task_pulls_both(cpo, partner):
    Feed.objects.update(due_at=timezone.now() - timedelta(minutes=1))
    cpo.serve("sessions", [SESSION])
    cpo.serve("cdrs", [CDR])
    told = tasks.pull_due()
    assert (told["sessions"]["Laddnät"]["stored"], told["cdrs"]["Laddnät"]["stored"]) == (1, 1)
    assert tasks.pull_due() == {"sessions": {}, "cdrs": {}}


def test_the_sweep_matches_and_checks(send, make_token):
    send(cdr_body(), cdr_body(id="CDR-2", cdr_token__uid="NOBODYS"))
    make_token("04AB")
    assert tasks.sweep_cdrs() == 2
    assert Finding.objects.get().cdr.ocpi_id == "CDR-2"
    assert Cdr.objects.fit_to_bill().get().ocpi_id == "CDR-1"


def test_the_timetable_names_tasks_that_there_are():
    current_app.loader.import_default_modules()
    named = {entry["task"] for entry in app.conf.beat_schedule.values() if "charging" in entry["task"]}
    assert named == {
        f"apps.charging.tasks.{name}"
        for name in ("ask_for_silent", "look_again", "pull_due", "sweep_cdrs", "sweep_commands")
    }
    assert named <= app.tasks.keys()
