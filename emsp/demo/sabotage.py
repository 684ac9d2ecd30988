"""Faults planted to prove that the recount finds them: each in the tables, past every guard, and taken back at once.

A fault that nobody would notice is the reason for each of them: what a bug, a hand in the database or a lost message
could leave behind. Whoever plants one rolls the transaction back.
"""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from django.db import connection
from django.db.models import Count, F

from apps.billing.models import Charge, Held, Invoice, InvoiceLine, Payable, TaxSubtotal
from apps.charging.models import Cdr
from apps.tokens.models import Token, TokenDelivery

ORE = Decimal("0.01")


class Sabotage(NamedTuple):
    name: str
    plant: Callable[[date], None]


def without_guards() -> None:
    """Until the end of the transaction no trigger fires and no foreign key is looked at."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")


def _drop_a_cdr(month: date) -> None:
    line = _usage_lines(month).first()
    charge, cdr = line.charge, line.charge.cdr
    _add(line.invoice, -line.net)
    InvoiceLine.objects.filter(pk=line.pk)._raw_delete("default")
    Charge.objects.filter(pk=charge.pk)._raw_delete("default")
    Payable.objects.filter(cdr=cdr)._raw_delete("default")
    Cdr.objects.filter(pk=cdr.pk)._raw_delete("default")


def _take_a_cdr_twice(month: date) -> None:
    """Under another id, as it happens where the id is not part of the identity."""
    line = _usage_lines(month).first()
    cdr, invoice = line.charge.cdr, line.invoice
    copy = _copied(cdr, public_id=_another_uuid(), ocpi_id=f"{cdr.ocpi_id}-2")
    _bill(line, copy, invoice)


def _change_an_amount_by_one_ore(month: date) -> None:
    line = _usage_lines(month).filter(gross__isnull=False).first()
    InvoiceLine.objects.filter(pk=line.pk).update(gross=F("gross") + ORE, net=F("net") + ORE)
    _add(line.invoice, ORE)


def _use_a_wrong_rate(month: date) -> None:
    """Six percent, on a whole document, which adds up."""
    invoice = Invoice.objects.filter(period=month, vat_category="S", basis="net").first()
    vat = (invoice.net * 6 / 100).quantize(ORE)
    InvoiceLine.objects.filter(invoice=invoice).update(vat_rate=6)
    TaxSubtotal.objects.filter(invoice=invoice).update(rate=6, vat=vat)
    Invoice.objects.filter(pk=invoice.pk).update(vat=vat, gross=invoice.net + vat)


def _leave_a_gap(month: date) -> None:
    invoice = Invoice.objects.filter(period=month).order_by("-sequence").select_related("series").first()
    number = invoice.number.replace(str(invoice.sequence), str(invoice.sequence + 1))
    Invoice.objects.filter(pk=invoice.pk).update(sequence=invoice.sequence + 1, number=number)


def _bill_a_held_one(month: date) -> None:
    held = Held.objects.select_related("cdr").first()
    line = _usage_lines(month).first()
    _bill(line, held.cdr, line.invoice)
    Held.objects.filter(pk=held.pk)._raw_delete("default")


def _let_another_pay(month: date) -> None:
    """A line moves to the document of a neighbour; both documents add up."""
    line = _usage_lines(month).first()
    like = {name: getattr(line.invoice, name) for name in ("registration", "currency", "vat_category", "basis")}
    other = Invoice.objects.filter(period=month, **like).exclude(account=line.invoice.account).first()
    position = InvoiceLine.objects.filter(invoice=other).count() + 1
    InvoiceLine.objects.filter(pk=line.pk).update(invoice=other, position=position)
    _add(line.invoice, -line.net)
    _add(other, line.net)


def _forget_to_push_a_token(_month: date) -> None:
    """A card was blocked, and we believe that the operator knows."""
    card = Token.objects.filter(blocked_at=None, expires_at=None).order_by("pk").first()
    Token.objects.filter(pk=card.pk).update(blocked_at=card.last_updated, version=F("version") + 1)
    TokenDelivery.objects.filter(token=card).update(confirmed_version=F("confirmed_version") + 1)


SABOTAGES = {
    1: Sabotage("a CDR is dropped", _drop_a_cdr),
    2: Sabotage("a CDR is there twice", _take_a_cdr_twice),
    3: Sabotage("a line is one öre too high", _change_an_amount_by_one_ore),
    4: Sabotage("a document has a wrong VAT rate", _use_a_wrong_rate),
    5: Sabotage("a number is missing in a series", _leave_a_gap),
    6: Sabotage("a held CDR is billed", _bill_a_held_one),
    7: Sabotage("somebody else pays for a CDR", _let_another_pay),
    8: Sabotage("a blocked card was not pushed", _forget_to_push_a_token),
}


def _usage_lines(month: date):
    """On documents that have other lines too, so that they do not vanish with one."""
    shared = Invoice.objects.filter(period=month).annotate(number_of_lines=Count("lines")).filter(number_of_lines__gt=2)
    lines = InvoiceLine.objects.filter(invoice__in=shared, charge__kind=Charge.Kind.USAGE, net__gt=1)
    return lines.select_related("invoice", "charge__cdr").order_by("pk")


def _bill(like: InvoiceLine, cdr: Cdr, invoice: Invoice) -> None:
    """A line for this CDR that looks like another."""
    charge = _copied(like.charge, cdr=cdr)
    _copied(like, charge=charge, invoice=invoice, position=InvoiceLine.objects.filter(invoice=invoice).count() + 1)
    _add(invoice, like.net)


def _copied(row, **changed):
    values = {
        field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields if not field.primary_key
    }
    copy = type(row)(**values)
    for name, value in changed.items():
        setattr(copy, name, value)
    copy.save(force_insert=True)
    return copy


def _add(invoice: Invoice, net: Decimal) -> None:
    """Keep the net sum of the document that of its lines; its VAT stays as it was."""
    Invoice.objects.filter(pk=invoice.pk).update(net=F("net") + net, gross=F("net") + net + F("vat"))


def _another_uuid():
    return Cdr._meta.get_field("public_id").get_default()
