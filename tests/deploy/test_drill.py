"""The drill (trust R25): back up, lose the database, restore, and find everything again, byte for byte."""

import hashlib
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from apps.billing import invoicing, rendering
from apps.billing.models import Document
from apps.partners.models import Partner
from emsp import local
from tests.billing.charged import NOW, OCTOBER, World

pytestmark = pytest.mark.django_db(transaction=True)
DEPLOY = Path(settings.BASE_DIR) / "deploy"
DRILL = "emsp_drill"


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
    world = World()
    firm = world.account("Bergströms Åkeri AB", "company", vat_id="SE559012000101")
    charge = world.charge(firm, "12.34", basis="net")
    world.charge(world.account("Åsa Öberg"), "268.74")
    invoicing.issue(OCTOBER, NOW)
    world.credit(charge)
    invoicing.issue(OCTOBER, NOW + timedelta(days=1))
    assert rendering.render_due(NOW + timedelta(days=1)) == 3


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
    moved = "UPDATE billing_numberseries SET next_number = 1235 WHERE prefix = 'SE-' RETURNING next_number"
    assert "1235" in sql(restored, moved), "docs/operations.md tells how, where documents are younger than the backup"
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
    done = run(in_production(restored), sys.executable, settings.BASE_DIR / "manage.py", "migrate", "--check")
    assert done.returncode == 0, done.stdout + done.stderr


def in_production(tools):
    return tools | {
        "SECRET_KEY": "x" * 50, "FIELD_KEYS": local.new_field_key(), "PUBLIC_URL": "https://roaming.example.com",
        "DATABASE_URL": f"postgres://{tools['PGUSER']}@/{tools['PGDATABASE']}?host={tools['PGHOST']}",
    }  # fmt: skip


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
