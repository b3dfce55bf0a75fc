"""The schemes of other senders, each against its published vector or a verifier written here."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooklane.delivery.signing import SCHEMES, Message, SigningError, signer


def headers(scheme: str, message: Message, *secrets: bytes) -> dict[str, str]:
    return dict(signer(scheme, secrets).headers(message))


def hexdigest(secret: bytes, signed: bytes) -> str:
    return hmac.new(secret, signed, hashlib.sha256).hexdigest()


def test_github_vector() -> None:
    """The example of GitHub's page on validating deliveries."""
    message = Message("m", 0, b"Hello, World!")
    assert headers("github", message, b"It's a Secret to Everybody") == {
        "x-hub-signature-256": (
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        )
    }


def test_slack_vector() -> None:
    """The example of Slack's page on verifying requests."""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
        b"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
        b"&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com"
        b"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    message = Message("m", 1531420618, body)
    assert headers("slack", message, b"8f742231b10e8888abcd99yyyzzz85a5") == {
        "x-slack-request-timestamp": "1531420618",
        "x-slack-signature": (
            "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
        ),
    }


@given(st.binary(), st.binary(min_size=1), st.integers(0, 2**40))
def test_independent_verification(body: bytes, secret: bytes, timestamp: int) -> None:
    """Each scheme signs exactly the bytes that its original signs."""
    message = Message("m", timestamp, body)
    stamp = str(timestamp).encode()
    assert headers("github", message, secret) == {
        "x-hub-signature-256": "sha256=" + hexdigest(secret, body)
    }
    assert headers("shopify", message, secret) == {
        "x-shopify-hmac-sha256": base64.b64encode(
            hmac.new(secret, body, hashlib.sha256).digest()
        ).decode()
    }
    assert headers("stripe", message, secret) == {
        "stripe-signature": f"t={timestamp},v1={hexdigest(secret, stamp + b'.' + body)}"
    }
    assert headers("slack", message, secret) == {
        "x-slack-request-timestamp": str(timestamp),
        "x-slack-signature": "v0=" + hexdigest(secret, b"v0:" + stamp + b":" + body),
    }


def test_stripe_signs_with_every_secret() -> None:
    """While a secret is rotated, Stripe's header has a signature of each."""
    message = Message("m", 12, b"{}")
    assert headers("stripe", message, b"whsec_new", b"whsec_old") == {
        "stripe-signature": (
            f"t=12,v1={hexdigest(b'whsec_new', b'12.{}')},v1={hexdigest(b'whsec_old', b'12.{}')}"
        )
    }


@pytest.mark.parametrize("scheme", sorted(set(SCHEMES) - {"standard", "stripe"}))
def test_single_signature_is_the_first_secrets(scheme: str) -> None:
    """Where there is room for one signature, the first secret makes it."""
    message = Message("m", 12, b"{}")
    assert headers(scheme, message, b"new", b"old") == headers(scheme, message, b"new")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("secrets", [(), (b"",)])
def test_empty_secrets_are_refused(scheme: str, secrets: tuple[bytes, ...]) -> None:
    """No scheme signs with nothing."""
    with pytest.raises(SigningError, match=r"empty"):
        signer(scheme, secrets)
