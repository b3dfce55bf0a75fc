"""Authentication that is one header: a bearer token, a name and password, any other header."""

import base64
from dataclasses import dataclass
from typing import Protocol

from hooklane.delivery.headers import header_value_fault
from hooklane.delivery.request import SetupError
from hooklane.schemas.subscription_parts import Auth, BasicAuth
from hooklane.schemas.subscription_values import SecretRef


class Secrets(Protocol):
    """Where the values behind secret references come from."""

    def resolve(self, reference: str) -> bytes: ...

    def keep_out(self, value: bytes) -> None:
        """This is as secret as what it was made from: it never gets into a log."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Headers to send along. `hidden`: what must not come back out of an answer into a record."""

    headers: tuple[tuple[str, str], ...]
    hidden: tuple[bytes, ...]


def header_credentials(auth: Auth, secrets: Secrets) -> Credentials | None:
    """The header that a document's `auth` asks for; None where it is not of that kind.

    Raises:
        SecretError: a secret is not to be had.
        SetupError: a secret that no header can carry.
    """
    if auth.bearer is not None:
        return bearer(secrets.resolve(auth.bearer.token.written()), "auth.bearer.token")
    if auth.basic is not None:
        return _basic(auth.basic, secrets)
    if auth.header is not None:
        value = _text(secrets, auth.header.value, "auth.header.value")
        return Credentials(((auth.header.name.lower(), value),), (value.encode("latin-1"),))
    return None


def bearer(token: bytes, field: str) -> Credentials:
    """RFC 6750, section 2.1.

    Raises:
        SetupError: no header can carry it. `field`: where it comes from.
    """
    text = _header_text(token, field)
    return Credentials((("authorization", f"Bearer {text}"),), (token,))


def basic_header(username: bytes, password: bytes) -> str:
    """RFC 7617: the value of `Authorization` or `Proxy-Authorization`."""
    return "Basic " + base64.b64encode(username + b":" + password).decode()


def _basic(basic: BasicAuth, secrets: Secrets) -> Credentials:
    password = secrets.resolve(basic.password.written())
    if any(byte < 0x20 or byte == 0x7F for byte in password):
        raise SetupError("the secret of `auth.basic.password` holds a control character")
    value = basic_header(basic.username.encode(), password)
    encoded = value.removeprefix("Basic ").encode()
    secrets.keep_out(encoded)
    return Credentials((("authorization", value),), (encoded, password))


def _text(secrets: Secrets, reference: SecretRef, field: str) -> str:
    return _header_text(secrets.resolve(reference.written()), field)


def _header_text(value: bytes, field: str) -> str:
    text = value.decode("latin-1")
    if not text or header_value_fault(text):
        raise SetupError(f"the secret of `{field}` is not one line of printable text")
    return text
