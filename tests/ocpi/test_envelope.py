"""What goes around our answers."""

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import msgspec

from apps.ocpi import reader
from apps.ocpi.envelope import failure, page_headers, success

NOW = datetime(2026, 3, 1, 12, 0, 0, 250000, tzinfo=UTC)


def test_an_answer_has_data_a_code_and_a_time():
    assert json.loads(success({"id": "1"}, NOW)) == {
        "data": {"id": "1"},
        "status_code": 1000,
        "timestamp": "2026-03-01T12:00:00.250Z",
    }


def test_amounts_leave_as_they_are():
    assert b'"data":{"price":4.20}' in success({"price": Decimal("4.20")}, NOW)


def test_stored_bytes_leave_as_they_came():
    stored = b'{"id" : "1", "id": "2", "price": 1.50}'
    body = success(msgspec.Raw(stored), NOW)
    assert stored in body and reader.read_envelope(body).data == stored


def test_an_empty_list_is_data_and_nothing_is_not():
    assert json.loads(success([], NOW))["data"] == []
    assert "data" not in json.loads(success(None, NOW))


def test_a_failure_says_what_went_wrong_and_perhaps_more():
    body = json.loads(failure(2001, 'id: "x" is no id', [{"path": "id"}], NOW))
    assert (body["status_code"], body["status_message"], body["data"]) == (2001, 'id: "x" is no id', [{"path": "id"}])
    assert "data" not in json.loads(failure(3000, "", None, NOW))


def test_the_time_is_in_utc_whatever_the_clock():
    local = NOW.astimezone(timezone(timedelta(hours=2)))
    assert success(None, local) == success(None, NOW)


def test_what_we_write_is_what_we_read():
    envelope, bodies = reader.split_page(success([{"id": "1"}, {"id": "2"}], NOW))
    assert (envelope.status_code, envelope.timestamp, bodies) == (1000, NOW, [b'{"id":"1"}', b'{"id":"2"}'])


def test_a_page_says_how_many_there_are_and_where_the_next_is():
    assert page_headers(120, 50, "https://emsp.test/ocpi/2.2.1/tokens?cursor=a") == {
        "X-Total-Count": "120",
        "X-Limit": "50",
        "Link": '<https://emsp.test/ocpi/2.2.1/tokens?cursor=a>; rel="next"',
    }


def test_the_last_page_has_no_link():
    assert page_headers(0, 50, None) == {"X-Total-Count": "0", "X-Limit": "50"}
