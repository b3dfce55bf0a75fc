"""From event to request: the headers of section 5, the two payload modes, the signed body."""

import base64
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooklane.delivery.engine.wire import serialized
from hooklane.delivery.exchange import Request
from hooklane.delivery.headers import custom_header_fault, partition_key, percent_encoded
from hooklane.delivery.request import AttemptFacts, Destination, SetupError, build, custom_lines
from hooklane.delivery.signing import Message, signer
from hooklane.delivery.target import Target, read_target
from hooklane.schemas.event import Event
from hooklane.schemas.version import __version__

SECRET = b"whsec_" + base64.b64encode(b"s" * 32)
SIGNER = signer("standard", (SECRET,))
FACTS = AttemptFacts("msg_1", sequence=42, attempt=3, run="", timestamp=1_700_000_000)
TO = Destination("https://hooks.example/x", "binary", custom_lines({}), 15.0, 5.0)


def event(
    data: bytes = b'{"n": 1.10}',
    content_type: str = "application/json",
    key: bytes | None = b"k-1",
    **more: str,
) -> Event:
    core = {"specversion": "1.0", "id": "e1", "source": "/billing", "type": "invoice.paid"}
    return Event("billing", "t" * 22, 0, 42, 0, key, core | more, content_type, data)


def headers(request: Request) -> dict[str, str]:
    found = dict(request.headers)
    assert len(found) == len(request.headers), "a header is there twice"
    return found


def test_binary_request() -> None:
    """Every header of the design's table, with its value, and nothing else; the data as body."""
    request = build(event(subject="eu-1"), FACTS, TO, SIGNER)
    ((_, token),) = SIGNER.headers(Message("msg_1", 1_700_000_000, b'{"n": 1.10}'))
    assert headers(request) == {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1700000000",
        "webhook-signature": token,
        "ce-specversion": "1.0",
        "ce-id": "e1",
        "ce-source": "/billing",
        "ce-type": "invoice.paid",
        "ce-subject": "eu-1",
        "ce-partitionkey": "k-1",
        "content-type": "application/json",
        "hooklane-sequence": "42",
        "hooklane-attempt": "3",
        "user-agent": f"Hooklane/{__version__}",
        "accept-encoding": "identity",
    }
    assert (request.method, request.url, request.body) == ("POST", TO.url, b'{"n": 1.10}')
    assert (request.timeout_s, request.connect_timeout_s) == (15.0, 5.0)


def test_replay_and_trace() -> None:
    """A run is named; the attempt's trace context is passed on, its state only beside it."""
    facts = FACTS._replace(run="replay-7", traceparent="00-a-b-01", tracestate="x=y")
    found = headers(build(event(), facts, TO, None))
    assert found["hooklane-replay"] == "replay-7"
    assert (found["traceparent"], found["tracestate"]) == ("00-a-b-01", "x=y")
    assert "webhook-signature" not in found
    without = headers(build(event(), facts._replace(traceparent=None), TO, None))
    assert "tracestate" not in without


def test_the_lane_is_named_where_there_is_one() -> None:
    """With an order to keep the lane's id is told, else no header is there."""
    found = headers(build(event(), FACTS._replace(lane="ab" * 16), TO, SIGNER))
    assert found["hooklane-lane"] == "ab" * 16
    assert "hooklane-lane" not in headers(build(event(), FACTS, TO, SIGNER))


def structured(of: Event) -> dict[str, object]:
    request = build(of, FACTS, replace(TO, mode="structured"), SIGNER)
    found = headers(request)
    assert found["content-type"] == "application/cloudevents+json"
    assert not [name for name in found if name.startswith("ce-")]
    ((_, token),) = SIGNER.headers(Message("msg_1", 1_700_000_000, request.body))
    assert found["webhook-signature"] == token
    document: dict[str, object] = json.loads(request.body)
    return document


def test_structured_request() -> None:
    """Attributes and data in one JSON object, signed as it is sent."""
    assert structured(event(subject="ü")) == {
        "specversion": "1.0",
        "id": "e1",
        "source": "/billing",
        "type": "invoice.paid",
        "subject": "ü",
        "partitionkey": "k-1",
        "datacontenttype": "application/json",
        "data": {"n": 1.1},
    }


@pytest.mark.parametrize(
    "data",
    [b"1.10", b"12345678901234567890123", b'{"a": 1e400, "a": [ ]}', b'"\\u00e9"', b"null"],
)
def test_json_data_goes_in_byte_for_byte(data: bytes) -> None:
    """JSON is embedded as it was written: no number, escape or duplicate key changes."""
    to = replace(TO, mode="structured")
    assert build(event(data), FACTS, to, None).body.endswith(b'"data":' + data + b"}")


@pytest.mark.parametrize(
    ("content_type", "data", "member"),
    [
        ("text/plain", "grüße".encode(), {"data": "grüße"}),
        ("application/xml", b"<a/>", {"data": "<a/>"}),
        ("application/vnd.x+json; charset=utf-8", b"[1]", {"data": [1]}),
        ("application/json", b"{broken", {"data_base64": "e2Jyb2tlbg=="}),
        ("application/json", b"NaN", {"data_base64": "TmFO"}),
        ("application/json", b"[" * 100_000, {"data_base64": "W1tb" * 33333 + "Ww=="}),
        ("application/octet-stream", b"plain", {"data_base64": "cGxhaW4="}),
        ("text/plain", b"\xff\xfe", {"data_base64": "//4="}),
        ("application/json", b"", {}),
    ],
)
def test_data_by_content_type(content_type: str, data: bytes, member: dict[str, object]) -> None:
    """JSON as JSON, text as a string, all else and what only claims to be JSON in base64."""
    document = structured(event(data, content_type))
    assert {name: document[name] for name in document if name.startswith("data")} == (
        member | {"datacontenttype": content_type}
    )


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (b"order-1", "order-1"),
        ("größe 7".encode(), "größe 7"),
        (None, None),
        (b"", None),
        (b"\xff\x00", None),
        (b"\x00\x00\x00\x00\x00\x00\x00\x05", None),
        (b"a\r\nb", None),
    ],
)
def test_partition_key(key: bytes | None, text: str | None) -> None:
    """A key that is text is the `partitionkey`; a binary one is none, as any text could be
    another key's."""
    assert partition_key(key) == text
    assert headers(build(event(key=key), FACTS, TO, None)).get("ce-partitionkey") == (
        None if text is None else percent_encoded(text)
    )


def test_percent_encoding_of_the_specification() -> None:
    """The example of the HTTP binding, section 3.1.3.2, and what it names besides."""
    assert percent_encoded("Euro € 😀") == "Euro%20%E2%82%AC%20%F0%9F%98%80"
    assert percent_encoded('a"b%c\r\n\x7f') == "a%22b%25c%0D%0A%7F"
    assert percent_encoded("!#$&'()*+,/:;=?@[]~") == "!#$&'()*+,/:;=?@[]~"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_percent_encoding_comes_back(value: str) -> None:
    """Any text becomes visible ASCII and comes back by one round of decoding."""
    encoded = percent_encoded(value)
    assert all("!" <= char <= "~" and char != '"' for char in encoded)
    raw = bytearray()
    rest = encoded.encode()
    while rest:
        step = 3 if rest.startswith(b"%") else 1
        raw += bytes.fromhex(rest[1:3].decode()) if step == 3 else rest[:1]
        rest = rest[step:]
    assert raw.decode() == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Host", "evil.example"),
        ("content-length", "0"),
        ("Content-Length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
        ("Keep-Alive", "x"),
        ("Proxy-Authorization", "x"),
        ("Proxy-Connection", "x"),
        ("TE", "trailers"),
        ("Trailer", "x"),
        ("Upgrade", "h2c"),
        ("Expect", "100-continue"),
        ("HTTP2-Settings", "x"),
        ("webhook-id", "x"),
        ("Webhook-Signature", "v1,x"),
        ("webhook-anything", "x"),
        ("hooklane-sequence", "1"),
        ("ce-id", "x"),
        ("Stripe-Signature", "x"),
        ("X-Hub-Signature-256", "x"),
        ("Content-Type", "x"),
        ("traceparent", "x"),
        ("Accept-Encoding", "gzip"),
        ("X-A", "a\r\nHost: b"),
        ("X-A", "a\nb"),
        ("X-A", "a\rb"),
        ("X-A", "a\x00b"),
        ("X-A", " a"),
        ("X-A", "a "),
        ("X-A", "€"),
        ("X-A\r\nHost", "b"),
        ("X A", "b"),
        ("X-A:", "b"),
        ("", "b"),
        ("Ä", "b"),
    ],
)
def test_custom_headers_that_are_refused(name: str, value: str) -> None:
    """A subscription cannot set framing, hop-by-hop or our own headers, nor break a line."""
    assert custom_header_fault(name, value)
    with pytest.raises(SetupError):
        custom_lines({name: value})


def test_custom_headers_that_are_sent() -> None:
    """Other headers are sent, in lower case; a user agent replaces ours."""
    custom = {"X-Environment": "a b\tc", "X-Empty": "", "User-Agent": "me/1"}
    to = replace(TO, lines=custom_lines(custom))
    found = headers(build(event(), FACTS, to, None))
    assert (found["x-environment"], found["x-empty"], found["user-agent"]) == ("a b\tc", "", "me/1")


def test_oversize_headers_are_refused_clearly() -> None:
    """More headers than servers take is said beforehand, with the way out, which then works."""
    many = event()
    many.attributes = {**many.attributes, **{f"x{number}": "ü" * 1500 for number in range(8)}}
    with pytest.raises(SetupError, match="structured"):
        build(many, FACTS, TO, None)
    assert structured(many)["x0"] == "ü" * 1500


def test_bad_content_type_does_not_break_the_request() -> None:
    """A content type that is no media type is not passed on."""
    found = headers(build(event(content_type="a\r\nb: c"), FACTS, TO, None))
    assert found["content-type"] == "application/octet-stream"


@given(
    data=st.binary(max_size=200),
    content_type=st.sampled_from(["application/json", "text/plain", "image/png", "bad\r\n"]),
    key=st.none() | st.binary(max_size=20),
    values=st.dictionaries(st.text(max_size=10), st.text(max_size=20), max_size=4),
    mode=st.sampled_from(["binary", "structured"]),
)
def test_any_event_is_one_well_framed_request(
    data: bytes, content_type: str, key: bytes | None, values: dict[str, str], mode: str
) -> None:
    """Whatever an event holds, its request is one head of plain lines and the body it announces."""
    found = event(data, content_type, key)
    found.attributes = {**values, **found.attributes}
    request = build(found, FACTS, replace(TO, mode=mode), SIGNER)
    target = read_target(request.url)
    assert isinstance(target, Target)
    head, _, body = serialized(request, target).partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[:2] == [b"POST /x HTTP/1.1", b"host: hooks.example"]
    assert lines[-1] == b"content-length: %d" % len(request.body)
    assert len(lines) == len(request.headers) + 3
    assert all(line.isascii() and line.decode().isprintable() for line in lines)
    assert body == request.body
    if mode == "binary":
        assert body == data
    else:
        json.loads(body)
