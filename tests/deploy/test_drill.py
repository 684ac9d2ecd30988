"""The drill (trust R25): back up, lose the database, restore, and find everything again, byte for byte."""

import hashlib
import json
import os
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from apps.billing import highwater, invoicing, rendering
from apps.billing.models import Document, Invoice, LostNumbers
from apps.charging.pull import CDRS
from apps.partners.models import Partner
from bench import rooms, world
from emsp import local
from tests.billing.charged import NOW, OCTOBER, World
from tests.deploy.production import manage

pytestmark = pytest.mark.django_db(transaction=True)
DEPLOY = Path(settings.BASE_DIR) / "deploy"
DRILL = (
    f"emsp_drill_{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"  # its tests may be shared out to several processes
)


@pytest.fixture
def tools():
    """The variables of PostgreSQL's own programs, and those programs as they belong to the server."""
    programs = local.postgresql().programs
    if not all((programs / name).exists() for name in ("pg_dump", "pg_restore", "psql")):
        pytest.skip(f"{programs} has no pg_dump, pg_restore and psql")
    place = connection.settings_dict
    return os.environ | {
        "PATH": f"{programs}:{os.environ['PATH']}", "PGHOST": place["HOST"] or str(local.sockets()), "PGUSER": place["USER"],
        "PGDATABASE": place["NAME"],
    }  # fmt: skip


@pytest.fixture
def empty(tools):
    """Makes the drill's database anew, empty; gone afterwards."""

    def make():
        sql(tools, f"DROP DATABASE IF EXISTS {DRILL}")
        sql(tools, f"CREATE DATABASE {DRILL}")
        return tools | {"PGDATABASE": DRILL}

    yield make
    sql(tools, f"DROP DATABASE IF EXISTS {DRILL}")


@pytest.fixture
def issued():
    """A month with invoices of two kinds, a credit note, and their PDFs."""
    books = World()
    firm = books.account("Bergströms Åkeri AB", "company", vat_id="SE559012000101")
    charge = books.charge(firm, "12.34", basis="net")
    books.charge(books.account("Åsa Öberg"), "268.74")
    invoicing.issue(OCTOBER, NOW)
    books.credit(charge)
    invoicing.issue(OCTOBER, NOW + timedelta(days=1))
    assert rendering.render_due(NOW + timedelta(days=1)) == 3
    return books


def run(tools, *command):
    return subprocess.run([str(part) for part in command], env=tools, capture_output=True, text=True, check=False)


def sql(tools, statement):
    done = run(tools, "psql", "-X", "-At", "-F", "|", "-v", "ON_ERROR_STOP=1", "-c", statement)
    if done.returncode:
        raise AssertionError(done.stderr)
    return done.stdout.split("\n")[:-1]


def refused(tools, statement):
    with pytest.raises(AssertionError) as refusal:
        sql(tools, statement)
    return str(refusal.value)


def counts(tools):
    tables = sql(tools, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    return {table: sql(tools, f'SELECT count(*) FROM "{table}"') for table in tables}


def content(tools, table):
    """A checksum of a table's rows."""
    return sql(tools, f"SELECT md5(string_agg(md5(t::text), '' ORDER BY md5(t::text))) FROM \"{table}\" t")


def back_up(tools, folder, *arguments):
    done = run(tools, DEPLOY / "backup.sh", folder, *arguments)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def restore(tools, dump):
    return run(tools, DEPLOY / "restore.sh", dump)


def test_what_was_lost_comes_back(issued, tools, empty, tmp_path):
    dump = back_up(tools, tmp_path)
    before = {name: content(tools, name) for name in counts(tools)}
    first = empty()
    assert restore(first, dump).returncode == 0

    again = back_up(first, tmp_path / "again")
    lost = empty()
    assert counts(lost) == {}, "the database is gone"
    done = restore(lost, again)

    assert done.returncode == 0, done.stderr
    assert counts(lost) == counts(tools)
    assert {name: content(lost, name) for name in before} == before
    told = sql(lost, "SELECT invoice_id, encode(sha256(pdf), 'hex'), sha256 FROM billing_document ORDER BY 1")
    kept = [(row.invoice_id, hashlib.sha256(row.pdf).hexdigest()) for row in Document.objects.order_by("invoice_id")]
    assert told == [f"{invoice}|{digest}|{digest}" for invoice, digest in kept]
    assert len(told) == 3


def test_what_guarded_it_guards_it_again(issued, tools, empty, tmp_path):
    restored = empty()
    assert restore(restored, back_up(tools, tmp_path)).returncode == 0
    assert refused(restored, "UPDATE billing_invoice SET net = 0")
    assert refused(restored, "DELETE FROM billing_invoice")
    assert refused(restored, "DELETE FROM billing_lostnumbers")
    for listed in (
        "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal",
        "SELECT count(*) FROM pg_constraint",
        "SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'",
    ):
        assert sql(restored, listed) == sql(tools, listed), listed


def test_the_platform_goes_on_with_it(issued, tools, empty, tmp_path):
    """Nothing is left to migrate, and new rows get numbers nobody has."""
    restored = empty()
    assert restore(restored, back_up(tools, tmp_path)).returncode == 0
    newest = Partner.objects.order_by("-pk").first().pk
    (number,) = sql(restored, "SELECT nextval(pg_get_serial_sequence('partners_partner', 'id'))")
    assert int(number) > newest
    assert there(restored, "migrate", "--check").returncode == 0


def there(restored, *command, **more):
    """manage.py on the restored database."""
    url = f"postgres://{restored['PGUSER']}@/{restored['PGDATABASE']}?host={restored['PGHOST']}"
    return manage(*command, DATABASE_URL=url, **more)


def test_no_number_that_was_given_after_the_backup_is_given_again(issued, tools, empty, tmp_path):
    """Trust R25: what is marked outside the database says how far numbers were given."""
    for number in range(3):
        issued.charge(issued.account(f"Later {number}"), "10")
    dump = back_up(tools, tmp_path)
    invoicing.issue(OCTOBER, NOW + timedelta(days=2))
    restored = empty()
    assert restore(restored, dump).returncode == 0
    given = set(Invoice.objects.values_list("number", flat=True))
    assert given - numbers(restored) == {"SE-000003", "SE-000004", "SE-000005"}

    mended = there(restored, "invoices", "numbers", "--given", settings.NUMBERS_FILE)
    assert mended.stdout == "SE-: 3 to 5 are lost, 6 is next\n", mended.stderr
    again = there(restored, "invoices", "numbers", "--given", settings.NUMBERS_FILE)
    assert again.stdout == "No number was given that is not here.\n"
    own_file = {"NUMBERS_FILE": str(tmp_path / "there.log")}
    run = there(restored, "invoices", "run", "--period", "2026-10", "--issue", **own_file)

    assert run.returncode == 0, run.stderr
    assert numbers(restored) - given == {"SE-000006", "SE-000007", "SE-000008"}
    assert verdict(restored, "I6") == "held", "a gap that is known is none"
    sql(restored, "SET session_replication_role = replica; DELETE FROM billing_lostnumbers")
    assert verdict(restored, "I6") == "broken"


def numbers(restored):
    return set(sql(restored, "SELECT number FROM billing_invoice"))


def verdict(restored, code):
    """What the check of the restored database says of a rule."""
    (found,) = [one for one in json.loads(there(restored, "invariants", "--json").stdout) if one["code"] == code]
    return found["verdict"]


@pytest.mark.parametrize("line", ["SE- 3 2026-11-03", "SE-\tthree\t2026-11-03", "SE-\t3", "XX-\t3\t2026-11-03"])
def test_a_file_of_numbers_that_is_none_moves_nothing(issued, line):
    with pytest.raises(ValueError, match=r"line 2|no number series begins with XX-"):
        highwater.skip_given(["SE-\t9\t2026-11-03\n", f"{line}\n"], NOW)
    assert not LostNumbers.objects.exists()


def test_nothing_is_issued_while_its_numbers_cannot_be_marked(issued, settings, tmp_path):
    settings.NUMBERS_FILE = tmp_path / "no such folder" / "numbers.log"
    issued.charge(issued.account("Later"), "10")
    with pytest.raises(FileNotFoundError):
        invoicing.issue(OCTOBER, NOW + timedelta(days=2))
    assert Invoice.objects.filter(account__name="Later").count() == 0


def test_what_came_after_the_backup_is_pulled_again(tools, empty, tmp_path):
    """Trust R25: CDRs of the gap come back from the operator, and none is missing."""
    uids = world.enrol_cards(10)
    partner, _token = world.connect()
    bodies = world.cdrs(uids, 250)
    pulled(partner, bodies[:100], tmp_path)
    dump = back_up(tools, tmp_path)
    with rooms.operator(bodies, rooms.PAGE_OF_LOCATIONS, tmp_path) as url:
        world.offer(partner, "cdrs", f"{url}/cdrs")
        rooms.pulled(CDRS, partner)
        restored = empty()
        assert restore(restored, dump).returncode == 0
        sql(
            restored, f"UPDATE partners_endpoint SET url = '{url}/cdrs'"
        )  # an operator's does not move; this one's port does
        assert sql(restored, "SELECT count(*) FROM charging_cdr") == ["100"]

        private = {"OCPI_PRIVATE_HOSTS": "127.0.0.1", "OCPI_PRIVATE_HOSTS_IN_PRODUCTION": "1"}
        done = there(restored, "partner", "pull", "SE*LAD", "--full", **private)

    assert done.returncode == 0, done.stdout + done.stderr
    held = "SELECT ocpi_id || encode(sha256(body), 'hex') FROM charging_cdr ORDER BY 1"
    assert sql(restored, held) == sql(tools, held)
    assert sql(restored, "SELECT count(*) FROM charging_cdr") == ["250"]
    checked = there(restored, "invariants")
    assert checked.returncode == 0, checked.stdout


def pulled(partner, bodies, folder):
    with rooms.operator(bodies, rooms.PAGE_OF_CDRS, folder) as url:
        world.offer(partner, "cdrs", f"{url}/cdrs")
        rooms.pulled(CDRS, partner)


def test_nothing_is_ever_overwritten(issued, tools, tmp_path):
    done = restore(tools, back_up(tools, tmp_path))
    assert done.returncode == 1
    assert "restore into an empty one" in done.stderr
    assert Document.objects.count() == 3


def test_a_damaged_dump_is_not_restored(tools, empty, tmp_path):
    dump = back_up(tools, tmp_path)
    dump.write_bytes(dump.read_bytes()[:-100])
    database = empty()
    done = restore(database, dump)
    assert (done.returncode, "its checksum is wrong" in done.stderr) == (1, True)
    assert counts(database) == {}
    Path(f"{dump}.sha256").unlink()
    assert "belongs to the backup" in restore(database, dump).stderr


def test_a_backup_that_fails_leaves_no_dump(tools, tmp_path):
    done = run(tools | {"PGDATABASE": "nowhere"}, DEPLOY / "backup.sh", tmp_path)
    assert done.returncode
    assert "nowhere" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_backup_is_for_its_owner_alone_and_goes_when_it_is_old(tools, tmp_path):
    old, foreign = tmp_path / "emsp-20200101T000000Z.dump", tmp_path / "letters.txt"
    for file in (old, foreign):
        file.touch()
        os.utime(file, (0, 0))
    dump = back_up(tools, tmp_path, "30")
    assert dump.stat().st_mode & 0o077 == 0
    assert {file.name for file in tmp_path.iterdir()} == {dump.name, f"{dump.name}.sha256", "letters.txt"}


def test_wrong_usage_is_said(tools, tmp_path):
    assert run(tools, DEPLOY / "backup.sh").returncode == 2
    assert run(tools, DEPLOY / "restore.sh").returncode == 2
    assert restore(tools, tmp_path / "none.dump").returncode == 1
