"""Changes as lines for an auditor: who, what, from what to what, why, in which request; and no secrets (trust S49)."""

import json
import re
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from apps import sealing
from apps.onboarding.models import Clearance
from apps.partners import credentials, peers
from apps.partners.models import Agreement, CredentialsToken
from apps.tokens.models import ShownAccount
from emsp.audit import chain, tables
from emsp.models import AuditDay
from tests.admin.furnished import make_card, make_partner
from tests.audit.conftest import sql, today
from tests.partners.agreeing import agree

pytestmark = pytest.mark.django_db


def exported(path, first="2020-01-01", last="2100-01-01"):
    call_command("audit", "export", "--from", str(first), "--to", str(last), "--out", str(path))
    return [json.loads(line) for line in path.read_text().splitlines()]


def of(lines, what):
    return [line for line in lines if line["what"] == what]


@pytest.mark.control("S49")
def test_a_line_says_who_changed_what_when_and_why(anna, eva, tmp_path, capsys):
    chain.seal(timezone.now() + chain.GRACE)
    first, second, third = of(exported(tmp_path / "all.jsonl"), "drivers.driver")
    newest = AuditDay.objects.first()
    counts = sum(sql(f"SELECT count(*) FROM {table}")[0][0] for table in tables.names())

    assert (first["kind"], first["before"], first["after"]["name"]) == ("insert", None, "Anna")
    assert (first["reason"], first["request_id"]) == ("a new customer", "r-1")
    assert (second["before"], second["after"]) == ({"name": "Anna"}, {"name": "Anna 2"})
    assert second["who"] == {"id": eva.pk, "name": "eva"}
    assert (second["key"], second["url"]) == (str(anna.pk), "/admin/drivers/driver/1/change/")
    assert second["at"].startswith(str(today() - timedelta(days=3)))
    assert second["at"].endswith("Z")
    assert third["reason"] is None
    assert capsys.readouterr().out == f"{counts} changes. The digest of {newest.day} is {newest.digest}.\n"


@pytest.mark.control("S49")
def test_every_change_is_a_line_once_and_in_order(anna, tmp_path):
    lines = exported(tmp_path / "all.jsonl")
    kept = {f"{table}:{key}" for table in tables.names() for (key,) in sql(f"SELECT pgh_id FROM {table}")}
    assert len(lines) == len(kept)
    assert {line["id"] for line in lines} == kept
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)


def test_the_days_asked_for_and_no_others(anna, tmp_path, capsys):
    day = today() - timedelta(days=3)
    (line,) = exported(tmp_path / "day.jsonl", day, day)
    assert line["after"] == {"name": "Anna 2"}
    assert line["before"] == {"name": "Anna"}, "what was before is told though its own day is not asked for"
    assert "1 changes. None of these days is sealed yet." in capsys.readouterr().out


def test_rows_that_were_added_and_taken_away(tmp_path):
    partner, card = make_partner(), make_card()
    agreement = agree(partner.parties.get(), cards=Agreement.Cards.NAMED)
    ShownAccount.objects.create(agreement=agreement, account=card.contract.driver.account).delete()
    added, removed = of(exported(tmp_path / "all.jsonl"), "tokens.shownaccount")
    assert (added["before"], added["after"]["agreement_id"]) == (None, agreement.pk)
    assert (removed["kind"], removed["before"], removed["after"]) == ("delete", added["after"], None)
    assert removed["who"] is None


@pytest.mark.control("S49")
def test_an_act_of_staff_is_told_with_its_request_and_its_reason(eva, client, tmp_path):
    partner = make_partner()
    client.force_login(eva)
    url = reverse("admin:partners_partner_go_live", args=[partner.pk])
    asked = {"_form_submitted": "on", "reason": "their lab is closed, we saw it ourselves"}
    client.post(url, asked, headers={"X-Request-ID": "from-the-proxy"})
    assert Clearance.objects.exists()
    (line,) = of(exported(tmp_path / "all.jsonl"), "onboarding.clearance")
    assert (line["who"]["name"], line["request_id"], line["url"]) == ("eva", "from-the-proxy", url)
    assert line["reason"] == "their lab is closed, we saw it ourselves"


def test_prices_are_told_to_the_last_decimal(tmp_path):
    sql("UPDATE billing_vatrate SET rate = 12.30 WHERE country = 'SE'")
    lines = of(exported(tmp_path / "all.jsonl"), "billing.vatrate")
    assert lines[-1]["after"] == {"rate": "12.30"}


@pytest.mark.control("S49")
def test_no_secret_is_in_it(tmp_path):
    """What seals, digests or is sealed is tracked nowhere."""
    partner = make_partner()
    partner.outbound_token = sealed = sealing.seal("CANARY-of-ours", peers.place_of_token(partner))
    partner.save()
    token = credentials.issue(partner, CredentialsToken.Kind.CREDENTIALS, timezone.now())
    exported(tmp_path / "all.jsonl")
    text = (tmp_path / "all.jsonl").read_text()
    assert partner.name in text
    for secret in ("CANARY-of-ours", sealed, token):
        assert secret not in text
    columns = [field.name for model in tables.event_models() for field in model._meta.fields]
    assert [
        name for name in columns if re.search(r"token(?!_form)|secret|password|digest|sealed|private_key", name)
    ] == []


def test_the_file_takes_its_name_when_it_is_whole_and_stdout_has_only_lines(anna, tmp_path, capfdbinary):
    out = tmp_path / "all.jsonl"
    exported(out)
    assert [path.name for path in tmp_path.iterdir()] == ["all.jsonl"]
    capfdbinary.readouterr()
    call_command("audit", "export", "--from", "2020-01-01", "--to", "2100-01-01", "--out", "-", "--json")
    told = capfdbinary.readouterr()
    assert told.out == out.read_bytes()
    assert json.loads(told.err) == {"changes": len(out.read_text().splitlines())}


def test_wrong_usage_is_said(db, tmp_path):
    wrong = [("2026-11-02", "2026-11-01", tmp_path / "x"), ("2026-11-01", "2026-11-02", tmp_path / "none" / "x")]
    for first, last, out in wrong:
        with pytest.raises(CommandError, match=r"is before|No such file"):
            call_command("audit", "export", "--from", first, "--to", last, "--out", str(out))
    with pytest.raises(CommandError, match="invalid fromisoformat value"):
        call_command("audit", "export", "--from", "yesterday", "--to", "2026-11-02", "--out", "-")
