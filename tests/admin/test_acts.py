"""What people do in the back office: each act by its page, through the room that it is a door to."""

import html
import json
from datetime import date, timedelta

import pytest
from django.apps import apps
from django.contrib.messages import get_messages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from apps.billing import invoicing, rating
from apps.billing.fleet_file import COLUMNS, template
from apps.billing.models import (
    Charge,
    Invoice,
    InvoiceRun,
    LegalEntity,
    NumberSeries,
    Plan,
    PlanPrice,
    Subscription,
    VatRate,
)
from apps.charging.models import Command, Finding, Session
from apps.drivers.models import Account, Contract, Driver
from apps.locations.models import Connector, Evse
from apps.partners import exchanges, quirks
from apps.partners.models import Agreement, Client, CredentialsToken, Exchange, Feed, Partner, Party, Quarantined
from apps.partnerview.models import Link
from apps.staff.models import User
from apps.staff.office import url_of
from apps.tokens.models import Token, TokenDelivery
from emsp.models import Heartbeat
from tests.admin.furnished import NOW, OCTOBER, bill, cdr_body, found_company, furnish, make_card, make_partner, receive
from tests.partners.agreeing import agree

pytestmark = pytest.mark.django_db
DO = {"_form_submitted": "on"}


def act(client, row, name, **values):
    """Press a button of a row's page and confirm; returns what was said."""
    url = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{name}", args=[row.pk])
    answer = client.post(url, DO | values)
    assert answer.status_code == 302, answer.content.decode()[:2000]
    return said(answer)


def said(answer):
    return " ".join(map(str, get_messages(answer.wsgi_request)))


def page(client, url, **query):
    answer = client.get(url, query)
    assert answer.status_code == 200
    return answer.content.decode()


# Drivers and cards


def driver_form(**values):
    return {
        "account": "Åkeri AB", "kind": "company", "country": "SE", "currency": "SEK", "language": "sv", "driver": "Eva Ek",
        "email": "eva@akeri.example", "token_uid": "04aabbcc", "token_type": "RFID", "whitelist": "ALLOWED",
    } | values  # fmt: skip


def test_a_driver_is_added_by_hand(admin, company, partner):
    answer = admin.post(reverse("admin:drivers_driver_add"), driver_form())

    driver = Driver.objects.get()
    assert answer.url == url_of(driver)
    token = Token.objects.get(contract__driver=driver)
    assert (token.uid, driver.account.name, driver.email) == ("04AABBCC", "Åkeri AB", "eva@akeri.example")
    assert Subscription.objects.get(contract=token.contract).plan.name == "Privat"
    assert TokenDelivery.objects.filter(partner=partner, token=token, due_at__isnull=False).exists()


def test_a_wrong_driver_says_where(admin, company):
    card = make_card()

    answer = admin.post(reverse("admin:drivers_driver_add"), driver_form(token_uid=card.uid, country="Sweden"))

    assert answer.status_code == 200
    assert answer.context["form"].errors["country"] == ["Sweden: 2 letters, such as SE"]
    answer = admin.post(reverse("admin:drivers_driver_add"), driver_form(token_uid=card.uid))
    assert "belongs to another account" in str(answer.context["form"].errors)
    assert Driver.objects.count() == 1


def upload(client, text, how):
    file = SimpleUploadedFile("drivers.csv", text.encode())
    return client.post(reverse("admin:drivers_driver_import_file"), {"file": file, "how": how})


def test_the_template_can_be_imported_after_a_try(admin, company):
    text = page(admin, reverse("admin:drivers_driver_template"))
    assert text == template()

    tried = upload(admin, text, "try")
    assert "What would happen" in tried.content.decode()
    assert not Driver.objects.exists()

    taken = upload(admin, text, "all")
    assert taken.context["counts"][1] == ["drivers", 1, 0, 0]
    assert Driver.objects.get().name == "Anna Andersson"


def test_a_file_with_a_wrong_line_is_taken_only_without_it(admin, company):
    lines = template() + "Other AB,company" + "," * (len(COLUMNS) - 2) + "\r\n"

    refused = upload(admin, lines, "all")
    assert "Nothing was taken" in refused.content.decode()
    assert [3, "country", "needed"] in refused.context["errors"]
    assert not Driver.objects.exists()

    upload(admin, lines, "good")
    assert Driver.objects.count() == 1


@pytest.mark.parametrize(
    "term", ["öberg 7", "ANNA7@example", "04000000000007", "nl-007", "SE-EMP-C00000007-X", "seempc00000007x"]
)
def test_a_driver_is_found_by_what_people_read_out(admin, company, term):
    cards = {number: make_card(number) for number in (1, 7)}

    answer = admin.get(url_of(Driver), {"q": term})

    assert list(answer.context["cl"].result_list) == [cards[7].contract.driver]
    found = admin.get(reverse("admin:search"), {"s": term, "extended": 1}).content.decode()
    assert url_of(cards[7].contract.driver) in found
    assert url_of(cards[1].contract.driver) not in found


def test_blocking_a_driver_says_who_knows(admin, company, partner, card):
    driver = card.contract.driver
    TokenDelivery.objects.create(partner=partner, token=card, confirmed_version=card.version)

    assert "Known by 0 of 1 partner" in act(admin, driver, "block")

    driver.refresh_from_db()
    assert driver.blocked_at is not None
    assert TokenDelivery.objects.get().due_at is not None
    TokenDelivery.objects.update(confirmed_version=Token.objects.get().version)
    assert "Known by 1 of 1 partner" in page(admin, url_of(driver))
    act(admin, driver, "unblock")
    driver.refresh_from_db()
    assert driver.blocked_at is None


def test_a_card_is_blocked_alone(admin, card):
    act(admin, card, "block")
    card.refresh_from_db()
    assert card.blocked_at is not None
    act(admin, card, "unblock")
    card.refresh_from_db()
    assert card.blocked_at is None


@pytest.mark.parametrize("name", ["block", "add_card"])
def test_a_link_alone_does_nothing(admin, card, name):
    driver = card.contract.driver
    answer = admin.get(reverse(f"admin:drivers_driver_{name}", args=[driver.pk]))

    assert answer.status_code == 200
    driver.refresh_from_db()
    assert driver.blocked_at is None


def test_an_act_without_our_token_is_refused(card, as_role):
    client = as_role("admin")
    client.handler.enforce_csrf_checks = True
    url = reverse("admin:drivers_driver_block", args=[card.contract.driver_id])

    assert client.post(url, DO).status_code == 403


def test_a_driver_gets_another_card(admin, company, card):
    act(admin, card.contract, "add_card", token_uid="04ffee", token_type="RFID", visual_number="NL-2")

    other = Token.objects.get(uid="04FFEE")
    assert (other.contract, other.visual_number) == (card.contract, "NL-2")
    assert "belongs to another account" in act(
        admin, make_card(2).contract, "add_card", token_uid="04FFEE", token_type="RFID", visual_number=""
    )


def test_a_contract_changes_its_plan_from_today_on(admin, company, card):
    plus = Plan.objects.create(name="Plus", currency="SEK", basis="gross")
    PlanPrice.objects.create(plan=plus, valid_from=date(2020, 1, 1), per_kwh=4)

    act(admin, card.contract, "change_plan", plan=plus.pk)

    newest = Subscription.objects.filter(contract=card.contract).order_by("-valid_from").first()
    assert (newest.plan, newest.valid_from) == (plus, timezone.localdate())
    card.refresh_from_db()
    assert card.valid_from is None


def test_what_partners_must_know_of_a_card_is_announced(admin, company, partner, card):
    values = {"visual_number": "NEW-1", "whitelist": "NEVER", "is_valid": "on"}
    admin.post(url_of(card), values)

    changed = Token.objects.get()
    assert (changed.visual_number, changed.whitelist, changed.version) == ("NEW-1", "NEVER", card.version + 1)
    assert TokenDelivery.objects.get().due_at is not None


def test_an_account_says_what_its_invoices_miss(admin, company):
    account = Account.objects.create(name="Bygg AB", kind="company", country="SE", currency="SEK", street="Gatan 1")

    text = page(admin, url_of(account))
    assert "missing: postal code, city, organisation number" in text
    home = page(admin, reverse("admin:index"))
    assert "Accounts that lack what invoices must show" in home
    listed = admin.get(url_of(Account), {"incomplete": "1"}).context["cl"].result_list
    assert list(listed) == [account]


# Partners


def test_an_invitation_shows_its_token_once(admin):
    form = {"name": "Laddnät", "party": "se-lad", "role": "CPO"}
    answer = admin.post(reverse("admin:partners_partner_add"), form)

    token = answer.context["invitation"].token
    assert "no-store" in answer["Cache-Control"]
    assert token in answer.content.decode()
    partner = Partner.objects.get()
    assert (partner.state, str(Party.objects.get())) == ("INVITED", "SE*LAD")
    assert token not in page(admin, url_of(partner))

    again = admin.post(reverse("admin:partners_partner_invite_again", args=[partner.pk]))
    assert again.context["invitation"].token != token
    assert CredentialsToken.objects.filter(revoked_at=None).count() == 1


def test_a_link_to_its_cdrs_is_shown_once_and_taken_back(admin, client, partner):
    url = reverse("admin:partners_partner_share", args=[partner.pk])
    assert admin.post(url, {"holder": "", "days": "90"}).context["form"].errors["holder"]
    answer = admin.post(url, {"holder": "Bokföring", "days": "90"})

    assert "no-store" in answer["Cache-Control"]
    view = answer.context["url"].partition("/view/")[2]
    assert view in answer.content.decode()
    made = Link.objects.get()
    assert (made.holder, made.created_by, (made.expires_at - made.created_at).days) == ("Bokföring", "admin", 90)
    assert url_of(Link, partner__id__exact=partner.pk) in (shown := page(admin, url_of(partner)))
    assert view.partition(".")[0] not in shown + page(admin, url_of(made))
    assert client.get(f"/view/{view}").status_code == 200

    assert act(admin, made, "take_back") == "Taken back."
    assert client.get(f"/view/{view}").status_code == 404
    assert "the link for Bokföring opens nothing any more." in act(admin, made, "take_back")


def test_a_party_is_spelt_like_a_party(admin):
    answer = admin.post(reverse("admin:partners_partner_add"), {"name": "X", "party": "SWEDEN", "role": "CPO"})

    assert answer.context["form"].errors["party"] == ["A country and three characters, such as SE*LAD."]
    assert not Partner.objects.exists()


def test_a_handshake_that_fails_says_why_and_shows_no_token(admin):
    form = {"name": "X", "versions_url": "https://127.0.0.1:1/versions", "token": "their-secret-token"}
    answer = admin.post(reverse("admin:partners_partner_connect"), form)

    assert answer.status_code == 200
    assert answer.context["form"].non_field_errors()
    assert "their-secret-token" not in answer.content.decode()
    assert not Partner.objects.filter(state="CONNECTED").exists()


def test_pulling_makes_feeds_due(admin, partner):
    later = timezone.now() + timedelta(hours=1)
    Feed.objects.update(due_at=later)

    assert "CDRs: due now" in act(admin, partner, "pull_now", modules="cdrs")
    assert set(Feed.objects.filter(due_at__lt=later).values_list("module", flat=True)) == {"cdrs"}
    act(admin, partner, "pull_now", modules="")
    assert not Feed.objects.filter(due_at__gte=later).exists()


def test_a_partner_gets_test_cards_and_finds_them_as_they_were(admin, partner):
    assert "is told of 7 test cards" in act(admin, partner, "reset_cards")
    assert "In order; never ask us" in page(admin, url_of(partner))
    Token.objects.update(blocked_at=NOW)
    act(admin, partner, "reset_cards")
    assert Token.objects.filter(blocked_at=NOW).count() == 0


def test_pushing_makes_cards_due(admin, partner, card):
    assert "1 cards are on their way" in act(admin, partner, "push_now")
    assert TokenDelivery.objects.get().due_at is not None


def test_a_stranger_cannot_be_pulled(admin):
    invited = make_partner(connected=False)
    assert "is not connected" in act(admin, invited, "pull_now", modules="")


def test_an_interval_is_ours_to_choose(admin, partner):
    feeds = list(partner.feeds.order_by("pk"))
    form = {"name": "Laddnät", "role": "CPO", "token_form": "auto", "pace": "1"}
    form |= {"feeds-TOTAL_FORMS": len(feeds), "feeds-INITIAL_FORMS": len(feeds)}
    for place, feed in enumerate(feeds):
        form |= {
            f"feeds-{place}-id": feed.pk,
            f"feeds-{place}-partner": partner.pk,
            f"feeds-{place}-interval": "02:30:00",
        }

    assert admin.post(url_of(partner), form).status_code == 302
    assert set(Feed.objects.values_list("interval", flat=True)) == {timedelta(hours=2, minutes=30)}


def held_aside(partner, **changes):
    """A CDR that could not be taken, in quarantine."""
    body = json.loads(cdr_body("BAD-1", "04AA", "SE-EMP-C00000001-X")) | changes
    body.pop("currency")
    receive(partner, json.dumps(body).encode())
    return Quarantined.objects.get()


def test_an_object_is_mended_and_taken(admin, partner):
    held = held_aside(partner)
    url = reverse("admin:partners_quarantined_mend", args=[held.pk])
    assert "BAD-1" in page(admin, url)

    still_wrong = admin.post(url, {"body": '{"id": "BAD-1"}'})
    assert any("currency" in error for error in still_wrong.context["form"].non_field_errors())
    assert "{&quot;id&quot;: &quot;BAD-1&quot;}" in still_wrong.content.decode()

    mended = json.loads(bytes(held.body)) | {"currency": "SEK"}
    assert admin.post(url, {"body": json.dumps(mended)}).status_code == 302
    held.refresh_from_db()
    assert held.state == "MENDED"
    assert partner.cdrs.get().ocpi_id == "BAD-1"


def test_an_object_is_tried_again_or_dismissed(admin, partner):
    held = held_aside(partner)

    assert "would be refused again: currency" in act(admin, held, "rehearse")
    assert "still cannot be taken" in act(admin, held, "retry")
    act(admin, held, "dismiss")
    held.refresh_from_db()
    assert held.state == "DISMISSED"
    assert "settled already" in act(admin, held, "dismiss")
    assert "Dismiss</a>" not in page(admin, url_of(held))


def message(
    partner, module="sessions", method="PUT", url="/ocpi/2.2.1/sessions/SE/LAD/S-1", body=b"", code=1000, **ids
):
    names = {"request_id": "R-1", "correlation_id": "C-1"} | ids
    exchanges.keep(
        exchanges.Said(
            partner.pk, "IN", module, method, url, body, b"", 200, code, "", names["request_id"], names["correlation_id"],
            timedelta(seconds=1), NOW,
        )
    )  # fmt: skip


def test_a_message_is_found_by_what_it_is_about(admin, partner):
    message(partner, request_id="R-2", correlation_id="C-2")
    message(partner, "cdrs", "POST", "/ocpi/2.2.1/cdrs", b'{"id": "CDR-9"}', code=2001)
    message(partner, "tokens", "POST", "/ocpi/2.2.1/tokens/04abcd/authorize")

    def found(**query):
        listed = admin.get(url_of(Exchange), query).context["cl"].result_list
        return [exchange.module for exchange in listed]

    assert found(q="s-1") == ["sessions"]
    assert found(q="C-2") == found(q="R-2") == ["sessions"]
    assert found(q="cdr-9") == ["cdrs"]
    assert found(q="04ABCD") == ["tokens"]
    assert found(q="04AB") == []
    assert found(outcome="refused") == found(q="CDR-9", outcome="refused") == ["cdrs"]
    assert found(outcome="failed") == found(outcome="none") == []


def test_a_hub_shows_who_is_behind_it_and_another_partner_nobody(admin, partner):
    hub = Partner.objects.create(name="Hub", role="HUB")
    for party_id, status in (("ONE", "CONNECTED"), ("TWO", "OFFLINE")):
        told = {"country_code": "SE", "party_id": party_id, "role": "CPO", "status": status}
        Client.objects.create(hub=hub, last_updated=NOW, received_at=NOW, **told)
    shown = page(admin, url_of(hub))
    assert "SE*ONE" in shown
    assert "SE*TWO" in shown
    assert "SE*ONE" not in page(admin, url_of(partner))


def test_a_party_is_moved_to_another_partner(admin, partner):
    hub = Partner.objects.create(name="Hub", role="HUB")
    party = Party.objects.get()

    admin.post(url_of(party), {"name": "Laddnät", "partner": hub.pk})

    party.refresh_from_db()
    assert party.partner == hub


# CDRs


@pytest.fixture
def stranger(company, partner):
    """A CDR of a card that nobody knows, held by the rating."""
    (cdr,) = receive(partner, cdr_body("CDR-1", "DEADBEEF", "XX-YYY-C00000001"))
    rating.catch_up(NOW)
    return cdr


def test_the_card_of_a_held_cdr_is_attached_and_billed(admin, stranger):
    card = make_card()
    assert "held" in page(admin, url_of(stranger)).lower()

    assert "1 CDR has found a driver" in act(admin, stranger, "attach", contract="anna1@example.com")

    stranger.refresh_from_db()
    assert (stranger.contract, Token.objects.get(uid="DEADBEEF").contract) == (card.contract, card.contract)
    rate_again()
    assert Charge.objects.get(cdr=stranger).account == card.contract.driver.account


def rate_again():
    from apps.charging import checking

    checking.check_due(NOW)
    rating.catch_up(NOW + timedelta(days=1))


def test_a_cdr_is_given_to_a_contract_alone(admin, stranger):
    card = make_card()

    act(admin, stranger, "attach_alone", contract=card.contract.contract_id)

    stranger.refresh_from_db()
    assert stranger.contract == card.contract
    assert not Token.objects.filter(uid="DEADBEEF").exists()


def test_whose_it_is_must_be_one(admin, stranger):
    make_card(1)
    make_card(2)
    url = reverse("admin:charging_cdr_attach", args=[stranger.pk])

    several = admin.post(url, DO | {"contract": "Öberg"}).content.decode()
    assert "Several are" in several
    assert "No contract is found" in admin.post(url, DO | {"contract": "Nobody"}).content.decode()
    stranger.refresh_from_db()
    assert stranger.contract is None


def test_a_verdict_is_released(admin, company, partner):
    card = make_card(blocked_at=NOW - timedelta(days=60))
    (cdr,) = receive(partner, cdr_body("CDR-1", card.uid, card.contract.contract_id))
    holding = Finding.objects.filter(cdr=cdr, driver_severity=Finding.Severity.HOLD)
    assert holding.exists()

    for finding in holding:
        assert f"{finding.code} is released" in act(admin, cdr, "release", finding=finding.pk)

    assert not holding.filter(is_released=False).exists()


def test_a_cdr_says_why_it_costs_what_it_costs(admin, company, partner):
    card = make_card()
    (cdr,) = receive(partner, cdr_body("CDR-1", card.uid, card.contract.contract_id))
    bill()

    text = page(admin, url_of(cdr))

    for words in ("plan Privat", "50.00 SEK", "VAT SE 25", "supplied in SE", "SE000001", "30.00"):
        assert words in text


# Billing


@pytest.fixture
def charged(company, partner):
    card = make_card()
    receive(partner, cdr_body("CDR-1", card.uid, card.contract.contract_id))
    rating.catch_up(NOW)
    return card


@pytest.fixture
def invoice(charged):
    bill()
    return Invoice.objects.get()


def test_a_month_is_previewed_and_issued(admin, charged):
    url = reverse("admin:billing_invoicerun_add")

    preview = admin.post(url, {"period": "2026-10", "preview": "1"}).content.decode()
    assert "Issue these documents" in preview
    assert "50.00" in preview
    assert not Invoice.objects.exists()

    answer = admin.post(url, {"period": "2026-10", "issue": "1"})
    assert "2026-10 is being issued for 1 accounts" in said(answer)
    run = InvoiceRun.objects.get()
    assert answer["Location"] == url_of(run)
    assert not Invoice.objects.exists(), "a worker issues, not the page"
    waits = admin.get(url_of(run))
    assert waits["Refresh"] == "5"
    assert "0 of 1 done" in waits.content.decode()

    assert invoicing.issue_due(timezone.now()) == {f"{run}": True}

    invoice = Invoice.objects.get()
    assert (invoice.number, invoice.gross) == ("SE000001", 50)
    done = admin.get(url_of(run))
    assert "Refresh" not in done
    for words in ("SE000001", "1 of 1 done", "finished", "50.00"):
        assert words in done.content.decode()


def test_a_month_that_is_being_issued_is_not_ordered_again(admin, charged):
    url = reverse("admin:billing_invoicerun_add")
    admin.post(url, {"period": "2026-10", "issue": "1"})
    again = admin.post(url, {"period": "2026-10", "issue": "1"}).content.decode()
    assert f"{InvoiceRun.objects.get()} is being issued" in again
    invoicing.issue_due(timezone.now())
    later = admin.post(url, {"period": "2026-10", "issue": "1"})
    assert "Nothing of 2026-10 is left to be issued" in said(later)
    assert InvoiceRun.objects.count() == Invoice.objects.count() == 1


def test_a_run_that_broke_off_is_shown_with_its_reason(admin, charged):
    admin.post(reverse("admin:billing_invoicerun_add"), {"period": "2026-10", "issue": "1"})
    run = InvoiceRun.objects.get()
    InvoiceRun.objects.update(**run.failed("LockNotAvailable: somebody holds a lock", timezone.now()))
    for url in (url_of(run), url_of(InvoiceRun)):
        assert "broke off, tried again" in page(admin, url)
    assert "somebody holds a lock" in page(admin, url_of(run))
    assert "Invoice runs that broke off and are tried again" in page(admin, reverse("admin:index"))


def test_what_stands_in_the_way_of_issuing_is_named(admin, charged):
    VatRate.objects.update(confirmed_at=None)
    url = reverse("admin:billing_invoicerun_add")

    preview = admin.post(url, {"period": "2026-10", "preview": "1"}).content.decode()
    assert "VAT rate is not confirmed" in preview
    assert "Issue these documents" not in preview
    forced = admin.post(url, {"period": "2026-10", "issue": "1"}).content.decode()
    assert "VAT rate is not confirmed" in forced
    assert not Invoice.objects.exists()


def test_an_invoice_shows_its_lines_and_its_pdf(admin, invoice):
    text = page(admin, url_of(invoice))
    for words in ("SE000001", "Lines (1)", "50.00", "SE*LAD:CDR-1", "rendered"):
        assert words in text

    pdf = admin.get(reverse("admin:billing_invoice_pdf", args=[invoice.pk]))
    assert (pdf["Content-Type"], pdf.content[:5]) == ("application/pdf", b"%PDF-")
    assert pdf.content == bytes(invoice.document.pdf)


def test_an_invoice_is_marked_paid_once(admin, invoice):
    today = timezone.localdate()
    assert "paid on" in act(admin, invoice, "pay", paid_on=f"{today}")

    assert (invoice.payment.paid_on, invoice.payment.marked_by) == (today, User.objects.get(username="admin"))
    assert "is marked as paid already" in act(admin, invoice, "pay", paid_on=f"{today}")


def test_nothing_that_is_issued_can_be_changed(admin, invoice):
    before = Invoice.objects.values().get()

    assert admin.post(url_of(invoice), {"number": "X", "net": "1"}).status_code == 403
    assert admin.post(reverse("admin:billing_invoice_delete", args=[invoice.pk]), {"post": "yes"}).status_code == 403
    assert admin.get(reverse("admin:billing_invoice_add")).status_code == 403
    assert Invoice.objects.values().get() == before


@pytest.mark.parametrize(("kind", "start"), [("csv", "document,kind,issued_on"), ("json", '{"period": "2026-10"')])
def test_a_month_is_exported(admin, invoice, kind, start):
    answer = admin.post(reverse("admin:billing_invoice_export"), {"period": "2026-10", "file_format": kind})

    text = b"".join(answer.streaming_content).decode()
    assert text.startswith(start)
    assert "SE000001" in text
    assert answer["Content-Disposition"] == f'attachment; filename="invoices-2026-10.{kind}"'


def test_a_rate_is_confirmed_by_name_and_then_stays(admin, db):
    found_company(confirmed=False)
    rate = VatRate.objects.filter(country="SE").first()

    act(admin, rate, "confirm")

    rate.refresh_from_db()
    assert (rate.is_confirmed, rate.confirmed_by.username) == (True, "admin")
    admin.post(
        url_of(rate), {"country": "NO", "supply": rate.supply, "rate": "1", "valid_from": "2000-01-01", "source": "x"}
    )
    rate.refresh_from_db()
    assert (rate.country, rate.rate) == ("SE", 25)


def test_a_price_that_charged_somebody_stays(admin, invoice):
    price = PlanPrice.objects.get()
    form = {"name": "Privat", "is_default": "on", "prices-TOTAL_FORMS": 2, "prices-INITIAL_FORMS": 1}
    old = {"id": price.pk, "plan": price.plan_id, "valid_from": "2020-01-01", "country": "", "per_kwh": "9", "per_minute": "0",
           "per_session": "0", "monthly_fee": "0"}  # fmt: skip
    new = old | {"id": "", "valid_from": "2027-01-01"}
    rows = {f"prices-0-{name}": value for name, value in old.items()} | {
        f"prices-1-{name}": value for name, value in new.items()
    }

    refused = admin.post(url_of(price.plan), form | rows)
    assert "Charges were made by this price" in refused.content.decode()
    answer = admin.post(url_of(price.plan), form | rows | {"prices-0-per_kwh": "5"})

    assert answer.status_code == 302, answer.context["errors"]
    assert list(PlanPrice.objects.order_by("valid_from").values_list("per_kwh", flat=True)) == [5, 9]


def test_a_company_is_set_up_in_the_pages(admin, db):
    form = {
        "name": "Nordladd AB", "street": "Kungsgatan 12", "postal_code": "111 35", "city": "Stockholm", "country": "se",
        "organisation_no": "556712-3458", "email": "a@nordladd.example", "payment_days": "30", "time_zone": "Europe/Stockholm",
        "registrations-TOTAL_FORMS": 1, "registrations-INITIAL_FORMS": 0, "registrations-0-country": "SE",
        "registrations-0-vat_id": "SE556712345801", "registrations-0-valid_from": "2020-01-01",
    }  # fmt: skip
    assert admin.post(reverse("admin:billing_legalentity_add"), form).status_code == 302
    company = LegalEntity.objects.get()
    registration = company.registrations.get()
    series = {
        "legal_entity": company.pk, "country": "SE", "vat_id": "SE556712345801", "valid_from": "2020-01-01",
        "series-TOTAL_FORMS": 2, "series-INITIAL_FORMS": 0,
        "series-0-kind": "INVOICE", "series-0-prefix": "SE", "series-0-next_number": "1",
        "series-1-kind": "CREDIT_NOTE", "series-1-prefix": "SEK", "series-1-next_number": "1",
    }  # fmt: skip

    assert admin.post(url_of(registration), series).status_code == 302
    assert company.country == "SE"
    assert set(registration.series.values_list("prefix", flat=True)) == {"SE", "SEK"}


def test_series_in_use_are_the_books(admin, invoice):
    registration = invoice.registration
    answer = admin.get(url_of(registration))
    assert 'name="series-0-prefix"' not in answer.content.decode()


# Home


def test_an_empty_system_says_what_to_set_up(admin, db):
    text = page(admin, reverse("admin:index"))

    steps = admin.get(reverse("admin:index")).context["steps"]
    assert [step.is_done for step in steps] == [False] * 6
    assert "Nothing waits for you." in text


def test_the_checklist_goes_when_all_is_done(admin, company, partner, card):
    assert admin.get(reverse("admin:index")).context["steps"] == []


def test_the_checklist_waits_for_both_series_and_for_where_to_pay(admin, company, partner, card):
    NumberSeries.objects.filter(kind=NumberSeries.Kind.INVOICE).delete()
    assert left_to_do(admin) == ["Number series"]
    LegalEntity.objects.update(iban="", bankgiro="")
    assert left_to_do(admin) == ["Your company", "Number series"]


def left_to_do(admin):
    return [step.title for step in admin.get(reverse("admin:index")).context["steps"] if not step.is_done]


def test_figures_lead_to_what_they_count(admin, stranger):
    make_card()
    context = admin.get(reverse("admin:index")).context
    tiles = {tile.title: tile for tile in context["tiles"]}

    assert (tiles["Drivers"].figure, tiles["CDRs"].figure) == ("1", "1")
    for tile in context["tiles"]:
        for url in (tile.href, *(href for _, href in tile.lines)):
            assert admin.get(url).status_code == 200, url
    nobodys = next(need for need in context["needs"] if "nobody" in need.text)
    assert (nobodys.count, list(admin.get(nobodys.href).context["cl"].result_list)) == (1, [stranger])


def test_needs_lead_to_pages_that_open(admin, stranger, partner):
    held_aside(partner)
    Feed.objects.update(last_good_at=NOW - timedelta(days=9))
    VatRate.objects.update(confirmed_at=None)
    Account.objects.create(name="Bygg AB", kind="company", country="SE", currency="SEK")
    make_partner("Later", "LAT", connected=False)
    agree(partner.parties.get(), valid_until=timezone.localdate() + timedelta(days=9))

    needs = admin.get(reverse("admin:index")).context["needs"]

    assert len(needs) == 7
    for need in needs:
        assert admin.get(need.href).status_code == 200, need


def test_a_timetable_that_nobody_hears_needs_a_person(admin):
    Heartbeat.objects.create(queue="roaming", heard_at=timezone.now() - timedelta(minutes=31))
    Heartbeat.objects.create(queue="billing", heard_at=timezone.now() - timedelta(minutes=2))

    (need,) = [need for need in admin.get(reverse("admin:index")).context["needs"] if "timetable" in need.text]

    assert (need.count, "“roaming”" in need.text) == (31, True)
    assert admin.get(need.href).status_code == 200


def test_open_and_issued_amounts_are_sums(admin, charged):
    figures = {tile.title: str(tile.figure) for tile in admin.get(reverse("admin:index")).context["tiles"]}
    assert "50.00" in figures["Not invoiced yet"]

    invoicing.issue(OCTOBER, timezone.now() + timedelta(days=1))

    figures = {tile.title: str(tile.figure) for tile in admin.get(reverse("admin:index")).context["tiles"]}
    assert (figures["Not invoiced yet"], "50.00" in figures["Issued"]) == ("–", True)


def test_people_log_in_and_land_at_home(client, db):
    User.objects.create_user("eva", password="a-long-password-1", is_staff=True)
    answer = client.post(reverse("admin:login"), {"username": "eva", "password": "a-long-password-1"})

    assert answer.url == reverse("admin:index")
    assert client.get(answer.url).status_code == 200


def test_an_account_in_another_language_is_told_to_partners(admin, company, partner, card):
    account = card.contract.driver.account
    form = {
        name: getattr(account, name)
        for name in ("name", "kind", "street", "postal_code", "city", "country", "currency")
    }

    assert admin.post(url_of(account), form | {"language": "de"}).status_code == 302
    assert Token.objects.get().version == card.version + 1
    assert Contract.objects.count() == 1


# Charge points


def test_support_starts_a_session_and_sees_what_becomes_of_it(as_role):
    furnish(1)
    client, evse, card = as_role("support"), Evse.objects.get(), Token.objects.get()
    for _ in range(2):
        assert "Laddnät is asked." in act(client, evse, "start", card=card.uid)
    command = Command.objects.get(kind="START_SESSION")
    assert (command.token, command.evse_uid, command.requested_by, command.state) == (
        card,
        "E1",
        "support",
        "REQUESTED",
    )
    assert "about to be sent" in page(client, url_of(command))
    assert url_of(command) in page(client, url_of(evse))


def test_other_acts_at_a_charge_point_are_asked_as_well(as_role):
    furnish(1)
    client, evse, session = as_role("operations"), Evse.objects.get(), Session.objects.get()
    Command.objects.all().delete()
    act(client, evse, "reserve", card="NL-000", minutes=45)
    act(client, evse, "unlock", connector=Connector.objects.get().pk)
    act(client, session, "stop")
    reservation, unlock, stop = Command.objects.order_by("pk")
    assert reservation.reserved_until - reservation.requested_at == timedelta(minutes=45)
    assert (unlock.kind, unlock.connector_id, stop.kind, stop.session) == (
        "UNLOCK_CONNECTOR",
        "1",
        "STOP_SESSION",
        session,
    )


def test_what_a_driver_prefers_is_told_where_it_is_taken(as_role):
    furnish(1)
    client, evse, session = as_role("support"), Evse.objects.get(), Session.objects.get()
    Session.objects.update(status="ACTIVE", location_id=evse.location.ocpi_id, evse_uid=evse.uid)
    Evse.objects.update(details={"capabilities": ["RFID_READER"]})
    assert "Charging preferences" not in page(client, url_of(session))
    Evse.objects.update(details={"capabilities": ["CHARGING_PREFERENCES_CAPABLE"]})
    assert "Charging preferences" in page(client, url_of(session))
    assert "Laddnät is asked." in act(client, session, "prefer", profile_type="GREEN", energy_need="12.5")
    command = Command.objects.get(kind="SET_PREFERENCES")
    assert (command.session, command.requested_by) == (session, "support")
    assert "green, 12.5" in page(client, url_of(command))


def test_a_reservation_that_stands_can_be_cancelled(admin):
    furnish(1)
    reservation = Command.objects.get()
    assert "Cancel the reservation" in page(admin, url_of(reservation))
    act(admin, reservation, "cancel")
    cancellation = Command.objects.get(kind="CANCEL_RESERVATION")
    assert cancellation.reservation == reservation
    assert "Cancel the reservation" not in page(admin, url_of(cancellation))


def test_what_cannot_be_asked_is_said(admin):
    furnish(1)
    evse, card = Evse.objects.get(), Token.objects.get()
    act(admin, card, "block")
    assert "the card is blocked" in act(admin, evse, "start", card=card.uid)
    Session.objects.update(status="COMPLETED")
    assert "Stop" not in [
        action["title"] for action in admin.get(url_of(Session.objects.get())).context["actions_detail"]
    ]


def test_the_quirks_of_a_partner_are_filled_by_what_it_does_and_kept_with_who_did_so(admin, partner):
    text = page(admin, url_of(partner))
    assert all(field.help_text in html.unescape(text) for field in quirks.FIELDS)

    told = act(admin, partner, "fill_quirks", preset="CDRs alone, no sessions")

    partner.refresh_from_db()
    assert "CDR id = session id, no sessions" in told
    assert (partner.no_sessions, partner.slash) == (True, False)
    assert not partner.feeds.filter(module="sessions").exists()
    event = apps.get_model("partners", "PartnerEvent").objects.filter(pgh_obj=partner).latest("pgh_id")
    assert (event.no_sessions, event.pgh_context.metadata["user"]) == (True, User.objects.get().pk)

    form = {"name": "Laddnät", "role": "CPO", "token_form": "auto", "pace": "1", "next_pages_at": "https://x.example/"}
    form |= {"feeds-TOTAL_FORMS": 0, "feeds-INITIAL_FORMS": 0}
    assert "A host in small letters" in admin.post(url_of(partner), form).content.decode()
    assert admin.post(url_of(partner), form | {"next_pages_at": "pages.example", "slash": "on"}).status_code == 302
    partner.refresh_from_db()
    assert (partner.next_pages_at, partner.slash, partner.no_sessions) == ("pages.example", True, False)
    assert partner.feeds.filter(module="sessions").exists()


# Agreements
NO_ROWS = {f"shown_accounts-{name}": count for name, count in {"TOTAL_FORMS": 0, "INITIAL_FORMS": 0}.items()}
AGREED = {
    "valid_from": "2026-01-01",
    "commercial_model": "reseller",
    "currency": "SEK",
    "cards": "all",
    "payment_days": 30,
}


def test_an_agreement_is_entered_with_who_did_it_and_its_connection_is_the_partys_from_then_on(as_role, partner):
    party, hub = partner.parties.get(), make_partner("Hub", "HUB")
    operations = as_role("operations")
    add = reverse("admin:partners_agreement_add")
    values = AGREED | NO_ROWS | {"party": party.pk, "partner": hub.pk}
    assert operations.post(add, values).status_code == 302
    agreement = Agreement.objects.get()
    party.refresh_from_db()
    assert (party.partner, agreement.payment_days, agreement.dispute_days) == (hub, 30, None)
    event = apps.get_model("partners", "AgreementEvent").objects.get(pgh_obj=agreement)
    assert event.pgh_context.metadata["user"] == User.objects.get(username="operations").pk
    assert "2026-01-01" in page(operations, url_of(party))
    assert 'name="partner"' not in page(operations, url_of(party)), "it is changed in the agreement"

    said_again = operations.post(add, values | {"currency": "kr", "payment_days": -1}).content.decode()
    for words in ("holds in that time", "three capital letters", "greater than or equal to 0"):
        assert words in said_again
    assert Agreement.objects.count() == 1


def test_accounts_whose_cards_a_party_sees_are_named_and_taken_out_in_its_agreement(as_role, partner, card):
    agreement = agree(partner.parties.get(), cards="named")
    operations, url = as_role("operations"), url_of(agreement)
    row = {"account": card.contract.driver.account.pk, "agreement": agreement.pk}
    values = AGREED | {"partner": partner.pk, "cards": "named", "shown_accounts-TOTAL_FORMS": 1}

    def post(initial, **more):
        named = {f"shown_accounts-0-{name}": value for name, value in (row | more).items()}
        answer = operations.post(url, values | named | {"shown_accounts-INITIAL_FORMS": initial})
        assert answer.status_code == 302, answer.content.decode()
        return list(agreement.shown_accounts.values_list("account__name", flat=True))

    assert post(0) == [card.contract.driver.account.name]
    assert post(1, id=agreement.shown_accounts.get().pk, DELETE="on") == []
