import pytest

from apps.drivers.contract_ids import ALPHABET, check_digit, next_contract_ids, problem_of
from apps.drivers.models import Account, Contract, Driver, contract_key

KNOWN = {
    "NN123ABCDEFGHI": "T",
    "FRXYZ123456789": "2",
    "ITA1B2C3E4F5G6": "4",
    "ESZU8WOX834H1D": "R",
    "PT73902837ABCZ": "Z",
    "DE83DUIEN83QGZ": "D",
    "DE83DUIEN83ZGQ": "M",
    "DE8AA001234567": "0",
    "NLTNM000122045": "U",
}


@pytest.mark.parametrize(("body", "digit"), KNOWN.items())
def test_check_digits_are_those_that_others_publish(body, digit):
    assert check_digit(body) == digit


def test_one_wrong_character_is_always_noticed():
    body = "SEEMPC00000012"
    for place in range(14):
        others = {body[:place] + character + body[place + 1 :] for character in ALPHABET} - {body}
        assert check_digit(body) not in {check_digit(other) for other in others}


def test_swapped_neighbours_are_always_noticed():
    for body in KNOWN:
        for place in range(13):
            swapped = body[:place] + body[place + 1] + body[place] + body[place + 2 :]
            assert swapped == body or check_digit(swapped) != check_digit(body)


@pytest.mark.parametrize(
    "body", ["SEEMPC0000001", "SEEMPC000000123", "SEEMPC0000001å", "seempc00000012", "SEEMPC\u06600000012"]
)
def test_only_fourteen_capitals_and_digits_have_a_check_digit(body):
    with pytest.raises(ValueError, match="14 of"):
        check_digit(body)


@pytest.mark.parametrize("contract_id", ["SE-EMP-C00000012-8", "se*emp*c00000012", "NL-TNM-012204-5", "DE8AA001234567"])
def test_ids_of_any_shape_are_kept(contract_id):
    assert problem_of(contract_id) is None


@pytest.mark.parametrize("contract_id", ["---", "SE-ÅMP-C00000012", "SE\x00", "X" * 37])
def test_ids_that_no_partner_could_be_told_are_refused(contract_id):
    assert problem_of(contract_id)


@pytest.mark.django_db
def test_new_ids_differ_and_carry_their_check_digit():
    drawn = next_contract_ids(1000, "SE", "EMP")
    keys = [contract_key(contract_id) for contract_id in drawn]
    assert len(set(keys)) == 1000
    assert all(key.startswith("SEEMPC") and check_digit(key[:14]) == key[14] for key in keys)


@pytest.mark.django_db
def test_ids_that_came_from_elsewhere_are_stepped_over():
    drawn = next_contract_ids(1, "SE", "EMP")[0]
    number = int(contract_key(drawn)[6:14])
    taken = f"SEEMPC{number + 1:08}"
    account = Account.objects.create(name="A", kind="private", country="SE", currency="SEK")
    driver = Driver.objects.create(account=account, name="D")
    Contract.objects.create(driver=driver, contract_id=taken + check_digit(taken))
    assert int(contract_key(next_contract_ids(1, "SE", "EMP")[0])[6:14]) == number + 2


@pytest.mark.django_db
def test_two_spellings_of_one_contract_id_are_one_contract():
    account = Account.objects.create(name="A", kind="private", country="SE", currency="SEK")
    driver = Driver.objects.create(account=account, name="D")
    Contract.objects.create(driver=driver, contract_id="se-emp-C00000012-3")
    assert Contract.objects.get(key=contract_key("SE*EMP*C00000012*3")).driver == driver
