"""The publishers for users' own tests: what they keep, and how they fail on demand."""

import asyncio
from collections.abc import Iterator

import pytest

from hooklane.producer import (
    AsyncEventPublisher,
    AsyncPublisher,
    ClosedError,
    ConfigurationError,
    DeliveryError,
    EventPublisher,
    InvalidEventError,
    Mode,
    NewEvent,
    NoTransactionError,
    Publisher,
    QueueFullError,
    TransactionAbortedError,
    UndeliveredError,
)
from hooklane.producer.testing import AsyncMemoryPublisher, MemoryPublisher


@pytest.fixture
def publisher() -> Iterator[MemoryPublisher]:
    with MemoryPublisher(source="/billing") as publisher:
        yield publisher


def bill(publisher: Publisher, customer: str, amount: int) -> None:
    """A service's code, as it is annotated."""
    publisher.publish("billing", NewEvent(type="paid", key=customer, data={"amount": amount}))


def test_both_publishers_are_the_protocols() -> None:
    """Code that is annotated with the Protocols takes the real publishers and those for tests."""
    threads: list[type[Publisher]] = [EventPublisher, MemoryPublisher]
    tasks: list[type[AsyncPublisher]] = [AsyncEventPublisher, AsyncMemoryPublisher]
    for real, memory in (threads, tasks):
        names = {name for name in vars(Publisher) if not name.startswith("_")} - {"submit"}
        assert all(callable(getattr(one, name)) for one in (real, memory) for name in names)


def test_published_events_are_compared_in_one_line(publisher: MemoryPublisher) -> None:
    """Type, key and data in order, by topic or type if that is asked."""
    bill(publisher, "c-1", 1)
    bill(publisher, "c-2", 2)
    publisher.publish("other", NewEvent(type="seen", data="x"))
    assert publisher.published("billing") == [
        ("paid", "c-1", {"amount": 1}),
        ("paid", "c-2", {"amount": 2}),
    ]
    assert publisher.published(type="seen") == [("seen", None, "x")]
    assert len(publisher.published()) == 3
    publisher.clear()
    assert publisher.published() == []


@pytest.mark.parametrize("mode", Mode)
def test_an_event_is_seen_as_a_reader_sees_it(mode: Mode) -> None:
    """Attributes, headers, key, content type and place, in either mode."""
    publisher = MemoryPublisher(source="/billing", mode=mode)
    published = publisher.publish(
        "billing",
        NewEvent(
            type="paid",
            key="c-1",
            id="e-1",
            subject="in-1",
            data="Grüße",
            content_type="text/plain",
            extensions={"tenant": "acme"},
            headers={"x-one": "1"},
        ),
    )
    (event,) = publisher.events
    assert (event.id, event.source, event.subject) == ("e-1", "/billing", "in-1")
    assert (event.data, event.content_type) == ("Grüße", "text/plain")
    assert event.attributes["tenant"] == "acme"
    assert event.headers == {"x-one": b"1"}
    assert (published.topic, published.offset, published.event_id) == ("billing", 0, "e-1")


def test_no_data_and_bytes_stay_what_they_are(publisher: MemoryPublisher) -> None:
    """No data is None, bytes are bytes."""
    publisher.publish("t", NewEvent(type="x"))
    publisher.publish("t", NewEvent(type="x", data=b"\xff"))
    assert [one.data for one in publisher.events] == [None, b"\xff"]


def test_an_invalid_event_fails_in_tests_too(publisher: MemoryPublisher) -> None:
    """The encoder is the real one."""
    with pytest.raises(InvalidEventError, match="is no JSON"):
        publisher.publish("t", NewEvent(type="x", data=object()))
    assert publisher.events == []


def test_the_next_event_fails(publisher: MemoryPublisher) -> None:
    """By a DeliveryError with Kafka's name; the one after it is published."""
    publisher.fail_next(code="TOPIC_AUTHORIZATION_FAILED")
    with pytest.raises(DeliveryError, match=r"for topic billing .*TOPIC_AUTHORIZATION_FAILED"):
        bill(publisher, "c-1", 1)
    bill(publisher, "c-1", 2)
    assert publisher.published() == [("paid", "c-1", {"amount": 2})]
    with pytest.raises(ValueError, match="no error 'NONSENSE'"):
        publisher.fail_next(code="NONSENSE")


def test_a_failure_that_nobody_asked_for_comes_at_the_end() -> None:
    """As with Kafka: a receipt that was thrown away is told by `close`."""
    publisher = MemoryPublisher(source="/x")
    publisher.fail_next(2)
    publisher.submit("t", NewEvent(type="x"))
    with pytest.raises(DeliveryError):
        publisher.submit("t", NewEvent(type="x")).result()
    with pytest.raises(UndeliveredError, match="1 events were not delivered"):
        publisher.close()
    with pytest.raises(ClosedError):
        publisher.submit("t", NewEvent(type="x"))


def test_a_full_queue(publisher: MemoryPublisher) -> None:
    """Nothing is sent while it is full."""
    publisher.queue_is_full = True
    with pytest.raises(QueueFullError, match="no room for event e-1"):
        publisher.submit("t", NewEvent(type="x", id="e-1"))
    publisher.queue_is_full = False
    bill(publisher, "c-1", 1)
    assert len(publisher.events) == 1


def test_transactions_hold_together() -> None:
    """An exception takes all events of the block away; so does a commit that fails."""
    publisher = MemoryPublisher(source="/x", transactional=True)
    with publisher.transaction():
        bill(publisher, "c-1", 1)
        bill(publisher, "c-1", 2)

    def break_off() -> None:
        with publisher.transaction():
            bill(publisher, "c-1", 3)
            raise KeyError

    with pytest.raises(KeyError):
        break_off()
    publisher.fail_next_commit()
    with pytest.raises(TransactionAbortedError), publisher.transaction():
        bill(publisher, "c-1", 4)
    assert [data for _, _, data in publisher.published()] == [{"amount": 1}, {"amount": 2}]
    publisher.close()


def test_transactions_have_their_rules() -> None:
    """Without an id there are none; with one nothing is published outside, and none is nested."""
    with pytest.raises(ConfigurationError, match="transactional_id"):
        MemoryPublisher(source="/x").transaction().__enter__()
    publisher = MemoryPublisher(source="/x", transactional=True)
    with pytest.raises(NoTransactionError, match="in `with"):
        bill(publisher, "c-1", 1)
    with publisher.transaction(), pytest.raises(NoTransactionError, match="open here already"):
        publisher.transaction().__enter__()


async def test_asyncio_publisher() -> None:
    """The same with asyncio: what is kept, what fails, a full queue, transactions by tasks."""
    async with AsyncMemoryPublisher(source="/x", transactional=True, max_wait_s=0.01) as publisher:
        async with publisher.transaction():
            await asyncio.gather(
                *(publisher.publish("t", NewEvent(type="x", data=n)) for n in range(3))
            )
        publisher.fail_next()
        with pytest.raises(DeliveryError):
            async with publisher.transaction():
                await publisher.publish("t", NewEvent(type="x", data=3))
        publisher.queue_is_full = True
        with pytest.raises(QueueFullError):
            async with publisher.transaction():
                await publisher.publish("t", NewEvent(type="x", data=4))
        publisher.queue_is_full = False
        outside = asyncio.create_task(publisher.publish("t", NewEvent(type="x", data=5)))
        with pytest.raises(NoTransactionError):
            await outside
        assert publisher.published() == [("x", None, 0), ("x", None, 1), ("x", None, 2)]
