"""Certificates for tests: one authority, and leaves that are right or wrong in one way each."""

import datetime as dt
import ssl
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
# Python 3.13 verifies strictly: an authority must be allowed to sign, a leaf name its key.
_SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    def server(self, folder: Path) -> ssl.SSLContext:
        """A server's context that shows this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.load(context, folder)
        return context

    def load(self, context: ssl.SSLContext, folder: Path) -> None:
        """From now on new connections see this one."""
        name = folder / f"{self.certificate.serial_number:x}.pem"
        name.write_bytes(self.pem + self.key_pem)
        context.load_cert_chain(name)


class Authority:
    """Issues certificates; `client` is a context that trusts nobody else."""

    def __init__(self, name: str = "Test Authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        key_id = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - DAY)
            .not_valid_after(NOW + DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_SIGNS, critical=True)
            .add_extension(key_id, critical=False)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def client(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.pem.decode())

    def issue(self, host: str, ends: dt.datetime = NOW + DAY) -> Issued:
        """A leaf for a DNS name, or for 127.0.0.1."""
        key = ec.generate_private_key(ec.SECP256R1())
        authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        leaf = _leaf(host, key, ends, self._name).add_extension(authority_key, critical=False)
        return Issued(leaf.sign(self._key, hashes.SHA256()), key)


class TrustIn:
    """What the services have for authorities, with this one."""

    version = 0

    def __init__(self, authority: Authority) -> None:
        self.fresh = authority.client
        self._context = authority.client()

    def __call__(self) -> ssl.SSLContext:
        return self._context


def self_signed(host: str) -> Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    return Issued(_leaf(host, key, NOW + DAY, name).sign(key, hashes.SHA256()), key)


def _leaf(
    host: str, key: ec.EllipticCurvePrivateKey, ends: dt.datetime, issuer: x509.Name
) -> x509.CertificateBuilder:
    literal = host == "127.0.0.1"
    name = x509.IPAddress(IPv4Address(host)) if literal else x509.DNSName(host)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 3 * DAY)
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
    )
