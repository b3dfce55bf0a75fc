"""CloudEvents in binary mode: attributes in `ce_` headers, the value is the data."""

import pytest

from hooklane.schemas.decode import decode
from hooklane.schemas.event import Event, SourceRecord

GOOD = {
    "ce_specversion": b"1.0",
    "ce_id": b"e-1",
    "ce_source": b"/billing",
    "ce_type": b"invoice.paid",
}


def record(headers: dict[str, bytes | None], value: bytes | None = b"{}") -> SourceRecord:
    return SourceRecord(
        "billing.events", "ab" * 16, 3, 41, 1_790_000_000_123, b"k", value, tuple(headers.items())
    )


def event(headers: dict[str, bytes | None], value: bytes | None = b"{}") -> Event:
    found = decode(record(headers, value))
    assert isinstance(found, Event)
    return found


def test_attributes_are_the_headers() -> None:
    """Every `ce_` header is an attribute; other headers are none."""
    found = event(
        {
            **GOOD,
            "ce_subject": "Zürich/7".encode(),
            "ce_time": b"2026-01-02T03:04:05.678+01:00",
            "ce_dataschema": b"https://example.com/schema",
            "ce_tenant": b"acme",
            "ce_empty": b"",
            "content-type": b"text/csv",
            "x-other": b"1",
        },
        b"a;b",
    )
    assert found.attributes == {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/billing",
        "type": "invoice.paid",
        "subject": "Zürich/7",
        "time": "2026-01-02T03:04:05.678+01:00",
        "dataschema": "https://example.com/schema",
        "tenant": "acme",
        "empty": "",
    }
    assert (found.content_type, found.data, found.dropped) == ("text/csv", b"a;b", 0)


def test_cloudevent_without_a_time_has_none() -> None:
    """`time` is optional in CloudEvents: nothing is put into the publisher's mouth."""
    assert "time" not in event(dict(GOOD)).attributes


@pytest.mark.parametrize(
    ("name", "fallback"),
    [
        ("id", "billing.events-3-41"),
        ("source", "kafka://billing.events"),
        ("type", "billing.events"),
    ],
)
@pytest.mark.parametrize("value", [None, b"", b"\xff", b"a\r\nb", b"x" * 4097])
def test_bad_required_attribute_is_made_up_for(
    name: str, fallback: str, value: bytes | None
) -> None:
    """A required attribute that is bad is counted, and its place in Kafka stands in."""
    found = event({**GOOD, f"ce_{name}": value})
    assert found.attributes[name] == fallback
    assert found.dropped == 1


@pytest.mark.parametrize(
    "header",
    [
        ("ce_", b"x"),
        ("ce_Tenant", b"x"),
        ("ce_my-tenant", b"x"),
        ("ce_my_tenant", b"x"),
        ("ce_zürich", b"x"),
        ("ce_a b", b"x"),
        ("ce_a\r\nb", b"x"),
        ("ce_tenant\n", b"x"),
        ("ce_data", b"x"),
        ("ce_" + "n" * 65, b"x"),
        ("ce_tenant", None),
        ("ce_tenant", b"\xff"),
        ("ce_tenant", b"a\r\nb: c"),
        ("ce_tenant", b"a\x00"),
        ("ce_tenant", b"a\x7f"),
        ("ce_tenant", "a\x85".encode()),
        ("ce_tenant", "a\ufdd0".encode()),
        ("ce_tenant", "a\U0010ffff".encode()),
        ("ce_tenant", b"x" * 4097),
        ("ce_tenant", "ü".encode() * 2049),
        ("ce_subject", b""),
        ("ce_dataschema", b""),
        ("ce_time", b"2026-01-02T03:04:05"),
        ("ce_time", b"2026-02-30T03:04:05Z"),
        ("ce_time", b"2026-01-02 03:04:05Z"),
        ("ce_time", b"1790000000"),
        ("ce_time", b""),
        ("ce_traceparent", b"00-0-0-0"),
    ],
    ids=lambda header: f"{header[0][:16]!r}={(header[1] or b'')[:12]!r}",
)
def test_bad_attribute_is_dropped_and_counted(header: tuple[str, bytes | None]) -> None:
    """A bad name or value takes nothing else with it."""
    found = event({**GOOD, "ce_tenantid": b"acme", **dict([header])})
    assert found.attributes == {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/billing",
        "type": "invoice.paid",
        "tenantid": "acme",
    }
    assert found.dropped == 1


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-02T03:04:05Z",
        "2026-01-02t03:04:05z",
        "2026-01-02T03:04:05.123456789Z",
        "2024-02-29T23:59:60+00:00",
        "2026-01-02T03:04:05-12:30",
    ],
)
def test_rfc_3339_times_are_kept_as_written(time: str) -> None:
    """Every spelling of RFC 3339 is good, and not rewritten."""
    assert event({**GOOD, "ce_time": time.encode()}).attributes["time"] == time


def test_extensions_have_a_budget_together() -> None:
    """Extensions beyond 8 KiB in all are dropped and counted; the core attributes stay."""
    many: dict[str, bytes | None] = {f"ce_x{n:03d}": b"y" * 996 for n in range(20)}
    found = event({**many, **GOOD})
    assert sum(len(name) + len(value) for name, value in found.attributes.items()) <= 8192 + 100
    assert sum(name.startswith("x") for name in found.attributes) == 8
    assert found.dropped == 12
    assert found.attributes["type"] == "invoice.paid"


def test_oversize_headers_that_are_no_attributes_do_not_matter() -> None:
    """A foreign header of a megabyte is left behind."""
    found = event({**GOOD, "x-blob": b"x" * 1_000_000, "x" * 100_000: b"y"})
    assert (found.attributes["id"], found.dropped) == ("e-1", 0)


def test_last_header_of_a_name_counts() -> None:
    """Kafka allows a name twice; the last value counts, as with Kafka's `lastHeader`."""
    headers = (*GOOD.items(), ("ce_id", b"e-2"))
    found = decode(record({})._replace(headers=headers))
    assert isinstance(found, Event)
    assert found.attributes["id"] == "e-2"


@pytest.mark.parametrize("version", [b"0.3", b"1", b"2.0", b""])
def test_unknown_version_is_dropped_and_the_rest_taken(version: bytes) -> None:
    """The data is there whatever the version: it is read as a record with some attributes."""
    found = event({**GOOD, "ce_specversion": version})
    assert found.attributes["specversion"] == "1.0"
    assert (found.attributes["id"], found.dropped) == ("e-1", 1)


def test_partition_key_is_the_records_key() -> None:
    """`ce_partitionkey` is no attribute: the record's key decides the order, not a header."""
    found = event({**GOOD, "ce_partitionkey": b"other"})
    assert (found.key, "partitionkey" in found.attributes, found.dropped) == (b"k", False, 0)


def test_content_type_as_an_attribute_is_understood() -> None:
    """`ce_datacontenttype`, which some write, is the content type if there is no other."""
    assert event({**GOOD, "ce_datacontenttype": b"text/csv"}).content_type == "text/csv"
    both = event({**GOOD, "ce_datacontenttype": b"text/csv", "content-type": b"text/html"})
    assert both.content_type == "text/html"
    bad = event({**GOOD, "ce_datacontenttype": b"csv"})
    assert (bad.content_type, bad.dropped) == ("application/json", 1)


def test_data_is_not_touched() -> None:
    """Duplicate keys, odd blanks, numbers beyond a double: every byte goes on as it is."""
    value = b' {"a": 1.10, "a": 1e400,\n "b": 123456789012345678901234567890}\n'
    found = event({**GOOD, "content-type": b"application/json"}, value)
    assert found.data is value
