"""Two partners who sent CDRs of the same ids, one of every kind that there is."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.billing import rating
from apps.charging import intake
from apps.partners.taking import take
from apps.partnerview import links
from tests.admin.furnished import HOSTILE, NOW, V221, cdr_body, found_company, make_card, make_partner

FORMULA = '=HYPERLINK("//evil.example")'
SENT_BY_EACH = 12
STATES = {"accepted": 4, "held": 3, "credited": 2, "refused": 3}


def post(partner, *bodies, now=NOW):
    """As the partner's POST does, each for itself."""
    return [take(intake.INTAKE, partner, V221, [body], now)[0] for body in bodies]


def credit(body, key, reference):
    said = json.loads(body)
    negative = {side: -amount for side, amount in said["total_cost"].items()}
    changes = {"id": key, "credit": True, "credit_reference_id": reference, "total_cost": negative}
    return json.dumps(said | changes).encode()


def send_everything(partner, party_id, card, blocked, now=NOW):
    """A CDR of every state, and of each reason that could tell too much. Returns what was sent, in order."""

    def cdr(key, of=card, **changes):
        return cdr_body(key, of.uid, of.contract.contract_id, party_id=party_id, **changes)

    taken_back = cdr("CDR-BACK")
    bodies = [
        cdr("CDR-1"), cdr("CDR-2"), cdr(FORMULA),
        cdr("CDR-BLOCKED", blocked, start_date_time="2026-10-18T08:00:00Z"),
        cdr_body("CDR-STRANGE", "DEAD01", "XX-YYY-C1", party_id=party_id),
        taken_back, credit(taken_back, "CDR-CREDIT", "CDR-BACK"),
        credit(cdr("x"), "CDR-FOREIGN", f"ONLY-{'OTH' if party_id == 'LAD' else 'LAD'}"),
        cdr("CDR-1", total_energy=11),
        cdr("CDR-BAD", currency=HOSTILE),
        b'{"id": "CDR-EMPTY"}',
    ]  # fmt: skip
    for body in bodies:
        post(partner, body, now=now)
    return bodies


@pytest.fixture
def two(db):
    """Laddnät (SE*LAD) and Foreign AB (SE*OTH)."""
    found_company()
    one, other = make_partner("Laddnät", "LAD"), make_partner("Foreign AB", "OTH")
    card, blocked = make_card(1), make_card(2, blocked_at=NOW - timedelta(days=90))
    for partner, party_id in ((one, "LAD"), (other, "OTH")):
        post(partner, cdr_body(f"ONLY-{party_id}", card.uid, card.contract.contract_id, party_id=party_id))
    for partner, party_id in ((one, "LAD"), (other, "OTH")):
        send_everything(partner, party_id, card, blocked)
    rating.catch_up(NOW)
    return one, other


@pytest.fixture
def address():
    """Make a link to a partner's CDRs; returns its path."""

    def make(partner, now=None, life=timedelta(days=30)):
        return f"/view/{links.make(partner, 'Bokföring', life, 'eva', now or timezone.now())}"

    return make
