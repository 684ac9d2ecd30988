"""Many issue at once while things break: no charge twice, no number lost (BIL-70, trust R1)."""

import threading
from datetime import timedelta

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.db.models import Count, F, Max, Min

from apps.billing import invoicing
from apps.billing.models import Charge, Invoice, InvoiceLine, InvoiceRun, NumberSeries
from tests.billing.charged import NOW, OCTOBER, World

pytestmark = pytest.mark.django_db(transaction=True)

BREAKS = """
CREATE FUNCTION test_breaks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF random() < 0.2 THEN RAISE EXCEPTION 'this statement broke'; END IF;
    IF random() < 0.02 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER breaks BEFORE INSERT ON billing_invoiceline FOR EACH STATEMENT EXECUTE FUNCTION test_breaks();
"""


@pytest.fixture
def world():
    return World()


@pytest.fixture
def broken():
    """Every fifth writing of lines fails, and now and then the connection is gone."""
    with connection.cursor() as cursor:
        cursor.execute(BREAKS)
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION IF EXISTS test_breaks() CASCADE")


def mended():
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION test_breaks() CASCADE")


def together(*works):
    start, errors = threading.Barrier(len(works)), []

    def one(work):
        try:
            start.wait(timeout=30)
            work()
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=one, args=(work,)) for work in works]
    [thread.start() for thread in threads]
    [thread.join(timeout=120) for thread in threads]
    assert errors == []


def stubborn(times=4):
    """An issuer that starts again when its connection went."""
    for _ in range(times):
        try:
            invoicing.issue(OCTOBER, NOW)
        except OperationalError:
            connection.close()


def assert_dense():
    """INV-4: each series is 1 to n, and its row says so."""
    series = NumberSeries.objects.filter(invoices__isnull=False)
    told = series.annotate(n=Count("invoices"), first=Min("invoices__sequence"), last=Max("invoices__sequence"))
    assert told.exists()
    assert not told.exclude(first=1, last=F("n"), next_number=F("n") + 1).exists()


def test_eight_issuers_with_failures_leave_no_gap_and_bill_nothing_twice(world, broken, monkeypatch):
    monkeypatch.setattr(invoicing, "ACCOUNTS_AT_ONCE", 5)
    accounts = [world.account(f"Account {number}") for number in range(30)]
    for account in accounts:
        world.charge(account, "10"), world.charge(account, "20", "DE"), world.charge(account, "5")
    together(*[stubborn] * 8)
    assert_dense()
    assert 0 < Invoice.objects.count() <= 60
    mended()
    invoicing.issue(OCTOBER, NOW)
    assert_dense()
    assert Invoice.objects.count() == 60
    assert InvoiceLine.objects.count() == Charge.objects.count() == 90
    assert not Charge.objects.filter(line=None).exists()


def test_eight_issuers_leave_nobody_out(world, monkeypatch, caplog):
    """Who comes second waits for the series, and then finds nothing: no failure, and no account named for it."""
    monkeypatch.setattr(invoicing, "ACCOUNTS_AT_ONCE", 1)
    for number in range(24):
        world.charge(world.account(f"Account {number}"), "10")
    together(*[lambda: invoicing.issue(OCTOBER, NOW)] * 8)
    assert_dense()
    assert Invoice.objects.count() == 24
    assert [run.left_out for run in InvoiceRun.objects.all() if run.left_out] == []
    assert [record.getMessage() for record in caplog.records if record.name.startswith("apps.")] == []


def test_invoices_and_credit_notes_at_once(world):
    firm = world.account("Firm", "company")
    charges = [world.charge(firm, "1.14", basis="net") for _ in range(10)]
    invoicing.issue(OCTOBER, NOW)
    for charge in charges:
        world.credit(charge)
        world.charge(firm, "2", basis="net")
    together(*[lambda: invoicing.issue(OCTOBER, NOW)] * 8)
    assert_dense()
    assert Invoice.objects.get(kind="CREDIT_NOTE").vat == Invoice.objects.get(kind="INVOICE", net="11.40").vat
    assert Invoice.objects.count() == 3


def test_what_is_netted_while_it_would_be_issued_is_on_no_document(world):
    """BIL-43: who locks the charge first wins, and the other sees it."""
    charges = [world.charge(world.account(f"Account {number}"), "10") for number in range(20)]

    def net():
        for charge in charges:
            with transaction.atomic():
                mine = Charge.objects.select_for_update(skip_locked=True).filter(pk=charge.pk)
                if list(mine) and not InvoiceLine.objects.filter(charge=charge).exists():
                    Charge.objects.filter(pk=charge.pk).update(netted_at=NOW)

    together(net, lambda: invoicing.issue(OCTOBER, NOW + timedelta(minutes=1)))
    assert not InvoiceLine.objects.exclude(charge__netted_at=None).exists()
    assert Charge.objects.filter(netted_at=None).count() == Invoice.objects.count()
    if Invoice.objects.exists():
        assert_dense()
