"""The publishers against a real broker: order, reports, flush at exit, the record itself."""

import asyncio
import io
import json
import re
import subprocess
import sys
import textwrap
from collections import defaultdict
from pathlib import Path

import fastavro
import pytest
from cloudevents.core.bindings import kafka as package
from confluent_kafka import Producer

from hooklane.producer import (
    AsyncEventPublisher,
    DeliveryError,
    EventPublisher,
    FencedError,
    InvalidEventError,
    Mode,
    NewEvent,
    Published,
    TransactionAbortedError,
)
from hooklane.schemas.decode import decode
from hooklane.schemas.event import Event, SourceRecord
from hooklane.schemas.lane import LaneNamer, lane_partition
from tests.kafka.broker import Kafka
from tests.kafka.records import Stored, create_topic, read_topic


def properties(kafka: Kafka) -> dict[str, object]:
    return {"bootstrap.servers": kafka.bootstrap_servers, "linger.ms": 1}


def event_of(stored: Stored) -> Event:
    found = decode(
        SourceRecord(
            stored.topic,
            "ab" * 16,
            stored.partition,
            stored.offset,
            stored.timestamp_ms,
            stored.key,
            stored.value,
            stored.headers,
        )
    )
    assert isinstance(found, Event)
    return found


@pytest.mark.parametrize("mode", Mode)
def test_published_event_is_in_kafka(kafka: Kafka, prefix: str, mode: Mode) -> None:
    """The report names the place where the event is, and both readers understand it."""
    topic = create_topic(kafka, f"{prefix}.events", partitions=3)
    event = NewEvent(type="invoice.paid", key="c-42", subject="Zürich", data={"amount": 12.5})
    with EventPublisher(properties(kafka), source="/billing", mode=mode) as publisher:
        published = publisher.publish(topic, event)
    (stored,) = read_topic(kafka, topic)
    assert published == Published(
        topic, stored.partition, stored.offset, stored.timestamp_ms, event.id
    )
    found = event_of(stored)
    assert (found.attributes["id"], found.attributes["source"]) == (event.id, "/billing")
    assert (found.key, found.document()) == (b"c-42", {"amount": 12.5})
    headers = {name: value or b"" for name, value in stored.headers}
    message = package.KafkaMessage(headers, stored.key, stored.value or b"")
    theirs = package.from_kafka_event(message)
    assert (theirs.get_id(), theirs.get_subject()) == (event.id, "Zürich")
    assert theirs.get_data() == {"amount": 12.5}


def test_events_of_a_key_stay_in_order(kafka: Kafka, prefix: str) -> None:
    """Handed over without waiting, through a queue far too small: nothing is lost or reordered."""
    topic = create_topic(kafka, f"{prefix}.events", partitions=4)
    small = {**properties(kafka), "queue.buffering.max.messages": 50}
    with EventPublisher(small, source="/x") as publisher:
        receipts = [
            publisher.submit(topic, NewEvent(type="x", key=f"k{n % 7}", data=n))
            for n in range(2000)
        ]
    places = {(receipt.result().partition, receipt.result().offset) for receipt in receipts}
    assert len(places) == 2000
    assert_in_order(kafka, topic, 2000)


async def test_asyncio_events_of_a_key_stay_in_order(kafka: Kafka, prefix: str) -> None:
    """Two thousand tasks at once and a small queue: in the order in which they began."""
    topic = create_topic(kafka, f"{prefix}.events", partitions=4)
    small = {**properties(kafka), "queue.buffering.max.messages": 50}
    async with AsyncEventPublisher(small, source="/x", key=lambda e: f"k{e.subject}") as publisher:
        published = await asyncio.gather(
            *(
                publisher.publish(topic, NewEvent(type="x", subject=str(n % 7), data=n))
                for n in range(2000)
            )
        )
        await publisher.flush()
    assert len({(one.partition, one.offset) for one in published}) == 2000
    assert_in_order(kafka, topic, 2000)


def assert_in_order(kafka: Kafka, topic: str, count: int) -> None:
    by_key: dict[bytes | None, list[int]] = defaultdict(list)
    partitions: dict[bytes | None, set[int]] = defaultdict(set)
    for stored in read_topic(kafka, topic):
        by_key[stored.key].append(int(stored.value or b""))
        partitions[stored.key].add(stored.partition)
    assert sum(map(len, by_key.values())) == count
    assert all(numbers == sorted(numbers) for numbers in by_key.values())
    assert all(len(found) == 1 for found in partitions.values())


def test_missing_topic_is_a_delivery_error(kafka: Kafka, prefix: str) -> None:
    """A topic that is not there is said by name, and is no hang."""
    quick = {**properties(kafka), "topic.metadata.propagation.max.ms": 500}
    with EventPublisher(quick, source="/x") as publisher:
        receipt = publisher.submit(f"{prefix}.none", NewEvent(type="x"))
        with pytest.raises(DeliveryError, match=rf"{prefix}\.none .*UNKNOWN_TOPIC"):
            receipt.result(30)


def test_too_large_an_event_is_a_delivery_error(kafka: Kafka, prefix: str) -> None:
    """An event above the client's limit is a DeliveryError; the next one goes through."""
    topic = create_topic(kafka, f"{prefix}.events")
    with EventPublisher(properties(kafka), source="/x") as publisher:
        with pytest.raises(DeliveryError, match="MSG_SIZE_TOO_LARGE"):
            publisher.publish(topic, NewEvent(type="x", data="x" * 2_000_000))
        publisher.publish(topic, NewEvent(type="x", data="small"))
    assert len(read_topic(kafka, topic)) == 1


def values(kafka: Kafka, topic: str) -> list[bytes | None]:
    return [stored.value for stored in read_topic(kafka, topic)]


def test_events_of_a_transaction_appear_together_or_not_at_all(kafka: Kafka, prefix: str) -> None:
    """Two topics; an exception takes all away; a failed event too, and the publisher goes on."""
    one, two = (create_topic(kafka, f"{prefix}.{name}") for name in ("one", "two"))
    quick = {**properties(kafka), "topic.metadata.propagation.max.ms": 300}
    with EventPublisher(quick, source="/x", transactional_id=prefix) as publisher:
        with publisher.transaction():
            receipt = publisher.submit(one, NewEvent(type="x", data=1))
            publisher.publish(two, NewEvent(type="x", data=2))
            assert values(kafka, one) == values(kafka, two) == []
        assert receipt.result(0).topic == one

        def broken_off() -> None:
            with publisher.transaction():
                publisher.publish(one, NewEvent(type="x", data=3))
                publisher.submit(two, NewEvent(type="x", data=4))
                raise KeyError

        with pytest.raises(KeyError):
            broken_off()

        def one_fails() -> None:
            with publisher.transaction():
                publisher.submit(one, NewEvent(type="x", data=5))
                publisher.submit(f"{prefix}.none", NewEvent(type="x", data=6))

        with pytest.raises(TransactionAbortedError, match=r"\.none was not .*UNKNOWN_TOPIC"):
            one_fails()
        with publisher.transaction():
            publisher.submit(one, NewEvent(type="x", data=7))
    assert (values(kafka, one), values(kafka, two)) == ([b"1", b"7"], [b"2"])


def test_publisher_that_was_fenced_says_so(kafka: Kafka, prefix: str) -> None:
    """The newer one of a transactional id goes on; what the older had open is not there."""
    topic = create_topic(kafka, f"{prefix}.events")

    def publish(publisher: EventPublisher, data: str) -> None:
        with publisher.transaction():
            publisher.submit(topic, NewEvent(type="x", data=data))
            publisher.flush()
            if data == "old":
                publish(newer, "new")

    older = EventPublisher(properties(kafka), source="/x", transactional_id=prefix)
    newer = EventPublisher(properties(kafka), source="/x", transactional_id=prefix)
    for _ in range(2):
        with pytest.raises(FencedError, match="give each its own"):
            publish(older, "old")
    older.close()
    newer.close()
    assert values(kafka, topic) == [b'"new"']


def test_records_that_time_out_in_a_transaction_take_a_new_producer(
    kafka: Kafka, prefix: str
) -> None:
    """The transaction is aborted, and the next one of the same publisher comes to be."""
    topic = create_topic(kafka, f"{prefix}.events")
    impatient = {**properties(kafka), "message.timeout.ms": 400}
    with EventPublisher(impatient, source="/x", transactional_id=prefix) as publisher:

        def publish(*topics: str) -> None:
            with publisher.transaction():
                for one in topics:
                    publisher.submit(one, NewEvent(type="x", data=one == topic))

        with pytest.raises(TransactionAbortedError, match="MSG_TIMED_OUT"):
            publish(topic, f"{prefix}.none")
        before = publisher._sender._producer  # type: ignore[attr-defined]
        publish(topic)
        publish(topic)
        assert publisher._sender._producer is not before  # type: ignore[attr-defined]
    assert values(kafka, topic) == [b"true"] * 2


async def test_asyncio_transaction(kafka: Kafka, prefix: str) -> None:
    """By tasks of the block; a cancelled block leaves nothing, and the next one goes on."""
    topic = create_topic(kafka, f"{prefix}.events")

    async def transact(numbers: range, *, wait: bool = False) -> None:
        async with publisher.transaction():
            await asyncio.gather(
                *(publisher.publish(topic, NewEvent(type="x", data=n)) for n in numbers)
            )
            if wait:
                published.set()
                await asyncio.Event().wait()

    published = asyncio.Event()
    publisher = AsyncEventPublisher(properties(kafka), source="/x", transactional_id=prefix)
    async with publisher:
        await transact(range(20))
        cancelled = asyncio.create_task(transact(range(20, 30), wait=True))
        await asyncio.wait_for(published.wait(), 30)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        await transact(range(30, 33))
    wanted = [*range(20), *range(30, 33)]
    assert values(kafka, topic) == [b"%d" % n for n in wanted]


def test_transaction_that_a_killed_process_left_open_is_ended(kafka: Kafka, prefix: str) -> None:
    """The next publisher of the id begins at once, and nothing of the killed one is there."""
    topic = create_topic(kafka, f"{prefix}.events")
    program = """
        import os, signal, sys
        from hooklane.producer import EventPublisher, NewEvent
        publisher = EventPublisher(
            {"bootstrap.servers": sys.argv[1]}, source="/x", transactional_id=sys.argv[2]
        )
        with publisher.transaction():
            publisher.publish(sys.argv[3], NewEvent(type="x", data="killed"))
            os.kill(os.getpid(), signal.SIGKILL)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    command += [kafka.bootstrap_servers, prefix, topic]
    assert subprocess.run(command, timeout=60, check=False).returncode == -9
    with (
        EventPublisher(properties(kafka), source="/x", transactional_id=prefix) as publisher,
        publisher.transaction(),
    ):
        publisher.publish(topic, NewEvent(type="x", data="next"))
    assert values(kafka, topic) == [b'"next"']


def test_avro_event_is_in_kafka(kafka: Kafka, prefix: str, tmp_path: Path) -> None:
    """Single-object encoding, which fastavro reads by the schema file alone."""
    topic = create_topic(kafka, f"{prefix}.events")
    fields = [{"name": "amount", "type": "double"}]
    schema: dict[str, object] = {"type": "record", "name": "Paid", "fields": fields}
    (tmp_path / "invoice.paid.avsc").write_text(json.dumps(schema))
    with EventPublisher(properties(kafka), source="/x", schemas=tmp_path) as publisher:
        publisher.publish(topic, NewEvent(type="invoice.paid", data={"amount": 12.5}))
        with pytest.raises(InvalidEventError, match=r"\$"):
            publisher.publish(topic, NewEvent(type="invoice.paid", data={"amount": "much"}))
    (stored,) = read_topic(kafka, topic)
    assert dict(stored.headers)["content-type"] == b"application/avro"
    assert stored.value is not None
    datum = io.BytesIO(stored.value[10:])
    read = fastavro.schemaless_reader(datum, fastavro.parse_schema(schema), None)
    assert read == {"amount": 12.5}


def test_flush_at_the_end_of_the_process(kafka: Kafka, prefix: str) -> None:
    """A program that ends without closing its publisher loses nothing."""
    topic = create_topic(kafka, f"{prefix}.events")
    program = """
        import sys
        from hooklane.producer import EventPublisher, NewEvent
        publisher = EventPublisher(
            {"bootstrap.servers": sys.argv[1], "linger.ms": 500}, source="/x"
        )
        for number in range(100):
            publisher.submit(sys.argv[2], NewEvent(type="x", data=number))
    """
    command = [sys.executable, "-c", textwrap.dedent(program), kafka.bootstrap_servers, topic]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert [one.value for one in read_topic(kafka, topic)] == [b"%d" % n for n in range(100)]


def test_failure_at_the_end_of_the_process_is_shown(kafka: Kafka, prefix: str) -> None:
    """Where nobody asked and the event failed, the ending program says so on stderr."""
    program = """
        import sys
        from hooklane.producer import EventPublisher, NewEvent
        publisher = EventPublisher(
            {"bootstrap.servers": sys.argv[1], "topic.metadata.propagation.max.ms": 300},
            source="/x",
        )
        publisher.submit(sys.argv[2], NewEvent(type="x", id="e-1"))
    """
    command = [
        sys.executable,
        "-c",
        textwrap.dedent(program),
        kafka.bootstrap_servers,
        f"{prefix}.n",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "not closed: 1 events were not delivered; the first: event e-1" in done.stderr


def test_the_examples_in_the_docs_work(kafka: Kafka, prefix: str, tmp_path: Path) -> None:
    """Those of docs/events.md that publish, one after the other, with a folder of schemas."""
    topics = ("billing.events", "orders.events", "stock.events")
    page = (Path(__file__).parents[2] / "docs" / "events.md").read_text()
    examples = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    program = "".join(one for one in examples if "localhost:9092" in one)
    program = program.replace("localhost:9092", kafka.bootstrap_servers)
    program = program.replace('"orders-1"', repr(prefix))
    for topic in topics:
        program = program.replace(f'"{topic}"', repr(create_topic(kafka, f"{prefix}.{topic}")))
    (tmp_path / "schemas").mkdir()
    amount = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
    fields = [{"name": "amount", "type": amount}]
    schema = {"type": "record", "name": "Paid", "fields": fields}
    (tmp_path / "schemas" / "invoice.paid.avsc").write_text(json.dumps(schema))
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    plain, avro = read_topic(kafka, f"{prefix}.billing.events")
    assert (plain.key, plain.value) == (b"c-42", b'{"amount":120}')
    assert avro.value is not None
    assert avro.value[10:] == b"\x04\x04\xe2"
    for topic, key in zip(topics[1:], (b"o-7", b"s-3"), strict=True):
        assert [one.key for one in read_topic(kafka, f"{prefix}.{topic}")] == [key]


def test_lane_partition_is_librdkafkas_consistent_one(kafka: Kafka, prefix: str) -> None:
    """A producer with `partitioner=consistent` puts every lane where `lane_partition` says."""
    topic = create_topic(kafka, f"{prefix}.backlog", partitions=12)
    namer = LaneNamer("g", "s", "u", "ab" * 16, 0)
    lanes = [namer.lane(b"%d" % n) for n in range(300)]
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "partitioner": "consistent"})
    for lane in lanes:
        producer.produce(topic, key=lane.encode())
    assert producer.flush(30) == 0
    found = {stored.key: stored.partition for stored in read_topic(kafka, topic)}
    assert found == {lane.encode(): lane_partition(lane, 12) for lane in lanes}
