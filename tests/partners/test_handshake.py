"""Registration with the simulated CPO over HTTP, begun by either side, with bad days (credentials, decision 27)."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps import pace
from apps.ocpi.errors import MissingEndpoints, PeerFailed, UnsupportedVersion
from apps.ocpi.objects import Party
from apps.partners import credentials, handshake, peers
from apps.partners.models import CredentialsToken, Exchange, Feed, Partner
from apps.partners.models import Party as PartyRow

pytestmark = pytest.mark.django_db(transaction=True)

LAD = Party("SE", "LAD")


def connect(cpo, **how):
    return handshake.connect("Simulated CPO", cpo.versions_url, cpo.token_a(), timezone.now(), is_private=True, **how)


def can_call(partner):
    """Both ways: what each holds opens the other's door."""
    peer = peers.peer_of(Partner.objects.get(pk=partner.pk), "tariffs")
    assert list(peer.pages(peers.endpoint(partner, "tariffs", "SENDER")))


def cpo_can_call(cpo):
    answer = cpo.emsp.call("GET", cpo.emsp.url("tokens", "SENDER"))
    assert answer.is_ok, answer


def is_known(site, as_partner, token, path="tokens"):
    return as_partner(token).call("GET", path).status_code == 200


# The partner begins


@pytest.mark.ocpi("CRED-01", "CRED-03", "CRED-11")
def test_the_cpo_registers_with_its_invitation(cpo, registered):
    assert (registered.state, registered.version, registered.versions_url) == ("CONNECTED", "2.2.1", cpo.versions_url)
    assert {str(party) for party in registered.parties.all()} == {"SE*LAD", "DE*LAD"}
    assert set(registered.endpoints.values_list("identifier", "role")) >= {("cdrs", "SENDER"), ("tokens", "RECEIVER")}
    assert set(registered.feeds.values_list("module", flat=True)) == {"tariffs", "locations", "sessions", "cdrs"}
    assert not Feed.objects.filter(due_at=None).exists()
    assert cpo.memory.get("emsp_roles")[0]["role"] == "EMSP"
    can_call(registered)
    cpo_can_call(cpo)


def test_a_connected_partner_invited_again_stays_as_private_as_it_is(registered):
    partner = Partner.objects.get()

    handshake.invite("LAD", LAD, timezone.now())

    partner.refresh_from_db()
    assert (partner.is_private, partner.is_connected) == (True, True)


@pytest.mark.control("S7")
def test_the_invitation_is_dead_once_the_new_token_was_used(cpo, invitation, as_partner):
    assert cpo.register(invitation.versions_url, invitation.token).is_ok  # which looks at our versions again
    assert as_partner(invitation.token).call("GET", "/ocpi/versions").status_code == 401


@pytest.mark.control("S6", "S7")
@pytest.mark.ocpi("TR-04", "CRED-05", "VER-01")
def test_an_invitation_opens_the_registration_and_nothing_else(invitation, as_partner, site):
    stranger = as_partner(invitation.token)
    for path in ("/ocpi/versions", "/ocpi/2.2.1", "/ocpi/2.2.1/credentials"):
        assert stranger.call("GET", path).json()["status_code"] == 1000
    for path in ("tokens", "tokens?x=/ocpi/versions", "tokens/credentials/authorize"):
        assert stranger.call("POST", path).status_code == stranger.call("GET", path).status_code == 401
    for method in ("PUT", "DELETE"):
        answer = stranger.call(method, "credentials", json=theirs("https://x.example"))
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, POST")


@pytest.mark.control("S7")
@pytest.mark.ocpi("CRED-01")
def test_an_invitation_expires(invitation, as_partner):
    CredentialsToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert as_partner(invitation.token).call("GET", "/ocpi/versions").status_code == 401


@pytest.mark.ocpi("CRED-05")
def test_who_is_registered_does_not_post(cpo, registered):
    answer = cpo.emsp.call("POST", cpo.emsp.url("credentials"), theirs(cpo.versions_url))
    assert (answer.http_status, answer.headers["allow"]) == (405, "GET, PUT, DELETE")


@pytest.mark.ocpi("CRED-09")
def test_credentials_show_the_token_that_was_presented(cpo, registered):
    shown = cpo.emsp.call("GET", cpo.emsp.url("credentials")).data
    assert shown["token"] == cpo.memory.get("token_for_us")
    assert shown["roles"][0]["party_id"] == "EMP"


@pytest.mark.control("S12")
def test_a_lost_answer_to_the_registration_locks_nobody_out(cpo, invitation, as_partner):
    """The CPO never got the token of the first try, and tries again with its invitation."""
    stranger = as_partner(invitation.token)
    cpo.memory.put(tokens_of_emsp=["first-token_of_the_cpo"])
    assert stranger.call("POST", "credentials", json=theirs(cpo.versions_url, "first-token_of_the_cpo")).is_success
    assert cpo.register(invitation.versions_url, invitation.token).is_ok
    assert Partner.objects.count() == 1
    can_call(Partner.objects.get())
    cpo_can_call(cpo)


def theirs(url, token="token-of_the_cpo", party="LAD", **changed):
    role = {"role": "CPO", "country_code": "SE", "party_id": party, "business_details": {"name": "CPO"}}
    return {"token": token, "url": url, "roles": [role]} | changed


@pytest.fixture
def try_to_register(cpo, invitation, as_partner, monkeypatch):
    monkeypatch.setattr(handshake, "PATIENCE", 1)
    cpo.memory.put(tokens_of_emsp=["token-of_the_cpo"])

    def try_to_register(**changed):
        body = theirs(cpo.versions_url) | changed
        return as_partner(invitation.token).call("POST", "credentials", json=body).json()

    return try_to_register


def nothing_was_kept(invitation, as_partner):
    partner = Partner.objects.get()
    assert (partner.state, partner.outbound_token, partner.endpoints.count(), Feed.objects.count()) == (
        "INVITED",
        "",
        0,
        0,
    )
    assert set(CredentialsToken.objects.values_list("kind", "revoked_at")) == {("A", None)}
    assert as_partner(invitation.token).call("GET", "/ocpi/versions").status_code == 200


@pytest.mark.parametrize(
    ("fault", "code"),
    [({"name": "status", "value": 500}, 3001), ({"name": "code", "value": 2000}, 3001), ({"name": "not_json"}, 3001),
     ({"name": "cut_body"}, 3001), ({"name": "lost_reply"}, 3001), ({"name": "redirect", "value": "/ocpi/x"}, 3001),
     ({"name": "status", "value": 401}, 3001), ({"name": "slow", "value": 3}, 3001)],
)  # fmt: skip
@pytest.mark.ocpi("CRED-04")
def test_a_cpo_we_cannot_look_at_is_3001_and_may_try_again(fault, code, cpo, try_to_register, invitation, as_partner):
    cpo.fault(module="versions", **fault)
    answer = try_to_register()
    assert (answer["status_code"], "data" in answer) == (code, False)
    nothing_was_kept(invitation, as_partner)
    cpo.faults.clear()
    assert try_to_register()["status_code"] == 1000


@pytest.mark.ocpi("CRED-04")
def test_no_version_in_common_is_3002(cpo, try_to_register, invitation, as_partner):
    cpo.speak("2.1.1", "2.0")
    assert try_to_register()["status_code"] == 3002
    nothing_was_kept(invitation, as_partner)


@pytest.mark.ocpi("CRED-04")
def test_a_cpo_with_nothing_for_us_is_3003(cpo, try_to_register, invitation, as_partner, monkeypatch):
    monkeypatch.setattr("apps.simulator.interfaces.SENT", ("tariffs", "sessions"))
    answer = try_to_register()
    assert answer["status_code"] == 3003
    assert "locations" in answer["status_message"]
    nothing_was_kept(invitation, as_partner)


@pytest.mark.ocpi("CRED-10")
def test_a_wrong_token_in_their_credentials_is_3001(try_to_register, invitation, as_partner):
    assert try_to_register(token="not-the_token")["status_code"] == 3001
    nothing_was_kept(invitation, as_partner)


@pytest.mark.parametrize(
    "changed",
    [
        {"token": "a b"},
        {"token": "x" * 65},
        {"token": ""},
        {"roles": []},
        {"url": None},
        {"roles": "CPO"},
        {"token": "å"},
    ],
)
def test_credentials_that_are_none_are_2001(changed, try_to_register, invitation, as_partner):
    assert try_to_register(**changed)["status_code"] == 2001
    nothing_was_kept(invitation, as_partner)


def test_who_was_invited_is_who_may_come(cpo, try_to_register, invitation, as_partner):
    answer = try_to_register(roles=theirs("", party="OTH")["roles"])
    assert answer["status_code"] == 2001
    assert "SE*LAD" in answer["status_message"]
    nothing_was_kept(invitation, as_partner)
    assert not PartyRow.objects.filter(party_id="OTH").exists()


@pytest.mark.control("S17")
def test_a_party_with_a_route_stays_on_it(cpo, invitation, try_to_register, make_partner):
    """DE*LAD is connected by itself: the new connection gets SE*LAD alone, until staff move it (decision 16)."""
    direct = make_partner("DE*LAD", name="Direct")
    both = [theirs("")["roles"][0] | {"country_code": country} for country in ("SE", "DE")]
    assert try_to_register(roles=both)["status_code"] == 1000
    assert {str(party): party.partner.name for party in PartyRow.objects.all()} == {
        "SE*LAD": "Simulated CPO", "DE*LAD": direct.name,
    }  # fmt: skip


@pytest.mark.control("S20")
@pytest.mark.ocpi("CRED-13")
def test_a_cpo_cannot_lead_us_inside(try_to_register, invitation, as_partner, settings):
    settings.OCPI_PRIVATE_HOSTS = []
    for url in ("http://127.0.0.1:1/", "https://169.254.169.254/latest", "file:///etc/passwd", "https://[::1]/", "x"):
        assert try_to_register(url=url)["status_code"] == 3001
    nothing_was_kept(invitation, as_partner)


def test_a_partner_that_is_not_private_is_not_called_on_this_machine(cpo, try_to_register):
    Partner.objects.update(is_private=False)
    assert try_to_register()["status_code"] == 3001
    assert cpo.requests.copy() == type(cpo.requests)()


@pytest.mark.control("S11")
def test_a_partner_cannot_make_us_call_without_end(cpo, invitation, as_partner, monkeypatch):
    monkeypatch.setitem(pace.LIMITS, "handshakes", pace.Limit(1 / 3600, 2))
    answers = [
        as_partner(invitation.token).call("POST", "credentials", json=theirs(cpo.versions_url)) for _ in range(3)
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 3500 < int(answers[2].headers["Retry-After"]) <= 3600
    assert len(cpo.requests) == 4  # a token it does not know is tried in either form


def in_2_1_1(url, token):
    """One party, where later there is a list of roles."""
    details = {"business_details": {"name": "CPO"}, "country_code": "SE", "party_id": "LAD"}
    return {"token": token, "url": url} | details


@pytest.mark.parametrize(("version", "body"), [("2.1.1", in_2_1_1), ("2.2.1", theirs), ("2.3.0", theirs)])
def test_a_partner_may_choose_its_version(version, body, cpo, invitation, as_partner):
    cpo.speak("2.1.1", "2.2.1", "2.3.0")
    cpo.memory.put(tokens_of_emsp=["token-of_the_cpo"])
    sent = body(cpo.versions_url, "token-of_the_cpo")
    answer = as_partner(invitation.token).call("POST", "credentials", version, json=sent).json()
    assert answer["status_code"] == 1000, answer
    assert ("roles" in answer["data"]) == (version != "2.1.1")
    partner = Partner.objects.get()
    assert (partner.version, [str(party) for party in partner.parties.all()]) == (version, ["SE*LAD"])
    assert peers.endpoint(partner, "cdrs", "SENDER").endswith(f"/{version}/cdrs")
    caller = as_partner(answer["data"]["token"])
    assert caller.call("GET", "tokens", version).json()["data"] == []


@pytest.mark.ocpi("CRED-06", "2.2.1", "2.3.0")
def test_a_renewal_may_change_the_version(cpo, registered, as_partner):
    cpo.speak("2.2.1", "2.3.0")
    token = cpo.memory.get("tokens_of_emsp")[-1]
    caller = as_partner(cpo.memory.get("token_for_us"))
    assert caller.call("PUT", "credentials", "2.3.0", json=theirs(cpo.versions_url, token)).is_success
    assert Partner.objects.get().version == "2.3.0"


# Renewal


@pytest.mark.control("S9")
@pytest.mark.ocpi("CRED-07")
def test_the_cpo_renews_and_the_old_token_ends_with_the_first_use_of_the_new(cpo, registered, as_partner, site):
    old = cpo.memory.get("token_for_us")
    sealed = registered.outbound_token
    caller = as_partner(old)
    cpo.memory.put(tokens_of_emsp=[*cpo.memory.get("tokens_of_emsp"), "renewed-token_of_the_cpo"])
    answer = caller.call("PUT", "credentials", json=theirs(cpo.versions_url, "renewed-token_of_the_cpo")).json()
    new = answer["data"]["token"]
    assert new != old
    assert is_known(site, as_partner, old)
    assert is_known(site, as_partner, new)
    assert not is_known(site, as_partner, old)
    assert Partner.objects.get().outbound_token != sealed
    can_call(registered)


@pytest.mark.control("S9")
def test_the_replaced_token_lives_a_day_at_most(cpo, registered):
    before = CredentialsToken.objects.get(kind="C", revoked_at=None)
    credentials.replace(registered, timezone.now())
    before.refresh_from_db()
    assert before.expires_at - timezone.now() <= timedelta(hours=24)


def test_the_simulated_cpo_renews(cpo, registered):
    assert cpo.renew().is_ok
    can_call(registered)
    cpo_can_call(cpo)


@pytest.mark.control("S12")
def test_a_lost_answer_to_a_renewal_locks_nobody_out(cpo, registered, as_partner):
    """The CPO never saw the new token, and goes on with what it has: it may work, and renew again."""
    caller = as_partner(cpo.memory.get("token_for_us"))
    token = cpo.memory.get("tokens_of_emsp")[-1]
    assert caller.call("PUT", "credentials", json=theirs(cpo.versions_url, token)).is_success
    assert caller.call("GET", "tokens").is_success
    assert cpo.renew().is_ok
    can_call(registered)
    cpo_can_call(cpo)


@pytest.mark.control("S11")
def test_a_renewal_that_fails_changes_nothing(cpo, registered, as_partner):
    caller = as_partner(cpo.memory.get("token_for_us"))
    sealed = registered.outbound_token
    assert caller.call("PUT", "credentials", json=theirs(cpo.versions_url, "wrong-token")).json()["status_code"] == 3001
    assert Partner.objects.get().outbound_token == sealed
    assert CredentialsToken.objects.filter(kind="C", expires_at=None, revoked_at=None).count() == 1
    can_call(registered)


def test_roles_that_are_given_up_are_given_up(cpo, registered, as_partner):
    caller = as_partner(cpo.memory.get("token_for_us"))
    token = cpo.memory.get("tokens_of_emsp")[-1]
    assert caller.call("PUT", "credentials", json=theirs(cpo.versions_url, token)).json()["status_code"] == 1000
    assert [str(party) for party in registered.parties.all()] == ["SE*LAD"]
    assert PartyRow.objects.get(country_code="DE").partner is None


@pytest.mark.control("S10")
def test_a_partner_cannot_set_what_is_ours_to_set(cpo, registered, as_partner):
    caller = as_partner(cpo.memory.get("token_for_us"))
    hostile = {"is_private": False, "state": "DISCONNECTED", "name": "x", "role": "HUB", "id": 99, "partner": 99}
    token = cpo.memory.get("tokens_of_emsp")[-1]
    assert caller.call("PUT", "credentials", json=theirs(cpo.versions_url, token) | hostile).is_success
    kept = Partner.objects.get()
    assert (kept.pk, kept.is_private, kept.state, kept.name, kept.role) == (
        registered.pk, True, "CONNECTED", "Simulated CPO", "CPO",
    )  # fmt: skip


@pytest.mark.control("S8")
def test_we_renew(cpo, registered, site, as_partner):
    old = cpo.memory.get("token_for_us")
    handshake.renew(registered, timezone.now())
    assert cpo.memory.get("token_for_us") != old
    can_call(registered)
    cpo_can_call(cpo)
    assert not is_known(site, as_partner, old)


def test_our_renewal_may_be_refused(cpo, registered, as_partner, site):
    cpo.fault("code", value=3000, module="credentials", method="PUT")
    with pytest.raises(PeerFailed):
        handshake.renew(registered, timezone.now())
    cpo_can_call(cpo)
    can_call(registered)
    assert CredentialsToken.objects.filter(kind="C", revoked_at=None).count() == 1


@pytest.mark.control("S12")
@pytest.mark.ocpi("CRED-07")
def test_a_lost_answer_to_our_renewal_locks_nobody_out(cpo, registered):
    """The CPO took our new token, and we never got its own; it still knows the old one, so we do it again."""
    cpo.fault("lost_reply", module="credentials", method="PUT", times=1)
    with pytest.raises(PeerFailed):
        handshake.renew(registered, timezone.now())
    cpo_can_call(cpo)
    handshake.renew(Partner.objects.get(), timezone.now())
    can_call(registered)
    cpo_can_call(cpo)


# We begin


@pytest.mark.ocpi("CRED-02")
def test_we_register_with_the_cpo(cpo, site):
    partner = connect(cpo)
    assert (partner.state, partner.version, partner.name) == ("CONNECTED", "2.2.1", "Simulated CPO")
    assert {str(party) for party in partner.parties.all()} == {"SE*LAD", "DE*LAD"}
    assert cpo.memory.get("emsp_versions_url") == f"{site}/ocpi/versions"
    can_call(partner)
    cpo_can_call(cpo)


@pytest.mark.parametrize("form", ["raw", "base64"])
@pytest.mark.ocpi("TR-03")
def test_a_peer_that_reads_the_token_in_the_other_form_is_understood(form, cpo, site, monkeypatch):
    from apps.simulator import interfaces

    def only(header):
        import base64

        given = (header or "").removeprefix("Token ")
        return [given] if form == "raw" else [base64.b64decode(given + "==").decode("latin-1")]

    monkeypatch.setattr(interfaces, "presented_tokens", only)
    partner = connect(cpo)
    assert partner.token_form == {"raw": "raw", "base64": "auto"}[form]
    can_call(partner)


def test_a_peer_without_what_we_need_is_not_told_of_us(cpo, site, monkeypatch):
    monkeypatch.setattr("apps.simulator.interfaces.SENT", ("tariffs",))
    with pytest.raises(MissingEndpoints):
        connect(cpo)
    assert [request.method for request in cpo.requests] == ["GET", "GET"]
    assert not Partner.objects.exists()


def test_a_peer_without_a_version_of_ours_is_not_told_of_us(cpo, site):
    cpo.speak("2.0", "2.9.9")
    with pytest.raises(UnsupportedVersion, match=r"2\.0, 2\.9\.9.*2\.2\.1"):
        connect(cpo)
    assert not Partner.objects.exists()


@pytest.mark.parametrize(
    "fault", [{"name": "status", "value": 500}, {"name": "not_json"}, {"name": "code", "value": 3001}]
)
@pytest.mark.ocpi("CRED-14")
def test_a_registration_of_ours_that_fails_says_why(fault, cpo, site):
    cpo.fault(module="credentials", method="POST", **fault)
    with pytest.raises(PeerFailed) as failed:
        connect(cpo)
    assert str(failed.value)
    assert not Partner.objects.filter(state="CONNECTED").exists()
    cpo.faults.clear()
    can_call(connect(cpo))
    assert Partner.objects.count() == 1


def test_the_name_of_a_connected_partner_is_taken(cpo, registered):
    with pytest.raises(ValueError, match="connected already"):
        connect(cpo)


# The end, and a new beginning


@pytest.mark.control("S13")
@pytest.mark.ocpi("CRED-08")
def test_the_cpo_leaves(cpo, registered, as_partner):
    token = cpo.memory.get("token_for_us")
    assert cpo.unregister().is_ok
    partner = Partner.objects.get()
    assert (partner.state, partner.outbound_token) == ("DISCONNECTED", "")
    assert not Feed.objects.exclude(due_at=None).exists()
    assert {str(party) for party in partner.parties.all()} == {"SE*LAD", "DE*LAD"}
    for path in ("/ocpi/versions", "tokens", "credentials"):
        assert as_partner(token).call("GET", path).status_code == 401


@pytest.mark.control("S13")
@pytest.mark.ocpi("CRED-08")
def test_we_leave(cpo, registered, as_partner):
    token = cpo.memory.get("token_for_us")
    assert handshake.end(registered, timezone.now()) == ""
    assert not cpo.emsp.is_registered
    assert as_partner(token).call("GET", "/ocpi/versions").status_code == 401


@pytest.mark.control("S13")
def test_we_leave_whether_the_cpo_hears_it_or_not(cpo, registered):
    cpo.fault("status", value=503)
    assert "503" in handshake.end(registered, timezone.now())
    assert Partner.objects.get().state == "DISCONNECTED"


def test_who_left_comes_back_by_a_new_invitation(cpo, registered):
    cpo.unregister()
    again = handshake.invite("Simulated CPO", LAD, timezone.now(), is_private=True)
    assert again.partner == registered
    assert cpo.register(again.versions_url, again.token).is_ok
    assert (Partner.objects.count(), PartyRow.objects.count()) == (1, 2)
    can_call(registered)
    cpo_can_call(cpo)


def test_a_new_invitation_ends_the_one_before(invitation, as_partner):
    again = handshake.invite("Simulated CPO", LAD, timezone.now(), is_private=True)
    assert again.partner == invitation.partner
    assert as_partner(invitation.token).call("GET", "/ocpi/versions").status_code == 401
    assert as_partner(again.token).call("GET", "/ocpi/versions").status_code == 200


def test_who_is_connected_may_be_invited_to_begin_anew(cpo, registered, as_partner):
    """The CPO lost its token: until it has a new one, the old one is good."""
    old = cpo.memory.get("token_for_us")
    again = handshake.invite("Simulated CPO", LAD, timezone.now(), is_private=True)
    assert as_partner(old).call("GET", "tokens").status_code == 200
    assert cpo.register(again.versions_url, again.token).is_ok
    assert as_partner(old).call("GET", "tokens").status_code == 401
    can_call(registered)


def test_a_party_behind_a_hub_is_not_invited_beside_it(make_partner, now):
    make_partner("SE*LAD", name="Hub", role="HUB")
    with pytest.raises(ValueError, match="Hub"):
        handshake.invite("Direct", LAD, now)


# The record


@pytest.mark.control("S2")
def test_no_token_is_anywhere_in_the_database(cpo, registered, invitation):
    cpo.renew()
    handshake.renew(Partner.objects.get(), timezone.now())
    memory = cpo.memory
    secrets = [invitation.token, memory.get("token_for_us"), *memory.get("tokens_of_emsp")]
    assert Exchange.objects.filter(module="credentials", direction="IN").exists()
    assert Exchange.objects.filter(module="credentials", direction="OUT").exists()
    for exchange in Exchange.objects.all():
        written = f"{exchange.__dict__} {bytes(exchange.request_body)} {bytes(exchange.response_body)}"
        assert not any(secret in written for secret in secrets)
    for row in (*CredentialsToken.objects.values(), *Partner.objects.values()):
        assert not any(secret in str(row) for secret in secrets)
