"""The run of the whole suite: a real PostgreSQL, no way out to the network, and a count of the outside cases."""

import shutil
import socket
import tempfile
from pathlib import Path

import pytest

from emsp import local

local.ensure(broker=False)

OUTSIDE = local.PROJECT.parent / "shared"
counted: list[str] = []
_connect = socket.socket.connect


def connect_inside(self, address):
    """Only this machine: a test that calls anybody else is wrong, and must fail on every machine alike."""
    if self.family != socket.AF_UNIX and not str(address[0]).startswith(("127.", "::1", "localhost")):
        raise AssertionError(f"a test opened a connection to {address}")
    return _connect(self, address)


@pytest.fixture(autouse=True, scope="session")
def only_this_machine():
    socket.socket.connect = connect_inside
    yield
    socket.socket.connect = _connect


@pytest.fixture(autouse=True, scope="session")
def no_broker():
    """Rings go nowhere, and never to the workers of somebody who runs the platform in this folder."""
    from celery import current_app

    current_app.conf.broker_url = "memory://"


@pytest.fixture(autouse=True)
def numbers_of_tests(settings, tmp_path_factory):
    """Are no numbers of whoever works in this folder, and no file in the folder of the test."""
    settings.NUMBERS_FILE = tmp_path_factory.mktemp("numbers") / "numbers.log"


@pytest.fixture(autouse=True)
def nobody_has_called_yet():
    """What one test asked too often is nothing to the next."""
    from apps.pace import PACE

    PACE.forget()


@pytest.fixture
def site(live_server, settings):
    """We, over HTTP; partners may be on this machine."""
    settings.PUBLIC_URL = live_server.url
    settings.OCPI_PRIVATE_HOSTS = ["127.0.0.1"]
    return live_server.url


@pytest.fixture(autouse=True, scope="session")
def tables_are_emptied_quickly():
    """Tests that commit are cleaned up by TRUNCATE of all tables: a second each, and sealed ones refuse it. Only what
    holds rows is emptied, past the triggers."""
    from django.db.backends.postgresql.operations import DatabaseOperations

    flush = DatabaseOperations.sql_flush

    def empty(operations, style, tables, **options):
        used = [operations.quote_name(table) for table in holding_rows(operations, tables)]
        deletions = [f"DELETE FROM {table}" for table in used]
        return ["SET LOCAL session_replication_role = replica", *deletions] if deletions else []

    DatabaseOperations.sql_flush = empty
    yield
    DatabaseOperations.sql_flush = flush


def holding_rows(operations, tables) -> list[str]:
    asked = [f"SELECT '{table}' WHERE EXISTS (SELECT FROM {operations.quote_name(table)})" for table in tables]
    if not asked:
        return []
    with operations.connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(asked))
        return [table for (table,) in cursor.fetchall()]


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix, django_db_blocker):
    """The tables are migrated once, and copied for each process of the run and for the runs that follow."""
    from django.db import connection

    if local.is_local():
        with django_db_blocker.unblock():
            connection.settings_dict["TEST"]["TEMPLATE"] = migrated_database()


def migrated_database() -> str:
    name = f"migrated_{local.fingerprint()[:16]}"
    with local.locked("migrated-databases"), local.connect("postgres") as server:
        kept = [row[0] for row in server.execute("SELECT datname FROM pg_database WHERE datname LIKE 'migrated%'")]
        if name not in kept:
            for outdated in kept:
                server.execute(f"DROP DATABASE {outdated}")
            server.execute("CREATE DATABASE migrated_draft")
            migrate("migrated_draft")
            server.execute(f"ALTER DATABASE migrated_draft RENAME TO {name}")
    return name


def migrate(database: str) -> None:
    from django.core.management import call_command
    from django.db import connection

    kept = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = database
    try:
        call_command("migrate", verbosity=0, interactive=False)
    finally:
        connection.close()
        connection.settings_dict["NAME"] = kept


@pytest.fixture
def machine():
    """Folders for DATA_DIR that everybody may pass through, as embedded PostgreSQL needs when it must not be root."""
    made = []

    def make() -> Path:
        made.append(Path(tempfile.mkdtemp(prefix="emsp-test-")))
        made[-1].chmod(0o755)
        return made[-1] / "data"

    yield make
    for folder in made:
        shutil.rmtree(folder)


def pytest_addoption(parser):
    parser.addoption("--approve", action="store_true", help="take documents as they look now for what they should be")


def pytest_runtest_logreport(report):
    """Of every test, also those that ran in another process."""
    if "outside" in report.keywords and report.when == "call" and report.passed:
        counted.append(report.nodeid)


def pytest_sessionfinish(session):
    """With the outside material beside us, a whole run that compared nothing with it has not looked."""
    if is_whole(session.config) and OUTSIDE.exists() and not counted and not session.exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter):
    if not hasattr(terminalreporter.config, "workerinput"):
        missing = "" if OUTSIDE.exists() else "; ../shared is not beside the project, its cases were left out"
        terminalreporter.write_line(f"outside cases: {len(counted)}{missing}")


def is_whole(config) -> bool:
    """Nobody chose tests, and this process sees all their reports."""
    chosen = config.option.keyword or config.option.markexpr or config.args_source != config.ArgsSource.TESTPATHS
    return not chosen and not hasattr(config, "workerinput")
