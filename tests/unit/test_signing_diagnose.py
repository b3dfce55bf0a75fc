"""Why a request does not verify: each cause is made, and named."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooklane.delivery.signing import SCHEMES, Message, signer
from hooklane.delivery.signing.claims import CLAIMS
from hooklane.delivery.signing.diagnose import Diagnoser, Diagnosis, Verdict
from hooklane.delivery.signing.rewritten import rewritten
from tests.unit.test_signing_verify import BODY, NOW, OTHER, PRIVATE, PUBLIC, SECRET, signed

DOCUMENT = '{"id":7,"name":"Zoë","path":"a/b","z":[1,2.5],"a":null}'.encode()


def headers_of(
    scheme: str, secret: bytes, body: bytes = BODY, at: int = NOW, webhook_id: str = "msg_1"
) -> dict[str, str]:
    """As Hooklane sends them."""
    made = signer(scheme, (secret,)).headers(Message(webhook_id, at, body))
    return {"webhook-id": webhook_id, "webhook-timestamp": str(at), **dict(made)}


def diagnosed(
    headers: dict[str, str],
    body: bytes = BODY,
    *secrets: bytes,
    scheme: str = "standard",
    now: float = NOW,
) -> Diagnosis:
    found = Diagnoser(scheme, secrets or (SECRET,)).diagnose(headers, body, now)
    assert not found.said.endswith(".")
    for secret in (SECRET, OTHER, SECRET.removeprefix(b"whsec_"), bytes(range(32))):
        assert secret not in f"{found}".encode()
    return found


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_hooklane_signs_is_genuine(scheme: str) -> None:
    """By every scheme, with the secret named that made the signature."""
    found = diagnosed(headers_of(scheme, SECRET), BODY, OTHER, SECRET, scheme=scheme)
    assert (found.verdict, found.secret, found.webhook_id) == (Verdict.GENUINE, 2, "msg_1")
    assert found.genuine
    assert CLAIMS.keys() == SCHEMES.keys()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_another_secret(scheme: str) -> None:
    """Nothing that is given fits, whatever is tried."""
    found = diagnosed(headers_of(scheme, OTHER), BODY, SECRET, scheme=scheme)
    assert (found.verdict, found.genuine) == (Verdict.NO_MATCH, False)
    assert "another secret" in found.said


def test_asymmetric_signatures() -> None:
    """A public key checks v1a; a shared secret cannot, and is told so."""
    assert diagnosed(signed(PRIVATE), BODY, PUBLIC).verdict is Verdict.GENUINE
    found = diagnosed(signed(PRIVATE), BODY, SECRET)
    assert found.verdict is Verdict.NO_MATCH
    assert "v1a" in found.said


@pytest.mark.parametrize(
    ("change", "verdict", "said"),
    [
        ({"webhook-id": ""}, Verdict.MISSING_HEADER, "no webhook-id"),
        ({"webhook-signature": "v1"}, Verdict.MALFORMED_HEADER, "v1,<base64>"),
        ({"webhook-timestamp": "1.5"}, Verdict.MALFORMED_HEADER, "webhook-timestamp"),
        ({"webhook-id": "msg.1"}, Verdict.MALFORMED_HEADER, "full stop"),
        ({"webhook-id": "ev-9", "ce-id": "msg_1"}, Verdict.WRONG_ID, "value of ce-id"),
        ({"webhook-id": "ev-9"}, Verdict.NO_MATCH, "or another body or id"),
        ({"webhook-timestamp": str(NOW + 1)}, Verdict.NO_MATCH, "another secret"),
    ],
)
def test_headers(change: dict[str, str], verdict: Verdict, said: str) -> None:
    """Missing, malformed, or another one's."""
    found = diagnosed(signed(SECRET) | change)
    assert found.verdict is verdict
    assert said in found.said


@pytest.mark.parametrize(
    ("scheme", "without", "said"),
    [
        ("github", {}, "no x-hub-signature-256"),
        ("github", {"x-hub-signature-256": "sha1=00"}, "does not begin with sha256="),
        ("github", {"x-hub-signature-256": "sha256=00"}, "64 hexadecimal digits"),
        ("stripe", {"stripe-signature": "t=1,v0=x"}, "no v1="),
        ("stripe", {"stripe-signature": f"t=x,v1={'0' * 64}"}, "the t of stripe-signature"),
        ("shopify", {"x-shopify-hmac-sha256": "!"}, "not base64"),
        ("slack", {"x-slack-signature": "v0=00"}, "no x-slack-request-timestamp"),
        (
            "slack",
            {"x-slack-signature": "v1=00", "x-slack-request-timestamp": "1"},
            "does not begin with v0=",
        ),
    ],
)
def test_headers_of_other_schemes(scheme: str, without: dict[str, str], said: str) -> None:
    """Each says what it lacks."""
    found = diagnosed(without, BODY, SECRET, scheme=scheme)
    assert said in found.said
    assert found.verdict in {Verdict.MISSING_HEADER, Verdict.MALFORMED_HEADER}


@pytest.mark.parametrize(("now", "said"), [(NOW + 301, "301 s old"), (NOW - 301, "301 s ahead")])
@pytest.mark.parametrize("scheme", ["standard", "stripe", "slack"])
def test_clocks(scheme: str, now: float, said: str) -> None:
    """The signature is right and the time is not: that is said, and not that it is forged."""
    found = diagnosed(headers_of(scheme, SECRET), BODY, SECRET, scheme=scheme, now=now)
    assert (found.verdict, found.age_s) == (Verdict.CLOCK_SKEW, now - NOW)
    assert said in found.said


@pytest.mark.parametrize(
    ("pasted", "how"),
    [
        (json.dumps(json.loads(DOCUMENT), indent=2).encode(), "compact"),
        (json.dumps(json.loads(DOCUMENT)).encode(), "compact"),
        (DOCUMENT.replace(b"/", b"\\/"), "compact"),
    ],
)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_body_that_was_written_anew(scheme: str, pasted: bytes, how: str) -> None:
    """Frameworks that parse and print JSON: how it was before is found out."""
    headers = headers_of(scheme, SECRET, DOCUMENT)
    found = diagnosed(headers, pasted, SECRET, scheme=scheme)
    assert found.verdict is Verdict.BODY_RESERIALISED
    assert how in found.said
    assert "before a framework parses" in found.todo


@pytest.mark.parametrize(
    ("pasted", "said"),
    [
        (BODY + b"\n", "without the line break at its end"),
        (b"\xef\xbb\xbf" + BODY, "without a byte order mark"),
    ],
)
def test_a_body_with_other_ends(pasted: bytes, said: str) -> None:
    """What editors and shells do to it."""
    found = diagnosed(signed(SECRET), pasted)
    assert (found.verdict, said in found.said) == (Verdict.BODY_CHANGED, True)


def test_a_body_of_another_length() -> None:
    """Where content-length is among the headers, it tells a changed body from another secret."""
    found = diagnosed({**signed(SECRET), "content-length": "7"}, b'{"a":2, "b":1}')
    assert found.verdict is Verdict.BODY_CHANGED
    assert "14 bytes, and content-length says 7" in found.said


@pytest.mark.parametrize(
    ("scheme", "made_with", "given_", "verdict"),
    [
        ("github", SECRET, SECRET.removeprefix(b"whsec_"), Verdict.MISSING_PREFIX),
        ("stripe", SECRET.removeprefix(b"whsec_"), SECRET, Verdict.OTHER_FORM),
        ("slack", bytes(range(32)), SECRET, Verdict.OTHER_FORM),
        ("standard", SECRET, SECRET.removeprefix(b"whsec_"), Verdict.GENUINE),
    ],
)
def test_a_secret_that_was_taken_otherwise(
    scheme: str, made_with: bytes, given_: bytes, verdict: Verdict
) -> None:
    """Without its prefix, as text, or as bytes: the right secret, and the wrong way."""
    found = diagnosed(headers_of(scheme, made_with), BODY, given_, scheme=scheme)
    assert found.verdict is verdict
    assert "whsec_" in found.said + found.todo


def test_a_sender_that_signs_with_the_text() -> None:
    """Standard Webhooks, and a sender that took the secret's text for the key."""
    headers = signed(SECRET)
    content = b"msg_1.%d.%b" % (NOW, BODY)
    ((_, token),) = signer("shopify", (SECRET,)).headers(Message("msg_1", NOW, content))
    headers["webhook-signature"] = f"v1,{token}"
    found = diagnosed(headers)
    assert found.verdict is Verdict.OTHER_FORM
    assert "its text" in found.said


@pytest.mark.parametrize(
    ("secret", "said"),
    [(b"not base64!", "not base64"), (b"whsec_AAAA", "has 3 bytes"), (None, "no secret is given")],
)
def test_a_secret_that_cannot_be_one(secret: bytes | None, said: str) -> None:
    """It is said what is wrong with it, and it is not shown."""
    found = Diagnoser("standard", [] if secret is None else [secret]).diagnose(
        signed(SECRET), BODY, NOW
    )
    assert found.verdict is Verdict.UNUSABLE_KEY
    assert said in found.said


@given(
    body=st.binary(max_size=200) | st.text('[]{},:"\\ \n1eau/', max_size=40).map(str.encode),
    headers=st.dictionaries(
        st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature", "ce-id"]),
        st.text(max_size=20),
    ),
)
def test_anything_is_diagnosed(body: bytes, headers: dict[str, Any]) -> None:
    """Whatever is pasted, there is an answer, and never that it is genuine."""
    assert not Diagnoser("standard", [SECRET]).diagnose(headers, body, NOW).genuine
    assert body not in [one.body for one in rewritten(body)]


def test_a_body_that_nobody_could_parse() -> None:
    """Nesting without end, or a megabyte: no writing anew is tried."""
    assert list(rewritten(b"x" * 2**20)) == []
    assert all(not one.as_json for one in rewritten(b"[" * 100_000))
