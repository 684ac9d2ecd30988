"""What must always be true is true of a good month; and of every way to break it exactly one rule tells (trust 5.5)."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models import F
from django.urls import reverse
from django.utils import timezone

from apps.billing.models import (
    Charge,
    Document,
    Held,
    Invoice,
    InvoiceLine,
    InvoiceRun,
    NumberSeries,
    Payable,
    TaxSubtotal,
)
from apps.charging.models import Cdr, Session
from apps.partners.models import Feed, Partner, Party, Quarantined
from apps.tokens.models import Token, TokenDelivery
from emsp import tasks
from emsp.demo.sabotage import without_guards
from emsp.invariants import inspecting
from emsp.models import AuditDay, Invariant
from tests.admin.conftest import admin, as_role  # noqa: F401
from tests.admin.furnished import furnish, make_partner
from tests.invariants.conftest import LATER, NOW

pytestmark = pytest.mark.django_db
ORE = Decimal("0.01")
DAY = timedelta(days=1)


def sql(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)


def copied(row, **changed):
    names = [field.attname for field in row._meta.concrete_fields if not field.primary_key]
    return type(row).objects.create(**{name: getattr(row, name) for name in names} | changed)


def cdr(key):
    return Cdr.objects.get(ocpi_id=key)


def a_line(kind="USAGE"):
    """On an invoice that nobody credited."""
    untouched = InvoiceLine.objects.filter(invoice__kind="INVOICE", invoice__corrected_by=None)
    return untouched.filter(charge__kind=kind).select_related("invoice", "charge").order_by("-pk").first()


def two_lines():
    first = a_line()
    return first, first.invoice.lines.filter(charge__kind="USAGE").exclude(pk=first.pk).first()


def last(kind="INVOICE"):
    return Invoice.objects.filter(kind=kind).order_by("-sequence").first()


def change(row, **values):
    type(row).objects.filter(pk=row.pk).update(**values)


def drop(rows):
    rows._raw_delete("default")


def drop_unique(table, column):
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, table)
    (name,) = [name for name, told in found.items() if told["unique"] and told["columns"] == [column]]
    sql(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')


def hold(row):
    Held.objects.create(cdr=row, code="NO_PLAN", reason="test", since=NOW)


def stored_in_another_case():
    sql("DROP INDEX cdr_identity")
    copied(cdr("STRANGE"), public_id="0" * 32, ocpi_id="strange")


def stored_for_the_same_party_twice():
    sql("DROP INDEX party_identity")
    party = copied(cdr("STRANGE").party, country_code="se", party_id="lad")
    copied(cdr("STRANGE"), public_id="0" * 32, party_id=party.pk)


def charge_lost():
    drop(Charge.objects.filter(cdr=cdr("LATE")))


def charged_twice():
    sql("DROP INDEX charge_one_active_per_cdr_and_share")
    copied(cdr("LATE").charges.get())


def fee_charged_twice():
    sql("DROP INDEX charge_one_fee_per_contract_and_part_of_month")
    copied(a_line("FEE").charge)


def netted_charge_shown():
    shown = InvoiceLine.objects.filter(charge__cdr__ocpi_id="CDR-0-1").get()
    change(shown, charge=cdr("NETTED").charges.get())


def shown_to_another_account():
    line = a_line()
    change(line.invoice, account=Invoice.objects.exclude(account=line.invoice.account).first().account)


def shown_twice():
    drop_unique("billing_invoiceline", "charge_id")
    first, second = two_lines()
    change(second, charge=first.charge)


def vat_an_ore_too_high():
    line = a_line()
    change(line, net=F("net") - ORE)
    line.invoice.tax_subtotals.update(base=F("base") - ORE, vat=F("vat") + ORE)
    change(line.invoice, net=F("net") - ORE, vat=F("vat") + ORE)


def another_rate_on_the_whole_document():
    invoice = a_line().invoice
    vat = (invoice.gross * 6 / 106).quantize(ORE)
    assert invoice.tax_subtotals.get().rate == 25
    lines = invoice.lines.order_by("pk")
    lines.update(vat_rate=6)
    change(lines.first(), net=F("net") + invoice.vat - vat)
    TaxSubtotal.objects.filter(invoice=invoice).update(rate=6, vat=vat, base=invoice.gross - vat)
    change(invoice, vat=vat, net=invoice.gross - vat)


def credit_of_another_amount():
    Charge.objects.filter(kind="CREDIT", line=None).update(amount=F("amount") / 2)


def note_of_another_invoice():
    note = last("CREDIT_NOTE")
    change(note, corrects=Invoice.objects.filter(kind="INVOICE").exclude(pk=note.corrects_id).first())


def credit_of_another_charge():
    """As high as the right one, and of the same account."""
    credit = Charge.objects.get(kind="CREDIT", line=None)
    change(credit, reverses=Charge.objects.get(cdr__ocpi_id="CDR-1-1"))


def netting_of_another_cdr():
    Cdr.objects.filter(ocpi_id="NETTED-C").update(credits=cdr("CDR-2-0"))


def credit_that_is_none():
    Cdr.objects.filter(ocpi_id="STRANGE").update(credits=cdr("CDR-2-0"))


def gap():
    invoice = last()
    sequence = invoice.sequence + 1
    change(invoice, sequence=sequence, number=invoice.number.replace(f"{invoice.sequence:06}", f"{sequence:06}"))
    change(invoice.series, next_number=sequence + 1)


def same_number_twice():
    drop_unique("billing_invoice", "number")
    first, second = Invoice.objects.filter(kind="INVOICE").order_by("sequence")[:2]
    change(second, number=first.number)


def waiting_unseen():
    Token.objects.update(last_updated=NOW - 3 * DAY)
    change(TokenDelivery.objects.first(), due_at=NOW - 2 * DAY)


def not_a_number_in_a_session():
    sql("ALTER TABLE charging_session DROP CONSTRAINT session_energy_is_a_number")
    sql("UPDATE charging_session SET energy = 'NaN'")


def broken_off(**resume):
    Feed.objects.filter(module="cdrs").update(
        resume={"url": "https://cpo.example/cdrs?offset=9", "full": False} | resume
    )


CORRUPTIONS = [
    ("I1", stored_in_another_case),
    ("I1", stored_for_the_same_party_twice),
    ("I2", lambda: hold(cdr("LATE"))),
    ("I2", lambda: hold(cdr("NETTED"))),
    ("I2", charge_lost),
    ("I2", lambda: drop(Cdr.objects.filter(ocpi_id="STRANGE"))),
    ("I2", lambda: drop(Payable.objects.filter(cdr=cdr("LATE")))),
    ("I2", lambda: Cdr.objects.filter(ocpi_id="LATE").update(contract=None)),
    ("I2", lambda: drop(Held.objects.filter(cdr=cdr("STRANGE")))),
    ("I3", charged_twice),
    ("I3", fee_charged_twice),
    ("I3", netted_charge_shown),
    ("I3", shown_to_another_account),
    ("I3", shown_twice),
    ("I4", lambda: change(a_line(), net=F("net") + ORE)),
    ("I4", lambda: change(a_line(), gross=F("gross") + ORE)),
    ("I4", vat_an_ore_too_high),
    ("I4", lambda: drop(InvoiceLine.objects.filter(pk=a_line().pk))),
    ("I4", lambda: change(a_line().invoice, line_count=F("line_count") + 1)),
    ("I4", lambda: drop(TaxSubtotal.objects.filter(invoice=a_line().invoice))),
    ("I4", another_rate_on_the_whole_document),
    ("I4", lambda: change(cdr("LATE").payable, net=F("net") + 1)),
    ("I5", credit_of_another_amount),
    ("I5", credit_of_another_charge),
    ("I5", note_of_another_invoice),
    ("I5", netting_of_another_cdr),
    ("I5", credit_that_is_none),
    ("I6", gap),
    ("I6", lambda: NumberSeries.objects.filter(kind="INVOICE").update(next_number=F("next_number") + 1)),
    ("I6", lambda: change(last(), issued_on=F("issued_on") - DAY)),
    ("I6", lambda: change(last(), number="SE999999")),
    ("I6", same_number_twice),
    ("I6", lambda: change(Document.objects.first(), pdf=b"%PDF-1.7 another")),
    ("I6", lambda: drop(Document.objects.filter(invoice=last()))),
    ("I7", lambda: change(Feed.objects.first(), leased_until=LATER - timedelta(minutes=3))),
    ("I7", lambda: change(Document.objects.first(), leased_until=LATER + DAY)),
    ("I7", lambda: change(InvoiceRun.objects.first(), due_at=NOW, leased_until=LATER - timedelta(minutes=3))),
    ("I7", waiting_unseen),
    ("I9", lambda: change(cdr("STRANGE"), partner=make_partner("Other", "OTH"))),
    ("I9", lambda: change(Session.objects.first(), partner=make_partner("Other", "OTH"))),
    ("I9", lambda: Quarantined.objects.update(party=make_partner("Other", "OTH").parties.get())),
    ("I12", lambda: Feed.objects.filter(module="cdrs").update(watermark=datetime(2099, 1, 1, tzinfo=UTC))),
    ("I12", lambda: Feed.objects.filter(module="cdrs").update(last_good_at=None)),
    ("I12", lambda: broken_off(at=str(NOW), since=str(NOW))),
    ("I12", lambda: broken_off(at=str(NOW - DAY), since=str(NOW - 2 * DAY))),
    ("I12", lambda: Quarantined.objects.update(body=b"{}")),
    ("I13", lambda: change(Token.objects.first(), version=2)),
    ("I13", lambda: change(TokenDelivery.objects.first(), confirmed_version=9)),
    ("I14", not_a_number_in_a_session),
    ("I14", lambda: sql("UPDATE billing_planprice SET per_kwh = 'NaN'")),
    ("I14", lambda: change(cdr("LATE"), ended_at=F("started_at") - DAY)),
    ("I14", lambda: change(cdr("LATE"), ended_at=NOW + 9 * DAY)),
    ("I16", lambda: sql("UPDATE drivers_driverevent SET name = 'Another'")),
    ("I16", lambda: sql("DELETE FROM tokens_tokenevent")),
    ("I16", lambda: AuditDay.objects.update(tables={})),
    ("I16", lambda: drop(AuditDay.objects.filter(day=AuditDay.objects.last().day))),
    ("I16", lambda: sql("ALTER TABLE drivers_driverevent DISABLE TRIGGER change_is_kept")),
]


def broken():
    return {found.code: found.faults for found in inspecting.inspect(LATER) if found.is_broken}


def test_a_good_month_breaks_nothing_and_every_rule_is_about_something(world):
    assert [(found.code, found.verdict, found.faults) for found in inspecting.inspect(LATER)] == [
        (code, "held", []) for code in "I1 I2 I3 I4 I5 I6 I7 I9 I12 I13 I14 I16".split()
    ]


@pytest.mark.parametrize(("code", "corrupt"), CORRUPTIONS)
def test_each_way_to_break_one_is_told_by_it_alone(world, code, corrupt):
    without_guards()
    corrupt()
    told = broken()
    assert set(told) == {code}, told
    assert all(one.name and one.fault for one in told[code])


def test_there_are_enough_of_them_for_every_rule():
    assert len(CORRUPTIONS) >= 25
    assert {code for code, _ in CORRUPTIONS} == {rule.code for rule in inspecting.RULES}


def test_a_card_that_was_never_told(world):
    without_guards()
    Token.objects.update(created_at=NOW - DAY)
    assert broken() == {}
    drop(TokenDelivery.objects.filter(token=Token.objects.first()))
    assert set(broken()) == {"I13"}


def test_an_empty_system_has_nothing_to_break(db):
    found = {one.code: one for one in inspecting.inspect(NOW)}
    assert {one.verdict for one in found.values()} == {"held", "not applicable"}
    assert found["I6"].reason == "no document was issued"


def test_the_office_s_world_is_good_but_for_cards_that_nobody_was_told_of(db):
    """`furnish` writes feeds and deliveries by hand."""
    furnish(3)
    assert set(broken()) <= {"I7", "I13"}


def test_a_party_that_its_partner_gave_up_was_still_its_own(world):
    """Roles that a partner once named count for what it sent then (I9 "at that time")."""
    partner = Partner.objects.get(pk=world.pk)
    partner.roles = [{"country_code": "se", "party_id": "lad", "role": "CPO"}]
    partner.save()
    partner.roles = []
    partner.save()
    Party.objects.filter(partner=partner).update(partner=None)
    assert broken() == {}


def test_the_command_says_who_breaks_what_and_exits_with_1(world, capsys):
    call_command("invariants")
    assert "I4  held" in capsys.readouterr().out
    without_guards()
    Cdr.objects.filter(ocpi_id="LATE").update(contract=None)
    with pytest.raises(SystemExit) as left:
        call_command("invariants", "--json")
    told = {one["code"]: one for one in json.loads(capsys.readouterr().out)}
    assert left.value.code == 1
    assert (told["I2"]["verdict"], told["I2"]["count"]) == ("broken", 1)
    assert told["I2"]["faults"] == [{"name": "SE*LAD:LATE", "fault": "is nobody's, and somebody is charged"}]


def test_not_more_than_twenty_are_named(world):
    without_guards()
    late = cdr("LATE")
    for number in range(25):
        hold(copied(late, public_id=f"{number:032}", ocpi_id=f"LOST-{number}"))
    drop(Cdr.objects.filter(ocpi_id__startswith="LOST"))
    (found,) = [one for one in inspecting.inspect(LATER) if one.is_broken]
    assert (found.code, found.count, len(found.faults)) == ("I2", 25, 20)


def test_what_the_night_found_is_on_the_home_page_until_it_is_mended(world, admin, caplog):  # noqa: F811
    without_guards()
    Payable.objects.update(net=1)
    tasks.inspect_invariants()
    assert "Invariant I4 is broken" in caplog.text
    rule = Invariant.objects.get(code="I4")
    home = admin.get(reverse("admin:index"))
    assert [need.count for need in home.context["needs"] if need.text.startswith("Breaks of I4")] == [rule.count]
    sql("UPDATE billing_payable SET net = cost_before_taxes FROM charging_cdr cdr WHERE cdr.id = cdr_id")
    tasks.inspect_invariants()
    assert "Breaks of I4" not in admin.get(reverse("admin:index")).content.decode()
    assert Invariant.objects.count() == len(inspecting.RULES)


def test_the_home_page_says_what_was_found_last_and_when(world, admin):  # noqa: F811
    """And red what is broken, or that nobody has looked since."""
    home = reverse("admin:index")
    assert "not looked at yet" in admin.get(home).content.decode()
    inspecting.keep(inspecting.inspect(LATER), timezone.now())
    page = admin.get(home).content.decode()
    assert "all held" in page
    assert f"looked at on {timezone.localtime():%Y-%m-%d}" in page
    Invariant.objects.filter(code="I6").update(verdict=Invariant.Verdict.BROKEN, count=3)
    Invariant.objects.update(inspected_at=timezone.now() - 2 * DAY)
    page = admin.get(home).content.decode()
    assert "1 broken" in page
    assert "Breaks of I6: numbers are given once" in page
    assert "Hours since the invariants were looked at: do beat and worker run?" in page
