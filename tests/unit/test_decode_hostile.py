"""Nothing that a record may hold makes the decoder raise, hang, or produce a bad event."""

import json
import time

from hypothesis import example, given
from hypothesis import strategies as st

from hooklane.schemas.cloudevents import attribute_fault
from hooklane.schemas.cloudevents_content_type import is_content_type
from hooklane.schemas.decode import decode
from hooklane.schemas.event import Event, SourceRecord, Unreadable, read_json

names = st.one_of(
    st.sampled_from(
        [
            "content-type",
            "ce_id",
            "ce_time",
            "ce_specversion",
            "ce_",
            "ce_datacontenttype",
            "event-type",
            "traceparent",
            "tracestate",
            "ce_traceparent",
        ]
    ),
    st.text(max_size=10).map(lambda text: "ce_" + text),
    st.text(max_size=10),
)
values = st.one_of(
    st.none(),
    st.binary(max_size=40),
    st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from(
        [b"1.0", b"application/json", b"application/cloudevents+json", b"application/cloudevents"]
    ),
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


def is_a_good_event(event: Event) -> None:
    attributes = event.attributes
    assert {"specversion", "id", "source", "type"} <= attributes.keys()
    assert all(attribute_fault(*one) is None for one in attributes.items())
    assert not attributes.keys() & {"partitionkey", "datacontenttype", "data"}
    assert is_content_type(event.content_type)
    event.document()


def checked(record: SourceRecord) -> None:
    found = decode(record)
    if isinstance(found, Event):
        is_a_good_event(found)
    else:
        assert isinstance(found, Unreadable)
        assert found.reason.isprintable()


@given(
    key=st.none() | st.binary(max_size=20),
    value=values,
    headers=st.lists(st.tuples(names, values), max_size=8).map(tuple),
    timestamp=st.integers(-(2**63), 2**63 - 1),
)
def test_no_record_raises(
    key: bytes | None,
    value: bytes | None,
    headers: tuple[tuple[str, bytes | None], ...],
    timestamp: int,
) -> None:
    """Any bytes in key, value and headers give a good event or a reason."""
    checked(SourceRecord("t", "ab" * 16, 0, 1, timestamp, key, value, headers))


@given(
    members=st.dictionaries(
        st.sampled_from(["id", "type", "time", "data", "data_base64", "datacontenttype", "ext"])
        | st.text(max_size=8),
        anything,
        max_size=8,
    )
)
@example({"data": float("nan")})
@example({"data": "\ud800"})
def test_no_structured_document_raises(members: dict[str, object]) -> None:
    """Any JSON document that calls itself a CloudEvent gives a good event or a reason."""
    value = json.dumps({"specversion": "1.0", **members}).encode()
    headers = (("content-type", b"application/cloudevents+json"),)
    checked(SourceRecord("t", "ab" * 16, 0, 1, 5, None, value, headers))


@given(data=anything)
def test_structured_data_keeps_its_meaning(data: object) -> None:
    """The bytes that go on read to the values that stood in the document."""
    value = json.dumps({"specversion": "1.0", "data": data}).encode()
    headers = (("content-type", b"application/cloudevents+json"),)
    found = decode(SourceRecord("t", "ab" * 16, 0, 1, 5, None, value, headers))
    if isinstance(found, Event):
        assert read_json(found.data) == found.document()


def test_a_body_of_the_maximum_size_is_read() -> None:
    """8 MiB in either mode is an event; its bytes are the same."""
    data = json.dumps(["x" * 1000] * 8000).encode()
    plain = decode(SourceRecord("t", "ab" * 16, 0, 1, 5, None, data))
    assert isinstance(plain, Event)
    assert plain.data == data
    structured = b'{"specversion":"1.0","data":' + data + b"}"
    headers = (("content-type", b"application/cloudevents+json"),)
    found = decode(SourceRecord("t", "ab" * 16, 0, 1, 5, None, structured, headers))
    assert isinstance(found, Event)
    assert found.data == data


def test_hostile_headers_take_no_time() -> None:
    """No header is a regular expression's trap: what is refused is refused at once."""
    traps = [
        ("content-type", b"a/b" + b" ; " * 80 + b"\x00"),
        ("content-type", b"a/b" + b"; a=b" * 50 + b'; c="'),
        ("traceparent", b"00-" + b"0" * 200_000),
        ("ce_traceparent", b"00-" + b"0" * 4000),
        ("ce_tracestate", b"a" * 4000),
        ("ce_tracestate", b"a@" * 2000),
        ("ce_tracestate", b"a=1," * 1000),
        ("ce_time", b"0" * 4000),
        ("ce_" + "a" * 1_000_000 + "!", b"x"),
        ("ce_x", "\x85".encode() * 2000),
    ]
    began = time.process_time()
    for trap in traps:
        checked(SourceRecord("t", "ab" * 16, 0, 1, 5, None, b"{}", (trap,)))
    assert time.process_time() - began < 1.0
