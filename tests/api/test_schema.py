"""What our API says of itself, and whether it does so: called in every way that its description allows, and in some it does not."""

import json
from collections import Counter
from io import StringIO

import pytest
import schemathesis
from django.core.management import call_command
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode, checks
from schemathesis.core.control import SkipTest
from schemathesis.specs.openapi import checks as of_openapi

from apps.api import keys
from apps.api.schema import description
from apps.charging.models import Command, Session
from emsp.urls import api_urls
from emsp.wsgi import application
from tests.admin.furnished import NOW, bill, cdr_body, receive
from tests.api.conftest import driver_of, id_of

pytestmark = pytest.mark.django_db
CASES = 12


def test_the_description_is_made_without_a_warning(app):
    said = StringIO()
    call_command("spectacular", "--fail-on-warn", "--validate", "--format", "openapi-json", stdout=said)
    assert json.loads(said.getvalue()) == app.told("schema")


def test_every_endpoint_is_described():
    described = {path.strip("/") for path in json.loads(description())["paths"]}
    named = {pattern.pattern._route.replace("<str:", "{").replace(">", "}") for pattern in api_urls}
    assert described == named


@pytest.fixture
def known(company, partner, card, make_place):
    """Something of each kind, so that not every answer is that there is nothing; values of paths and queries."""
    place = make_place()
    told = {
        "started_at": NOW,
        "whole_at": NOW,
        "last_updated": NOW,
        "received_at": NOW,
        "body": b"{}",
        "version": "2.2.1",
    }
    session = Session.objects.create(
        party=place.party, partner=partner, ocpi_id="S", token=card, status="ACTIVE", energy=1, currency="SEK", **told
    )
    command = Command.objects.create(
        kind="STOP_SESSION",
        party=place.party,
        partner=partner,
        session=session,
        requested_at=NOW,
        due_at=NOW,
        reply_key="x",
    )
    receive(partner, cdr_body("CDR-1", card.uid, card.contract.contract_id))
    bill()
    invoice = card.contract.driver.account.invoices.get()
    rows = {"location_id": place, "session_id": session, "command_id": command, "invoice_id": invoice}
    values = {name: id_of(row) for name, row in rows.items()}
    return values | {
        "driver_id": driver_of(card),
        "contract_id": card.contract.contract_id,
        "contract": id_of(card.contract),
    }


KEPT = (
    checks.not_a_server_error, of_openapi.status_code_conformance, of_openapi.content_type_conformance,
    of_openapi.response_headers_conformance, of_openapi.response_schema_conformance,
)  # fmt: skip
QUICK = settings(
    max_examples=CASES, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


@pytest.mark.control("S26")
@pytest.mark.django_db(transaction=True)  # a request through WSGI itself gives its connection back
def test_every_answer_is_as_described_whatever_is_asked(known):
    """What the description allows, and what it does not; every other time about something that there is."""
    header = {"Authorization": f"Bearer {keys.issue('Fuzz', 'ACT', NOW, by='eva', pace=1000)[1]}"}
    described, seen = schemathesis.openapi.from_wsgi("/api/v1/schema", application, headers=header), Counter()
    for mode in GenerationMode:
        for operation in described.get_all_operations():
            for case in cases(operation.ok(), mode):
                for values in (case.path_parameters, case.query):
                    if seen["cases"] % 2:
                        values.update({name: known[name] for name in (values or {}) if name in known})
                answer = case.call(headers=header)
                case.validate_response(answer, checks=KEPT)
                seen.update(["cases", f"{answer.status_code // 100}xx"])
    assert seen["cases"] > 2 * len(api_urls) * CASES / 2
    assert min(seen["2xx"], seen["4xx"]) > len(api_urls)


def cases(operation, mode) -> list:
    """Some calls of an endpoint; none where it cannot be called wrongly."""
    drawn = []

    def keep(case):
        drawn.append(case)

    try:
        QUICK(given(operation.as_strategy(generation_mode=mode))(keep))()
    except (SkipTest, Unsatisfiable):
        assert mode == GenerationMode.NEGATIVE
    return drawn
