"""Writing CloudEvents: what is written reads back as it was, and bad attributes are refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooklane.schemas.cloudevents import attribute_fault
from hooklane.schemas.cloudevents_content_type import is_content_type, is_json, is_text
from hooklane.schemas.cloudevents_encode import (
    BadAttributeError,
    RecordHeaders,
    check_attributes,
    to_binary,
    to_structured,
)
from hooklane.schemas.decode import decode
from hooklane.schemas.event import Event, SourceRecord

GOOD = {"specversion": "1.0", "id": "e-1", "source": "/billing", "type": "invoice.paid"}


def good(name: str, text: str) -> bool:
    return attribute_fault(name, text) is None


# Without what no value may hold: to filter it out of arbitrary text throws most of that away.
letters = st.characters(exclude_categories=["Cc", "Cn", "Cs"])
values = st.text(letters, max_size=30).filter(lambda text: good("ext", text))
required = st.text(letters, min_size=1, max_size=30).filter(lambda text: good("id", text))
times = st.datetimes(timezones=st.timezones()).map(lambda time: time.isoformat())
extensions = st.dictionaries(
    st.from_regex("[a-z0-9]{1,20}", fullmatch=True).filter(
        lambda name: good(name, "") and name not in {"partitionkey", "datacontenttype"}
    ),
    values,
    max_size=4,
)


@st.composite
def attributes(draw: st.DrawFn) -> dict[str, str]:
    found = draw(extensions)
    found |= {name: draw(required) for name in ("id", "source", "type")}
    found["specversion"] = "1.0"
    if draw(st.booleans()):
        found["subject"] = draw(required)
    time = draw(st.none() | times)
    if time is not None and good("time", time):
        found["time"] = time
    return found


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
json_data = json_values.map(lambda value: json.dumps(value).encode())
contents = st.one_of(
    st.tuples(st.none(), json_data),
    st.tuples(st.sampled_from(["application/json", "application/problem+json; a=b"]), json_data),
    st.tuples(
        st.sampled_from(["text/plain", "application/xml", "image/png", "application/json"]),
        st.binary(max_size=40).filter(lambda data: data == data.strip()),
    ),
)


def read(headers: RecordHeaders, value: bytes) -> Event:
    found = decode(SourceRecord("t", "ab" * 16, 0, 1, 5, b"k", value, tuple(headers)))
    assert isinstance(found, Event), found
    return found


@given(attributes=attributes(), content=contents)
def test_binary_mode_reads_back(
    attributes: dict[str, str], content: tuple[str | None, bytes]
) -> None:
    """Binary mode: the same attributes, content type and bytes; nothing dropped."""
    content_type, data = content
    check_attributes(attributes, content_type)
    event = read(to_binary(attributes, content_type), data)
    assert (event.attributes, event.data, event.dropped) == (attributes, data, 0)
    assert event.content_type == (content_type or "application/json")


@given(attributes=attributes(), content=contents)
def test_structured_mode_reads_back(
    attributes: dict[str, str], content: tuple[str | None, bytes]
) -> None:
    """Structured mode: the same attributes, content type and bytes; nothing dropped."""
    content_type, data = content
    check_attributes(attributes, content_type)
    event = read(*to_structured(attributes, content_type, data))
    assert (event.attributes, event.data, event.dropped) == (attributes, data, 0)
    assert event.content_type == (content_type or "application/json")


def test_structured_json_has_its_data_as_written() -> None:
    """JSON data stands in the document as it is; only the blanks around it go."""
    data = b' {"amount": 12.30, "big": 123456789012345678901234567890}\n'
    headers, value = to_structured(GOOD, "application/json", data)
    assert headers == [("content-type", b"application/cloudevents+json")]
    assert value.endswith(b',"data":' + data.strip() + b"}")
    assert json.loads(value)["datacontenttype"] == "application/json"


@pytest.mark.parametrize(
    ("content_type", "data", "member"),
    [
        ("application/json", b"{broken", {"data_base64": "e2Jyb2tlbg=="}),
        ("text/csv", b"a;b", {"data": "a;b"}),
        ("text/csv", b"\xff", {"data_base64": "/w=="}),
        ("image/png", b"a", {"data_base64": "YQ=="}),
        (None, b"a", {"data_base64": "YQ=="}),
        (None, b"[1]", {"data": [1]}),
        ("text/csv", b"", {}),
    ],
)
def test_structured_data_by_its_kind(
    content_type: str | None, data: bytes, member: dict[str, object]
) -> None:
    """JSON as JSON, text as a string, the rest as base64, and no data as no member."""
    document = json.loads(to_structured(GOOD, content_type, data)[1])
    assert {
        name: document[name] for name in document if name.startswith("data_") or name == "data"
    } == member


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Tenant": "x"}, "the attribute 'Tenant' has a name with other characters"),
        ({"data": "x"}, "keeps for the data"),
        ({"ext": "a\nb"}, "the attribute 'ext' has a control character"),
        ({"ext": "\ud800"}, "the attribute 'ext' has a control character"),
        ({"ext": "x" * 4097}, "longer than 4096 bytes"),
        ({"id": ""}, "the attribute 'id' is empty"),
        ({"time": "yesterday"}, "no RFC 3339 timestamp"),
        ({"specversion": "0.3"}, "is not 1.0"),
        ({"partitionkey": "k"}, "partitionkey is no attribute to set"),
        ({"datacontenttype": "text/csv"}, "datacontenttype is no attribute to set"),
        ({"traceparent": "x"}, "no W3C traceparent"),
        ({f"x{n}": "y" * 4000 for n in range(3)}, "at most 8192"),
    ],
)
def test_bad_attributes_are_refused_by_name(change: dict[str, str], message: str) -> None:
    """A writer is told what a reader would have dropped."""
    with pytest.raises(BadAttributeError, match=message):
        check_attributes({**GOOD, **change}, None)


@pytest.mark.parametrize("name", GOOD)
def test_required_attributes_are_required(name: str) -> None:
    """A CloudEvent without one of the four is refused."""
    with pytest.raises(BadAttributeError, match=f"the attribute '{name}' is missing"):
        check_attributes({one: GOOD[one] for one in GOOD if one != name}, None)


@pytest.mark.parametrize(
    ("content_type", "message"),
    [
        ("json", "no media type"),
        ("", "no media type"),
        ("text/plain\r\nx: y", "no media type"),
        ("application/cloudevents+json", "the type of a whole CloudEvent"),
        ("application/cloudevents-batch+json", "the type of a whole CloudEvent"),
    ],
)
def test_bad_content_types_are_refused(content_type: str, message: str) -> None:
    """Data that calls itself a CloudEvent would be read as one."""
    with pytest.raises(BadAttributeError, match=message):
        check_attributes(GOOD, content_type)


@pytest.mark.parametrize(
    ("content_type", "as_json", "as_text"),
    [
        ("application/json", True, False),
        ("application/vnd.acme.v1+JSON ; charset=utf-8", True, False),
        ("text/json", True, True),
        ('text/html;charset="utf-8"; ', False, True),
        ("image/svg+xml", False, True),
        ("application/jsonlines", False, False),
        ("application/x+json+zip", False, False),
    ],
)
def test_content_types(content_type: str, as_json: bool, as_text: bool) -> None:
    """What a content type says about its data, by RFC 9110 and the JSON event format."""
    assert is_content_type(content_type)
    assert (is_json(content_type), is_text(content_type)) == (as_json, as_text)


@pytest.mark.parametrize(
    "text",
    ["", "text", "text/", "/json", "a b/c", "text/plain,text/html", "a/b; c", "a/b\n", "ä/b"],
)
def test_what_is_no_content_type(text: str) -> None:
    """A media type is two tokens and its parameters, and nothing else."""
    assert not is_content_type(text)
