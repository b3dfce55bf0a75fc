"""Standard Webhooks: `webhook-signature`, one token for each active secret."""

from collections.abc import Sequence

from hooklane.delivery.signing.keys import signing_key
from hooklane.delivery.signing.message import Message, SigningError


class StandardSigner:
    """Signs `id.timestamp.body`. While a secret is rotated, both old and new are given."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        if not secrets:
            raise SigningError("`signing.secrets` is empty; name at least one secret")
        self._keys = tuple(map(signing_key, secrets))

    def headers(self, message: Message) -> tuple[tuple[str, str], ...]:
        signed = signed_content(message.webhook_id, message.timestamp, message.body)
        tokens = [key.token(signed) for key in self._keys]
        return (("webhook-signature", " ".join(tokens)),)


def signed_content(webhook_id: str, timestamp: int, body: bytes) -> bytes:
    return b"%b.%d.%b" % (webhook_id.encode(), timestamp, body)
