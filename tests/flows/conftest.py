import pytest
from django.utils import timezone

from apps.drivers.models import Account, Contract, Driver
from apps.simulator.cpo import World
from apps.simulator.server import Simulator
from apps.tokens.models import Token


@pytest.fixture
def cpo(tmp_path):
    """Of one country, as 2.1.1 has room for."""
    with Simulator(tmp_path, world=World.small().of("SE"), month="2026-10") as simulator:
        yield simulator


@pytest.fixture
def cards(db):
    """Six that may charge, and one that is blocked."""
    account = Account.objects.create(name="Fleet", kind="company", country="SE", currency="SEK")
    made = []
    for number in range(7):
        driver = Driver.objects.create(account=account, name=f"Driver {number}")
        contract = Contract.objects.create(driver=driver, contract_id=f"SE-EMP-C{number:08}")
        blocked = {"blocked_at": timezone.now()} if number == 6 else {}
        kind = "APP_USER" if number == 5 else "RFID"
        values = {"issuer": "Us", "last_updated": timezone.now(), "type": kind} | blocked
        made.append(Token.objects.create(contract=contract, uid=f"04{number:012X}", **values))
    return made
