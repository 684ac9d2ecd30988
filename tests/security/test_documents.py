"""Somebody whose text ends up on documents: a driver's name, a CPO's location (trust S37, S39)."""

import pytest

from apps import typesetting
from apps.billing import invoicing, rendering
from apps.billing.models import Invoice
from tests.billing.charged import NOW, OCTOBER, World

pytestmark = pytest.mark.django_db

TEXTS = {
    "emoji": "Laddstation 🔌⚡ Hötorget",
    "chinese": "充电站",
    "arabic": "محطة الشحن",
    "hebrew": "תחנה",
    "private use": "a\ue000b\U000f0000",
    "no character": "a\ufffe\uffffb",
    "control": "a\x00b\x01\x1b[31m\x7fc\x85d",
    "right to left override": "a\u202egnp.exe",
    "zero width": "a\u200b\u200d\ufeffb",
    "combining": "Z" + "\u0363" * 500,
    "line ends": "a\nb\rc\u2028d\u2029e",
    "long word": "A" * 240,
}


@pytest.mark.control("S37")
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_no_text_keeps_a_document_from_being_made(text):
    """A CPO must not be able to stop an invoice by the name of a place."""
    world = World()
    without_nul = text.replace("\x00", "")
    account = world.account(without_nul[:150], street=without_nul[:100], city=without_nul[:50])
    world.charge(account, "10", cdr=world.cdr(location_name=without_nul, city=without_nul[:45]))
    invoicing.issue(OCTOBER, NOW)
    assert rendering.render(Invoice.objects.get()).startswith(b"%PDF")


def test_our_fonts_have_what_we_say_they_have():
    """Every letter that is kept when others are not shown."""
    letters = "".join(letter for letter in map(chr, range(0x20, 0x2300)) if typesetting._is_ours(letter))
    assert len(letters) > 1500
    assert typesetting.in_our_letters(letters) == letters
    world = World()
    account = world.account("A")
    for start in range(0, len(letters), 200):
        world.charge(account, "10", cdr=world.cdr(location_name=letters[start : start + 200]))
    invoicing.issue(OCTOBER, NOW)
    invoice = Invoice.objects.get()
    page = rendering.worded(invoice, list(invoice.lines.all()))
    assert letters[300:350] in str(page)
    assert typesetting.typeset(rendering.folder() / "invoice.typ", typesetting.in_our_letters(page)).startswith(b"%PDF")
