import base64
from datetime import UTC, datetime

import httpx
import pytest
from django.utils import timezone

from apps.ocpi.objects import Party
from apps.partners import credentials, handshake
from apps.partners.models import CredentialsToken, Endpoint, Partner
from apps.partners.models import Party as PartyRow
from apps.simulator.server import Simulator

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
LAD = Party("SE", "LAD")


@pytest.fixture
def now():
    return NOW


@pytest.fixture
def us():
    return Party("SE", "EMP")


@pytest.fixture
def make_partner(db):
    """A connected partner with its parties, whose platform is nowhere."""

    def make(*parties, name="CPO", **values):
        values = {"state": Partner.State.CONNECTED, "version": "2.2.1", "connected_at": NOW} | values
        partner = Partner.objects.create(name=name, **values)
        for written in parties:
            party = Party.parse(written)
            PartyRow.objects.create(partner=partner, country_code=party.country_code, party_id=party.party_id)
        return partner

    return make


@pytest.fixture
def offer(db):
    def offer(partner, identifier, role, url):
        Endpoint.objects.create(partner=partner, identifier=identifier, role=role, url=url)

    return offer


@pytest.fixture
def cpo(tmp_path):
    """The simulated CPO, which knows nobody yet; its parties are SE*LAD and DE*LAD."""
    with Simulator(tmp_path / "cpo") as simulator:
        yield simulator


@pytest.fixture
def invitation(transactional_db, site):
    """Of the simulated CPO."""
    return handshake.invite("Simulated CPO", LAD, timezone.now(), is_private=True)


@pytest.fixture
def registered(cpo, invitation):
    """The simulated CPO registered with us; the partner it is."""
    answer = cpo.register(invitation.versions_url, invitation.token)
    assert answer.is_ok, answer
    return Partner.objects.get()


class Caller:
    """Somebody who calls us over HTTP with a credentials token."""

    def __init__(self, site: str, token: str | None):
        header = {} if token is None else {"Authorization": f"Token {base64.b64encode(token.encode()).decode()}"}
        self.site, self.token = site, token
        self.http = httpx.Client(headers=header, trust_env=False, timeout=20)

    def call(self, method: str, path: str = "", version: str = "2.2.1", **how) -> httpx.Response:
        """`path` below the version; one that begins with a slash, or a URL, is taken as it is."""
        url = f"{self.site}{path}" if path.startswith("/") else f"{self.site}/ocpi/{version}/{path}"
        return self.http.request(method, path if path.startswith("http") else url, **how)


@pytest.fixture
def as_partner(site):
    """Make a Caller that presents a new token of the partner, or any text."""
    callers = []

    def make(who):
        token = who
        if isinstance(who, Partner):
            token = credentials.issue(who, CredentialsToken.Kind.CREDENTIALS, timezone.now())
        callers.append(Caller(site, token))
        return callers[-1]

    yield make
    for caller in callers:
        caller.http.close()


@pytest.fixture
def partner(transactional_db, make_partner):
    return make_partner("SE*LAD")


@pytest.fixture
def caller(as_partner, partner):
    return as_partner(partner)
