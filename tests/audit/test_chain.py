"""Days of changes are sealed one after the other, and whatever is changed in them afterwards is found (trust S49, S48)."""

import json
import threading
import time
from datetime import UTC, datetime, timedelta

import pghistory
import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, connections, transaction
from django.utils import timezone

from apps.drivers.models import Account, Driver
from emsp.audit import chain, tables
from emsp.models import AuditDay
from tests.audit.conftest import move_back, planted, sql, today

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def seal():
    """As two hours from now, so that yesterday is sealed at any time of the day."""
    return chain.seal(timezone.now() + chain.GRACE)


@pytest.fixture
def sealed(anna):
    assert seal()
    assert chain.verify().faults == []
    return anna


def first_fault():
    return chain.verify().faults[0]


def day_of_change(number):
    """Of three, or the one that had none: yesterday."""
    return today() - (5 - number) * DAY


@pytest.mark.control("S49")
def test_every_day_that_is_over_is_sealed_also_one_without_changes(anna):
    days = seal()
    oldest = sql("SELECT min((pgh_created_at AT TIME ZONE 'UTC')::date) FROM billing_vatrateevent")[0][0]
    assert [one.day for one in days] == [oldest + number * DAY for number in range((today() - oldest).days)]
    counts = {one.day: one.count for one in days}
    assert [counts[today() - number * DAY] for number in (3, 2, 1)] == [1, 1, 0]
    assert days[0].previous == "0" * 64
    assert [one.previous for one in days[1:]] == [one.digest for one in days[:-1]]
    assert seal() == []


def test_a_day_is_sealed_two_hours_after_its_end_and_not_before(anna):
    end = datetime.combine(today() - DAY, datetime.min.time(), UTC)
    assert chain.seal(end + timedelta(hours=2) - timedelta(seconds=1))[-1].day == today() - 3 * DAY
    assert [one.day for one in chain.seal(end + timedelta(hours=2))] == [today() - 2 * DAY]


def test_a_platform_without_changes_begins_with_yesterday(db):
    for table in tables.names():
        planted(f"DELETE FROM {table}")
    assert [(one.day, one.count) for one in seal()] == [(today() - DAY, 0)]


def test_days_that_were_missed_are_sealed_later_and_in_order(anna):
    assert len(chain.seal(timezone.now(), most=2)) == 2
    assert chain.verify().faults == []
    assert seal()[-1].day == today() - DAY
    assert chain.verify().faults == []


def test_the_digest_of_a_day_is_that_of_the_one_before_too(anna):
    with transaction.atomic():
        digest = seal()[-1].digest
        transaction.set_rollback(True)
    planted("UPDATE drivers_driverevent SET name = 'Another' WHERE name = 'Anna'")
    assert seal()[-1].digest != digest


PLANTED = {
    "a change is another": ("UPDATE drivers_driverevent SET name = 'Anne' WHERE name = 'Anna 2'", 2),
    "a change is gone": ("DELETE FROM drivers_driverevent WHERE name = 'Anna 3'", 3),
    "a change is moved to another day": ("UPDATE drivers_driverevent SET pgh_created_at = pgh_created_at + interval '1 day' WHERE name = 'Anna 2'", 2),
    "a change is more": ("INSERT INTO drivers_driverevent (pgh_created_at, pgh_label, pgh_obj_id, id, account_id, name, email, created_at) SELECT pgh_created_at, 'update', pgh_obj_id, id, account_id, 'Olle', email, created_at FROM drivers_driverevent WHERE name = 'Anna 2'", 2),
    "somebody else did it": ("""UPDATE pghistory_context SET metadata = metadata || '{"user": 77}' WHERE metadata ->> 'request_id' = 'r-3'""", 3),
    "another request did it": ("""UPDATE pghistory_context SET metadata = metadata || '{"request_id": "r-9"}' WHERE metadata ->> 'request_id' = 'r-1'""", 1),
    "nobody did it": ("DELETE FROM pghistory_context WHERE metadata ->> 'request_id' = 'r-1'", 1),
    "it was not in that request": ("UPDATE drivers_driverevent SET pgh_context_id = NULL WHERE name = 'Anna 3'", 3),
    "the day has another count": ("UPDATE emsp_auditday SET count = 9 WHERE day = current_date - 3", 2),
    "the day has another digest": (f"UPDATE emsp_auditday SET digest = '{'a' * 64}' WHERE day = current_date - 3", 2),
    "the day has other tables": ("UPDATE emsp_auditday SET tables = '{}', count = 0 WHERE day = current_date - 3", 2),
    "the day follows another": (f"UPDATE emsp_auditday SET previous = '{'b' * 64}' WHERE day = current_date - 2", 3),
    "the day is missing": ("DELETE FROM emsp_auditday WHERE day = current_date - 3", 2),
}  # fmt: skip


@pytest.mark.control("S49")
@pytest.mark.parametrize("what", PLANTED)
def test_what_is_planted_past_the_guards_is_found_with_its_day(sealed, what):
    statement, number = PLANTED[what]
    planted(statement)
    fault = first_fault()
    expected = {day_of_change(number), day_of_change(number) + DAY} if "missing" in what else {day_of_change(number)}
    assert fault.name in map(str, expected), fault


@pytest.mark.control("S49")
def test_a_fault_says_in_which_table_and_how_many(sealed):
    planted("DELETE FROM drivers_driverevent WHERE name = 'Anna 2'")
    fault = "drivers_driverevent has 0 changes of it, and had 1 when it was sealed"
    assert chain.verify().faults == [(str(day_of_change(2)), fault)]


def test_a_day_before_the_first_is_found(sealed):
    planted("UPDATE drivers_driverevent SET pgh_created_at = '2001-02-03' WHERE name = 'Anna 2'")
    assert first_fault().name == "2001-02-03"


def test_first_days_that_are_gone_are_found(sealed):
    planted("DELETE FROM emsp_auditday WHERE day <= %s", day_of_change(1))
    assert "the days before it are missing" in [one.fault for one in chain.verify().faults]


@pytest.mark.control("S49")
def test_a_chain_that_was_rewritten_as_a_whole_is_found_by_a_digest_that_was_kept_elsewhere(sealed):
    kept = AuditDay.objects.first().digest
    assert chain.verify(kept).faults == []
    planted("UPDATE drivers_driverevent SET name = 'Anne' WHERE name = 'Anna 2'")
    planted("DELETE FROM emsp_auditday")
    seal()
    assert chain.verify().faults == []
    assert chain.verify(kept).faults == [("kept outside", f"no day has the digest {kept}")]


def test_a_guard_that_is_switched_off_is_found(sealed):
    sql("ALTER TABLE drivers_driverevent DISABLE TRIGGER change_is_kept")
    assert first_fault() == ("drivers_driverevent", "its guards are gone or switched off")


def test_a_column_that_comes_later_changes_no_day_before(sealed):
    """Expand and contract: a new column of an old change is empty, or has a default."""
    sql("ALTER TABLE drivers_driverevent ADD COLUMN phone varchar(20) NOT NULL DEFAULT 'none'")
    assert chain.verify().faults == []
    planted("UPDATE drivers_driverevent SET name = 'Anne' WHERE name = 'Anna 2'")
    assert first_fault().name == str(day_of_change(2))


def test_a_column_that_comes_later_is_sealed_from_then_on(sealed):
    sql("ALTER TABLE drivers_driverevent ADD COLUMN phone varchar(20) NOT NULL DEFAULT 'none'")
    sealed.save()
    Driver.objects.update(name="Anna 4")
    planted("DELETE FROM emsp_auditday WHERE day = %s", today() - DAY)
    planted("UPDATE drivers_driverevent SET pgh_created_at = now() - interval '1 day' WHERE name = 'Anna 4'")
    seal()
    planted("UPDATE drivers_driverevent SET phone = '112' WHERE name = 'Anna 4'")
    assert first_fault().name == str(today() - DAY)


@pytest.mark.control("S48")
@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_neither_changes_nor_days_change_or_go(sealed, statement):
    for table in [*tables.names(), "emsp_auditday", "pghistory_context"]:
        key = {"emsp_auditday": "id", "pghistory_context": "id"}.get(table, "pgh_id")
        with pytest.raises(IntegrityError, match="who changed what is evidence"), transaction.atomic():
            sql(statement.format(table, key, key))


def test_every_tracked_model_is_guarded():
    """Also one that is tracked after this was written: nobody lists them."""
    tracked = {model for model in apps.get_models() if hasattr(model, "pgh_event_models")}
    events = {event for model in tracked for event in model.pgh_event_models.values()}
    assert events == set(tables.event_models())
    assert len(events) >= 14
    guarded = {row[0] for row in sql("SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'change_is_kept'")}
    assert guarded == set(tables.names())


def test_a_table_that_lost_its_guards_gets_them_with_the_next_migration(db):
    sql("DROP TRIGGER change_is_kept ON drivers_driverevent; DROP TRIGGER change_is_of_today ON drivers_driverevent")
    tables.guard()
    assert chain.verify().faults == []


def test_a_context_may_grow_until_its_day_is_sealed(eva):
    with pghistory.context(user=eva.pk):
        account = Account.objects.create(name="Fleet", kind="company", country="SE", currency="SEK")
        pghistory.context(reason="it moved")
        account.city = "Lund"
        account.save()
    assert sql("SELECT metadata ->> 'reason' FROM pghistory_context") == [("it moved",)]


@pytest.mark.parametrize(
    ("day", "previous", "complaint"),
    [(3, None, "does not follow"), (0, "c" * 64, "does not follow"), (1, None, "is not over")],
)
def test_no_day_is_written_that_does_not_follow_or_is_not_over(sealed, day, previous, complaint):
    newest = AuditDay.objects.first()
    values = {"count": 0, "tables": {}, "digest": "d" * 64, "sealed_at": timezone.now()}
    with pytest.raises(IntegrityError, match=complaint), transaction.atomic():
        AuditDay.objects.create(day=newest.day + day * DAY, previous=previous or newest.digest, **values)


def test_the_time_of_a_change_cannot_be_made_up(sealed):
    """What says that it is of a sealed day, or of one to come, is of the moment in which it is written."""
    sql(
        "INSERT INTO drivers_driverevent (pgh_created_at, pgh_label, pgh_obj_id, id, account_id, name, email, created_at)"
        " SELECT unnest(ARRAY[now() - interval '3 days', now() + interval '3 days']), pgh_label, pgh_obj_id, id, account_id,"
        " 'Olle', email, created_at FROM drivers_driverevent WHERE name = 'Anna'"
    )
    times = sql("SELECT pgh_created_at FROM drivers_driverevent WHERE name = 'Olle'")
    assert all(abs(moment - timezone.now()) < timedelta(minutes=5) for (moment,) in times)
    assert len(times) == 2
    assert chain.verify().faults == []


def in_thread(work, *arguments):
    def run():
        try:
            done.append(work(*arguments))
        finally:
            connections.close_all()

    done = []
    thread = threading.Thread(target=run)
    thread.start()
    return thread, done


@pytest.mark.control("S49")
@pytest.mark.django_db(transaction=True)
def test_two_who_seal_at_once_seal_each_day_once(anna):
    hands = [in_thread(seal) for _ in range(4)]
    [thread.join() for thread, _ in hands]
    days = [one.day for _, done in hands for one in done[0]]
    assert len(days) == len(set(days)) == AuditDay.objects.count() >= 4
    assert chain.verify().faults == []


@pytest.mark.control("S49")
@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_still_writes_changes_is_waited_for(anna):
    is_writing, may_end = threading.Event(), threading.Event()

    def write():
        with transaction.atomic():
            Driver.objects.update(name="Anna, late")
            is_writing.set()
            may_end.wait(30)

    writer, _ = in_thread(write)
    is_writing.wait(30)
    sealer, sealed = in_thread(seal)
    time.sleep(0.5)
    assert sealed == []
    assert not AuditDay.objects.exists()
    may_end.set()
    writer.join()
    sealer.join()
    assert sealed[0]
    assert chain.verify().faults == []


@pytest.mark.django_db(transaction=True)
def test_what_writes_for_too_long_leaves_the_day_for_the_next_time(anna, monkeypatch, caplog):
    monkeypatch.setattr(chain, "PATIENCE_S", 0.2)
    with transaction.atomic():
        Driver.objects.update(name="Anna, late")
        sealer, sealed = in_thread(seal)
        sealer.join()
        assert sealed == [[]]
        assert "is not sealed yet: a transaction that writes changes goes on" in caplog.text
    assert seal()


def test_a_day_of_many_changes_is_sealed_in_parts(anna):
    """Of a table more than 65,536 changes are hashed in parts; both sides of the border count."""
    planted(
        "INSERT INTO drivers_driverevent (pgh_id, pgh_created_at, pgh_label, pgh_obj_id, id, account_id, name, email, created_at)"
        " SELECT number, pgh_created_at, 'update', pgh_obj_id, id, account_id, number, email, created_at"
        " FROM drivers_driverevent CROSS JOIN generate_series(1000000, 1150000) AS number WHERE name = 'Anna 2'"
    )
    assert {one.day: one.count for one in seal()}[day_of_change(2)] == 150_002
    for number in (1_000_000, 1_048_575, 1_048_576, 1_150_000):
        with transaction.atomic():
            planted(f"UPDATE drivers_driverevent SET name = 'x' WHERE pgh_id = {number}")
            assert first_fault().name == str(day_of_change(2))
            transaction.set_rollback(True)
    assert chain.verify().faults == []


def command(capsys, *arguments):
    try:
        call_command("audit", *arguments)
        left = 0
    except SystemExit as error:
        left = error.code
    return left, capsys.readouterr().out


@pytest.mark.control("S49")
def test_the_command_verifies_and_says_what_differs(anna, capsys):
    assert command(capsys, "verify") == (0, "No day is sealed yet.\n")
    assert command(capsys, "verify", "--kept", "a" * 64)[0] == 1
    sealed, out = command(capsys, "seal", "--json")
    newest = json.loads(out)[-1]
    assert (sealed, newest["day"]) == (0, str(AuditDay.objects.first().day))
    assert command(capsys, "seal") == (0, "No day is over that is not sealed.\n")
    left, out = command(capsys, "verify", "--json", "--kept", newest["digest"])
    told = json.loads(out)
    assert (left, told["newest"], told["faults"]) == (0, {"day": newest["day"], "digest": newest["digest"]}, [])
    planted("UPDATE drivers_driverevent SET name = 'Anne' WHERE name = 'Anna 2'")
    left, out = command(capsys, "verify")
    assert left == 1
    assert f"not as they were sealed, first {day_of_change(2)}." in out
    assert "drivers_driverevent has the same number of changes of it (1), and not the same changes" in out
    assert json.loads(command(capsys, "verify", "--json")[1])["faults"][0]["name"] == str(day_of_change(2))
    with pytest.raises(CommandError, match="invalid choice"):
        call_command("audit", "seel")


def test_the_timetable_seals(anna):
    from emsp import tasks

    assert tasks.seal_audit_days()[-1] == str(AuditDay.objects.first().day)


def test_what_was_changed_long_ago_and_sealed_at_once_is_one_chain(anna):
    move_back(40)
    assert len(seal()) >= 40
    assert chain.verify().faults == []
    assert connection.in_atomic_block, "all of it is taken back"
