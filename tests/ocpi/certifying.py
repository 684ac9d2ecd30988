"""Authorities of tests, what they certify, and servers that show it."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Issued(NamedTuple):
    """In PEM."""

    certificate: str
    key: str
    ends_at: datetime


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def in_pem(key, password: bytes | None = None) -> str:
    how = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how).decode()


class Authority:
    """`days` until it ends, of itself and of what it certifies; less than none where that has ended already."""

    def __init__(self, name: str = "Authority", *, days: float = 3650, above: "Authority | None" = None):
        self.name, self._key = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), new_key()
        signer = above or self
        basic = (x509.BasicConstraints(ca=True, path_length=None), True)
        self.certificate, _, self.ends_at = _signed(self.name, self._key, signer.name, signer._key, days, basic)

    def issue(self, *names: str, days: float = 90) -> Issued:
        """For a server of these names or addresses, or for a client that is called so."""
        key, subject = new_key(), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        alternatives = (x509.SubjectAlternativeName([_general(name) for name in names]), False)
        return _signed(subject, key, self.name, self._key, days, alternatives)


def _general(name: str):
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _signed(subject, key, issuer, issuer_key, days: float, extension) -> Issued:
    ends_at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)
    begun = min(ends_at, datetime.now(UTC)) - timedelta(days=100)
    made = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(begun)
        .not_valid_after(ends_at)
        .add_extension(extension[0], critical=extension[1])
        .sign(issuer_key, hashes.SHA256())
    )
    return Issued(made.public_bytes(serialization.Encoding.PEM).decode(), in_pem(key), ends_at)


class Showing:
    """A server of `tests.ocpi.conftest` that speaks TLS, and perhaps asks who calls."""

    def __init__(self, server, folder, issued: Issued, clients: Authority | None = None):
        self.folder, self.asked, self.shown = folder, [], []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.sni_callback = lambda connection, name, context: self.asked.append(name)
        if clients:
            self._context.verify_mode = ssl.CERT_REQUIRED
            self._context.load_verify_locations(cadata=clients.certificate)
        self.show(issued)
        usual = server.answer
        server.answer = lambda handler, request: (
            self.shown.append(handler.connection.getpeercert()),
            usual(handler, request),
        )
        server.socket = self._context.wrap_socket(server.socket, server_side=True)

    def show(self, issued: Issued) -> None:
        """From the next connection on."""
        file = self.folder / "server.pem"
        file.write_text(issued.certificate + issued.key)
        self._context.load_cert_chain(file)
