"""Whatever is asked of /ocpi/, the answer is an envelope (decision 1)."""

import base64
import gzip
import http.client
import io
import json
import threading
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from django.db import OperationalError, connection, connections
from django.urls import path

from apps.partners import credentials
from apps.partners.models import CredentialsToken, Exchange, Partner, Quarantined
from apps.partners.receiver import OwnedView, PartnerView
from apps.postgresql import base as postgresql
from emsp import urls

pytestmark = pytest.mark.django_db(transaction=True)


class Broken(PartnerView):
    module = "cdrs"
    in_one = True

    def post(self, request, version):
        Partner.objects.update(name="written by what failed")
        raise ZeroDivisionError("nobody foresaw this")


class Unplugged(PartnerView):
    module = "cdrs"

    def get(self, request, version):
        raise OperationalError("the connection is lost")


class Owned(OwnedView):
    module = "locations"

    def get(self, request, version, country_code, party_id):
        return urls_response({"party": str(self.party), "partner": self.partner.name})

    def patch(self, request, version, country_code, party_id):
        return urls_response({"bytes": len(self.body)})


def urls_response(data):
    from rest_framework.response import Response

    return Response(data)


urlpatterns = [
    *urls.ocpi_urls,
    path(f"{urls.OCPI}/broken", Broken.as_view()),
    path(f"{urls.OCPI}/unplugged", Unplugged.as_view()),
    path(f"{urls.OCPI}/owned/{urls.PARTY}", Owned.as_view()),
]


@pytest.fixture(autouse=True)
def _with_more_urls(settings):
    settings.ROOT_URLCONF = __name__


def is_envelope(answer, http_status, code, **headers):
    body = answer.json()
    assert (answer.status_code, body["status_code"]) == (http_status, code), answer.text
    assert answer.headers["Content-Type"] == "application/json"
    assert body["timestamp"].endswith("Z")
    assert "data" not in body
    assert {name: answer.headers.get(name) for name in headers} == headers
    return body.get("status_message", "")


def raw(site, *lines, body=b"", host=None):
    """Headers that no client library would send."""
    parts = urlsplit(site)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=5)
    method, target = lines[0].split(" ", 1)
    connection.putrequest(method, target, skip_host=True)
    connection.putheader("Host", host or parts.netloc)
    for line in lines[1:]:
        name, value = line.split(": ", 1)
        connection.putheader(name, value)
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, content


PATHS = ["/ocpi", "/ocpi/", "/ocpi/nothing", "/ocpi/9.9.9", "/ocpi/2.2.1/nothing", "/ocpi/2.2.1/tokens//authorize",
    "/ocpi/2.2.1/..%2fadmin", "/ocpi//versions", "/ocpi/%00", "/ocpi/2.2.1/tokens/a/authorize/b", "/ocpi/2.2.1/<b>",
    "/ocpi/%ff", "/ocpi/versions;x", "/ocpi/" + "x" * 4000, "/ocpi/2.2.1/versions"]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.ocpi("TR-11")
def test_what_is_nowhere_is_404(path, caller):
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        is_envelope(caller.call(method, path), 404, 2000)


@pytest.mark.parametrize("path", ["/ocpi/versions", "/ocpi/2.2.1", "/ocpi/2.2.1/credentials", "/ocpi/2.2.1/tokens"])
@pytest.mark.ocpi("TR-10")
def test_a_slash_at_the_end_changes_nothing_and_redirects_nobody(path, caller):
    without, with_slash = caller.call("GET", path), caller.call("GET", f"{path}/")
    assert (without.status_code, with_slash.status_code) == (200, 200)
    assert without.json()["data"] == with_slash.json()["data"]


def test_methods_that_are_not_there_are_named(caller):
    is_envelope(caller.call("DELETE", "tokens"), 405, 2000, Allow="GET")
    is_envelope(caller.call("GET", "tokens/X/authorize"), 405, 2000, Allow="POST")
    is_envelope(caller.call("PATCH", "credentials", json={}), 405, 2000, Allow="GET, POST, PUT, DELETE")
    is_envelope(caller.call("OPTIONS", "tokens"), 405, 2000, Allow="GET")
    assert caller.call("HEAD", "tokens").status_code == 405


@pytest.mark.ocpi("TR-05", "TR-11")
def test_what_is_no_json_is_400(caller):
    json_header = {"Content-Type": "application/json"}
    for body in (b"", b"{", b"<xml/>", b'{"a":NaN}', b"\xff\xfe", b"[" * 100_000, b"\xef\xbb\xbf{}"):
        is_envelope(caller.call("PUT", "credentials", content=body, headers=json_header), 400, 2000)


@pytest.mark.control("S25", "S26")
def test_too_deep_is_400(caller):
    deep = b'{"a":' * 40 + b"1" + b"}" * 40
    said = is_envelope(caller.call("PUT", "credentials", content=deep), 400, 2000)
    assert "deep" in said


@pytest.mark.ocpi("TR-05", "TR-12")
def test_valid_json_of_another_kind_is_2001_with_its_paths(caller):
    for body in (b"[]", b"1", b"null", b'"x"'):
        is_envelope(caller.call("PUT", "credentials", content=body), 200, 2001)
    said = is_envelope(caller.call("PUT", "credentials", json={"token": 1, "roles": []}), 200, 2001)
    assert all(name in said for name in ("url", "roles"))


@pytest.mark.control("S25", "S26")
def test_large_bodies_are_not_read(caller):
    is_envelope(caller.call("PUT", "credentials", content=b" " * (2**20 + 1)), 413, 2000)
    is_envelope(caller.call("PATCH", "owned/SE/LAD", content=b" " * (2**18 + 1)), 413, 2000)
    assert caller.call("PATCH", "owned/SE/LAD", content=b" " * 2**18).json()["data"] == {"bytes": 2**18}
    is_envelope(caller.call("POST", "broken", content=b" " * (5 * 2**20)), 413, 2000)


@pytest.mark.parametrize("kind", ["text/xml", "text/html; charset=utf-8", "application/jsonp", "x"])
def test_other_types_are_415(kind, caller):
    is_envelope(caller.call("PUT", "credentials", content=b"{}", headers={"Content-Type": kind}), 415, 2000)


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "Application/JSON", "application/vnd.x+json"]
)
@pytest.mark.ocpi("TR-09")
def test_spellings_of_json_are_taken(kind, caller):
    answer = caller.call("PATCH", "owned/SE/LAD", content=b"{}", headers={"Content-Type": kind})
    assert answer.json()["data"] == {"bytes": 2}


@pytest.mark.control("S35")
def test_packed_bodies_are_415(caller):
    packed = gzip.compress(b"{}")
    is_envelope(caller.call("PUT", "credentials", content=packed, headers={"Content-Encoding": "gzip"}), 415, 2000)


CHUNKED = {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": "", "wsgi.input_terminated": True}


@pytest.mark.control("S25")
def test_a_body_in_chunks_is_read_to_its_end(caller, client):
    """As gunicorn hands it over: without a length, in a stream that ends. Django alone would take it for empty."""
    header = {"HTTP_AUTHORIZATION": f"Token {caller.token}", "HTTP_HOST": "127.0.0.1"}

    def patch(body):
        stream = {"wsgi.input": io.BytesIO(body)}
        return client.generic("PATCH", "/ocpi/2.2.1/owned/SE/LAD", content_type="", **header, **CHUNKED, **stream)

    assert patch(b'{"a": 1}').json()["data"] == {"bytes": 8}
    assert patch(b" " * (2**18 + 1)).status_code == 413


@pytest.mark.control("S51")
def test_a_foreign_host_is_400_and_learns_no_url(caller, site):
    for host in ("evil.example", "127.0.0.1:80:80", "a b", ""):
        status, content = raw(site, "GET /ocpi/versions", host=host or "_")
        assert (status, json.loads(content)["status_code"], b"evil" in content) == (400, 2000, False)


@pytest.mark.control("S51")
def test_our_urls_come_from_the_settings(caller, settings):
    settings.PUBLIC_URL = "https://emsp.example"
    listed = caller.call("GET", "/ocpi/versions").json()["data"]
    assert listed == [
        {"version": version, "url": f"https://emsp.example/ocpi/{version}"} for version in ("2.1.1", "2.2.1", "2.3.0")
    ]


@pytest.mark.control("S26")
@pytest.mark.ocpi("TR-08")
def test_what_nobody_foresaw_is_ours_and_the_body_is_kept(caller, partner):
    body = b'{"id": "C1"}'
    is_envelope(caller.call("POST", "broken", content=body), 200, 3000)
    kept = Quarantined.objects.get()
    assert (bytes(kept.body), kept.module, kept.partner, kept.ocpi_id) == (body, "cdrs", partner, "C1")
    assert Partner.objects.get().name == "CPO"
    exchange = Exchange.objects.get()
    assert (bytes(exchange.request_body), exchange.http_status, exchange.status_code) == (body, 200, 3000)


@pytest.mark.ocpi("TR-08")
def test_a_lost_database_is_503(caller):
    said = is_envelope(caller.call("GET", "unplugged"), 503, 3000)
    assert "lost" not in said
    assert int(caller.call("GET", "unplugged").headers["Retry-After"]) > 0


def test_a_database_that_does_not_answer_is_503_soon_and_then_at_once(caller):
    """A lock stands for a server that stands still: neither says anything."""
    with locked("partners_credentialstoken"):
        first, again = (timed(lambda: is_envelope(caller.call("GET", "/ocpi/versions"), 503, 3000)) for _ in range(2))
    time.sleep(postgresql.PAUSE_S)
    assert (first < postgresql.LONGEST_S + 1, again < postgresql.PAUSE_S / 2) == (True, True)
    assert caller.call("GET", "/ocpi/versions").status_code == 200


@contextmanager
def locked(table):
    hand = connections.create_connection("default")
    try:
        hand.set_autocommit(False)
        hand.cursor().execute(f"LOCK TABLE {table}")
        yield
    finally:
        hand.close()


def timed(act):
    began = time.monotonic()
    act()
    return time.monotonic() - began


def test_a_connection_that_died_while_it_was_kept_is_not_noticed(caller, client):
    header = {"HTTP_AUTHORIZATION": f"Token {caller.token}", "HTTP_HOST": "127.0.0.1"}
    connection.ensure_connection()
    ours = connection.connection.info.backend_pid

    def end():
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [ours])
        connections["default"].close()

    thread = threading.Thread(target=end)
    thread.start()
    thread.join()
    assert client.get("/ocpi/2.2.1/tokens", **header).json()["status_code"] == 1000
    assert connection.connection.info.backend_pid != ours


TOKENS = ["Basic dTpw", "Token", "Token ", "Bearer x", "Token a b", "Token \x7f", "Token " + "a" * 600, "Token bm9ib2R5",
    "Token nobody", "token", "", "Token ====", "Token Og==", "Token \xe9"]  # fmt: skip


@pytest.mark.control("S5", "S6")
@pytest.mark.parametrize("header", TOKENS)
@pytest.mark.ocpi("TR-04")
def test_strangers_all_get_the_same_answer(header, caller, site):
    status, content = raw(site, "GET /ocpi/2.2.1/tokens", f"Authorization: {header}")
    said = json.loads(content)
    assert (status, said["status_code"], said["status_message"]) == (401, 2001, "No valid credentials token")
    assert not Exchange.objects.exists()


@pytest.mark.ocpi("TR-04", "TR-01")
def test_without_a_header_it_is_401_too(as_partner, partner):
    is_envelope(as_partner(None).call("GET", "tokens"), 401, 2001, **{"WWW-Authenticate": "Token"})


SPELLINGS = [
    lambda token: f"Token {token}",
    lambda token: f"Token {base64.b64encode(token.encode()).decode()}",
    lambda token: f"Token {base64.b64encode(token.encode()).decode().rstrip('=')}",
    lambda token: f"token {base64.b64encode(f'{token}'.encode() + chr(10).encode()).decode()}",
    lambda token: f"TOKEN  {token}",
]


@pytest.mark.control("S5")
@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.ocpi("TR-02")
@pytest.mark.ocpi("TR-03")
def test_the_token_may_be_spelt_in_either_form(spelling, caller, site):
    status, _ = raw(site, "GET /ocpi/2.2.1/tokens", f"Authorization: {spelling(caller.token)}")
    assert status == 200


@pytest.mark.control("S5")
def test_two_authorization_headers_open_nothing(caller, site):
    line = f"Authorization: Token {caller.token}"
    status, _ = raw(site, "GET /ocpi/2.2.1/tokens", line, line)
    assert status == 401


def test_a_partner_that_is_not_connected_is_a_stranger(caller, partner):
    Partner.objects.update(state=Partner.State.DISCONNECTED)
    is_envelope(caller.call("GET", "tokens"), 401, 2001)


@pytest.mark.control("S8")
def test_a_revoked_or_expired_token_is_dead_at_once(caller, partner, now):
    assert caller.call("GET", "tokens").status_code == 200
    CredentialsToken.objects.update(expires_at=now)
    is_envelope(caller.call("GET", "tokens"), 401, 2001)
    CredentialsToken.objects.update(expires_at=None)
    credentials.revoke_all(partner, now)
    is_envelope(caller.call("GET", "tokens"), 401, 2001)


@pytest.mark.ocpi("TR-22")
def test_ids_of_a_request_come_back(caller):
    ids = {"X-Request-ID": "r-1", "X-Correlation-ID": "c-1"}
    for url in ("tokens", "nothing", "/ocpi/versions", "unplugged"):
        answer = caller.call("GET", url, headers=ids)
        assert {name: answer.headers[name] for name in ids} == ids
    answer = caller.call("GET", "tokens")
    assert answer.headers["X-Request-ID"]
    assert answer.headers["X-Correlation-ID"]


@pytest.mark.control("S40")
def test_spoiled_ids_are_replaced(caller):
    answer = caller.call("GET", "owned/SE/LAD", headers={"X-Request-ID": "x" * 5000, "X-Correlation-ID": "a b"})
    assert answer.status_code == 200
    assert len(answer.headers["X-Request-ID"]) <= 64
    assert answer.headers["X-Correlation-ID"] == answer.headers["X-Request-ID"]
    assert Exchange.objects.get().request_id == answer.headers["X-Request-ID"]


def routing(sender="SE*LAD", to="SE*EMP"):
    sides = {"from": sender.split("*"), "to": to.split("*")}
    return {
        f"OCPI-{side}-{name}": part
        for side, parts in sides.items()
        for name, part in zip(("country-code", "party-id"), parts, strict=True)
    }


@pytest.mark.ocpi("TR-23")
def test_routing_headers_come_back_swapped(caller):
    answer = caller.call("GET", "tokens", headers=routing("se*lad", "se*emp"))
    assert answer.json()["status_code"] == 1000
    expected = {name.lower(): value for name, value in routing("SE*EMP", "SE*LAD").items()}
    assert {name: value for name, value in answer.headers.items() if name.startswith("ocpi-")} == expected


@pytest.mark.control("S17")
@pytest.mark.parametrize(
    "headers",
    [routing("SE*OTH"), routing("SE*LAD", "SE*OTH"), {"OCPI-from-party-id": "LAD"}, {"OCPI-to-country-code": "SE"},
     routing("SELAD*LAD"), routing("\x7f\x7f*LAD"), routing("SE*LAD", "*EMP")],
)  # fmt: skip
@pytest.mark.ocpi("TR-24")
def test_who_speaks_for_others_or_to_others_is_refused(headers, caller):
    is_envelope(caller.call("GET", "tokens", headers=headers), 200, 2001)


@pytest.mark.ocpi("TR-23")
def test_versions_and_credentials_take_no_routing_headers(caller):
    for url in ("/ocpi/versions", "/ocpi/2.2.1", "credentials"):
        assert caller.call("GET", url, headers=routing("SE*OTH", "XX*YYY")).json()["status_code"] == 1000


def test_a_party_is_its_partners_whatever_the_case(caller):
    assert caller.call("GET", "owned/se/Lad").json()["data"] == {"party": "SE*LAD", "partner": "CPO"}


@pytest.mark.control("S15")
@pytest.mark.parametrize("party", ["SE/OTH", "SE/NON", "S/LAD", "SE/LADD", "%00%00/LAD", "SE/%F0%9F%94%8B", "ſE/LAD"])
@pytest.mark.ocpi("TR-24")
def test_foreign_parties_look_like_none(party, caller, make_partner):
    make_partner("SE*OTH", name="Other")
    is_envelope(caller.call("GET", f"owned/{party}"), 404, 2001)


@pytest.mark.control("S2", "S41")
def test_every_exchange_is_written_down_without_headers(caller, partner):
    caller.call("PATCH", "owned/SE/LAD?x=1", content=b"{}", headers=routing())
    exchange = Exchange.objects.get()
    assert (exchange.partner, exchange.direction, exchange.module, exchange.method) == (
        partner,
        "IN",
        "locations",
        "PATCH",
    )
    assert (exchange.url, bytes(exchange.request_body)) == ("/ocpi/2.2.1/owned/SE/LAD?x=1", b"{}")
    assert json.loads(bytes(exchange.response_body))["data"] == {"bytes": 2}
    assert (exchange.http_status, exchange.status_code, exchange.duration.total_seconds() > 0) == (200, 1000, True)
    assert caller.token not in str(exchange.__dict__)


def test_a_partner_is_found_with_its_parties(caller, partner, now):
    found = credentials.find(f"Token {caller.token}", now, ("SE", "LAD"), ("SE", "LAD"))
    assert (found.partner, str(found.owner), str(found.sender)) == (partner, "SE*LAD", "SE*LAD")


def test_people_still_get_pages(site, settings):
    import httpx

    settings.ROOT_URLCONF = "emsp.urls"
    assert httpx.get(f"{site}/healthz", trust_env=False).text == "ok\n"
    assert httpx.get(f"{site}/ocpix", trust_env=False).headers["Content-Type"].startswith("text/html")
