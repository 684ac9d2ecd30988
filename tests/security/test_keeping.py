"""What is kept, and what with: keys that are keys, and a record that a partner cannot fill our disk with (trust S3)."""

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta

import pytest

from apps import marks
from apps.ocpi.client import Call
from apps.partners import exchanges
from apps.partners.models import Exchange, Partner
from emsp import local
from tests.test_settings import manage

WHOLE = local.new_field_key()


WEAK = {
    "a word": "changeme",
    "too short": urlsafe_b64encode(b"x" * 16).decode(),
    "an empty one beside it": f"{WHOLE},",
    "a letter too many": f"{WHOLE}é",
}


@pytest.mark.control("S3", "S53")
@pytest.mark.parametrize("keys", WEAK.values(), ids=WEAK)
def test_production_takes_no_weak_key(keys, tmp_path):
    refused = manage(tmp_path, "check", FIELD_KEYS=keys)
    assert refused.returncode != 0
    assert "FIELD_KEYS are 32 random bytes" in refused.stderr
    assert keys not in refused.stderr


def test_production_takes_a_whole_key_and_an_older_one(tmp_path):
    assert manage(tmp_path, "check", FIELD_KEYS=f"{WHOLE},{local.new_field_key()}").returncode == 0


@pytest.mark.django_db
def test_of_an_endless_page_only_the_beginning_is_kept():
    partner = Partner.objects.create(name="CPO")
    page = json.dumps({"data": "x" * 2**21}).encode()
    said = ("GET", "https://cpo.example/cdrs", b"", page, 200, 1000, "", timedelta(seconds=1), "1", "2")
    exchanges.recorder(partner, "cdrs")(Call(*said))
    assert len(bytes(Exchange.objects.get().response_body)) == exchanges.LONGEST_PAGE


# What is not kept, and for how long the rest is (trust S41)

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
CARD, CONTRACT = "04CANARY1234", "SE-EMP-CCANARY-1"


def said(module, body=b"", url="https://cpo.example/x", at=NOW):
    call = ("GET", url, body, body, 200, 1000, "", "1", "2", timedelta(seconds=1), at)
    return exchanges.Said(None, Exchange.Direction.IN, module, *call)


@pytest.mark.control("S41")
@pytest.mark.parametrize("module", ["cdrs", "sessions", "tokens"])
def test_of_a_message_about_a_card_it_is_not_kept_whose(module, db):
    body = {"cdr_token": {"uid": CARD, "contract_id": CONTRACT}, "auth_id": CONTRACT, "visual_number": CARD, "kwh": 1}
    for spelt in (
        json.dumps(body),
        json.dumps(body, separators=(",", ":")),
        json.dumps([body, body], indent=2) + "broken",
    ):
        exchanges.keep(said(module, spelt.encode(), url=f"https://cpo.example/tokens/SE/EMP/{CARD}?type=RFID"))
    for row in Exchange.objects.all():
        kept = bytes(row.request_body) + bytes(row.response_body) + row.url.encode()
        assert CARD.encode() not in kept
        assert CONTRACT.encode() not in kept
        assert marks.mark(CARD) in row.url
        assert kept.count(marks.mark(CARD.lower()).encode()) >= 4  # the same card can be followed, whose it is cannot
        assert b'"kwh"' in kept


@pytest.mark.control("S41")
def test_an_evse_is_not_taken_for_a_card(db):
    exchanges.keep(said("locations", b'{"evses": [{"uid": "E1"}]}'))
    assert bytes(Exchange.objects.get().request_body) == b'{"evses": [{"uid": "E1"}]}'


@pytest.mark.control("S41")
@pytest.mark.django_db(transaction=True)
def test_neither_log_nor_record_names_a_card_that_was_asked_for(caller, capfd, caplog):
    caplog.set_level("DEBUG")
    caller.call("POST", f"tokens/{CARD}/authorize")
    caller.call("POST", f"tokens/{CARD}/authorize", content=b"[")
    assert CARD not in caplog.text + "".join(capfd.readouterr())
    assert [row.url for row in Exchange.objects.all()] == [f"/ocpi/2.2.1/tokens/{marks.mark(CARD)}/authorize"] * 2
    assert "request" in caplog.text


@pytest.mark.control("S41")
def test_messages_are_kept_as_long_as_a_question_may_come_up(db):
    for module, days in (
        ("locations", 6),
        ("locations", 8),
        ("cdrs", 89),
        ("cdrs", 91),
        ("sessions", 29),
        ("sessions", 31),
    ):
        exchanges.keep(said(module, at=NOW - timedelta(days=days)))
    assert exchanges.prune(NOW) == 3
    left = {(row.module, (NOW - row.at).days) for row in Exchange.objects.all()}
    assert left == {("locations", 6), ("cdrs", 89), ("sessions", 29)}


@pytest.mark.control("S41")
def test_old_messages_go_a_handful_at_a_time(db):
    for _ in range(5):
        exchanges.keep(said("sessions", at=NOW - timedelta(days=31)))
    assert [exchanges.prune(NOW, limit=2) for _ in range(4)] == [2, 2, 1, 0]
