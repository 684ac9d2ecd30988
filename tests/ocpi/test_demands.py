"""What a version requires is asked of the body as sent, and named as its sender names it (decision 10)."""

import pytest

from apps.ocpi.errors import InvalidObject
from apps.ocpi.versions import VERSIONS
from tests.ocpi import bodies

OMISSIONS = [
    ("cdr", "end_date_time", "stop_date_time", "end_date_time", "end_date_time"),
    ("cdr", "the contract", "auth_id", "cdr_token.contract_id", "cdr_token.contract_id"),
    ("cdr", "the amount", "total_cost", "total_cost.excl_vat", "total_cost.before_taxes"),
    ("cdr", "the place", "location", "cdr_location", "cdr_location"),
    ("cdr", "the city", "location.city", "cdr_location.city", "cdr_location.city"),
    ("cdr", "a volume", *["charging_periods[1].dimensions[0].volume"] * 3),
    ("cdr", "a price", *["tariffs[0].elements[1].price_components[0].price"] * 3),
    ("session", "the start", "start_datetime", "start_date_time", "start_date_time"),
    ("session", "the place", "location.id", "location_id", "location_id"),
    ("session", "the contract", "auth_id", "cdr_token.contract_id", "cdr_token.contract_id"),
    ("location", "a voltage", "evses[0].connectors[0].voltage", *["evses[0].connectors[0].max_voltage"] * 2),
    ("location", "a format", *["evses[0].connectors[0].format"] * 3),
    ("location", "the coordinates", *["coordinates.longitude"] * 3),
    (
        "location",
        "a category",
        "energy_mix.environ_impact[0].source",
        *["energy_mix.environ_impact[0].category"] * 2,
    ),
    ("evse", "a current", "connectors[0].amperage", *["connectors[0].max_amperage"] * 2),
    ("tariff", "a price", *["elements[0].price_components[0].price"] * 3),
    ("token", "the contract", "auth_id", "contract_id", "contract_id"),
    ("credentials", "a name", "business_details.name", *["roles[0].business_details.name"] * 2),
]
CASES = [
    pytest.param(version, kind, path, id=f"{kind} without {what} in {version}")
    for kind, what, *paths in OMISSIONS
    for version, path in zip(bodies.VERSIONS, paths, strict=True)
]


def problems_of(version, kind, body):
    with pytest.raises(InvalidObject) as refused:
        VERSIONS[version].read(kind, bodies.as_bytes(body), bodies.OWNER)
    return [str(problem) for problem in refused.value.problems]


@pytest.mark.parametrize(("version", "kind", "path"), CASES)
def test_the_same_omission_names_the_field_of_the_sender(version, kind, path):
    assert problems_of(version, kind, bodies.without(bodies.sent(version, kind), path)) == [f"{path}: required"]


@pytest.mark.parametrize(("version", "kind", "path"), CASES)
def test_null_is_as_good_as_absent(version, kind, path):
    assert problems_of(version, kind, bodies.replaced(bodies.sent(version, kind), path, None)) == [f"{path}: required"]


@pytest.mark.parametrize(
    ("version", "kind", "path"),
    [
        ("2.1.1", "location", "type"),
        ("2.1.1", "location", "postal_code"),
        ("2.2.1", "location", "time_zone"),
        ("2.3.0", "location", "time_zone"),
        ("2.2.1", "cdr", "cdr_location.evse_uid"),
        ("2.3.0", "cdr", "cdr_location.connector_power_type"),
        ("2.2.1", "cdr", "cdr_token.uid"),
        ("2.3.0", "session", "cdr_token.type"),
        ("2.2.1", "session", "connector_id"),
        ("2.3.0", "tariff", "tax_included"),
        ("2.2.1", "authorization", "token"),
        ("2.2.1", "version_details", "endpoints[1].role"),
    ],
)
def test_what_only_this_version_requires_is_required(version, kind, path):
    assert problems_of(version, kind, bodies.without(bodies.sent(version, kind), path)) == [f"{path}: required"]


@pytest.mark.parametrize(
    ("version", "kind", "path"),
    [
        ("2.1.1", "location", "time_zone"),
        ("2.2.1", "location", "postal_code"),
        ("2.1.1", "cdr", "location.evses"),
        ("2.1.1", "session", "location.evses"),
    ],
)
def test_what_another_version_requires_is_not(version, kind, path):
    body = bodies.without(bodies.sent(version, kind), path)
    assert VERSIONS[version].read(kind, bodies.as_bytes(body), bodies.OWNER).warnings == []


@pytest.mark.parametrize("name", ["country_code", "party_id", "last_updated", "tax_included"])
def test_a_tariff_in_a_cdr_is_evidence_and_may_lack_what_the_cdr_says(name):
    body = bodies.without(bodies.sent("2.3.0", "cdr"), f"tariffs[0].{name}")
    reading = VERSIONS["2.3.0"].read("cdr", bodies.as_bytes(body), bodies.OWNER)
    assert [str(warning) for warning in reading.warnings] == [f"tariffs[0].{name}: required"]


def test_every_problem_is_told_and_not_only_the_first():
    body = bodies.sent("2.2.1", "cdr") | {"currency": 7, "total_energy": "much", "id": ""}
    del body["cdr_token"]["uid"], body["last_updated"]
    assert set(problems_of("2.2.1", "cdr", body)) == {
        "currency: expected an ISO 4217 code, got the number 7",
        'total_energy: expected a number, got "much"',
        'id: expected printable ASCII, got ""',
        "cdr_token.uid: required",
        "last_updated: required",
    }


@pytest.mark.parametrize("version", bodies.VERSIONS)
@pytest.mark.parametrize("kind", bodies.KINDS)
@pytest.mark.parametrize("body", [b"[]", b"null", b'"cdr"', b"7"])
def test_what_is_no_object_is_refused_as_such(version, kind, body):
    with pytest.raises(InvalidObject, match="expected an object"):
        VERSIONS[version].read(kind, body, bodies.OWNER)
