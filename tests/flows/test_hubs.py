"""A hub with two CPOs behind it, over HTTP: who it is, whom messages are for, and what it says when it cannot pass them on."""

import pytest
from django.utils import timezone

from apps.charging import commands
from apps.charging.dispatch import send_due
from apps.charging.models import Cdr, Command
from apps.drivers.models import Account, Contract, Driver
from apps.locations.models import Evse, Location
from apps.locations.pull import PULL as LOCATIONS
from apps.ocpi.objects import Party
from apps.partners import handshake, ourselves, scope
from apps.partners.clients import PULL as CLIENTS
from apps.partners.models import Client, Partner, Quarantined
from apps.partners.models import Party as PartyRow
from apps.partners.pull import pull_partner
from apps.simulator.hub import named_in
from apps.simulator.server import Simulator
from apps.tokens.models import Token, TokenDelivery
from apps.tokens.push import push_due, push_partner
from tests.ocpi.bodies import sent

pytestmark = pytest.mark.django_db(transaction=True)

either = pytest.mark.parametrize("version", ["2.2.1", "2.3.0"])
US, HUB = "SE*EMP", "NL*HUB"


@pytest.fixture
def hub(tmp_path, site):
    with Simulator(tmp_path / "hub", month="2026-10", hub=HUB) as simulator:
        simulator.commands.pause_s = 0.05
        yield simulator


@pytest.fixture
def card(db):
    account = Account.objects.create(name="Fleet", kind="company", country="SE", currency="SEK")
    driver = Driver.objects.create(account=account, name="Anna")
    contract = Contract.objects.create(driver=driver, contract_id="SE-EMP-C00000001")
    return Token.objects.create(
        contract=contract, uid="04A1B2C3", type="RFID", issuer="Us", last_updated=timezone.now()
    )


def register(hub, version):
    hub.speak(version)
    invited = handshake.invite("Hub", Party.parse(HUB), timezone.now(), role=Partner.Role.HUB, is_private=True)
    answer = hub.register(invited.versions_url, invited.token)
    assert answer.is_ok, answer
    return invited.partner


def connect(hub, version):
    """Registered, and staff have approved of every party that it told us of."""
    partner = register(hub, version)
    pull_partner(CLIENTS, partner, timezone.now())
    for party in partner.claims.all():
        scope.approve(party)
    return Partner.objects.get(pk=partner.pk)


def parties_of(partner):
    return sorted(map(str, partner.parties.all()))


def routes(hub, module, method="GET"):
    """From whom and to whom each request of a module was."""
    asked = [one for one in hub.requests.copy() if one.method == method and one.path.split("/")[3:4] == [module]]
    return [(named_in(one.headers, "from"), named_in(one.headers, "to")) for one in asked]


def swapped(answer):
    return named_in(answer.headers, "from"), named_in(answer.headers, "to")


def location(party="SE/LAD"):
    country, key = party.split("/")
    body = sent("2.2.1", "location") | {"country_code": country, "party_id": key}
    return f"/{party}/{body['id']}", body


@either
@pytest.mark.ocpi("CRED-12", "all")
def test_a_hub_is_a_role_in_2_2_1_and_a_party_beside_those_it_reaches_since(version, hub):
    partner = register(hub, version)
    told_at_once = ["DE*LAD", HUB, "SE*LAD"]
    assert parties_of(partner) == ([HUB] if version == "2.2.1" else told_at_once)
    pull_partner(CLIENTS, partner, timezone.now())
    assert sorted(map(str, partner.claims.all())) == (["DE*LAD", "SE*LAD"] if version == "2.2.1" else [])
    assert str(scope.hub_of(Partner.objects.get())) == HUB
    hub.play("client", party="DE*LAD", status="SUSPENDED")
    assert Client.objects.get(country_code="DE").status == "SUSPENDED"


@either
@pytest.mark.ocpi("TR-25", "all")
def test_a_push_to_all_and_a_list_of_all_are_for_the_hub(version, hub, card):
    partner = connect(hub, version)
    assert push_partner(partner, timezone.now(), ourselves.us())["confirmed"] == 1
    assert routes(hub, "tokens", "PUT") == [(US, HUB)]
    assert hub.received_tokens["04A1B2C3"]["party_id"] == "EMP"
    assert pull_partner(LOCATIONS, partner, timezone.now())["stored"] == 3
    assert set(routes(hub, "locations")) == {(US, HUB)}
    assert {str(one.party) for one in Location.objects.all()} == {"SE*LAD", "DE*LAD"}
    assert set(routes(hub, "hubclientinfo")) == {("", "")}


@either
@pytest.mark.ocpi("TR-25", "all")
def test_a_hub_that_does_not_say_who_it_is_finds_out_by_itself_whom_we_mean(version, hub, card):
    partner = connect(hub, version)
    Partner.objects.update(roles=[])
    partner.refresh_from_db()
    assert push_partner(partner, timezone.now(), ourselves.us())["confirmed"] == 1
    assert routes(hub, "tokens", "PUT") == [(US, "")]


@either
@pytest.mark.control("S14")
@pytest.mark.ocpi("TR-25", "all")
def test_what_a_hub_passes_on_is_of_the_party_it_names_and_what_it_says_itself_of_any(version, hub):
    connect(hub, version)
    path, body = location()
    assert swapped(hub.send("PUT", "locations", path, body, HUB)) == (US, HUB)
    assert str(Location.objects.get().party) == "SE*LAD"
    assert swapped(hub.send("PUT", "locations", path, body, "SE*LAD")) == (US, "SE*LAD")
    for method in ("PUT", "GET"):
        refused = hub.send(method, "locations", path, body, "DE*LAD")
        assert (refused.http_status, refused.status_code) == (200, 2001)
        assert refused.message == "OCPI-from-party-id: DE*LAD does not speak for SE*LAD"


@pytest.mark.control("S14")
@pytest.mark.ocpi("TR-25")
def test_a_cdr_that_a_hub_passes_on_is_of_the_party_it_names(hub):
    connect(hub, "2.2.1")
    cdr = sent("2.2.1", "cdr")
    refused = hub.send("POST", "cdrs", "", cdr, "DE*LAD")
    assert (refused.status_code, refused.message) == (2001, "party_id: SE*LAD is not DE*LAD, of whom the message is")
    assert (Cdr.objects.count(), Quarantined.objects.count()) == (0, 1)
    assert hub.send("POST", "cdrs", "", cdr, "SE*LAD").is_ok
    assert str(Cdr.objects.get().party) == "SE*LAD"


def ask(country="SE"):
    evse = Evse.objects.filter(location__party__country_code=country).order_by("pk").first()
    command = commands.request_start(evse, Token.objects.get(), timezone.now())
    send_due(timezone.now())
    command.refresh_from_db()
    return command


@either
@pytest.mark.ocpi("TR-25", "TR-26", "all")
def test_a_command_is_for_one_party_and_not_refused_where_the_hub_cannot_reach_it(version, hub, card):
    partner = connect(hub, version)
    pull_partner(LOCATIONS, partner, timezone.now())
    hub.hub.note("SE*LAD", "OFFLINE")  # and nobody is told
    lost = ask()
    assert (lost.state, lost.sent_at, lost.due_at) == (Command.State.UNSENT, None, None)
    assert lost.last_error == "the hub could not reach the party (HTTP 200, OCPI 4003: SE*LAD is not connected)"
    hub.hub.note("SE*LAD", "CONNECTED")
    assert ask().state == Command.State.ACCEPTED
    assert routes(hub, "commands", "POST") == [(US, "SE*LAD")] * 2


@pytest.mark.ocpi("TR-26")
@pytest.mark.parametrize(("code", "state"), [(4000, "SENT"), (4001, "UNSENT"), (4002, "SENT"), (4003, "UNSENT")])
def test_no_word_of_a_hub_is_a_refusal_by_the_cpo(code, state, hub, card):
    """Of what timed out on its way nobody knows: the result may still come."""
    partner = connect(hub, "2.2.1")
    pull_partner(LOCATIONS, partner, timezone.now())
    hub.fault("code", value=code, module="commands")
    command = ask()
    assert (command.state, command.last_error.split(" (")[0]) == (state, "the hub could not reach the party")


@either
@pytest.mark.ocpi("TR-26", "all")
def test_cards_that_a_hub_could_not_pass_on_are_pushed_again_together(version, hub, card):
    partner = connect(hub, version)
    Token.objects.create(contract=card.contract, uid="04FFFFFF", type="RFID", issuer="Us", last_updated=timezone.now())
    hub.fault("code", value=4003, module="tokens", times=1)
    now = timezone.now()
    assert push_partner(partner, now, ourselves.us())["confirmed"] == 0
    assert len(routes(hub, "tokens", "PUT")) == 1
    later = TokenDelivery.objects.latest("due_at").due_at
    assert push_due(later, ourselves.us()) == {"due": 2, "confirmed": 2, "behind": 0}


@either
@pytest.mark.control("S17")
@pytest.mark.ocpi("TR-24", "all")
def test_a_party_with_a_connection_of_its_own_is_not_written_through_a_hub_unless_staff_say_so(version, hub):
    direct = Partner.objects.create(name="Direct", state=Partner.State.CONNECTED, version="2.2.1")
    party = PartyRow.objects.create(country_code="SE", party_id="LAD", partner=direct)
    partner = connect(hub, version)
    path, body = location()
    for sender in (HUB, "SE*LAD"):
        assert not hub.send("PUT", "locations", path, body, sender).is_ok
    assert not Location.objects.exists()
    assert "SE*LAD" not in parties_of(partner)
    PartyRow.objects.filter(pk=party.pk).update(partner=partner)
    assert hub.send("PUT", "locations", path, body, "SE*LAD").is_ok
    assert Location.objects.get().party == party
