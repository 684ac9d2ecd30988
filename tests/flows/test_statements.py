"""How often what partners call most asks the database: each statement more is a tenth of the time."""

import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.drivers.models import Account, Contract, Driver
from apps.ocpi.versions import VERSIONS
from apps.tokens.models import Token
from tests.partners.mirrors import example, header_of, make_partner

pytestmark = pytest.mark.django_db
NEWER = "2035-01-01T00:00:00Z"


@pytest.fixture
def asked(client, db):
    """Call as a partner; the statements that took."""
    header = header_of(make_partner())

    def asked(method, path, body=None, version="2.2.1"):
        content = b"" if body is None else json.dumps(body).encode()
        with CaptureQueriesContext(connection) as queries:
            answer = client.generic(
                method,
                f"/ocpi/{version}/{path}",
                content,
                content_type="application/json",
                headers=header,
            )
        assert answer.json()["status_code"] == 1000, answer.content
        return [query["sql"] for query in queries]

    asked("GET", "tokens")
    return asked


def test_of_the_caller_everything_is_asked_at_once(asked):
    account = Account.objects.create(name="Fleet", kind="company", country="SE", currency="SEK")
    driver = Driver.objects.create(account=account, name="Driver")
    contract = Contract.objects.create(driver=driver, contract_id="SE-EMP-C00000001")
    Token.objects.create(contract=contract, uid="04AB", type="RFID", issuer="Us", last_updated=timezone.now())
    asked("PUT", "locations/SE/LAD/LOC-7", example("location"))
    place = "locations/SE/LAD/LOC-7/LAD-7-1"
    for statements in (
        asked("POST", "tokens/04AB/authorize"),
        asked("PATCH", place, {"status": "CHARGING", "last_updated": NEWER}),
        asked("POST", "cdrs", example("cdr")),
    ):
        of_partner = [statement for statement in statements if 'FROM "partners_' in statement]
        assert of_partner == [], "a field that every request needs belongs to apps/partners/credentials.py"


@pytest.mark.parametrize("version", VERSIONS)
def test_whose_a_cdr_is_that_does_not_say_it_is_asked_with_all_else(version, asked):
    statements = asked("POST", "cdrs", example("cdr", version), version)
    assert [statement for statement in statements if 'FROM "partners_' in statement] == []
