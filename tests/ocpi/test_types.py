"""Numbers and times: exact, or refused; never rounded, never guessed (decision 13)."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.ocpi.errors import InvalidObject
from apps.ocpi.types import is_usual_moment, read_moment, read_number, write_moment
from apps.ocpi.versions import VERSIONS
from tests.ocpi import bodies

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
EARLIEST, LATEST = datetime(1, 1, 2), datetime(9999, 12, 30)  # noqa: DTZ001 (a clock face; the test adds the zone)


@pytest.mark.parametrize(
    ("literal", "number"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("4.20", "4.20"),
        ("-17.5", "-17.5"),
        ("1e3", "1000"),
        ("1E-10", "0.0000000001"),
        ("99999999999999999999", "99999999999999999999"),
        ("99999999999999999999.9999999999", "99999999999999999999.9999999999"),
        ("0.50000000000000000000", "0.5"),
        ("0e999", "0"),
        ("007", "7"),
    ],
)
def test_numbers_are_read_exactly(literal, number):
    assert read_number(literal) == Decimal(number)


@pytest.mark.parametrize(
    "literal",
    [
        *("100000000000000000000", "1e20", "0.00000000001", "1e-11", "1.00000000001", "1e999", "1e9999", "-1e30"),
        *("", " ", "NaN", "Infinity", "-inf", "1_000", "+1", ".5", "5.", "0x1", "1,5", "١", "1 ", " 1", "1e", "--1"),
    ],
)
def test_what_is_no_number_or_does_not_fit_is_none(literal):
    assert read_number(literal) is None


@pytest.mark.control("S28")
@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**19), max_value=10**19, places=10))
@settings(max_examples=300, deadline=None, database=None)
def test_every_number_that_fits_the_column_survives(number):
    assert read_number(format(number, "f")) == number


def price(literal: str):
    body = bodies.body("2.2.1", "tariff").replace(b'"price": 3.1', b'"price": ' + literal.encode())
    assert literal.encode() in body
    reading = VERSIONS["2.2.1"].read_tariff(body, bodies.OWNER)
    return reading.object.elements[1].price_components[0].price, [str(warning) for warning in reading.warnings]


PATH = "elements[1].price_components[0].price"


@pytest.mark.parametrize(
    "literal", ["3", "3.10", "0.1", "1e2", "12345678901234567890.5", "99999999999999999999", "-2.5"]
)
def test_a_number_in_a_body_is_exact(literal):
    assert price(literal) == (Decimal(literal), [])
    assert isinstance(price(literal)[0], Decimal)


def test_a_number_as_text_is_read_with_a_warning():
    assert price('"2.00"') == (Decimal("2.00"), [f"{PATH}: a number sent as text"])


@pytest.mark.parametrize(
    "literal",
    ['"NaN"', '"Infinity"', '"1_000"', '"1,5"', '""', "true", "[1]", "{}", "1e21", "0.12345678901", '"1E+999999"'],
)
def test_what_is_no_number_in_a_body_is_refused_by_its_path(literal):
    with pytest.raises(InvalidObject) as refused:
        price(literal)
    assert [problem.path for problem in refused.value.problems] == [PATH]


@pytest.mark.control("S27")
@pytest.mark.parametrize("literal", ["NaN", "Infinity", "01", "1.", ".5", "+1", "0x1", "nan", "1e400000000000"])
def test_what_no_json_allows_is_refused(literal):
    with pytest.raises(InvalidObject):
        price(literal)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T12:00:00Z", NOON),
        ("2026-03-01T12:00:00", NOON),
        ("2026-03-01T12:00:00.5Z", NOON + timedelta(milliseconds=500)),
        ("2026-03-01T12:00:00.1234567Z", NOON + timedelta(microseconds=123456)),
        ("2026-03-01T13:00:00+01:00", NOON),
        ("2026-03-01T13:00:00+0100", NOON),
        ("2026-03-01T06:30:00-05:30", NOON),
        ("2026-3-1T12:00:00Z", NOON),
        ("2026-03-01 12:00:00Z", NOON),
        ("2026-03-01T12:00Z", NOON),
        ("2026-03-01t12:00:00z", NOON),
        ("2026-02-28T24:00:00Z", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("1970-1-1T0:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
        ("2028-02-29T00:00:00Z", datetime(2028, 2, 29, tzinfo=UTC)),
    ],
)
@pytest.mark.ocpi("TR-36", "all")
def test_times_are_instants_in_utc(text, moment):
    read = read_moment(text)
    assert read == moment and read.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        *("", "2026-03-01", "12:00:00", "2026-02-30T00:00:00Z", "2026-13-01T00:00:00Z", "2026-03-01T25:00:00Z"),
        *(
            "2026-03-01T12:60:00Z",
            "2026-03-01T12:00:61Z",
            "2026-03-01T24:00:01Z",
            "2026-03-01T24:30:00Z",
            "2026-03-01T12:00:00ZZ",
            "2026-03-01T12:00:00+99:00",
            "now",
            "1772366400",
        ),
        *("9999-12-31T24:00:00Z", "0001-01-01T00:00:00+14:00", "٢٠٢٦-03-01T12:00:00Z", "2026-03-01T12:00:00Z\n"),
    ],
)
def test_what_is_no_time_is_none(text):
    assert read_moment(text) is None


@pytest.mark.parametrize(
    ("text", "is_usual"),
    [
        ("2026-03-01T12:00:00Z", True),
        ("2026-03-01T12:00:00", True),
        ("2026-03-01T12:00:00.123Z", True),
        ("2026-03-01T12:00:00+00:00", False),
        ("2026-3-1T12:00:00Z", False),
        ("2026-03-01 12:00:00Z", False),
    ],
)
def test_only_odd_times_are_worth_a_warning(text, is_usual):
    assert is_usual_moment(text) is is_usual


def updated(text: str):
    body = bodies.as_bytes(bodies.sent("2.2.1", "session") | {"last_updated": text})
    reading = VERSIONS["2.2.1"].read_session(body, bodies.OWNER)
    return reading.object.last_updated, [str(warning) for warning in reading.warnings]


@pytest.mark.parametrize("text", ["2026-03-01T12:00:00Z", "2026-03-01T12:00:00", "2026-03-01T12:00:00.000Z"])
def test_a_time_without_designator_is_utc_without_a_word(text):
    assert updated(text) == (NOON, [])


@pytest.mark.parametrize("text", ["2026-03-01T13:00:00+01:00", "2026-3-01T12:00:00Z", "2026-03-01 12:00:00"])
def test_an_odd_time_is_read_with_a_warning(text):
    moment, warnings = updated(text)
    assert moment == NOON and warnings == [f'last_updated: unusual form of a date and time: "{text}"']


def test_a_time_that_is_none_is_refused_as_it_was_sent():
    with pytest.raises(InvalidObject, match='last_updated: expected a date and time, got "2026-02-30'):
        updated("2026-02-30T12:00:00Z")


@given(st.datetimes(EARLIEST, LATEST), st.integers(-14 * 60, 14 * 60))
@settings(max_examples=300, deadline=None, database=None)
def test_a_time_written_is_read_as_the_same_millisecond(naive, minutes):
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    text = write_moment(moment)
    assert read_moment(text) == moment - timedelta(microseconds=moment.microsecond % 1000)
    assert len(text) <= 25 and text.endswith("Z") and is_usual_moment(text)
    assert "." not in write_moment(moment, fraction=False)
