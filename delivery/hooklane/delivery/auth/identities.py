"""Client certificates and authorities of documents, made into TLS contexts as they change."""

import ssl
from collections import OrderedDict
from dataclasses import dataclass
from functools import cache, partial
from hashlib import blake2b
from typing import Final, NamedTuple, Protocol

import structlog

from hooklane.delivery.auth.credentials import Secrets
from hooklane.delivery.engine.tls import as_file, verifying_context
from hooklane.delivery.request import SetupError
from hooklane.delivery.way import Identity, Way
from hooklane.schemas.subscription_parts import Auth

log = structlog.get_logger(__name__)

_REMEMBERED: Final = 1000


class Trusting(Protocol):
    """The service's own authorities (engine.authorities)."""

    @property
    def version(self) -> int: ...
    def fresh(self) -> ssl.SSLContext: ...


class _References(NamedTuple):
    certificate: str | None
    key: str | None
    ca: str | None


@dataclass(slots=True)
class _Made:
    """What was made of the values behind some references, and of which; `fault`: why the newest
    values made nothing."""

    stamp: bytes
    identity: Identity | None
    fault: str | None


class Identities:
    """Makes an identity anew when what its references stand for has changed.

    Certificate and key are two files, and while they are replaced they do not match for a moment:
    where the newest values are of no use the last good identity stays in force.
    """

    def __init__(self, secrets: Secrets, trust: Trusting) -> None:
        self._secrets = secrets
        self._trust = trust
        self._made: OrderedDict[_References, _Made] = OrderedDict()

    def of(self, way: Way) -> Identity | None:
        """The identity that a document asks for, if it asks for one.

        Raises:
            SecretError: one of the references leads nowhere.
            SetupError: what it leads to is no certificate, or there is no key to it.
        """
        references = _references(way.auth, way.ca)
        if references is None:
            return None
        values = [None if one is None else self._secrets.resolve(one) for one in references]
        stamp = _stamp(self._trust.version, values)
        made = self._made.get(references)
        if made is None or made.stamp != stamp:
            made = self._make(references, made, stamp, values)
        self._made.move_to_end(references)
        if made.identity is None:
            raise SetupError(made.fault or "")
        return made.identity

    def _make(
        self,
        references: _References,
        before: _Made | None,
        stamp: bytes,
        values: list[bytes | None],
    ) -> _Made:
        try:
            identity: Identity | None = Identity(
                stamp.hex(), self._context(*values), cache(partial(self._context, *values))
            )
            fault = None
        except SetupError as error:
            identity = None if before is None else before.identity
            fault = str(error)
            if identity is not None:
                log.warning("identity.unusable", reason=fault, kept="the one before")
        made = self._made[references] = _Made(stamp, identity, fault)
        if len(self._made) > _REMEMBERED:
            self._made.popitem(last=False)
        return made

    def _context(
        self, certificate: bytes | None, key: bytes | None, ca: bytes | None
    ) -> ssl.SSLContext:
        context = self._trust.fresh() if ca is None else _trusting_only(ca)
        if certificate is not None and key is not None:
            _load(context, certificate, key)
        return context


def _references(auth: Auth | None, ca: str | None) -> _References | None:
    mtls = None if auth is None else auth.mtls
    if mtls is not None:
        return _References(mtls.certificate.written(), mtls.key.written(), ca)
    return None if ca is None else _References(None, None, ca)


def _stamp(version: int, values: list[bytes | None]) -> bytes:
    digest = blake2b(version.to_bytes(8), digest_size=16)
    for value in values:
        digest.update(b"-" if value is None else len(value).to_bytes(8) + value)
    return digest.digest()


def _trusting_only(ca: bytes) -> ssl.SSLContext:
    try:
        return verifying_context(ca.decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        raise SetupError("`delivery.ca` holds no certificates in PEM") from error


def _load(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    if b"ENCRYPTED" in key:
        raise SetupError("`auth.mtls.key` is encrypted: store it without a passphrase")
    try:
        with as_file(certificate.strip() + b"\n" + key.strip() + b"\n") as path:
            context.load_cert_chain(path, password=_no_passphrase)
    except ssl.SSLError as error:
        matched = error.reason != "KEY_VALUES_MISMATCH"
        raise SetupError(
            "`auth.mtls` needs a certificate and its private key, both in PEM"
            if matched
            else "`auth.mtls.key` is not the key of `auth.mtls.certificate`"
        ) from error


def _no_passphrase() -> bytes:
    """Instead of OpenSSL's question on the terminal."""
    return b""
