"""A report is a row: ordered once at a time, kept with its date, and honest about what was not tried."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from apps.onboarding import readiness
from apps.onboarding.models import Report
from tests.onboarding.conftest import by_check

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_staff_did_not_name_is_not_tried_and_says_so(partner):
    report = readiness.make(partner, timezone.now(), wait_s=1)
    untried = by_check(report, readiness.UNTRIED)
    assert set(untried) == {
        "certificate",
        "tokens.push",
        "tokens.read_back",
        "authorize",
        "start",
        "session",
        "stop",
        "cdr",
    }
    assert untried["tokens.push"] == "No card was named to try it with."
    assert untried["cdr"] == '"Stop from afar" was not tried.'
    assert report.outcome == Report.Outcome.INCOMPLETE


def test_what_the_partner_does_not_offer_is_nothing_missed(partner, check):
    partner.endpoints.exclude(identifier__in=["locations", "credentials"]).delete()
    report = check()
    assert by_check(report, readiness.UNTRIED)["tariffs.list"] == "It offers no tariffs as SENDER."
    assert [line["check"] for line in report.lines if line["is_missed"]] == []
    assert report.outcome == Report.Outcome.PASSED


def test_a_partner_is_checked_once_at_a_time(partner):
    readiness.order(partner, timezone.now())
    with pytest.raises(readiness.CannotCheck, match="is being checked already"):
        readiness.order(partner, timezone.now())


def test_nobody_is_checked_who_is_not_connected(partner):
    partner.state = "DISCONNECTED"
    with pytest.raises(readiness.CannotCheck, match="is not connected"):
        readiness.order(partner, timezone.now())


def test_a_worker_makes_what_was_ordered_and_the_row_keeps_it(partner):
    ordered = readiness.order(partner, timezone.now(), requested_by="Ada", wait_s=1)
    assert readiness.make_due(timezone.now()) == 1
    ordered.refresh_from_db()
    assert (ordered.due_at, ordered.requested_by, len(ordered.lines)) == (None, "Ada", ordered.checks)
    assert readiness.make_due(timezone.now()) == 0


def test_a_report_whose_process_died_is_not_gone_on_with(partner):
    report = readiness.order(partner, timezone.now())
    Report.objects.update(attempts=1)
    readiness.make_due(timezone.now())
    report.refresh_from_db()
    assert (report.outcome, report.last_error) == (Report.Outcome.BROKEN, "the process that made it ended")


def test_the_command_prints_the_lines_and_fails_where_one_did(cpo, partner, card):
    place = next(cpo.world.places())
    where = ["--card", card.uid, "--location", place.location["id"], "--evse", place.evse["uid"], "--wait", "3"]
    said = StringIO()
    call_command("partner", "check", "SE*LAD", *where, "--json", stdout=said)
    told = json.loads(said.getvalue())
    assert (told["partner"], told["outcome"]) == ("SE*LAD", "PASSED")
    assert set(told["lines"][0]) == {"check", "title", "demands", "outcome", "reason", "took_s"}
    cpo.fault("missing", value="coordinates", module="locations")
    with pytest.raises(CommandError, match="failed: Locations: objects"):
        call_command("partner", "check", "SE-LAD", stdout=(said := StringIO()))
    assert "FAILED  Locations: objects" in said.getvalue()
    assert "coordinates: required" in said.getvalue()


@pytest.mark.parametrize("broken", ["outcome = 'PASSED'", "due_at = NULL", "finished_at = now()"])
def test_the_database_keeps_a_report_either_due_or_finished(partner, broken):
    readiness.order(partner, timezone.now())
    with pytest.raises(Exception, match="report_is_due_or_finished"), connection.cursor() as cursor:
        cursor.execute(f"UPDATE onboarding_report SET {broken}")
