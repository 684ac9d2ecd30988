"""`manage.py invoices run`: what people and programs read, and how it ends."""

import json

import pytest
from django.core.management import CommandError, call_command

from apps.billing.models import Invoice
from tests.billing.charged import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def world():
    world = World()
    world.charge(world.account("Anna"), "268.74")
    world.charge(world.account("Berta", street=""), "12.50")
    return world


def run(capsys, *options):
    call_command("invoices", "run", "--period", "2026-10", *options)
    return capsys.readouterr().out


DOCUMENTS = [{"country": "SE", "currency": "SEK", "count": 1, "net": "214.99", "vat": "53.75", "gross": "268.74"}]
HELD = [{"reason": "Berta: lacks street (SEK)", "count": 1, "net": "10.00"}]


@pytest.mark.parametrize("options", [[], ["--preview"]])
def test_it_previews_unless_told_to_issue(world, capsys, options):
    told = json.loads(run(capsys, *options, "--json"))
    assert told == {"period": "2026-10", "preview": True, "documents": DOCUMENTS, "held": HELD}
    assert not Invoice.objects.exists()


def test_it_issues(world, capsys):
    told = json.loads(run(capsys, "--issue", "--json"))
    assert told == {"period": "2026-10", "preview": False, "documents": DOCUMENTS, "held": HELD}
    assert Invoice.objects.get().number == "SE-000001"
    assert json.loads(run(capsys, "--issue", "--json"))["documents"] == []


def test_people_read_sentences(world, capsys):
    text = run(capsys)
    assert "2026-10: would be issued" in text
    assert "SE SEK: 1 documents, net 214.99, VAT 53.75, gross 268.74" in text
    assert "waits: Berta: lacks street (SEK), 1, net 10.00" in text


def test_what_stands_in_the_way_is_told_before_and_refused_then(world, capsys):
    world.rate("SE", "25", confirmed=False)
    assert "in the way: VAT rate is not confirmed: SE" in run(capsys)
    with pytest.raises(CommandError, match="VAT rate is not confirmed: SE") as refused:
        run(capsys, "--issue", "--json")
    assert refused.value.returncode == 1
    assert capsys.readouterr().out == ""
    assert not Invoice.objects.exists()


@pytest.mark.parametrize("wrong", [["--period", "2026-13"], ["--period", "October"], ["--preview", "--issue"], []])
def test_wrong_usage_is_told_apart_from_failure(db, wrong):
    with pytest.raises(CommandError) as refused:
        call_command("invoices", "run", *wrong)
    assert refused.value.returncode in (1, 2)
