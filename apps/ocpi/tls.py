"""How calls are encrypted: whom we believe, and who we say we are. Nothing here makes us believe less (trust S52)."""

import secrets
import ssl
import tempfile
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

PEM, PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
PRIVATE_KEY = "PRIVATE KEY-----"


@dataclass(frozen=True)
class Tls:
    """Of one connection, in PEM. `authorities` are believed besides the usual ones, for its calls alone; `certificate`,
    with its chain, and `key` are ours, for a server that asks who calls."""

    authorities: str = ""
    certificate: str = ""
    key: str = field(default="", repr=False)


USUAL = Tls()
"""The authorities that everybody believes, and nobody to show."""


def equip(context: ssl.SSLContext, tls: Tls) -> ssl.SSLContext:
    """The context with what is set; ValueError where OpenSSL does not take it."""
    try:
        _believe(context, tls.authorities)
        _present(context, tls)
    except ssl.SSLError as error:
        raise ValueError(f"cannot be used: {error}") from error
    return context


def _believe(context: ssl.SSLContext, authorities: str) -> None:
    """Each as it is, whoever signed it: a partner may give us only the one that signs for its servers."""
    if authorities:
        context.load_verify_locations(cadata=authorities)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


def _present(context: ssl.SSLContext, tls: Tls) -> None:
    """OpenSSL takes a key from a file alone: it lies there for a moment, encrypted by a password that nobody else knows."""
    if not tls.certificate:
        return
    password = secrets.token_bytes(32)
    locked = _key(tls.key).private_bytes(PEM, PKCS8, serialization.BestAvailableEncryption(password))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "client.pem"
        file.write_bytes(tls.certificate.encode() + locked)
        context.load_cert_chain(file, password=password)


# What staff give us: read, judged, and put into one form. ValueError says in words what is wrong.


def read_authorities(pem: str, now: datetime) -> str:
    """Certificates of authorities, and nothing else, in PEM."""
    certificates = _certificates(pem, now)
    for one in certificates:
        if not _is_authority(one):
            raise ValueError(f"{_name(one)} is no certificate of an authority (CA)")
    return _written(certificates)


def read_certificate(pem: str, now: datetime) -> str:
    """A certificate and, behind it, those that lead from it to its authority, in PEM."""
    return _written(_certificates(pem, now))


def read_key(pem: str, certificate: str) -> str:
    """The private key of a certificate, in PEM (PKCS 8)."""
    key, first = _key(pem), x509.load_pem_x509_certificate(certificate.encode())
    if key.public_key() != first.public_key():
        raise ValueError(f"this is not the key of {_name(first)}")
    text = key.private_bytes(PEM, PKCS8, serialization.NoEncryption()).decode()
    equip(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), Tls(certificate=certificate, key=text))
    return text


def ends_at(pem: str) -> datetime:
    """When the first of these certificates ends."""
    return min(one.not_valid_after_utc for one in x509.load_pem_x509_certificates(pem.encode()))


def end_of(der: bytes) -> datetime:
    """When a certificate ends, as a server shows it."""
    return x509.load_der_x509_certificate(der).not_valid_after_utc


def _certificates(pem: str, now: datetime) -> list[x509.Certificate]:
    if PRIVATE_KEY in pem:
        raise ValueError("a private key is among it, and does not belong here")
    try:
        found = x509.load_pem_x509_certificates(pem.encode())
    except ValueError as error:
        raise ValueError("this is no certificate in PEM: -----BEGIN CERTIFICATE----- and what follows") from error
    for one in found:
        if one.not_valid_after_utc <= now:
            raise ValueError(f"{_name(one)} has expired on {one.not_valid_after_utc:%Y-%m-%d}")
    return found


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _key(pem: str):
    try:
        return serialization.load_pem_private_key(pem.encode(), password=None)
    except TypeError as error:
        raise ValueError("the key has a password: take that away first") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("this is no private key in PEM: -----BEGIN PRIVATE KEY----- and what follows") from error


def _written(certificates: list[x509.Certificate]) -> str:
    return "".join(one.public_bytes(PEM).decode() for one in certificates)


def _name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or f"number {certificate.serial_number}"
