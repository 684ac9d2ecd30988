"""A partner of each version, from the handshake to the CDR, over HTTP; and one that goes up the stair with its objects."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.utils import timezone

from apps.charging.models import Cdr, Session
from apps.locations.models import Connector, Evse, Location
from apps.ocpi.objects import Party
from apps.partners import handshake
from apps.partners.models import Partner, Quarantined
from apps.partners.pull import pull_partner
from apps.simulator.dialects import spoken
from apps.simulator.server import Simulator
from apps.tariffs.models import Tariff
from apps.tokens.models import Authorization
from tests.simulator.validate import problems

from .acting import LAD, LOCATIONS, TARIFFS, VERSIONS, pull, pull_all, push, they_begin, we_begin

pytestmark = pytest.mark.django_db(transaction=True)


def told_of_cdrs(cpo):
    """By id: what the CPO meant, whatever the version had words for; the one without a currency apart."""
    meant = {entry["id"]: entry for entry in cpo.ledger.entries("cdr") if entry["fault"] != "refused"}
    return {
        key: (moment(entry["start"]), moment(entry["end"]), Decimal(entry["kwh"]), Decimal(entry["hours"]),
              Decimal(entry["net"]), entry["currency"], entry["location_id"], entry["evse_uid"], entry["contract_id"])
        for key, entry in meant.items()
    }  # fmt: skip


def known_cdrs():
    names = (
        "started_at", "ended_at", "energy", "time", "cost_before_taxes", "currency", "location_id", "evse_uid",
        "sent_contract_id",
    )  # fmt: skip
    return {key: tuple(told) for key, *told in Cdr.objects.values_list("ocpi_id", *names)}


def moment(text):
    return datetime.fromisoformat(text).astimezone(UTC)


def rows():
    """What we keep of a CPO's publications, apart from when and in which words it said so."""
    return {
        "locations": set(Location.objects.values_list("ocpi_id", "name", "city", "time_zone", "vanished_at")),
        "evses": set(Evse.objects.values_list("location__ocpi_id", "uid", "evse_id", "status")),
        "connectors": set(Connector.objects.values_list("evse__uid", "ocpi_id", "standard", "power_type")),
        "tariffs": set(Tariff.objects.values_list("ocpi_id", "currency", "deleted_at")),
    }


@pytest.mark.parametrize("begin", [they_begin, we_begin])
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.ocpi("CRED-02", "CRED-03", "VER-01", "VER-02", "TR-02", "CRED-01", "all")
@pytest.mark.ocpi("VER-03", "all")
def test_a_partner_of_any_version_registers_whoever_begins(version, begin, cpo, site):
    cpo.speak(version)
    partner = begin(cpo)
    assert (partner.version, partner.is_connected, cpo.emsp.version) == (version, True, version)
    assert [str(party) for party in partner.parties.all()] == ["SE*LAD"]
    assert cpo.emsp.party == "SE*EMP"
    assert cpo.emsp.call("GET", cpo.emsp.url("tokens", "SENDER")).is_ok
    assert pull(partner, TARIFFS)["stored"] == 5


@pytest.mark.parametrize("version", VERSIONS[1:])
@pytest.mark.ocpi("CRED-11", "all")
def test_a_platform_may_be_several_parties(version, tmp_path, site):
    with Simulator(tmp_path, month="2026-10") as cpo:
        cpo.speak(version)
        partner = they_begin(cpo)
        assert {str(party) for party in partner.parties.all()} == {"SE*LAD", "DE*LAD"}
        for party in (LAD, Party("DE", "LAD")):
            body = next(made for made in cpo.world.tariffs.values() if made["country_code"] == party.country_code)
            assert cpo.send("PUT", "tariffs", f"/{party.country_code}/LAD/{body['id']}", body).is_ok
        foreign = cpo.send("PUT", "tariffs", f"/NO/LAD/{body['id']}", body)
        assert foreign.http_status == 404
        assert set(Tariff.objects.values_list("party__country_code", flat=True)) == {"SE", "DE"}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.ocpi("CRED-06", "CRED-08", "all")
def test_a_partner_of_any_version_renews_and_leaves(version, cpo, site):
    cpo.speak(version)
    partner = they_begin(cpo)
    old = cpo.memory.get("token_for_us")
    assert cpo.renew().is_ok
    partner = handshake.renew(Partner.objects.get(), timezone.now())
    assert (partner.version, cpo.memory.get("token_for_us") != old) == (version, True)
    assert pull(partner, TARIFFS)["complete"]
    assert cpo.unregister().is_ok
    assert not Partner.objects.get().is_connected


@pytest.mark.parametrize("speaks", [VERSIONS, VERSIONS[:2], VERSIONS[:1], ("2.0", "2.2.1", "9.9")])
@pytest.mark.ocpi("VER-01", "all")
@pytest.mark.ocpi("VER-04", "all")
def test_the_newest_version_that_both_speak_is_taken(speaks, cpo, site):
    cpo.speak(*speaks)
    best = max(version for version in speaks if version in VERSIONS)
    assert they_begin(cpo).version == best
    assert cpo.unregister().is_ok
    handshake.connect("CPO", cpo.versions_url, cpo.token_a(), timezone.now(), is_private=True)
    assert {partner.version for partner in Partner.objects.filter(state="CONNECTED")} == {best}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.ocpi(
    "TR-21",
    "TOK-07",
    "TOK-03",
    "TOK-02",
    "CDR-01",
    "CDR-05",
    "CDR-06",
    "SES-02",
    "SES-01",
    "LOC-01",
    "TR-29",
    "CDR-04",
    "CDR-07",
    "all",
)
@pytest.mark.ocpi("CDR-09", "all")
def test_a_month_with_a_partner_of_any_version(version, cpo, site, cards):
    """Cards are told, locations and tariffs fetched, and from the reader to the CDR nothing is lost on the way."""
    cpo.speak(version)
    partner = they_begin(cpo)
    assert push(partner) == {"due": 7, "confirmed": 7, "behind": 0}
    assert {uid: token["valid"] for uid, token in cpo.received_tokens.items()} == {
        card.uid: card != cards[-1] for card in cards
    }
    assert {token["contract_id"] for token in cpo.received_tokens.values()} == {
        card.contract.contract_id for card in cards
    }
    first = pull_all(partner)
    assert first["locations"]["stored"] == len(cpo.world.locations)

    answers = cpo.play("authorize", uids=[cards[0].uid, cards[-1].uid, "04FEED"])["answers"]
    assert [answer["allowed"] for answer in answers] == ["ALLOWED", "BLOCKED", None]
    assert (answers[2]["http_status"], answers[2]["status_code"]) == (404, 2001 if version == "2.1.1" else 2004)
    assert bool(answers[0]["reference"]) == (version != "2.1.1")

    cpo.play("sessions", count=4, completed=3, others=2)
    cpo.play("publish")
    cpo.play("cdrs", count=25, pull_only=4)
    told = {(entry["kind"], entry["outcome"]) for entry in cpo.ledger.entries() if entry.get("fault") != "refused"}
    assert {outcome for kind, outcome in told if kind not in ("authorization", "cdr")} <= {"OK", None}
    before = Session.objects.count()
    pull_all(partner)
    assert before == Session.objects.count() == len({entry["id"] for entry in cpo.ledger.entries("session")}) > 0
    assert known_cdrs() == told_of_cdrs(cpo)
    assert set(Cdr.objects.values_list("version", flat=True)) == {version}
    unmatched = set(Cdr.objects.filter(contract=None).values_list("ocpi_id", flat=True))
    assert list(Cdr.objects.filter(is_credit=True).values_list("credits__ocpi_id", flat=True)) == [
        entry["id"] for entry in cpo.ledger.entries("cdr") if entry["fault"] == "credited"
    ]
    assert unmatched == {entry["id"] for entry in cpo.ledger.entries("cdr") if entry["fault"] == "unknown_card"}
    assert {evse["uid"]: evse["status"] for place in cpo.world.locations.values() for evse in place["evses"]} == dict(
        Evse.objects.values_list("uid", "status")
    )
    assert list(Quarantined.objects.values_list("module", "version")) == [("cdrs", version)]


@pytest.mark.ocpi("TR-21", "TAR-02", "LOC-04", "all")
def test_the_same_publications_in_three_versions_give_the_same_rows(cpo, site):
    cpo.speak("2.1.1")
    partner, found = they_begin(cpo), []
    for version in VERSIONS:
        cpo.speak(version)
        assert cpo.renew().is_ok
        pull_partner(LOCATIONS, partner := Partner.objects.get(), timezone.now(), full=True)
        pull_partner(TARIFFS, partner, timezone.now(), full=True)
        found.append(rows())
        assert partner.version == version
    assert found[0] == found[1] == found[2]
    assert all(found[0].values())


@pytest.mark.parametrize("upgrade", ["they", "we"])
@pytest.mark.ocpi("CRED-06", "all")
def test_a_partner_that_goes_up_the_stair_keeps_its_objects(upgrade, cpo, site, cards):
    cpo.speak("2.1.1")
    partner = they_begin(cpo)
    push(partner)
    cpo.play("cdrs", count=12, pull_only=3)
    pull_all(partner)
    parties, cdrs = list(partner.parties.all()), known_cdrs()
    kept = list(Cdr.objects.order_by("pk").values_list("pk", "body", "version"))
    for version in VERSIONS[1:]:
        cpo.speak(*VERSIONS[: VERSIONS.index(version) + 1])
        assert cpo.renew().is_ok if upgrade == "they" else handshake.renew(partner, timezone.now())
        partner = Partner.objects.get()
        assert (partner.version, cpo.emsp.version) == (version, version)
        told = pull_all(partner)
        assert (told["cdrs"]["stored"], told["cdrs"]["unchanged"]) == (0, len(cdrs))
    assert list(partner.parties.all()) == parties
    assert known_cdrs() == cdrs
    assert list(Cdr.objects.order_by("pk").values_list("pk", "body", "version")) == kept


@pytest.mark.ocpi("TOK-08", "2.1.1", "2.2.1")
def test_a_newer_version_is_told_of_cards_what_the_older_had_no_words_for(cpo, site, cards):
    cpo.speak("2.1.1")
    push(they_begin(cpo))
    app = cards[5].uid
    assert cpo.received_tokens[app]["type"] == "OTHER"
    assert cpo.renew().is_ok
    assert push(Partner.objects.get())["due"] == 0
    cpo.speak("2.2.1")
    assert cpo.renew().is_ok
    assert push(Partner.objects.get()) == {"due": 7, "confirmed": 7, "behind": 0}
    assert cpo.received_tokens[app]["type"] == "APP_USER"


def test_who_registers_anew_is_told_of_every_card_again(cpo, site, cards):
    push(they_begin(cpo))
    assert cpo.unregister().is_ok
    assert push(they_begin(cpo)) == {"due": 7, "confirmed": 7, "behind": 0}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.ocpi("TOK-01", "TOK-05", "TOK-02", "CRED-09", "CRED-10", "TR-35", "TR-36", "TR-11", "TOK-08", "all")
def test_what_we_send_is_what_the_tables_of_the_version_say(version, cpo, site, cards):
    cpo.speak(version)
    partner = they_begin(cpo)
    push(partner)
    listed = cpo.emsp.call("GET", cpo.emsp.url("tokens", "SENDER")).data
    put = [request.json() for request in cpo.requests if request.method == "PUT" and "/tokens/" in request.path]
    assert len(listed) == len(put) == 7
    assert [problem for token in (*listed, *put) for problem in problems(token, "token", version=version)] == []
    place = next(iter(cpo.world.locations.values()))
    where = {"location_id": place["id"], "evse_uids": [place["evses"][0]["uid"]]}
    answer = cpo.send("POST", "tokens", f"/{cards[0].uid}/authorize", where, role="SENDER")
    assert problems(answer.data, "authorization_info", version=version) == []
    shown = cpo.emsp.call("GET", cpo.emsp.url("credentials")).data
    assert problems(shown, "credentials", version=version) == []
    for module, body in (("locations", place), ("tariffs", next(iter(cpo.world.tariffs.values())))):
        path = f"/SE/LAD/{body['id']}"
        assert cpo.send("PUT", module, path, body).is_ok
        told = cpo.send("GET", module, path).data
        assert problems(told, module[:-1], version=version) == []
        sent = spoken(version, module, body, {})
        assert told == {name: value for name, value in sent.items() if value != []}
    assert Authorization.objects.get().allowed == "ALLOWED"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.ocpi("CDR-03", "CDR-01", "TR-36", "SES-05", "SES-03", "all")
def test_sessions_and_cdrs_are_shown_as_the_tables_of_the_version_say(version, cpo, site, cards):
    cpo.speak(version)
    push(they_begin(cpo))
    told = cpo.play("charge", uid=cards[0].uid, start="2026-10-05T08:00:00Z")
    session = cpo.send("GET", "sessions", f"/SE/LAD/{told['session_id']}").data
    assert problems(session, "session", version=version) == []
    (entry,) = cpo.ledger.entries("cdr")
    shown = cpo.emsp.call("GET", entry["location_url"]).data
    assert problems(shown, "cdr", version=version) == []
    assert told["outcome"] == "OK"
    late = f'{{"status": "ACTIVE", "last_updated": "{timezone.now():%Y-%m-%dT%H:%M:%SZ}"}}'.encode()
    cpo.send("PATCH", "sessions", f"/SE/LAD/{told['session_id']}", late)
    assert Session.objects.get().status == "COMPLETED"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.ocpi("TAR-01", "TR-29", "2.1.1")
def test_a_tariff_is_patched_where_the_version_has_that(version, cpo, site):
    cpo.speak(version)
    they_begin(cpo)
    made = next(iter(cpo.world.tariffs.values()))
    path = f"/SE/LAD/{made['id']}"
    cpo.send("PUT", "tariffs", path, made)
    answer = cpo.send("PATCH", "tariffs", path, b'{"tariff_alt_url": "https://lad.example/day"}')
    if version != "2.1.1":
        assert (answer.http_status, answer.headers["allow"]) == (405, "GET, PUT, DELETE")
        return
    assert answer.is_ok, answer
    shown = cpo.send("GET", "tariffs", path).data
    assert shown == spoken(version, "tariffs", made, {}) | {"tariff_alt_url": "https://lad.example/day"}
    assert cpo.send("PATCH", "tariffs", path, b'{"tariff_alt_url": null}').is_ok
    assert "tariff_alt_url" not in cpo.send("GET", "tariffs", path).data
    assert cpo.send("PATCH", "tariffs", path, b'{"currency": null}').status_code == 2001
    assert cpo.send("PATCH", "tariffs", "/SE/LAD/NONE", b"{}").http_status == 404


@pytest.mark.ocpi("TR-04", "TR-05", "TR-09", "TR-11", "TR-23", "LOC-03", "all")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.ocpi("TR-08", "all")
def test_strangers_and_nonsense_get_the_same_answers_in_every_version(version, cpo, site):
    cpo.speak(version)
    they_begin(cpo)
    stranger = cpo.emsp.call("GET", cpo.emsp.url("tokens", "SENDER"), token="nobodys_token-of-any-kind")
    assert (stranger.http_status, stranger.status_code) == (401, 2001)
    assert cpo.send("PUT", "tariffs", "/SE/LAD/X", b"{").http_status == 400
    answer = cpo.send("PUT", "tariffs", "/SE/LAD/X", b"[]")
    assert (answer.http_status, answer.status_code) == (200, 2001)
    assert answer.headers.get("ocpi-to-party-id") == (None if version == "2.1.1" else "LAD")
    assert cpo.send("DELETE", "locations", "/SE/LAD/X").http_status == 405


@pytest.mark.ocpi("TR-14", "TR-15", "all")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.ocpi("TR-16", "all")
def test_the_list_of_cards_is_paged_in_every_version(version, cpo, site, cards):
    cpo.speak(version)
    they_begin(cpo)
    first = cpo.emsp.call("GET", f"{cpo.emsp.url('tokens', 'SENDER')}?limit=4&date_from=2020-01-01T00:00:00Z")
    assert (first.headers["x-total-count"], first.headers["x-limit"]) == ("7", "1000")
    link = first.headers["link"].partition(">")[0].removeprefix("<")
    assert f"/ocpi/{version}/tokens?" in link
    second = cpo.emsp.call("GET", link)
    assert [token["uid"] for token in (*first.data, *second.data)] == [card.uid for card in cards]
    assert "link" not in second.headers


@pytest.mark.ocpi("CRED-04", "CRED-05", "all")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_registration_that_cannot_be_is_refused_in_every_version(version, cpo, site):
    cpo.speak(version)
    invitation = handshake.invite("CPO", LAD, timezone.now(), is_private=True)
    cpo.fault("status", value=500, module="versions")
    answer = cpo.register(invitation.versions_url, invitation.token)
    assert (answer.http_status, answer.status_code) == (200, 3001)
    assert not Partner.objects.get().is_connected
    cpo.faults.clear()
    assert cpo.register(invitation.versions_url, invitation.token).is_ok
    again = cpo.registration.credentials("another_token-of-the-cpo", version)
    assert cpo.emsp.call("POST", cpo.emsp.url("credentials"), again).http_status == 405
