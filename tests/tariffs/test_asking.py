"""What is asked of somebody who plugs in: by which tariff, and whether that is nothing."""

from datetime import UTC, datetime

import pytest

from apps.partners.models import Party
from apps.tariffs.asking import in_force, is_free
from tests.partners.mirrors import example, make_partner

VERSIONS = ["2.1.1", "2.2.1", "2.3.0"]
PATH = "tariffs/SE/LAD/DAY"
BEFORE, DURING, AFTER = (datetime(2026, month, 1, tzinfo=UTC) for month in (3, 4, 5))
SPAN = {"start_date_time": "2026-04-01T00:00:00Z", "end_date_time": "2026-05-01T00:00:00Z"}


@pytest.fixture
def put(call):
    def put(version, path=PATH, **changes):
        answer = call("PUT", path, example("tariff", version, **changes), version)
        assert answer.json()["status_code"] == 1000, answer.text

    return put


@pytest.mark.parametrize("version", VERSIONS[1:])
@pytest.mark.ocpi("TAR-03", "all")
def test_a_tariff_holds_from_its_start_to_before_its_end(version, put, party):
    put(version, **SPAN)
    assert [bool(in_force(party, ["day"], at)) for at in (BEFORE, DURING, AFTER)] == [False, True, False]


@pytest.mark.parametrize("version", VERSIONS[1:])
@pytest.mark.ocpi("TAR-03", "all")
def test_a_tariff_of_people_without_a_contract_is_never_ours(version, put, party):
    put(version, type="AD_HOC_PAYMENT", start_date_time=None)
    assert in_force(party, ["DAY"], DURING) == {}
    put(version, type=None, start_date_time=None, last_updated="2026-03-05T00:00:00Z")
    assert in_force(party, ["DAY"], DURING).keys() == {"DAY"}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.ocpi("TAR-04", "all")
def test_the_id_of_a_tariff_means_another_one_at_another_party(version, put, call, partner, party):
    other = Party.objects.create(country_code="DE", party_id="LAD", partner=partner)
    owner = {} if version == "2.1.1" else {"country_code": "DE"}
    put(version)
    put(version, "tariffs/DE/LAD/DAY", currency="EUR", **owner)
    told = [call("GET", path, version=version).json()["data"]["currency"] for path in (PATH, "tariffs/DE/LAD/DAY")]
    known = [in_force(who, ["DAY"], DURING)["DAY"].currency for who in (party, other)]
    assert told == known == ["SEK", "EUR"]
    stranger = make_partner("Foe", ("SE", "FOE"))
    assert in_force(stranger.parties.get(), ["DAY"], DURING) == {}


@pytest.mark.parametrize(("price", "least", "free"), [(0, None, True), (0, 5, False), (0.01, None, False)])
def test_only_a_price_of_zero_is_free(price, least, free, put, party):
    elements = [{"price_components": [{"type": "FLAT", "price": price, "step_size": 1}]}]
    put("2.2.1", elements=elements, min_price=least and {"excl_vat": least})
    assert is_free(in_force(party, ["DAY"], DURING)["DAY"]) is free
