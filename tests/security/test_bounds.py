"""No body costs more than it is: neither time, nor an answer without end (trust S25 to S27)."""

import json

import pytest

from apps.locations.models import Location
from apps.partners.models import Quarantined
from tests.ocpi.bodies import as_bytes, sent

pytestmark = pytest.mark.django_db(transaction=True)

JSON = {"Content-Type": "application/json"}
LARGEST_CDR, LARGEST = 4 * 2**20, 2**20


def filled(start: str, item: str, end: str, limit: int) -> bytes:
    many = (limit - len(start) - len(end)) // (len(item) + 1)
    return (start + ",".join([item] * many) + end).encode()


NAMED = '{"id":"1","country_code":"SE","party_id":"LAD",'
BOMBS = [
    ("POST", "cdrs", filled(NAMED + '"charging_periods":[', "{}", "]}", LARGEST_CDR)),
    ("POST", "cdrs", filled(NAMED + '"charging_periods":[', "1", "]}", LARGEST_CDR)),
    ("POST", "cdrs", filled("{", '"a":1', "}", LARGEST_CDR)),
    ("POST", "cdrs", filled('{"' + "k" * 2**20 + '":{', '"a":1', "}}", LARGEST_CDR)),
    ("PUT", "locations/SE/LAD/1", filled(NAMED + '"evses":[', "{}", "]}", LARGEST)),
    ("PUT", "locations/SE/LAD/1", filled(NAMED + '"images":[', '{"url":7}', "]}", LARGEST)),
    ("PUT", "tariffs/SE/LAD/1", filled(NAMED + '"elements":[', "{}", "]}", LARGEST)),
    ("PATCH", "locations/SE/LAD/1", filled('{"evses":[', "{}", "]}", 2**18)),
]


@pytest.mark.control("S25", "S26")
@pytest.mark.parametrize("bomb", BOMBS, ids=[f"{method} {path} {body[:60]!r}" for method, path, body in BOMBS])
def test_a_body_of_nothing_but_faults_is_answered_shortly(bomb, caller):
    """Four megabytes of faults took two minutes and an answer of 139 MB before the faults were counted."""
    method, path, body = bomb
    answer = caller.call(method, path, content=body, headers=JSON, timeout=15)
    assert answer.json()["status_code"] in (2001, 2003, 2000)
    assert len(answer.content) < 2**17


def test_what_is_told_of_a_body_says_that_there_is_more(caller):
    body = {"id": "1", "country_code": "SE", "party_id": "LAD", "charging_periods": [{}] * 1000}
    answer = caller.call("POST", "cdrs", json=body).json()
    assert answer["status_message"].endswith("and more that is wrong")
    assert "charging_periods[0].start_date_time: required" in answer["status_message"]


# What a URL, a parameter or a header may be made of

NASTY = ["%00", "a%00b", "%ed%a0%80", "%ff", "x" * 1000, "..%2f..", "%0d%0aX:%201", "%e2%80%ae", "%25", ";credentials"]
PLACES = [
    ("GET", "locations/SE/LAD/{0}"),
    ("GET", "locations/SE/LAD/{0}/{0}/{0}"),
    ("PATCH", "locations/SE/LAD/{0}/{0}"),
    ("PUT", "locations/SE/LAD/{0}/{0}/{0}"),
    ("GET", "sessions/{0}/LAD/1"),
    ("GET", "sessions/SE/LAD/{0}"),
    ("PUT", "sessions/SE/LAD/{0}"),
    ("PATCH", "sessions/SE/LAD/{0}"),
    ("PUT", "tariffs/SE/LAD/{0}"),
    ("DELETE", "tariffs/SE/LAD/{0}"),
    ("POST", "tokens/{0}/authorize"),
    ("GET", "tokens?date_from={0}"),
    ("GET", "tokens?cursor={0}"),
    ("GET", "cdrs/{0}"),
]


@pytest.mark.control("S26", "S28")
@pytest.mark.parametrize(("method", "place"), PLACES)
def test_spoiled_urls_are_answered_in_an_envelope(method, place, caller):
    body = {"id": "x\x00", "last_updated": "2026-01-01T00:00:00Z", "status": "ACTIVE"}
    for nasty in NASTY:
        sent = {} if method in ("GET", "DELETE") else {"json": body}
        answer = caller.call(method, place.format(nasty), **sent)
        said = answer.json()
        assert (answer.status_code in (200, 404, 405), said["status_code"] < 3000) == (True, True), (nasty, said)


@pytest.mark.control("S40")
def test_a_correlation_id_without_end_does_not_come_back(caller):
    for path in ("tokens", "/ocpi/nothing"):
        answer = caller.call("GET", path, headers={"X-Correlation-ID": "x" * 5000})
        assert len(answer.headers.get("X-Correlation-ID", "")) <= 64


@pytest.mark.control("S27", "S28")
def test_numbers_no_column_holds_are_refused(caller):
    whole = {"id": "1", "country_code": "SE", "party_id": "LAD"}
    for number in ("9" * 100_000, "1e999999999", "1e-999999999999999999999", "NaN", "-Infinity", '"NaN"', '"1_000"'):
        body = json.dumps(whole)[:-1] + f',"total_energy":{number}}}'
        answer = caller.call("POST", "cdrs", content=body.encode(), headers=JSON)
        assert answer.json()["status_code"] in (2000, 2001), number


# Texts


@pytest.mark.control("S29")
def test_signs_that_steer_are_not_shown_and_the_bytes_stay(caller):
    """A name that runs backwards, rings a bell or ends a line in a terminal is shown without that."""
    body = sent("2.2.1", "location") | {"country_code": "SE", "party_id": "LAD", "id": "L1"}
    body["name"] = "A\u202egnp.exe\x07\x1b[2J\x00\u2066B"
    assert caller.call("PUT", "locations/SE/LAD/L1", content=as_bytes(body)).json()["status_code"] == 1000
    row = Location.objects.get()
    assert not set(row.name) & set("\u202e\u2066\x07\x1b\x00")
    assert row.name.startswith("A\ufffdgnp.exe\ufffd")
    assert b"\\u202egnp.exe" in bytes(row.body)


@pytest.mark.control("S29")
@pytest.mark.parametrize("name", ["L\u202e1", "L\u00001", "Lå1", "L\n1"])
def test_an_id_of_other_signs_is_no_id(name, caller):
    body = sent("2.2.1", "location") | {"country_code": "SE", "party_id": "LAD", "id": name}
    assert caller.call("PUT", "locations/SE/LAD/L1", content=as_bytes(body)).json()["status_code"] == 2001
    assert not Location.objects.exists()
    assert Quarantined.objects.count() == 1


@pytest.mark.control("S31")
def test_fields_nobody_knows_refuse_nothing(caller):
    body = sent("2.2.1", "location") | {"country_code": "SE", "party_id": "LAD", "id": "L1"}
    body |= {f"x_{number}": {"deep": [number] * 10} for number in range(200)}
    assert caller.call("PUT", "locations/SE/LAD/L1", content=as_bytes(body)).json()["status_code"] == 1000
    assert "x_199" in bytes(Location.objects.get().body).decode()


@pytest.mark.control("S31")
def test_fields_nobody_knows_count_for_the_size(caller):
    body = sent("2.2.1", "location") | {"country_code": "SE", "party_id": "LAD", "id": "L1", "x": "x" * LARGEST}
    assert caller.call("PUT", "locations/SE/LAD/L1", content=as_bytes(body)).status_code == 413
