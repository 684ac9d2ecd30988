"""Tokens that were really used are nowhere but where they belong (trust S2, S4; invariant I10)."""

import base64
import logging

import httpx
import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from apps.ocpi.errors import PeerFailed
from apps.ocpi.versions import V221
from apps.partners import encryption, handshake
from apps.partners.models import Partner
from apps.staff.models import User
from apps.staff.office import url_of
from tests.ocpi.certifying import Authority, in_pem, new_key

pytestmark = pytest.mark.django_db(transaction=True)


def dump():
    """Every row of every table, as text; bytes as PostgreSQL writes them, and read."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (name,) in cursor.fetchall():
            cursor.execute(f'SELECT t::text FROM "{name}" t')
            for (row,) in cursor.fetchall():
                yield name, row


def spelt(token):
    """As it is, in base64, and both as bytes in hex."""
    forms = [token.encode(), base64.b64encode(token.encode())]
    return {form.decode() for form in forms} | {form.hex() for form in forms}


@pytest.mark.control("S2", "S4")
def test_tokens_are_nowhere_but_with_their_owners(cpo, invitation, site, client, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    cpo.fault("status", value=500, module="versions", method="GET", times=1)  # the first try fails
    cpo.register(invitation.versions_url, invitation.token)
    assert cpo.register(invitation.versions_url, invitation.token).is_ok
    partner = Partner.objects.get()
    tokens = {invitation.token, cpo.memory.get("token_for_us"), *cpo.memory.get("tokens_of_emsp")}
    cpo.fault("code", value=3000, module="credentials", method="PUT", times=1)
    with pytest.raises(PeerFailed):
        handshake.renew(partner, timezone.now())
    handshake.renew(Partner.objects.get(), timezone.now())
    assert cpo.renew().is_ok
    tokens |= {cpo.memory.get("token_for_us"), *cpo.memory.get("tokens_of_emsp")}
    for token in tokens:  # also dead ones, and in places where none belongs
        httpx.get(f"{site}/ocpi/nowhere", headers={"Authorization": f"Token {token}"}, trust_env=False)
        httpx.put(
            f"{site}/ocpi/2.2.1/credentials", content=b"{", headers={"Authorization": f"Token {token}"}, trust_env=False
        )
    client.force_login(User.objects.create_superuser("admin"))
    pages = [client.get(url_of(row)).content.decode() for row in (partner, *partner.exchanges.all())]
    said = [*dump(), ("log", caplog.text), ("stderr", "".join(capfd.readouterr())), *(("page", page) for page in pages)]
    assert len(tokens) >= 4
    assert {"partners_exchange", "partners_partner", "log", "page"} <= {place for place, _ in said}
    for token in tokens:
        for form in spelt(token):
            assert not [place for place, text in said if form in text], token


@pytest.mark.control("S3", "S52")
def test_our_private_keys_are_nowhere_but_sealed(make_partner, client, caplog, capfd):
    """Given, refused, kept, used and looked at by staff."""
    caplog.set_level(logging.DEBUG)
    client.force_login(User.objects.create_superuser("admin"))
    partner, ours, other = make_partner("SE*LAD"), Authority().issue("emsp.test"), new_key()
    form = {"name": "CPO", "role": "CPO", "token_form": "auto", "pace": "1", "client_certificate": ours.certificate}
    form |= {"feeds-TOTAL_FORMS": 0, "feeds-INITIAL_FORMS": 0}
    keys = [in_pem(other), ours.key]
    answers = [client.post(url_of(partner), form | {"private_key": key}) for key in keys]
    assert [answer.status_code for answer in answers] == [200, 302]
    partner.refresh_from_db()
    assert encryption.tls_of(partner).key == ours.key
    with pytest.raises(PeerFailed):
        handshake.stranger(partner, "any-token_1", V221, "auto").get("https://127.0.0.1:9/versions")
    history = reverse("admin:partners_partner_history", args=[partner.pk])
    pages = [client.get(url).content.decode() for url in (url_of(partner), url_of(Partner), history)]
    said = [*dump(), ("log", caplog.text), ("stderr", "".join(capfd.readouterr())), *(("page", page) for page in pages)]
    said.append(("refused", answers[0].content.decode()))
    assert {"partners_exchange", "partners_partner", "partners_partnerevent", "page"} <= {place for place, _ in said}
    for key in keys:
        for line in key.splitlines()[1:-1]:
            for form in spelt(line):
                assert not [place for place, text in said if form in text]
