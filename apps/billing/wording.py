"""How a document is worded in its language: every text and figure of the printed page, from frozen data alone.

The words stand in `templates/billing/wording/<language>.toml`; a language without a file gets English (BIL-79).
"""

import tomllib
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_time
from babel.numbers import format_currency, format_decimal
from django.conf import settings

from apps.money import minor_unit

from .models import Invoice, InvoiceLine, TaxSubtotal
from .numbering import in_fours, is_creditor_reference

FALLBACK = "en"
UNIT_PRICE = Decimal("0.0001")
NO_BREAK = "\u00a0"


def folder() -> Path:
    return settings.BASE_DIR / "templates" / "billing"


@cache
def languages() -> frozenset[str]:
    return frozenset(path.stem for path in (folder() / "wording").glob("*.toml"))


@cache
def words_of(language: str) -> dict:
    return tomllib.loads((folder() / "wording" / f"{language}.toml").read_text(encoding="utf-8"))


@cache
def locale_of(language: str) -> Locale:
    return Locale.parse({"en": "en_GB", "sv": "sv_SE"}.get(language, language))


@dataclass(frozen=True)
class Wording:
    """The words, dates and figures of one document."""

    invoice: Invoice

    @property
    def language(self) -> str:
        wanted = self.invoice.buyer.get("language") or FALLBACK
        return wanted if wanted in languages() else FALLBACK

    @property
    def words(self) -> dict:
        return words_of(self.language)

    @property
    def locale(self) -> Locale:
        return locale_of(self.language)

    def say(self, group: str, key: str, **values) -> str:
        return self.words[group][key].format(**values)

    def day(self, value: date) -> str:
        return format_date(value, self.words["date"], self.locale)

    def month(self, value: str | None) -> str:
        """`2026-10` as October 2026."""
        return format_date(date.fromisoformat(f"{value}-01"), "LLLL y", self.locale) if value else ""

    def money(self, amount: Decimal) -> str:
        return format_currency(
            amount.quantize(minor_unit(self.invoice.currency)), self.invoice.currency, locale=self.locale
        )

    def amount(self, amount: Decimal) -> str:
        """An amount of money without its currency, for columns."""
        decimals = -minor_unit(self.invoice.currency).as_tuple().exponent
        return format_decimal(amount, f"#,##0.{'0' * decimals}".rstrip("."), self.locale)

    def number(self, value: Decimal) -> str:
        return format_decimal(value, "#,##0.######", self.locale)

    def price(self, value: Decimal) -> str:
        """A unit price: as money is written here, with all of its decimals."""
        pattern = self.locale.currency_formats["standard"].pattern.replace("0.00", "0.00####")
        return format_currency(value, self.invoice.currency, pattern, self.locale, currency_digits=False)

    def country(self, code: str) -> str:
        return self.locale.territories.get(code, code)

    def clock(self, moment: datetime, zone: str) -> str:
        return format_time(moment.astimezone(ZoneInfo(zone)), "HH:mm", locale=self.locale)


def worded(invoice: Invoice, lines: list[InvoiceLine]) -> dict:
    """Everything the page prints, in the order it prints it."""
    wording = Wording(invoice)
    columns = ["vat_rate", "net", *(["gross"] if invoice.basis == "gross" else [])]
    return {
        "language": wording.language,
        "title": wording.say("title", invoice.kind),
        "number": invoice.number,
        "issued": {"year": invoice.issued_on.year, "month": invoice.issued_on.month, "day": invoice.issued_on.day},
        "seller": {"name": invoice.seller["name"]},
        "buyer": address(wording, invoice.buyer),
        "words": wording.words["words"],
        "facts": facts(wording),
        "notices": [wording.say("remarks", "AE")] if invoice.vat_category == "AE" else [],
        "due": due(wording),
        "columns": [wording.say("columns", name) for name in columns],
        "lines": [line_of(wording, line, columns) for line in lines],
        "subtotals": [subtotal(wording, row) for row in sorted(invoice.tax_subtotals.all(), key=by_category)],
        "totals": [[wording.say("totals", name), wording.money(getattr(invoice, name))] for name in ("net", "vat")],
        "grand_total": [wording.say("totals", "gross"), wording.money(invoice.gross)],
        "payment": payment(wording),
        "footer": footer(wording),
        "remarks": remarks(wording),
    }


def address(wording: Wording, party: dict) -> list[str]:
    """The lines of an address; the country where the letter leaves the sender's."""
    seller, buyer = wording.invoice.seller, wording.invoice.buyer
    country = wording.country(party["country"]) if seller["country"] != buyer["country"] else ""
    place = f"{party['postal_code'].replace(' ', NO_BREAK)} {party['city']}"
    return [part for part in (party["name"], party["street"], place, country) if part]


def days(wording: Wording) -> str:
    """From the first to the last day of supply."""
    first, last = wording.invoice.supplied_from, wording.invoice.supplied_until
    return wording.day(first) if first == last else f"{wording.day(first)} – {wording.day(last)}"


def facts(wording: Wording) -> list[list[str]]:
    invoice = wording.invoice
    values = {
        "issued_on": wording.day(invoice.issued_on),
        "due_on": wording.day(invoice.due_on) if invoice.kind == Invoice.Kind.INVOICE else "",
        "corrects": invoice.corrects.number if invoice.corrects else "",
        "supplied": days(wording),
        "customer": f"{invoice.account_id:05d}",
        "buyer_vat_id": invoice.buyer.get("vat_id", ""),
        "cost_centre": invoice.buyer.get("cost_centre", ""),
    }
    said = [[wording.say("facts", name), value] for name, value in values.items() if value]
    return [[wording.say("number", invoice.kind), invoice.number], *said]


def due(wording: Wording) -> dict:
    invoice = wording.invoice
    kind = invoice.kind if invoice.gross else "NOTHING"
    label = wording.say("due", kind, due_on=wording.day(invoice.due_on))
    return {
        "label": label,
        "detail": " ".join(reference(wording)) if is_owed(invoice) else "",
        "amount": wording.money(invoice.gross),
    }


def is_owed(invoice: Invoice) -> bool:
    """An invoice over something; a credit note is not paid."""
    return invoice.kind == Invoice.Kind.INVOICE and invoice.gross > 0


def reference(wording: Wording) -> tuple[str, str]:
    """What to write when paying: its name and itself."""
    text = wording.invoice.payment_reference
    if is_creditor_reference(text):
        return wording.say("payment", "reference"), in_fours(text)
    return wording.say("payment", "ocr"), text


def line_of(wording: Wording, line: InvoiceLine, columns: list[str]) -> dict:
    amounts = {
        "vat_rate": category(wording, "S" if line.vat_rate is not None else "AE", line.vat_rate),
        "net": wording.amount(line.net),
        "gross": "" if line.gross is None else wording.amount(line.gross),
    }
    return {
        "date": wording.day(line.supplied_on),
        "description": line_title(wording, line.details),
        "details": line_details(wording, line),
        "amounts": [amounts[name] for name in columns],
    }


def line_title(wording: Wording, details: dict) -> str:
    if details["kind"] == "FEE":
        return wording.say("lines", "FEE", plan=details["plan"])
    place = ", ".join(part for part in (details.get("place"), details.get("city")) if part)
    session = wording.say("lines", "USAGE", place=place) if place else wording.say("lines", "USAGE_nowhere")
    return wording.say("lines", "CREDIT", what=session) if details["kind"] == "CREDIT" else session


def line_details(wording: Wording, line: InvoiceLine) -> list[str]:
    details = line.details
    said = [component(wording, line, part) for part in details.get("components", ())]
    when = times(wording, details)
    driver = details.get("driver") if details.get("driver") != wording.invoice.buyer["name"] else ""
    where = " · ".join(part for part in (details.get("evse_id"), when, driver) if part)
    late = [wording.say("lines", "late")] if details.get("is_late") else []
    return [text for text in (where, " + ".join(said), *late) if text]


def times(wording: Wording, details: dict) -> str:
    if not details.get("started_at"):
        return ""
    zone = details.get("time_zone") or "UTC"
    start, end = (datetime.fromisoformat(details[name]) for name in ("started_at", "ended_at"))
    suffix = "" if details.get("time_zone") else " UTC"
    return f"{wording.clock(start, zone)}–{wording.clock(end, zone)}{suffix}"


def component(wording: Wording, line: InvoiceLine, part: dict) -> str:
    quantity, price = wording.number(Decimal(part["quantity"])), unit_price(wording, line, Decimal(part["price"]))
    month = wording.month(line.details.get("month"))
    return wording.say("lines", part["kind"], quantity=quantity, price=price, month=month)


def unit_price(wording: Wording, line: InvoiceLine, price: Decimal) -> str:
    """As the plan has it and, where that is with VAT, without it as well (BIL-77: unit price excl. VAT)."""
    if line.gross is None or line.vat_rate is None:
        return wording.price(price)
    net = (price / (1 + line.vat_rate / 100)).quantize(UNIT_PRICE, ROUND_HALF_UP)
    return wording.say("lines", "unit_price", gross=wording.price(price), net=wording.price(net))


def category(wording: Wording, code: str, rate: Decimal | None) -> str:
    return wording.say("category", code, rate="" if rate is None else wording.number(rate))


def by_category(row: TaxSubtotal) -> tuple:
    return row.category, row.rate or 0


def subtotal(wording: Wording, row: TaxSubtotal) -> list[str]:
    return [category(wording, row.category, row.rate), wording.amount(row.base), wording.amount(row.vat)]


def payment(wording: Wording) -> list[list[str]]:
    """How to pay; a credit note is not paid."""
    invoice = wording.invoice
    if not is_owed(invoice):
        return []
    values = {"due_on": wording.day(invoice.due_on)}
    values["bankgiro"] = invoice.seller.get("bankgiro") if invoice.currency == "SEK" else ""
    values |= {"iban": in_fours(invoice.seller.get("iban", "")), "bic": invoice.seller.get("bic")}
    return [*([wording.say("payment", name), value] for name, value in values.items() if value), [*reference(wording)]]


def footer(wording: Wording) -> list[list[str]]:
    seller = wording.invoice.seller
    contact = [seller[name] for name in ("email", "phone", "website") if seller.get(name)]
    legal = [
        wording.say("footer", name, value=seller[name]) for name in ("organisation_no", "vat_id") if seller.get(name)
    ]
    return [
        address(wording, seller),
        contact,
        legal + ([wording.say("footer", "f_tax")] if seller.get("has_f_tax") else []),
    ]


def remarks(wording: Wording) -> list[str]:
    invoice = wording.invoice
    said = [wording.say("remarks", invoice.basis)]
    if invoice.corrects:
        issued_on = wording.day(invoice.corrects.issued_on)
        said.append(
            wording.say("remarks", "CREDIT_NOTE", corrects=invoice.corrects.number, corrects_issued_on=issued_on)
        )
    return said
