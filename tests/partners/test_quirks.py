"""Each quirk, switched off and on, as it shows in the bytes between us and the simulated CPO (X10)."""

import json
from datetime import datetime
from pathlib import Path

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.charging.models import Cdr, Session
from apps.charging.pull import CDRS
from apps.drivers.models import Account, Contract, Driver
from apps.locations.models import Evse, Location
from apps.partners import handshake, ourselves, quirks
from apps.partners.models import Endpoint, Partner
from apps.partners.pull import fit_feeds, open_feeds, pull_partner
from apps.tariffs.pull import PULL as TARIFFS
from apps.tokens.models import Token
from apps.tokens.push import push_partner
from tests.charging.conftest import CDR
from tests.partners.mirrors import TOKEN, connect, example, location, make_partner

pytestmark = pytest.mark.django_db(transaction=True)

DOCS = Path(__file__).parents[2] / "docs/onboarding.md"
PULLED = ("tariffs", "locations", "sessions", "cdrs")


@pytest.fixture
def partner(cpo, settings):
    """As we call it."""
    settings.OCPI_PRIVATE_HOSTS = ["127.0.0.1", "localhost"]
    cpo.memory.put(tokens_of_emsp=[TOKEN])
    partner = connect(make_partner(), cpo.url, *PULLED)
    url = f"{cpo.url}/ocpi/2.2.1/tokens"
    Endpoint.objects.create(partner=partner, identifier="tokens", role="RECEIVER", url=url)
    open_feeds(partner, timezone.now())
    return partner


@pytest.fixture
def card(transactional_db):
    account = Account.objects.create(name="Fleet", kind="company", country="SE", currency="SEK")
    driver = Driver.objects.create(account=account, name="Anna")
    contract = Contract.objects.create(driver=driver, contract_id="SE-EMP-C00000001")
    return Token.objects.create(contract=contract, uid="04AB", issuer="Us", last_updated=timezone.now())


def have(partner, **values):
    """The partner as staff left it."""
    Partner.objects.filter(pk=partner.pk).update(**values)
    return Partner.objects.get(pk=partner.pk)


def pull(partner, what=TARIFFS):
    return pull_partner(what, partner, timezone.now())


def push(partner):
    Token.objects.update(version=timezone.now().timestamp() * 1000 % 2**31)
    partner.deliveries.update(confirmed_version=0, due_at=timezone.now())
    return push_partner(partner, timezone.now(), ourselves.us())["behind"] == 0


def asked(cpo, module="tariffs"):
    """Since the last time."""
    requests = [request for request in cpo.requests.copy() if f"/{module}" in request.path]
    cpo.requests.clear()
    return requests


def path_of(request):
    return request.target.partition("?")[0]


# How it is called


def test_a_slash_at_the_end_of_every_url(cpo, partner, card):
    cpo.fault("slashes")
    told = pull(partner)
    assert (told["complete"], "redirects are not followed" in told["error"], push(partner)) == (False, True, False)
    assert not any(path_of(request).endswith("/") for request in asked(cpo, "t"))

    partner = have(partner, slash=True)

    assert (pull(partner)["complete"], push(partner)) == (True, True)
    told = asked(cpo, "t")
    assert all(path_of(request).endswith("/") for request in told)
    assert {request.method for request in told} == {"GET", "PUT"}


def test_a_redirect_to_its_own_host_is_followed_once_with_method_and_body(cpo, partner, card):
    partner = have(partner, redirects=True)
    cpo.fault("slashes")
    assert (pull(partner)["complete"], push(partner)) == (True, True)
    assert cpo.received_tokens["04AB"]["issuer"] == "Us"
    gets = [path_of(request) for request in asked(cpo)]
    assert (gets[0] + "/", len(gets)) == (gets[1], 2)


def test_a_redirect_elsewhere_or_without_end_is_refused_and_shown(cpo, partner):
    partner = have(partner, redirects=True)
    for target, reason, calls in (
        (f"http://localhost:{cpo.port}/ocpi/2.2.1/tariffs/", "redirected elsewhere: http://localhost", 1),
        ("https://127.0.0.1:1/", "redirected elsewhere", 1),
        ("http://[nowhere", "redirected elsewhere", 1),
        ("/ocpi/2.2.1/tariffs", "redirects are not followed", 2),
    ):
        cpo.fault("moved", value=target, module="tariffs")
        told = pull(partner)
        assert (told["complete"], reason in told["error"], len(asked(cpo))) == (False, True, calls), (target, told)
        assert reason in partner.exchanges.first().error
        cpo.faults.clear()


def test_pages_at_a_host_that_staff_named(cpo, partner):
    elsewhere = f"http://localhost:{cpo.port}/ocpi/2.2.1/tariffs?offset=1&limit=100"
    for host, is_followed in (("", False), ("localhost:1", False), (f"localhost:{cpo.port}", True)):
        partner = have(partner, next_pages_at=host)
        cpo.fault("page_limit", module="tariffs", times=1)
        cpo.fault("foreign_next", value=elsewhere, module="tariffs", times=1)
        told = pull(partner)
        assert (told["complete"], "elsewhere" in told["error"]) == (is_followed, not is_followed)
        hosts = [request.headers["Host"] for request in asked(cpo)]
        assert hosts[1:] == [f"localhost:{cpo.port}"] * is_followed
        cpo.faults.clear()


def test_a_size_of_pages(cpo, partner):
    pull(partner)
    assert "limit" not in asked(cpo)[0].query
    total = pull(have(partner, page_size=2))["seen"]
    told = asked(cpo)
    assert {request.query["limit"] for request in told} == {"2"}
    assert len(told) == max(1, -(-total // 2))


def days_of(request, now):
    until = datetime.fromisoformat(request.query["date_to"]) if "date_to" in request.query else now
    return (until - datetime.fromisoformat(request.query["date_from"])).days


def test_short_ranges_one_after_the_other_also_after_a_break(cpo, partner):
    cpo.serve(
        "cdrs", [CDR | {"id": f"C-{year}", "last_updated": f"{year}-06-01T00:00:00Z"} for year in range(2018, 2024)]
    )
    cpo.fault("long_range", value=400, module="cdrs")
    told = pull(partner, CDRS)
    assert (told["complete"], "more than 400 days" in told["error"]) == (False, True)
    assert "date_from" not in asked(cpo, "cdrs")[0].query

    partner = have(partner, longest_range=400)
    cpo.fault("not_json", module="cdrs", skip=5, times=1)
    assert pull(partner, CDRS)["complete"] is False
    broken = asked(cpo, "cdrs")
    assert 0 < Cdr.objects.count() < 6
    assert pull(partner, CDRS)["complete"] is True
    resumed = asked(cpo, "cdrs")

    assert resumed[0].query == broken[-2].query  # the page that was taken last
    assert {days_of(request, timezone.now()) <= 400 for request in (*broken, *resumed)} == {True}
    assert "date_to" not in resumed[-1].query
    assert Cdr.objects.count() == 6


# What it is told


def test_nulls_for_what_we_have_nothing_for(cpo, partner, card):
    said = {}
    for nulls in (False, True):
        partner = have(partner, nulls=nulls)
        assert push(partner)
        said[nulls] = json.loads(next(one for one in asked(cpo, "tokens") if one.method == "PUT").body)
    assert ("group_id" in said[False], said[True]["group_id"]) == (False, None)
    assert {name: value for name, value in said[True].items() if value is not None} == said[False] | {
        "last_updated": said[True]["last_updated"]
    }


def test_nulls_in_what_it_asks_for(registered, card, cpo):
    for nulls in (False, True):
        have(registered, nulls=nulls)
        listed = cpo.send("GET", "tokens", role="SENDER").data[0]
        answer = cpo.send("POST", "tokens", "/04AB/authorize", role="SENDER").data
        assert ("group_id" in listed, "location" in answer, "group_id" in answer["token"]) == (nulls, nulls, nulls)


def test_the_party_beside_the_roles_of_our_credentials(registered, cpo):
    for flat in (False, True):
        partner = have(registered, flat_credentials=flat)
        handshake.renew(partner, timezone.now())
        (put,) = [one for one in asked(cpo, "credentials") if one.method == "PUT"]
        for said in (json.loads(put.body), cpo.emsp.call("GET", cpo.emsp.url("credentials")).data, cpo.renew().data):
            assert said["roles"][0]["party_id"] == "EMP"
            assert (said.get("party_id"), said.get("country_code")) == (("EMP", "SE") if flat else (None, None))


# What is taken of it


def evse_path(place):
    return f"/SE/LAD/{place['id']}/{place['evses'][0]['uid']}"


def test_a_patch_without_a_date(registered, cpo):
    place, held = location(), example("session")
    assert cpo.send("PUT", "locations", f"/SE/LAD/{place['id']}", place).is_ok
    assert cpo.send("PUT", "sessions", f"/SE/LAD/{held['id']}", held).is_ok
    before = Evse.objects.get(uid=place["evses"][0]["uid"]).last_updated
    patches = (
        ("locations", evse_path(place), {"status": "BLOCKED"}),
        ("locations", f"/SE/LAD/{place['id']}", {"name": "Sergels torg"}),
        ("sessions", f"/SE/LAD/{held['id']}", {"kwh": 7.5}),
    )
    for undated, code in ((False, 2001), (True, 1000)):
        have(registered, undated_patches=undated)
        assert [cpo.send("PATCH", *patch).status_code for patch in patches] == [code] * 3
    evse = Evse.objects.get(uid=place["evses"][0]["uid"])
    assert (evse.status, evse.last_updated, evse.location.name) == ("BLOCKED", before, "Sergels torg")
    assert Session.objects.get().energy == 7.5


def test_objects_with_gaps_are_taken_and_say_so(registered, cpo):
    place = location(time_zone=None)
    cdr = CDR | {"cdr_location": {name: value for name, value in CDR["cdr_location"].items() if name != "connector_id"}}
    have(registered, gaps=False)
    assert cpo.send("PUT", "locations", f"/SE/LAD/{place['id']}", place).status_code == 2001
    assert cpo.send("POST", "cdrs", "", cdr).status_code == 2001

    have(registered, gaps=True)

    assert cpo.send("PUT", "locations", f"/SE/LAD/{place['id']}", place).status_code == 1000
    assert cpo.send("POST", "cdrs", "", cdr).status_code == 1000
    assert Location.objects.get().warnings == [["time_zone", "required"]]
    assert Cdr.objects.get().warnings == [["cdr_location.connector_id", "required"]]
    assert cpo.send("PUT", "locations", f"/SE/LAD/{place['id']}", location(coordinates=None)).status_code == 2001


def test_a_cdr_of_the_session_of_its_own_id(registered, cpo):
    for number, (is_session, session_id) in enumerate(((False, ""), (True, "S-1"))):
        have(registered, cdr_is_session=is_session)
        body = {name: value for name, value in CDR.items() if name != "session_id"} | {"id": f"S-{number}"}
        assert cpo.send("POST", "cdrs", "", body).status_code == 1000
        assert Cdr.objects.get(ocpi_id=body["id"]).session_id == session_id


def test_sessions_of_which_it_tells_none_are_not_pulled(cpo, partner):
    partner = have(partner, no_sessions=True)
    fit_feeds(partner, timezone.now())
    open_feeds(partner, timezone.now())  # as after a handshake
    assert set(partner.feeds.values_list("module", flat=True)) == {"tariffs", "locations", "cdrs"}

    fit_feeds(have(partner, no_sessions=False), timezone.now())
    assert set(partner.feeds.values_list("module", flat=True)) == set(PULLED)


# What needs no switch


def test_a_single_object_in_a_list_is_the_object(registered, cpo):
    place, held = location(), example("session")
    for method, module, path, body in (
        ("PUT", "locations", f"/SE/LAD/{place['id']}", [place]),
        ("PATCH", "locations", evse_path(place), [{"status": "BLOCKED", "last_updated": "2030-01-01T00:00:00Z"}]),
        ("PUT", "sessions", f"/SE/LAD/{held['id']}", [held]),
        ("POST", "cdrs", "", [CDR]),
    ):
        answer = cpo.send(method, module, path, json.dumps(body).encode())
        assert (answer.http_status // 100, answer.status_code) == (2, 1000), (module, answer)
    assert Evse.objects.filter(status="BLOCKED").exists()
    assert json.loads(bytes(Cdr.objects.get().body)) == json.loads(json.dumps(CDR))
    assert cpo.send("POST", "cdrs", "", json.dumps([CDR, CDR]).encode()).status_code == 2001

    cpo.fault("wrapped")
    handshake.renew(Partner.objects.get(), timezone.now())


def test_authorize_with_our_party_in_the_url_and_with_none(registered, cpo, card):
    for path, is_known in (("/04AB", True), ("/SE/EMP/04AB", True), ("/se/emp/04ab/", True), ("/SE/FOE/04AB", False)):
        answer = cpo.send("POST", "tokens", f"{path.rstrip('/')}/authorize", role="SENDER")
        assert (answer.http_status, bool(answer.data)) == ((200, True) if is_known else (404, False)), path


def test_ids_in_other_letters_are_the_same(registered, cpo, card):
    place, held = location(), example("session")
    assert cpo.send("PUT", "locations", f"/SE/LAD/{place['id']}", place).is_ok
    assert cpo.send("PUT", "sessions", f"/SE/LAD/{held['id']}", held).is_ok
    at = {"last_updated": "2030-01-01T00:00:00Z"}
    assert cpo.send("PATCH", "locations", evse_path(place).lower(), {"status": "BLOCKED"} | at).is_ok
    assert cpo.send("PATCH", "sessions", f"/se/lad/{held['id'].lower()}", {"kwh": 9} | at).is_ok
    assert cpo.send("POST", "cdrs", "", CDR).http_status == 201
    assert cpo.send("POST", "cdrs", "", CDR | {"id": CDR["id"].lower()}).http_status == 200
    assert (Location.objects.count(), Session.objects.count(), Cdr.objects.count()) == (1, 1, 1)


# Where they are kept


def test_a_partner_gets_ocpi_to_the_letter_until_staff_say_otherwise(partner):
    assert quirks.departures(partner) == []
    assert {field.name: getattr(partner, field.name) for field in quirks.FIELDS} == {
        field.name: field.get_default() for field in quirks.FIELDS
    }


def test_the_database_refuses_what_no_quirk_can_be(partner):
    for wrong in ({"page_size": 0}, {"longest_range": 4000}, {"next_pages_at": "https://x.example/"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            have(partner, **wrong)


def test_a_preset_sets_them_all(partner):
    for name, chosen in quirks.PRESETS.items():
        partner.page_size, partner.nulls = 7, True
        quirks.fill(partner, name)
        partner.full_clean(exclude=["roles"])
        partner.save()
        assert {field: getattr(partner, field) for field in chosen} == chosen
        assert len(quirks.departures(partner)) == len(chosen)
    with pytest.raises(KeyError):
        quirks.fill(partner, "anything goes")


def test_the_page_for_engineers_tells_of_each():
    told = DOCS.read_text()
    for field in quirks.FIELDS:
        assert f"| {field.verbose_name} | {field.help_text} |" in told
    for name, chosen in quirks.PRESETS.items():
        words = ", ".join(
            field.verbose_name + ("" if chosen[field.name] is True else f" {chosen[field.name]}")
            for field in quirks.FIELDS
            if field.name in chosen
        )
        assert f"| {name} | {words or 'none'} |" in told


SHOWN_BY = {
    "flat_credentials": test_the_party_beside_the_roles_of_our_credentials,
    "slash": test_a_slash_at_the_end_of_every_url,
    "redirects": test_a_redirect_to_its_own_host_is_followed_once_with_method_and_body,
    "next_pages_at": test_pages_at_a_host_that_staff_named,
    "nulls": test_nulls_for_what_we_have_nothing_for,
    "page_size": test_a_size_of_pages,
    "longest_range": test_short_ranges_one_after_the_other_also_after_a_break,
    "undated_patches": test_a_patch_without_a_date,
    "gaps": test_objects_with_gaps_are_taken_and_say_so,
    "cdr_is_session": test_a_cdr_of_the_session_of_its_own_id,
    "no_sessions": test_sessions_of_which_it_tells_none_are_not_pulled,
}


def test_each_quirk_is_shown_by_a_test():
    assert tuple(SHOWN_BY) == quirks.NAMES
