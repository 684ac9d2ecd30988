"""Certificates of the hosts that we call are looked at once a day, by real handshakes, and said in time (trust S52)."""

import socket
from datetime import timedelta

import pytest
from django.db import IntegrityError
from django.urls import reverse
from django.utils import timezone

from apps import sealing
from apps.ocpi.errors import PeerFailed
from apps.partners import alarms, certificates, encryption, handshake, peers
from apps.partners.models import Alarm, Certificate, Endpoint, Partner
from apps.staff.models import User
from apps.staff.office import url_of
from tests.ocpi.certifying import Authority, Showing
from tests.ocpi.conftest import Server

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def now():
    """Certificates hold by the clock of the machine."""
    return timezone.now()


@pytest.fixture
def authority():
    return Authority()


@pytest.fixture
def listening():
    """Make a server on a port of its own."""
    servers = []

    def make():
        servers.append(Server())
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def connect(make_partner, settings):
    """A partner that is connected to a port of this machine, by TLS."""
    settings.OCPI_PRIVATE_HOSTS = ["127.0.0.1"]

    def connect(port, authority=None, name="CPO", **values):
        values |= {"certificate_authority": authority.certificate} if authority else {}
        url = f"https://127.0.0.1:{port}/versions"
        partner = make_partner(name=name, **{"is_private": True, "versions_url": url} | values)
        partner.outbound_token = sealing.seal("token-of_theirs", peers.place_of_token(partner))
        partner.save()
        return partner

    return connect


@pytest.fixture
def showing(listening, connect, authority, tmp_path):
    """A partner whose certificate holds for so many days; the partner, and its server."""

    def make(days, **values):
        server = listening()
        shown = Showing(server, tmp_path, authority.issue("127.0.0.1", days=days))
        return connect(server.server_port, authority, **values), shown

    return make


def row_of(partner):
    return partner.certificates.exclude(name__in=certificates.GIVEN.values()).get()


# Said in time


@pytest.mark.control("S52")
@pytest.mark.parametrize(("days", "is_said"), [(20, True), (21, True), (22, False), (90, False)])
def test_it_is_said_three_weeks_before_a_certificate_ends(days, is_said, showing, now):
    partner, _ = showing(days)
    assert certificates.look_at_due(now) == 2  # with the authority's own
    row = row_of(partner)
    assert (row.last_error, row.has_ended, row.due_at > now + DAY / 2) == ("", False, True)
    told = [(alarm.partner, alarm.kind, alarm.reason) for alarm in Alarm.objects.all()]
    expected = f"127.0.0.1:{partner.versions_url.split(':')[2].split('/')[0]}: until {row.ends_at:%Y-%m-%d}"
    assert told == ([(partner, "CERTIFICATE", expected)] if is_said else [])


@pytest.mark.control("S52")
def test_staff_see_it_on_the_home_page_and_beside_the_connection(showing, client, now):
    partner, _ = showing(20)
    certificates.look_at_due(now)
    client.force_login(User.objects.create_superuser("anna"))
    assert "Alarms: a certificate runs out" in client.get(reverse("admin:index")).content.decode()
    page = client.get(url_of(partner)).content.decode()
    assert f"until {row_of(partner).ends_at:%Y-%m-%d}" in page and "ends soon" in page


@pytest.mark.control("S52")
def test_once_for_a_certificate_and_again_for_the_one_that_takes_its_place(showing, authority, now):
    partner, shown = showing(20)
    for day in range(5):
        certificates.look_at_due(now + day * DAY)
    alarm = Alarm.objects.get()
    assert alarm.count == 1
    alarms.settle(alarm, now)
    certificates.look_at_due(now + 6 * DAY)
    assert not Alarm.objects.filter(settled_at=None).exists()

    renewed = authority.issue("127.0.0.1", days=90)
    shown.show(renewed)
    certificates.look_at_due(now + 8 * DAY)
    assert row_of(partner).ends_at == renewed.ends_at
    assert not Alarm.objects.filter(settled_at=None).exists()
    certificates.look_at_due(now + 70 * DAY)
    assert Alarm.objects.get(settled_at=None).reason.endswith(f"until {renewed.ends_at:%Y-%m-%d}")


@pytest.mark.control("S52")
def test_one_that_has_ended_is_said_too(showing, now):
    partner, _ = showing(-1)
    certificates.look_at_due(now)
    row = row_of(partner)
    assert (row.ends_at, row.has_ended, row.last_error) == (None, True, "the certificate has expired")
    assert Alarm.objects.get().reason == f"{row.name}: expired"


def test_one_that_ends_while_nobody_renews_it_keeps_its_date(showing, authority, now):
    partner, shown = showing(30)
    certificates.look_at_due(now)
    ends_at = now - DAY
    Certificate.objects.filter(pk=row_of(partner).pk).update(ends_at=ends_at, due_at=now)
    shown.show(authority.issue("127.0.0.1", days=-1))
    certificates.look_at_due(now)
    assert row_of(partner).has_ended
    assert Alarm.objects.get().reason == f"{row_of(partner).name}: expired {ends_at:%Y-%m-%d}"
    shown.show(authority.issue("127.0.0.1", days=90))
    certificates.look_at_due(now + 2 * DAY)
    assert not row_of(partner).has_ended and row_of(partner).warned_at is None


def test_one_alarm_names_all_of_a_partner_that_end(showing, now):
    ending = Authority("Theirs", days=10)
    partner, _ = showing(20)
    Partner.objects.update(certificate_authority=partner.certificate_authority + ending.certificate)
    certificates.look_at_due(now)
    assert Alarm.objects.get().reason.split("; ") == [
        f"its certificate authority: until {ending.ends_at:%Y-%m-%d}",
        f"{row_of(partner).name}: until {row_of(partner).ends_at:%Y-%m-%d}",
    ]


@pytest.mark.control("S52")
def test_our_own_certificate_is_said_in_time_too(make_partner, authority, now):
    partner, ours = make_partner(), authority.issue("emsp.test", days=20)
    encryption.fit_key(partner, ours.certificate, ours.key)
    partner.client_certificate = ours.certificate
    partner.save()
    certificates.look_at_due(now)
    assert Alarm.objects.get().reason == f"our client certificate: until {ours.ends_at:%Y-%m-%d}"


# Which


def test_each_host_of_a_connection_is_looked_at_once(connect, make_partner, now):
    partner = connect(9443)
    urls = {
        "tariffs": "https://127.0.0.1:9443/tariffs", "cdrs": "https://api.cpo.example/cdrs", "sessions": "https://API.cpo.example:443/s",
        "locations": "http://plain.cpo.example/l", "tokens": "https://[2001:db8::1]:8443/t", "commands": "https://api.cpo.example:8443/c",
        "bookings": "https://[nonsense/x", "chargingprofiles": "https://api.cpo.example:99999/x",
    }  # fmt: skip
    for identifier, url in urls.items():
        Endpoint.objects.create(partner=partner, identifier=identifier, role="SENDER", url=url)
    make_partner(name="Invited", state=Partner.State.INVITED, versions_url="https://never.example/versions")
    hosts = ["127.0.0.1:9443", "[2001:db8::1]:8443", "api.cpo.example", "api.cpo.example:8443"]

    certificates.enlist(now)
    certificates.enlist(now + DAY)

    held = Certificate.objects.order_by("name").values_list("partner", "name", "due_at")
    assert list(held) == [(partner.pk, host, now) for host in hosts] and certificates.hosts_of(partner) == hosts
    partner.endpoints.all().delete()
    certificates.enlist(now)
    assert [row.name for row in Certificate.objects.all()] == ["127.0.0.1:9443"]
    Partner.objects.update(state=Partner.State.DISCONNECTED)
    certificates.enlist(now)
    assert not Certificate.objects.exists()


@pytest.mark.control("S20", "S24")
def test_what_is_not_allowed_is_not_even_knocked_at(connect, now):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        partner = connect(listener.getsockname()[1], is_private=False)
        certificates.look_at_due(now)
        with pytest.raises(TimeoutError):
            listener.accept()
    assert "leads where partners may not lead us" in row_of(partner).last_error
    assert not Alarm.objects.exists()


# Whoever does not answer


def test_whoever_does_not_answer_harms_nobody(showing, connect, monkeypatch, now):
    monkeypatch.setattr(certificates, "PATIENCE_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        dead = [connect(silent.getsockname()[1], name="Silent"), connect(free.getsockname()[1], name="Dead")]
        alive, _ = showing(20, name="Alive")
        assert certificates.look_at_due(now) == 4
    for partner in dead:
        row = row_of(partner)
        assert "no answer" in row.last_error and (row.ends_at, row.has_ended) == (None, False)
        assert row.due_at > now + DAY / 2  # its feeds say that it is silent; here it is asked tomorrow
    assert Alarm.objects.get().partner == alive


def test_a_fault_of_ours_costs_one_row(showing, connect, caplog, now):
    broken = connect(9443, name="Broken", certificate_authority="nonsense")
    alive, _ = showing(20, name="Alive")
    certificates.look_at_due(now)
    assert broken.certificates.get(name="its certificate authority").last_error == "our fault: ValueError"
    assert "cannot be used" in row_of(broken).last_error and "the fault is ours" in caplog.text
    assert Alarm.objects.get().partner == alive


def test_a_round_ends_before_the_next_begins(connect, monkeypatch, now):
    monkeypatch.setattr(certificates, "LONGEST_ROUND", timedelta(seconds=0.5))
    monkeypatch.setattr(certificates, "PATIENCE_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for number in range(6):
            connect(silent.getsockname()[1], name=f"Silent {number}")
        assert 1 < certificates.look_at_due(now) < 6
    assert Certificate.objects.filter(looked_at=None, attempts=0, due_at=now).exists()


def test_what_a_worker_saw_after_it_lost_the_row_is_not_kept(showing, now):
    partner, _ = showing(20)
    certificates.enlist(now)
    (row,) = Certificate.objects.filter(name=partner.versions_url[8:-9]).select_related("partner").claim(now, DAY)
    certificates.look_again(partner, set(), now)
    certificates._look_at(row, now)
    assert row_of(partner).looked_at is None and row_of(partner).due_at == now
    assert not Alarm.objects.exists()


# One connection's own


@pytest.mark.control("S52")
def test_an_authority_is_believed_for_its_connection_alone(listening, connect, authority, tmp_path):
    server = listening()
    Showing(server, tmp_path, authority.issue("127.0.0.1"))
    theirs, others = connect(server.server_port, authority, name="Theirs"), connect(server.server_port, name="Others")
    peers.peer_of(theirs, "tariffs").get(theirs.versions_url)
    with pytest.raises(PeerFailed, match="certificate verify failed"):
        peers.peer_of(others, "tariffs").get(others.versions_url)
    assert len(server.requests) == 1
    Partner.objects.filter(pk=theirs.pk).update(certificate_authority="")  # by another process
    with pytest.raises(PeerFailed, match="certificate verify failed"):
        peers.peer_of(Partner.objects.get(pk=theirs.pk), "tariffs").get(theirs.versions_url)


def test_a_partner_that_is_only_invited_may_have_its_own_authority_when_we_connect_with_it(
    listening, make_partner, authority, tmp_path, settings, now
):
    settings.OCPI_PRIVATE_HOSTS, server = ["127.0.0.1"], listening()
    Showing(server, tmp_path, authority.issue("127.0.0.1"))
    url = f"https://127.0.0.1:{server.server_port}/versions"
    make_partner(name="Invited", state=Partner.State.INVITED, certificate_authority=authority.certificate)
    for name in ("Invited", "Never heard of"):
        with pytest.raises(PeerFailed):
            handshake.connect(name, url, "token-of_theirs", now, is_private=True)
    assert [request.path for request in server.requests] == ["/versions"]  # by the one that it is believed for


@pytest.mark.control("S52")
def test_our_certificate_is_shown_by_its_connection_alone(listening, connect, authority, tmp_path):
    server, clients = listening(), Authority("Clients")
    shown = Showing(server, tmp_path, authority.issue("127.0.0.1"), clients=clients)
    partner, other = (connect(server.server_port, authority, name=name) for name in ("One", "Other"))
    ours = clients.issue("emsp.test")
    encryption.fit_key(partner, ours.certificate, ours.key)
    partner.client_certificate = ours.certificate
    partner.save()
    peers.peer_of(Partner.objects.get(pk=partner.pk), "tariffs").get(partner.versions_url)
    with pytest.raises(PeerFailed):
        peers.peer_of(other, "tariffs").get(other.versions_url)
    assert [dict(one["subject"][0])["commonName"] for one in shown.shown] == ["emsp.test"]


@pytest.mark.control("S3")
def test_a_key_of_another_row_is_not_used(make_partner, authority):
    one, other, ours = make_partner(), make_partner(name="Other"), authority.issue("emsp.test")
    encryption.fit_key(one, ours.certificate, ours.key)
    other.client_certificate, other.client_key = ours.certificate, one.client_key
    with pytest.raises(PeerFailed, match="not sealed as partner"):
        encryption.tls_of(other)


def test_what_is_set_costs_no_query(connect, authority, django_assert_num_queries):
    partner = Partner.objects.get(pk=connect(9443, authority).pk)
    with django_assert_num_queries(1):  # whom the routing headers name
        peers.peer_of(partner, "tariffs")


def test_a_certificate_without_its_key_is_not_kept(make_partner):
    with pytest.raises(IntegrityError, match="partner_certificate_has_its_key"):
        make_partner(client_certificate="a certificate")
