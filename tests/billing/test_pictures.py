"""Documents as pictures: whoever changes how they look must look at them, and approve (`make approve`)."""

from pathlib import Path

import pypdfium2
import pytest
from django.core.management.color import no_style
from django.db import connection
from PIL import Image, ImageChops

from apps.billing import rendering
from apps.billing.models import NumberSeries
from apps.drivers.models import Account
from tests.billing import specimens
from tests.billing.charged import World

pytestmark = pytest.mark.django_db
APPROVED = Path(__file__).parent / "approved"
FAR = 96
"""Of 255: a grey that differs by more is another stroke, not another way to smooth it."""
MOST_FAR = 30
"""Pixels of a page at 72 to the inch; a word that moves has more."""
PRINTED = [{"table": model._meta.db_table, "column": "id"} for model in (Account, NumberSeries)]
KINDS = [
    specimens.private, specimens.company, specimens.reverse_charge, specimens.credit_note, specimens.long,
    specimens.german_private, specimens.german_reverse_charge, specimens.german_credit_note,
]  # fmt: skip


@pytest.fixture(autouse=True)
def rows_are_counted_from_one(db):
    """Numbers of customers are printed, and those of series in what payers write."""
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_by_name_sql(no_style(), PRINTED):
            cursor.execute(statement)


def pictures(pdf: bytes) -> list[Image.Image]:
    with pypdfium2.PdfDocument(pdf) as document:
        return [page.render(scale=1, grayscale=True).to_pil() for page in document]


def approved(kind: str) -> list[Path]:
    return sorted(APPROVED.glob(f"{kind}-*.png"))


def far_apart(one: Image.Image, other: Image.Image) -> int:
    """How many pixels differ much."""
    return sum(ImageChops.difference(one, other).histogram()[FAR:])


def approve(kind: str, pages: list[Image.Image]) -> None:
    for old in approved(kind):
        old.unlink()
    for number, page in enumerate(pages, 1):
        page.quantize(16, dither=Image.Dither.NONE).save(APPROVED / f"{kind}-{number}.png", optimize=True)


@pytest.mark.parametrize("make", KINDS, ids=[make.__name__ for make in KINDS])
def test_a_document_looks_as_approved(make, request, tmp_path):
    pages, kind = pictures(rendering.render(make(World()))), make.__name__
    if request.config.getoption("approve"):
        approve(kind, pages)
    expected = [Image.open(file).convert("L") for file in approved(kind)]
    assert len(pages) == len(expected)
    for number, (page, wanted) in enumerate(zip(pages, expected, strict=True), 1):
        page.save(tmp_path / f"{kind}-{number}.png")
        assert page.size == wanted.size
        assert far_apart(page, wanted) <= MOST_FAR, f"page {number}: see {tmp_path}, and `make approve` if it is better"


def test_a_word_that_moved_is_seen():
    page = pictures(rendering.render(specimens.private(World())))[0]
    line = page.crop((60, 280, 300, 292))
    moved = page.copy()
    moved.paste(line, (60, 283))
    assert far_apart(page, moved) > MOST_FAR
