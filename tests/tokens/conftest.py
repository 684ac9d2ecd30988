from datetime import UTC, datetime
from itertools import count

import pytest

from apps.drivers.models import Account, Contract, Driver
from apps.ocpi.objects import Party
from apps.partners.models import Endpoint, Partner
from apps.sealing import seal
from apps.simulator.server import Simulator
from apps.tokens.models import Token

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


@pytest.fixture
def now():
    return NOW


@pytest.fixture
def us():
    return Party("SE", "EMP")


@pytest.fixture
def make_driver(db):
    numbers = count(1)

    def make(name="Anna"):
        account, _ = Account.objects.get_or_create(name="Fleet", kind="company", country="SE", currency="SEK")
        return Driver.objects.create(account=account, name=f"{name} {next(numbers)}")

    return make


@pytest.fixture
def make_token(make_driver):
    numbers = count(1)

    def make(uid=None, driver=None, **values):
        number = next(numbers)
        contract = Contract.objects.create(driver=driver or make_driver(), contract_id=f"SE-EMP-C{number:08}")
        values = {"issuer": "Us", "last_updated": NOW} | values
        return Token.objects.create(contract=contract, uid=uid or f"04{number:012X}", **values)

    return make


@pytest.fixture
def make_partner(db):
    def make(name="CPO", url="https://cpo.example/ocpi/2.2.1/tokens", **values):
        values = {"state": Partner.State.CONNECTED, "version": "2.2.1", "connected_at": NOW} | values
        partner = Partner.objects.create(name=name, **values)
        Endpoint.objects.create(partner=partner, identifier="tokens", role="RECEIVER", url=url)
        return partner

    return make


@pytest.fixture
def partner(make_partner):
    return make_partner()


@pytest.fixture
def cpo(tmp_path):
    with Simulator(tmp_path) as simulator:
        simulator.memory.put(tokens_of_emsp=["we-are-the-emsp_0123456789"])
        yield simulator


@pytest.fixture
def listener(cpo, make_partner, settings):
    """The partner that the simulated CPO is, which takes our cards."""
    settings.OCPI_PRIVATE_HOSTS = ["127.0.0.1"]
    partner = make_partner("Simulated CPO", f"{cpo.url}/ocpi/2.2.1/tokens", is_private=True)
    partner.outbound_token = seal("we-are-the-emsp_0123456789", f"partner {partner.pk} outbound_token")
    partner.save()
    return partner
