"""Every figure of the home page is the number of rows of the list it leads to, whatever happened before."""

import json
import random
import re
from datetime import timedelta
from itertools import count

import pytest
from django.utils import timezone

from apps.billing.models import Document, Invoice, InvoiceRun, VatRate
from apps.billing.payments import mark_paid
from apps.charging.attaching import attach_card
from apps.charging.models import Cdr, Session
from apps.drivers.models import Account, Contract, Driver
from apps.partners import quarantine
from apps.partners.models import Feed, Partner
from apps.staff.models import User
from apps.tokens.blocking import block_driver, block_token, unblock_driver
from apps.tokens.models import Token, TokenDelivery
from emsp.models import Invariant
from tests.admin.furnished import bill, cdr_body, make_card, make_partner, open_quarantine, receive
from tests.browser.test_acts import work

ACTS, SEED = 50, 2026


class Chance:
    """Somebody who does whatever comes to mind in the back office, and partners who do too."""

    def __init__(self, partner, seed=SEED):
        self.partner, self.random, self.numbers, self.now = partner, random.Random(seed), count(1000), timezone.now()

    def one_of(self, rows):
        rows = list(rows.order_by("pk"))
        return self.random.choice(rows) if rows else None

    def enrol(self):
        make_card(next(self.numbers))

    def charge(self):
        card = self.one_of(Token.objects.all())
        receive(self.partner, cdr_body(f"C-{next(self.numbers)}", card.uid, card.contract.contract_id), now=self.now)

    def charge_strangely(self):
        number = next(self.numbers)
        receive(self.partner, cdr_body(f"S-{number}", f"BEEF{number}", "XX-YYY-C9"), now=self.now)

    def plug_in(self):
        times = dict.fromkeys(("started_at", "whole_at", "last_updated", "received_at"), self.now)
        Session.objects.create(
            party=self.partner.parties.get(), partner=self.partner, ocpi_id=f"S-{next(self.numbers)}", currency="SEK",
            status=self.random.choice(["ACTIVE", "PENDING", "COMPLETED"]), energy=1, body=b"{}", version="2.2.1", **times,
        )  # fmt: skip

    def block(self):
        block_driver(self.one_of(Driver.objects.all()), self.now)

    def unblock(self):
        unblock_driver(self.one_of(Driver.objects.all()), self.now)

    def block_card(self):
        block_token(self.one_of(Token.objects.all()), self.now)

    def attach(self):
        if cdr := self.one_of(Cdr.objects.filter(contract=None).exclude(token_uid="")):
            us = ("SE", "EMP")
            attach_card(cdr, self.one_of(Contract.objects.all()), self.now, us)

    def send_rubbish(self):
        body = json.dumps({"id": f"BAD-{next(self.numbers)}"}).encode()
        receive(self.partner, body, now=self.now)

    def dismiss(self):
        if held := self.one_of(open_quarantine()):
            quarantine.dismiss(held, self.now)

    def bill(self):
        bill(self.now)

    def rate(self):
        work()

    def pay(self):
        if invoice := self.one_of(Invoice.objects.filter(kind="INVOICE", payment=None)):
            mark_paid(invoice, timezone.localdate(self.now), User.objects.first(), self.now)

    def invite(self):
        number = next(self.numbers) % 1000
        make_partner(f"Invited {number}", f"{number:03}", connected=False)

    def fall_silent(self):
        feed = self.one_of(Feed.objects.all())
        Feed.objects.filter(pk=feed.pk).update(last_good_at=self.now - timedelta(days=30))

    def refuse_cards(self):
        delivery = self.one_of(TokenDelivery.objects.all())
        TokenDelivery.objects.filter(pk=delivery.pk).update(due_at=self.now, attempts=9)

    def forget_an_address(self):
        Account.objects.filter(pk=self.one_of(Account.objects.all()).pk).update(street="")

    def doubt_a_rate(self):
        VatRate.objects.filter(pk=self.one_of(VatRate.objects.all()).pk).update(confirmed_at=None)

    def break_off(self):
        InvoiceRun.objects.filter(pk=self.one_of(InvoiceRun.objects.all()).pk).update(
            due_at=self.now + timedelta(days=1), last_error="the disk is full"
        )

    def fail_to_render(self):
        Document.objects.filter(pk=self.one_of(Document.objects.filter(rendered_at=None)).pk).update(
            due_at=self.now + timedelta(days=1), last_error="no such font"
        ) if Document.objects.filter(rendered_at=None).exists() else None

    def act(self):
        acts = [name for name in vars(Chance) if not name.startswith("_") and name not in {"act", "one_of"}]
        getattr(self, self.random.choice(sorted(acts)))()


def figures(page):
    """What stands on the home page as (number, words, address)."""
    links = page.locator("#figures a, #needs a")
    for told in links.evaluate_all("all => all.map(a => [a.innerText.trim(), a.getAttribute('href')])"):
        text, href = told
        if number := re.match(r"^([\d,]+)(?=\s|$)", text):
            yield int(number[1].replace(",", "")), " ".join(text.split()), href


@pytest.mark.parametrize("seed", [SEED])
def test_every_figure_is_what_its_list_has(visit, seed):
    chance = Chance(Partner.objects.get(name="Laddnät"), seed)
    for _ in range(ACTS):
        chance.act()
    Invariant.objects.update(inspected_at=chance.now)  # how long ago it was is a figure that no list has
    page = visit()
    page.goto("/admin/")
    wrong, seen = [], list(figures(page))
    for number, text, href in seen:
        page.goto(href)
        foot = page.locator("div.py-4", has_text=re.compile(r"^\s*\d+\s")).last.inner_text()
        if int(foot.split()[0].replace(",", "")) != number:
            wrong.append(f"{text}: {href} has {foot.strip()}")
    assert len(seen) > 15, seen
    assert not wrong, "\n".join(wrong)
