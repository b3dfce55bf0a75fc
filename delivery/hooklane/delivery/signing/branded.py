"""Other senders' schemes, byte for byte, so that a receiver's existing verifier works.

Their secrets are used as the text they are, prefix and all.
"""

import base64
import hmac
from collections.abc import Sequence

from hooklane.delivery.signing.message import Message, SigningError


class GitHubSigner:
    """`X-Hub-Signature-256: sha256=<hex>` of the body. It has room for one signature: the first."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self._secret = _usable(secrets)[0]

    def headers(self, message: Message) -> tuple[tuple[str, str], ...]:
        return (("x-hub-signature-256", "sha256=" + _hex(self._secret, message.body)),)


class StripeSigner:
    """`Stripe-Signature: t=<seconds>,v1=<hex>` of `t.body`, one `v1` for each secret."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self._secrets = _usable(secrets)

    def headers(self, message: Message) -> tuple[tuple[str, str], ...]:
        signed = b"%d.%b" % (message.timestamp, message.body)
        signatures = (f",v1={_hex(secret, signed)}" for secret in self._secrets)
        return (("stripe-signature", f"t={message.timestamp}" + "".join(signatures)),)


class ShopifySigner:
    """`X-Shopify-Hmac-Sha256: <base64>` of the body. It has room for one signature: the first."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self._secret = _usable(secrets)[0]

    def headers(self, message: Message) -> tuple[tuple[str, str], ...]:
        digest = hmac.digest(self._secret, message.body, "sha256")
        return (("x-shopify-hmac-sha256", base64.b64encode(digest).decode()),)


class SlackSigner:
    """`X-Slack-Signature: v0=<hex>` of `v0:t:body`. It has room for one signature: the first."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self._secret = _usable(secrets)[0]

    def headers(self, message: Message) -> tuple[tuple[str, str], ...]:
        signed = b"v0:%d:%b" % (message.timestamp, message.body)
        return (
            ("x-slack-request-timestamp", str(message.timestamp)),
            ("x-slack-signature", "v0=" + _hex(self._secret, signed)),
        )


def _usable(secrets: Sequence[bytes]) -> tuple[bytes, ...]:
    if not secrets:
        raise SigningError("`signing.secrets` is empty; name at least one secret")
    if not all(secrets):
        raise SigningError("a signing secret is empty")
    return tuple(secrets)


def _hex(secret: bytes, signed: bytes) -> str:
    return hmac.digest(secret, signed, "sha256").hex()
