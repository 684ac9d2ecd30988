import json

import httpx
import pytest

from apps.simulator.faults import NAMES
from apps.simulator.wire import authorization
from tests.simulator.conftest import CARDS
from tests.simulator.receiver import TOKEN_C, token


def codes(response: httpx.Response) -> tuple[int, int]:
    return response.status_code, response.json()["status_code"]


def test_without_credentials_nothing_opens(cpo, emsp):
    for path in ("versions", "2.2.1", "2.2.1/cdrs", "2.2.1/credentials"):
        assert codes(httpx.get(f"{cpo.url}/ocpi/{path}")) == (401, 2001)


def test_token_a_opens_versions_and_credentials_only(cpo):
    headers = {"Authorization": authorization(cpo.token_a())}
    found = {
        path: httpx.get(f"{cpo.url}/ocpi/{path}", headers=headers).status_code
        for path in ("versions", "2.2.1", "2.2.1/cdrs")
    }
    assert found == {"versions": 200, "2.2.1": 200, "2.2.1/cdrs": 401}


def test_a_credentials_token_is_read_in_base64_and_as_it_is(cpo, emsp, receiver):
    for header in (
        authorization(receiver.credentials_of_cpo["token"]),
        f"Token {receiver.credentials_of_cpo['token']}",
    ):
        assert httpx.get(cpo.versions_url, headers={"Authorization": header}).status_code == 200


def test_the_emsp_can_begin_the_registration(cpo, receiver):
    headers = {"Authorization": authorization(cpo.token_a())}
    ours = {
        "token": TOKEN_C,
        "url": receiver.versions_url,
        "roles": [{"role": "EMSP", "country_code": "SE", "party_id": "EMO"}],
    }
    given = httpx.post(f"{cpo.url}/ocpi/2.2.1/credentials", headers=headers, json=ours).json()["data"]
    assert cpo.state()["emsp"] == "SE*EMO"
    assert (
        httpx.get(f"{cpo.url}/ocpi/2.2.1/cdrs", headers={"Authorization": authorization(given["token"])}).status_code
        == 200
    )
    assert httpx.get(cpo.versions_url, headers=headers).status_code == 401


def test_an_emsp_whose_endpoints_cannot_be_read_is_answered_3001(cpo):
    headers = {"Authorization": authorization(cpo.token_a())}
    ours = {"token": "t", "url": "http://127.0.0.1:9/versions", "roles": [{"role": "EMSP"}]}
    response = httpx.post(f"{cpo.url}/ocpi/2.2.1/credentials", headers=headers, json=ours)
    assert codes(response) == (200, 3001) and not cpo.state()["registered"]


def test_registering_twice_is_not_allowed_and_renewing_is(cpo, emsp, receiver):
    ours = {
        "token": TOKEN_C,
        "url": receiver.versions_url,
        "roles": [{"role": "EMSP", "country_code": "SE", "party_id": "EMO"}],
    }
    assert emsp.call("POST", "credentials", ours).status_code == 405
    assert codes(emsp.call("PUT", "credentials", ours)) == (200, 1000)
    assert codes(emsp.call("DELETE", "credentials")) == (200, 1000)
    assert not cpo.state()["registered"]


def test_a_list_is_given_in_pages_that_lead_to_each_other(cpo, emsp):
    first = emsp.get("locations?limit=2")
    assert (first.headers["X-Total-Count"], first.headers["X-Limit"], len(first.json()["data"])) == ("3", "100", 2)
    assert [len(page) for page in emsp.pages("locations?limit=2")] == [2, 1]
    assert "Link" not in emsp.get("locations").headers


def test_a_list_holds_what_changed_from_one_date_until_before_another(cpo, emsp):
    cpo.serve("cdrs", [{"id": number, "last_updated": f"2026-10-0{number}T00:00:00Z"} for number in range(1, 5)])
    page = emsp.get("cdrs?date_from=2026-10-02T00:00:00Z&date_to=2026-10-04T00:00:00").json()["data"]
    assert [body["id"] for body in page] == [2, 3]


def test_the_next_page_keeps_the_dates(cpo, emsp):
    link = emsp.get("locations?limit=1&date_from=2024-01-01T00:00:00Z").links["next"]["url"]
    assert "date_from=2024-01-01T00%3A00%3A00Z" in link and "offset=1" in link


def test_objects_are_served_byte_by_byte_in_any_version(cpo, emsp):
    cpo.serve("cdrs", [b'{"id": "x",  "total_cost": 1.00}', b"{spoiled"], version="2.1.1")
    assert b'[{"id": "x",  "total_cost": 1.00},{spoiled]' in emsp.get(f"{cpo.url}/ocpi/2.1.1/cdrs").content
    details = emsp.get(f"{cpo.url}/ocpi/2.1.1").json()["data"]
    assert details["version"] == "2.1.1" and "role" not in details["endpoints"][0]


def test_a_location_an_evse_and_a_connector_can_be_asked_for(emsp, cpo):
    location = next(iter(cpo.world.locations.values()))
    evse = location["evses"][0]
    assert emsp.get(f"locations/{location['id']}").json()["data"]["name"] == location["name"]
    assert emsp.get(f"locations/{location['id']}/{evse['uid']}").json()["data"]["evse_id"] == evse["evse_id"]
    assert emsp.get(f"locations/{location['id']}/{evse['uid']}/1").json()["data"]["id"] == "1"
    assert codes(emsp.get(f"locations/{location['id']}/none")) == (404, 2003)


def test_a_token_is_kept_changed_and_shown(cpo, emsp):
    assert emsp.push("NEW").status_code == 201
    assert (
        emsp.call("PATCH", "tokens/SE/EMO/NEW", {"valid": False, "last_updated": "2026-02-01T00:00:00Z"}).status_code
        == 200
    )
    assert cpo.received_tokens["NEW"] == token("NEW", valid=False, last_updated="2026-02-01T00:00:00Z")
    assert emsp.get("tokens/SE/EMO/new?type=RFID").json()["data"]["valid"] is False
    assert codes(emsp.get("tokens/SE/EMO/OTHER")) == (404, 2004)


def test_an_older_token_does_not_replace_a_newer_one(cpo, emsp):
    emsp.push(CARDS[0], valid=False, last_updated="2025-01-01T00:00:00Z")
    assert cpo.received_tokens[CARDS[0]]["valid"] is True
    assert cpo.ledger.entries("token")[-1]["is_stale"] is True


def test_a_token_without_its_fields_is_refused(cpo, emsp):
    assert codes(emsp.call("PUT", "tokens/SE/EMO/BAD", {"uid": "BAD"})) == (200, 2001)


def test_ids_of_a_request_come_back(emsp):
    response = emsp.call("GET", "tariffs", None, **{"X-Request-ID": "r-1", "X-Correlation-ID": "c-1"})
    assert (response.headers["X-Request-ID"], response.headers["X-Correlation-ID"]) == ("r-1", "c-1")


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", "cdrs", 405), ("GET", "nothing", 404), ("DELETE", "tokens/SE/EMO/X", 405)]
)
def test_what_is_not_there_is_said_in_the_envelope(emsp, method, path, status):
    assert codes(emsp.call(method, path)) == (status, 2000)


FAULTS = {
    "status": (503, lambda response: response.status_code == 503),
    "code": (3000, lambda response: codes(response) == (200, 3000)),
    "not_json": (None, lambda response: response.text.startswith("<!doctype")),
    "redirect": ("/elsewhere", lambda response: response.status_code == 302),
    "page_limit": (1, lambda response: len(response.json()["data"]) == 1),
    "no_headers": (None, lambda response: "X-Total-Count" not in response.headers),
    "no_total": (None, lambda response: {"x-limit", "x-total-count"} & set(response.headers) == {"x-limit"}),
    "busy": (7, lambda response: (response.status_code, response.headers["Retry-After"]) == (429, "7")),
    "busy_silent": (None, lambda response: response.status_code == 429 and "Retry-After" not in response.headers),
    "rotated_token": (None, lambda response: codes(response) == (401, 2001)),
    "gzip_bomb": (
        5,
        lambda response: len(response.content) == 5 * 2**20 > 50 * int(response.headers["Content-Length"]),
    ),
    "repeated_id": (None, lambda response: len({body["id"] for body in data(response)}) == len(data(response)) - 1),
    "bumped": (None, lambda response: all(body["last_updated"] > "2026" for body in data(response))),
    "missing": (
        "evses.connectors.standard",
        lambda response: (
            not any("standard" in c for body in data(response) for e in body["evses"] for c in e["connectors"])
        ),
    ),
    "altered": ({"party_id": "FOE"}, lambda response: {body["party_id"] for body in data(response)} == {"FOE"}),
}


def data(response):
    return response.json()["data"]


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_bends_the_answers_of_its_module_until_it_is_spent(cpo, emsp, name):
    value, is_struck = FAULTS[name]
    cpo.fault(name, value=value, module="locations", times=1)
    assert codes(emsp.get("tariffs")) == (200, 1000)
    assert is_struck(emsp.get("locations"))
    assert codes(emsp.get("locations")) == (200, 1000)


def test_a_lost_reply_is_lost_after_the_work_was_done(cpo, emsp):
    cpo.fault("lost_reply", module="tokens", method="PUT", times=1)
    with pytest.raises(httpx.RemoteProtocolError):
        emsp.push("LOST")
    assert "LOST" in cpo.received_tokens


def test_a_cut_body_is_no_json(cpo, emsp):
    cpo.fault("cut_body", times=1)
    with pytest.raises(json.JSONDecodeError):
        emsp.get("locations").json()


def test_links_can_lead_astray(cpo, emsp):
    cpo.fault("cycle", times=1)
    assert "offset=0" in emsp.get("locations?limit=1").links["next"]["url"]
    cpo.fault("foreign_next", times=1, value="http://elsewhere.example/")
    assert emsp.get("locations?limit=1").links["next"]["url"] == "http://elsewhere.example/"


def test_a_page_can_shrink_under_the_readers_feet(cpo, emsp):
    cpo.fault("shrinking_page")
    assert emsp.get("locations?limit=1").headers["X-Total-Count"] == "3"
    assert emsp.get("locations?limit=1&offset=1").headers["X-Total-Count"] == "2"


def test_a_list_can_ignore_what_it_is_asked(cpo, emsp):
    cpo.fault("ignored_limit", times=1)
    assert len(data(emsp.get("locations?limit=1"))) == 3
    cpo.fault("ignored_offset", times=1)
    assert data(emsp.get("locations?offset=1&limit=1")) == data(emsp.get("locations?limit=1"))
    cpo.fault("ignored_dates", times=1)
    assert len(data(emsp.get("locations?date_from=2099-01-01T00:00:00Z"))) == 3
    cpo.fault("no_link", times=1)
    assert "next" not in emsp.get("locations?limit=1").links


def test_a_platform_that_is_down_does_nothing(cpo, emsp):
    cpo.fault("down", module="tokens")
    with pytest.raises(httpx.RemoteProtocolError):
        emsp.push("NEVER")
    assert "NEVER" not in cpo.received_tokens


def test_a_card_can_be_taken_with_thanks_and_forgotten(cpo, emsp):
    cpo.fault("forgotten_token")
    assert codes(emsp.push("GONE")) == (200, 1000)
    assert emsp.get("tokens/SE/EMO/GONE").status_code == 404


def test_any_token_opens_a_careless_platform(cpo, emsp):
    cpo.fault("any_token")
    with httpx.Client(headers={"Authorization": "Token bm9ib2R5"}, trust_env=False) as stranger:
        assert stranger.get(f"{cpo.url}/ocpi/2.2.1/locations").status_code == 200


def test_what_is_pushed_can_lack_a_field(cpo, emsp, receiver):
    cpo.fault("sent_missing", value="currency", module="cdrs")
    cpo.play("cdrs", count=2, pull_only=0, odd=False)
    assert ["currency" in body for body in receiver.bodies("POST", "cdrs")] == [False, False]
    assert all("currency" in body for body in data(emsp.get("cdrs")))


def test_chance_is_drawn_from_the_seed_so_that_the_same_calls_meet_the_same_faults(cpo, emsp):
    def statuses():
        cpo.fault("status", value=500, module="locations", chance=0.5)
        met = [emsp.get("locations").status_code for _ in range(12)]
        cpo.faults.clear()
        return met

    first = statuses()
    assert set(first) == {200, 500}
    assert statuses() == first
    cpo.faults.seed = 2
    assert statuses() != first
    assert [entry["value"] for entry in cpo.ledger.entries("fault")].count(500) > first.count(500)


def test_every_fault_of_the_catalogue_has_one_line_that_explains_it():
    assert {"status", "shrinking_page", "sent_missing", "command_response", "preferences_response"} <= NAMES
    assert len(NAMES) == 38
