"""Avro events on a real Kafka, with a real schema registry, to a real receiver."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hooklane.producer import (
    NewEvent,
    RegistryError,
    SchemaRegistry,
    Schemas,
    record_name,
    topic_name,
    topic_record_name,
)
from hooklane.producer.registry import Subject
from hooklane.producer.testing import MemoryPublisher, PublishedEvent
from hooklane.schemas.avro_schema import AvroSchema
from hooklane.schemas.event_types_read import read_event_types
from hooklane.schemas.records import DeadLetterReason
from tests.kafka.broker import free_ports
from tests.kafka.fetch import KafkaUnavailableError
from tests.kafka.records import Outgoing
from tests.registry.apicurio import Apicurio, Reference
from tests.support.links import Links
from tests.support.processes import hooklane_ok
from tests.support.site import Site
from tests.support.webhook_sink import WebhookSink

MONEY: dict[str, Any] = {
    "type": "record",
    "name": "Money",
    "namespace": "shop",
    "fields": [
        {
            "name": "amount",
            "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
        },
        {"name": "currency", "type": {"type": "enum", "name": "Currency", "symbols": ["EUR"]}},
    ],
}
PAID: dict[str, Any] = {
    "type": "record",
    "name": "Paid",
    "namespace": "shop",
    "fields": [
        {"name": "n", "type": "long"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "sum", "type": ["null", "shop.Money"], "default": None},
    ],
}
SENT: dict[str, Any] = {
    "type": "record",
    "name": "Sent",
    "fields": [{"name": "n", "type": "long"}, {"name": "raw", "type": "bytes"}],
}
# What the folder has of `sent`: a field more, another one less.
SENT_NOW: dict[str, Any] = {
    "type": "record",
    "name": "Sent",
    "fields": [
        {"name": "n", "type": "long"},
        {"name": "carrier", "type": "string", "default": "post"},
    ],
}
COUNTED: dict[str, Any] = {
    "type": "record",
    "name": "Counted",
    "fields": [{"name": "n", "type": "long"}],
}
ORDER = {"type": "object", "properties": {"lines": {"items": {"required": ["amount"]}}}}
DOCUMENT = {
    "n": 2**62,
    "at": "2026-01-31T13:45:00.000007Z",
    "sum": {"amount": "12.50", "currency": "EUR"},
}
WAITING = "hooklane_schema_waiting_partitions"


@pytest.fixture(scope="module")
def registry() -> Iterator[Apicurio]:
    """One for all tests of this file: no other needs it."""
    try:
        apicurio = Apicurio()
    except KafkaUnavailableError as error:
        pytest.fail(str(error), pytrace=False)
    try:
        apicurio.wait_ready()
        yield apicurio
    finally:
        apicurio.close()


def wire(schema_id: int, datum: bytes) -> bytes:
    return b"\0" + schema_id.to_bytes(4, "big") + datum


def counted(schema_id: int, n: int, partition: int) -> Outgoing:
    return Outgoing(b"k", wire(schema_id, AvroSchema(COUNTED).encode({"n": n})), (), partition)


def numbers(sink: WebhookSink) -> list[int]:
    return [json.loads(hit.body)["n"] for hit in sink.hits]


def test_avro_is_delivered_as_json_and_what_is_bad_is_not(
    site: Site, sink: WebhookSink, registry: Apicurio, tmp_path: Path
) -> None:
    """By the registry with its references, by the folder, by the type's schema of now; unknown ids,
    bad bytes and data that validation refuses are dead letters with their reasons."""
    registry.register("money", MONEY)
    paid = registry.register("paid", PAID, [Reference("shop.Money", "money")])
    (tmp_path / "sent.avsc").write_text(json.dumps(SENT_NOW))
    (tmp_path / "sent.avsc.1").write_text(json.dumps(SENT))
    (tmp_path / "order.json").write_text(json.dumps(ORDER))
    site.subscribe("all", sink.url("all"))
    site.subscribe("some", sink.url("some"), match={"filters": [{"cel": "data.n > 2"}]})
    site.subscribe("whole", sink.url("whole"), payload={"mode": "structured"})

    def of(kind: str, value: bytes) -> Outgoing:
        return Outgoing(b"k", value, (("event-type", kind.encode()),), 0)

    good = AvroSchema(PAID, [MONEY]).encode(DOCUMENT)
    sent = AvroSchema(SENT).encode_single_object({"n": 1, "raw": "AP8="})
    settings = {
        "SCHEMA_REGISTRY__URL": registry.url,
        "EVENTS__SCHEMAS_DIR": str(tmp_path),
        "EVENTS__VALIDATION": "refuse",
    }
    with site.fanout(**settings) as fanout:
        fanout.wait_ready()
        site.publish(
            [
                of("paid", wire(paid, good)),
                of("sent", sent),
                of("paid", wire(paid, good[:-1])),
                of("paid", wire(999_999, good)),
                of("order", b'{"lines": [{"amount": 1}, {}]}'),
                of("order", b'{"lines": [{"amount": 1.10}]}'),
            ]
        )
        sink.wait_for(lambda: len(sink.hits) == 7)
        assert fanout.metric("hooklane_invalid_events_total") == 1
        assert fanout.metric('hooklane_schema_fetches_total{outcome="missing"}') == 1
        assert fanout.terminate() == 0
    first, second, third = sink.of("all")
    assert [json.loads(first.body), json.loads(second.body)] == [
        DOCUMENT,
        {"n": 1, "carrier": "post"},
    ]
    assert first.headers["content-type"] == "application/json"
    assert first.headers["ce-type"] == "paid"
    assert third.body == b'{"lines": [{"amount": 1.10}]}'
    assert [json.loads(hit.body) for hit in sink.of("some")] == [DOCUMENT]
    whole = json.loads(sink.of("whole")[0].body)
    assert (whole["data"], whole["datacontenttype"]) == (DOCUMENT, "application/json")
    letters = sorted(site.dead_letters(), key=lambda one: one.sequence)
    assert {letter.reason for letter in letters} == {DeadLetterReason.UNREADABLE}
    assert [letter.value for letter in letters[:2]] == [
        wire(paid, good[:-1]),
        wire(999_999, good),
    ]
    assert f"the data does not fit the registry's schema {paid}: " in letters[0].detail
    assert letters[1].detail == "the schema registry has no schema 999999"
    assert letters[2].detail == (
        'the data does not fit the schema of order: $.lines[1]: "amount" is a required property'
    )


def test_what_waits_in_the_backlog_is_json(
    fast: Site, sink: WebhookSink, registry: Apicurio
) -> None:
    """The retrier needs neither registry nor schemas: a redirected delivery is JSON already, and so
    is a replayed one; a trace looks at the data too."""
    schema = registry.register("counted", COUNTED)
    fast.subscribe("a", sink.url("a"), state="paused")
    with fast.fanout(SCHEMA_REGISTRY__URL=registry.url) as fanout:
        fanout.wait_ready()
        fast.publish([counted(schema, 1, 0)])
        fanout.wait_for(lambda: fanout.metric("hooklane_redirects_total") == 1)
        assert fanout.terminate() == 0
    operator = fast.environment(SCHEMA_REGISTRY__URL=registry.url)
    hooklane_ok(operator, "replay", "-s", "a", "--topic", fast.events, "--since", "1h")
    tasks = list(fast.tasks().values())
    assert sorted(bool(task.run) for task in tasks) == [False, True]
    for task in tasks:
        assert (task.event.content_type, task.event.data) == ("application/json", b'{"n":1}')
    fast.subscribe("b", sink.url("b"), match={"filters": [{"cel": "data.n == 1"}]})
    fast.subscribe("c", sink.url("c"), match={"filters": [{"cel": "data.n == 2"}]})
    traced = hooklane_ok(
        operator, "trace", "--topic", fast.events, "--key", "k", "--output", "json"
    )
    concerned = {one["subscription"] for one in json.loads(traced)[0]["subscriptions"]}
    assert concerned == {"a", "b"}


def test_a_registry_that_is_down_at_the_start_is_waited_for(
    site: Site, sink: WebhookSink, registry: Apicurio
) -> None:
    """Its partition waits and the others go on; when it comes all arrives in order."""
    schema = registry.register("counted", COUNTED)
    [port] = free_ports(1)
    url = registry.url.replace(f":{registry.port}/", f":{port}/")
    site.subscribe("a", sink.url("a"))
    with site.fanout(SCHEMA_REGISTRY__URL=url) as fanout:
        fanout.wait_ready()
        site.publish([counted(schema, n, 0) for n in range(20)])
        fanout.wait_for(lambda: fanout.metric(WAITING) == 1)
        site.publish([Outgoing(b"k", b'{"n": 100}', (), 1)])
        sink.wait_for(lambda: numbers(sink) == [100])
        site.publish([counted(schema, n, 0) for n in range(20, 40)])
        with Links({0: (port, registry.port)}):
            sink.wait_for(lambda: len(sink.hits) == 41)
        assert numbers(sink)[1:] == list(range(40))
        waits = [one for one in fanout.log_lines() if one["event"] == "schema_registry.waits"]
        assert len(waits) == 1
        assert f"http://127.0.0.1:{port} does not answer" in waits[0]["reason"]
        fanout.wait_for(lambda: fanout.metric(WAITING) == 0)
        assert fanout.terminate() == 0
    assert site.dead_letters() == []


def test_a_registry_that_freezes_loses_and_repeats_nothing(
    site: Site, sink: WebhookSink, registry: Apicurio
) -> None:
    """A schema that is known goes on, a new one waits; a stop meanwhile ends in order, and whoever
    comes next delivers what waited."""
    known = registry.register("counted", COUNTED)
    new = registry.register("counted-otherwise", {**COUNTED, "name": "CountedOtherwise"})
    assert new != known
    site.subscribe("a", sink.url("a"))
    with site.fanout(SCHEMA_REGISTRY__URL=registry.url) as fanout:
        fanout.wait_ready()
        site.publish([counted(known, 0, 0)])
        sink.wait_for(lambda: numbers(sink) == [0])
        registry.freeze()
        try:
            site.publish([counted(known, 1, 0), counted(new, 2, 0), counted(known, 3, 0)])
            sink.wait_for(lambda: numbers(sink) == [0, 1])
            fanout.wait_for(lambda: fanout.metric(WAITING) == 1)
            site.publish([counted(known, 100, 1)])
            sink.wait_for(lambda: numbers(sink) == [0, 1, 100])
            assert fanout.terminate() == 0
        finally:
            registry.thaw()
        fanout.start()
        fanout.wait_ready()
        sink.wait_for(lambda: len(sink.hits) == 5)
        assert fanout.terminate() == 0
    assert numbers(sink) == [0, 1, 100, 2, 3]
    assert site.dead_letters() == []


@pytest.mark.parametrize("subject", [topic_name, record_name, topic_record_name])
def test_a_publisher_asks_a_real_registry(
    registry: Apicurio, tmp_path: Path, prefix: str, subject: Subject
) -> None:
    """Refused while the schema is not there, registered by choice, looked up by the next one, and
    refused in the registry's own words where a change is incompatible."""
    topic, kind = f"{prefix}.events", f"{prefix.replace('-', '_')}_paid"
    schema = {**COUNTED, "name": kind, "namespace": "shop", "doc": "Counted."}
    (tmp_path / "counted.avsc").write_text(json.dumps(schema))

    def publish(data: object, *, auto_register: bool) -> PublishedEvent:
        with httpx.Client(trust_env=False) as client:
            asked = SchemaRegistry(
                registry.url, subject=subject, auto_register=auto_register, client=client
            )
            publisher = MemoryPublisher(source="/x", schemas=Schemas(tmp_path, registry=asked))
            publisher.publish(topic, NewEvent(type="counted", data=data))
        return publisher.events[0]

    with pytest.raises(RegistryError, match="is not registered under"):
        publish({"n": 1}, auto_register=False)
    first = publish({"n": 1}, auto_register=True)
    assert first.data == {"n": 1}
    assert publish({"n": 1}, auto_register=False).value == first.value
    must = {"name": "must", "type": "string"}
    changed = {**schema, "fields": [*COUNTED["fields"], must]}
    (tmp_path / "counted.avsc").write_text(json.dumps(changed))
    found = read_event_types(tmp_path).get("counted")
    assert found is not None
    registry.compatible(subject(topic, found), "BACKWARD")
    with pytest.raises(RegistryError, match="409"):
        publish({"n": 1, "must": "x"}, auto_register=True)
