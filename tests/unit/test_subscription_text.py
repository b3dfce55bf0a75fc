"""Config records as bytes: FAULTS line 40, and the limits that nothing recursive is needed for."""

import json
import time
from typing import Any

import pytest

from hooklane.schemas.subscription import validate
from hooklane.schemas.subscription_faults import SubscriptionError
from hooklane.schemas.subscription_text import LARGEST_DOCUMENT, check_size, read_document
from hooklane.schemas.subscription_values import ServicePolicy


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"{} {}", "is not JSON"),
        (b"\xef\xbb\xbf{}", "is not JSON"),
        (b"\xff\xfe", "is not UTF-8"),
        (b'"\xed\xa0\x80"', "is not UTF-8"),
        (b'{"a": NaN}', "has the number NaN"),
        (b"[-Infinity]", "has the number -Infinity"),
        (b'{"id": 1, "id": 2}', "has the field 'id' twice"),
        (b'{"a": {"b": 1, "b": 1}}', "has the field 'b' twice"),
        (b"1" * 5000, "has a number with too many digits"),
        (b"[" * 100_000 + b"]" * 100_000, "is nested too deep"),
        (b'"' + b"x" * LARGEST_DOCUMENT + b'"', "is too large"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_bytes_that_are_no_document(data: bytes, said: str) -> None:
    """Each kind of broken JSON is refused in one sentence, and nothing else is raised."""
    with pytest.raises(SubscriptionError, match=said):
        read_document(data)


def deep(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


def bomb() -> object:
    value: object = "x"
    for _ in range(30):
        value = [value] * 10
    return value


def endless() -> object:
    value: list[object] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (deep(10_000), "nested too deep"),
        (endless(), "nested too deep"),
        (bomb(), "too many values"),
        ([0] * 20_001, "too many values"),
        (["x" * 1000] * 300, "too large"),
        ({"a": "\ud800"}, "lone surrogate"),
        ({1: 2}, "whose name is not text"),
        ([2**65], "beyond 64 bits"),
        ([float("nan")], "not JSON"),
        ([b"x"], "not JSON"),
        ([("a",)], "not JSON"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_values_beyond_the_limits(value: object, said: str) -> None:
    """Depth, count, size and kinds are held in without recursion, also where values repeat."""
    started = time.perf_counter()
    with pytest.raises(SubscriptionError, match=said):
        check_size(value)
    assert time.perf_counter() - started < 5


def filters_document(filters: object) -> dict[str, Any]:
    return {"id": "a", "url": "https://h.example/", "match": {"filters": filters}}


def test_ten_thousand_nested_filters() -> None:
    """Ten thousand `not` in one another are refused, as values and as JSON text."""
    nested: dict[str, Any] = {"exact": {"type": "a"}}
    for _ in range(10_000):
        nested = {"not": nested}
    with pytest.raises(SubscriptionError, match="nested too deep"):
        validate(filters_document([nested]), ServicePolicy())
    text = '{"not":' * 10_000 + "1" + "}" * 10_000
    with pytest.raises(SubscriptionError, match="nested too deep"):
        read_document(text.encode())


def test_filters_have_their_own_limits() -> None:
    """A few levels too deep and a few filters too many are refused at `match.filters`."""
    nested: dict[str, Any] = {"exact": {"type": "a"}}
    for _ in range(15):
        nested = {"not": nested}
    validate(filters_document([nested]), ServicePolicy())
    with pytest.raises(SubscriptionError, match=r"match\.filters: are nested too deep"):
        validate(filters_document([{"not": nested}]), ServicePolicy())
    with pytest.raises(SubscriptionError, match=r"match\.filters: are too many"):
        validate(filters_document([{"exact": {"type": "a"}}] * 1001), ServicePolicy())


def test_a_filter_of_a_megabyte() -> None:
    """A filter of 1 MB is refused, by size as a record and by size as values."""
    document = filters_document([{"cel": "data.a == '" + "x" * 1_000_000 + "'"}])
    with pytest.raises(SubscriptionError, match="too large"):
        read_document(json.dumps(document).encode())
    with pytest.raises(SubscriptionError, match="too large"):
        validate(document, ServicePolicy())
