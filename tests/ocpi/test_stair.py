"""One stair of versions: the same thing said in three versions is the same thing, and descends to what each can say."""

from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest
from msgspec import UNSET

from apps.ocpi import objects, v230
from apps.ocpi.errors import InvalidObject
from apps.ocpi.objects import Party, changes
from apps.ocpi.versions import V211, V221, V230, VERSIONS, content_hash, same_cdr
from tests.ocpi import bodies

OLDER_SAYS_ALL = (
    "connector", "connector_patch", "evse", "evse_patch", "location", "location_patch", "location_references",
    "session_patch",
)  # fmt: skip
OLDER_SAYS_LESS = (
    "authorization", "cdr", "command_response", "command_result", "credentials", "session", "tariff", "token",
)  # fmt: skip
SINCE_2_2 = ("client_info",)
SINCE_2_3 = ("invoice_reconciliation_record",)
OF_A_VERSION = ("version_details",)


def test_every_object_is_compared_between_the_versions_that_have_it():
    compared = (*OLDER_SAYS_ALL, *OLDER_SAYS_LESS, *SINCE_2_2)
    assert sorted((*compared, *SINCE_2_3, *OF_A_VERSION)) == sorted(v230.OBJECTS)
    assert (
        tuple(
            (version, kind)
            for version in bodies.VERSIONS
            for kind in bodies.KINDS
            if not ((kind in SINCE_2_2 and version == "2.1.1") or (kind in SINCE_2_3 and version != "2.3.0"))
        )
        == bodies.EVERY
    )


def read(version, kind, **replaced):
    body = bodies.body(version, kind) if not replaced else bodies.as_bytes(bodies.sent(version, kind) | replaced)
    return VERSIONS[version].read(kind, body, bodies.OWNER).object


@pytest.mark.parametrize("kind", OLDER_SAYS_ALL)
def test_three_versions_give_the_same_object(kind):
    assert read("2.1.1", kind) == read("2.2.1", kind) == read("2.3.0", kind)


@pytest.mark.parametrize("kind", SINCE_2_2)
def test_what_is_newer_is_the_same_in_both(kind):
    assert read("2.2.1", kind) == read("2.3.0", kind)


@pytest.mark.parametrize("kind", OLDER_SAYS_LESS)
def test_the_newer_two_give_the_same_object(kind):
    assert read("2.2.1", kind) == read("2.3.0", kind) != read("2.1.1", kind)


@pytest.mark.parametrize("kind", ["location", "evse", "connector"])
def test_the_same_content_has_the_same_hash_in_every_version(kind):
    assert len({content_hash(read(version, kind)) for version in VERSIONS}) == 1


@pytest.mark.parametrize("kind", ["location", "evse", "connector", "tariff", "session", "cdr", "token"])
@pytest.mark.parametrize("version", bodies.VERSIONS)
def test_what_is_read_is_written_as_it_was_sent(version, kind):
    written = VERSIONS[version].write(kind, read(version, kind))
    assert written == said_by(version, kind)


def said_by(version, kind):
    """What of our body the canonical object keeps: 2.1.1 embeds a whole location in CDRs and sessions."""
    sent = bodies.sent(version, kind)
    if version == "2.1.1" and kind in ("cdr", "session"):
        place, evse = sent["location"], sent["location"]["evses"][0]
        connector = {name: evse["connectors"][0][name] for name in ("id", "standard", "format", "power_type")}
        kept = {"uid": evse["uid"], "evse_id": evse["evse_id"], "connectors": [connector]}
        dropped = ("evses", "type", "last_updated")
        sent["location"] = {name: place[name] for name in place if name not in dropped} | {"evses": [kept]}
        if kind == "session":
            del kept["evse_id"]
            kept["connectors"] = [{"id": "1"}]
            sent["location"] = {"id": "LOC-7", "evses": [kept]}
    return sent


@pytest.mark.parametrize("kind", ["location", "evse", "connector", "tariff", "session", "cdr", "token", "credentials"])
@pytest.mark.parametrize("version", bodies.VERSIONS)
def test_what_is_written_can_be_read_again(version, kind):
    canonical = read("2.3.0", kind)
    written = bodies.as_bytes(VERSIONS[version].write(kind, canonical))
    again = VERSIONS[version].read(kind, written, bodies.OWNER)
    assert again.warnings == []
    assert VERSIONS[version].write(kind, again.object) == VERSIONS[version].write(kind, canonical)


def test_the_same_cdr_is_recognised_over_every_pair_of_versions():
    cdrs = {version: read(version, "cdr") for version in VERSIONS}
    for first in VERSIONS:
        for second in VERSIONS:
            assert same_cdr(cdrs[first], cdrs[second], VERSIONS[first], VERSIONS[second]), (first, second)


@pytest.mark.parametrize("other", bodies.VERSIONS)
def test_a_cdr_with_another_amount_is_another_cdr(other):
    changed = msgspec.structs.replace(read("2.2.1", "cdr"), total_cost=objects.Price(before_taxes=Decimal("76.66")))
    assert not same_cdr(changed, read(other, "cdr"), V221, VERSIONS[other])


def test_a_cdr_that_was_only_published_anew_is_the_same():
    again = read("2.2.1", "cdr", last_updated="2026-03-09T00:00:00Z")
    assert same_cdr(again, read("2.2.1", "cdr"), V221, V221)
    assert content_hash(again) == content_hash(read("2.2.1", "cdr"))


def test_taxes_that_an_older_version_cannot_name_do_not_make_another_cdr():
    newer = read("2.3.0", "cdr")
    split = objects.Price(
        before_taxes=Decimal("76.65"),
        taxes=(
            objects.TaxAmount(name="state", amount=Decimal(19)),
            objects.TaxAmount(name="city", amount=Decimal("0.1625")),
        ),
    )
    named = msgspec.structs.replace(newer, total_cost=split)
    assert same_cdr(named, read("2.2.1", "cdr"), V230, V221)
    assert not same_cdr(named, newer, V230, V230)


def test_the_owner_of_a_2_1_1_object_is_who_the_url_says():
    location = V211.read_location(bodies.body("2.1.1", "location"), Party("DE", "ABC")).object
    assert (location.owner, location.publish) == (Party("DE", "ABC"), True)


def test_an_owner_in_a_2_1_1_body_does_not_count():
    body = bodies.as_bytes(bodies.sent("2.1.1", "cdr") | {"country_code": "NO", "party_id": "XXX"})
    assert V211.read_cdr(body, bodies.OWNER).object.owner == bodies.OWNER


def test_a_price_with_vat_becomes_a_price_and_a_tax():
    cost = read("2.2.1", "cdr").total_cost
    assert (cost.before_taxes, cost.tax_total) == (Decimal("76.65"), Decimal("19.1625"))
    assert [tax.name for tax in cost.taxes] == ["VAT"]


def test_no_vat_said_is_not_the_same_as_no_vat():
    unsaid = V221.read_cdr(bodies.as_bytes(bodies.sent("2.2.1", "cdr") | {"total_cost": {"excl_vat": 5}}), bodies.OWNER)
    none = V221.read_cdr(
        bodies.as_bytes(bodies.sent("2.2.1", "cdr") | {"total_cost": {"excl_vat": 5, "incl_vat": 5}}), bodies.OWNER
    )
    assert unsaid.object.total_cost.tax_total is None
    assert none.object.total_cost.tax_total == 0


def test_prices_with_tax_are_written_before_vat_to_older_versions():
    tariff = read("2.3.0", "tariff", tax_included="YES")
    components = V221.write("tariff", tariff)["elements"][0]["price_components"]
    assert components[0]["price"] == Decimal("3.3600")


def test_two_evses_in_a_2_1_1_cdr_leave_the_evse_unknown():
    body = bodies.sent("2.1.1", "cdr")
    body["location"]["evses"] *= 2
    place = V211.read_cdr(bodies.as_bytes(body), bodies.OWNER).object.cdr_location
    assert (place.id, place.evse_uid, place.connector_standard) == ("LOC-7", None, None)


def test_the_number_that_2_1_1_has_for_a_cost_is_before_vat():
    cost = read("2.1.1", "cdr").total_cost
    assert (cost.before_taxes, cost.taxes) == (Decimal("76.65"), None)


def test_unknown_parking_is_none():
    location = V211.read_location(bodies.as_bytes(bodies.sent("2.1.1", "location") | {"type": "UNKNOWN"}), bodies.OWNER)
    assert location.object.parking_type is None
    assert V211.write("location", location.object)["type"] == "UNKNOWN"


@pytest.mark.parametrize("version", bodies.VERSIONS)
def test_a_patch_says_only_what_it_says(version):
    patch = read(version, "evse_patch")
    assert changes(patch) == {
        "status": "CHARGING",
        "capabilities": None,
        "floor_level": "2",
        "last_updated": datetime(2026, 3, 1, 8, 15, 30, 250000, tzinfo=UTC),
    }
    assert patch.connectors is UNSET and patch.evse_id is UNSET


@pytest.mark.parametrize("version", bodies.VERSIONS)
def test_an_evse_in_a_patch_of_its_location_is_a_patch_too(version):
    (evse,) = read(version, "location_patch").evses
    assert (evse.uid, evse.status) == ("LAD-7-1", UNSET)
    assert evse.connectors[0].tariff_ids == ("DAY",)


@pytest.mark.parametrize("version", bodies.VERSIONS)
@pytest.mark.parametrize(("kind", "field"), [("evse_patch", "status"), ("session_patch", "kwh"), ("evse_patch", "uid")])
def test_what_is_required_cannot_be_cleared(version, kind, field):
    with pytest.raises(InvalidObject) as refused:
        VERSIONS[version].read(kind, bodies.as_bytes(bodies.sent(version, kind) | {field: None}), bodies.OWNER)
    assert [problem.path for problem in refused.value.problems] == [field]


def test_an_empty_2_1_1_patch_says_nothing_at_all():
    assert changes(V211.read_evse_patch(b"{}", bodies.OWNER).object) == {}


@pytest.mark.parametrize("version", [V221, V230], ids=str)
@pytest.mark.parametrize("kind", ["location_patch", "evse_patch", "connector_patch", "session_patch"])
def test_later_patches_need_the_time_they_are_of(version, kind):
    with pytest.raises(InvalidObject, match="last_updated: required"):
        version.read(kind, b"{}", bodies.OWNER)


def test_a_hub_is_a_role_in_one_version_and_a_field_in_the_next():
    body = bodies.sent("2.2.1", "credentials")
    body["roles"].append({"role": "HUB", "country_code": "DE", "party_id": "HBJ", "business_details": {"name": "Hub"}})
    credentials = V221.read_credentials(bodies.as_bytes(body)).object
    assert credentials.hub_party_id == "DEHBJ"
    assert "hub_party_id" not in V221.write("credentials", credentials)


def test_credentials_of_2_1_1_are_of_one_role():
    (role,) = read("2.1.1", "credentials").roles
    assert (role.owner, role.role, role.business_details.name) == (bodies.OWNER, "CPO", "Laddbolaget")


def test_version_details_of_2_1_1_know_no_roles():
    assert {endpoint.role for endpoint in read("2.1.1", "version_details").endpoints} == {None}
    written = V211.write("version_details", read("2.2.1", "version_details"))
    assert written["endpoints"][0] == {"identifier": "credentials", "url": "https://cpo.example/ocpi/2.2.1/credentials"}


@pytest.mark.parametrize("version", bodies.VERSIONS)
def test_a_token_becomes_what_the_version_has_a_word_for(version):
    token = msgspec.structs.replace(read("2.3.0", "token"), type="EMAID")
    assert VERSIONS[version].write("token", token)["type"] == ("EMAID" if version == "2.3.0" else "OTHER")


def test_an_answer_to_authorize_is_as_large_as_its_version():
    answer = read("2.3.0", "authorization")
    assert set(V211.write("authorization", answer)) == {"allowed", "location", "info"}
    assert set(V221.write("authorization", answer)) == {
        "allowed",
        "token",
        "location",
        "authorization_reference",
        "info",
    }


def test_times_are_written_with_z_and_fractions_only_where_they_belong():
    token = msgspec.structs.replace(
        read("2.3.0", "token"), last_updated=datetime(2026, 3, 1, 12, 0, 0, 5000, tzinfo=UTC)
    )
    assert V221.write("token", token)["last_updated"] == "2026-03-01T12:00:00.005Z"
    assert V211.write("token", token)["last_updated"] == "2026-03-01T12:00:00Z"


def test_reading_never_changes_the_bytes_it_was_given():
    body = bodies.body("2.1.1", "cdr")
    copy = bytes(body)
    V211.read_cdr(body, bodies.OWNER)
    assert body == copy
