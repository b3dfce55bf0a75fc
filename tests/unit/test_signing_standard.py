"""Standard Webhooks: checked against the published vectors, the receivers' library and by hand."""

import base64
import hashlib
import hmac
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from hooklane.delivery.signing import Message, SigningError, signer
from hooklane.delivery.signing.keys import signing_key

# The vectors of the reference libraries, symmetric and asymmetric.
VECTOR = Message("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
SHARED = b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SHARED_TOKEN = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
PRIVATE = b"whsk_VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk="
PRIVATE_TOKEN = (
    "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag=="
)
OTHER = b"whsec_" + base64.b64encode(b"another secret of 32 bytes ....")


def signature(message: Message, *secrets: bytes) -> str:
    ((name, value),) = signer("standard", secrets).headers(message)
    assert name == "webhook-signature"
    return value


@pytest.mark.parametrize(
    ("secrets", "expected"),
    [
        ((SHARED,), SHARED_TOKEN),
        ((PRIVATE,), PRIVATE_TOKEN),
        ((SHARED, PRIVATE), f"{SHARED_TOKEN} {PRIVATE_TOKEN}"),
        ((SHARED.removeprefix(b"whsec_"),), SHARED_TOKEN),
        ((b"  " + SHARED + b"\n",), SHARED_TOKEN),
        ((PRIVATE.rstrip(b"="),), PRIVATE_TOKEN),
    ],
)
def test_published_vectors(secrets: tuple[bytes, ...], expected: str) -> None:
    """Byte for byte what the reference libraries make of the same message."""
    assert signature(VECTOR, *secrets) == expected


@given(st.text(), st.binary(min_size=24, max_size=64))
def test_receivers_library_accepts(body: str, key: bytes) -> None:
    """What is signed here, the `standardwebhooks` package verifies, with or without padding."""
    body_bytes = body.encode("utf-8", "replace")
    message = Message("msg_1", int(time.time()), body_bytes)
    for written in (base64.b64encode(key), base64.b64encode(key).rstrip(b"=")):
        secret = b"whsec_" + written
        headers = {
            "webhook-id": message.webhook_id,
            "webhook-timestamp": str(message.timestamp),
            "webhook-signature": signature(message, secret),
        }
        Webhook(secret.decode()).verify(body_bytes, headers, json_parse=False)


def test_receivers_library_rejects_another_body() -> None:
    """The verification above can fail: another body is rejected."""
    message = Message("msg_1", int(time.time()), b"{}")
    headers = {
        "webhook-id": message.webhook_id,
        "webhook-timestamp": str(message.timestamp),
        "webhook-signature": signature(message, SHARED),
    }
    with pytest.raises(WebhookVerificationError):
        Webhook(SHARED.decode()).verify(b"[]", headers)


@given(st.binary(), st.binary(min_size=24), st.integers(0, 2**40))
def test_independent_verification(body: bytes, key: bytes, timestamp: int) -> None:
    """HMAC-SHA256 over `id.timestamp.body`, for any bytes of a body."""
    token = signature(Message("m", timestamp, body), b"whsec_" + base64.b64encode(key))
    expected = hmac.new(key, f"m.{timestamp}.".encode() + body, hashlib.sha256).digest()
    assert token == "v1," + base64.b64encode(expected).decode()


@given(st.binary(), st.binary(min_size=32, max_size=32), st.sampled_from([b"", b"public"]))
def test_independent_ed25519_verification(body: bytes, seed: bytes, spare: bytes) -> None:
    """The public key alone verifies a `v1a` token; a seed with its public key signs alike."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public = key.public_key()
    secret = seed + public.public_bytes_raw() if spare else seed
    token = signature(Message("m", 7, body), b"whsk_" + base64.b64encode(secret))
    version, _, encoded = token.partition(",")
    assert version == "v1a"
    public.verify(base64.b64decode(encoded), b"m.7." + body)


def test_rotation_never_fails() -> None:
    """While old and new are both active, receivers with either verify each message."""
    message = Message("msg_1", int(time.time()), b"{}")
    for secrets in ((SHARED,), (OTHER, SHARED), (OTHER,)):
        headers = {
            "webhook-id": message.webhook_id,
            "webhook-timestamp": str(message.timestamp),
            "webhook-signature": signature(message, *secrets),
        }
        for held in secrets:
            Webhook(held.decode()).verify(b"{}", headers)


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        (b"", "empty"),
        (b"whsec_", "empty"),
        (b"whsec_ ", "empty"),
        (b"whsec_====", "base64"),
        (b"whsec_" + base64.b64encode(b"x" * 23), "23 bytes"),
        (base64.b64encode(b"x" * 16), "16 bytes"),
        (b"whsec_not-base64-!", "base64"),
        (b"whsec_" + b"A" * 33, "base64"),
        (b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2La=LaSw", "base64"),
        (b"\xff\xfe" * 20, "base64"),
        (b"whsk_" + base64.b64encode(b"x" * 31), "32 or 64"),
        (b"whsk_" + base64.b64encode(b"x" * 64), "does not belong"),
        (b"whpk_" + base64.b64encode(b"x" * 32), "public"),
    ],
)
def test_bad_secrets_are_refused(secret: bytes, words: str) -> None:
    """A secret that is empty, short, or no key is refused, in a sentence that does not show it."""
    with pytest.raises(SigningError, match=words) as caught:
        signer("standard", (secret,))
    shown = secret.removeprefix(b"whsec_").strip().decode("latin-1")
    assert len(shown) < 8 or shown not in str(caught.value)


def test_24_bytes_are_enough() -> None:
    """The shortest secret of the specification is taken, unpadded too."""
    assert signing_key(base64.b64encode(b"x" * 24)).token(b"")
    assert signing_key(b"whsec_" + base64.b64encode(b"x" * 25).rstrip(b"=")).token(b"")


def test_no_secret_is_no_signer() -> None:
    """A scheme without a secret is refused: nothing goes out that looks signed."""
    with pytest.raises(SigningError, match="at least one"):
        signer("standard", ())


def test_unknown_scheme() -> None:
    """A scheme that is not there is named, with those that are."""
    with pytest.raises(SigningError, match="'md5' is no signing scheme; use one of standard"):
        signer("md5", (SHARED,))
