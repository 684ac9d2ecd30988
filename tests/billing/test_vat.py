"""VAT by the decision table of billing.md 4.2, as data; the table itself decides and asks no database."""

from datetime import date
from decimal import Decimal

import pytest
from django.db import IntegrityError
from hypothesis import given
from hypothesis import strategies as st

from apps.billing import vat
from apps.billing.models import LegalEntity, TaxRegistration, VatRate
from apps.billing.vat import AlreadyConfirmed, Customer, Table, Untaxable
from apps.staff.models import User

from .conftest import NOW

DAY = date(2026, 10, 24)
DE_ID, SE_ID, NL_ID = "DE136695976", "SE556000016701", "NL004495445B01"
PRIVATE = Customer(is_company=False, country="SE", vat_id="")
SWEDISH = Customer(is_company=True, country="SE", vat_id=SE_ID)
GERMAN = Customer(is_company=True, country="DE", vat_id=DE_ID)
DUTCH = Customer(is_company=True, country="NL", vat_id=NL_ID)


def make_table(registered="SE DE", rates="SE:25 DE:19 NL:21 FI:25.5", home="SE"):
    seller = LegalEntity(name="Nordladd AB", country=home)
    registrations = tuple(
        TaxRegistration(pk=pk, legal_entity=seller, country=country, vat_id=f"{country}1", valid_from=date(2020, 1, 1))
        for pk, country in enumerate(registered.split())
    )
    rows = tuple(
        VatRate(country=pair[:2], rate=Decimal(pair[3:]), supply=supply, valid_from=date(2020, 1, 1))
        for pair in rates.split()
        for supply in VatRate.Supply.values
    )
    return Table(seller, registrations, rows)


def decide(customer, country="SE", supply="electricity", day=DAY, **table):
    found = make_table(**table).treatment(supply, country, day, customer)
    return found.category, found.rate and found.rate.rate, found.registration.country


@pytest.mark.parametrize(
    ("customer", "country", "expected"),
    [
        (PRIVATE, "SE", ("S", 25, "SE")),  # at home
        (PRIVATE, "DE", ("S", 19, "DE")),  # a consumer pays the VAT of where he charges
        (SWEDISH, "SE", ("S", 25, "SE")),
        (SWEDISH, "DE", ("S", 19, "DE")),  # not identified there: it asks for the refund
        (GERMAN, "DE", ("AE", None, "DE")),  # art. 195: registered alone is not established
        (GERMAN, "SE", ("S", 25, "SE")),
        (DUTCH, "DE", ("S", 19, "DE")),
        (DUTCH, "NL", ("AE", None, "SE")),  # no registration there is needed for it (EX-11)
        (Customer(True, "DE", ""), "DE", ("S", 19, "DE")),  # a company that is not identified
        (Customer(False, "DE", DE_ID), "DE", ("S", 19, "DE")),  # a person is never reverse charged
    ],
)
def test_electricity_is_taxed_where_the_charge_point_stands(customer, country, expected):
    assert decide(customer, country) == expected


def test_who_is_established_charges_vat_to_everybody():
    """BIL-51: a German seller to a German company."""
    assert decide(GERMAN, "DE", home="DE") == ("S", 19, "DE")


@pytest.mark.parametrize(
    ("customer", "expected"),
    [
        (PRIVATE, ("S", 25, "SE")),
        (SWEDISH, ("S", 25, "SE")),
        (GERMAN, ("AE", None, "DE")),
        (DUTCH, ("AE", None, "SE")),
        (Customer(False, "DE", ""), ("S", 19, "DE")),
    ],
)
def test_a_fee_is_taxed_where_the_customer_is(customer, expected):
    """Art. 44, 196 and 58: the country of a charge point does not matter."""
    assert decide(customer, "FI", supply="service") == expected


@pytest.mark.parametrize(
    ("customer", "country", "code"),
    [
        (PRIVATE, "NL", "NO_REGISTRATION"),
        (PRIVATE, "NO", "NO_VAT_RATE"),
        (PRIVATE, "XYZ", "NO_VAT_RATE"),
        (Customer(True, "DE", "DE136695978"), "DE", "VAT_ID"),  # its check digit is wrong: neither S nor AE (BIL-54)
        (Customer(True, "DE", "136695976"), "DE", "VAT_ID"),
    ],
)
def test_what_cannot_be_decided_is_refused_by_name(customer, country, code):
    with pytest.raises(Untaxable) as refused:
        decide(customer, country)
    assert refused.value.code == code


def test_a_wrong_vat_id_matters_only_where_it_would_be_used():
    assert decide(Customer(True, "DE", "DE136695978"), "SE") == ("S", 25, "SE")


def test_greek_vat_ids_begin_with_el():
    greek = Customer(True, "GR", "EL094259216")
    assert decide(greek, "GR") == ("AE", None, "SE")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("day", "rate"),
    [(date(2020, 6, 30), 19), (date(2020, 7, 1), 16), (date(2020, 12, 31), 16), (date(2021, 1, 1), 19)],
)
def test_the_rate_is_that_of_the_day(company, day, rate):
    """Germany in 2020 (EX-24, BIL-58)."""
    assert Table.read(company).treatment("electricity", "DE", day, PRIVATE).rate.rate == rate


def test_a_registration_counts_from_its_first_day_to_before_its_last():
    table = make_table()
    table.registrations[1].valid_until = DAY
    with pytest.raises(Untaxable):
        table.treatment("electricity", "DE", DAY, PRIVATE)
    assert table.treatment("electricity", "DE", date(2026, 10, 23), PRIVATE).category == "S"


countries = st.sampled_from("SE DE NL FI GR NO CH XYZ".split())
customers = st.builds(
    Customer, st.booleans(), countries, st.sampled_from(["", DE_ID, SE_ID, NL_ID, "EL094259216", "DE1", "NO123", "?"])
)


@given(
    countries,
    countries,
    customers,
    st.sampled_from(VatRate.Supply.values),
    st.dates(date(2019, 1, 1), date(2027, 1, 1)),
)
def test_every_input_gets_a_treatment_or_a_name(home, country, customer, supply, day):
    """BIL-50: no S without a rate, no AE with one or without the buyer's VAT id, and no exception but ours."""
    try:
        found = make_table(home=home).treatment(supply, country, day, customer)
    except Untaxable as refused:
        found = refused
    if isinstance(found, Untaxable):
        assert found.code in {"NO_VAT_RATE", "NO_REGISTRATION", "VAT_ID"}
        return
    assert (found.category == "S") == (found.rate is not None)
    assert found.category == "S" or (customer.is_company and vat.is_plausible(customer.vat_id))
    assert found.registration.valid_from <= day


# The rates as rows


@pytest.mark.django_db
def test_seeded_rates_are_unconfirmed_and_name_their_source():
    rows = VatRate.objects.filter(valid_until=None, supply="electricity").values_list("country", "rate")
    assert dict(rows) == {"SE": 25, "DE": 19, "FI": Decimal("25.5"), "DK": 25}
    assert not VatRate.objects.exclude(confirmed_at=None).exists()
    assert not VatRate.objects.filter(source="").exists()


@pytest.mark.django_db
def test_a_rate_is_confirmed_once_by_somebody():
    finance, other = (User.objects.create(username=name) for name in ("finance", "other"))
    rate = VatRate.objects.filter(country="SE").first()
    vat.confirm(rate, finance, NOW, "looked up at Skatteverket")
    with pytest.raises(AlreadyConfirmed):
        vat.confirm(rate, other, NOW)
    assert (rate.confirmed_by, rate.confirmed_at, rate.confirmation) == (finance, NOW, "looked up at Skatteverket")


@pytest.mark.django_db
def test_two_rates_for_one_day_are_refused():
    """BIL-56."""
    with pytest.raises(IntegrityError):
        VatRate.objects.create(country="SE", supply="electricity", rate=6, valid_from=date(2026, 1, 1), source="test")
