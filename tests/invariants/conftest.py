"""A month of business in which everything is as it must be: invoices, fees, a netted CDR, credits, held ones, feeds."""

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from apps.billing import invoicing, rating, rendering
from apps.billing.models import Charge, PlanPrice
from apps.charging.models import Cdr
from apps.drivers.models import Contract
from apps.ocpi.errors import Problem
from apps.partners import quarantine
from apps.partners.models import Feed, Partner
from apps.tokens import announcing
from apps.tokens.models import TokenDelivery
from emsp.audit import chain
from tests.admin.furnished import NOW, OCTOBER, V221, cdr_body, found_company, make_card, make_partner, receive, tell
from tests.audit.conftest import move_back

LATER = NOW + timedelta(hours=1)
"""When somebody looks."""


@pytest.fixture
def world(db):
    found_company()
    PlanPrice.objects.update(monthly_fee=49)
    partner = make_partner()
    cards = [make_card(number) for number in range(3)]
    Contract.objects.update(created_at=NOW - timedelta(days=90))
    for number, card in enumerate(cards):
        receive(partner, *(own(card, f"CDR-{number}-{part}") for part in range(3)))
        tell(partner, card, number)
    receive(partner, cdr_body("STRANGE", "DEAD", "XX-YYY-C1"), own(cards[0], "NETTED"))
    rating.catch_up(NOW)
    receive(partner, credit_of(cards[0], "NETTED"))
    bill()
    receive(partner, credit_of(cards[0], "CDR-0-0"))
    bill()
    receive(partner, credit_of(cards[1], "CDR-1-0"), own(cards[2], "LATE"))
    rating.catch_up(NOW)
    pulled_and_told(partner)
    quarantine.keep(partner, "cdrs", V221, json.dumps({"id": "BAD"}).encode(), [Problem("currency", "required")], NOW)
    look_at_what_waits_for_the_commit()
    move_back(2)
    assert chain.seal(timezone.now() + chain.GRACE)
    return partner


def look_at_what_waits_for_the_commit():
    """So that what a test corrupts afterwards is not looked at by the triggers of the good month."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def own(card, key, **changes):
    return cdr_body(key, card.uid, card.contract.contract_id, **changes)


def credit_of(card, key):
    amounts = {"total_cost": {"excl_vat": -30, "incl_vat": -37.5}}
    return own(card, f"{key}-C", credit=True, credit_reference_id=key, **amounts)


def bill():
    rating.catch_up(NOW)
    invoicing.issue(OCTOBER, NOW)
    rendering.render_due(NOW)


def pulled_and_told(partner):
    day = timedelta(days=1)
    Feed.objects.update(watermark=NOW - day, last_good_at=NOW, due_at=timezone.now() + day)
    Partner.objects.update(connected_at=NOW - 90 * day)
    announcing.enlist_everywhere(NOW)
    TokenDelivery.objects.update(confirmed_version=1, confirmed_at=NOW, due_at=None)
    assert TokenDelivery.objects.filter(partner=partner).count() == 3
    assert Charge.objects.filter(kind="CREDIT").count() == 2
    assert Cdr.objects.count() == 15
