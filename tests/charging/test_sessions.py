import itertools
import json
import threading
from datetime import UTC, datetime

import msgspec
import pytest
from django.db import connections
from django.utils import timezone

from apps.charging.models import Session, SessionPeriod
from apps.charging.store import INTAKE, find_session, patch_session, take_patch
from apps.ocpi.errors import InvalidObject, UnknownObject
from apps.ocpi.versions import VERSIONS
from apps.partners import quarantine
from apps.partners.models import Feed, Quarantined
from apps.partners.taking import take

from .conftest import NOW, V221, session_body

pytestmark = pytest.mark.django_db


def at(minute: int) -> str:
    return f"2026-10-19T08:{minute:02}:00Z"


def period(minute: int, energy: float) -> dict:
    return {"start_date_time": at(minute), "dimensions": [{"type": "ENERGY", "volume": energy}]}


@pytest.fixture
def put(send_session):
    def put(**changes) -> str:
        (taken,) = send_session(session_body(**changes))
        return str(taken.outcome)

    return put


@pytest.fixture
def patch(party):
    def patch(version=V221, session_id="S-1", **changes) -> str:
        read = version.read_session_patch(json.dumps(changes).encode(), party)
        return str(patch_session(party, session_id, read.object, NOW).outcome)

    return patch


@pytest.fixture
def told(party):
    return lambda: find_session(party, "S-1")


def energies(session) -> list:
    return [(one.start_date_time.minute, float(one.dimensions[0].volume)) for one in session.charging_periods]


class TestPut:
    def test_a_session_is_kept_with_its_figures(self, put, token):
        assert put(kwh=1.25, total_cost={"excl_vat": 3.10}, end_date_time=at(50)) == "created"
        session = Session.objects.get()
        assert (str(session.energy), str(session.cost_before_taxes), session.ended_at.minute) == (
            "1.2500000000", "3.1000000000", 50,
        )  # fmt: skip
        assert (session.token, session.evse_uid, session.status, session.version) == (
            token,
            "EVSE-1",
            "ACTIVE",
            "2.2.1",
        )

    @pytest.mark.ocpi("SES-01")
    def test_what_a_put_no_longer_has_is_gone(self, put, told):
        put(charging_periods=[period(0, 1), period(10, 2)], total_cost={"excl_vat": 1}, meter_id="M")
        assert put(charging_periods=[period(10, 3)], last_updated=at(20)) == "updated"
        assert energies(told()) == [(10, 3)]
        assert (told().total_cost, told().meter_id, Session.objects.get().cost_before_taxes) == (None, None, None)

    def test_without_periods_none_are_left(self, put):
        put(charging_periods=[period(0, 1)])
        put(last_updated=at(20))
        assert not SessionPeriod.objects.exists()

    def test_an_older_one_changes_nothing(self, put, told):
        put(kwh=5, last_updated=at(30))
        assert put(kwh=1, last_updated=at(20)) == "stale"
        assert told().kwh == 5

    def test_the_same_again_is_unchanged(self, put):
        put()
        received = Session.objects.get().received_at
        assert put() == "unchanged"
        assert Session.objects.get().received_at == received

    def test_at_the_same_time_the_later_message_counts(self, put, told):
        put(kwh=1)
        assert put(kwh=2) == "updated"
        assert told().kwh == 2

    def test_ids_are_the_same_in_any_case(self, put):
        put()
        assert put(id="s-1", last_updated=at(1)) == "updated"
        assert Session.objects.count() == 1

    @pytest.mark.ocpi("SES-03")
    def test_completed_is_not_reopened_but_may_be_corrected(self, put, told):
        put(status="COMPLETED", kwh=9, last_updated=at(30))
        assert put(status="ACTIVE", kwh=1, last_updated=at(40)) == "stale"
        assert put(status="COMPLETED", kwh=8, last_updated=at(50)) == "updated"
        assert (told().status, told().kwh) == ("COMPLETED", 8)

    @pytest.mark.ocpi("SES-09")
    def test_unknown_location_card_and_status_refuse_nothing(self, put):
        assert put(location_id="NOWHERE", status="DREAMING", cdr_token__uid="NOBODYS") == "created"

    def test_a_page(self, send_session):
        bodies = [session_body(id=f"S-{number}", charging_periods=[period(0, number)]) for number in range(100)]
        assert {str(one.outcome) for one in send_session(*bodies)} == {"created"}
        assert {str(one.outcome) for one in send_session(*bodies)} == {"unchanged"}
        assert SessionPeriod.objects.count() == 100

    def test_a_page_takes_a_handful_of_statements(self, send_session, django_assert_max_num_queries):
        bodies = [session_body(id=f"S-{number}", charging_periods=[period(0, number)]) for number in range(100)]
        with django_assert_max_num_queries(8):
            send_session(*bodies)

    @pytest.mark.parametrize("number", ["2.1.1", "2.2.1", "2.3.0"])
    @pytest.mark.ocpi("SES-01", "SES-05", "all")
    def test_in_three_versions_it_is_the_same_session(self, number, partner, put, told):
        put(total_cost={"excl_vat": 2.5})
        before = told()
        body = msgspec.json.encode(VERSIONS[number].write("session", before))
        Session.objects.all().delete()
        take(INTAKE, partner, VERSIONS[number], [body], NOW)
        after = told()
        lost = {"cdr_token": before.cdr_token} if number == "2.1.1" else {}
        assert msgspec.structs.replace(after, **lost) == before


class TestPatch:
    def test_what_it_names_changes(self, put, patch, told):
        put()
        assert patch(kwh=2.5, total_cost={"excl_vat": 4}, last_updated=at(10)) == "updated"
        session = Session.objects.get()
        assert (float(session.energy), session.cost_before_taxes, session.status) == (2.5, 4, "ACTIVE")
        assert (told().kwh, told().last_updated) == (session.energy, datetime(2026, 10, 19, 8, 10, tzinfo=UTC))

    def test_null_takes_away(self, put, patch, told):
        put(meter_id="M", end_date_time=at(50))
        patch(meter_id=None, end_date_time=None, last_updated=at(10))
        assert (told().meter_id, told().end_date_time, Session.objects.get().ended_at) == (None, None, None)

    @pytest.mark.ocpi("SES-02")
    def test_periods_are_added(self, put, patch, told):
        put(charging_periods=[period(0, 1)])
        patch(charging_periods=[period(10, 2)], last_updated=at(15))
        assert energies(told()) == [(0, 1), (10, 2)]

    @pytest.mark.parametrize("periods", [[], None])
    def test_no_periods_change_none(self, periods, put, patch, told):
        put(charging_periods=[period(0, 1)])
        changes = {} if periods is None else {"charging_periods": periods}
        patch(kwh=1, last_updated=at(15), **changes)
        assert energies(told()) == [(0, 1)]

    def test_repeated_periods_are_the_same_periods(self, put, patch, told):
        """Or the energy would be counted twice (PIT-06)."""
        put(charging_periods=[period(0, 1)])
        for _ in range(2):
            patch(charging_periods=[period(0, 1), period(10, 2)], last_updated=at(15))
        assert energies(told()) == [(0, 1), (10, 2)]

    def test_the_newer_period_of_one_start_counts(self, put, patch, told):
        put()
        patch(charging_periods=[period(0, 2)], last_updated=at(20))
        patch(charging_periods=[period(0, 1), period(5, 1)], last_updated=at(10))
        assert energies(told()) == [(0, 2), (5, 1)]

    def test_an_older_one_changes_only_what_was_not_told_since(self, put, patch, told):
        put()
        patch(kwh=5, last_updated=at(30))
        assert patch(kwh=3, meter_id="M", last_updated=at(20)) == "updated"
        assert (told().kwh, told().meter_id, told().last_updated.minute) == (5, "M", 30)

    def test_one_before_the_last_put_changes_nothing(self, put, patch, told):
        put(last_updated=at(30))
        assert patch(kwh=3, charging_periods=[period(1, 1)], last_updated=at(20)) == "stale"
        assert (told().kwh, energies(told())) == (0, [])

    def test_completed_stays(self, put, patch, told):
        put(status="COMPLETED", last_updated=at(30))
        assert patch(status="ACTIVE", last_updated=at(40)) == "stale"
        assert told().status == "COMPLETED"

    def test_completed_comes_through_even_late(self, put, patch, told):
        put()
        patch(status="ACTIVE", kwh=4, last_updated=at(30))
        patch(status="COMPLETED", last_updated=at(20))
        assert (told().status, told().kwh) == ("COMPLETED", 4)

    def test_whatever_the_order_the_outcome_is_that_of_the_right_one(self, put, patch, told, party):
        messages = [
            {"kwh": 1, "charging_periods": [period(0, 1)], "last_updated": at(10)},
            {"kwh": 2, "charging_periods": [period(10, 1)], "total_cost": {"excl_vat": 5}, "last_updated": at(20)},
            {"kwh": 3, "charging_periods": [period(10, 2), period(20, 1)], "last_updated": at(30)},
            {"status": "COMPLETED", "end_date_time": at(40), "total_cost": {"excl_vat": 9}, "last_updated": at(40)},
        ]
        outcomes = set()
        for order in itertools.permutations(messages):
            Session.objects.all().delete()
            put()
            for message in order:
                patch(**message)
            outcomes.add(msgspec.json.encode(told()))
        assert len(outcomes) == 1
        session = told()
        assert (session.kwh, session.status, session.total_cost.before_taxes) == (3, "COMPLETED", 9)
        assert energies(session) == [(0, 1), (10, 2), (20, 1)]

    def test_without_a_time_it_is_applied_and_the_stored_one_stays(self, put, patch, told):
        put()
        assert patch(VERSIONS["2.1.1"], kwh=3) == "updated"
        assert (told().kwh, told().last_updated.minute) == (3, 0)

    def test_the_card_it_names_is_looked_up(self, put, patch, make_token):
        put()
        token = make_token("04CD")
        card = {"country_code": "SE", "party_id": "EMP", "uid": "04CD", "type": "RFID", "contract_id": "X"}
        patch(cdr_token=card, last_updated=at(10))
        assert Session.objects.get().token == token

    def test_it_may_repeat_the_identity(self, put, patch):
        put()
        assert patch(id="s-1", party_id="lad", kwh=1, last_updated=at(10)) == "updated"
        with pytest.raises(InvalidObject, match="party_id: XYZ is not the one of the URL"):
            patch(party_id="XYZ", kwh=2, last_updated=at(20))

    def test_numbers_stay_exact(self, put, patch, told):
        put()
        patch(kwh=0.1, last_updated=at(10))
        assert str(told().kwh) == "0.1"

    def test_of_an_unknown_one_a_pull_is_due_but_not_each_time(self, partner, patch, now):
        later = now + timezone.timedelta(hours=1)
        feed = Feed.objects.create(
            partner=partner, module="sessions", interval=timezone.timedelta(hours=1), due_at=later,
            last_good_at=now - timezone.timedelta(minutes=1),
        )  # fmt: skip
        with pytest.raises(UnknownObject):
            patch(kwh=1, last_updated=at(1))
        feed.refresh_from_db()
        assert feed.due_at == now + timezone.timedelta(minutes=4)

    def test_kept_aside_it_is_mended_as_what_it_is(self, put, partner, party, told, now):
        put()
        with pytest.raises(InvalidObject):
            take_patch(partner, party, V221, "S-1", b'{"kwh": "much", "last_updated": "2026-10-19T08:10:00Z"}', now)
        row = Quarantined.objects.get()
        with pytest.raises(InvalidObject, match="kwh"):
            quarantine.mend(row, b'{"kwh": [], "last_updated": "2026-10-19T08:10:00Z"}', {"sessions": INTAKE}, now)
        quarantine.mend(row, b'{"kwh": 7, "last_updated": "2026-10-19T08:10:00Z"}', {"sessions": INTAKE}, now)
        row.refresh_from_db()
        assert (told().kwh, row.state) == (7, "MENDED")


@pytest.mark.django_db(transaction=True)
def test_whatever_threads_do_the_newest_wins(partner, party):
    take(INTAKE, partner, V221, [session_body()], NOW)
    ready = threading.Barrier(6)

    def work(offset):
        try:
            ready.wait(timeout=30)
            for minute in range(offset, 60, 6):
                body = json.dumps({"kwh": minute, "charging_periods": [period(minute, 1)], "last_updated": at(minute)})
                take_patch(partner, party, V221, "S-1", body.encode(), NOW)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(offset,)) for offset in range(6)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    session = find_session(party, "S-1")
    assert (session.kwh, session.last_updated.minute, len(session.charging_periods)) == (59, 59, 60)
