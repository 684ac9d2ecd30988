"""Charges become documents: which, with what on them, and who gets none."""

import random
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db.models import Sum

from apps.billing import invoicing
from apps.billing.models import (
    Charge,
    Document,
    Held,
    Invoice,
    InvoiceLine,
    InvoiceRun,
    LegalEntity,
    NumberSeries,
    TaxRegistration,
    TaxSubtotal,
)
from apps.billing.readiness import NotReady
from apps.money import share_out, vat_in_gross, vat_on_net
from tests.billing.charged import NOW, OCTOBER, SEPTEMBER, World

pytestmark = pytest.mark.django_db


@pytest.fixture
def world():
    return World()


def issue(now=NOW):
    return invoicing.issue(OCTOBER, now)


def figures(invoice):
    return invoice.gross, invoice.vat, invoice.net


def D(*texts):  # noqa: N802  reads as the number it is
    return tuple(Decimal(text) for text in texts)


def test_a_private_customer_pays_the_price_shown(world):
    """EX-05: VAT is contained in the sum, the nets of the lines are shares of what is left."""
    anna = world.account()
    for amount in ("55.58", "42.70", "170.46"):
        world.charge(anna, amount)
    issue()
    invoice = Invoice.objects.get()
    assert figures(invoice) == D("268.74", "53.75", "214.99")
    assert [line.net for line in invoice.lines.all()] == list(D("44.46", "34.16", "136.37"))
    assert [line.gross for line in invoice.lines.all()] == list(D("55.58", "42.70", "170.46"))


def test_documents_are_made_per_registration_account_currency_treatment_and_basis(world):
    anna, firm = world.account("Anna"), world.account("Firm", "company", vat_id="DE811907980")
    world.charge(anna, "100"), world.charge(anna, "100", "DE"), world.charge(anna, "50")
    world.charge(firm, "100", "DE", "net"), world.charge(firm, "100", "DE", "net", rate="AE")
    world.charge(firm, "80", "DE", "gross"), world.charge(firm, "10", "DE", "net", currency="EUR")
    issue()
    made = set(
        Invoice.objects.values_list("account__name", "registration__country", "currency", "vat_category", "basis")
    )
    assert made == {
        ("Anna", "SE", "SEK", "S", "gross"), ("Anna", "DE", "SEK", "S", "gross"), ("Firm", "DE", "SEK", "S", "net"),
        ("Firm", "DE", "SEK", "AE", "net"), ("Firm", "DE", "SEK", "S", "gross"), ("Firm", "DE", "EUR", "S", "net"),
    }  # fmt: skip
    assert Invoice.objects.count() == 6
    assert Invoice.objects.get(vat_category="AE").vat == 0
    assert Invoice.objects.get(account=anna, registration__country="SE").line_count == 2


def test_numbers_run_without_a_gap_in_each_series(world):
    for number in range(3):
        account = world.account(f"Account {number}")
        world.charge(account, "10"), world.charge(account, "10", "DE")
    issue()
    numbers = set(Invoice.objects.values_list("number", flat=True))
    assert numbers == {f"{country}-00000{n}" for country in ("SE", "DE") for n in (1, 2, 3)}
    world.charge(account, "10")
    issue(NOW + timedelta(days=1))
    assert Invoice.objects.latest("pk").number == "SE-000004"
    assert NumberSeries.objects.get(prefix="SE-").next_number == 5


def test_a_second_run_finds_nothing_to_do(world):
    world.charge(world.account(), "10")
    assert issue().as_json()["documents"][0]["count"] == 1
    assert issue().as_json()["documents"] == []
    assert (Invoice.objects.count(), InvoiceRun.objects.count()) == (1, 1)


def test_a_preview_says_what_issuing_does_and_leaves_nothing(world):
    anna, bad = world.account("Anna"), world.account("Berta", street="")
    world.charge(anna, "268.74"), world.charge(anna, "230.19", "DE"), world.charge(bad, "12.50")
    told = invoicing.preview(OCTOBER, NOW).as_json()
    assert told == {
        "period": "2026-10",
        "preview": True,
        "documents": [
            {"country": "DE", "currency": "SEK", "count": 1, "net": "193.44", "vat": "36.75", "gross": "230.19"},
            {"country": "SE", "currency": "SEK", "count": 1, "net": "214.99", "vat": "53.75", "gross": "268.74"},
        ],
        "held": [{"reason": "Berta: lacks street (SEK)", "count": 1, "net": "10.00"}],
    }
    assert not Invoice.objects.exists()
    assert not InvoiceRun.objects.exists()
    assert set(NumberSeries.objects.values_list("next_number", flat=True)) == {1}
    assert issue().as_json() == told | {"preview": False}


def test_a_month_that_is_not_over_is_not_issued_but_can_be_looked_at(world):
    world.charge(world.account(), "10")
    end = datetime.fromisoformat("2026-10-31T23:00:00+00:00")
    with pytest.raises(NotReady, match="2026-10 is not over before 2026-11-01 00:00"):
        issue(end - timedelta(seconds=1))
    assert invoicing.preview(OCTOBER, end - timedelta(seconds=1)).obstacles
    Charge.objects.update(rated_at=end)
    assert issue(end).totals


def test_a_rate_that_nobody_confirmed_forbids_issuing_by_its_name(world):
    anna = world.account()
    world.rate("DE", "19", confirmed=False)
    world.charge(anna, "10"), world.charge(anna, "10", "DE")
    with pytest.raises(NotReady, match=r"VAT rate is not confirmed: DE charging \(electricity\) 19 % from"):
        issue()
    assert not Invoice.objects.exists()
    assert invoicing.preview(OCTOBER, NOW).totals
    world.rate("DE", "19", confirmed=True)
    issue()
    assert Invoice.objects.count() == 2


def test_every_obstacle_is_named_at_once(world):
    world.charge(world.account(), "10")
    NumberSeries.objects.filter(prefix="SEK-").delete()
    world.company.street = world.company.iban = world.company.bankgiro = ""
    world.company.save()
    world.rate("SE", "25", confirmed=False)
    with pytest.raises(NotReady) as refused:
        issue()
    assert [reason.split(":")[-1] for reason in refused.value.reasons][:1] == [" street, IBAN or bankgiro"]
    assert "has no number series for credit notes" in refused.value.reasons[1]
    assert len(refused.value.reasons) == 3


def test_who_lacks_an_address_is_left_out_by_name_and_billed_once_it_is_there(world):
    good, bad = world.account("Good"), world.account("Bad", street="", city="")
    firm = world.account("Firm", "company", organisation_no="")
    world.charge(good, "10"), world.charge(bad, "20"), world.charge(firm, "30", basis="net")
    issue()
    run = InvoiceRun.objects.get()
    assert [entry["reason"] for entry in run.left_out] == [
        "Bad: lacks street, city (SEK)",
        "Firm: lacks organisation number (SEK)",
    ]
    assert NOW <= run.finished_at < NOW + timedelta(minutes=1)
    assert (run.due_at, run.leased_until, run.attempts) == (None, None, 0)
    assert (run.accounts_done, run.accounts) == (3, 3)
    assert Invoice.objects.get().account == good
    bad.street, bad.city = "Storgatan 1", "Lund"
    bad.save()
    issue()
    assert Invoice.objects.get(account=bad).number == "SE-000002"


def test_a_reverse_charge_needs_the_buyers_vat_id(world):
    firm = world.account("Firm GmbH", "company", country="DE")
    world.charge(firm, "10", "DE", "net", rate="AE")
    issue()
    assert InvoiceRun.objects.get().left_out[0]["reason"] == "Firm GmbH: lacks VAT id (SEK)"
    firm.vat_id = "DE811907980"
    firm.save()
    issue()
    assert figures(Invoice.objects.get()) == D("10", "0", "10")


def test_what_came_late_is_on_the_next_document_with_its_own_days(world):
    anna = world.account()
    world.charge(anna, "10", ended_at=datetime.fromisoformat("2026-09-29T10:00:00+00:00"))
    world.charge(anna, "20")
    world.charge(anna, "30", ended_at=datetime.fromisoformat("2026-11-01T10:00:00+00:00"))
    issue()
    invoice = Invoice.objects.get()
    assert [(line.details["is_late"], line.supplied_on) for line in invoice.lines.all()] == [
        (True, date(2026, 9, 29)),
        (False, date(2026, 10, 14)),
    ]
    assert (invoice.period, invoice.supplied_from, invoice.supplied_until) == (
        OCTOBER,
        date(2026, 9, 29),
        date(2026, 10, 14),
    )


def test_charges_after_the_cut_off_or_netted_wait_or_stay_away(world):
    anna = world.account()
    world.charge(anna, "10", rated_at=NOW + timedelta(seconds=1))
    world.charge(anna, "10", netted_at=NOW)
    assert issue().totals == {}
    assert issue(NOW + timedelta(minutes=1)).as_json()["documents"][0]["gross"] == "10.00"


def test_vat_is_computed_once_per_rate_on_the_sum(world):
    """EX-07, EX-08: not per line, and not the rounded sum of unrounded parts."""
    firm = world.account("Firm", "company")
    for _ in range(10):
        world.charge(firm, "1.14", basis="net")
    other = world.account("Other", "company")
    world.charge(other, "1.02", basis="net")
    reduced = world.rate("SE", "6", supply="service")
    world.charge(other, "0.75", basis="net", vat_rate=reduced)
    issue()
    assert Invoice.objects.get(account=firm).vat == Decimal("2.85")
    two_rates = Invoice.objects.get(account=other)
    assert two_rates.vat == Decimal("0.31")
    parts = two_rates.tax_subtotals.order_by("rate").values_list("rate", "base", "vat")
    assert list(parts) == [D("6", "0.75", "0.05"), D("25", "1.02", "0.26")]


def test_a_gross_price_that_no_net_reaches_is_kept(world):
    """EX-06."""
    world.charge(world.account(), "13.72")
    issue()
    assert figures(Invoice.objects.get()) == D("13.72", "2.74", "10.98")


def test_a_month_in_four_countries_is_four_documents(world):
    """EX-10 without the statement."""
    anna = world.account()
    for country, amount in (("SE", "134.51"), ("SE", "61.49"), ("DE", "230.19"), ("FI", "110.04"), ("DK", "278.00")):
        world.charge(anna, amount, country)
    issue()
    made = {invoice.registration.country: figures(invoice) for invoice in Invoice.objects.all()}
    assert made == {
        "SE": D("196.00", "39.20", "156.80"),
        "DE": D("230.19", "36.75", "193.44"),
        "FI": D("110.04", "22.36", "87.68"),
        "DK": D("278.00", "55.60", "222.40"),
    }
    assert {invoice.seller["vat_id"] for invoice in Invoice.objects.all()} == {
        "SE556712345801", "DE123456788", "FI12345671", "DK12345674",
    }  # fmt: skip


def test_an_account_that_adds_up_to_less_than_nothing_waits(world):
    """BIL-68: a negative total is never an invoice; it is carried to the next."""
    anna = world.account()
    world.charge(anna, "-4"), world.charge(anna, "1")
    issue()
    assert InvoiceRun.objects.get().left_out[0]["reason"] == f"{anna}: adds up to less than nothing (SEK)"
    world.charge(anna, "13.72")
    issue()
    invoice = Invoice.objects.get()
    assert figures(invoice) == D("10.72", "2.14", "8.58")
    assert invoice.lines.aggregate(Sum("net"))["net__sum"] == invoice.net


def test_a_document_keeps_its_parties_and_lines_as_they_were(world):
    anna = world.account("Anna")
    world.charge(anna, "54.90")
    world.fee(anna, "49")
    issue()
    before = Invoice.objects.get(), list(InvoiceLine.objects.values("details", "description"))
    anna.street, anna.name = "Elsewhere 1", "Somebody"
    anna.save()
    world.company.name = "Other AB"
    world.company.save()
    invoice = Invoice.objects.get()
    assert (invoice.buyer, invoice.seller) == (before[0].buyer, before[0].seller)
    assert (invoice.buyer["name"], invoice.buyer["street"]) == ("Anna", "Björkvägen 7")
    assert invoice.seller["name"] == "Nordladd Mobilitet AB"
    fee, session = (line["details"] for line in before[1])
    assert (fee["kind"], fee["month"], fee["plan"]) == ("FEE", "2026-10", "gross SEK")
    assert session | {"cdr": "", "evse_id": ""} == {
        "kind": "USAGE", "plan": "gross SEK", "driver": "Anna sj.", "place": "Hötorget P-hus", "city": "Stockholm",
        "evse_id": "", "time_zone": "Europe/Stockholm", "cdr": "", "started_at": "2026-10-14T14:00:00+00:00",
        "ended_at": "2026-10-14T15:30:00+00:00", "month": "2026-10", "is_late": False,
        "components": [{"kind": "energy", "quantity": "10", "price": "5.49"}],
    }  # fmt: skip
    assert [line["description"] for line in before[1]] == [
        "Månadsavgift, gross SEK",
        "Laddning, Hötorget P-hus, Stockholm",
    ]


def test_dates_and_references_are_what_banks_expect(world):
    world.charge(world.account(), "10"), world.charge(world.account("Euro", currency="EUR"), "10")
    issue(datetime.fromisoformat("2026-11-02T23:30:00+00:00"))
    krona, euro = Invoice.objects.order_by("currency").reverse()
    assert (krona.issued_on, krona.due_on) == (date(2026, 11, 3), date(2026, 12, 3))
    assert krona.payment_reference.isdecimal()
    assert int(krona.payment_reference[-2]) == len(krona.payment_reference) % 10
    assert euro.payment_reference.startswith("RF")
    assert int("".join(str(int(c, 36)) for c in euro.payment_reference[4:] + euro.payment_reference[:4])) % 97 == 1


def test_nothing_is_dated_before_the_last_of_its_series(world):
    NumberSeries.objects.filter(prefix="SE-").update(last_issued_on=date(2026, 11, 4))
    world.charge(world.account(), "10")
    issue()
    assert "nothing is issued before 2026-11-04" in InvoiceRun.objects.get().left_out[0]["reason"]


def test_every_document_wants_its_pdf(world):
    world.charge(world.account(), "10")
    issue()
    assert Document.objects.due(NOW).count() == 1


@pytest.mark.parametrize("seed", range(12))
def test_documents_of_any_charges_follow_the_rules_of_sums(world, seed):
    """INV-1, INV-2, BIL-63: against the rules written anew, over random charges of both bases and four rates."""
    dice = random.Random(seed)
    world.rate("SE", "6", supply="service")
    accounts = [world.account(f"A{n}", "company", vat_id="SE556677889901") for n in range(3)]
    for _ in range(dice.randint(5, 60)):
        country = dice.choice(["SE", "DE", "FI"])
        amount = Decimal(dice.choice([0, 1, 2, 3, dice.randint(1, 99999)])) / 100
        rate = {"rate": "AE"} if dice.random() < 0.1 else {}
        world.charge(dice.choice(accounts), amount, country, dice.choice(["gross", "net"]), **rate)
    issue()
    assert not Charge.objects.filter(line=None).exists()
    for invoice in Invoice.objects.prefetch_related("lines", "tax_subtotals"):
        lines, parts = list(invoice.lines.all()), list(invoice.tax_subtotals.all())
        assert [line.position for line in lines] == list(range(1, invoice.line_count + 1))
        assert sum(line.net for line in lines) == invoice.net == sum(part.base for part in parts)
        assert sum(part.vat for part in parts) == invoice.vat == invoice.gross - invoice.net
        for part in parts:
            own = [line for line in lines if line.vat_rate == part.rate]
            if invoice.basis == "net":
                assert [line.net for line in own] == [line.charge.amount for line in own]
                assert part.vat == (vat_on_net(part.base, part.rate, "SEK") if part.rate else 0)
            else:
                assert [line.gross for line in own] == [line.charge.amount for line in own]
                assert part.vat == (vat_in_gross(part.base + part.vat, part.rate, "SEK") if part.rate else 0)
                assert [line.net for line in own] == share_out(part.base, [line.gross for line in own], "SEK")
    assert TaxSubtotal.objects.filter(base__lt=0).count() == 0


def test_order_of_arrival_changes_nothing(world):
    """INV-8: the same charges in another order give the same figures."""
    made = []
    for name, order in (("One", [0, 1, 2, 3]), ("Two", [3, 1, 0, 2])):
        account, amounts = world.account(name), ["0.03", "1.01", "7.77", "2.02"]
        for place in order:
            ended_at = datetime.fromisoformat(f"2026-10-{10 + place}T10:00:00+00:00")
            world.charge(account, amounts[place], ended_at=ended_at)
        issue()
        invoice = Invoice.objects.get(account=account)
        made.append((figures(invoice), list(invoice.lines.values_list("supplied_on", "net", "gross"))))
    assert made[0] == made[1]


def test_a_run_asks_as_little_for_many_charges_as_for_few(world, django_assert_max_num_queries):
    """BIL-160."""
    anna = world.account()
    for _ in range(150):
        world.charge(anna, "5.49")
    with django_assert_max_num_queries(40):
        issue()
    assert Invoice.objects.get().line_count == 150


def test_charges_of_a_month_that_has_no_document_are_named_late_ever_after(world):
    world.charge(world.account(), "10", period=SEPTEMBER)
    issue()
    assert InvoiceLine.objects.get().details["is_late"]


def test_what_is_held_is_told_before_a_company_is_entered(world):
    Held.objects.create(cdr=world.cdr(), code="NO_SELLER", reason="x", since=NOW)
    for model in (NumberSeries, TaxRegistration, LegalEntity):
        model.objects.all().delete()
    assert invoicing.preview(OCTOBER, NOW).as_json()["held"] == [
        {"reason": "NO_SELLER (SEK)", "count": 1, "net": "30.00"},
    ]


def test_what_is_held_or_not_rated_yet_is_told_by_reason_and_currency(world):
    """Net is what the CPO asks; other months' unrated ones are theirs to tell, held ones stay until they are released."""
    before, later = (datetime.fromisoformat(f"2026-{month}-05T10:00:00+00:00") for month in ("09", "11"))
    for values in ({}, {"ended_at": before}, {"currency": "EUR", "cost_before_taxes": Decimal("2.005")}):
        Held.objects.create(cdr=world.cdr(**values), code="V-20", reason="x", since=NOW)
    Held.objects.create(cdr=world.cdr(ended_at=later), code="V-20", reason="x", since=NOW)
    world.cdr(), world.cdr(ended_at=before), world.cdr(ended_at=later)
    assert invoicing.preview(OCTOBER, NOW).as_json()["held"] == [
        {"reason": "V-20 (EUR)", "count": 1, "net": "2.01"},
        {"reason": "V-20 (SEK)", "count": 2, "net": "60.00"},
        {"reason": "not rated yet (SEK)", "count": 1, "net": "30.00"},
    ]
