import csv
import io
import json
import threading
from datetime import UTC, date, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections

from apps.billing import fleet_file
from apps.billing.enrolled import EVER
from apps.billing.enrolment import enrol
from apps.billing.models import Plan, Subscription
from apps.drivers.contract_ids import check_digit
from apps.drivers.models import Account, Contract, Driver
from apps.ocpi.objects import Party
from apps.partners.models import Endpoint, Partner
from apps.tokens.models import Token, TokenDelivery

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 10, 15, 12, 0, tzinfo=UTC)
US = Party("SE", "EMP")
ANNA = {"account": "Anna", "kind": "private", "country": "SE", "currency": "SEK", "driver": "Anna", "token_uid": "04a1"}
BERT = ANNA | {"account": "Bert", "driver": "Bert", "token_uid": "04b1"}
FLEET = {"account": "Fleet AB", "kind": "company", "country": "SE", "currency": "SEK"}
ONE_OF_EACH = {"accounts": 1, "drivers": 1, "contracts": 1, "tokens": 1}
NONE = dict.fromkeys(ONE_OF_EACH, 0)


def sheet(*rows):
    """Read as a file, so that every test goes through what people send."""
    text = io.StringIO()
    writer = csv.DictWriter(text, {name: None for row in rows for name in row}, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return fleet_file.read(text.getvalue().encode())


def take(*rows, now=NOW, **options):
    return enrol(sheet(*rows), now=now, us=US, **options)


def wrong(result):
    return [(error.line, error.column) for error in result.errors]


def test_a_line_makes_an_account_a_driver_a_contract_and_a_card():
    result = take(ANNA | {"email": "Anna@Example.com", "street": "Storgatan 1", "language": "sv"})
    token = Token.objects.select_related("contract__driver__account").get()
    driver = token.contract.driver
    assert (result.created, result.updated, result.unchanged, result.errors) == (ONE_OF_EACH, NONE, NONE, [])
    assert (token.uid, token.type, token.whitelist, token.is_valid) == ("04A1", "RFID", "ALLOWED", True)
    assert (driver.name, driver.email) == ("Anna", "anna@example.com")
    assert (driver.account.name, driver.account.street, driver.account.language) == ("Anna", "Storgatan 1", "sv")


def test_an_empty_contract_id_becomes_one_of_ours_with_a_check_digit():
    take(ANNA)
    contract = Contract.objects.get()
    assert contract.contract_id.startswith("SE-EMP-C")
    assert check_digit(contract.key[:14]) == contract.key[14]


def test_the_same_file_twice_changes_nothing():
    rows = [
        ANNA,
        FLEET | {"driver": "Cia", "email": "cia@f.se", "token_uid": "04c1", "valid": "no", "whitelist": "never"},
    ]
    take(*rows)
    result = take(*rows, now=NOW + timedelta(days=1))
    assert (result.created, result.updated) == (NONE, NONE)
    assert result.unchanged == {"accounts": 2, "drivers": 2, "contracts": 2, "tokens": 2}
    assert set(Token.objects.values_list("version", "last_updated")) == {(1, NOW)}


def test_an_empty_cell_leaves_what_is_stored():
    take(ANNA | {"street": "Storgatan 1", "valid": "false", "visual_number": "A-1"})
    take(ANNA | {"street": "", "city": "Lund"})
    assert Account.objects.values_list("street", "city").get() == ("Storgatan 1", "Lund")
    assert Token.objects.values_list("is_valid", "visual_number").get() == (False, "A-1")


def test_what_changed_is_counted_by_kind():
    take(ANNA, BERT)
    result = take(ANNA | {"city": "Lund"}, BERT | {"visual_number": "B-1"})
    assert result.updated == NONE | {"accounts": 1, "tokens": 1}
    assert result.unchanged == {"accounts": 1, "drivers": 2, "contracts": 2, "tokens": 1}


def test_a_changed_card_is_announced_and_an_unchanged_one_is_not():
    partner = Partner.objects.create(name="CPO", state="CONNECTED", version="2.2.1")
    Endpoint.objects.create(partner=partner, identifier="tokens", role="RECEIVER", url="https://cpo.example/tokens")
    take(ANNA, BERT)
    assert TokenDelivery.objects.filter(due_at=NOW).count() == 2
    later = NOW + timedelta(days=1)
    take(ANNA | {"valid": "false"}, BERT, now=later)
    assert Token.objects.get(uid="04A1").version == 2
    assert TokenDelivery.objects.get(due_at=later).token.uid == "04A1"


def test_another_language_is_told_with_every_card_of_the_account():
    take(ANNA, BERT)
    result = take(ANNA | {"language": "de"}, BERT)
    assert result.updated == NONE | {"accounts": 1}
    assert dict(Token.objects.values_list("uid", "version")) == {"04A1": 2, "04B1": 1}


def test_one_wrong_line_keeps_everything_out():
    result = take(ANNA, BERT | {"country": "Sweden", "currency": ""}, ANNA | {"token_uid": "04a2", "valid": "maybe"})
    assert wrong(result) == [(3, "country"), (3, "currency"), (4, "valid")]
    assert (result.created, result.is_good, Account.objects.count()) == (NONE, False, 0)


def test_the_good_lines_are_taken_when_asked_and_of_the_others_nothing():
    rows = [ANNA, BERT | {"plan": "No such plan"}, ANNA | {"token_uid": "04a2"}, ANNA | {"token_uid": "04a1"}]
    result = take(*rows, accept_good=True)
    assert wrong(result) == [(3, "plan"), (5, "token_uid")]
    assert result.created == ONE_OF_EACH | {"tokens": 2}
    assert list(Account.objects.values_list("name", flat=True)) == ["Anna"]


def test_a_dry_run_says_what_would_be_and_leaves_nothing():
    take(ANNA)
    result = take(ANNA | {"city": "Lund"}, BERT, dry_run=True)
    assert (result.created, result.updated) == (ONE_OF_EACH, NONE | {"accounts": 1})
    assert (Account.objects.get().city, result.is_good) == ("", True)


def test_an_unknown_column_is_refused_by_name_even_when_the_good_is_accepted():
    result = take(ANNA | {"colour": "red"}, accept_good=True)
    assert result.errors == [(1, "colour", "unknown column")]
    assert not Account.objects.exists()


def test_a_file_without_a_needed_column_is_refused():
    rows = sheet({name: value for name, value in ANNA.items() if name != "token_uid"})
    assert wrong(enrol(rows, now=NOW, us=US)) == [(1, "token_uid")]


def test_the_account_goes_by_its_own_name_and_is_billed_under_the_legal_one():
    take(FLEET | {"driver": "Cia", "token_uid": "04c1", "name": "Fleet International AB"})
    assert Account.objects.get(name="Fleet AB").name_on_documents == "Fleet International AB"
    take(FLEET | {"driver": "Cia", "token_uid": "04c1", "name": "Fleet AB"})
    assert Account.objects.get().name_on_documents == "Fleet AB"


def test_drivers_of_one_account_are_told_apart_by_e_mail_then_by_name():
    anna = FLEET | {"driver": "Anna"}
    take(anna | {"email": "a1@f.se", "token_uid": "1"}, anna | {"email": "a2@f.se", "token_uid": "2"})
    assert Driver.objects.count() == 2
    result = take(FLEET | {"driver": "Anna Berg", "email": "A1@f.se", "token_uid": "1"})
    assert result.updated == NONE | {"drivers": 1}
    assert Driver.objects.get(email="a1@f.se").name == "Anna Berg"


def test_an_e_mail_that_is_new_goes_to_who_has_the_name_and_none_yet():
    take(ANNA)
    assert take(ANNA | {"email": "a@example.com"}).updated == NONE | {"drivers": 1}
    assert take(ANNA).unchanged == ONE_OF_EACH


def test_a_name_that_two_drivers_have_is_not_guessed():
    anna = FLEET | {"driver": "Anna"}
    take(anna | {"email": "a1@f.se", "token_uid": "1"}, anna | {"email": "a2@f.se", "token_uid": "2"})
    assert wrong(take(anna | {"token_uid": "3"})) == [(2, "driver")]


def test_lines_that_contradict_each_other_are_named():
    result = take(ANNA | {"city": "Lund"}, ANNA | {"city": "Malmö", "token_uid": "04a2"})
    assert result.errors == [(3, "city", "line 2 says Lund")]


def test_one_e_mail_for_two_drivers_is_refused():
    rows = [FLEET | {"driver": name, "email": "office@f.se", "token_uid": name} for name in ("Cia", "Dan")]
    assert take(*rows).errors == [(3, "driver", "line 2 says Cia")]


def test_the_same_card_twice_in_a_file_is_refused():
    assert wrong(take(ANNA, BERT | {"token_uid": "04A1"})) == [(3, "token_uid")]


def test_a_card_of_another_account_is_not_taken_over():
    take(ANNA)
    result = take(BERT | {"token_uid": "04A1"})
    assert result.errors == [(2, "token_uid", "belongs to another account, Anna")]


def test_a_card_may_move_to_another_driver_of_the_account():
    cia, dan = FLEET | {"driver": "Cia", "token_uid": "1"}, FLEET | {"driver": "Dan", "token_uid": "2"}
    take(cia, dan)
    assert take(dan | {"token_uid": "1"}).updated == NONE | {"tokens": 1}
    assert Token.objects.get(uid="1").contract.driver.name == "Dan"


def test_a_contract_of_another_driver_is_refused():
    take(ANNA | {"contract_id": "SE-EMP-C00000012-8"})
    assert wrong(take(BERT | {"contract_id": "seempc000000128"})) == [(2, "contract_id")]


def test_two_cards_of_a_driver_share_the_contract():
    take(ANNA, ANNA | {"token_uid": "04a2"})
    assert take(ANNA | {"token_uid": "04a3"}).unchanged == ONE_OF_EACH | {"tokens": 0}
    assert Contract.objects.count() == 1


def make_plan(name="Basic", currency="SEK", **values):
    return Plan.objects.create(name=name, currency=currency, basis="gross", **values)


def held():
    return list(Subscription.objects.order_by("valid_from").values_list("plan__name", "valid_from", "valid_until"))


def test_the_plan_is_found_by_name_and_holds_for_all_there_ever_was():
    make_plan("Basic"), make_plan("Other", is_default=True)
    take(ANNA | {"plan": "basic"})
    assert held() == [("Basic", EVER, None)]


def test_valid_from_is_the_first_day_of_card_and_plan():
    make_plan()
    take(ANNA | {"plan": "Basic", "valid_from": "2026-11-01"})
    assert held() == [("Basic", date(2026, 11, 1), None)]
    assert Token.objects.get().valid_from == datetime(2026, 11, 1, tzinfo=UTC)


def test_without_a_plan_the_default_of_the_currency_holds_and_without_one_none():
    make_plan("Krona", is_default=True), make_plan("Euro", "EUR")
    take(ANNA, BERT | {"currency": "EUR"})
    assert held() == [("Krona", EVER, None)]


def test_a_plan_in_another_currency_is_refused():
    make_plan("Euro", "EUR")
    assert take(ANNA | {"plan": "Euro"}).errors == [(2, "plan", "Euro is in EUR, the account in SEK")]


def test_another_plan_begins_today_and_ends_the_old_one():
    make_plan("Basic"), make_plan("Plus")
    take(ANNA | {"plan": "Basic"})
    result = take(ANNA | {"plan": "Plus"})
    today = NOW.date()
    assert held() == [("Basic", EVER, today), ("Plus", today, None)]
    assert result.updated == NONE | {"contracts": 1}
    assert take(ANNA | {"plan": "Plus"}).unchanged == ONE_OF_EACH
    assert take(ANNA).unchanged == ONE_OF_EACH


def test_a_plan_does_not_reach_back_before_the_one_before_it():
    make_plan("Basic"), make_plan("Plus")
    take(ANNA | {"plan": "Basic", "valid_from": "2026-10-01"})
    assert wrong(take(ANNA | {"plan": "Plus", "valid_from": "2026-09-01"})) == [(2, "valid_from")]
    assert take(ANNA | {"plan": "Plus", "valid_from": "2026-10-01"}).errors == []
    assert held() == [("Plus", date(2026, 10, 1), None)]


def test_lines_of_one_contract_agree_on_its_plan():
    make_plan("Basic"), make_plan("Plus"), make_plan("Default", is_default=True)
    second = ANNA | {"token_uid": "04a2"}
    assert wrong(take(ANNA | {"plan": "Basic"}, second | {"plan": "Plus"})) == [(3, "plan")]
    assert take(ANNA, second | {"plan": "Plus"}).errors == []
    assert held() == [("Plus", EVER, None)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_files_are_read_as_people_save_them(delimiter):
    header = delimiter.join(column.upper() for column in ANNA)
    text = f"\ufeff{header}\r\n\r\n" + delimiter.join(ANNA.values()) + "\r\n" + delimiter * 5
    read = fleet_file.read(text.encode())
    assert (read.errors, [(row.line, row.account, row.country) for row in read.rows]) == ([], [(3, "Anna", "SE")])


def test_errors_name_the_line_a_cell_begins_in():
    header, values = ",".join(ANNA), ",".join(ANNA.values())
    read = fleet_file.read(f'{header},street\n{values},"Storgatan 1\n2 tr"\n{values},x,y'.encode())
    assert [(error.line, error.column) for error in read.errors] == [(2, "street"), (4, "")]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("kind", "person"), ("country", "SWE"), ("currency", "kr"), ("language", "swe"), ("email", "anna"),
        ("token_uid", "å"), ("token_uid", "0" * 37), ("token_type", "NFC"), ("whitelist", "maybe"), ("valid", "2"),
        ("valid_from", "01/10/2026"), ("contract_id", "X" * 37), ("name", "x" * 201), ("city", "a\0b"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_is_named(column, value):
    (error,) = sheet(ANNA | {column: value}).errors
    assert (error.line, error.column) == (2, column)


def test_a_file_in_another_encoding_is_refused_with_its_line():
    assert fleet_file.read("account\nÅsa".encode("latin-1")).errors[0][:2] == (2, "")


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe\x00", b'"', b",,,\n,,,", b"account\x00,kind"])
def test_no_file_is_a_crash(content):
    assert fleet_file.read(content).errors


def test_the_template_is_a_file_that_can_be_taken():
    read = fleet_file.read(fleet_file.template().encode())
    assert enrol(read, now=NOW, us=US).created == ONE_OF_EACH


def fleet(size):
    return [
        FLEET | {"account": f"Fleet {n // 25}", "driver": f"D {n}", "email": f"d{n}@f.se", "token_uid": f"04{n:012x}"}
        for n in range(size)
    ]


def test_the_number_of_statements_does_not_grow_with_the_file(django_assert_max_num_queries):
    make_plan(is_default=True)
    with django_assert_max_num_queries(40):
        assert take(*fleet(500)).created["tokens"] == 500
    with django_assert_max_num_queries(40):
        assert take(*[row | {"visual_number": "new"} for row in fleet(500)]).updated["tokens"] == 500


def test_every_change_has_a_context_and_no_trigger_meets_an_unknown_setting():
    """Where one is missing each row is an error within the triggers, which costs the more the more rows there are."""
    take(*fleet(2))
    for model in (Account, Driver, Contract, Token):
        events = model.pgh_event_model.objects.values_list("pgh_context__metadata__act", flat=True)
        assert set(events) == {"enrolment"}, model
    with connection.cursor() as cursor:
        cursor.execute("SHOW pgtrigger.ignore")
        assert cursor.fetchone() == ("{}",)


@pytest.mark.django_db(transaction=True)
def test_two_people_with_the_same_file_enrol_everyone_once():
    results, start = [], threading.Barrier(2)

    def work():
        start.wait()
        results.append(take(*fleet(50)).created["tokens"])
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(results) == [0, 50]
    assert (Account.objects.count(), Token.objects.count()) == (2, 50)


@pytest.fixture
def fleet_csv(tmp_path):
    path = tmp_path / "fleet.csv"
    path.write_text(fleet_file.template(), encoding="utf-8")
    return path


def test_the_command_answers_in_json(fleet_csv, capsys):
    call_command("drivers", "import", fleet_csv, "--json")
    told = json.loads(capsys.readouterr().out)
    assert told == {"created": ONE_OF_EACH, "updated": NONE, "unchanged": NONE, "errors": []}


def test_the_command_fails_and_says_why(fleet_csv, capsys):
    fleet_csv.write_text("account,wheels\nA,4\n")
    with pytest.raises(CommandError, match="nothing was imported"):
        call_command("drivers", "import", fleet_csv, "--json", "--accept-good")
    told = json.loads(capsys.readouterr().out)
    assert {"line": 1, "column": "wheels", "reason": "unknown column"} in told["errors"]


def test_the_command_says_to_people_what_happened(fleet_csv, capsys):
    call_command("drivers", "import", fleet_csv, "--dry-run")
    assert "created: 1 accounts, 1 drivers, 1 contracts, 1 tokens" in capsys.readouterr().out
    assert not Account.objects.exists()


def test_the_command_gives_a_template(capsys):
    call_command("drivers", "template")
    assert capsys.readouterr().out == fleet_file.template()


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(CommandError, match=r"nowhere\.csv"):
        call_command("drivers", "import", "nowhere.csv")
