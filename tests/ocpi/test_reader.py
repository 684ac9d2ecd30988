"""Bytes to values: depth, doubles, the envelope of a peer, and a page that is taken apart."""

import pytest

from apps.ocpi import reader
from apps.ocpi.errors import InvalidObject, NotJson, TooDeep
from apps.ocpi.versions import VERSIONS
from tests.ocpi import bodies


def nested(depth: int, opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    return opening * depth + b"1" + closing * depth


@pytest.mark.control("S25", "S27")
@pytest.mark.parametrize(
    ("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}"), (b'{"a\\"[": ', b"}"), (b'[{"b":', b"}]")]
)
def test_as_deep_as_the_limit_is_read_and_deeper_is_not(opening, closing):
    levels = opening.count(b"{") + (opening[:1] == b"[")
    reader.decode(nested(reader.DEPTH_LIMIT // levels, opening, closing))
    with pytest.raises(TooDeep):
        reader.decode(nested(reader.DEPTH_LIMIT // levels + 1, opening, closing))


def test_brackets_in_texts_are_no_depth():
    assert reader.decode(b'{"a": "' + b"[{" * 50 + b'"}') == {"a": "[{" * 50}


@pytest.mark.parametrize("hide", [b'{"}": %s, "{": 1}', b'["]", %s, "["]', b'{"a\\"}": %s, "b\\"{": 2}'])
def test_brackets_in_texts_hide_no_depth(hide):
    body = b"1"
    for _ in range(40):
        body = hide.replace(b"%s", body)
    with pytest.raises(TooDeep):
        reader.decode(body)


def test_many_brackets_beside_each_other_are_no_depth():
    assert len(reader.decode(b"[" + b"[[]]," * 500 + b"[]]")) == 501


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"nul",
        b"NaN",
        b"{'a': 1}",
        b'{"a": 01}',
        b'"\xff"',
        b'"\\ud800"',
        b"\xef\xbb\xbf{}",
        b"{} {}",
        b"[1,]",
    ],
)
def test_what_is_no_json_is_refused_as_such(body):
    with pytest.raises(NotJson) as refused:
        reader.decode(body)
    assert (refused.value.http_status, refused.value.status_code) == (400, 2000)


@pytest.mark.control("S30")
@pytest.mark.parametrize("kind", ["cdr", "session", "session_patch", "tariff"])
@pytest.mark.parametrize("version", bodies.VERSIONS)
def test_a_key_that_comes_twice_is_refused_where_money_depends_on_it(version, kind):
    body = bodies.body(version, kind).rstrip().removesuffix(b"}") + b', "currency": "EUR", "currency": "SEK"}'
    with pytest.raises(InvalidObject) as refused:
        VERSIONS[version].read(kind, body, bodies.OWNER)
    assert "currency: sent more than once" in map(str, refused.value.problems)


DOUBLES = [
    (b'"total_energy": 18.25', b'"total_energy": 18.25, "total_energy": 18.25', "total_energy"),
    (b'"volume": 0.75', b'"volume": 9, "volume": 0.75', "charging_periods[0].dimensions[1].volume"),
    (b'"volume": 0.75', b'"vol\\u0075me": 9, "volume": 0.75', "charging_periods[0].dimensions[1].volume"),
    (b'"volume": 0.75', b'"volume" : 9, "volume"\n: 0.75', "charging_periods[0].dimensions[1].volume"),
    (b'"meter_id": "M-7"', b'"meter_id": "\\"M\\"", "meter_id": "M-7"', "meter_id"),
    (b'"meter_id": "M-7"', b'"meter_id": 1, "meter_id": "a\\u0022b\\u0022"', "meter_id"),
]


@pytest.mark.control("S30")
@pytest.mark.parametrize(("said", "twice", "path"), DOUBLES)
def test_a_key_that_comes_twice_is_found_wherever_it_is(said, twice, path):
    body = bodies.body("2.2.1", "cdr")
    assert body.count(said) == 1
    with pytest.raises(InvalidObject) as refused:
        VERSIONS["2.2.1"].read_cdr(body.replace(said, twice), bodies.OWNER)
    assert [str(problem) for problem in refused.value.problems] == [f"{path}: sent more than once"]


def test_a_key_that_comes_twice_in_a_location_costs_nobody_anything():
    body = bodies.body("2.2.1", "location").replace(b'"id": "LOC-7"', b'"id": "LOC-8", "id": "LOC-7"')
    assert VERSIONS["2.2.1"].read_location(body, bodies.OWNER).object.id == "LOC-7"


@pytest.mark.parametrize("text", [b"\\/\\u00e5\\n", "å😀".encode(), b'\\"quoted\\"', b"\\\\", b"{}[]:,"])
def test_texts_with_escapes_are_no_doubles(text):
    body = bodies.body("2.2.1", "cdr").replace(b'"M-7"', b'"' + text + b'"')
    assert VERSIONS["2.2.1"].read_cdr(body, bodies.OWNER).object.meter_id


def test_data_are_the_bytes_of_the_peer():
    envelope = reader.read_envelope(
        b'{"data" : {"a":1.0 , "a": 2} , "status_code":1000, "timestamp":"2026-03-01T12:00:00Z"}'
    )
    assert envelope.data == b'{"a":1.0 , "a": 2}'


@pytest.mark.parametrize("sent", [b'{"status_code": 1000}', b'{"status_code": 1000, "data": null}'])
def test_no_data_is_none(sent):
    envelope = reader.read_envelope(sent)
    assert (envelope.data, envelope.status_message, envelope.timestamp) == (None, None, None)
    assert reader.split_page(sent)[1] == []


def test_an_envelope_may_be_sloppy_about_what_nobody_needs():
    sent = b'{"status_code": "1000", "status_message": 7, "timestamp": "yesterday", "extra": {}, "data": []}'
    envelope, page = reader.split_page(sent)
    assert (envelope.status_code, envelope.status_message, envelope.timestamp, page) == (1000, None, None, [])


@pytest.mark.parametrize(
    "body", [b"[]", b'"ok"', b"7", b"{}", b'{"data": []}', b'{"status_code": null}', b'{"status_code": "ok"}']
)
def test_what_is_no_envelope_is_refused(body):
    with pytest.raises(InvalidObject):
        reader.read_envelope(body)


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"status_code": 1000', b'{"data":' + b"[" * 100_000])
def test_an_answer_that_is_no_json_is_refused(body):
    for read in (reader.read_envelope, reader.split_page):
        with pytest.raises(NotJson):
            read(body)


def test_a_page_is_taken_apart_so_that_one_bad_object_spoils_nothing_else():
    bad = b'{"id": "2", "price": 1e99999, "deep": ' + nested(30) + b"}"
    sent = (
        b'{"data": [{"id":"1"},\n'
        + bad
        + b' ,7, {"id": "3"}], "status_code": 1000, "timestamp": "2026-03-01T12:00:00Z"}'
    )
    envelope, page = reader.split_page(sent)
    assert page == [b'{"id":"1"}', bad, b"7", b'{"id": "3"}']
    assert envelope.timestamp.isoformat() == "2026-03-01T12:00:00+00:00"


@pytest.mark.parametrize("data", [b"{}", b'"x"', b"7"])
def test_a_page_that_is_no_list_is_refused(data):
    with pytest.raises(InvalidObject, match="no OCPI answer"):
        reader.split_page(b'{"status_code": 1000, "data": ' + data + b"}")
