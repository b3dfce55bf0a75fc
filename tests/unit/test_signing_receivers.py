"""Signatures as the receivers' own libraries verify them, also while a secret is rotated."""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.signature import SignatureVerifier
from standardwebhooks import Webhook, WebhookVerificationError

from hooklane.delivery.signing import Message, signer

OLD, NEW = b"secret-of-may-0123456789", b"secret-of-november-01234"


def whsec(secret: bytes) -> bytes:
    return b"whsec_" + base64.b64encode(secret)


def sent(scheme: str, body: bytes, *secrets: bytes) -> dict[str, str]:
    """The headers of a request of this moment."""
    message = Message("msg_1", int(time.time()), body)
    headers = {"webhook-id": message.webhook_id, "webhook-timestamp": str(message.timestamp)}
    return headers | dict(signer(scheme, secrets).headers(message))


def stripe_takes(headers: dict[str, str], body: bytes, secret: bytes) -> bool:
    try:
        stripe.WebhookSignature.verify_header(
            body.decode(), headers["stripe-signature"], secret.decode(), tolerance=300
        )
    except stripe.SignatureVerificationError:
        return False
    return True


def slack_takes(headers: dict[str, str], body: bytes, secret: bytes) -> bool:
    return SignatureVerifier(secret.decode()).is_valid_request(body, headers)


def standard_takes(headers: dict[str, str], body: bytes, secret: bytes) -> bool:
    try:
        Webhook(whsec(secret).decode()).verify(body, headers, json_parse=False)
    except WebhookVerificationError:
        return False
    return True


def github_takes(headers: dict[str, str], body: bytes, secret: bytes) -> bool:
    """GitHub publishes no library: the steps of its page on validating deliveries."""
    digest = hmac.new(secret, msg=body, digestmod=hashlib.sha256).hexdigest()
    return hmac.compare_digest("sha256=" + digest, headers["x-hub-signature-256"])


def shopify_takes(headers: dict[str, str], body: bytes, secret: bytes) -> bool:
    """Shopify's page on verifying webhooks, step by step."""
    computed = base64.b64encode(hmac.new(secret, body, hashlib.sha256).digest())
    return hmac.compare_digest(computed, headers["x-shopify-hmac-sha256"].encode())


Takes = Callable[[dict[str, str], bytes, bytes], bool]

RECEIVERS: dict[str, Takes] = {
    "standard": standard_takes,
    "github": github_takes,
    "stripe": stripe_takes,
    "shopify": shopify_takes,
    "slack": slack_takes,
}


def secrets_of(scheme: str, *secrets: bytes) -> list[bytes]:
    """As the documents' references give them."""
    return [whsec(one) if scheme == "standard" else one for one in secrets]


@pytest.mark.parametrize("scheme", RECEIVERS)
@given(body=st.text().map(lambda text: text.encode("utf-8", "replace")))
def test_receivers_take_what_is_signed(scheme: str, body: bytes) -> None:
    """Whatever the body, the receiver's library takes it with the secret, and not with another
    one or for another body."""
    takes = RECEIVERS[scheme]
    headers = sent(scheme, body, *secrets_of(scheme, OLD))
    assert takes(headers, body, OLD)
    assert not takes(headers, body, NEW)
    assert not takes(headers, body + b" ", OLD)


@pytest.mark.parametrize("scheme", ["standard", "stripe"])
def test_rotation_in_two_steps_never_fails(scheme: str) -> None:
    """Sender: old, then new and old, then new. A receiver that changes from old to new at any time
    of the middle one verifies every request."""
    takes = RECEIVERS[scheme]
    before = sent(scheme, b"{}", *secrets_of(scheme, OLD))
    between = sent(scheme, b"{}", *secrets_of(scheme, NEW, OLD))
    after = sent(scheme, b"{}", *secrets_of(scheme, NEW))
    assert takes(before, b"{}", OLD)
    assert takes(between, b"{}", OLD)
    assert takes(between, b"{}", NEW)
    assert takes(after, b"{}", NEW)


@pytest.mark.parametrize("scheme", ["github", "shopify", "slack"])
def test_rotation_where_there_is_one_signature(scheme: str) -> None:
    """These have room for one: a receiver that knows both secrets verifies every request."""
    takes = RECEIVERS[scheme]
    for secret in (OLD, NEW):
        headers = sent(scheme, b"{}", secret)
        assert [takes(headers, b"{}", held) for held in (OLD, NEW)].count(True) == 1
