"""Migrations after the first release run while everybody works, and beside code that does not know them yet (trust R23, F30).

What a migration may not do is one list, RULES. What it has to do all the same is in WAIVED, with the reason.
"""

import re
import threading
import time
from typing import NamedTuple

import pytest
from django.apps import apps
from django.contrib.postgres.operations import AddConstraintNotValid, AddIndexConcurrently, ValidateConstraint
from django.db import connection, migrations, models, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration

from apps.postgresql.base import LONGEST_S
from apps.postgresql.migrating import AtOnce
from emsp.management.commands.migrate import PATIENCE_MS
from tests.deploy.production import manage

RELEASED = {
    "billing": "0005_lost_numbers", "charging": "0002_sealed_cdrs", "drivers": "0002_contract_number", "emsp": "0002_groups",
    "locations": "0001_initial", "partners": "0001_initial", "staff": "0001_initial", "tariffs": "0001_initial",
    "tokens": "0001_initial",
}  # fmt: skip
"""The last migration of each app before anybody had data to lose."""

WAIVED: dict[tuple[str, str, str], str] = {
    ("emsp", "0003_alarms", "rows"): "permissions of two groups, a hundred rows",
    ("emsp", "0004_commands", "rows"): "two permissions of the ready groups",
    ("emsp", "0005_reports", "rows"): "a few permissions of the ready groups",
    ("emsp", "0006_links", "rows"): "a few permissions of the ready groups",
    ("emsp", "0007_api_keys", "rows"): "a few permissions of the ready groups",
    ("emsp", "0008_clients", "rows"): "a permission of the ready groups",
    ("emsp", "0009_invoices_of_cpos", "rows"): "a few permissions of the ready groups",
    ("emsp", "0010_what_is_agreed", "rows"): "a few permissions of the ready groups",
    ("partners", "0009_ids_of_messages", "type"): "a longer varchar: PostgreSQL looks at no row",
    ("partners", "0011_owner_of_quarantined", "rows"): "what waits for staff to approve a party: few rows",
    ("partners", "0012_invoices_are_pulled", "type"): "a longer varchar: PostgreSQL looks at no row",
}
"""(app, migration, rule): why it is safe there."""


class Rule(NamedTuple):
    name: str
    refused: str
    instead: str


RULES = (
    Rule("index", r"CREATE (UNIQUE )?INDEX (?!CONCURRENTLY)", "AddIndexConcurrently, in a migration with atomic = False"),
    Rule("default", r"ALTER COLUMN \S+ DROP DEFAULT", "db_default: code of the release before does not know the column"),
    Rule("no default", r"ADD COLUMN (?!.*\bDEFAULT\b).*NOT NULL", "null=True or db_default"),
    Rule(
        "rewrite", r"ADD COLUMN .*\b(gen_random_uuid|random|clock_timestamp|nextval|serial|IDENTITY|STORED)\b",
        "add it empty, and fill it in batches",
    ),
    Rule("type", r"ALTER COLUMN \S+ TYPE", "a new column beside the old one"),
    Rule("not null", r"ALTER COLUMN \S+ SET NOT NULL", "a CHECK that is added NOT VALID and validated by a migration of its own"),
    Rule("constraint", r"ADD CONSTRAINT (?!.*NOT VALID).*(CHECK|FOREIGN KEY)", "AddConstraintNotValid, then ValidateConstraint"),
    Rule("unique", r"ADD CONSTRAINT (?!.*USING INDEX).*(UNIQUE|PRIMARY KEY|EXCLUDE)", "a unique index, made CONCURRENTLY"),
    Rule("gone", r"DROP (COLUMN|TABLE)|\bRENAME\b", "first a release whose code does without, then a waiver that names it"),
    Rule("lock", r"^(LOCK|CLUSTER|VACUUM FULL|REINDEX (?!.*CONCURRENTLY))", "nothing: it stops everybody"),
    Rule("rows", r"^(UPDATE|DELETE|INSERT)\b|CANNOT BE WRITTEN AS SQL", "batches, in a command; a waiver for few rows"),
)  # fmt: skip


def breaks(statements):
    """Names of rules that these statements of one migration break; a table that it makes is nobody's yet."""
    made = re.findall(r"CREATE TABLE (\S+)", "\n".join(statements))
    looked_at = [
        one for one in statements if not any(re.search(rf"(TABLE|ON) {re.escape(table)}", one) for table in made)
    ]
    found = {rule.name for rule in RULES for one in looked_at if re.search(rule.refused, one)}
    validated = re.findall(r"VALIDATE CONSTRAINT (\S+?);?$", "\n".join(statements), re.MULTILINE)
    return found | {"constraint" for name in validated if f"ADD CONSTRAINT {name} " in "\n".join(statements)}


def sql_of(migration, state):
    with connection.schema_editor(collect_sql=True, atomic=migration.atomic) as editor:
        migration.apply(state, editor, collect_sql=True)
    return [line for line in editor.collected_sql if not line.startswith("--") or "CANNOT BE" in line]


def later_migrations():
    loader = MigrationLoader(connection)
    ours = {config.label for config in apps.get_app_configs() if config.name.startswith(("apps.", "emsp"))}
    for label, name in loader.graph.nodes:
        if label in ours and name > RELEASED.get(label, ""):
            yield label, name, loader


@pytest.mark.django_db(transaction=True)  # indexes cannot be made concurrently inside of one
def test_no_migration_rewrites_locks_or_forgets_what_the_release_before_needs():
    for label, name, loader in later_migrations():
        parents = loader.graph.node_map[label, name].parents
        broken = breaks(sql_of(loader.graph.nodes[label, name], loader.project_state([node.key for node in parents])))
        waived = {rule for app, migration, rule in WAIVED if (app, migration) == (label, name)}
        told = [f"{rule.name}: {rule.instead}" for rule in RULES if rule.name in broken - waived]
        assert not told, (label, name, told)
        assert waived <= broken, f"{label} {name} needs no waiver for {waived - broken}"


MOST_CHANGES = 6
"""Of one transaction: Django thinks for a tenth of a second about each, and what the first has locked stays locked."""


@pytest.mark.django_db
def test_a_migration_of_many_changes_makes_them_at_once():
    many = {
        (label, name)
        for label, name, loader in later_migrations()
        if len(loader.graph.nodes[label, name].operations) > MOST_CHANGES
        and not isinstance(loader.graph.nodes[label, name], AtOnce)
    }
    assert not many, "let them be AtOnce (apps/postgresql/migrating.py)"


COLUMN = {"model_name": "invoicerun", "name": "remark"}
CHECK = models.CheckConstraint(condition=models.Q(accounts__gte=0), name="accounts_there")
INDEX = models.Index(fields=["period"], name="run_by_period")
FORMS = [
    (migrations.AddField(**COLUMN, field=models.TextField(default="")), {"default"}),
    (migrations.AddField(**COLUMN, field=models.TextField(db_default="")), set()),
    (migrations.AddField(**COLUMN, field=models.TextField(null=True)), set()),
    (migrations.AlterField("invoicerun", "accounts", models.BigIntegerField(default=0)), {"type"}),
    (migrations.AlterField("invoicerun", "finished_at", models.DateTimeField()), {"not null"}),
    (migrations.RemoveField("invoicerun", "reached"), {"gone"}),
    (migrations.RenameField("invoicerun", "reached", "position"), {"gone"}),
    (migrations.DeleteModel("Payment"), {"gone"}),
    (migrations.AddIndex("invoicerun", INDEX), {"index"}),
    (AddIndexConcurrently("invoicerun", INDEX), set()),
    (migrations.AddConstraint("invoicerun", CHECK), {"constraint"}),
    (AddConstraintNotValid("invoicerun", CHECK), set()),
    (migrations.AddConstraint("invoicerun", models.UniqueConstraint(fields=["period"], name="once")), {"unique"}),
    (migrations.RunSQL("UPDATE billing_invoicerun SET accounts = 0"), {"rows"}),
    (migrations.RunSQL("LOCK billing_invoicerun"), {"lock"}),
    (migrations.RunPython(migrations.RunPython.noop), {"rows"}),
    (migrations.CreateModel("Remark", [("id", models.BigAutoField(primary_key=True)), ("text", models.TextField())]), set()),
]  # fmt: skip


def tried(*operations):
    migration = Migration("9999_tried", "billing")
    migration.operations = operations
    migration.atomic = not any(isinstance(one, AddIndexConcurrently) for one in operations)
    return breaks(sql_of(migration, MigrationLoader(connection).project_state()))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("operation", "broken"), FORMS, ids=lambda value: type(value).__name__)
def test_the_rules_know_the_safe_form_of_a_change_from_the_other(operation, broken):
    assert tried(operation) == broken


@pytest.mark.django_db(transaction=True)
def test_what_is_made_at_once_is_made_up_before_it_is_begun(monkeypatch):
    """So nothing is locked while Django thinks."""
    steps = [
        migrations.AddField(**COLUMN, field=models.TextField(db_default="")),
        AddConstraintNotValid("invoicerun", CHECK),
    ]
    migration, order = AtOnce("9999_tried", "billing"), []
    migration.operations = steps
    state = MigrationLoader(connection).project_state()
    for step in steps:
        made_up = type(step).database_forwards
        monkeypatch.setattr(
            step, "database_forwards", lambda *a, f=made_up, s=step: order.append("made up") or f(s, *a)
        )
    with connection.schema_editor() as editor:
        run = editor.execute
        monkeypatch.setattr(editor, "execute", lambda *a, **k: order.append("run") or run(*a, **k))
        migration.apply(state.clone(), editor)
        assert order == ["made up"] * 2 + ["run"] * 2
        assert "remark" in columns_of("billing_invoicerun")
        editor.connection.set_rollback(True)


def columns_of(table):
    with connection.cursor() as cursor:
        return {column.name for column in connection.introspection.get_table_description(cursor, table)}


def test_what_cannot_be_made_up_first_is_not_made_at_once():
    migration = AtOnce("9999_tried", "billing")
    migration.operations = [migrations.RunPython(migrations.RunPython.noop)]
    with pytest.raises(ValueError, match="made up first"):
        migration.apply(None, None)


@pytest.mark.django_db(transaction=True)
def test_a_constraint_is_not_validated_by_the_migration_that_adds_it():
    assert tried(ValidateConstraint("invoicerun", CHECK.name)) == set()
    assert tried(AddConstraintNotValid("invoicerun", CHECK), ValidateConstraint("invoicerun", CHECK.name)) == {
        "constraint"
    }


@pytest.mark.django_db(transaction=True)
def test_a_migration_lets_others_pass_and_tries_again():
    """Somebody uses a table for longer than it waits for a lock: it comes back, and ends well."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE billing_billedtous, emsp_heartbeat, emsp_auditday CASCADE")
        go_back_to_document_due(cursor)
        guards = [f"emsp_audit_{name}()" for name in ("is_kept", "is_of_today", "day_follows", "context_stays")]
        cursor.execute(f"DROP FUNCTION {', '.join(guards)} CASCADE")
        later = ["0006_invoices_of_cpos", "0009_invoices_of_cpos", "0010_what_is_agreed", "0011_heartbeats"]
        later += ["0012_audit_days"]
        cursor.execute("DELETE FROM django_migrations WHERE name = ANY(%s)", [later])
    done = []
    release = threading.Thread(target=lambda: done.append(manage("migrate", "--noinput")))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK partners_party IN SHARE ROW EXCLUSIVE MODE")
        release.start()
        wait_until_somebody_waits(cursor)
        release.join(PATIENCE_MS / 1000 + 1)
        assert release.is_alive(), done
    release.join()
    assert done[0].returncode == 0, done[0].stderr
    assert "in use by others" in done[0].stderr


@pytest.mark.django_db(transaction=True)
def test_an_index_that_is_made_concurrently_is_waited_for_however_long_somebody_reads():
    """It holds nobody up; given up half-way it would be an index that is none, and in the way of the next try."""
    with connection.cursor() as cursor:
        go_back_to_document_due(cursor)
    done = []
    release = threading.Thread(target=lambda: done.append(manage("migrate", "--noinput")))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SELECT count(*) FROM billing_document")
        release.start()
        wait_until_somebody_waits(cursor)
        release.join(2 * PATIENCE_MS / 1000 + 1)
        assert release.is_alive(), done
    release.join()
    assert (done[0].returncode, done[0].stderr) == (0, "")
    with connection.cursor() as cursor:
        cursor.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = 'document_next'::regclass")
        assert cursor.fetchone() == (True,)


def go_back_to_document_due(cursor):
    """Billing as it was before 0007."""
    cursor.execute("ALTER INDEX document_next RENAME TO document_due")
    cursor.execute("DROP INDEX charge_of_registration")
    cursor.execute("DELETE FROM django_migrations WHERE app = 'billing' AND name >= '0007'")


def test_nobody_who_answers_a_partner_gives_up_behind_a_migration():
    assert PATIENCE_MS / 1000 <= LONGEST_S / 2


def wait_until_somebody_waits(cursor, patience=60):
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        if cursor.fetchone()[0]:
            return
        time.sleep(0.1)
    raise AssertionError("nobody asked for the table")
