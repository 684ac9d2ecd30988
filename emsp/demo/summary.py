"""Counts and sums of the demo, read from our own tables: what the recount has to come to as well."""

from datetime import date
from decimal import Decimal

from django.db.models import Count, F, Q, Sum
from django.utils import timezone

from apps.billing.models import Charge, Held, Invoice, InvoiceLine, Netting, Payable
from apps.charging.models import Cdr, Session
from apps.drivers.models import Account
from apps.locations.models import Evse, Location
from apps.partners.models import Exchange, Partner, Quarantined
from apps.tariffs.models import Tariff
from apps.tokens.cards import read_cards
from apps.tokens.models import Authorization, Token, TokenDelivery


def summarise(months: list[date]) -> dict:
    """Every figure, by section; money and energy as text."""
    return {
        "month": f"{months[-1]:%Y-%m}",
        "operators": operators(),
        "published": {
            "locations": Location.objects.count(),
            "EVSEs": Evse.objects.count(),
            "tariffs": Tariff.objects.count(),
        },
        "EVSEs": counted(Evse.objects, "status"),
        "cards": cards(),
        "authorizations": counted(Authorization.objects, "allowed"),
        "sessions": counted(Session.objects, "status"),
        "CDRs": cdrs(months),
        "owed to CPOs": {row["currency"]: owed(row) for row in payables()},
        "held": {
            row["code"]: row["count"]
            for row in Held.objects.values("code").annotate(count=Count("pk")).order_by("code")
        },
        "invoices": [series(row) for row in documents(months)],
        "accounts": {
            "enrolled": Account.objects.count(),
            "invoiced": Invoice.objects.filter(period__in=months).values("account").distinct().count(),
        },
    }


def operators() -> dict[str, dict]:
    counts = Partner.objects.annotate(received=Count("cdrs")).order_by("pk")
    return {
        name: {"OCPI": version, "CDRs": cdrs}
        for name, version, cdrs in counts.values_list("name", "version", "received")
    }


def counted(rows, name: str) -> dict[str, int]:
    return dict(rows.order_by(name).values_list(name).annotate(Count("pk")))


def cards() -> dict:
    total = Token.objects.count()
    states = [card.is_in_order for card in read_cards("true", {}, timezone.now())]
    known = TokenDelivery.objects.filter(confirmed_version__gt=0, due_at=None).count()
    return {"enrolled": total, "may charge": sum(states), "known to CPOs": known}


def cdrs(months: list[date]) -> dict:
    lines = InvoiceLine.objects.filter(invoice__period__in=months)
    billed = lines.filter(charge__kind=Charge.Kind.USAGE).aggregate(
        count=Count("pk"), energy=Sum("charge__cdr__energy")
    )
    posts = Exchange.objects.filter(direction=Exchange.Direction.IN, module="cdrs", method="POST")
    return {
        "received": Cdr.objects.count(),
        "posts": posts.count(),
        "posts refused": posts.exclude(status_code=1000).count(),
        "in quarantine": Quarantined.objects.filter(state=Quarantined.State.OPEN).count(),
        "credit CDRs": Cdr.objects.filter(is_credit=True).count(),
        "taken back before billing": Netting.objects.count() * 2,
        "billed": billed["count"],
        "billed kWh": text(billed["energy"] or 0),
        "late": lines.filter(charge__period__lt=F("invoice__period")).count(),
        "held": Held.objects.count(),
        "monthly fees": lines.filter(charge__kind=Charge.Kind.FEE).count(),
    }


def payables():
    sums = {
        "count": Count("pk"),
        "all": Sum("net"),
        "accepted": Sum("net", filter=Q(is_accepted=True)),
        "disputed": Sum("net", filter=Q(is_accepted=False)),
    }
    by_currency = Payable.objects.order_by("currency").values("currency")
    return by_currency.annotate(**{f"its_{name}": value for name, value in sums.items()})


def owed(row: dict) -> dict:
    sums = {"net": row["its_all"], "accepted": row["its_accepted"], "disputed": row["its_disputed"]}
    return {"CDRs": row["its_count"]} | {name: text(number or 0) for name, number in sums.items()}


def documents(months: list[date]):
    groups = Invoice.objects.filter(period__in=months).values("series__prefix", "currency", "vat_category")
    rendered = Count("pk", filter=Q(document__rendered_at__isnull=False))
    sums = {
        "count": Count("pk"),
        "net_sum": Sum("net"),
        "vat_sum": Sum("vat"),
        "gross_sum": Sum("gross"),
        "pdfs": rendered,
    }
    return groups.annotate(**sums).order_by("series__prefix", "currency", "vat_category")


def series(row: dict) -> dict:
    named = {"series": row["series__prefix"], "currency": row["currency"], "VAT category": row["vat_category"]}
    sums = {name: f"{row[f'{name}_sum']:.2f}" for name in ("net", "vat", "gross")}
    return named | {"documents": row["count"], "PDFs": row["pdfs"]} | sums


def text(number) -> str:
    """Without zeros that say nothing: 12.5, 3, 0."""
    return f"{Decimal(number).normalize():f}" if number else "0"
