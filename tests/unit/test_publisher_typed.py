"""Data by the schema of its type: judged before it is sent, Avro where that is, registry ids."""

import asyncio
import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import httpx
import pytest

from hooklane.producer import (
    ConfigurationError,
    InvalidEventError,
    Mode,
    NewEvent,
    RegistryError,
    SchemaRegistry,
    Schemas,
    Validation,
    record_name,
    topic_name,
    topic_record_name,
)
from hooklane.producer.testing import AsyncMemoryPublisher, MemoryPublisher
from hooklane.schemas.event_types import EventType
from hooklane.schemas.event_types_read import read_event_types

PAID: dict[str, Any] = {
    "type": "record",
    "name": "Paid",
    "namespace": "billing",
    "fields": [
        {"name": "invoice", "type": "string"},
        {
            "name": "amount",
            "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
        },
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}
SENT: dict[str, Any] = {
    "type": "object",
    "required": ["lines"],
    "properties": {
        "lines": {
            "type": "array",
            "items": {"type": "object", "properties": {"amount": {"type": "integer"}}},
        }
    },
}
AT = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
GOOD = {"invoice": "in-1", "amount": Decimal("12.50"), "at": AT}
READ = {"invoice": "in-1", "amount": "12.50", "at": "2026-01-02T03:04:05.678Z"}
"""GOOD, as receivers are told it."""
BAD_LINES = {"lines": [{"amount": 1}, {"amount": "much"}]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "invoice.paid.avsc").write_text(json.dumps(PAID))
    (tmp_path / "invoice.sent.json").write_text(json.dumps(SENT))
    return tmp_path


def paid_type(folder: Path) -> EventType:
    found = read_event_types(folder).get("invoice.paid")
    assert found is not None
    return found


def paid(data: object = None, **fields: Any) -> NewEvent:
    return NewEvent(type="invoice.paid", data=GOOD if data is None else data, **fields)


def sent(data: object, **fields: Any) -> NewEvent:
    return NewEvent(type="invoice.sent", data=data, **fields)


@pytest.mark.parametrize("mode", Mode)
def test_type_with_an_avro_schema_is_avro(folder: Path, mode: Mode) -> None:
    """Single-object encoding that fastavro reads, named `application/avro`, in either mode."""
    publisher = MemoryPublisher(source="/x", schemas=folder, mode=mode)
    publisher.publish("billing", paid())
    (event,) = publisher.events
    assert (event.data, event.content_type) == (READ, "application/avro")
    if mode is Mode.BINARY:
        assert event.value[:10] == b"\xc3\x01" + fingerprint()
        assert fastavro.schemaless_reader(
            io.BytesIO(event.value[10:]), fastavro.parse_schema(PAID), None
        ) == {"invoice": "in-1", "amount": Decimal("12.50"), "at": AT}
    else:
        assert json.loads(event.value).keys() >= {"data_base64", "datacontenttype"}


def fingerprint() -> bytes:
    """By the specification's own words: little-endian CRC-64-AVRO of the canonical form."""
    canonical = fastavro.schema.to_parsing_canonical_form(PAID)
    return bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"))


@dataclass
class Paid:
    invoice: str
    amount: Decimal
    at: datetime


def test_avro_takes_what_json_takes(folder: Path) -> None:
    """A dataclass and plain JSON values become the same datum."""
    publisher = MemoryPublisher(source="/x", schemas=folder)
    publisher.publish("billing", paid(Paid("in-1", Decimal("12.50"), AT)))
    publisher.publish("billing", paid(READ))
    first, second = publisher.events
    assert first.value == second.value


def test_json_stays_for_who_asks_and_for_other_types(folder: Path) -> None:
    """By a content type that is JSON; a type without a schema is JSON, whatever it holds."""
    publisher = MemoryPublisher(source="/x", schemas=folder)
    publisher.publish("billing", paid(READ, content_type="application/json"))
    publisher.publish("billing", NewEvent(type="other", data={"any": "thing"}))
    assert [one.content_type for one in publisher.events] == ["application/json"] * 2


def test_bytes_go_as_they_are_where_they_say_avro(folder: Path) -> None:
    """A service that encodes by itself is left alone."""
    publisher = MemoryPublisher(source="/x", schemas=folder)
    value = b"\xc3\x01" + fingerprint() + b"\x08in-1\x04\x04\xe2\x00"
    with pytest.raises(InvalidEventError, match="octet-stream is nothing that its schema"):
        publisher.publish("billing", paid(value))
    encoder = publisher._encoder
    assert encoder.encode("t", paid(value, content_type="application/avro")).value == value


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (sent(BAD_LINES), r"no invoice\.sent: \$\.lines\[1\]\.amount: "),
        (sent(json.dumps(BAD_LINES).encode(), content_type="application/json"), r"lines\[1\]"),
        (sent(b"{", content_type="application/json"), "it is no JSON"),
        (sent(None), r"\$: "),
        (paid({"invoice": 7, "amount": "1", "at": READ["at"]}), r"no invoice\.paid: \$\.invoice: "),
        (paid({"invoice": "in-1"}), r"\$"),
        (paid({"invoice": 7}, content_type="application/json"), r"\$\.invoice|\$: "),
    ],
)
def test_data_that_does_not_fit_is_refused(folder: Path, event: NewEvent, message: str) -> None:
    """Before anything is sent, with the path of the fault."""
    publisher = MemoryPublisher(source="/x", schemas=folder)
    with pytest.raises(InvalidEventError, match=message):
        publisher.submit("billing", event)
    assert publisher.events == []


def test_warning_instead_of_a_refusal(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """`warn` publishes and says where; Avro that does not fit cannot be written at all."""
    publisher = MemoryPublisher(source="/x", schemas=Schemas(folder, validation="warn"))
    publisher.publish("billing", sent(BAD_LINES))
    assert "$.lines[1].amount" in caplog.text
    with pytest.raises(InvalidEventError):
        publisher.publish("billing", paid({"invoice": 7}))
    assert publisher.published() == [("invoice.sent", None, BAD_LINES)]


def test_no_validation(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """`off` looks at nothing."""
    publisher = MemoryPublisher(source="/x", schemas=Schemas(folder, validation=Validation.OFF))
    publisher.publish("billing", sent(BAD_LINES))
    assert (len(publisher.events), caplog.text) == (1, "")


def test_schemas_that_cannot_be_used(folder: Path) -> None:
    """A wrong word, a folder that is not there, a broken file: ConfigurationError, at once."""
    with pytest.raises(ConfigurationError, match="choose off, warn or refuse"):
        Schemas(folder, validation="maybe")
    with pytest.raises(ConfigurationError, match=r"cannot be used.*nowhere"):
        Schemas(folder / "nowhere")
    (folder / "x.avsc").write_text("{")
    with pytest.raises(ConfigurationError, match=r"x\.avsc"):
        MemoryPublisher(schemas=folder)


def test_missing_judge_is_said_when_the_publisher_is_made(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the extra `validation` nothing passes unseen; Avro alone, or `off`, needs none."""
    monkeypatch.setattr("hooklane.schemas.event_types_json.jsonschema_rs", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'hooklane\[validation\]'"):
        Schemas(folder)
    Schemas(folder, validation="off")
    (folder / "invoice.sent.json").unlink()
    Schemas(folder)


# ---- the registry ----------------------------------------------------------------------------


class Registry:
    """A Schema Registry behind httpx: what was asked, and answers by path."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.registered: dict[str, int] = {}
        self.answer: Callable[[httpx.Request], httpx.Response] | None = None

    def client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(self._handle))

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.asked.append((request.method, request.url.path))
        if self.answer is not None:
            return self.answer(request)
        assert json.loads(json.loads(request.content)["schema"]) == PAID
        subject = request.url.path.split("/")[2]
        if request.url.path.endswith("/versions"):
            self.registered[subject] = 70_000
        if subject in self.registered:
            return httpx.Response(200, json={"id": self.registered[subject]})
        return httpx.Response(404, json={"error_code": 40401, "message": "Subject not found"})


def over(registry: Registry, folder: Path, **choices: Any) -> Schemas:
    found = SchemaRegistry("http://registry:8081/", client=registry.client(), **choices)
    return Schemas(folder, registry=found)


def test_confluents_wire_format(folder: Path) -> None:
    """A zero, the id, the datum; the id is asked for once, by TopicNameStrategy."""
    registry = Registry()
    registry.registered["billing-value"] = 70_000
    publisher = MemoryPublisher(source="/x", schemas=over(registry, folder))
    for _ in range(3):
        publisher.publish("billing", paid())
    assert [one.data for one in publisher.events] == [READ] * 3
    assert publisher.events[0].value[:5] == b"\0" + (70_000).to_bytes(4, "big")
    assert publisher.events[0].content_type == "application/avro"
    assert registry.asked == [("POST", "/subjects/billing-value")]


def test_subjects_are_confluents(folder: Path) -> None:
    """The three strategies, by the names that Confluent's own client gives."""
    found = paid_type(folder)
    assert topic_name("billing", found) == "billing-value"
    assert record_name("billing", found) == "billing.Paid"
    assert topic_record_name("billing", found) == "billing-billing.Paid"


def test_schema_that_is_not_registered(folder: Path) -> None:
    """Nothing is sent and what to do is said; with `auto_register` it is registered, once."""
    registry = Registry()
    publisher = MemoryPublisher(source="/x", schemas=over(registry, folder))
    with pytest.raises(RegistryError, match=r"under the subject billing-value: .*auto_register"):
        publisher.publish("billing", paid())
    schemas = over(registry, folder, auto_register=True, subject=record_name)
    publisher = MemoryPublisher(source="/x", schemas=schemas)
    publisher.publish("billing", paid())
    publisher.publish("billing", paid())
    assert registry.asked[1:] == [
        ("POST", "/subjects/billing.Paid"),
        ("POST", "/subjects/billing.Paid/versions"),
    ]


def test_registry_that_is_away_holds_up_nobody_who_has_his_id(folder: Path) -> None:
    """A known id goes on; an unknown one is an error, and not each event asks again."""
    registry = Registry()
    registry.registered["billing-value"] = 7
    publisher = MemoryPublisher(source="/x", schemas=over(registry, folder))
    publisher.publish("billing", paid())

    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    registry.answer = away
    publisher.publish("billing", paid())
    for _ in range(2):
        with pytest.raises(RegistryError, match="does not answer: refused"):
            publisher.publish("other", paid())
    assert len(registry.asked) == 2
    assert len(publisher.events) == 2


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (httpx.Response(401, json={"message": "Unauthorized"}), "401 Unauthorized"),
        (httpx.Response(409, json={"message": "incompatible"}), "409 incompatible"),
        (httpx.Response(502, text="<html>bad gateway</html>"), "502 <html>bad gateway"),
        (httpx.Response(200, json={"id": "seven"}), "gives no id"),
        (httpx.Response(200, text="ok"), "gives no id"),
    ],
)
def test_answers_that_are_no_id(folder: Path, response: httpx.Response, message: str) -> None:
    """Each is a RegistryError with the registry's own words."""
    registry = Registry()
    registry.answer = lambda _: response
    publisher = MemoryPublisher(source="/x", schemas=over(registry, folder))
    with pytest.raises(RegistryError, match=message):
        publisher.publish("billing", paid())


def test_credentials_go_along(folder: Path) -> None:
    """A name and a password as basic authentication."""
    seen: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("authorization"))
        return httpx.Response(200, json={"id": 1})

    registry = Registry()
    registry.answer = answer
    schemas = over(registry, folder, auth=("user", "pass"))
    MemoryPublisher(source="/x", schemas=schemas).publish("billing", paid())
    assert seen == ["Basic dXNlcjpwYXNz"]


def test_registry_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without httpx the sentence says what to install; a wrong address is no registry."""
    with pytest.raises(ConfigurationError, match="no http"):
        SchemaRegistry("registry:8081")
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'hooklane\[registry\]'"):
        SchemaRegistry("http://registry:8081")


async def test_registry_does_not_hold_up_the_loop(folder: Path) -> None:
    """While the id is asked for the loop goes on, and who comes later does not overtake."""
    registry = Registry()
    loop = asyncio.get_running_loop()
    asked, turned = asyncio.Event(), asyncio.Event()

    def answer(_: httpx.Request) -> httpx.Response:
        loop.call_soon_threadsafe(asked.set)
        asyncio.run_coroutine_threadsafe(turned.wait(), loop).result(10)
        return httpx.Response(200, json={"id": 1})

    registry.answer = answer
    publisher = AsyncMemoryPublisher(source="/x", schemas=over(registry, folder))
    first = asyncio.create_task(publisher.publish("billing", paid()))
    await asyncio.wait_for(asked.wait(), 10)
    later = asyncio.create_task(publisher.publish("billing", NewEvent(type="other")))
    await asyncio.sleep(0)
    turned.set()
    await asyncio.gather(first, later)
    assert [one.type for one in publisher.events] == ["invoice.paid", "other"]
