"""What a partner sees of its CDRs: all of them, each once, and nothing of anybody else (B11, X9, X12)."""

import csv
import io
import json
import logging
import re
from datetime import UTC, date, datetime, timedelta
from html import unescape

import pytest
from django.urls import get_resolver

from apps.billing import rating
from apps.charging import checks, store
from apps.charging.models import Cdr, Finding
from apps.partners import ourselves, quarantine
from apps.partners.models import Party, Quarantined
from apps.partners.taking import take
from apps.partnerview import links, received, views, wording
from apps.partnerview.models import Link
from apps.partnerview.received import Selection, State
from apps.tokens import sandbox
from apps.tokens.authorization import authorize
from apps.tokens.models import Token
from emsp.intakes import INTAKES
from tests.admin.furnished import NOW, V221, cdr_body, make_partner
from tests.partners.agreeing import agree
from tests.partnerview.conftest import FORMULA, SENT_BY_EACH, STATES, post

pytestmark = pytest.mark.django_db

ROUTES = [str(one.pattern) for one in get_resolver().url_patterns if str(one.pattern).startswith("view/")]
LATER = datetime(2027, 1, 1, tzinfo=UTC)
HIDDEN = ("Anna", "Öberg", "SE-EMP-C", "NL-0", "Privat", "50.00", "is blocked", "DEAD01", "eva")
"""Of drivers, contracts, cards, plans, retail prices and staff."""


def file_of(client, path, **asked):
    answer = client.get(f"{path}/cdrs.csv", {"month": "all"} | asked)
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(b"".join(answer).decode())))


def reasons(client, path):
    return {(row["cdr_id"], row["state"]): row["why"] for row in file_of(client, path)}


def test_every_cdr_that_came_is_in_one_state_and_none_is_missing(two, address, client):
    for partner in two:
        totals = received.totals(Selection(partner))
        assert sum(total.count for total in totals) == SENT_BY_EACH
        listed = file_of(client, address(partner))
        counted = {state: sum(row["state"] == state for row in listed) for state in STATES}
        assert counted == STATES and len(listed) == SENT_BY_EACH
        assert {(total.state.label, total.count) for total in totals} == set(STATES.items())


def test_what_was_not_looked_at_yet_is_being_checked(two, address, client):
    post(two[0], cdr_body("CDR-NEW", "DEAD02", "XX"))
    assert reasons(client, address(two[0]))["CDR-NEW", "being checked"] == ""


def test_each_state_says_since_when_and_why(two, address, client):
    said = reasons(client, address(two[0]))
    assert said["CDR-1", "accepted"] == ""
    assert said["CDR-STRANGE", "held"] == "The card is not known here."
    assert said["CDR-BLOCKED", "held"] == "The card was not valid when charging began."
    assert said["CDR-FOREIGN", "held"].startswith("Takes back a CDR that is a credit itself, ")
    assert said["CDR-BACK", "credited"] == "Taken back by CDR CDR-CREDIT."
    assert said["CDR-CREDIT", "credited"] == "Takes back CDR CDR-BACK."
    assert said["CDR-1", "refused"].startswith("id: a CDR of this id, received at 2026-11-03T12:00:00Z, says otherwise")
    assert "currency: " in said["CDR-BAD", "refused"]
    assert {row["since"] for row in file_of(client, address(two[0]))} == {"2026-11-03T12:00:00Z"}


def test_costs_are_summed_by_state_and_currency_and_a_credited_pair_is_nothing(two):
    costs = {total.state.label: (total.currency, total.cost) for total in received.totals(Selection(two[0]))}
    assert costs["accepted"] == ("SEK", 120)
    assert costs["credited"] == ("SEK", 0)
    assert costs["refused"] == ("", None)


def test_what_staff_mend_is_refused_no_more(two):
    row = Quarantined.objects.get(partner=two[0], ocpi_id="CDR-BAD")
    body = bytes(row.body).replace(b'"currency": "<script>alert(1)</script>"', b'"currency": "SEK"')
    quarantine.mend(row, body, INTAKES, NOW)
    rating.catch_up(NOW)
    totals = {total.state.label: total.count for total in received.totals(Selection(two[0]))}
    assert totals == STATES | {"accepted": 5, "refused": 2}


def test_what_was_agreed_tells_when_it_is_due_and_until_when_it_may_be_disputed(two, address, client):
    agree(two[0].parties.get(), payment_days=30, dispute_days=60)
    told = {
        (row["cdr_id"], row["state"]): (row["due_on"], row["disputable_until"])
        for row in file_of(client, address(two[0]))
    }
    assert told["CDR-1", "accepted"] == ("2026-12-03", "2027-01-02")
    assert told["CDR-STRANGE", "held"] == told["CDR-BACK", "credited"] == ("", "2027-01-02")
    assert told["CDR-1", "refused"] == ("", "")
    page = client.get(address(two[0])).content.decode()
    assert "due 2026-12-03" in page and "may be disputed until 2027-01-02" in page
    assert {row["due_on"] for row in file_of(client, address(two[1]))} == {""}


def test_who_sells_itself_and_who_lost_its_agreement_is_told_so(two, address, client):
    agree(two[0].parties.get(), commercial_model="disclosed_agent")
    agree(two[1].parties.get(), valid_until=date(2026, 1, 1))
    Cdr.objects.update(checked_at=None)
    rating.catch_up(NOW)
    assert reasons(client, address(two[0]))["CDR-1", "held"].startswith("You sell to the driver yourself, as agreed")
    assert "No agreement was in force when charging began." in reasons(client, address(two[1]))["CDR-1", "held"]


@pytest.mark.control("S15")
def test_no_address_of_the_view_shows_anything_of_anybody_else(two, address, client):
    one, other = two
    assert "SE*OTH" in Finding.objects.get(cdr__party__party_id="LAD", code="V-43").reason, "which staff read"
    theirs = received.page(Selection(other), 100)
    asked = [
        {}, {"month": "all"}, {"month": "2026-11"}, {"id": "ONLY-OTH"}, {"id": "CDR-1"},
        *({"month": "all", "state": state} for state in State),
        *({"month": "all", "below": str(row.place)} for row in theirs),
    ]  # fmt: skip
    seen = 0
    path = address(one)
    key = path.removeprefix("/view/")
    for route in ROUTES:
        for words in asked:
            views.pace.PACE.forget()
            url = "/" + re.sub(r"<\w+:address>", key, route)
            answer = client.get(url, words)
            assert answer.status_code == 200, (url, words)
            text = unescape(b"".join(answer).decode())
            found = [word for word in (*HIDDEN, "Foreign AB", "SE*OTH") if word in text]
            assert not found, (url, words, found)
            assert "ONLY-OTH" not in text or words.get("id") == "ONLY-OTH", (url, words)
            assert "<script>alert" not in b"".join(client.get(url, words)).decode() or "csv" in url
            seen += 1
    assert seen == len(ROUTES) * len(asked) >= 2 * 20
    assert file_of(client, path, id="ONLY-OTH") == []


def test_every_rule_that_holds_towards_the_cpo_has_its_sentence():
    holding = {rule.code for rule in checks.RULES if rule.cpo >= checks.HOLD}
    assert holding == wording.REPEATED | wording.SENTENCES.keys()
    assert wording.why_held([("V-99", "driver Anna is blocked")]) == ("We are looking at it.",)


@pytest.mark.control("S15")
def test_whatever_is_wrong_with_an_address_it_is_one_and_the_same_404(two, address, client, caplog):
    caplog.set_level(logging.INFO)
    good, back = address(two[0]), address(two[0])
    links.take_back(Link.objects.first(), "eva", datetime.now(UTC))
    expired = address(two[0], NOW - timedelta(days=400), timedelta(days=30))
    secret, _, signature = good.removeprefix("/view/").partition(".")
    wrong = [
        expired, back, "/view/x", f"/view/{secret}", f"/view/{secret}x.{signature}", f"{good}x", f"{good}/", f"{good}/x",
        good.replace("/view/", "/view//"), "/view/" + "a" * 43 + "." + signature,
    ]  # fmt: skip
    assert client.get(good).status_code == 200
    answers = [client.get(path) for path in wrong] + [client.get(f"{path}/cdrs.csv") for path in (expired, back)]
    words = {(answer.status_code, answer.content, str({**answer.headers, "X-Request-ID": ""})) for answer in answers}
    assert len(words) == 1 and answers[0].status_code == 404
    told = caplog.text + str([record.msg for record in caplog.records])
    assert secret not in told and back.removeprefix("/view/") not in told, "the address is a key"


@pytest.mark.control("S2")
def test_the_address_is_kept_nowhere_and_never_logged(two, address, client, settings, caplog):
    caplog.set_level(logging.INFO)
    path = address(two[0])
    secret = path.removeprefix("/view/").partition(".")[0]
    client.get(path)
    client.post(path)
    client.get(f"{path}?month=x")
    client.get(path, headers={"host": "evil.example"})
    settings.SECURE_SSL_REDIRECT = True
    client.get(path)
    assert secret not in caplog.text + str([record.msg for record in caplog.records])
    assert [value for value in Link.objects.values_list() if secret.encode() in str(value).encode()] == []


def test_it_answers_without_login_or_cookie_and_lets_nobody_keep_or_carry_on_what_it_says(two, address, client):
    for path in (address(two[0]), address(two[0]) + "/cdrs.csv", "/view/x"):
        answer = client.get(path)
        assert not answer.cookies
        assert answer["Referrer-Policy"] == "no-referrer"
        assert answer["Cache-Control"] == "no-store"
        assert "noindex" in answer["X-Robots-Tag"]
        assert "script-src" not in answer["Content-Security-Policy"]
        assert "default-src 'none'" in answer["Content-Security-Policy"]


def test_it_can_only_be_read(two, address, client):
    for method in ("post", "put", "patch", "delete"):
        answer = getattr(client, method)(address(two[0]))
        assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")


@pytest.mark.control("S42")
def test_files_are_made_five_times_and_then_one_a_minute(two, address, client):
    path = address(two[0])
    answers = [client.get(f"{path}/cdrs.csv").status_code for _ in range(6)]
    assert answers == [200] * 5 + [429]
    assert 0 < int(client.get(f"{path}/cdrs.csv")["Retry-After"]) <= 60
    assert client.get(path).status_code == 200


def walked(client, path, **asked):
    """The rows of all pages, by the links at their feet."""
    found, query = [], "?" + "&".join(f"{name}={value}" for name, value in asked.items())
    while query:
        page = client.get(path + query).content.decode()
        found += re.findall(
            r'<th scope="row">(?!<a)([^<]+?) ?(?:<small>.*?)?</th>\s*<td><span class="state \w+">([\w ]+)<', page
        )
        older = re.search(r'<a href="(\?[^"]+)" rel="next"', page)
        query = older and unescape(older[1])
    return [(unescape(cdr_id), state) for cdr_id, state in found]


def test_the_file_says_what_the_pages_say_in_the_same_order(two, address, client, monkeypatch):
    monkeypatch.setattr(views, "ROWS", 2)
    path = address(two[0])
    for asked in ({"month": "all"}, {"month": "2026-11"}, {"month": "all", "state": "refused"}, {"id": "cdr-1"}):
        listed = [(row["cdr_id"].removeprefix("'"), row["state"]) for row in file_of(client, path, **asked)]
        assert walked(client, path, **asked) == listed, asked
        assert listed, asked
    assert [row[:2] for row in walked(client, path, id="CDR-1")] == [("CDR-1", "accepted"), ("CDR-1", "refused")]


@pytest.mark.control("S39")
def test_a_spreadsheet_takes_no_id_for_a_formula(two, address, client):
    ids = {row["cdr_id"] for row in file_of(client, address(two[0]))}
    assert f"'{FORMULA}" in ids and FORMULA not in ids


@pytest.mark.parametrize("word", ["month=2026-13", "state=paid", "below=1", "id=" + "x" * 256, "id=%00", "below=9-9-9"])
def test_a_wrong_word_is_named(two, address, client, word):
    answer = client.get(f"{address(two[0])}?{word}")
    assert answer.status_code == 400
    assert f"{word.split('=')[0]}: " in answer.content.decode()


def test_months_are_those_of_utc(two, address, client):
    """At 23:30 of the last of October in UTC it is November in Stockholm."""
    post(two[0], cdr_body("CDR-LATE", "DEAD04", "XX"), now=datetime(2026, 10, 31, 23, 30, tzinfo=UTC))
    path = address(two[0])
    assert [row["cdr_id"] for row in file_of(client, path, month="2026-10")] == ["CDR-LATE"]
    page = client.get(path).content.decode()
    assert re.findall(r"<option[^>]*>(20[\d-]+)", page) == ["2026-11", "2026-10"]
    assert "CDR-LATE" not in page, "the newest month is shown"


def test_a_hub_sees_each_of_its_parties_and_a_party_takes_its_cdrs_along_when_it_moves(two, address, client):
    one, other = two
    Party.objects.filter(party_id="LAD").update(partner=other)
    assert {row["party"] for row in file_of(client, address(other))} >= {"SE*LAD", "SE*OTH"}
    left = file_of(client, address(one))
    assert {row["state"] for row in left} == {"refused"}, "it sees what it sent in vain, and no CDR of others"


def session_of(card):
    said = {
        "country_code": "SE", "party_id": "LAD", "id": "TRIED-S", "start_date_time": "2026-11-03T11:00:00Z", "kwh": 1,
        "cdr_token": {"country_code": "SE", "party_id": "EMP", "uid": card.uid, "type": "RFID",
                      "contract_id": card.contract.contract_id},
        "auth_method": "WHITELIST", "location_id": "L1", "evse_uid": "E1", "connector_id": "1", "currency": "SEK",
        "status": "ACTIVE", "last_updated": "2026-11-03T11:30:00Z",
    }  # fmt: skip
    return json.dumps(said).encode()


def test_a_partner_reads_what_it_can_try_and_what_became_of_it(two, address, client):
    one, other = two
    us = ourselves.us()
    path = f"{address(one)}/tests"
    assert "None were made for you yet" in client.get(path).content.decode()
    sandbox.reset(one, NOW, us)
    empty = client.get(path).content.decode()
    assert "Nothing yet." in empty and "7E57" in empty and "Quirks: none" in empty

    card = Token.objects.get(uid=sandbox.uid_of(one, 1))
    authorize(partner_id=one.pk, uid=card.uid, now=NOW)
    post(one, cdr_body("TRIED-1", card.uid, card.contract.contract_id))
    take(store.INTAKE, one, V221, [session_of(card)], NOW)
    shown = client.get(path).content.decode()
    for word in ("ALLOWED", "CDR TRIED-1", "Taken: 10 kWh, 30 SEK before taxes", "Session TRIED-S", "ACTIVE, 1 kWh"):
        assert word in shown, word
    assert "CDR-1" not in shown, "what was charged on other cards is no trial"
    rating.catch_up(NOW)
    assert reasons(client, address(one))["TRIED-1", "held"] == "Charged with a test card, so nothing is owed for it."
    assert "7E57" not in client.get(f"{address(other)}/tests").content.decode()

    sandbox.reset(one, NOW + timedelta(hours=1), us)
    assert "Nothing yet." in client.get(path).content.decode()


def test_nobody_sent_anything_yet(db, address, client):
    partner = make_partner("Laddnät", "LAD")
    page = client.get(address(partner)).content.decode()
    assert "Nothing." in page
    assert file_of(client, address(partner)) == []


def test_a_page_takes_as_many_statements_as_the_next(two, address, client, django_assert_max_num_queries):
    path = address(two[0])
    client.get(path)
    with django_assert_max_num_queries(7):
        client.get(path)
    assert Cdr.objects.count() == 18


def test_that_it_was_opened_is_noted_once_a_minute(two):
    now = LATER
    path = links.make(two[0], "Bokföring", timedelta(days=1), "eva", now)
    link = links.find(path, now)
    assert Link.objects.get(pk=link.pk).last_seen_at == now
    links.find(path, now + timedelta(seconds=59))
    assert Link.objects.get(pk=link.pk).last_seen_at == now
    links.find(path, now + timedelta(minutes=1))
    assert Link.objects.get(pk=link.pk).last_seen_at == now + timedelta(minutes=1)


def test_a_link_that_opens_nothing_cannot_be_taken_back(two):
    now = LATER
    links.make(two[0], "Bokföring", timedelta(days=1), "eva", now)
    link = Link.objects.first()
    links.take_back(link, "eva", now)
    for at in (now, now + timedelta(days=2)):
        with pytest.raises(links.CannotTakeBack):
            links.take_back(link, "eva", at)
