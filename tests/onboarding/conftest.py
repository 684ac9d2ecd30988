from datetime import UTC, datetime

import pytest
from django.utils import timezone

from apps.drivers.models import Account, Contract, Driver
from apps.locations.pull import PULL as LOCATIONS
from apps.ocpi.objects import Party
from apps.onboarding import readiness
from apps.partners import handshake, ourselves
from apps.partners.models import Partner
from apps.partners.pull import pull_partner
from apps.simulator.cpo import World
from apps.simulator.server import Simulator
from apps.tariffs.pull import PULL as TARIFFS
from apps.tokens.models import Token
from apps.tokens.push import push_partner
from tests.ocpi.conftest import server

__all__ = ["server"]

LAD = Party("SE", "LAD")


@pytest.fixture
def version():
    return "2.2.1"


@pytest.fixture
def cpo(tmp_path, version):
    """Of one country; its clock is that of the world."""
    world = World.make(1, locations=24, evses=72).of("SE")
    with Simulator(tmp_path, world=world, month=f"{datetime.now(UTC):%Y-%m}", versions=(version,)) as simulator:
        simulator.commands.pause_s = 0.05
        yield simulator


@pytest.fixture
def card(transactional_db):
    account = Account.objects.create(name="Tests", kind="company", country="SE", currency="SEK")
    driver = Driver.objects.create(account=account, name="Tester")
    contract = Contract.objects.create(driver=driver, contract_id="SE-EMP-C00000001")
    return Token.objects.create(contract=contract, uid="04TEST01", issuer="Us", last_updated=timezone.now())


@pytest.fixture
def partner(cpo, site, card):
    """The simulated CPO, registered, with something in each of its lists."""
    invitation = handshake.invite("CPO", LAD, timezone.now(), is_private=True)
    answer = cpo.register(invitation.versions_url, invitation.token)
    assert answer.is_ok, answer
    partner = Partner.objects.get()
    push_partner(partner, timezone.now(), ourselves.us())
    for what in (TARIFFS, LOCATIONS):
        pull_partner(what, partner, timezone.now())
    for day in range(1, 4):
        cpo.play("charge", uid=card.uid, start=f"2026-10-0{day}T08:00:00Z")
    return partner


@pytest.fixture
def check(cpo, partner, card):
    """Make a report with all that staff can name, each at another EVSE, and with little patience."""
    places = iter(list(cpo.world.places()))

    def check(**wishes):
        place = next(places)
        where = {"location_id": place.location["id"], "evse_uid": place.evse["uid"]}
        usual = {"card": card, "wait_s": 4, "requested_by": "Ada"} | where
        return readiness.make(partner, timezone.now(), **(usual | wishes))

    return check


def by_check(report, outcome=None):
    return {line["check"]: line["reason"] for line in report.lines if outcome in (None, line["outcome"])}
