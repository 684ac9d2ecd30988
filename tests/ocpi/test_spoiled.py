"""Whatever is sent is read or refused with a path, and never ends in anything else (trust S25 to S31)."""

import random
from datetime import datetime
from decimal import Decimal

import msgspec
import pytest

from apps.ocpi import reader
from apps.ocpi.errors import InvalidObject
from apps.ocpi.versions import VERSIONS, content_hash
from tests.ocpi import bodies
from tests.ocpi.spoiling import cut, spoiled

MANY = 1000
SMALL = 150
OBJECTS = ("location", "tariff", "session", "cdr", "token", "credentials")
PARTS = tuple((version, kind) for version, kind in bodies.EVERY if kind not in OBJECTS)


def outcome(version, kind: str, body: bytes) -> bool:
    """True if it was read. Whatever else happens but a refusal with reasons is the error we look for."""
    try:
        reading = VERSIONS[version].read(kind, body, bodies.OWNER)
    except InvalidObject as refused:
        assert_told(refused.problems)
        return False
    assert_sound(reading.object)
    assert all(isinstance(str(warning), str) for warning in reading.warnings)
    return True


def assert_told(problems):
    assert problems and all(problem.reason and len(str(problem)) < 1000 for problem in problems), problems


def assert_sound(value):
    """What was read can be stored: numbers are exact and finite, times are UTC, texts hold no NUL."""
    if isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            assert_sound(getattr(value, name))
    elif isinstance(value, tuple):
        for item in value:
            assert_sound(item)
    elif isinstance(value, Decimal):
        assert value.is_finite() and abs(value) < 10**20 and value.as_tuple().exponent >= -20
    elif isinstance(value, datetime):
        assert value.utcoffset().total_seconds() == 0
    elif isinstance(value, str):
        assert "\x00" not in value and value.encode() is not None
    else:
        assert value is None or value is msgspec.UNSET or isinstance(value, bool | int), value


@pytest.mark.parametrize("kind", OBJECTS)
@pytest.mark.parametrize("version", bodies.VERSIONS)
def test_spoiled_objects_are_read_or_refused(version, kind):
    body, chance = bodies.body(version, kind), random.Random(f"{version} {kind}")
    read = sum(
        outcome(version, kind, msgspec.json.encode(spoiled(msgspec.json.decode(body), chance))) for _ in range(MANY)
    )
    assert MANY * 0.02 < read < MANY * 0.9, f"{read} of {MANY} were read: this spoils too little or too much"


@pytest.mark.parametrize(("version", "kind"), PARTS)
def test_spoiled_parts_and_patches_are_read_or_refused(version, kind):
    body, chance = bodies.body(version, kind), random.Random(f"{version} {kind}")
    for _ in range(SMALL):
        outcome(version, kind, msgspec.json.encode(spoiled(msgspec.json.decode(body), chance)))


@pytest.mark.parametrize("kind", OBJECTS)
@pytest.mark.parametrize("version", bodies.VERSIONS)
def test_spoiled_bytes_are_read_or_refused(version, kind):
    body, chance = bodies.body(version, kind), random.Random(f"{kind} {version}")
    for _ in range(SMALL):
        outcome(version, kind, cut(body, chance))


@pytest.mark.parametrize("version", bodies.VERSIONS)
def test_what_was_read_can_be_written_in_every_version_and_hashed(version):
    body, chance, written = bodies.body(version, "cdr"), random.Random(version), 0
    for _ in range(SMALL):
        try:
            cdr = VERSIONS[version].read_cdr(
                msgspec.json.encode(spoiled(msgspec.json.decode(body), chance)), bodies.OWNER
            )
        except InvalidObject:
            continue
        written += 1
        for other in VERSIONS.values():
            assert msgspec.json.encode(other.write("cdr", cdr.object))
        assert len(content_hash(cdr.object)) == 32
    assert written > 10


def test_spoiled_answers_are_read_or_refused():
    chance = random.Random("answers")
    body = b'{"data": [{"id": "1"}, {"id": "2"}], "status_code": 1000, "timestamp": "2026-03-01T12:00:00Z"}'
    for _ in range(MANY):
        whole = msgspec.json.encode(spoiled(msgspec.json.decode(body), chance))
        for answer in (whole, cut(body, chance)):
            for read in (reader.read_envelope, reader.split_page):
                try:
                    read(answer)
                except InvalidObject as refused:
                    assert_told(refused.problems)


@pytest.mark.control("S27")
@pytest.mark.parametrize("depth", [40, 900, 5000, 100_000])
@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_bodies_without_bottom_are_refused(depth, opening):
    closing = b"]" if opening == b"[" else b"}"
    with pytest.raises(InvalidObject):
        VERSIONS["2.2.1"].read("cdr", opening * depth + b"1" + closing * depth, bodies.OWNER)
    with pytest.raises(InvalidObject):
        VERSIONS["2.2.1"].read("cdr", opening * depth, bodies.OWNER)
