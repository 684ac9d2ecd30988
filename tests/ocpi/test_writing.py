"""What we write, against schemas made from the tables of 2.2.1 by others than our reader."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from apps.ocpi import objects
from apps.ocpi.envelope import encode
from apps.ocpi.versions import V221, VERSIONS
from tests.ocpi import bodies
from tests.ocpi.outside import examples
from tests.simulator.validate import problems

SCHEMAS = {"authorization": "authorization_info"}
KINDS = ("location", "tariff", "session", "cdr", "token", "credentials", "authorization")


def on_the_wire(written) -> dict:
    return json.loads(encode(written), parse_float=Decimal)


SAYS_LESS = ("cdr", "session", "authorization")
"""Of these 2.1.1 says less than 2.2.1 requires."""


@pytest.mark.parametrize(
    ("version", "kind"),
    [(version, kind) for version in VERSIONS for kind in KINDS if version != "2.1.1" or kind not in SAYS_LESS],
)
def test_what_came_in_any_version_is_written_as_the_tables_say(version, kind):
    read = VERSIONS[version].read(kind, bodies.body(version, kind), bodies.OWNER).object
    written = on_the_wire(V221.write(kind, read))
    assert problems(written, SCHEMAS.get(kind, kind)) == []


def test_only_what_2_1_1_does_not_know_is_missing_from_its_cdr():
    read = VERSIONS["2.1.1"].read_cdr(bodies.body("2.1.1", "cdr"), bodies.OWNER).object
    missing = {f"/cdr_token/{name}: missing" for name in ("country_code", "party_id", "uid", "type")}
    assert set(problems(on_the_wire(V221.write("cdr", read)), "cdr")) == missing


def test_our_own_objects_are_written_as_the_tables_say():
    us = objects.Party("SE", "EMP")
    token = objects.Token(
        country_code="SE", party_id="EMP", uid="04A1", type="RFID", contract_id="SE-EMP-C1", issuer="Emp", valid=True,
        whitelist="NEVER", last_updated=VERSIONS["2.2.1"].read_token(bodies.body("2.2.1", "token"), us).object.last_updated,
    )  # fmt: skip
    answer = objects.AuthorizationInfo(allowed="BLOCKED", token=token)
    role = objects.CredentialsRole(
        country_code="SE", party_id="EMP", role="EMSP", business_details=objects.BusinessDetails(name="Emp")
    )
    credentials = objects.Credentials(token="t", url="https://emsp.test/ocpi/versions", roles=(role,))
    for kind, ours in (("token", token), ("authorization", answer), ("credentials", credentials)):
        assert problems(on_the_wire(V221.write(kind, ours)), SCHEMAS.get(kind, kind)) == []


def test_what_says_nothing_is_not_written():
    token = VERSIONS["2.1.1"].read_token(bodies.body("2.1.1", "token"), bodies.OWNER).object
    assert {"group_id", "energy_contract"}.isdisjoint(V221.write("token", token))


@pytest.mark.outside
@pytest.mark.skipif(not examples(), reason="no examples are here")
@pytest.mark.parametrize("kind", ["location", "tariff", "session", "cdr", "token"])
def test_examples_of_2_3_0_are_written_as_the_tables_of_2_2_1_say(kind):
    found = [example for example in examples() if (example.version, example.kind) == ("2.3.0", kind)]
    wrong = {}
    for example in found:
        if example.name == "tariff_put_example":
            continue  # lacks last_updated
        read = VERSIONS["2.3.0"].read(kind, example.body, bodies.OWNER).object
        wrong[example.name] = problems(on_the_wire(V221.write(kind, read)), kind)
    assert found and {name: each for name, each in wrong.items() if each} == {}


def test_what_says_nothing_is_null_where_that_is_wanted_in_every_version():
    token = objects.Token(
        country_code="SE", party_id="EMP", uid="04AB", type="RFID", contract_id="SE-EMP-C1", issuer="Us", valid=True,
        whitelist="ALLOWED", last_updated=datetime(2026, 3, 10, tzinfo=UTC),
    )  # fmt: skip
    start = objects.StartSession(response_url="https://us.example/", token=token, location_id="L1")
    for version in VERSIONS.values():
        for kind, said in (
            ("token", token),
            ("authorization", objects.AuthorizationInfo(allowed="ALLOWED", token=token)),
            ("start_session", start),
        ):
            short, full = version.write(kind, said), version.write(kind, said, nulls=True)
            assert encode(without_nothing(full)) == encode(short), (version, kind)
            assert None in full.values()
        assert version.write("token", token, nulls=True)["visual_number"] is None


def without_nothing(value):
    if isinstance(value, dict):
        return {name: without_nothing(item) for name, item in value.items() if item not in (None, [])}
    return [without_nothing(item) for item in value] if isinstance(value, list) else value
