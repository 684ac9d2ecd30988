"""Passwords that are tried (trust S46): five, then a pause that doubles, for one account and network alone."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from apps.staff import logins
from apps.staff.models import FailedLogin, User

pytestmark = [pytest.mark.control("S46"), pytest.mark.django_db]
NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
RIGHT = "right-and-long"


@pytest.fixture
def anna(db):
    return User.objects.create_superuser("anna", "", RIGHT)


def log_in(password, username="anna", address="192.0.2.1"):
    answer = Client().post(reverse("admin:login"), {"username": username, "password": password}, REMOTE_ADDR=address)
    return "in" if answer.status_code == 302 else "locked" if "Too many tries" in answer.content.decode() else "wrong"


def test_after_five_wrong_passwords_the_right_one_is_not_looked_at(anna):
    assert [log_in("wrong") for _ in range(6)] == ["wrong"] * 5 + ["locked"]
    assert log_in(RIGHT) == "locked"
    assert log_in(RIGHT, address="192.0.2.99") == "locked"  # the same network


def test_a_stranger_elsewhere_keeps_nobody_out(anna):
    assert [log_in("wrong", address="198.51.100.7") for _ in range(8)][-1] == "locked"
    assert log_in(RIGHT) == "in"


def test_another_account_is_another(anna):
    User.objects.create_superuser("bert", "", RIGHT)
    for _ in range(6):
        log_in("wrong")
    assert log_in(RIGHT, username="bert") == "in"


def test_an_account_that_there_is_not_is_locked_alike(db):
    assert [log_in("wrong", username="nobody") for _ in range(6)] == ["wrong"] * 5 + ["locked"]


def test_who_got_in_starts_anew(anna):
    assert [log_in("wrong") for _ in range(4)] == ["wrong"] * 4
    assert log_in(RIGHT) == "in"
    assert not FailedLogin.objects.exists()
    assert [log_in("wrong") for _ in range(4)] == ["wrong"] * 4


def test_pauses_double_and_end():
    at, waits = NOW, []
    for _ in range(14):
        assert logins.admit("anna", "192.0.2.1", at) == timedelta()
        wait = logins.admit("anna", "192.0.2.1", at) if len(waits) >= 4 else timedelta()
        waits.append(wait.total_seconds() / 60)
        at += wait
    assert waits == [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert logins.admit("anna", "192.0.2.1", at + timedelta(days=2)) == timedelta()
    assert FailedLogin.objects.get().tries == 1


def test_the_name_is_the_same_however_it_is_spelt(anna):
    for name in ("anna", "ANNA", "Anna", "aNNa", "annA"):
        log_in("wrong", username=name)
    assert log_in("wrong") == "locked"


def test_what_is_old_is_forgotten():
    logins.admit("anna", "192.0.2.1", NOW)
    assert logins.forget(NOW + timedelta(hours=23)) == 0
    assert logins.forget(NOW + timedelta(hours=25)) == 1


@pytest.mark.django_db(transaction=True)
def test_many_tries_at_once_are_no_more_than_five():
    def attempt(_):
        try:
            return logins.admit("anna", "192.0.2.1", NOW)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(attempt, range(24)))
    assert waits.count(timedelta()) == 5
