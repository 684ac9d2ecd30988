"""Whom we believe to be a partner, and who we say we are: what staff set for one connection (trust S52)."""

from apps import sealing
from apps.ocpi import tls
from apps.ocpi.errors import PeerFailed
from apps.ocpi.tls import USUAL, Tls

from .models import Partner


def tls_of(partner: Partner) -> Tls:
    """How calls to the partner are encrypted; PeerFailed where our key cannot be read."""
    if not partner.certificate_authority and not partner.client_certificate:
        return USUAL
    try:
        return Tls(partner.certificate_authority, partner.client_certificate, _key_of(partner))
    except sealing.Unreadable as error:
        raise PeerFailed(str(error), permanent=True) from error


def _key_of(partner: Partner) -> str:
    key = partner.client_key
    return sealing.unseal(key, sealing.place(partner, "client_key")) if key else ""


def fit_key(partner: Partner, certificate: str, pem: str) -> None:
    """Seal the key of a client certificate into the partner; nothing is saved. Without `pem` the one that is there must
    fit, and without a certificate there is none. ValueError says what is wrong."""
    if not certificate:
        if pem:
            raise ValueError("the certificate that it belongs to is missing")
        partner.client_key = ""
    elif pem:
        partner.client_key = sealing.seal(tls.read_key(pem, certificate), sealing.place(partner, "client_key"))
    elif not partner.client_key:
        raise ValueError("the certificate needs its private key")
    else:
        _refuse_other_key(partner, certificate)


def _refuse_other_key(partner: Partner, certificate: str) -> None:
    try:
        tls.read_key(_key_of(partner), certificate)
    except sealing.Unreadable as error:
        raise ValueError(f"the one that is kept cannot be read ({error}): give it again") from error
    except ValueError as error:
        raise ValueError(f"the one that is kept does not fit: {error}") from error
