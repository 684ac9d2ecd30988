"""What was agreed with a party: one thing at a time, by the office's days, and the connection that leads to it."""

from datetime import UTC, date, datetime

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from apps.ocpi.objects import Party as OcpiParty
from apps.partners import agreements, scope
from apps.partners.models import Agreement, Party

from .agreeing import LONG_AGO, agree

pytestmark = pytest.mark.django_db
NEW_YEAR = datetime(2025, 12, 31, 23, 30, tzinfo=UTC)
"""In Stockholm it is 2026 already."""


@pytest.fixture
def partner(make_partner):
    return make_partner("SE*LAD")


@pytest.fixture
def party(partner):
    return partner.parties.get()


def refused(party, constraint, **values):
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        agree(party, **values)
    return True


def test_the_database_holds_what_an_agreement_must_be(party):
    agree(party, valid_from=date(2026, 1, 1), valid_until=date(2027, 1, 1))
    assert refused(party, "one_of_a_party_at_a_time", valid_from=date(2026, 12, 31))
    assert refused(party, "one_of_a_party_at_a_time")
    later = {"valid_from": date(2027, 1, 1)}
    assert refused(party, "ends_after_it_begins", **later, valid_until=date(2027, 1, 1))
    assert refused(party, "currency_is_iso_4217", **later, currency="kr")
    assert refused(party, "commercial_model_is_known", **later, commercial_model="barter")
    for name in ("payment_days", "dispute_days", "cdr_days"):
        assert refused(party, name, **later, **{name: -1})
    agree(party, **later)
    agree(Party.objects.create(country_code="DE", party_id="LAD"), partner=party.partner)


def test_who_enters_it_is_told_what_is_wrong_with_it(party):
    agree(party, valid_until=date(2026, 1, 1))
    silent = party.partner
    silent.no_sessions = True
    wrong = Agreement(party=party, partner=silent, valid_from=date(2025, 6, 1), currency="kr", sends_sessions=True)
    with pytest.raises(ValidationError) as error:
        wrong.full_clean()
    said = str(error.value)
    for words in ("holds in that time", "three capital letters", "has the quirk that it tells of none"):
        assert words in said


def test_a_day_is_the_offices(party):
    first = agree(party, valid_until=date(2026, 1, 1), payment_days=10, dispute_days=0)
    second = agree(party, valid_from=date(2026, 1, 1), payment_days=30)
    assert agreements.day_of(NEW_YEAR) == date(2026, 1, 1)
    assert agreements.terms_of(party, NEW_YEAR) == (30, None)
    assert agreements.terms_of(party, datetime(2025, 12, 31, 22, 59, tzinfo=UTC)) == (10, 0)
    assert agreements.last_day(NEW_YEAR, 30) == date(2026, 1, 31)
    assert agreements.last_day(NEW_YEAR, 0) == date(2026, 1, 1)
    assert agreements.last_day(NEW_YEAR, None) is None
    assert agreements.begun([first, second], date(2025, 12, 31)) == first
    assert agreements.begun([first, second], date(2026, 1, 1)) == second
    assert agreements.begun([second], date(2025, 12, 31)) is None


@pytest.mark.control("S17")
def test_a_party_with_two_connections_is_reached_by_the_one_that_the_agreement_names(party, partner, make_partner):
    hub = make_partner(name="Hub", role="HUB")
    Party.objects.filter(pk=party.pk).update(claimed_by=hub)
    theirs = OcpiParty("SE", "LAD")
    agree(party, valid_until=date(2026, 1, 1))
    agree(party, partner=hub, valid_from=date(2026, 1, 1))

    assert agreements.take_routes(datetime(2025, 12, 31, 12, tzinfo=UTC)) == 0
    assert scope.partner_of(theirs) == partner
    assert scope.parties_of(hub, [theirs]) == {}

    assert agreements.take_routes(NEW_YEAR) == 1
    assert scope.partner_of(theirs) == hub
    assert scope.parties_of(partner, [theirs]) == {}
    assert list(scope.parties_of(hub, [theirs])) == [("SE", "LAD")]
    party.refresh_from_db()
    assert party.claimed_by is None
    assert agreements.take_routes(NEW_YEAR) == 0


def test_where_nothing_is_agreed_the_route_stays(party, partner):
    agree(party, partner=partner, valid_from=LONG_AGO, valid_until=date(2021, 1, 1))
    Party.objects.filter(pk=party.pk).update(partner=None)
    assert agreements.take_routes(NEW_YEAR) == 0
