"""Each kind of process has a role of its own, which cannot change tables and can do its work (trust S50, S48)."""

import http.client
import json
import re
import socket
import subprocess
import sys
from contextlib import contextmanager
from http.cookies import SimpleCookie
from urllib.parse import urlencode

import psycopg
import pytest
from django.apps import apps
from django.db import connection
from django.urls import reverse
from django.utils import timezone
from psycopg.errors import InsufficientPrivilege, ReadOnlySqlTransaction

from apps.billing.models import Charge, Document
from apps.charging.models import Cdr
from apps.drivers.models import Driver
from apps.ocpi.versions import VERSIONS
from apps.partners import credentials
from apps.partners.models import CredentialsToken, Endpoint, Feed
from apps.staff.models import RecoveryCode, User
from apps.tokens.models import Authorization
from emsp import local
from emsp.audit import tables
from emsp.models import AuditDay, Invariant
from tests.admin.furnished import cdr_body, found_company, make_card, make_partner, receive
from tests.audit.conftest import move_back, sql
from tests.deploy.production import BASE, BEHIND_THE_PROXY, HOST, environment, manage, program, until
from tests.deploy.test_drill import run, tools  # noqa: F401  a fixture
from tests.security.factors import shown

pytestmark = pytest.mark.django_db(transaction=True)
ROLES = ("emsp_web", "emsp_worker", "emsp_report")
PASSWORD = "a-long-password-1"


@pytest.fixture
def apply(tools):  # noqa: F811
    """Runs the file; roles are of the whole server, which other processes of the tests share."""

    def again():
        with local.locked("roles"):
            done = run(tools, "psql", "-X", "-f", BASE / "deploy" / "roles.sql")
        assert (done.returncode, done.stderr) == (0, "")

    again()
    return again


@contextmanager
def connected(role, options="-c default_transaction_read_only=off"):
    """Whoever has the role may say that he wants to write."""
    place = connection.settings_dict
    where = {"host": place["HOST"] or str(local.sockets()), "dbname": place["NAME"], "user": role}
    with psycopg.connect(**where, options=options, autocommit=True) as line:
        yield line


def refused(role, statement):
    with connected(role) as line, pytest.raises(InsufficientPrivilege):
        line.execute(statement)


def url_of(role):
    place = connection.settings_dict
    return f"postgres://{role}@/{place['NAME']}?host={place['HOST'] or local.sockets()}"


@pytest.mark.control("S50")
@pytest.mark.parametrize("role", ROLES)
def test_no_process_changes_tables_switches_off_triggers_or_empties_a_table(apply, role):
    for statement in (
        "CREATE TABLE mine (id int)",
        "CREATE TEMPORARY TABLE mine (id int)",
        "CREATE SCHEMA mine",
        "CREATE EXTENSION pg_trgm",
        "DROP TABLE billing_payment",
        "ALTER TABLE billing_invoice ADD COLUMN mine int",
        "ALTER TABLE billing_invoice DISABLE TRIGGER ALL",
        "ALTER TABLE drivers_driverevent DISABLE TRIGGER change_is_kept",
        "DROP TRIGGER issued_stays ON billing_invoice",
        "SET session_replication_role = replica",
        "TRUNCATE drivers_driver CASCADE",
        "TRUNCATE staff_failedlogin",
        "CREATE OR REPLACE FUNCTION emsp_audit_is_kept() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE ROLE mine",
        "ALTER ROLE emsp_web SUPERUSER",
        "SET ROLE emsp",
    ):
        refused(role, statement)


@pytest.mark.control("S50")
@pytest.mark.control("S48")
@pytest.mark.parametrize("role", ["emsp_web", "emsp_worker"])
def test_what_is_sealed_and_which_migrations_ran_is_not_theirs_to_change(apply, role):
    sealed = ("billing_invoice", "billing_invoiceline", "billing_taxsubtotal", "billing_lostnumbers", "emsp_auditday")
    for table in (*sealed, *tables.names(), "django_migrations"):
        key = "pgh_id" if table in tables.names() else "id"
        refused(role, f"UPDATE {table} SET {key} = {key}")
        refused(role, f"DELETE FROM {table}")
    for table in ("billing_document", "charging_cdr", "pghistory_context"):
        refused(role, f"DELETE FROM {table}")
    refused(role, "INSERT INTO django_migrations (app, name, applied) VALUES ('x', 'x', now())")


@pytest.mark.control("S50")
def test_web_seals_no_day_and_the_worker_makes_nobody_a_user(apply):
    day = "INSERT INTO emsp_auditday (day, count, tables, previous, digest, sealed_at) VALUES ('2020-01-01', 0, '{}', '', '', now())"
    refused("emsp_web", day)
    refused("emsp_worker", "UPDATE staff_user SET is_superuser = true")
    refused("emsp_worker", "INSERT INTO auth_group (name) VALUES ('mine')")
    refused("emsp_worker", "SELECT session_data FROM django_session")


SECRETS = {
    "digest", "password", "outbound_token", "client_key", "secret", "session_key", "session_data", "reply_key", "last_four",
}  # fmt: skip
NO_SECRET = {("partners_quarantined", "digest"), ("emsp_auditday", "digest")}
"""Of what was sent, and of what was changed: they open nothing."""


@pytest.mark.control("S50")
def test_report_reads_and_writes_nothing(apply):
    found_company()
    make_card()
    with connected("emsp_report") as line:
        assert line.execute("SELECT name FROM drivers_driver").fetchall() == [("Anna Öberg 1",)]
        assert line.execute("SELECT count(*) FROM billing_invoice").fetchone() == (0,)
        assert line.execute("SELECT name, state FROM partners_partner").fetchall() == []
        assert line.execute("SELECT username, is_active FROM staff_user").fetchall() == []
    refused("emsp_report", "UPDATE drivers_driver SET name = 'x'")
    with connected("emsp_report", options="") as line, pytest.raises(ReadOnlySqlTransaction):
        line.execute("UPDATE drivers_driver SET name = 'x'")


@pytest.mark.control("S50")
@pytest.mark.control("S2")
def test_report_reads_no_secret_of_any_table(apply):
    models = [model for model in apps.get_models(include_auto_created=True) if model._meta.managed]
    looked_at = 0
    for model in models:
        for field in model._meta.concrete_fields:
            named = (model._meta.db_table, field.column)
            if field.column in SECRETS and named not in NO_SECRET:
                refused("emsp_report", f"SELECT {field.column} FROM {model._meta.db_table}")
                looked_at += 1
    assert looked_at >= 12
    refused("emsp_report", "SELECT request_body FROM partners_exchange")


@pytest.mark.control("S50")
def test_a_statement_has_its_end_by_role(apply):
    for role, end in (("emsp_web", "5s"), ("emsp_worker", "15min"), ("emsp_report", "5min")):
        with connected(role) as line:
            assert line.execute("SHOW statement_timeout").fetchone() == (end,)


def rights():
    return sql("SELECT relname, relacl::text FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1")


def test_running_it_again_changes_nothing(apply):
    before = rights()
    apply()
    assert rights() == before


@pytest.mark.control("S50")
def test_a_table_that_a_later_release_makes_is_open_to_web_and_worker_and_to_report_after_the_next_run(apply):
    sql("CREATE TABLE later (id bigserial PRIMARY KEY, name text)")
    try:
        for role in ("emsp_web", "emsp_worker"):
            with connected(role) as line:
                line.execute("INSERT INTO later (name) VALUES ('x')")
                line.execute("UPDATE later SET name = 'y'; DELETE FROM later")
            refused(role, "TRUNCATE later")
            refused(role, "ALTER TABLE later ADD COLUMN more int")
        refused("emsp_report", "SELECT name FROM later")
        apply()
        with connected("emsp_report") as line:
            line.execute("SELECT name FROM later")
    finally:
        sql("DROP TABLE later")


class Line(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__(HOST, timeout=60)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Browser:
    """Somebody before web, with cookies."""

    def __init__(self, path):
        self.line, self.cookies = Line(path), {}

    def ask(self, method, url, body=None, **headers):
        headers |= BEHIND_THE_PROXY | {"Referer": f"https://{HOST}/", "X-Forwarded-For": "192.0.2.1"}
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        self.line.request(method, url, body, headers)
        answer = self.line.getresponse()
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            self.cookies |= {name: morsel.value for name, morsel in SimpleCookie(cookie).items()}
        return answer.status, answer.read().decode()

    def post(self, url, **values):
        _, page = self.ask("GET", url)
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.ask("POST", url, urlencode(values | {"csrfmiddlewaretoken": token}), **kind)


@pytest.fixture
def browser(apply, tmp_path):
    """Before web as emsp-web.service starts it, but with the role of web."""
    assert manage("collectstatic", "--noinput", DATA_DIR=str(tmp_path)).returncode == 0
    path = tmp_path / "web.sock"
    command = [program("gunicorn"), "--bind", f"unix:{path}"]
    settings = environment(DATABASE_URL=url_of("emsp_web"), DATA_DIR=str(tmp_path), WEB_STOP_PAUSE="0")
    settings |= {"CELERY_BROKER_URL": "memory://"}
    with (tmp_path / "web.log").open("ab") as said:
        process = subprocess.Popen(command, env=settings, cwd=BASE, stdout=said, stderr=said)
    try:
        until(path.exists)
        visitor = Browser(path)
        yield visitor
        visitor.line.close()
        assert "permission denied" not in (tmp_path / "web.log").read_text()
    finally:
        process.terminate()
        process.wait()


@pytest.mark.control("S50")
def test_web_does_its_work_with_the_role_of_web(browser):
    found_company()
    partner, card = make_partner(), make_card()
    driver = Driver.objects.get()
    User.objects.create_superuser("eva", password=PASSWORD)
    token = credentials.issue(partner, CredentialsToken.Kind.CREDENTIALS, timezone.now())
    cpo = {"Authorization": VERSIONS["2.2.1"].authorization(token), "Content-Type": "application/json"}

    assert browser.post("/admin/login/?next=/admin/", username="eva", password=PASSWORD)[0] == 302
    enrol(browser)
    change = reverse("admin:drivers_driver_change", args=[driver.pk])
    assert browser.post(change, name="Anna B", email="")[0] == 302
    assert Driver.objects.get().name == "Anna B"
    assert sql("SELECT count(*) FROM drivers_driverevent WHERE pgh_context_id IS NOT NULL") == [(1,)]
    for page in lists():
        assert browser.ask("GET", page)[0] == 200, page

    body = cdr_body("CDR-1", card.uid, card.contract.contract_id)
    assert browser.ask("POST", "/ocpi/2.2.1/cdrs", body, **cpo)[0] in {200, 201}
    assert Cdr.objects.count() == 1
    status, answer = browser.ask("POST", f"/ocpi/2.2.1/tokens/{card.uid}/authorize", **cpo)
    assert (status, json.loads(answer)["data"]["allowed"]) == (200, "ALLOWED")
    assert Authorization.objects.count() == 1
    assert browser.ask("GET", "/readyz")[0] == 200


def enrol(browser):
    """As whoever logs in for the first time."""
    url = f"{reverse('staff:enrol')}?next=/admin/"
    _, page = browser.ask("GET", url)
    secret = re.search(r"(?:[A-Z2-7]{4} ){7}[A-Z2-7]{4}", page)[0]
    status, codes = browser.post(url, code=shown(secret))
    assert (status, RecoveryCode.objects.count()) == (200, 10), codes


def lists():
    """The home page, and the list of every model that has one."""
    from django.contrib.admin import site

    names = [f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist" for model in site._registry]
    return [reverse("admin:index"), *map(reverse, names)]


ALL_TASKS = """
from emsp import local
local.set_up_django()
from emsp.celery import app
app.autodiscover_tasks(force=True)
for entry in app.conf.beat_schedule.values():
    app.tasks[entry["task"]](*entry.get("args", ()))
"""


@pytest.mark.control("S50")
def test_the_worker_does_its_work_with_the_role_of_the_worker(apply, tmp_path):
    """All that the timetable names, and a month."""
    found_company()
    partner, card = make_partner(), make_card()
    receive(partner, cdr_body("CDR-1", card.uid, card.contract.contract_id))
    Feed.objects.all().delete()
    Endpoint.objects.all().delete()
    move_back(2)
    there = {"DATABASE_URL": url_of("emsp_worker"), "DATA_DIR": str(tmp_path), "CELERY_BROKER_URL": "memory://"}

    worked(there)
    assert Charge.objects.count() == 1
    assert AuditDay.objects.exists()
    assert Invariant.objects.exists()
    issued = manage("invoices", "run", "--period", "2026-10", "--issue", **there)
    assert issued.returncode == 0, issued.stderr
    worked(there)
    assert Document.objects.exclude(pdf=None).count() == 1
    assert manage("audit", "verify", **there).returncode == 0
    assert manage("invariants", **there).returncode == 0


def worked(there):
    command = [sys.executable, "-c", ALL_TASKS]
    done = subprocess.run(command, env=environment(**there), cwd=BASE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "permission denied" not in done.stderr
