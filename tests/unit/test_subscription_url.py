"""URLs and custom headers of a subscription: FAULTS lines 26 to 28, without the network."""

from typing import Any

import pytest

from hooklane.schemas.subscription import validate
from hooklane.schemas.subscription_faults import SubscriptionError
from hooklane.schemas.subscription_values import ServicePolicy


def document(**fields: object) -> dict[str, Any]:
    return {"id": "a", "url": "https://h.example/x", **fields}


@pytest.mark.parametrize(
    "url",
    [
        "https://h",
        "https://h.example./x",
        "HTTPS://H.example:65535/a/b?c=d&e=%20",
        "https://[2001:db8::1]:8443/",
        "https://127.0.0.1/x",
        "https://a_b.example/x",
        "https://xn--bcher-kva.example/",
    ],
)
def test_good_urls_are_taken_as_written(url: str) -> None:
    """A valid https URL stays as it was written; addresses are judged when they are dialled."""
    assert validate(document(url=url), ServicePolicy()).url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "h.example/x",
        "//h.example/x",
        "ftp://h.example",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://",
        "https:///x",
        "https://:443/x",
        "https://user@h.example/",
        "https://user:pw@h.example/",
        "https://@h.example/",
        "https://h.example\\@evil.example/",
        "https://h.example/#f",
        "https://h.example/#",
        "https://h.example:0/",
        "https://h.example:65536/",
        "https://h.example:x/",
        "https://h.example:/",
        "https://h.example:-1/",
        "https://h example/",
        "https://h.example/a b",
        "https://h.example/\r\nX: y",
        "https://h.example/\n",
        "https://h.example/ü",
        "https://\uff11\uff12\uff17.0.0.1/",
        "https://\u2460.example/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://[127.0.0.1]/",
        "https://a..b/",
        "https://" + "a" * 64 + ".example/",
        "https://h.example/" + "a" * 2048,
        7,
        None,
    ],
)
def test_bad_urls_are_refused(url: object) -> None:
    """Other schemes, userinfo, fragments, bad hosts and ports, control and wide characters."""
    with pytest.raises(SubscriptionError) as caught:
        validate(document(url=url), ServicePolicy())
    assert [fault.path for fault in caught.value.faults] == ["url"]


@pytest.mark.parametrize(
    "name",
    [
        "Host",
        "host",
        "Content-Length",
        "Content-Type",
        "Transfer-Encoding",
        "Connection",
        "Keep-Alive",
        "TE",
        "Trailer",
        "Upgrade",
        "Proxy-Authorization",
        "Expect",
        "Authorization",
        "User-Agent",
        "traceparent",
        "webhook-id",
        "Webhook-Anything",
        "hooklane-sequence",
        "ce-id",
        "X-Hub-Signature-256",
        "Stripe-Signature",
        "X-Slack-Signature",
        "X-Shopify-Hmac-Sha256",
        "",
        "x y",
        "x:",
        "x\r\ny",
        "x\n",
        "\u00e4",
        "x" * 129,
    ],
)
def test_header_names_that_are_not_the_subscriber_s(name: str) -> None:
    """What Hooklane or HTTP sets, credentials, and what is no token cannot be a custom header."""
    with pytest.raises(SubscriptionError) as caught:
        validate(document(headers={name: "x"}), ServicePolicy())
    assert caught.value.faults[0].path.startswith("headers")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "value", ["a\r\nb", "a\nb", "a\0", "\x7f", "\x85", " a", "a ", "€", 1, None]
)
def test_header_values_that_cannot_be_sent(value: object) -> None:
    """Line breaks, control characters, what is not Latin-1, and what is no text are refused."""
    with pytest.raises(SubscriptionError) as caught:
        validate(document(headers={"X-A": value}), ServicePolicy())
    assert [fault.path for fault in caught.value.faults] == ["headers.X-A"]


@pytest.mark.parametrize("value", ["", "a", "a\tb c", "caf\xe9", "a" * 4096])
def test_header_values_that_can(value: str) -> None:
    """Latin-1 text is taken as it is."""
    assert validate(document(headers={"X-A": value}), ServicePolicy()).headers == {"X-A": value}


def test_header_names_ignore_case() -> None:
    """The same header in two spellings is refused, and so are too many."""
    with pytest.raises(SubscriptionError, match="'x-a' is there twice"):
        validate(document(headers={"X-A": "1", "x-a": "2"}), ServicePolicy())
    with pytest.raises(SubscriptionError, match="at most 32"):
        validate(document(headers={f"X-{i}": "1" for i in range(33)}), ServicePolicy())
