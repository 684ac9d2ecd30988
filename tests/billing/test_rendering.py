"""The page people get: everything the law wants on it, in their language, as the same bytes for ever."""

import hashlib
import re
import shutil
from datetime import timedelta

import pypdfium2
import pytest

from apps.billing import rendering
from apps.billing.models import Document, Invoice
from apps.billing.wording import languages, words_of
from tests.billing.charged import NOW, World
from tests.billing.specimens import (
    company,
    credit_note,
    german_credit_note,
    german_private,
    german_reverse_charge,
    issue,
    long,
    private,
    reverse_charge,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def world():
    return World()


def printed(invoice):
    """The words of the PDF on one line, as a person reads them."""
    with pypdfium2.PdfDocument(rendering.render(invoice)) as pdf:
        told = " ".join(page.get_textpage().get_text_bounded() for page in pdf)
    return re.sub(r"\s+", " ", told)


SELLER = [
    "Nordladd Mobilitet AB", "Kungsgatan 12", "111 35", "Stockholm", "556712-3458", "faktura@nordladd.example",
]  # fmt: skip
WANTED = {
    private: [
        "Faktura", "SE-000001", "2026-11-03", "2026-12-03", "2026-09-28 – 2026-10-14", "Åsa Öberg", "Björkvägen 7",
        "753 20 Uppsala", "SE556712345801", "Godkänd för F-skatt", "10,123 kWh × 5,49 kr (4,392 kr exkl. moms)", "Laddning, Hötorget P-hus, Stockholm",
        "16:00–17:30", "Laddat en tidigare månad", "Månadsavgift, gross SEK", "oktober 2026", "25 %", "254,19", "63,55",
        "317,74 kr", "5805-6201", "SE45 5000 0000 0583 9825 7466", "ESSESESS", "inklusive moms", "Sida 1 / 1",
    ],
    company: [
        "Bergströms Åkeri AB", "SE559012000101", "KS 4711", "42,318 kWh × 3,95 kr", "90 min × 0,05 kr",
        "Avgift per laddning 1,50 kr", "1 038,96", "259,74", "1 298,70 kr", "exklusive moms",
    ],
    reverse_charge: [
        "Invoice", "DE-000001", "3 Nov 2026", "3 Dec 2026", "14 Oct 2026", "Logistik Nord GmbH", "Hafenstraße 3",
        "20095 Hamburg", "Germany", "Sweden", "DE123456788", "DE811907980", "Reverse charge: the recipient", "Article 195",
        "24.318 kWh × €0.49", "€23.84", "€0.00", "RF43 DE00 0001",
    ],
    credit_note: [
        "Kreditfaktura", "SEK-000001", "2026-11-04", "Avser faktura SE-000001", "Krediterar belopp på faktura SE-000001 av 2026-11-03",
        "Kredit: Laddning, Hötorget", "12,34", "3,09", "15,43 kr", "Er tillgodo",
    ],
    german_reverse_charge: [
        "Rechnung", "DE-000001", "Ausstellungsdatum 03.11.2026", "Fällig am 03.12.2026", "Leistungszeitraum 14.10.2026",
        "Deutschland", "Schweden", "USt-IdNr. DE123456788", "Ihre USt-IdNr. DE811907980", "24,318 kWh × 0,49 €", "23,84 €", "0,00 €",
        "Steuerschuldnerschaft des Leistungsempfängers", "Artikel 195", "Verwendungszweck", "RF43 DE00 0001", "Zu zahlen bis 03.12.2026",
    ],
    german_private: [
        "Karla Groß", "Leistungszeitraum 28.09.2026 –", "Leistungsdatum", "2.000,5 kWh × 0,59 € (0,4958 € ohne USt.)",
        "Ladevorgang, Alexanderplatz, Berlin", "In einem früheren Monat geladen", "Oktober 2026", "Monatsgebühr, gross EUR",
        "19 %", "1.054,12", "200,28", "1.254,40 €", "enthalten die Umsatzsteuer", "Seite 1 / 1",
    ],
    german_credit_note: [
        "Rechnungskorrektur", "DEK-000001", "Korrigiert Rechnung DE-000001", "Korrektur: Ladevorgang, Hötorget", "11,92 €",
        "nimmt Beträge der Rechnung DE-000001 vom 03.11.2026 zurück", "Zu Ihren Gunsten", "Steuerschuldnerschaft",
    ],
    long: ["Taxi 030 i Stockholm med omnejd AB", "6 844,50", "1 711,13", "8 555,63 kr", "Sida 2 / 4", "Sida 4 / 4"],
}  # fmt: skip


@pytest.mark.parametrize("make", WANTED)
def test_everything_the_law_wants_is_printed(world, make):
    """BIL-77: number, dates, parties, VAT ids, quantity and nature, base, rate and VAT, mentions, where to pay."""
    invoice = make(world)
    text = printed(invoice)
    reference = [invoice.payment_reference] if invoice.currency == "SEK" and invoice.kind == "INVOICE" else []
    missing = [wanted for wanted in SELLER + WANTED[make] + reference if wanted not in text]
    assert not missing, text


def test_what_is_not_meant_for_a_document_is_not_on_it(world):
    credit = printed(credit_note(world))
    assert not [word for word in ("Betalning", "OCR", "IBAN", "Att betala", "Förfallodatum") if word in credit]
    euro = printed(reverse_charge(world))
    assert "Bankgiro" not in euro


def test_nothing_to_pay_is_said_so(world):
    world.charge(world.account(), "0", energy="0")
    text = printed(issue())
    assert "Inget att betala" in text
    assert "IBAN" not in text


def test_the_page_is_pdf_a_and_the_same_every_time(world):
    invoice = private(world)
    pdf = rendering.render(invoice)
    assert pdf.startswith(b"%PDF-1.7")
    assert re.search(rb"pdfaid:part>3<", pdf)
    assert re.search(rb"pdfaid:conformance>B<", pdf)
    assert rendering.render(Invoice.objects.get(pk=invoice.pk)) == pdf


def test_waiting_documents_are_rendered_once_and_kept(world):
    invoice = private(world)
    assert rendering.render_due(NOW) == 1
    kept = Document.objects.get()
    assert kept.sha256 == hashlib.sha256(kept.pdf).hexdigest()
    assert (kept.rendered_at, kept.due_at, kept.attempts) == (NOW, None, 0)
    assert rendering.render_due(NOW + timedelta(days=1)) == 0
    assert bytes(Document.objects.get(invoice=invoice).pdf) == rendering.render(invoice)


def test_texts_of_partners_are_words_and_nothing_else(world):
    """Trust S37: no markup of theirs is run by the page."""
    hostile = '#panic("x") $x$ *b* \\ "quote" <a> ]#[ =x'
    account = world.account(hostile[:60], street="#import", city="//x")
    cdr = world.cdr(location_name=hostile, city="#set", evse_id="`raw`")
    world.charge(account, "10", cdr=cdr)
    text = printed(issue())
    assert '#panic("x") $x$ *b*' in text
    assert "#set" in text


def test_a_document_that_cannot_be_rendered_says_why_and_is_tried_again(world, monkeypatch, tmp_path):
    private(world)
    (tmp_path / "wording").mkdir()
    (tmp_path / "invoice.typ").write_text("#panic()")
    for language in ("sv", "en"):
        shutil.copy(rendering.folder() / "wording" / f"{language}.toml", tmp_path / "wording")
    with monkeypatch.context() as broken:
        broken.setattr(rendering, "folder", lambda: tmp_path)
        assert rendering.render_due(NOW) == 0
    document = Document.objects.get()
    assert "panicked" in document.last_error
    assert NOW < document.due_at < NOW + timedelta(minutes=1)
    assert rendering.render_due(NOW + timedelta(minutes=1)) == 1


def test_who_lost_the_lease_changes_nothing(world):
    private(world)
    (late,) = Document.objects.claim(NOW, rendering.LEASE)
    assert rendering.render_due(NOW + timedelta(minutes=6)) == 1
    assert not rendering._render_claimed(late, late.invoice, NOW)
    assert Document.objects.get().rendered_at == NOW + timedelta(minutes=6)


@pytest.mark.parametrize("language", ["xx", ""])
def test_a_language_without_words_is_told_in_english(world, language, tmp_path):
    world.charge(world.account(language=language), "10")
    assert "To be paid by" in printed(issue())


def test_the_languages_say_the_same_things():
    keys = [
        {(group, key) for group, words in words_of(name).items() if isinstance(words, dict) for key in words}
        for name in languages()
    ]
    assert languages() == {"de", "en", "sv"}
    assert all(each == keys[0] for each in keys)
