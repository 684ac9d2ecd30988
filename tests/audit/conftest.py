"""Three days of changes by Eva, the day before yesterday and before, each in a request of her own; nothing is sealed yet."""

from datetime import timedelta

import pghistory
import pytest
from django.db import connection, transaction
from django.utils import timezone

from apps.drivers.models import Account, Driver
from apps.staff.models import User
from emsp.audit import tables
from emsp.demo.sabotage import without_guards


def sql(statement, *values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


@transaction.atomic
def planted(statement, *values):
    """By somebody to whom no trigger applies."""
    without_guards()
    sql(statement, *values)
    sql("SET LOCAL session_replication_role = DEFAULT")


def move_back(days):
    """All changes, and their contexts."""
    for table in tables.names():
        planted(f"UPDATE {table} SET pgh_created_at = pgh_created_at - %s", timedelta(days))
    planted("UPDATE pghistory_context SET created_at = created_at - %s", timedelta(days))


def today():
    return timezone.now().date()


@pytest.fixture
def eva(db):
    return User.objects.create_superuser("eva", password="a-long-password-1")


@pytest.fixture
def anna(eva):
    """A driver, renamed on each of three days."""
    with pghistory.context(user=eva.pk, request_id="r-1", reason="a new customer"):
        account = Account.objects.create(name="Fleet", kind="company", country="SE", currency="SEK")
        driver = Driver.objects.create(account=account, name="Anna")
    for number in (2, 3):
        move_back(1)
        with pghistory.context(user=eva.pk, request_id=f"r-{number}", url="/admin/drivers/driver/1/change/"):
            driver.name = f"Anna {number}"
            driver.save()
    move_back(2)
    return driver
