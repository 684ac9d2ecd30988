"""A day that is sent once more, message by message, changes nothing (trust S44)."""

import pytest

from apps.tokens.models import Authorization
from tests.charging.conftest import CDR
from tests.ocpi.bodies import as_bytes, sent
from tests.security.test_office import contents

pytestmark = [pytest.mark.control("S44"), pytest.mark.django_db(transaction=True)]
RECORDS = {"partners_exchange", "partners_credentialstoken", Authorization._meta.db_table}
"""What says that something was said, and must grow."""


def day():
    told = {"country_code": "SE", "party_id": "LAD"}
    for number in range(10):
        name = {"id": f"N{number}"} | told
        yield "PUT", f"locations/SE/LAD/N{number}", sent("2.2.1", "location") | name
        yield "PUT", f"tariffs/SE/LAD/N{number}", sent("2.2.1", "tariff") | name
        yield "PUT", f"sessions/SE/LAD/N{number}", sent("2.2.1", "session") | name
        yield "POST", "cdrs", CDR | {"id": f"N{number}"}
        evse = sent("2.2.1", "location")["evses"][0]["uid"]
        yield (
            "PATCH",
            f"locations/SE/LAD/N{number}/{evse}",
            {"status": "BLOCKED", "last_updated": f"2027-01-01T00:00:0{number}Z"},
        )
        yield "PATCH", f"sessions/SE/LAD/N{number}", {"kwh": 15, "last_updated": f"2027-01-01T00:00:0{number}Z"}


def test_a_day_sent_twice_is_a_day_sent_once(caller):
    def send():
        answers = [caller.call(method, path, content=as_bytes(body)) for method, path, body in day()]
        assert {answer.json()["status_code"] for answer in answers} == {1000}
        return {table: digest for table, digest in contents().items() if table not in RECORDS}

    once = send()
    assert send() == once
    assert send() == once
