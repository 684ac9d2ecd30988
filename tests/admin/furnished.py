"""An office with rows of every kind, made through the rooms where money is concerned."""

import json
from datetime import UTC, date, datetime, timedelta

from apps.api import keys
from apps.billing import invoicing, rating, rendering
from apps.billing.models import (
    BilledToUs,
    LegalEntity,
    NumberSeries,
    Plan,
    PlanPrice,
    Subscription,
    TaxRegistration,
    VatRate,
)
from apps.charging import checking, intake
from apps.charging.models import Cdr, Command, Session, SessionPeriod
from apps.drivers.models import Account, Contract, Driver
from apps.locations.models import Connector, Evse, Location
from apps.ocpi.errors import Problem
from apps.ocpi.versions import VERSIONS
from apps.onboarding.models import Clearance, Report
from apps.partners import credentials, quarantine
from apps.partners.models import (
    Alarm,
    Certificate,
    CredentialsToken,
    Endpoint,
    Exchange,
    Feed,
    Partner,
    Party,
    Quarantined,
)
from apps.partners.taking import take
from apps.partnerview import links
from apps.tariffs.models import Tariff, TariffRevision
from apps.tokens.models import Authorization, Token, TokenDelivery
from emsp.invariants import inspecting
from tests.partners.agreeing import agree

NOW = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)
OCTOBER = date(2026, 10, 1)
V221 = VERSIONS["2.2.1"]
EVER = date(2020, 1, 1)
HOSTILE = "<script>alert(1)</script>"

COMPANY = {
    "name": "Nordladd AB", "street": "Kungsgatan 12", "postal_code": "111 35", "city": "Stockholm", "country": "SE",
    "organisation_no": "556712-3458", "email": "faktura@nordladd.example", "iban": "SE4550000000058398257466",
    "bic": "ESSESESS", "bankgiro": "5805-6201", "has_f_tax": True,
}  # fmt: skip


def found_company(confirmed=True):
    """A seller with a Swedish registration, a confirmed rate and a default plan."""
    company = LegalEntity.objects.create(**COMPANY)
    registration = TaxRegistration.objects.create(
        legal_entity=company, country="SE", vat_id="SE556712345801", valid_from=EVER
    )
    for kind, prefix in (("INVOICE", "SE"), ("CREDIT_NOTE", "SEK")):
        NumberSeries.objects.create(registration=registration, kind=kind, prefix=prefix)
    VatRate.objects.filter(country="SE").delete()
    for supply in VatRate.Supply:
        VatRate.objects.create(
            country="SE",
            supply=supply,
            rate=25,
            valid_from=EVER,
            source="test",
            confirmed_at=NOW if confirmed else None,
        )
    plan = Plan.objects.create(name="Privat", currency="SEK", basis="gross", is_default=True)
    PlanPrice.objects.create(plan=plan, valid_from=EVER, per_kwh=5)
    return company


def make_partner(name="Laddnät", party_id="LAD", connected=True):
    state = {
        "state": "CONNECTED",
        "version": "2.2.1",
        "connected_at": NOW,
        "versions_url": "https://cpo.example/ocpi/versions",
    }
    partner = Partner.objects.create(name=name, outbound_token=f"sealed-{HOSTILE}", **(state if connected else {}))
    Party.objects.create(country_code="SE", party_id=party_id, partner=partner)
    for module in Feed.Module.values if connected else ():
        Endpoint.objects.create(partner=partner, identifier=module, role="SENDER", url=f"https://cpo.example/{module}")
        Feed.objects.create(partner=partner, module=module, interval=timedelta(hours=1), last_good_at=NOW, due_at=NOW)
    if connected:
        for module in ("tokens", "commands"):
            url = f"https://cpo.example/{module}"
            Endpoint.objects.create(partner=partner, identifier=module, role="RECEIVER", url=url)
    return partner


def make_card(number=1, account=None, **values):
    """A driver of an account with a contract, a plan and a card."""
    address = {"street": "Björkvägen 7", "postal_code": "753 20", "city": "Uppsala", "country": "SE"}
    names = {"name": account or f"Anna Öberg {number}", "kind": "private", "currency": "SEK", "language": "sv"}
    account, _ = Account.objects.get_or_create(name=names["name"], defaults=names | address)
    driver = Driver.objects.create(account=account, name=f"Anna Öberg {number}", email=f"anna{number}@example.com")
    contract = Contract.objects.create(driver=driver, contract_id=f"SE-EMP-C{number:08}-X")
    if plan := Plan.objects.filter(is_default=True).first():
        Subscription.objects.create(contract=contract, plan=plan, valid_from=EVER)
    defaults = {
        "uid": f"04{number:012X}",
        "issuer": "Nordladd AB",
        "last_updated": NOW,
        "visual_number": f"NL-{number:03}",
    }
    return Token.objects.create(contract=contract, **defaults | values)


def cdr_body(key, uid, contract_id, **changes):
    """A CDR of 2.2.1 for 10 kWh in October."""
    body = {
        "country_code": "SE", "party_id": "LAD", "id": key,
        "start_date_time": "2026-10-19T08:00:00Z", "end_date_time": "2026-10-19T09:30:00Z",
        "cdr_token": {"country_code": "SE", "party_id": "EMP", "uid": uid, "type": "RFID", "contract_id": contract_id},
        "auth_method": "WHITELIST",
        "cdr_location": {
            "id": "LOC-1", "name": f"Hötorget {HOSTILE}", "address": "Sveavägen 1", "city": "Stockholm", "country": "SWE",
            "coordinates": {"latitude": "59.334591", "longitude": "18.063240"}, "evse_uid": "E1", "evse_id": "SE*LAD*E1",
            "connector_id": "1", "connector_standard": "IEC_62196_T2", "connector_format": "SOCKET",
            "connector_power_type": "AC_3_PHASE",
        },
        "currency": "SEK",
        "charging_periods": [
            {"start_date_time": "2026-10-19T08:00:00Z",
             "dimensions": [{"type": "ENERGY", "volume": 10}, {"type": "TIME", "volume": 1.5}]},
        ],
        "total_cost": {"excl_vat": 30, "incl_vat": 37.5}, "total_energy": 10, "total_energy_cost": {"excl_vat": 30, "incl_vat": 37.5},
        "total_time": 1.5, "last_updated": "2026-10-19T09:31:00Z",
    }  # fmt: skip
    return json.dumps(body | changes).encode()


def receive(partner, *bodies, now=NOW):
    """Take CDRs in, as their POST does, and check them."""
    taken = take(intake.INTAKE, partner, V221, bodies, now)
    checking.check_due(now)
    return [Cdr.objects.filter(public_id=one.row).first() for one in taken]


def bill(now=NOW):
    """Rate what is due, issue October, render one document."""
    rating.catch_up(now)
    invoicing.issue(OCTOBER, now)
    rendering.render_due(now, 1)


def furnish(rows):
    """So many rows of every kind; the first `rows` CDRs are invoiced, the next are of nobody."""
    found_company()
    partner = make_partner()
    for number in range(rows):
        make_partner(f"CPO {number}", f"{number:03}", connected=number % 2 == 0)
        card = make_card(number)
        tell(partner, card, number)
        place(partner.parties.get(), number)
        days = {"valid_from": date(2100 + number, 1, 1), "valid_until": date(2101 + number, 1, 1)}
        agree(partner.parties.get(), **days, payment_days=30)
        TokenDelivery.objects.create(partner=partner, token=card, confirmed_version=1)
        own = cdr_body(f"CDR-{number}", card.uid, card.contract.contract_id)
        receive(partner, own, cdr_body(f"STRANGE-{number}", f"DEAD{number}", "XX-YYY-C1"))
    keys.issue(f"Web {HOSTILE}", "READ", NOW, by="eva")
    bill()
    inspecting.keep(inspecting.inspect(NOW), NOW)
    return partner


def tell(partner, card, number):
    """What a partner said of a card: asked for it, a session, messages, and something we could not take."""
    Alarm.objects.create(
        partner=partner,
        kind="STALE_TOKEN",
        reason="…abcd",
        count=number + 1,
        first_at=NOW,
        last_at=NOW,
        settled_at=NOW if number else None,
    )
    for name, days, error in (
        (f"cpo{number}.example", 60, ""),
        (f"api{number}.cpo.example:8443", 9, f"no answer: {HOSTILE}"),
    ):
        Certificate.objects.create(partner=partner, name=name, ends_at=NOW + timedelta(days=days), last_error=error)
    line = {"check": "versions", "title": "Versions", "demands": "VER-01", "outcome": "failed", "reason": HOSTILE}
    made = {
        "requested_at": NOW,
        "finished_at": NOW,
        "outcome": "FAILED",
        "lines": [line | {"took_s": 0.1}],
        "checks": 27,
    }
    Report.objects.create(partner=partner, version="2.2.1", requested_by="eva", **made)
    ended = {} if number else {"ended_at": NOW, "ended_by": "eva"}
    if number < 2:
        Clearance.objects.create(partner=partner, reason=HOSTILE, by="eva", at=NOW, **ended)
    links.make(partner, HOSTILE, timedelta(days=9), "eva", NOW)
    token = {"token": card, "token_uid": card.uid, "token_type": card.type}
    Authorization.objects.create(
        partner=partner, allowed="ALLOWED", reason="in order", at=NOW, location_id=HOSTILE, **token
    )
    times = {"started_at": NOW, "whole_at": NOW, "last_updated": NOW, "received_at": NOW}
    session = Session.objects.create(
        party=partner.parties.get(), partner=partner, ocpi_id=f"S-{number}", status="ACTIVE", energy=3, currency="SEK",
        body=b"{}", version="2.2.1", **token, **times,
    )  # fmt: skip
    period = {"start_date_time": "2026-10-19T08:00:00Z", "dimensions": [{"type": "ENERGY", "volume": "3"}]}
    SessionPeriod.objects.create(session=session, started_at=NOW, last_updated=NOW, period=period)
    sent = {"state": "DONE", "sent_at": NOW, "answerable_until": NOW, "result": "ACCEPTED", "result_at": NOW}
    Command.objects.create(
        kind="RESERVE_NOW", party=session.party, partner=partner, token=card, location_id=HOSTILE, evse_uid="E1",
        authorization_reference="x", reply_key=f"key-{number}", requested_at=NOW, reserved_until=NOW + timedelta(days=9999),
        message=HOSTILE, last_error=HOSTILE, session=session, **sent,
    )  # fmt: skip
    Exchange.objects.create(
        partner=partner, direction="IN", module="cdrs", method="POST", url=f"/ocpi/2.2.1/cdrs?{HOSTILE}", at=NOW,
        request_body=b'{"id": "1"}', response_body=b"\xff", http_status=200, status_code=1000,
    )  # fmt: skip
    body = json.dumps({"id": f"BAD-{number}", "party_id": HOSTILE}).encode()
    quarantine.keep(partner, "cdrs", V221, body, [Problem("currency", "required")], NOW)
    credentials.issue(partner, CredentialsToken.Kind.CREDENTIALS, NOW)


def place(party, number):
    """A location with an EVSE and a connector, and a tariff."""
    sent = {"body": b'{"id": 1}', "version": "2.2.1", "content_hash": b"1", "last_updated": NOW, "received_at": NOW}
    location = Location.objects.create(
        party=party, ocpi_id=f"L-{number}", name=HOSTILE, address="Storgatan 1", city="Lund", country="SWE", **sent
    )
    evse = Evse.objects.create(location=location, uid="E1", status="AVAILABLE", last_updated=NOW)
    connector = {"standard": "IEC_62196_T2", "format": "CABLE", "power_type": "DC", "max_electric_power": 150000}
    Connector.objects.create(evse=evse, ocpi_id="1", tariff_ids=["T-1"], last_updated=NOW, **connector)
    tariff = Tariff.objects.create(party=party, ocpi_id=f"T-{number}", currency="SEK", **sent)
    TariffRevision.objects.create(tariff=tariff, **sent)
    record = {"invoice_id": f"F-{number}", "cdrs": [f"C-{number}", "NOWHERE"]}
    BilledToUs.objects.create(party=party, ocpi_id=f"R-{number}", **record, **sent)


def open_quarantine():
    return Quarantined.objects.filter(state="OPEN")
