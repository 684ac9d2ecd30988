"""What versions there are, how each spells a token, and what is the same in two of them."""

import base64

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.ocpi import modules
from apps.ocpi.modules import missing_modules
from apps.ocpi.versions import LISTED, V211, V221, V230, VERSIONS, best_mutual, content_hash, token_forms
from tests.ocpi import bodies

TOKEN = "k3Ab-_9xYz"
ENCODED = base64.b64encode(TOKEN.encode()).decode()


def test_the_versions_that_are_whole_are_listed():
    assert [str(version) for version in LISTED] == ["2.1.1", "2.2.1", "2.3.0"]


@pytest.mark.parametrize(
    ("numbers", "best"),
    [
        (["2.1.1", "2.2.1", "2.3.0"], V230),
        (["2.2.1"], V221),
        (["2.2", "2.2.1-d2", "9.9", "2.2.1"], V221),
        (["2.1.1"], V211),
        (["2.2", ""], None),
        ([], None),
    ],
)
def test_the_newest_version_that_both_speak_is_chosen(numbers, best):
    assert best_mutual(numbers) is best


def test_only_versions_that_we_list_are_chosen():
    assert best_mutual(["2.1.1", "2.3.0"], (V221,)) is None


@pytest.mark.parametrize(
    ("version", "form", "header"),
    [
        (V211, "auto", f"Token {TOKEN}"),
        (V221, "auto", f"Token {ENCODED}"),
        (V230, "auto", f"Token {ENCODED}"),
        (V221, "raw", f"Token {TOKEN}"),
        (V211, "base64", f"Token {ENCODED}"),
    ],
)
def test_a_token_is_written_as_its_version_says(version, form, header):
    assert version.authorization(TOKEN, form) == header


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=64))
@settings(max_examples=300, deadline=None, database=None)
def test_whatever_form_a_peer_chooses_the_token_is_among_those_it_may_mean(token):
    for version in VERSIONS.values():
        for form in ("auto", "raw", "base64"):
            assert token in token_forms(version.authorization(token, form))


@pytest.mark.control("S5")
@pytest.mark.parametrize(
    ("header", "forms"),
    [
        (f"Token {TOKEN}", [TOKEN]),
        (f"Token {ENCODED}", [ENCODED, TOKEN]),
        (f"token {ENCODED}", [ENCODED, TOKEN]),
        (f"  TOKEN   {TOKEN} ", [TOKEN]),
        ("Token " + base64.b64encode(b"abc\n").decode(), ["YWJjCg==", "abc"]),
        ("Token " + base64.b64encode(b"abc\r\n").decode(), ["YWJjDQo=", "abc"]),
        ("Token YWI", ["YWI", "ab"]),
        ("Token YWI====", ["YWI====", "ab"]),
        ("Token " + base64.b64encode(b"a b").decode(), ["YSBi"]),
        ("Token " + base64.b64encode("å".encode()).decode(), ["w6U="]),
        ("Token abcd-_", ["abcd-_"]),
        ("Bearer abc", []),
        ("Token", []),
        ("Token ", []),
        ("Tokenabc", []),
        ("Token a b", []),
        ("Token å", []),
        ("Token a\tb", []),
        ("", []),
        ("Token " + "a" * 600, []),
    ],
)
def test_a_header_means_the_token_as_written_and_decoded(header, forms):
    assert token_forms(header) == forms


def test_a_token_with_a_dash_has_one_meaning_only():
    """So ours are drawn until there is one in them (decision 27): raw and decoded can never be mixed up."""
    assert token_forms(f"Token {TOKEN}") == [TOKEN]


def test_an_unknown_token_has_no_code_in_the_oldest_version():
    assert [version.status_code(2004) for version in VERSIONS.values()] == [2001, 2004, 2004]
    assert [version.status_code(2003) for version in VERSIONS.values()] == [2003, 2003, 2003]


def test_every_version_serves_the_same_modules_and_more_come_later():
    for version in VERSIONS.values():
        assert [module.identifier for module in version.modules] == [
            *("credentials", "locations", "sessions", "cdrs", "tariffs", "tokens", "commands"),
            *(["hubclientinfo"] if version.has_routing else []),
            *(["invoicereconciliation"] if version.newer is None else []),
        ]
    assert {module.role for module in V221.modules} == {modules.SENDER, modules.RECEIVER}


@pytest.mark.parametrize(
    ("offered", "missing"),
    [
        ({("cdrs", "SENDER")}, []),
        ({("locations", "SENDER"), ("tokens", "RECEIVER")}, []),
        ({("cdrs", None)}, []),
        ({("cdrs", "RECEIVER"), ("tokens", "SENDER")}, ["cdrs (SENDER)", "locations (SENDER)"]),
        (set(), ["cdrs (SENDER)", "locations (SENDER)"]),
    ],
)
def test_a_partner_must_have_something_for_us(offered, missing):
    assert missing_modules(offered) == missing


def test_a_hash_is_of_what_an_object_says_and_not_of_when():
    location = V221.read_location(bodies.body("2.2.1", "location"), bodies.OWNER).object
    later = bodies.as_bytes(bodies.sent("2.2.1", "location") | {"last_updated": "2026-03-09T00:00:00.123Z"})
    other = bodies.body("2.2.1", "location").replace(b"Hamngatan 7", b"Hamngatan 8")
    assert content_hash(V221.read_location(later, bodies.OWNER).object) == content_hash(location)
    assert content_hash(V221.read_location(other, bodies.OWNER).object) != content_hash(location)


def test_a_text_about_updates_is_part_of_what_an_object_says():
    location = V221.read_location(bodies.body("2.2.1", "location"), bodies.OWNER).object
    texts = ['"last_updated":"a"', '"last_updated":"b"']
    assert len({content_hash(msgspec.structs.replace(location, name=text)) for text in texts}) == 2


def test_the_order_and_the_blanks_of_a_body_do_not_matter_to_its_hash():
    sent = bodies.sent("2.2.1", "tariff")
    turned = bodies.as_bytes(dict(reversed(sent.items())))
    assert content_hash(V221.read_tariff(turned, bodies.OWNER).object) == content_hash(
        V221.read_tariff(bodies.body("2.2.1", "tariff"), bodies.OWNER).object
    )


def test_a_number_with_other_digits_is_hashed_as_another():
    """It costs one write more, never a change that is missed."""
    body = bodies.body("2.2.1", "tariff")
    changed = body.replace(b'"price": 4.2,', b'"price": 4.3,')
    assert len({content_hash(V221.read_tariff(each, bodies.OWNER).object) for each in (body, changed)}) == 2
