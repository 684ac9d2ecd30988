"""A new key goes first, everything is sealed again, the old key goes (trust S3)."""

import json

import pytest
from django.core.management import CommandError, call_command

from apps import sealing
from apps.partners import encryption, peers, resealing
from emsp import local
from tests.ocpi.certifying import Authority

OLD, NEW, OTHER = (local.new_field_key() for _ in range(3))


@pytest.fixture
def sealed(make_partner, settings):
    """Two partners whose tokens the old key sealed, and one that gave us none."""
    settings.FIELD_KEYS = [OLD]
    partners = [make_partner(name=name) for name in ("Ladda", "Volta")]
    for partner in partners:
        partner.outbound_token = sealing.seal(f"token of {partner.name}", peers.place_of_token(partner))
        partner.save()
    make_partner(name="Silent")
    return partners


def test_the_old_key_is_needed_no_more(sealed, settings, capsys):
    settings.FIELD_KEYS = [NEW, OLD]
    call_command("keys", "reseal", "--json")
    assert json.loads(capsys.readouterr().out) == {"count": 2, "unreadable": []}

    settings.FIELD_KEYS = [NEW]
    for partner in sealed:
        partner.refresh_from_db()
        assert peers.token_of(partner) == f"token of {partner.name}"
    settings.FIELD_KEYS = [OLD]
    with pytest.raises(sealing.Unreadable):
        sealing.unseal(sealed[0].outbound_token, peers.place_of_token(sealed[0]))


def test_our_private_keys_are_sealed_again_too(sealed, settings):
    ours = Authority().issue("emsp.test")
    encryption.fit_key(sealed[0], ours.certificate, ours.key)
    sealed[0].client_certificate = ours.certificate
    sealed[0].save()
    settings.FIELD_KEYS = [NEW, OLD]
    assert resealing.reseal() == resealing.Resealed(3, [])

    settings.FIELD_KEYS = [NEW]
    sealed[0].refresh_from_db()
    assert encryption.tls_of(sealed[0]).key == ours.key


def test_what_no_key_opens_is_said_and_stays(sealed, settings):
    before = sealed[0].outbound_token
    settings.FIELD_KEYS = [OTHER]
    with pytest.raises(CommandError, match=r"(?s)still needed, or lost:.*Ladda.*Volta"):
        call_command("keys", "reseal")
    sealed[0].refresh_from_db()
    assert sealed[0].outbound_token == before


def test_a_new_key_is_one(capsys):
    call_command("keys", "new")
    assert local.is_field_key(capsys.readouterr().out.strip())
