"""What peers get wrong without harm is taken, and each time it is said."""

import pytest

from apps.ocpi.errors import InvalidObject, Problem
from apps.ocpi.leniency import concerns_money
from apps.ocpi.versions import VERSIONS
from tests.ocpi import bodies


def read(kind: str, path: str, value, version: str = "2.2.1"):
    """The object and its warnings, with one field set to something else."""
    sent = bodies.replaced(bodies.sent(version, kind), path, value)
    return VERSIONS[version].read(kind, bodies.as_bytes(sent), bodies.OWNER)


def at(value, path: str):
    for step in path.replace("[", ".[").split("."):
        value = value[int(step[1:-1])] if step.startswith("[") else getattr(value, step)
    return value


FORGIVEN = [
    ("location", "id", 17, "17", "a number where text is expected"),
    ("location", "evses[0].uid", 17, "17", "a number where text is expected"),
    ("location", "publish", "true", True, "a boolean sent as text"),
    ("location", "publish", "FALSE", False, "a boolean sent as text"),
    ("location", "evses[0].connectors[0].max_voltage", "400", 400, 'expected a whole number, got "400"'),
    ("location", "evses[0].connectors[0].max_voltage", 400.0, 400, "expected a whole number, got the number 400.0"),
    ("connector", "standard", "iec_62196_t2", "IEC_62196_T2", 'unknown value "iec_62196_t2", taken as IEC_62196_T2'),
    ("location", "evses[0].connectors[0].standard", "NACS_2", "NACS_2", 'unknown value "NACS_2"'),
    ("location", "evses[0].status", "Available", "AVAILABLE", 'unknown value "Available", taken as AVAILABLE'),
    ("location", "evses[0].connectors", [], (), "at least one is required"),
    ("location", "parking_type", "", None, "empty, taken as absent"),
    ("location", "name", "", "", None),
    ("location", "name", "a\x00b\u202ec", "a\ufffdb\ufffdc", "control characters, shown as U+FFFD"),
    ("location", "name", "a\nb\tc", "a\nb\tc", None),
    ("location", "address", "x" * 256, "x" * 256, "longer than 255 characters"),
    ("location", "evses[0].evse_id", "Å", "Å", "only printable ASCII is allowed"),
    ("location", "id", "x" * 40, "x" * 40, "longer than 39 characters"),
    ("location", "coordinates.latitude", 59.3, "59.3", "a number where text is expected"),
    ("location", "coordinates.latitude", "118.06850", "118.06850", "beyond 90 degrees"),
    ("location", "opening_times.regular_hours[0].period_begin", "06:00:00", "06:00:00", "not written as HH:MM"),
    ("location", "opening_times.regular_hours[0].period_end", "24:00", "24:00", None),
    ("tariff", "currency", "sek", "SEK", "an ISO 4217 code is written in capitals"),
    ("tariff", "elements[0].restrictions.start_time", "6:00", "6:00", "not written as HH:MM"),
    ("session", "status", "RESERVED", "RESERVATION", 'unknown value "RESERVED", taken as RESERVATION'),
    ("cdr", "auth_method", "APP", "APP", 'unknown value "APP"'),
    ("cdr", "charging_periods[0].dimensions[0].type", "energy", "ENERGY", 'unknown value "energy", taken as ENERGY'),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "path", "value", "taken", "warning"), FORGIVEN)
@pytest.mark.ocpi("TR-41")
def test_it_is_forgiven_and_said(kind, path, value, taken, warning):
    reading = read(kind, path, value)
    assert at(reading.object, path) == taken and type(at(reading.object, path)) is type(taken)
    assert [str(each) for each in reading.warnings] == ([f"{path}: {warning}"] if warning else [])


REFUSED = [
    ("location", "id", "", 'expected printable ASCII, got ""'),
    ("location", "id", "Å", 'expected printable ASCII, got "\\u00c5"'),
    ("location", "id", " ", 'expected printable ASCII, got " "'),
    ("location", "id", "x" * 256, "longer than 255 characters"),
    ("location", "id", ["LOC"], "expected text, got a list"),
    ("location", "evses", {}, "expected a list, got an object"),
    ("location", "evses[0]", [], "expected an object, got a list"),
    ("location", "evses[0].connectors[0].max_voltage", 400.5, "expected a whole number, got the number 400.5"),
    ("location", "evses[0].connectors[0].max_voltage", 2**31, "expected a smaller number, got the number 2147483648"),
    ("location", "publish", 1, "expected true or false, got the number 1"),
    ("location", "coordinates.latitude", "59,3", 'expected decimal degrees, got "59,3"'),
    ("location", "country_code", "SWE", 'expected 2 characters, got "SWE"'),
    ("location", "name", "x" * 70000, "longer than 65536 characters"),
    ("tariff", "elements", [], "at least one is required"),
    ("tariff", "currency", "KR", 'expected an ISO 4217 code, got "KR"'),
    ("cdr", "charging_periods", [], "at least one is required"),
    ("cdr", "total_cost", 4, "expected an object, got the number 4"),
    ("cdr", "total_cost.excl_vat", "much", 'expected a number, got "much"'),
    ("cdr", "credit", "perhaps", 'expected true or false, got "perhaps"'),
]


@pytest.mark.parametrize(("kind", "path", "value", "reason"), REFUSED)
def test_it_is_refused_by_its_path(kind, path, value, reason):
    with pytest.raises(InvalidObject) as refused:
        read(kind, path, value)
    assert [str(problem) for problem in refused.value.problems] == [f"{path}: {reason}"]


def test_a_list_of_one_is_that_one():
    restrictions = bodies.sent("2.2.1", "tariff")["elements"][0]["restrictions"]
    reading = read("tariff", "elements[0].restrictions", [restrictions])
    assert reading.object == VERSIONS["2.2.1"].read_tariff(bodies.body("2.2.1", "tariff"), bodies.OWNER).object
    assert [str(warning) for warning in reading.warnings] == [
        "elements[0].restrictions: a list of one where one object is expected"
    ]


ELEMENTS = bodies.sent("2.3.0", "tariff")["elements"]


@pytest.mark.parametrize("version", bodies.VERSIONS)
@pytest.mark.parametrize("kind", ["location", "cdr", "session", "tariff"])
@pytest.mark.ocpi("TR-39", "all")
def test_fields_that_nobody_specified_are_let_be(version, kind):
    sent = bodies.sent(version, kind) | {"vendor": {"deep": [1, {"er": None}]}, "": 1, "evse_uid_": "x"}
    reading = VERSIONS[version].read(kind, bodies.as_bytes(sent), bodies.OWNER)
    assert reading == VERSIONS[version].read(kind, bodies.body(version, kind), bodies.OWNER)


@pytest.mark.ocpi("PAY-01", "2.3.0")
def test_what_modules_we_do_not_build_add_to_others_refuses_nothing():
    booked = {
        "preauthorize_amount": 50,
        "elements": [element | {"restrictions": {"booking": "BOOKING"}} for element in ELEMENTS],
    }
    terminal = {"role": "PTP", "business_details": {"name": "Terminals"}, "party_id": "TER", "country_code": "SE"}
    endpoints = [
        {"identifier": module, "role": role, "url": f"https://cpo.example/ocpi/2.3.0/{module}"}
        for module in ("payments", "Booking", "chargingprofiles")
        for role in ("SENDER", "RECEIVER")
    ]
    for kind, added in {
        "tariff": booked, "cdr": {"booking_id": "B-1"}, "session": {"booking_id": "B-1"}, "credentials": {"roles": [terminal]},
        "version_details": {"endpoints": endpoints},
    }.items():  # fmt: skip
        sent = bodies.sent("2.3.0", kind)
        for name, value in added.items():
            sent[name] = [*sent.get(name, []), *value] if name in ("roles", "endpoints") else value
        assert VERSIONS["2.3.0"].read(kind, bodies.as_bytes(sent), bodies.OWNER).warnings == [], kind


@pytest.mark.ocpi("TR-37", "all")
@pytest.mark.parametrize("version", bodies.VERSIONS)
def test_null_and_empty_lists_are_absent(version):
    sent = bodies.sent(version, "location") | {"name": None, "facilities": None, "images": []}
    location = VERSIONS[version].read_location(bodies.as_bytes(sent), bodies.OWNER)
    assert (location.object.name, location.object.facilities, location.object.images) == (None, (), ())
    assert location.warnings == []


def test_warnings_are_in_the_words_of_the_sender():
    reading = read("location", "evses[0].connectors[0].voltage", "400", "2.1.1")
    assert [warning.path for warning in reading.warnings] == ["evses[0].connectors[0].voltage"]
    reading = read("cdr", "total_cost", "76.65", "2.1.1")
    assert [str(warning) for warning in reading.warnings] == ["total_cost: a number sent as text"]
    reading = read("cdr", "total_cost.incl_vat", "95.8125", "2.2.1")
    assert [str(warning) for warning in reading.warnings] == ["total_cost.incl_vat: a number sent as text"]


@pytest.mark.parametrize(
    ("path", "is_money"),
    [
        ("total_cost.excl_vat", True),
        ("charging_periods[0].dimensions[0].volume", True),
        ("tariffs[0].elements[0].price_components[0].price", True),
        ("currency", True),
        ("auth_method", True),
        ("kwh", True),
        ("remark", False),
        ("cdr_location.name", False),
        ("cdr_token.uid", False),
        ("meter_id", False),
    ],
)
def test_what_concerns_money_is_not_billed_unseen(path, is_money):
    assert concerns_money(Problem(path, "odd")) is is_money
