import json
import stat
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from apps.simulator.server import Simulator
from tests.simulator.conftest import CARDS
from tests.simulator.receiver import TOKEN_A


def test_cards_are_presented_with_the_place_and_the_answers_kept(cpo, emsp, receiver):
    receiver.refuses = lambda call: (404, 2004, None) if "STRANGER" in call.path else None
    answers = cpo.play("authorize", uids=[CARDS[0], "STRANGER"])["answers"]
    assert [(answer["http_status"], answer["allowed"]) for answer in answers] == [(200, "ALLOWED"), (404, None)]
    assert [entry["outcome"] for entry in cpo.ledger.entries("authorization")] == ["OK", "REFUSED"]
    assert set(receiver.bodies("POST", "tokens")[0]) == {"location_id", "evse_uids"}


def test_sessions_begin_grow_and_end_and_their_evses_with_them(cpo, emsp, receiver):
    assert cpo.play("sessions", count=4, completed=3, others=2)["sessions"] == {"COMPLETED": 3, "ACTIVE": 1}
    statuses = Counter(body.get("status") for body in receiver.bodies("PATCH", "sessions"))
    assert statuses == {None: 7, "COMPLETED": 3}
    assert Counter(body["status"] for body in receiver.bodies("PATCH", "locations"))["CHARGING"] == 4
    assert len([body for page in emsp.pages("sessions") for body in page]) == 4


def test_the_session_served_is_the_sum_of_what_was_pushed(cpo, emsp, receiver):
    cpo.play("sessions", count=1, completed=1)
    (served,) = emsp.get("sessions").json()["data"]
    pushed = [period for body in receiver.bodies("PATCH", "sessions") for period in body.get("charging_periods", [])]
    assert served["charging_periods"] == json.loads(json.dumps(pushed, default=float))
    assert served["authorization_reference"].startswith("ref-") and served["status"] == "COMPLETED"


def test_cdrs_are_pushed_once_one_of_them_twice_and_some_wait_to_be_pulled(cpo, emsp, receiver):
    result = cpo.play("cdrs", count=60, pull_only=7)
    posted = Counter(body["id"] for body in receiver.bodies("POST", "cdrs"))
    assert (result["made"], result["pull_only"], result["outcomes"]) == (60, 7, {"OK": 53, "None": 7})
    assert sorted(posted.values()) == [1] * 52 + [2]
    assert sum(len(page) for page in emsp.pages("cdrs?limit=25")) == 60


def test_blocked_cards_do_not_charge(cpo, emsp, receiver):
    cpo.play("cdrs", count=60)
    assert CARDS[-1] not in {body["cdr_token"]["uid"] for body in receiver.bodies("POST", "cdrs")}


def test_what_was_answered_is_not_sent_again_and_what_was_not_is(cpo, emsp, receiver):
    receiver.refuses = lambda call: (500, 3000, None) if len(receiver.bodies("POST", "cdrs")) > 10 else None
    cpo.play("cdrs", count=30, pull_only=0, odd=False)
    receiver.refuses = lambda call: None
    assert cpo.play("cdrs", count=30, pull_only=0, odd=False)["outcomes"] == {"OK": 20}
    assert {entry["id"] for entry in cpo.ledger.entries("cdr") if entry["outcome"] == "OK"} == {
        f"LAD-202610-{n:05d}" for n in range(1, 31)
    }


def test_the_ledger_holds_what_a_recount_needs(cpo, emsp):
    cpo.play("cdrs", count=40)
    entries = cpo.ledger.entries("cdr")
    by_fault = {entry["fault"]: entry for entry in entries}
    assert set(by_fault) == {
        None,
        "unknown_card",
        "wrong_total",
        "late",
        "refused",
        "credited",
        "credit",
        "replacement",
    }
    assert by_fault["credit"]["net"] == f"-{by_fault['credited']['net']}"
    assert by_fault["wrong_total"]["net"] != by_fault["wrong_total"]["component_net"]
    assert {"token_uid", "contract_id", "start", "end", "kwh", "hours", "currency", "country"} <= set(entries[0])


def test_one_card_can_be_followed_from_the_reader_to_the_cdr(cpo, emsp, receiver):
    told = cpo.play("charge", uid=CARDS[0], start="2026-10-05T10:00:00Z")
    (body,) = receiver.bodies("POST", "cdrs")
    assert body["authorization_reference"] == told["authorization"]["reference"]
    assert (body["id"], body["session_id"]) == (told["cdr"], told["session_id"])


def test_after_a_restart_it_knows_everybody_and_tells_its_new_address(cpo, emsp, receiver, tmp_path):
    cpo.play("cdrs", count=30)
    folder, old = cpo.folder, cpo.versions_url
    with Simulator(folder) as again:
        deadline = time.monotonic() + 10
        while not again.state()["told"] and time.monotonic() < deadline:
            time.sleep(0.02)
        assert receiver.credentials_of_cpo["url"] == again.versions_url != old
        assert set(again.received_tokens) == set(CARDS) and again.state()["objects"]["cdrs"] == 30
        assert again.play("cdrs", count=30)["outcomes"] == {}


def test_an_emsp_that_is_not_up_yet_is_tried_until_the_shop_closes(cpo, emsp, receiver):
    cpo.memory.put(emsp_versions_url="http://127.0.0.1:9/versions")
    with Simulator(cpo.folder) as again:
        assert again.state()["told"] is False


def test_secrets_are_for_their_owner_alone(cpo, emsp):
    modes = {name: stat.S_IMODE((cpo.folder / name).stat().st_mode) for name in ("state.json", "control.key")}
    assert modes == {"state.json": 0o600, "control.key": 0o600}
    assert receiver_tokens_absent(cpo)


def receiver_tokens_absent(cpo) -> bool:
    secrets = [*cpo.memory.get("tokens_of_emsp"), cpo.memory.get("token_for_us")]
    return not any(secret in cpo.ledger.path.read_text() for secret in secrets)


def test_control_needs_the_key(cpo):
    assert httpx.get(f"{cpo.url}/control/state").status_code == 403
    assert httpx.get(f"{cpo.url}/control/state", headers={"X-Control-Key": "guess"}).status_code == 403


def test_it_is_led_by_http(cpo, control, receiver):
    told = control.post("/register", json={"versions_url": receiver.versions_url, "token_a": TOKEN_A}).json()
    assert told["outcome"] == "OK" and control.get("/state").json()["emsp"] == "SE*EMO"
    assert control.get("/token-a").json()["versions_url"] == cpo.versions_url
    assert control.post("/renew").json()["outcome"] == "OK"
    assert control.post("/fault", json={"name": "slow", "value": 1}).json()["faults"][0]["name"] == "slow"
    assert control.post("/fault", json={}).json() == {"faults": []}
    assert control.post("/unregister").json()["outcome"] == "OK"


@pytest.mark.parametrize("wrong", [{"step": "dance"}, {}, {"step": "cdrs", "colour": "red"}])
def test_a_wrong_order_is_answered_with_the_reason(control, wrong):
    response = control.post("/play", json=wrong)
    assert response.status_code == 400 and response.json()["error"]


def test_a_play_can_be_watched(cpo, emsp, control):
    assert control.post("/play", json={"step": "cdrs", "count": 200, "wait": False}).json() == {"playing": "cdrs"}
    seen = set()
    while "cdrs" not in (state := control.get("/state").json())["played"]:
        seen.add(state["progress"].get("done"))
        assert state["errors"] == []
    assert len(seen) > 2


def test_the_command_starts_it_and_sigterm_ends_it(tmp_path):
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "apps.simulator", "--data-dir", str(tmp_path), "--month", "2026-10"]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        said = process.stdout.readline()
        key = (tmp_path / "control.key").read_text()
        port = json.loads((tmp_path / "state.json").read_text())["port"]
        state = httpx.get(f"http://127.0.0.1:{port}/control/state", headers={"X-Control-Key": key}).json()
        process.terminate()
    assert said.startswith(f"simulated CPO at http://127.0.0.1:{port}/ocpi/versions")
    assert (state["objects"]["locations"], state["evses"], process.returncode) == (60, 200, 0)
