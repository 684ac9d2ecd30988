from datetime import timedelta

import httpx
import pytest
from django.utils import timezone

from apps.partners.models import Party
from apps.tokens.models import Authorization, Token
from tests.partners.mirrors import example, header_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def call(live_server, partner, settings):
    """Calls as the partner makes them, over HTTP."""
    settings.PUBLIC_URL = live_server.url
    header = header_of(partner)
    with httpx.Client(headers=header, trust_env=False) as client:

        def call(method, path, version="2.2.1", **how):
            url = path if path.startswith("http") else f"{live_server.url}/ocpi/{version}/{path}"
            return client.request(method, url, **how)

        yield call


@pytest.mark.ocpi("TOK-05")
def test_authorize_answers_with_the_token_and_a_reference(call, make_token):
    make_token("04AB", visual_number="V-1")
    answer = call("POST", "tokens/04ab/authorize", json={"location_id": "L1", "evse_uids": ["E1"]}).json()
    data = answer["data"]
    assert (answer["status_code"], data["allowed"]) == (1000, "ALLOWED")
    assert (data["token"]["uid"], data["token"]["valid"], data["token"]["issuer"]) == ("04AB", True, "Us")
    assert data["location"] == {"location_id": "L1", "evse_uids": ["E1"]}
    assert data["authorization_reference"] == str(Authorization.objects.get().reference)


@pytest.mark.ocpi("TOK-02")
def test_authorize_needs_no_body(call, make_token):
    make_token("04AB")
    assert call("POST", "tokens/04AB/authorize").json()["data"]["allowed"] == "ALLOWED"


def test_a_body_that_names_no_location_is_refused_with_its_path(call, make_token):
    make_token("04AB")
    answer = call("POST", "tokens/04AB/authorize", json={"evse_uids": ["E1"]})
    assert (answer.status_code, answer.json()["status_code"]) == (200, 2001)
    assert "location_id" in answer.json()["status_message"]


@pytest.mark.ocpi("TOK-03")
def test_a_card_that_may_not_charge_is_no_error(call, make_token):
    make_token("04AB", expires_at=timezone.now() - timedelta(days=1))
    answer = call("POST", "tokens/04AB/authorize")
    assert (answer.status_code, answer.json()["status_code"]) == (200, 1000)
    assert (answer.json()["data"]["allowed"], answer.json()["data"]["token"]["valid"]) == ("EXPIRED", False)


@pytest.mark.control("S19")
@pytest.mark.parametrize(("version", "code"), [("2.1.1", 2001), ("2.2.1", 2004), ("2.3.0", 2004)])
@pytest.mark.ocpi("TR-12", "TOK-03", "TR-11", "all")
def test_an_unknown_card_is_not_found_and_is_written_down(version, code, call):
    answer = call("POST", "tokens/DEADBEEF/authorize", version)
    assert (answer.status_code, answer.json()["status_code"], "data" in answer.json()) == (404, code, False)
    assert Authorization.objects.get().allowed == "UNKNOWN"


@pytest.mark.parametrize("name", ["type", "token_type"])
@pytest.mark.ocpi("TOK-02")
def test_the_type_goes_by_either_name(name, call, make_token):
    make_token("12345", type="APP_USER")
    assert call("POST", f"tokens/12345/authorize?{name}=app_user").json()["data"]["allowed"] == "ALLOWED"
    assert call("POST", "tokens/12345/authorize").status_code == 404


def test_a_type_that_there_is_not_is_refused(call):
    answer = call("POST", "tokens/12345/authorize?type=NFC")
    assert (answer.status_code, answer.json()["status_code"]) == (200, 2001)


@pytest.mark.ocpi("TOK-05", "2.1.1")
def test_2_1_1_is_told_less(call, make_token):
    make_token("04AB")
    assert call("POST", "tokens/04AB/authorize", "2.1.1").json()["data"] == {"allowed": "ALLOWED"}


def test_a_uid_that_no_card_has_is_unknown_whatever_it_is(call):
    for uid in ("%00", "%F0%9F%94%8B", "x" * 500, "a%20b", "..%5c"):
        assert call("POST", f"tokens/{uid}/authorize").status_code == 404


@pytest.mark.ocpi("TR-15", "TR-14")
def test_the_list_is_paged_by_links(call, make_token):
    made = [make_token().uid for _ in range(5)]
    url, seen, totals = "tokens?limit=2", [], []
    while url:
        answer = call("GET", url)
        seen += [token["uid"] for token in answer.json()["data"]]
        totals.append((answer.headers["X-Total-Count"], answer.headers["X-Limit"]))
        url = answer.links.get("next", {}).get("url")
    assert (seen, totals) == (made, [("5", "1000")] * 3)


@pytest.mark.ocpi("TOK-01")
def test_the_list_says_what_may_not_charge(call, make_token):
    make_token("04AB", is_valid=False)
    (token,) = call("GET", "tokens").json()["data"]
    assert (token["valid"], token["country_code"], token["party_id"], token["whitelist"]) == (
        False, "SE", "EMP", "ALLOWED",
    )  # fmt: skip


def test_2_1_1_lists_the_contract_as_auth_id(call, make_token):
    token = make_token()
    (told,) = call("GET", "tokens", "2.1.1").json()["data"]
    assert (told["auth_id"], "country_code" in told) == (token.contract.contract_id, False)


@pytest.mark.ocpi("TR-17")
def test_wrong_parameters_are_named(call):
    answer = call("GET", "tokens?limit=abc&date_from=yesterday")
    assert (answer.status_code, answer.json()["status_code"]) == (200, 2001)
    assert all(name in answer.json()["status_message"] for name in ("limit", "date_from"))


def test_an_empty_list_is_a_list(call):
    answer = call("GET", "tokens")
    assert (answer.json()["data"], answer.headers["X-Total-Count"], "Link" in answer.headers) == ([], "0", False)
    assert not Token.objects.exists()


@pytest.mark.control("S18")
def test_strangers_learn_nothing(call, make_token):
    make_token("04AB")
    for method, path in (("GET", "tokens"), ("POST", "tokens/04AB/authorize")):
        answer = call(method, path, headers={"Authorization": "Token c3RyYW5nZXI="})
        assert (answer.status_code, "04AB" in answer.text) == (401, False)
    assert not Authorization.objects.exists()


class TestPlaces:
    VERSIONS = ("2.1.1", "2.2.1", "2.3.0")

    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.ocpi("TOK-04", "TR-12", "all")
    def test_whoever_must_say_where_and_does_not_is_told_so(self, version, call, partner, make_token):
        make_token("04AB")
        partner.wants_place = True
        partner.save()
        answer = call("POST", "tokens/04AB/authorize", version)
        assert (answer.status_code, answer.json()["status_code"], "data" in answer.json()) == (200, 2002, False)
        assert "location_id" in answer.json()["status_message"]
        told = call("POST", "tokens/04AB/authorize", version, json={"location_id": "L1"}).json()
        assert (told["status_code"], told["data"]["allowed"]) == (1000, "ALLOWED")

    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.ocpi("TOK-06", "all")
    def test_a_place_that_is_closed_broken_private_or_unknown_refuses_nobody(self, version, call, partner, make_token):
        make_token("04AB")
        Party.objects.create(country_code="SE", party_id="LAD", partner=partner)
        closed = {"period_begin": "2020-01-01T00:00:00Z", "period_end": "2090-01-01T00:00:00Z"}
        hours = {"twentyfourseven": False, "regular_hours": [], "exceptional_closings": [closed]}
        place = example("location", version, opening_times=hours, charging_when_closed=False)
        place["evses"][0]["status"] = "OUTOFORDER"
        place |= {} if version == "2.1.1" else {"publish": False}
        assert call("PUT", "locations/SE/LAD/LOC-7", version, json=place).json()["status_code"] == 1000
        for where in ({"location_id": "LOC-7", "evse_uids": ["LAD-7-1"]}, {"location_id": "NOWHERE"}):
            told = call("POST", "tokens/04AB/authorize", version, json=where).json()["data"]
            assert (told["allowed"], told["location"]) == ("ALLOWED", where)
