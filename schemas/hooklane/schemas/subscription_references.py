"""Which secrets a document refers to. Pure."""

from collections.abc import Iterator

from hooklane.schemas.subscription import Subscription
from hooklane.schemas.subscription_parts import Auth
from hooklane.schemas.subscription_values import SecretRef


def references(document: Subscription) -> Iterator[tuple[str, SecretRef]]:
    """Every reference, and where it stands."""
    signing, auth = document.signing, document.auth
    for place, one in enumerate(() if signing is None else signing.secrets):
        yield f"signing.secrets[{place}]", one
    if document.delivery.ca is not None:
        yield "delivery.ca", document.delivery.ca
    if auth is not None:
        yield from _of_auth(auth)


def _of_auth(auth: Auth) -> Iterator[tuple[str, SecretRef]]:
    if auth.bearer is not None:
        yield "auth.bearer.token", auth.bearer.token
    if auth.basic is not None:
        yield "auth.basic.password", auth.basic.password
    if auth.header is not None:
        yield "auth.header.value", auth.header.value
    if auth.oauth2 is not None:
        yield "auth.oauth2.client_secret", auth.oauth2.client_secret
    if auth.mtls is not None:
        yield "auth.mtls.certificate", auth.mtls.certificate
        yield "auth.mtls.key", auth.mtls.key
    if auth.plugged is not None:
        for name, one in auth.plugged.part.secrets.items():
            yield f"auth.{auth.plugged.name}.secrets.{name}", one
