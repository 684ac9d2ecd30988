"""Why a CDR costs what it costs: periods, quantities, prices, VAT and verdicts, as data and as text (BIL-23, BIL-136).

Money and quantities are decimal strings, times are UTC with Z (decision 37).
"""

import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

from apps.charging import checks
from apps.charging.models import Cdr
from apps.charging.verdicts import verdicts
from apps.money import round_money, vat_in_gross, vat_on_net
from apps.ocpi import objects
from apps.partners import agreements

from .models import Charge, Netting, Plan
from .states import State, state_of
from .usage import plain


class NoSuchCdr(LookupError):
    """No CDR is known by this name."""


def find(name: str) -> Cdr:
    """The CDR by our number, its UUID, or SE*LAD:CDRID, also written SE-LAD or SELAD (decision 36)."""
    cdr = (
        _named(name.strip()).select_related("party", "partner", "token", "contract__driver__account", "credits").first()
    )
    if cdr is None:
        raise NoSuchCdr(f"there is no CDR {name}: give our number, its UUID, or SE*LAD:CDRID")
    return cdr


def _named(name: str):
    owner, colon, ocpi_id = name.partition(":")
    if colon:
        return _of_party(owner, ocpi_id)
    if name.isascii() and name.isdecimal():
        return Cdr.objects.filter(pk=name) if len(name) < 19 else Cdr.objects.none()
    try:
        return Cdr.objects.filter(public_id=uuid.UUID(name))
    except ValueError:
        return Cdr.objects.none()


def _of_party(owner: str, ocpi_id: str):
    try:
        country_code, party_id = objects.Party.parse(owner).key
    except ValueError:
        return Cdr.objects.none()
    of_owner = {"party__country_code__iexact": country_code, "party__party_id__iexact": party_id}
    return Cdr.objects.filter(ocpi_id__iexact=ocpi_id, **of_owner)


def explain(cdr: Cdr) -> dict:
    """Everything that decided what the CDR costs, on both sides."""
    return {
        "cdr": str(cdr),
        "number": cdr.pk,
        "uuid": str(cdr.public_id),
        "state": state_of(cdr).value,
        "received_at": utc(cdr.received_at),
        "session": session(cdr),
        "payer": payer(cdr),
        "periods": periods(cdr),
        "verdicts": [verdict._asdict() | {"found_at": utc(verdict.found_at)} for verdict in verdicts(cdr)],
        "held": held(cdr),
        "sale": [sale(charge) for charge in charges(cdr)],
        "purchase": purchase(cdr),
        "takes_back": str(cdr.credits) if cdr.credits_id else None,
        "taken_back_by": taken_back_by(cdr),
        "netted_at": netted_at(cdr),
    }


def session(cdr: Cdr) -> dict:
    return {
        "started_at": utc(cdr.started_at),
        "ended_at": utc(cdr.ended_at),
        "time_zone": cdr.time_zone,
        "place": cdr.location_name or cdr.location_id,
        "city": cdr.city,
        "country": cdr.country,
        "evse_id": cdr.evse_id or cdr.evse_uid,
        "energy_kwh": plain(cdr.energy),
        "time_hours": plain(cdr.time),
        "parking_time_hours": None if cdr.parking_time is None else plain(cdr.parking_time),
        "is_credit": cdr.is_credit,
    }


def payer(cdr: Cdr) -> dict:
    """Whose it is, as far as anybody knows; the card is as the CPO sent it."""
    known = {"card": cdr.token_uid, "contract": cdr.sent_contract_id, "driver": None, "account": None}
    if cdr.contract is None:
        return known
    driver = cdr.contract.driver
    return known | {"contract": cdr.contract.contract_id, "driver": driver.name, "account": driver.account.name}


def periods(cdr: Cdr) -> list[dict]:
    """The CPO's charging periods; empty if its body cannot be read any more, which is a finding."""
    sent = checks.Facts(cdr).object
    return [] if sent is None else [period(one) for one in sent.charging_periods]


def period(sent: objects.ChargingPeriod) -> dict:
    dimensions = [{"type": part.type, "volume": plain(part.volume)} for part in sent.dimensions]
    return {"started_at": utc(sent.start_date_time), "dimensions": dimensions, "tariff": sent.tariff_id}


def held(cdr: Cdr) -> dict | None:
    row = getattr(cdr, "held", None)
    if row is None:
        return None
    return {"code": row.code, "reason": row.reason, "is_final": row.is_final, "since": utc(row.since)}


def charges(cdr: Cdr):
    return cdr.charges.select_related("plan_price__plan", "vat_rate", "line__invoice").order_by("pk")


def sale(charge: Charge) -> dict:
    """A charge with why it is this amount. Its VAT is that of the line alone; a document's is on the sum (BIL-63)."""
    said = charge.explanation
    line = getattr(charge, "line", None)
    return {
        "kind": charge.kind,
        "amount": f"{round_money(charge.amount, charge.currency):f}",
        "currency": charge.currency,
        **{name: said[name] for name in ("plan", "basis", "prices", "components", "unrounded")},
        "vat": said["vat"] | amounts(charge),
        "period": f"{charge.period:%Y-%m}",
        "supplied_on": f"{charge.supplied_on}",
        "rated_at": utc(charge.rated_at),
        "netted_at": utc(charge.netted_at),
        "document": line.invoice.number if line else None,
    }


def amounts(charge: Charge) -> dict:
    """Net, VAT and gross of the charge alone."""
    amount, rate = round_money(charge.amount, charge.currency), charge.vat_rate and charge.vat_rate.rate
    is_gross = charge.basis == Plan.Basis.GROSS
    vat = (vat_in_gross if is_gross else vat_on_net)(amount, rate or Decimal(0), charge.currency)
    net = amount - vat if is_gross else amount
    return {"net": f"{net:f}", "vat": f"{vat:f}", "gross": f"{net + vat:f}"}


def purchase(cdr: Cdr) -> dict | None:
    """What we owe the CPO for it, once rating has looked at it; until when, and until when it may be disputed, where that
    was agreed."""
    owed = getattr(cdr, "payable", None)
    if owed is None:
        return None
    taxes = None if cdr.cost_taxes is None else plain(cdr.cost_taxes)
    to_pay, to_dispute = agreements.terms_of(cdr.party, cdr.started_at)
    days = {"due_on": to_pay if owed.is_accepted else None, "disputable_until": to_dispute}
    last_days = {name: iso(agreements.last_day(cdr.received_at, count)) for name, count in days.items()}
    told = {"net": plain(owed.net), "currency": owed.currency, "taxes_sent": taxes, "is_accepted": owed.is_accepted}
    return told | last_days


def taken_back_by(cdr: Cdr) -> str | None:
    credit = getattr(cdr, "credited_by", None)
    return None if credit is None else str(credit)


def netted_at(cdr: Cdr) -> str | None:
    pair = Netting.objects.filter(original=cdr).first() or Netting.objects.filter(credit=cdr).first()
    return utc(pair.netted_at) if pair else None


def iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def utc(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


# In words


def as_text(told: dict) -> str:
    """The same for people to read."""
    return "\n".join(_lines(told))


def _lines(told: dict) -> Iterator[str]:
    at, who = told["session"], told["payer"]
    yield f"CDR {told['cdr']} (number {told['number']}, {told['uuid']}): {State(told['state']).label}"
    yield f"  {at['started_at']} to {at['ended_at']}, {at['time_zone'] or 'time zone not known'}"
    yield f"  {', '.join(part for part in (at['place'], at['city'], at['country'], at['evse_id']) if part)}"
    yield f"  {at['energy_kwh']} kWh in {at['time_hours']} hours" + (", a credit CDR" if at["is_credit"] else "")
    yield f"  card {who['card'] or '(not told)'}, contract {who['contract']}, " + (
        f"driver {who['driver']}, account {who['account']}" if who["driver"] else "nobody's yet"
    )
    yield from _links(told)
    yield "Periods"
    yield from (f"  {one['started_at']}  {_dimensions(one)}" for one in told["periods"])
    yield "Verdicts"
    yield from (_verdict(one) for one in told["verdicts"] or ())
    yield from () if told["verdicts"] else ["  nothing odd"]
    yield "Driver"
    yield from _sale_lines(told)
    yield "Operator"
    yield _owed(told["purchase"])


def _links(told: dict) -> Iterator[str]:
    if told["takes_back"]:
        yield f"  takes back {told['takes_back']}"
    if told["taken_back_by"]:
        yield f"  taken back by {told['taken_back_by']}"
    if told["netted_at"]:
        yield f"  netted at {told['netted_at']}: on no document"


def _dimensions(one: dict) -> str:
    tariff = f" (tariff {one['tariff']})" if one["tariff"] else ""
    return ", ".join(f"{part['type']} {part['volume']}" for part in one["dimensions"]) + tariff


def _verdict(one: dict) -> str:
    released = ", released" if one["is_released"] else ""
    return f"  {one['code']}: {one['reason']} (driver: {one['driver']}, operator: {one['cpo']}{released})"


def _sale_lines(told: dict) -> Iterator[str]:
    if on_hold := told["held"]:
        yield f"  {'blocked' if on_hold['is_final'] else 'held'} since {on_hold['since']}: {on_hold['code']}, {on_hold['reason']}"
    elif not told["sale"] and not told["netted_at"]:
        yield "  not rated yet"
    for charge in told["sale"]:
        yield from _charge_lines(charge)


def _charge_lines(charge: dict) -> Iterator[str]:
    prices, vat = charge["prices"], charge["vat"]
    where = f" for {prices['country']}" if prices["country"] else ""
    yield f"  plan {charge['plan']}, prices {charge['basis']}{where} from {prices['from']}"
    for part in charge["components"]:
        yield f"    {part['kind']}: {part['quantity']} x {part['price']} = {part['amount']}"
    rate = f"{vat['rate']} %" if vat["rate"] is not None else "reverse charge"
    yield f"    {charge['unrounded']}, rounded once: {charge['amount']} {charge['currency']} ({charge['kind'].lower()})"
    yield f"    VAT {vat['country']} {rate} under {vat['registration']}: {vat['reason']}"
    yield f"    net {vat['net']} + VAT {vat['vat']} = {vat['gross']} {charge['currency']}, of this line alone"
    yield f"    month {charge['period']}, supplied on {charge['supplied_on']}, {_shown(charge)}"


def _shown(charge: dict) -> str:
    if charge["netted_at"]:
        return f"netted at {charge['netted_at']}"
    return f"on {charge['document']}" if charge["document"] else "on no document yet"


def _owed(owed: dict | None) -> str:
    if owed is None:
        return "  not looked at yet"
    taxes = "not told" if owed["taxes_sent"] is None else owed["taxes_sent"]
    verdict = "accepted" if owed["is_accepted"] else "not accepted"
    due = f", due on {owed['due_on']}" if owed["due_on"] else ""
    dispute = f", may be disputed until {owed['disputable_until']}" if owed["disputable_until"] else ""
    net = f"{owed['net']} {owed['currency']} net"
    return f"  owed {net}, {verdict}{due}{dispute} (taxes on the CDR: {taxes}, not owed to the operator)"
