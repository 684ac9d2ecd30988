import io
import json
import uuid
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command

from apps.billing import explanation
from apps.billing.models import Charge
from apps.charging.models import Cdr
from tests.partners.agreeing import agree

from .conftest import NOW, make_plan

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def seller(company):
    return company


def run(*arguments):
    out = io.StringIO()
    call_command("cdrs", *arguments, stdout=out)
    return out.getvalue()


def told(name):
    return json.loads(run("explain", str(name), "--json"))


def test_rating_by_command_counts_what_was_rated_and_what_waits(make_driver, charge):
    card = make_driver(make_plan())
    charge(card), charge(None), charge(make_driver())
    assert json.loads(run("rate", "--json")) == {"rated": 1, "held": 1, "unmatched": 1}
    assert run("rate") == "rated: 0\nheld: 1\nunmatched: 1\n"


def test_an_explanation_says_how_the_amount_came_about(make_driver, charge, rate):
    card = make_driver(make_plan(prices={"": {"per_kwh": "5.49", "per_session": "2"}}), name="Anna")
    cdr = charge(card, "10.123", cost="31.00", ended_at=datetime(2026, 10, 24, 12, tzinfo=UTC))
    rate()
    said = told(cdr.pk)
    assert (said["cdr"], said["number"], said["uuid"], said["state"]) == (
        "SE*LAD:CDR-0001",
        cdr.pk,
        str(cdr.public_id),
        "rated",
    )
    assert said["periods"] == [
        {
            "started_at": "2026-10-24T11:00:00Z",
            "dimensions": [{"type": "ENERGY", "volume": "10.123"}, {"type": "TIME", "volume": "1"}],
            "tariff": None,
        }
    ]
    assert said["payer"]["account"] == "Anna"
    (sale,) = said["sale"]
    assert sale["components"] == [
        {"kind": "energy", "quantity": "10.123", "price": "5.49", "amount": "55.57527"},
        {"kind": "session", "quantity": "1", "price": "2", "amount": "2"},
    ]
    assert (sale["unrounded"], sale["amount"], sale["currency"]) == ("57.57527", "57.58", "SEK")
    assert {name: sale["vat"][name] for name in ("country", "rate", "net", "vat", "gross")} == {
        "country": "SE", "rate": "25", "net": "46.06", "vat": "11.52", "gross": "57.58",
    }  # fmt: skip
    assert said["purchase"] == {
        "net": "31", "currency": "SEK", "taxes_sent": None, "is_accepted": True, "due_on": None, "disputable_until": None,
    }  # fmt: skip


def test_what_was_agreed_says_when_it_is_due_and_until_when_it_may_be_disputed(make_driver, charge, rate):
    """BIL-40; counted from the day it came."""
    cdr = charge(make_driver(make_plan()))
    agree(cdr.party, payment_days=30, dispute_days=60)
    rate()
    owed = explanation.explain(Cdr.objects.get())["purchase"]
    assert (owed["due_on"], owed["disputable_until"]) == ("2026-12-03", "2027-01-02")
    assert ", due on 2026-12-03, may be disputed until 2027-01-02 (" in run("explain", str(cdr.public_id))


def test_an_explanation_in_words(make_driver, charge, rate):
    cdr = charge(make_driver(make_plan(), name="Anna"), "10.123")
    rate()
    text = run("explain", str(cdr.public_id))
    for said in (
        "energy: 10.123 x 5.49 = 55.57527",
        "rounded once: 55.58 SEK",
        "VAT SE 25 %",
        "account Anna",
        "nothing odd",
    ):
        assert said in text


def test_a_held_cdr_says_why(charge, rate):
    cdr = charge(None)
    rate()
    said = told(cdr.public_id)
    assert (said["state"], said["sale"], said["held"]["code"]) == ("unmatched", [], "V-20")
    assert [verdict["code"] for verdict in said["verdicts"]] == ["V-20"]
    assert "nobody's yet" in run("explain", str(cdr.pk))


def test_a_pair_that_cancels_out_names_each_other(make_driver, charge, take_back, rate):
    cdr = charge(make_driver(make_plan()))
    rate()
    credit = take_back(cdr)
    rate()
    assert (told(cdr.pk)["taken_back_by"], told(credit.pk)["takes_back"]) == (str(credit), str(cdr))
    assert told(cdr.pk)["netted_at"] == told(cdr.pk)["sale"][0]["netted_at"] == "2026-11-03T12:00:00Z"
    assert f"takes back {cdr}" in run("explain", str(credit.pk))


def test_a_cdr_that_was_never_looked_at(make_driver, charge):
    text = run("explain", str(charge(make_driver()).pk))
    assert "not rated yet" in text
    assert "not looked at yet" in text


def test_a_reverse_charge_in_words(make_driver, charge, rate):
    plan = make_plan("Flotte", "EUR", "net", {"": "0.49"})
    cdr = charge(make_driver(plan, kind="company", country="DE", vat_id="DE136695976"), country="DE")
    rate()
    assert told(cdr.pk)["sale"][0]["vat"] | {"reason": ""} == {
        "country": "DE", "category": "AE", "rate": None, "registration": "DE123456788", "reason": "",
        "net": "4.90", "vat": "0.00", "gross": "4.90",
    }  # fmt: skip
    assert "reverse charge" in run("explain", str(cdr.pk))


@pytest.mark.parametrize("name", ["SE*LAD:CDR-0001", "SE-LAD:cdr-0001", "selad:CDR-0001"])
def test_a_cdr_is_found_by_its_owner_and_id(charge, name):
    cdr = charge(None)
    assert explanation.find(name) == cdr


@pytest.mark.parametrize(
    "name",
    [
        "SE*LAD:NONE",
        "SE*XYZ:CDR-0001",
        "nonsense:CDR-0001",
        "0",
        str(2**70),
        "½",
        "²",
        str(uuid.UUID(int=7)),
        "",
        "CDR-0001",
    ],
)
def test_what_is_not_there_is_said_and_fails(charge, name):
    charge(None)
    with pytest.raises(CommandError, match="there is no CDR"):
        run("explain", name)


def test_without_an_id_the_usage_is_wrong():
    with pytest.raises(CommandError):
        run("explain")


def test_sums_of_two_lines_are_not_those_of_a_document(make_driver, charge, rate):
    """EX-06: the gross amount stays what it is, VAT is taken out of it."""
    charge(make_driver(make_plan(prices={"": "1"})), "13.72")
    rate()
    row = Charge.objects.get()
    assert explanation.amounts(row) == {"net": "10.98", "vat": "2.74", "gross": "13.72"}
    assert row.amount == Decimal("13.72")


def test_times_are_utc():
    assert explanation.utc(NOW) == "2026-11-03T12:00:00Z"
    assert Cdr.objects.count() == 0
