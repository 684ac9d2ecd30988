"""Tokens and secrets: how they are made, kept and found, and that they open nothing in another place."""

import re
import threading
from base64 import urlsafe_b64encode
from datetime import timedelta

import httpx
import pytest
from django.db import connections
from django.utils import timezone

from apps.ocpi.errors import MissingEndpoints, PeerFailed
from apps.ocpi.objects import Party
from apps.partners import credentials, handshake, health, peers
from apps.partners.models import CredentialsToken, Feed, Partner
from apps.partners.scope import key_of, parties_of, partner_of
from apps.sealing import Unreadable, seal, unseal


@pytest.mark.control("S1")
def test_tokens_are_long_printable_and_never_base64():
    tokens = {credentials.mint() for _ in range(10_000)}
    assert len(tokens) == 10_000
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", token) and re.search("[-_]", token) for token in tokens)


@pytest.mark.control("S2", "S4")
@pytest.mark.django_db
def test_only_a_digest_is_kept(make_partner, now):
    partner = make_partner()
    token = credentials.issue(partner, CredentialsToken.Kind.CREDENTIALS, now)
    (row,) = CredentialsToken.objects.values()
    assert token not in str(row)
    assert (row["last_four"], len(bytes(row["digest"]))) == (token[-4:], 32)


@pytest.mark.django_db
def test_the_first_use_is_noted_once_and_the_last_one_by_the_hour(make_partner, now):
    partner = make_partner()
    header = f"Token {credentials.issue(partner, CredentialsToken.Kind.CREDENTIALS, now)}"
    for minutes in (1, 2, 90):
        at = now + timedelta(minutes=minutes)
        credentials.note_use(credentials.find(header, at).token, at)
    row = CredentialsToken.objects.get()
    assert (row.first_used_at, row.last_used_at) == (now + timedelta(minutes=1), now + timedelta(minutes=90))


@pytest.mark.django_db
def test_a_use_costs_no_write(make_partner, now, django_assert_num_queries):
    header = f"Token {credentials.issue(make_partner(), CredentialsToken.Kind.CREDENTIALS, now)}"
    credentials.note_use(credentials.find(header, now).token, now)
    with django_assert_num_queries(0):  # of Django's; finding it is a prepared statement
        credentials.note_use(credentials.find(header, now).token, now)


@pytest.mark.control("S3")
def test_what_is_sealed_opens_in_its_own_place_only():
    sealed = seal("a secret", "partner 1 outbound_token")
    assert "secret" not in sealed
    assert sealed != seal("a secret", "partner 1 outbound_token")
    assert unseal(sealed, "partner 1 outbound_token") == "a secret"
    with pytest.raises(Unreadable):
        unseal(sealed, "partner 2 outbound_token")


@pytest.mark.parametrize("spoiled", ["", "AAAA", "å", "no base64 at all", "A" * 100])
def test_what_was_never_sealed_is_unreadable(spoiled):
    with pytest.raises(Unreadable):
        unseal(spoiled, "anywhere")


@pytest.mark.control("S3", "S53")
def test_a_new_key_seals_and_the_old_one_still_opens(settings):
    old, new = settings.FIELD_KEYS[0], urlsafe_b64encode(b"n" * 32).decode()
    sealed = seal("a secret", "here")
    settings.FIELD_KEYS = [new, old]
    assert unseal(sealed, "here") == "a secret"
    again = seal("a secret", "here")
    settings.FIELD_KEYS = [old]
    with pytest.raises(Unreadable, match="FIELD_KEYS"):
        unseal(again, "here")


@pytest.mark.control("S3")
@pytest.mark.django_db
def test_swapped_secrets_of_two_partners_are_not_used(make_partner):
    one, other = make_partner(name="one"), make_partner(name="other")
    one.outbound_token = seal("token-of_one", peers.place_of_token(one))
    other.outbound_token = one.outbound_token
    assert peers.token_of(one) == "token-of_one"
    with pytest.raises(PeerFailed):
        peers.token_of(other)


@pytest.mark.django_db
def test_who_is_not_connected_or_offers_nothing_is_not_called(make_partner):
    with pytest.raises(PeerFailed):
        peers.peer_of(make_partner(state=Partner.State.DISCONNECTED), "tokens")
    with pytest.raises(PeerFailed):
        peers.peer_of(make_partner(), "tokens")
    with pytest.raises(MissingEndpoints, match="cdrs"):
        peers.endpoint(make_partner(), "cdrs", "SENDER")


@pytest.mark.control("S14")
@pytest.mark.django_db
def test_a_partner_acts_for_its_own_parties(make_partner):
    partner, _ = make_partner("SE*LAD", "DE*LAD"), make_partner("SE*OTH", name="Other")
    owners = [Party(*name) for name in (("se", "lad"), ("DE", "LAD"), ("SE", "OTH"), ("S", "E"), ("\x00\x00", "LAD"))]
    found = parties_of(partner, owners)
    assert {key: str(party) for key, party in found.items()} == {("SE", "LAD"): "SE*LAD", ("DE", "LAD"): "DE*LAD"}
    assert parties_of(partner, []) == {}
    assert partner_of(Party("se", "Lad")) == partner
    assert key_of("ſe", "LAD") == key_of("", "") == ("", "")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("hours", "failures", "silent"), [(None, 0, False), (None, 1, True), (17, 5, False), (19, 0, True)]
)
def test_a_feed_is_silent_after_three_intervals(hours, failures, silent, make_partner, now):
    good = None if hours is None else now - timedelta(hours=hours)
    values = {"last_good_at": good, "failures": failures, "last_error": "why", "interval": timedelta(hours=6)}
    Feed.objects.create(partner=make_partner("SE*LAD"), module="cdrs", **values)
    (one,) = health.health_of_all(now)
    (feed,) = one.feeds
    assert (one.name, feed.module, feed.is_silent, feed.error) == ("SE*LAD", "cdrs", silent, "why")
    assert feed.age == (None if hours is None else timedelta(hours=hours))


@pytest.mark.control("S7")
@pytest.mark.django_db(transaction=True)
def test_many_registrations_at_once_make_one_connection(cpo, invitation, site):
    """Whoever answers last, the token the CPO was given last works both ways (trust S7)."""
    tokens = [f"token-{number}_of_the_cpo" for number in range(4)]
    cpo.memory.put(tokens_of_emsp=tokens)
    role = {"role": "CPO", "country_code": "SE", "party_id": "LAD", "business_details": {"name": "CPO"}}
    answers = []

    def register(token):
        body = {"token": token, "url": cpo.versions_url, "roles": [role]}
        header = {"Authorization": f"Token {invitation.token}"}
        url = f"{site}/ocpi/2.2.1/credentials"
        answers.append(httpx.post(url, json=body, headers=header, trust_env=False, timeout=30).json())

    threads = [threading.Thread(target=register, args=(token,)) for token in tokens]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    connections.close_all()
    assert [answer["status_code"] for answer in answers] == [1000] * 4
    partner = Partner.objects.get()
    assert peers.token_of(partner) in tokens
    given = CredentialsToken.objects.filter(kind="C", revoked_at=None)
    assert (given.count(), given.filter(expires_at=None).count()) == (4, 1)
    newest = next(
        answer["data"]["token"]
        for answer in answers
        if credentials.digest(answer["data"]["token"]) == bytes(given.latest("pk").digest)
    )
    header = {"Authorization": f"Token {newest}"}
    assert httpx.get(f"{site}/ocpi/2.2.1/tokens", headers=header, trust_env=False).status_code == 200
    assert CredentialsToken.objects.filter(revoked_at=None).count() == 1


@pytest.mark.control("S7")
@pytest.mark.django_db(transaction=True)
def test_an_invitation_lives_seven_days(site):
    now = timezone.now()
    made = handshake.invite("CPO", Party("SE", "LAD"), now)
    assert made.expires_at == CredentialsToken.objects.get().expires_at == now + timedelta(days=7)
    assert credentials.find(f"Token {made.token}", now + timedelta(days=7, seconds=-1))
    assert credentials.find(f"Token {made.token}", now + timedelta(days=7)) is None
