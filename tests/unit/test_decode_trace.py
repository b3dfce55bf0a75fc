"""Trace context: from record headers or the CloudEvents extension, or none at all."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooklane.schemas.cloudevents_trace import is_traceparent, is_tracestate, trace_context
from hooklane.schemas.decode import decode
from hooklane.schemas.event import Event, SourceRecord

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"


def traced(**headers: str | bytes | None) -> tuple[str | None, str | None]:
    given_ = tuple(
        (name, value.encode() if isinstance(value, str) else value)
        for name, value in headers.items()
    )
    found = decode(SourceRecord("t", "ab" * 16, 0, 1, 5, None, b"{}", given_))
    assert isinstance(found, Event)
    return found.traceparent, found.tracestate


def test_context_from_record_headers() -> None:
    """The headers that tracing libraries write are the publisher's context."""
    assert traced(traceparent=PARENT, tracestate="a=1,b=2") == (PARENT, "a=1,b=2")
    assert traced(traceparent=PARENT) == (PARENT, None)


def test_context_from_the_extension() -> None:
    """The CloudEvents extension is taken where there are no headers, in both modes."""
    assert traced(ce_traceparent=PARENT, ce_tracestate="a=1") == (PARENT, "a=1")
    document = {"specversion": "1.0", "traceparent": PARENT, "tracestate": "a=1"}
    headers = (("content-type", b"application/cloudevents+json"),)
    value = json.dumps(document).encode()
    found = decode(SourceRecord("t", "ab" * 16, 0, 1, 5, None, value, headers))
    assert isinstance(found, Event)
    assert (found.traceparent, found.tracestate) == (PARENT, "a=1")


def test_headers_come_before_the_extension() -> None:
    """Headers are of the last hop, so they win; their state is not mixed with the extension's."""
    assert traced(traceparent=PARENT, ce_traceparent=OTHER, ce_tracestate="b=2") == (PARENT, None)


@pytest.mark.parametrize("bad", ["", "x", "00-0-0-0", None, b"\xff", PARENT.upper()])
def test_broken_header_falls_back_to_the_extension(bad: str | bytes | None) -> None:
    """A broken header is as good as none."""
    assert traced(traceparent=bad, ce_traceparent=OTHER) == (OTHER, None)
    assert traced(traceparent=bad, tracestate="a=1") == (None, None)


def test_state_without_a_parent_is_nothing() -> None:
    """A `tracestate` alone belongs to no trace."""
    assert traced(tracestate="a=1") == (None, None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        PARENT[:-1],
        PARENT + "-",
        PARENT + "-more",
        PARENT + "\n",
        "ff" + PARENT[2:],
        "00-" + "0" * 32 + PARENT[35:],
        PARENT[:36] + "0" * 16 + "-01",
        PARENT.replace("a", "A"),
        PARENT.replace("-01", "-0g"),
        " " + PARENT,
        "01" + PARENT[2:] + "-" + "x" * 300,
        "01" + PARENT[2:] + "-a\r\nb",
    ],
)
def test_bad_traceparents(text: str) -> None:
    """W3C Trace Context, section 3.2: form, version ff, all-zero ids, nothing after version 00."""
    assert not is_traceparent(text)


@pytest.mark.parametrize("text", [PARENT, OTHER, "01" + PARENT[2:], "cc" + PARENT[2:] + "-what"])
def test_good_traceparents(text: str) -> None:
    """A later version may have more fields."""
    assert is_traceparent(text)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("a=1", True),
        ("a=1, b=2 ,c=3", True),
        ("a=1,,b=2", True),
        ("fw529a3039@dt=FfffffffCgAA", True),
        ("1a@v=x", True),
        ("a*/_-=x y", True),
        (",".join(f"k{n}=v" for n in range(32)), True),
        (",".join(f"k{n}=v" for n in range(33)), False),
        ("", False),
        (" , ", False),
        ("a", False),
        ("=1", False),
        ("a=", False),
        ("A=1", False),
        ("1a=1", False),
        ("a=1=2", False),
        ("a=1,a=2", False),
        ("a=b\r\nc", False),
        ("a=ü", False),
        ("a=" + "x" * 257, False),
        ("a" * 257 + "=1", False),
        ("a=1" + ", " * 3000, False),
    ],
)
def test_tracestates(text: str, good: bool) -> None:
    """W3C Trace Context, section 3.3: keys, values, at most 32 of them, none twice."""
    assert is_tracestate(text) is good
    assert trace_context(PARENT, text).tracestate == (text if good else None)


@given(text=st.text(max_size=100), state=st.text(max_size=100))
def test_no_text_raises(text: str, state: str) -> None:
    """Whatever a publisher wrote, the answer is a context or none."""
    trace_context(text, state)
