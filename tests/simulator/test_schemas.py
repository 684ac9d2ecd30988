"""What the simulated CPO sends is what the tables of each version say, by a reading that shares nothing with ours."""

import json
from decimal import Decimal

import pytest

from apps.simulator.costs import TOTALS
from apps.simulator.cpo import World
from apps.simulator.dialects import spoken
from apps.simulator.server import Simulator
from apps.simulator.wire import encode
from tests.simulator.conftest import CARDS
from tests.simulator.receiver import token
from tests.simulator.validate import SCHEMAS, problems

SESSION_ONLY = {"CURRENT", "ENERGY_EXPORT", "ENERGY_IMPORT", "POWER", "STATE_OF_CHARGE"}


def sent(body):
    return json.loads(encode(body), parse_float=Decimal)


@pytest.fixture(params=["2.1.1", "2.2.1", "2.3.0"])
def version(request):
    return request.param


@pytest.fixture
def played(cpo, emsp, receiver):
    cpo.play("sessions", count=6)
    cpo.play("publish")
    cpo.play("cdrs", count=60, pull_only=5)
    return receiver


def test_every_location_and_tariff_of_the_full_world_is_what_the_table_says(version):
    world = World.make()
    for kind, made in (("location", world.locations), ("tariff", world.tariffs)):
        bodies = [sent(spoken(version, f"{kind}s", body, {})) for body in made.values()]
        assert [problem for body in bodies for problem in problems(body, kind, version=version)] == []


@pytest.mark.parametrize("module", ["locations", "tariffs", "sessions"])
def test_every_object_put_is_what_the_table_says(played, module, version):
    bodies = played.bodies("PUT", module)
    assert bodies and [problem for body in bodies for problem in problems(body, module[:-1], version=version)] == []


def test_every_session_patch_has_fields_of_a_session(played, version):
    bodies = played.bodies("PATCH", "sessions")
    found = [problem for body in bodies for problem in problems(body, "session", is_partial=True, version=version)]
    assert bodies and found == []


def test_every_cdr_but_the_one_to_be_refused_is_what_the_table_says(played, version):
    found = {body["id"]: problems(body, "cdr", version=version) for body in played.bodies("POST", "cdrs")}
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
def test_every_object_served_is_what_the_table_says(played, emsp, module, version):
    bodies = [body for page in emsp.pages(module) for body in page]
    wrong = {problem for body in bodies for problem in problems(body, module[:-1], version=version)}
    assert bodies and wrong <= {"/currency: missing"}


def test_the_credentials_sent_are_what_the_table_says(cpo, emsp, receiver, version):
    said = receiver.credentials_of_cpo
    assert problems(said, "credentials", version=version) == []
    assert [role["country_code"] for role in said.get("roles", [said])] == ["SE", "DE"][
        : 1 if "roles" not in said else 2
    ]


def test_a_token_is_given_back_as_it_was_sent(cpo, emsp, version):
    shown = emsp.get(f"tokens/SE/EMO/{CARDS[0]}").json()["data"]
    assert problems(shown, "token", version=version) == []


def test_2_1_1_has_no_credits(cpo, emsp, receiver, version):
    cpo.play("cdrs", count=30, pull_only=2)
    has_credits = {entry["fault"] for entry in cpo.ledger.entries("cdr")} >= {"credit", "replacement"}
    assert has_credits == (version != "2.1.1")


def test_2_1_1_has_room_for_one_party(tmp_path):
    with Simulator(tmp_path / "two", versions=("2.1.1",)) as cpo, pytest.raises(ValueError, match="one party"):
        cpo.registration.credentials("token", "2.1.1")


@pytest.mark.parametrize("spoken_version", SCHEMAS)
def test_each_schema_is_used_by_a_check(spoken_version):
    assert set(SCHEMAS[spoken_version]) == {
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
    assert set(TOTALS.values()) <= set(SCHEMAS["2.2.1"]["cdr.json"]["properties"])
