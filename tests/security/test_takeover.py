"""A partner that turned hostile: it stays what staff made it, and reaches nothing of others (trust S7, S8, S14, S23)."""

import threading
import time

import pytest
from django.utils import timezone

from apps import pace
from apps.ocpi.client import Peer
from apps.ocpi.errors import PeerFailed
from apps.partners import handshake
from apps.partners.models import CredentialsToken, Partner, Quarantined
from apps.partners.models import Party as PartyRow
from tests.charging.conftest import CDR

pytestmark = pytest.mark.django_db(transaction=True)


def role(party_id, country="SE"):
    details = {"name": party_id}
    return {"role": "CPO", "country_code": country, "party_id": party_id, "business_details": details}


def said(cpo, *parties, url=""):
    token = cpo.memory.get("tokens_of_emsp")[-1]
    return {"token": token, "url": url or cpo.versions_url, "roles": [role(party) for party in parties]}


@pytest.fixture
def hostile(registered, cpo, as_partner):
    """The simulated CPO, as it calls us."""
    return as_partner(cpo.memory.get("token_for_us"))


@pytest.mark.control("S10", "S17")
@pytest.mark.parametrize("state", ["INVITED", "CONNECTED", "DISCONNECTED"])
def test_nobody_takes_the_party_of_another_by_naming_it(state, hostile, cpo, make_partner):
    """Not that of one who is only invited yet, and not that of one who left: its CDRs are still its own."""
    make_partner("SE*BIG", name="Big", state=state)
    assert hostile.call("PUT", "credentials", json=said(cpo, "LAD", "BIG")).json()["status_code"] == 1000
    assert PartyRow.objects.get(party_id="BIG").partner.name == "Big"


@pytest.mark.control("S10", "S17")
def test_what_a_partner_answers_to_our_renewal_takes_nothing_either(registered, cpo, make_partner, monkeypatch):
    make_partner("SE*BIG", name="Big", state="DISCONNECTED")
    monkeypatch.setattr(
        "apps.simulator.registration._role", lambda _, country: role("LAD" if country == "SE" else "BIG")
    )
    handshake.renew(registered, timezone.now())
    assert PartyRow.objects.get(party_id="BIG").partner.name == "Big"


@pytest.mark.control("S13")
def test_a_partner_that_was_thrown_out_does_not_come_back_by_a_call_under_way(hostile, registered, cpo):
    """It keeps us waiting for its versions until staff have disconnected it."""
    cpo.fault("slow", value=2, module="versions", method="GET", times=1)
    answers = []
    call = threading.Thread(target=lambda: answers.append(hostile.call("PUT", "credentials", json=said(cpo, "LAD"))))
    asked = len(cpo.requests)
    call.start()
    while len(cpo.requests) == asked and call.is_alive():
        time.sleep(0.01)
    handshake._forget(registered, timezone.now())
    call.join()
    assert answers[0].status_code == 401
    assert Partner.objects.get().state == "DISCONNECTED"
    assert not CredentialsToken.objects.filter(revoked_at=None).exists()


@pytest.mark.control("S23")
def test_our_token_for_it_goes_to_no_other_host(registered, cpo):
    """Details of a version elsewhere are not asked for: `localhost` and 127.0.0.1 are two hosts."""
    elsewhere = cpo.versions_url.replace("127.0.0.1", "localhost")
    partner = Partner.objects.get()
    before = len(cpo.requests)
    with pytest.raises(PeerFailed, match="another host"):
        handshake._look(partner, elsewhere, said(cpo)["token"], handshake.LISTED)
    assert len(cpo.requests) == before + 1


@pytest.mark.control("S20")
@pytest.mark.parametrize("url", ["https://127.0.0.1:1/v", "https://localhost/v", "https://[::ffff:10.0.0.1]/v"])
def test_a_partner_is_not_told_where_our_names_lead(url, as_partner, make_partner, site):
    caller = as_partner(make_partner("SE*LAD"))
    body = {"token": "a-token_of_theirs", "url": url, "roles": [role("LAD")]}
    answer = caller.call("PUT", "credentials", json=body).json()
    assert answer["status_code"] == 3001
    assert "may not lead us" in answer["status_message"]
    said_address = answer["status_message"].replace(url, "").replace("[::ffff:10.0.0.1]", "")
    assert "127.0.0.1 " not in said_address.replace("127.0.0.1 leads", "")
    assert "10.0.0.1" not in said_address.replace("::ffff:10.0.0.1 leads", "")


@pytest.mark.control("S22")
@pytest.mark.parametrize("port", [22, 25, 80, 1023])
def test_only_ports_that_platforms_have_are_called(port, monkeypatch):
    """Else a partner could have us knock at anybody's mail server."""
    monkeypatch.setattr("socket.getaddrinfo", lambda host, port, **how: [(2, 1, 6, "", ("93.184.215.14", port))])
    with pytest.raises(PeerFailed, match="may not lead us"):
        Peer("any-token_1").get(f"https://cpo.example:{port}/versions")


@pytest.mark.control("S11")
def test_who_asks_too_often_that_we_call_it_back_waits(registered, hostile, cpo, monkeypatch):
    monkeypatch.setitem(pace.LIMITS, "handshakes", pace.Limit(1 / 3600, 1))
    first, second = (hostile.call("PUT", "credentials", json=said(cpo, "LAD")) for _ in range(2))
    assert (first.json()["status_code"], second.status_code) == (1000, 429)
    assert int(second.headers["Retry-After"]) > 3000


@pytest.mark.control("S14", "S15", "S16")
def test_a_cdr_of_another_partner_is_as_if_it_were_not(as_partner, make_partner, site):
    """Whoever learns its Location learns nothing by it (trust S14, S15)."""
    owner, other = (as_partner(make_partner(party, name=party)) for party in ("SE*LAD", "SE*OTH"))
    location = owner.call("POST", "cdrs", json=CDR).headers["Location"]
    assert owner.call("GET", location).json()["data"]["id"] == CDR["id"]
    nowhere = location[:-36] + "8a8f0b6e-0f5c-4a52-9d6c-2f7e9ad5b0ce"
    theirs, nobodys = other.call("GET", location), other.call("GET", nowhere)
    assert theirs.status_code == nobodys.status_code == 404
    assert theirs.json() | {"timestamp": ""} == nobodys.json() | {"timestamp": ""}


@pytest.mark.control("S14")
def test_a_cdr_of_another_partner_is_not_taken(as_partner, make_partner, site):
    make_partner("SE*LAD", name="Owner")
    other = as_partner(make_partner("SE*OTH", name="Other"))
    answer = other.call("POST", "cdrs", json=CDR)
    assert (answer.json()["status_code"], "Location" in answer.headers) == (2001, False)
    (kept,) = Quarantined.objects.all()
    assert (kept.partner.name, kept.code) == ("Other", "V-05")
