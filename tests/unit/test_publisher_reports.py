"""Receipts, failures that nobody has seen, and the properties of a publisher. No broker."""

import asyncio
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError, Producer

from hooklane.producer import (
    AsyncEventPublisher,
    ClosedError,
    ConfigurationError,
    DeliveryError,
    EventPublisher,
    NewEvent,
    Published,
    QueueFullError,
    Receipt,
    UndeliveredError,
    UnfinishedError,
)
from hooklane.producer.configuration import publisher_properties
from hooklane.producer.reports import Failures, Out

DONE = Published("t", 0, 7, 5, "e-1")
TIMED_OUT = KafkaError(KafkaError._MSG_TIMED_OUT, "timed out")


class Stored:
    """Where DONE is, as Kafka's report says it."""

    def partition(self) -> int:
        return DONE.partition

    def offset(self) -> int:
        return DONE.offset

    def timestamp(self) -> tuple[int, int]:
        return 1, DONE.timestamp_ms


class Desk:
    """Nobody but the test serves reports here."""

    def __init__(self) -> None:
        self.failures = Failures()
        self.out: Out = deque()

    def attend(self) -> None:
        """The test reports when it likes."""

    def failure(self, topic: str, event_id: str, error: KafkaError) -> DeliveryError:
        return DeliveryError(topic, event_id, error.name(), error.str())


def a_receipt(event_id: str = "e-1", desk: Desk | None = None) -> Receipt:
    """For an event that has been handed over."""
    desk = desk or Desk()
    desk.out.append(None)
    return Receipt(desk, "t", event_id)


def test_receipt_gives_what_became_of_the_event() -> None:
    """Published or the error; asked once or twice."""
    receipt = a_receipt()
    known = [receipt.done]
    receipt.reported(None, Stored())
    assert [*known, receipt.done] == [False, True]
    assert receipt.result() == receipt.result(0) == DONE


def test_receipt_waits_in_several_threads() -> None:
    """All who wait are woken by one report."""
    receipt = a_receipt()
    found: list[Published] = []
    threads = [threading.Thread(target=lambda: found.append(receipt.result(10))) for _ in range(4)]
    for thread in threads:
        thread.start()
    receipt.reported(None, Stored())
    for thread in threads:
        thread.join(10)
    assert found == [DONE] * 4


def test_receipt_does_not_wait_for_ever() -> None:
    """When the time is up and nothing is known, that is said; the receipt stays good."""
    receipt = a_receipt()
    with pytest.raises(TimeoutError, match="nothing is known of event e-1 yet"):
        receipt.result(0.01)
    receipt.reported(None, Stored())
    assert receipt.result() == DONE


def test_failure_that_was_seen_is_not_told_again() -> None:
    """Who asks the receipt has been told; a flush says nothing of it any more."""
    desk = Desk()
    receipt = a_receipt("e-1", desk)
    receipt.reported(TIMED_OUT, Stored())
    with pytest.raises(DeliveryError, match="event e-1 for topic t was not delivered: timed out"):
        receipt.result()
    desk.failures.raise_unseen()


def test_failures_that_nobody_saw_are_told_once() -> None:
    """Their number is counted in full, the first hundred are kept, and each is told once."""
    desk = Desk()
    for number in range(250):
        a_receipt(f"e-{number}", desk).reported(TIMED_OUT, Stored())
    with pytest.raises(UndeliveredError, match="250 events were not delivered") as caught:
        desk.failures.raise_unseen()
    assert (caught.value.count, len(caught.value.errors)) == (250, 100)
    desk.failures.raise_unseen()


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({}, '"bootstrap.servers" is missing'),
        ({"bootstrap.servers": ""}, '"bootstrap.servers" is missing'),
        ({"bootstrap.servers": "x:1", "enable.idempotence": False}, "always idempotent"),
        ({"bootstrap.servers": "x:1", "enable.idempotence": "false"}, "always idempotent"),
        ({"bootstrap.servers": "x:1", "acks": 1}, '"acks" cannot be 1'),
        ({"bootstrap.servers": "x:1", "request.required.acks": "0"}, "always idempotent"),
    ],
)
def test_properties_that_would_break_a_promise(properties: dict[str, Any], message: str) -> None:
    """A publisher without a broker, or one that may lose events, is not made."""
    with pytest.raises(ConfigurationError, match=message):
        publisher_properties(properties)


def test_properties_of_the_caller_come_first() -> None:
    """A default gives way; idempotence and acks are always there, whatever they are called."""
    found = publisher_properties(
        {"bootstrap.servers": "x:1", "linger.ms": 50, "request.required.acks": "-1"}
    )
    assert found["linger.ms"] == 50
    assert (found["acks"], found["enable.idempotence"]) == ("all", True)
    assert "request.required.acks" not in found


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"no.such.property": "1"}, 'No such configuration property: "no.such.property"'),
        ({"batch.size": "big"}, 'Invalid value for configuration property "batch.size"'),
        ({"message.timeout.ms": -7}, '"message.timeout.ms" value -7 is outside allowed range'),
    ],
)
def test_unknown_properties_are_refused(properties: dict[str, Any], message: str) -> None:
    """What Kafka's client does not know is a ConfigurationError that names it."""
    with pytest.raises(ConfigurationError, match=message):
        EventPublisher({"bootstrap.servers": "127.0.0.1:1", **properties})


@pytest.fixture
def deaf() -> Iterator[dict[str, Any]]:
    """Properties with a broker's address where nobody listens, bound so that nobody else will."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield {
            "bootstrap.servers": f"127.0.0.1:{taken.getsockname()[1]}",
            "message.timeout.ms": 300,
            "reconnect.backoff.max.ms": 100,
        }


def test_unreachable_broker_is_a_delivery_error(deaf: dict[str, Any]) -> None:
    """A publish that cannot be acknowledged raises, names the event, and says what is wrong."""
    publisher = EventPublisher(deaf, source="/x")
    with pytest.raises(DeliveryError, match=r"event e-9 .* timed out.*refused") as caught:
        publisher.publish("t", NewEvent(type="x", id="e-9"))
    publisher.close()
    assert (caught.value.event_id, caught.value.code) == ("e-9", "_MSG_TIMED_OUT")


def test_close_tells_what_nobody_asked_for(deaf: dict[str, Any]) -> None:
    """A failed event whose receipt was thrown away comes up when the publisher is closed."""
    publisher = EventPublisher(deaf, source="/x")
    publisher.submit("t", NewEvent(type="x"))
    with pytest.raises(UndeliveredError, match="1 events were not delivered"):
        publisher.close()
    publisher.close()


def test_closing_gives_up_what_is_left(deaf: dict[str, Any]) -> None:
    """When the time for a flush is up the number left is told, and no receipt waits for ever."""
    publisher = EventPublisher({**deaf, "message.timeout.ms": 60_000}, source="/x")
    receipt = publisher.submit("t", NewEvent(type="x"))
    with pytest.raises(UnfinishedError, match=r"1 events are still on their way after 0\.1 s"):
        publisher.flush(0.1)
    with pytest.raises(UnfinishedError):
        publisher.close(0.1)
    with pytest.raises(DeliveryError):
        receipt.result(5)


def test_closed_publisher_sends_nothing(deaf: dict[str, Any]) -> None:
    """After close a publish is refused, at once."""
    publisher = EventPublisher(deaf, source="/x")
    publisher.close()
    with pytest.raises(ClosedError):
        publisher.submit("t", NewEvent(type="x"))


def test_words_of_the_client_are_no_events(
    deaf: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Kafka's client wants logged waits where its reports do: nobody waits for that, and it is
    not counted among the events."""

    class Talkative(Producer):
        def __len__(self) -> int:
            return super().__len__() + 2

    monkeypatch.setattr("hooklane.producer.sender.Producer", Talkative)
    publisher = EventPublisher({**deaf, "message.timeout.ms": 60_000}, source="/x")
    publisher.flush(0)
    publisher.submit("t", NewEvent(type="x"))
    with pytest.raises(UnfinishedError, match=r"1 events are still on their way after 0\.1 s"):
        publisher.close(0.1)


def test_full_queue_holds_the_caller_up(deaf: dict[str, Any]) -> None:
    """No room: the caller waits; after `max_wait_s` it is told that nothing was sent."""
    small = {**deaf, "queue.buffering.max.messages": 2, "message.timeout.ms": 60_000}
    publisher = EventPublisher(small, source="/x", max_wait_s=0.2)
    for _ in range(2):
        publisher.submit("t", NewEvent(type="x"))
    began = time.monotonic()
    with pytest.raises(QueueFullError, match=r"no room for event e-3 for 0\.2 s"):
        publisher.submit("t", NewEvent(type="x", id="e-3"))
    assert time.monotonic() - began >= 0.2
    with pytest.raises(UnfinishedError):
        publisher.close(0)


async def test_async_full_queue_holds_the_caller_up(deaf: dict[str, Any]) -> None:
    """The asyncio form waits without blocking the loop, and tells it likewise."""
    small = {**deaf, "queue.buffering.max.messages": 1, "message.timeout.ms": 60_000}
    publisher = AsyncEventPublisher(small, source="/x", max_wait_s=0.2)
    first = asyncio.create_task(publisher.publish("t", NewEvent(type="x")))
    await asyncio.sleep(0)
    with pytest.raises(QueueFullError, match="no room for event e-3"):
        await publisher.publish("t", NewEvent(type="x", id="e-3"))
    with pytest.raises(UnfinishedError):
        await publisher.close(0)
    with pytest.raises(DeliveryError):
        await asyncio.wait_for(first, 5)


async def test_async_failure_of_a_cancelled_publish_is_told(deaf: dict[str, Any]) -> None:
    """A cancelled call's event may fail: then `close` says so. An awaited one is told once."""
    publisher = AsyncEventPublisher(deaf, source="/x")
    cancelled = asyncio.create_task(publisher.publish("t", NewEvent(type="x")))
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(DeliveryError, match="e-2"):
        await publisher.publish("t", NewEvent(type="x", id="e-2"))
    with pytest.raises(UndeliveredError, match="1 events were not delivered"):
        await publisher.close()


def test_forgotten_publisher_ends_by_itself(deaf: dict[str, Any]) -> None:
    """A publisher that nobody holds any more takes its thread with it."""

    def threads() -> int:
        return sum(one.name == "hooklane-publisher" for one in threading.enumerate())

    before = threads()
    publisher = EventPublisher(deaf, source="/x")
    assert threads() == before + 1
    del publisher
    deadline = time.monotonic() + 5
    while threads() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threads() == before


def test_what_a_forgotten_publisher_could_not_send_is_logged(
    deaf: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """There is nobody left to be told by an exception, and nothing is lost in silence."""
    publisher = EventPublisher({**deaf, "message.timeout.ms": 300}, source="/x")
    publisher.submit("t", NewEvent(type="x", id="e-1"))
    del publisher
    [said] = [one.getMessage() for one in caplog.records if "not closed" in one.getMessage()]
    assert "1 events were not delivered; the first: event e-1 for topic t" in said
