"""What calls to one partner are encrypted with is given on its page, judged there, and kept with who did so (trust S52)."""

import html
from datetime import timedelta

import pytest
from django.apps import apps
from django.utils import timezone

from apps.partners import certificates, encryption
from apps.partners.models import Partner
from apps.staff.models import User
from apps.staff.office import url_of
from tests.ocpi.certifying import Authority, in_pem, new_key

pytestmark = pytest.mark.django_db
FORM = {
    "name": "Laddnät",
    "role": "CPO",
    "token_form": "auto",
    "pace": "1",
    "feeds-TOTAL_FORMS": 0,
    "feeds-INITIAL_FORMS": 0,
}
ISSUED = Authority("Clients").issue("emsp.test")
EMPTY = {"certificate_authority": "", "client_certificate": "", "private_key": ""}
OURS = {"client_certificate": ISSUED.certificate, "private_key": ISSUED.key}


def as_browsers_send(text):
    return text.replace("\n", "\r\n")


@pytest.fixture
def give(admin, partner):
    """Save the page with these; what it says of them where it refuses."""

    def give(**values):
        sent = {name: as_browsers_send(value) for name, value in (EMPTY | values).items()}
        answer = admin.post(url_of(partner), FORM | sent)
        partner.refresh_from_db()
        if answer.status_code == 302:
            return {}
        shown = answer.context["adminform"]
        assert not [
            part for part in shown if part.is_collapsible and "certificate_authority" in part.fields
        ]  # it stands open
        errors = shown.form.errors
        return {name: html.unescape(" ".join(told)) for name, told in errors.items()}

    return give


def events(partner):
    return apps.get_model("partners", "PartnerEvent").objects.filter(pgh_obj=partner).order_by("pgh_id")


@pytest.mark.control("S52")
def test_an_authority_is_kept_with_who_gave_it(give, partner):
    authority = Authority()
    assert give(certificate_authority=authority.certificate) == {}
    assert partner.certificate_authority == authority.certificate
    event = events(partner).last()
    assert (event.certificate_authority, event.pgh_context.metadata["user"]) == (
        authority.certificate,
        User.objects.get().pk,
    )
    assert give() == {} and partner.certificate_authority == ""


@pytest.mark.control("S52")
@pytest.mark.parametrize(
    ("given", "field", "reason"),
    [
        ({"certificate_authority": "trust me"}, "certificate_authority", "no certificate in PEM"),
        ({"certificate_authority": ISSUED.certificate}, "certificate_authority", "CN=emsp.test is no certificate of an authority"),
        ({"certificate_authority": Authority("Old", days=-2).certificate}, "certificate_authority", "CN=Old has expired on 2"),
        ({"certificate_authority": ISSUED.key}, "certificate_authority", "a private key is among it"),
        (OURS | {"client_certificate": "-----BEGIN CERTIFICATE-----"}, "client_certificate", "no certificate in PEM"),
        (OURS | {"client_certificate": Authority().issue("a.test", days=-2).certificate}, "client_certificate", "CN=a.test has expired on 2"),
        (OURS | {"private_key": in_pem(new_key())}, "private_key", "not the key of CN=emsp.test"),
        (OURS | {"private_key": in_pem(new_key(), b"pw")}, "private_key", "has a password"),
        (OURS | {"private_key": ""}, "private_key", "needs its private key"),
        (OURS | {"client_certificate": ""}, "private_key", "the certificate that it belongs to is missing"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_at_its_field(give, partner, given, field, reason):
    told = give(**given)
    assert list(told) == [field] and reason in told[field]
    assert (partner.certificate_authority, partner.client_certificate, partner.client_key) == ("", "", "")


@pytest.mark.control("S52")
def test_a_pair_is_kept_its_key_sealed_and_in_no_history(give, partner):
    assert give(**OURS) == {}
    assert encryption.tls_of(partner).key == ISSUED.key
    assert "PRIVATE KEY" not in partner.client_key
    event = events(partner).last()
    assert event.client_certificate == ISSUED.certificate and not hasattr(event, "client_key")


def test_the_key_stays_until_another_comes_or_the_certificate_goes(give, partner):
    give(**OURS)
    sealed, kept = partner.client_key, events(partner).count()
    assert give(client_certificate=ISSUED.certificate) == {}
    assert (partner.client_key, events(partner).count()) == (sealed, kept)  # nothing changed, so nothing is kept anew
    other = Authority("Others").issue("emsp.test")
    assert "the one that is kept does not fit" in give(client_certificate=other.certificate)["private_key"]
    assert give(client_certificate=other.certificate, private_key=other.key) == {}
    assert encryption.tls_of(partner).key == other.key
    assert give() == {}
    assert (partner.client_certificate, partner.client_key) == ("", "")


def test_one_that_expired_since_hinders_no_other_change(give, partner):
    old = Authority("Old", days=-2).certificate
    Partner.objects.update(certificate_authority=old)
    assert give(certificate_authority=old, name="Another") == {}
    assert (partner.name, partner.certificate_authority) == ("Another", old)


def test_what_is_new_is_looked_at_soon(give, partner):
    now = timezone.now()
    certificates.enlist(now)
    partner.certificates.update(due_at=now + timedelta(days=1), leased_until=now + timedelta(minutes=1))
    give(**OURS)
    assert (
        partner.certificates.filter(due_at__lte=timezone.now(), leased_until=None).count()
        == 1
        == partner.certificates.count()
    )


@pytest.mark.parametrize("role", ["operations", "auditor"])
def test_operations_give_them_and_auditors_read_what_is_public(as_role, partner, role):
    encryption.fit_key(partner, ISSUED.certificate, ISSUED.key)
    partner.client_certificate = ISSUED.certificate
    partner.save()
    page = as_role(role).get(url_of(partner)).content.decode()
    assert ISSUED.certificate.splitlines()[2] in page and "Private key" in page
    assert partner.client_key not in page and ISSUED.key.splitlines()[2] not in page
    assert ('name="private_key"' in page) == (role == "operations") == ("kept, and never shown" not in page)
