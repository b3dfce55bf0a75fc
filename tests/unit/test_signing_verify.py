"""The receiver's side: what is accepted, and the named cause of everything else."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from hooklane.delivery.signing import Message, SigningError, signer
from hooklane.delivery.signing.verify import Cause, Rejected, Verified, Verifier

NOW = 1_700_000_000
SECRET = b"whsec_" + base64.b64encode(bytes(range(32)))
OTHER = b"whsec_" + base64.b64encode(bytes(range(1, 33)))
SEED = bytes(range(32))
PRIVATE = b"whsk_" + base64.b64encode(SEED)
PUBLIC = b"whpk_" + base64.b64encode(
    Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw()
)
BODY = b'{"a":1}'


def signed(*secrets: bytes, webhook_id: str = "msg_1", at: int = NOW) -> dict[str, str]:
    ((_, tokens),) = signer("standard", secrets).headers(Message(webhook_id, at, BODY))
    return {"webhook-id": webhook_id, "webhook-timestamp": str(at), "webhook-signature": tokens}


def cause(headers: dict[str, str], *secrets: bytes, body: bytes = BODY, now: float = NOW) -> str:
    result = Verifier(secrets or (SECRET,)).verify(headers, body, now)
    if isinstance(result, Rejected):
        assert result.detail
        return result.cause
    assert result == Verified(headers["webhook-id"], int(headers["webhook-timestamp"]))
    return "verified"


TOKEN = signed(SECRET)["webhook-signature"]
ASYMMETRIC = signed(PRIVATE)["webhook-signature"]


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (TOKEN, "verified"),
        (f"{ASYMMETRIC} {TOKEN}", "verified"),
        (f"v2,abcd {TOKEN}", "verified"),
        (f"nonsense {TOKEN}", "verified"),
        (f" {TOKEN}  ", "verified"),
        (f"v1, {TOKEN}", "verified"),
        (f"v1,{'A' * 43}= {TOKEN}", "verified"),
        (ASYMMETRIC, Cause.NO_KNOWN_VERSION),
        ("v2,abcd", Cause.NO_KNOWN_VERSION),
        (TOKEN.replace(",", ""), Cause.MALFORMED_SIGNATURE),
        (TOKEN.replace(",", ",,"), Cause.MALFORMED_SIGNATURE),
        (TOKEN + ",x", Cause.MALFORMED_SIGNATURE),
        ("v1,", Cause.MALFORMED_SIGNATURE),
        (",abcd", Cause.MALFORMED_SIGNATURE),
        (" ", Cause.MALFORMED_SIGNATURE),
        ("v1,!!!!", Cause.MALFORMED_SIGNATURE),
        (TOKEN.rstrip("="), Cause.MALFORMED_SIGNATURE),
        (TOKEN + "=", Cause.MALFORMED_SIGNATURE),
        ("v1,é", Cause.MALFORMED_SIGNATURE),
        ("", Cause.MISSING_HEADER),
        ("v1,YWJj", Cause.NO_MATCH),
        (TOKEN.replace("v1,", "V1,"), Cause.NO_KNOWN_VERSION),
    ],
)
def test_tokens(tokens: str, expected: str) -> None:
    """Any good token is enough; what cannot be read is passed over and named if nothing else is."""
    assert cause(signed(SECRET) | {"webhook-signature": tokens}) == expected


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (-301, Cause.TOO_NEW),
        (-300, "verified"),
        (-299, "verified"),
        (0, "verified"),
        (299, "verified"),
        (300, "verified"),
        (301, Cause.TOO_OLD),
    ],
)
def test_five_minutes(age: int, expected: str) -> None:
    """Five minutes either way are tolerated, and not a second more."""
    assert cause(signed(SECRET, at=NOW - age)) == expected


@pytest.mark.parametrize(
    "stamp",
    [
        "nan",
        "inf",
        "1.0",
        "1e9",
        "0x1",
        "-1",
        "1_700_000_000",
        "\u0661\u0667" + "\u0660" * 8,
        "9" * 5000,
        f"{NOW}.0",
        f" {NOW}",
        f"{NOW} ",
        f"0{NOW}",
        f"+{NOW}",
        f"{NOW}\n",
    ],
)
def test_malformed_timestamps(stamp: str) -> None:
    """Only a plain whole number is a timestamp: two spellings would be two messages."""
    assert cause(signed(SECRET) | {"webhook-timestamp": stamp}) == Cause.MALFORMED_TIMESTAMP


@pytest.mark.parametrize("webhook_id", ["a.b", ".", "msg_1.1700000000", "msg_é"])
def test_full_stop_in_the_id(webhook_id: str) -> None:
    """An id with a full stop is rejected even with a right signature: it could be shifted."""
    assert cause(signed(SECRET, webhook_id=webhook_id)) == Cause.MALFORMED_ID


def test_shifted_message_is_not_accepted() -> None:
    """Parts of the body cannot become parts of the id or timestamp."""
    ((_, tokens),) = signer("standard", (SECRET,)).headers(
        Message("msg_1", NOW, f"{NOW}.evil".encode())
    )
    shifted = {
        "webhook-id": f"msg_1.{NOW}",
        "webhook-timestamp": str(NOW),
        "webhook-signature": tokens,
    }
    assert cause(shifted, body=b"evil") == Cause.MALFORMED_ID


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_missing_headers(name: str) -> None:
    """Each of the three headers must be there, and the one that is not is named."""
    headers = signed(SECRET)
    del headers[name]
    result = Verifier((SECRET,)).verify(headers, BODY, NOW)
    assert result == Rejected(Cause.MISSING_HEADER, f"no {name}")


def test_wrong_secret_and_changed_content() -> None:
    """Another secret, body, id or time is no match."""
    good = signed(SECRET)
    assert cause(good, OTHER) == Cause.NO_MATCH
    assert cause(good, body=b"{}") == Cause.NO_MATCH
    assert cause(good | {"webhook-id": "msg_2"}) == Cause.NO_MATCH
    assert cause(good | {"webhook-timestamp": str(NOW + 1)}) == Cause.NO_MATCH


def test_rotation() -> None:
    """Receivers with the old, the new, or both secrets accept what is signed with both."""
    for held in ((SECRET,), (OTHER,), (OTHER, SECRET)):
        assert cause(signed(OTHER, SECRET), *held) == "verified"


@pytest.mark.parametrize("held", [PUBLIC, PRIVATE])
def test_asymmetric(held: bytes) -> None:
    """`v1a` is verified with the public key, or with the private key's public half."""
    assert cause(signed(PRIVATE), held) == "verified"
    assert cause(signed(SECRET, PRIVATE), held) == "verified"
    assert cause(signed(SECRET), held) == Cause.NO_KNOWN_VERSION
    other = b"whsk_" + base64.b64encode(b"x" * 32)
    assert cause(signed(other), held) == Cause.NO_MATCH
    assert cause(signed(PRIVATE) | {"webhook-signature": "v1a,YWJj"}, held) == Cause.NO_MATCH


@pytest.mark.parametrize("secret", [b"", b"whsec_", b"whsec_c2hvcnQ=", b"whpk_c2hvcnQ="])
def test_bad_secrets(secret: bytes) -> None:
    """A verifier is not made with a secret that is empty or short."""
    with pytest.raises(SigningError):
        Verifier((secret,))


def test_unpadded_secret() -> None:
    """A secret without base64 padding is the same secret."""
    assert cause(signed(SECRET), SECRET.rstrip(b"=")) == "verified"


@given(st.text(max_size=40), st.text(max_size=20), st.text(max_size=60), st.binary(max_size=40))
def test_anything_is_judged(webhook_id: str, stamp: str, tokens: str, body: bytes) -> None:
    """Whatever comes in is rejected with a cause, never with an error."""
    headers = {
        "webhook-id": webhook_id,
        "webhook-timestamp": stamp,
        "webhook-signature": tokens,
    }
    for one in (headers, signed(SECRET) | {"webhook-signature": tokens}):
        result = Verifier((SECRET, PUBLIC)).verify(one, body, NOW)
        assert isinstance(result, Rejected)
