import copy
import json
import threading
import uuid
from datetime import UTC, datetime

import httpx
import pytest
from django.db import connection, connections
from django.utils import timezone

from apps.charging.checking import check_due
from apps.charging.models import Cdr, Finding, Session
from apps.charging.store import find_session
from apps.marks import mark
from apps.partners.models import Exchange, Feed, Partner, Party, Quarantined
from tests.partners.mirrors import example, header_of

from .conftest import CDR, cdr_body, session_body
from .test_intake import OLD

pytestmark = pytest.mark.django_db(transaction=True)

SESSION = "sessions/SE/LAD/S-1"
VERSIONS = ["2.1.1", "2.2.1", "2.3.0"]


@pytest.fixture
def caller(live_server, settings):
    """Calls as a partner makes them, over HTTP."""
    settings.PUBLIC_URL = live_server.url

    def caller(partner):
        header = header_of(partner)

        def call(method, path, body=None, version="2.2.1", **how) -> httpx.Response:
            url = path if path.startswith("http") else f"{live_server.url}/ocpi/{version}/{path}"
            content = json.dumps(body).encode() if isinstance(body, dict) else body
            headers = header | {"Content-Type": "application/json"}
            with httpx.Client(headers=headers, trust_env=False, timeout=30) as client:
                return client.request(method, url, content=content, **how)

        return call

    return caller


@pytest.fixture
def call(caller, partner):
    return caller(partner)


def code(answer):
    return answer.status_code, answer.json()["status_code"]


class TestCdrs:
    @pytest.mark.ocpi("CDR-01")
    def test_a_new_one_is_created_and_has_a_place(self, call, live_server):
        answer = call("POST", "cdrs", cdr_body())
        assert (code(answer), "data" in answer.json()) == ((201, 1000), False)
        assert answer.headers["Location"] == f"{live_server.url}/ocpi/2.2.1/cdrs/{Cdr.objects.get().public_id}"

    @pytest.mark.ocpi("CDR-03")
    def test_its_place_gives_the_very_bytes(self, call):
        body = json.dumps(json.loads(cdr_body()) | {"x_ours": [1.50, {"b": 1e3}]}, indent=3).encode()
        place = call("POST", "cdrs", body).headers["Location"]
        answer = call("GET", place)
        assert code(answer) == (200, 1000)
        assert body in answer.content

    def test_the_place_says_nothing_about_the_cdr(self, call):
        place = call("POST", "cdrs", cdr_body()).headers["Location"]
        assert uuid.UUID(place.rsplit("/", 1)[1]).version == 4

    @pytest.mark.ocpi("CDR-02")
    def test_the_same_again_has_the_same_place(self, call):
        first = call("POST", "cdrs", cdr_body())
        again = call("POST", "cdrs", cdr_body(last_updated="2026-10-20T00:00:00Z"))
        assert (code(again), again.headers["Location"]) == ((200, 1000), first.headers["Location"])

    @pytest.mark.ocpi("CDR-02")
    def test_another_of_its_id_is_refused_without_a_place_and_kept(self, call):
        call("POST", "cdrs", cdr_body())
        answer = call("POST", "cdrs", cdr_body(total_energy=1))
        assert (code(answer), "Location" in answer.headers) == ((200, 2001), False)
        assert "says otherwise" in answer.json()["status_message"]
        assert (Quarantined.objects.get().code, bytes(Cdr.objects.get().body)) == ("V-02", cdr_body())

    @pytest.mark.ocpi("CDR-06")
    def test_all_that_is_wrong_is_said_and_kept(self, call):
        body = cdr_body(currency=None, total_energy="much")
        answer = call("POST", "cdrs", body)
        assert (code(answer), "Location" in answer.headers) == ((200, 2001), False)
        assert all(name in answer.json()["status_message"] for name in ("currency", "total_energy"))
        assert bytes(Quarantined.objects.get().body) == body

    def test_somebody_elses_is_refused_and_kept(self, call):
        assert code(call("POST", "cdrs", cdr_body(party_id="XYZ"))) == (200, 2001)
        assert Quarantined.objects.get().code == "V-05"

    @pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b"[" * 100 + b"]" * 100])
    def test_what_is_no_json_is_an_http_error_in_an_envelope(self, body, call):
        answer = call("POST", "cdrs", body)
        assert (answer.status_code, answer.json()["status_code"] // 1000) == (400, 2)
        assert not Cdr.objects.exists()

    @pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
    @pytest.mark.ocpi("CDR-03")
    def test_a_cdr_cannot_be_replaced_changed_or_removed(self, method, call):
        place = call("POST", "cdrs", cdr_body()).headers["Location"]
        answer = call(method, place, cdr_body(total_energy=1))
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")
        assert call("GET", "cdrs").status_code == 405

    def test_too_large_is_said_before_it_is_read(self, call):
        assert call("POST", "cdrs", b" " * (4 * 2**20 + 1)).status_code == 413

    def test_every_exchange_is_written_down_whole(self, call):
        answer = call("POST", "cdrs", cdr_body())
        said = Exchange.objects.get()
        assert (said.module, said.method, said.http_status, said.status_code) == ("cdrs", "POST", 201, 1000)
        card, contract = CDR["cdr_token"]["uid"], CDR["cdr_token"]["contract_id"]
        without_card = (
            cdr_body().replace(card.encode(), mark(card).encode()).replace(contract.encode(), mark(contract).encode())
        )
        assert (bytes(said.request_body), bytes(said.response_body)) == (without_card, answer.content)

    def test_what_could_not_be_written_down_was_not_stored(self, call):
        """One transaction: no CDR of which nobody can show how it came, and no answer without one."""
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE partners_exchange RENAME TO partners_exchange_gone")
            try:
                assert code(call("POST", "cdrs", cdr_body())) == (200, 3000)
                assert not Cdr.objects.exists()
            finally:
                cursor.execute("ALTER TABLE partners_exchange_gone RENAME TO partners_exchange")
        assert code(call("POST", "cdrs", cdr_body())) == (201, 1000)

    def test_what_postgresql_refuses_is_kept_like_anything_refused(self, call):
        for number in range(2):
            answer = call("POST", "cdrs", cdr_body(total_energy=12345678901234567890123))
            assert (code(answer), "Location" in answer.headers) == ((200, 2001), False), number
        assert (Quarantined.objects.get().seen, Exchange.objects.count(), Cdr.objects.count()) == (2, 2, 0)

    def test_what_only_the_database_refuses_is_kept_too(self, call):
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE charging_cdr ADD CONSTRAINT no_such_city CHECK (city <> 'Stockholm')")
            try:
                answer = call("POST", "cdrs", cdr_body())
            finally:
                cursor.execute("ALTER TABLE charging_cdr DROP CONSTRAINT no_such_city")
        assert code(answer) == (200, 2001)
        assert (bytes(Quarantined.objects.get().body), Cdr.objects.count()) == (cdr_body(), 0)
        assert [said.status_code for said in Exchange.objects.all()] == [2001]

    def test_twenty_at_once_are_one_row(self, call):
        answers = []

        def post():
            try:
                answers.append(call("POST", "cdrs", cdr_body()))
            finally:
                connections.close_all()

        threads = [threading.Thread(target=post) for _ in range(20)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
        assert {answer.json()["status_code"] for answer in answers} == {1000}
        assert len({answer.headers["Location"] for answer in answers}) == Cdr.objects.count() == 1


class TestWhatIsOdd:
    """Of CDRs: taken all the same, and somebody looks before money flows."""

    @pytest.mark.parametrize("version", VERSIONS[1:])
    @pytest.mark.ocpi("CDR-08", "TR-38", "all")
    def test_a_reservation_that_was_not_used_has_no_evse(self, version, call):
        body = example("cdr", version)
        body["cdr_location"] |= {"evse_uid": "#NA", "evse_id": "#NA", "connector_id": "#NA"}
        answer = call("POST", "cdrs", body, version)
        assert code(answer) == (201, 1000)
        cdr = Cdr.objects.get()
        assert (cdr.evse_uid, cdr.evse_id, cdr.location_id) == ("", "", "LOC-7")
        assert call("GET", answer.headers["Location"]).json()["data"]["cdr_location"]["evse_uid"] == "#NA"

    @pytest.mark.parametrize("version", VERSIONS[1:])
    @pytest.mark.ocpi("CDR-08", "all")
    def test_a_time_of_1970_is_taken_and_held(self, version, call):
        never = {"start_date_time": "1970-1-1T00:00:00Z", "end_date_time": "1970-1-1T00:00:00Z"}
        assert code(call("POST", "cdrs", example("cdr", version, **never), version)) == (201, 1000)
        check_due(timezone.now())
        finding = Finding.objects.get(code="V-11")
        assert "1970-01-01" in finding.reason
        assert finding.driver_severity == finding.cpo_severity == Finding.Severity.HOLD

    @pytest.mark.parametrize("version", VERSIONS[1:])
    @pytest.mark.ocpi("CDR-10", "all")
    def test_charged_at_home_is_the_drivers_money(self, version, call):
        for flag in (False, True):
            body = example(
                "cdr", version, id=f"HOME-{flag}", home_charging_compensation=flag, invoice_reference_id="I-1"
            )
            answer = call("POST", "cdrs", body, version)
            assert (code(answer), call("GET", answer.headers["Location"]).json()["data"]) == ((201, 1000), body)
        check_due(timezone.now())
        assert list(Finding.objects.filter(code="V-46").values_list("cdr__ocpi_id", flat=True)) == ["HOME-True"]


class TestPlaces:
    def test_only_whose_route_it_is_may_look(self, call, caller, party):
        place = call("POST", "cdrs", cdr_body()).headers["Location"]
        hub = Partner.objects.create(name="Hub", state="CONNECTED", version="2.2.1", connected_at=timezone.now())
        stranger = caller(hub)
        assert code(stranger("GET", place)) == (404, 2000)
        party.partner = hub
        party.save()
        assert (code(stranger("GET", place)), code(call("GET", place))) == ((200, 1000), (404, 2000))

    @pytest.mark.parametrize("name", [str(uuid.UUID(int=7)), "CDR-1", "1", "%00"])
    def test_what_there_is_not_is_not_found(self, name, call):
        assert call("GET", f"cdrs/{name}").status_code == 404

    def test_in_another_version_it_is_what_the_stair_writes(self, call):
        place = call("POST", "cdrs", cdr_body()).headers["Location"]
        new = call("GET", place.replace("2.2.1", "2.3.0")).json()["data"]
        old = call("GET", place.replace("2.2.1", "2.1.1")).json()["data"]
        assert new["total_cost"] == {"before_taxes": 40.0, "taxes": [{"name": "VAT", "amount": 10.0}]}
        assert (old["total_cost"], old["auth_id"], old["stop_date_time"]) == (
            40.0, CDR["cdr_token"]["contract_id"], "2026-10-19T09:30:00Z",
        )  # fmt: skip

    def test_an_old_cdr_is_told_in_new_words(self, call):
        place = call("POST", "cdrs", OLD, version="2.1.1").headers["Location"]
        assert "/ocpi/2.1.1/cdrs/" in place
        assert call("GET", place).json()["data"] == OLD
        told = call("GET", place.replace("2.1.1", "2.2.1")).json()["data"]
        assert (told["country_code"], told["party_id"], told["cdr_token"]) == (
            "SE", "LAD", {"contract_id": "SE-EMP-C00000001"},
        )  # fmt: skip


class TestSessions:
    def test_put_and_get(self, call):
        assert code(call("PUT", SESSION, session_body())) == (201, 1000)
        assert code(call("PUT", SESSION, session_body(kwh=1.5, last_updated="2026-10-19T08:10:00Z"))) == (200, 1000)
        data = call("GET", "sessions/se/lad/s-1").json()["data"]
        assert (data["id"], data["kwh"], data["status"], data["party_id"]) == ("S-1", 1.5, "ACTIVE", "LAD")

    def test_patch_changes_what_it_names(self, call):
        call("PUT", SESSION, session_body())
        patch = {"kwh": 2.25, "status": "COMPLETED", "last_updated": "2026-10-19T09:00:00Z"}
        answer = call("PATCH", SESSION, patch)
        assert (code(answer), "data" in answer.json()) == ((200, 1000), False)
        data = call("GET", SESSION).json()["data"]
        assert (data["kwh"], data["status"], data["location_id"]) == (2.25, "COMPLETED", "LOC-1")

    @pytest.mark.ocpi("TR-06")
    def test_patch_of_an_unknown_one_asks_for_a_pull(self, call, partner):
        later = timezone.now() + timezone.timedelta(hours=1)
        interval = timezone.timedelta(hours=1)
        feed = Feed.objects.create(partner=partner, module="sessions", interval=interval, due_at=later)
        assert code(call("PATCH", SESSION, {"kwh": 1, "last_updated": "2026-10-19T09:00:00Z"})) == (404, 2000)
        feed.refresh_from_db()
        assert feed.due_at < later
        assert not Quarantined.objects.exists()

    # last_updated is required of a PATCH since 2.2
    @pytest.mark.parametrize("body", [{"kwh": "much"}, {"kwh": None}, {"id": "S-2", "kwh": 1}, {"status": "ACTIVE"}])
    @pytest.mark.ocpi("TR-30")
    def test_a_patch_that_is_wrong_is_refused_and_kept(self, body, call):
        call("PUT", SESSION, session_body())
        assert code(call("PATCH", SESSION, body)) == (200, 2001)
        kept = Quarantined.objects.get()
        assert (kept.module, kept.context, json.loads(bytes(kept.body))) == (
            "sessions", {"method": "PATCH", "id": "S-1"}, body,
        )  # fmt: skip

    def test_a_put_that_is_wrong_is_refused_and_kept(self, call, party):
        assert code(call("PUT", SESSION, session_body(status=None))) == (200, 2001)
        kept = Quarantined.objects.get()
        assert (kept.party, kept.reasons) == (party, [["status", "required"]])
        assert not Session.objects.exists()

    @pytest.mark.ocpi("TR-27")
    def test_an_id_that_is_not_that_of_the_url(self, call):
        answer = call("PUT", SESSION, session_body(id="S-2"))
        assert (code(answer), answer.json()["status_message"]) == ((200, 2001), "id: S-2 is not the one of the URL")

    def test_of_somebody_else(self, call):
        Party.objects.create(country_code="SE", party_id="XYZ")
        for method in ("GET", "PUT", "PATCH"):
            body = None if method == "GET" else session_body(party_id="XYZ")
            assert call(method, "sessions/SE/XYZ/S-1", body).status_code == 404
        assert not Session.objects.exists()

    def test_an_unknown_one_is_not_found(self, call):
        assert code(call("GET", SESSION)) == (404, 2000)

    @pytest.mark.ocpi("SES-02")
    def test_there_is_nothing_below_it(self, call):
        call("PUT", SESSION, session_body())
        assert call("PATCH", f"{SESSION}/charging_periods", b"[]").status_code == 404

    def test_it_cannot_be_deleted(self, call):
        answer = call("DELETE", SESSION)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, PUT, PATCH")

    @pytest.mark.parametrize("version", VERSIONS[1:])
    @pytest.mark.ocpi("SES-04", "TR-38", "all")
    def test_a_reservation_has_no_evse_and_starts_when_it_becomes_active(self, version, call, token):
        places = {"evse_uid": "#NA", "connector_id": "#NA"}
        body = example("session", version, status="RESERVATION", kwh=0, charging_periods=None, **places)
        body = {name: value for name, value in body.items() if name not in ("end_date_time", "total_cost")}
        path = f"sessions/SE/LAD/{body['id']}"
        assert code(call("PUT", path, body, version)) == (201, 1000)
        session = Session.objects.get()
        assert (session.evse_uid, session.connector_id) == ("", "")
        assert call("GET", path, version=version).json()["data"]["evse_uid"] == "#NA"
        start = {"start_date_time": "2026-03-01T10:20:00Z", "evse_uid": "LAD-7-1", "connector_id": "1"}
        patch = start | {"status": "ACTIVE", "last_updated": "2026-03-01T11:20:00Z"}
        assert code(call("PATCH", path, patch, version)) == (200, 1000)
        session.refresh_from_db()
        assert (session.started_at, session.evse_uid) == (datetime(2026, 3, 1, 10, 20, tzinfo=UTC), "LAD-7-1")
        told = call("GET", path, version=version).json()["data"]
        assert (told["start_date_time"], told["status"], told["evse_uid"]) == (
            patch["start_date_time"],
            "ACTIVE",
            "LAD-7-1",
        )

    @pytest.mark.parametrize("version", VERSIONS[1:])
    @pytest.mark.ocpi("SES-06", "all")
    def test_the_last_reference_that_we_gave_finds_the_card(self, version, call, make_token):
        asked, other, named = make_token("04AA"), make_token("04BB"), make_token("04CC")
        references = {}
        for card in (asked, other):
            told = call("POST", f"tokens/{card.uid}/authorize", b"", version).json()["data"]
            references[card.pk] = told["authorization_reference"]
        body = example("session", version, authorization_reference=references[asked.pk])
        body["cdr_token"] |= {"uid": named.uid, "contract_id": named.contract.contract_id}
        path = f"sessions/SE/LAD/{body['id']}"
        assert code(call("PUT", path, body, version)) == (201, 1000)
        assert Session.objects.get().token == asked
        patch = {"authorization_reference": references[other.pk], "auth_method": "COMMAND"}
        assert code(call("PATCH", path, patch | {"last_updated": "2026-04-01T00:00:00Z"}, version)) == (200, 1000)
        assert Session.objects.get().token == other
        assert call("GET", path, version=version).json()["data"]["auth_method"] == "COMMAND"

    @pytest.mark.parametrize("sent", VERSIONS)
    def test_2_1_1_is_told_the_whole_location(self, sent, call):
        assert code(call("PUT", "locations/SE/LAD/LOC-7", example("location", sent), sent)) == (201, 1000)
        more = copy.deepcopy(example("location", sent)["evses"][0]) | {"uid": "LAD-7-2"}
        assert code(call("PUT", "locations/SE/LAD/LOC-7/LAD-7-2", more, sent)) == (201, 1000)
        session = example("session", sent)
        path = f"sessions/SE/LAD/{session['id']}"
        assert code(call("PUT", path, session, sent)) == (201, 1000)
        told = call("GET", path, version="2.1.1").json()["data"]
        assert told["location"] == example("location", "2.1.1")

    def test_2_1_1_is_told_the_location_that_it_brought_along(self, call):
        session = example("session", "2.1.1")
        path = f"sessions/SE/LAD/{session['id']}"
        assert code(call("PUT", path, session, "2.1.1")) == (201, 1000)
        assert call("GET", path, version="2.1.1").json()["data"] == session

    def test_2_1_1_is_told_a_location_whose_evse_has_a_number_of_no_size_for_an_id(self, call):
        """A text where there is one, told again as it came: once the answer failed at the number."""
        session = example("session", "2.1.1")
        path, evse = f"sessions/SE/LAD/{session['id']}", session["location"]["evses"][0]["uid"]
        body = json.dumps(session).replace(f'"{evse}"', "1e-300").encode()
        assert code(call("PUT", path, body, "2.1.1")) == (201, 1000)
        assert call("GET", path, version="2.1.1").json()["data"]["location"]["evses"][0]["uid"] == "1e-300"

    def test_of_a_location_that_nobody_told_2_1_1_is_told_the_id(self, call):
        assert code(call("PUT", SESSION, session_body())) == (201, 1000)
        told = call("GET", SESSION, version="2.1.1").json()["data"]["location"]
        assert told == {"id": "LOC-1", "evses": [{"uid": "EVSE-1", "connectors": [{"id": "1"}]}]}

    @pytest.mark.parametrize("cards", [0, 1, 2])
    def test_in_2_1_1_the_contract_means_its_only_card(self, cards, call, make_token, contract):
        made = [make_token(f"04A{number}", contract) for number in range(cards)]
        make_token("04FF")
        session = example("session", "2.1.1", auth_id="SE*EMP*C00000001")
        assert code(call("PUT", f"sessions/SE/LAD/{session['id']}", session, "2.1.1")) == (201, 1000)
        assert Session.objects.get().token == (made[0] if cards == 1 else None)

    def test_in_2_1_1(self, call, party):
        """The URL alone says whose it is."""
        old = {name: OLD[name] for name in ("auth_id", "auth_method", "location", "currency", "last_updated")}
        old |= {
            "id": "S-1",
            "start_datetime": "2026-10-19T08:00:00Z",
            "kwh": 0.0,
            "status": "ACTIVE",
            "total_cost": 2.0,
        }
        assert code(call("PUT", SESSION, old, version="2.1.1")) == (201, 1000)
        session = Session.objects.get()
        assert (session.party, session.location_id, session.evse_uid, session.sent_contract_id) == (
            party, "LOC-1", "EVSE-1", "SE-EMP-C00000001",
        )  # fmt: skip
        assert code(call("PATCH", SESSION, {"total_cost": 3.5}, version="2.1.1")) == (200, 1000)
        data = call("GET", SESSION, version="2.1.1").json()["data"]
        assert (data["total_cost"], data["start_datetime"], data["location"]["id"]) == (
            3.5,
            "2026-10-19T08:00:00Z",
            "LOC-1",
        )
        assert str(find_session(party, "S-1").total_cost.before_taxes) == "3.5"
