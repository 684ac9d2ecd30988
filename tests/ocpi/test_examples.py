"""Every example is read: those of the specification where they are at hand, and one of ours of each kind."""

from itertools import product

import msgspec
import pytest

from apps.ocpi import objects, reader
from apps.ocpi.errors import InvalidObject
from apps.ocpi.objects import Party
from apps.ocpi.versions import VERSIONS, read_versions
from tests.ocpi import bodies
from tests.ocpi.outside import FILES, TEXTS, examples, kind_of

OWNER = Party("NL", "TNM")

CONNECTOR_OF_211 = {f"connectors[0].{name}" for name in ("power_type", "voltage", "amperage", "last_updated")}
CONNECTOR = {f"connectors[0].{name}" for name in ("power_type", "max_voltage", "max_amperage", "last_updated")}
BROKEN = {
    "2.1.1/mod_locations_4": CONNECTOR_OF_211 | {"last_updated"},
    "2.1.1/mod_tariffs_1": {"last_updated"},
    "2.1.1/mod_tariffs_2": {"id", "currency", "last_updated"},
    "2.2.1/location_put_example_add_evse": CONNECTOR,
    "2.3.0/location_put_example_add_evse": CONNECTOR,
    "2.2.1/tariff_put_example": {"last_updated"},
    "2.3.0/tariff_put_example": {"last_updated"},
}
"""Examples that lack what their own tables require (PIT-27)."""

ODD = {
    "2.1.1/mod_cdrs_1": {"tariffs[0].elements[0].price_components[0].price"},
    "2.3.0/cdr_example": {"tariffs[0].tax_included"},
}


def read(version: str, kind: str, body: bytes):
    """Problems and warnings by path."""
    try:
        reading = VERSIONS[version].read(kind, body, OWNER)
    except InvalidObject as error:
        return {problem.path for problem in error.problems}, set()
    return set(), {warning.path for warning in reading.warnings}


def is_whole(example) -> bool:
    return example.kind in bodies.KINDS and not is_part(example)


def is_part(example) -> bool:
    """Parts of a location stand in the text alone, without the object around them."""
    return example.kind == "location_patch" and b"last_updated" not in example.body and example.version != "2.1.1"


def of(*kinds):
    """The examples of these kinds as parameters; one that says why there are none, where there are none."""
    found = (
        [example for example in examples() if example.kind in kinds] if kinds else list(filter(is_whole, examples()))
    )
    missing = pytest.param(None, marks=pytest.mark.skip(reason=f"no examples: neither {FILES} nor {TEXTS} is here"))
    return pytest.mark.parametrize("example", found or [missing], ids=str)


@pytest.mark.outside
@of()
def test_an_example_of_the_specification_is_read(example):
    problems, warnings = read(example.version, example.kind, example.body)
    assert problems == BROKEN.get(str(example), set())
    assert warnings == ODD.get(str(example), set())


@pytest.mark.outside
@of("location_patch")
def test_an_example_of_a_part_of_a_location_is_read(example):
    sent = msgspec.json.decode(example.body) | {"last_updated": "2026-03-01T12:00:00Z"}
    assert read(example.version, "location_patch", msgspec.json.encode(sent)) == (set(), set())


@pytest.mark.outside
@of("hours", "display_text")
def test_an_example_of_a_part_is_what_the_object_is_made_of(example):
    cls = {"hours": objects.Hours, "display_text": objects.DisplayText}[example.kind]
    judged = reader.judge(reader.decode(example.body), cls)
    assert judged.object is not None and not judged.warnings


@pytest.mark.outside
@of("token_patch")
def test_an_example_of_a_token_patch_names_fields_of_a_token(example):
    known = {field.encode_name for field in msgspec.structs.fields(objects.Token)}
    assert set(reader.decode(example.body)) <= known


@pytest.mark.outside
@of("versions")
def test_an_example_of_versions_is_read(example):
    assert "2.1.1" in [version.version for version in read_versions(example.body)]


@pytest.mark.outside
@of("answer")
def test_an_example_of_an_answer_keeps_its_own_bytes(example):
    envelope = reader.read_envelope(example.body)
    assert envelope.status_code in {1000, 2001} and envelope.timestamp.year == 2015
    if envelope.data is not None:
        assert envelope.data in example.body
        assert msgspec.json.decode(envelope.data) == msgspec.json.decode(example.body)["data"]


@pytest.mark.outside
@pytest.mark.skipif(not FILES.is_dir(), reason=f"no examples: {FILES} is not here")
def test_no_example_is_left_out():
    files = {f"{path.parent.name}/{path.stem}" for path in FILES.glob("*/*.json")}
    assert len(files) == 120 and files <= {str(example) for example in examples()}


def test_every_kind_of_example_is_looked_at():
    looked_at = {*bodies.KINDS, "hours", "display_text", "token_patch", "versions", "answer"}
    assert {kind_of("cdr_example"), kind_of("tariff_4_complex"), kind_of("versions_info_example")} <= looked_at
    assert {example.kind for example in examples()} <= looked_at


@pytest.mark.parametrize(("version", "kind"), bodies.EVERY)
def test_a_body_of_ours_of_every_kind_is_read_without_a_warning(version, kind):
    reading = VERSIONS[version].read(kind, bodies.body(version, kind), bodies.OWNER)
    assert reading.warnings == []


def test_there_is_a_body_of_ours_of_every_kind():
    from apps.ocpi.v230 import OBJECTS

    assert set(bodies.KINDS) == set(OBJECTS)
    missing = {*product(bodies.VERSIONS, bodies.KINDS)} - {*bodies.EVERY}
    of_invoices = "invoice_reconciliation_record"
    assert missing == {("2.1.1", "client_info"), ("2.1.1", of_invoices), ("2.2.1", of_invoices)}


def test_versions_of_which_we_never_heard_are_listed_by_name():
    body = (
        b'[{"version": "2.2.1", "url": "https://a"}, {"version": "9.9", "url": "https://b", "new": {}}, {"url": 3}, 4]'
    )
    assert [ref.version for ref in read_versions(body)] == ["2.2.1", "9.9"]


def test_versions_that_are_no_list_are_refused():
    with pytest.raises(InvalidObject, match="expected a list of versions"):
        read_versions(b'{"version": "2.2.1"}')
