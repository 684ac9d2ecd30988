"""What the simulated CPO sends is what the tables of OCPI 2.2.1 say, by a reading that shares nothing with ours."""

import json
from decimal import Decimal

import pytest

from apps.simulator.costs import TOTALS
from apps.simulator.cpo import World
from apps.simulator.wire import encode
from tests.simulator.conftest import CARDS
from tests.simulator.receiver import token
from tests.simulator.validate import SCHEMAS, problems

SESSION_ONLY = {"CURRENT", "ENERGY_EXPORT", "ENERGY_IMPORT", "POWER", "STATE_OF_CHARGE"}


def sent(body):
    return json.loads(encode(body), parse_float=Decimal)


@pytest.fixture
def played(cpo, emsp, receiver):
    cpo.play("sessions", count=6)
    cpo.play("publish")
    cpo.play("cdrs", count=60, pull_only=5)
    return receiver


def test_every_location_and_tariff_of_the_full_world_is_what_the_table_says():
    world = World.make()
    found = [problem for body in world.locations.values() for problem in problems(sent(body), "location")]
    found += [problem for body in world.tariffs.values() for problem in problems(sent(body), "tariff")]
    assert found == []


@pytest.mark.parametrize("module", ["locations", "tariffs", "sessions"])
def test_every_object_put_is_what_the_table_says(played, module):
    bodies = played.bodies("PUT", module)
    assert bodies and [problem for body in bodies for problem in problems(body, module[:-1])] == []


def test_every_session_patch_has_fields_of_a_session(played):
    bodies = played.bodies("PATCH", "sessions")
    assert bodies and [problem for body in bodies for problem in problems(body, "session", is_partial=True)] == []


def test_every_cdr_but_the_one_to_be_refused_is_what_the_table_says(played):
    found = {body["id"]: problems(body, "cdr") for body in played.bodies("POST", "cdrs")}
    assert [wrong for wrong in found.values() if wrong] == [["/currency: missing"]]


def test_a_cdr_has_no_dimension_that_is_for_sessions_only(played):
    dimensions = [
        entry
        for body in played.bodies("POST", "cdrs")
        for period in body["charging_periods"]
        for entry in period["dimensions"]
    ]
    assert {entry["type"] for entry in dimensions}.isdisjoint(SESSION_ONLY)


@pytest.mark.parametrize("module", ["locations", "tariffs", "sessions", "cdrs"])
def test_every_object_served_is_what_the_table_says(played, emsp, module):
    bodies = [body for page in emsp.pages(module) for body in page]
    wrong = {problem for body in bodies for problem in problems(body, module[:-1])}
    assert bodies and wrong <= {"/currency: missing"}


def test_the_credentials_sent_are_what_the_table_says(cpo, emsp, receiver):
    assert problems(receiver.credentials_of_cpo, "credentials") == []
    assert [role["country_code"] for role in receiver.credentials_of_cpo["roles"]] == ["SE", "DE"]


def test_each_schema_is_used_by_a_check():
    assert set(SCHEMAS) == {
        f"{name}.json" for name in "authorization_info cdr credentials location session tariff token types".split()
    }


def test_the_checks_find_what_is_wrong():
    spoiled = token(CARDS[0] * 4, type="PLASTIC", valid="yes", colour="red", whitelist=1) | {
        "last_updated": "yesterday"
    }
    del spoiled["issuer"]
    fields = {problem.split(":")[0] for problem in problems(spoiled, "token")}
    assert fields == {"/uid", "/type", "/valid", "/colour", "/whitelist", "/last_updated", "/issuer", "/contract_id"}


def test_every_total_of_a_cdr_is_a_field_of_the_table():
    assert set(TOTALS.values()) <= set(SCHEMAS["cdr.json"]["properties"])
