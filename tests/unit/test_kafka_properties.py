"""Which properties reach which client: our table against librdkafka's own word."""

import logging
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer

from hooklane.runtime.errors import SettingsError
from hooklane.runtime.kafka_properties import (
    CONSUMER_ONLY,
    OWNED,
    PRODUCER_ONLY,
    ClientKind,
    Property,
    properties_for,
)

# Values that librdkafka takes together, for each property that a plain 100 does not fit.
VALUES = {
    "check.crcs": "true",
    "compression.codec": "lz4",
    "compression.level": "1",
    "compression.type": "lz4",
    "enable.gapless.guarantee": "false",
    "fetch.max.bytes": "1000000",
    "group.protocol": "classic",
    "group.remote.assignor": "uniform",
    "max.poll.interval.ms": "300000",
    "offset.store.method": "broker",
    "offset.store.path": "nowhere",
    "produce.offset.report": "true",
    "queued.max.messages.kbytes": "65536",
}
# librdkafka speaks of a property by its first name.
ALIASES = {
    "compression.type": "compression.codec",
    "linger.ms": "queue.buffering.max.ms",
    "max.partition.fetch.bytes": "fetch.message.max.bytes",
    "retries": "message.send.max.retries",
}


class Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())

    def ignored(self) -> set[str]:
        """The properties that librdkafka says it ignores."""
        said = (line.partition("Configuration property ")[2] for line in self.lines)
        return {line.split()[0] for line in said if "will be ignored by this" in line}


@pytest.fixture
def logger() -> logging.Logger:
    logger = logging.getLogger("tests.properties")
    logger.propagate = False
    return logger


@pytest.fixture
def lines(logger: logging.Logger) -> Iterator[Lines]:
    lines = Lines()
    logger.addHandler(lines)
    yield lines
    logger.removeHandler(lines)


def first_names(names: frozenset[str]) -> set[str]:
    return {ALIASES.get(name, name) for name in names}


def config_of(names: frozenset[str]) -> dict[str, str]:
    return {name: VALUES.get(name, "100") for name in names}


def test_consumer_properties_are_what_a_producer_ignores(
    logger: logging.Logger, lines: Lines
) -> None:
    """librdkafka itself says of each of our consumer properties that a producer ignores it."""
    Producer(config_of(CONSUMER_ONLY), logger=logger).poll(0)
    assert lines.ignored() == first_names(CONSUMER_ONLY)


def test_producer_properties_are_what_a_consumer_ignores(
    logger: logging.Logger, lines: Lines
) -> None:
    """librdkafka itself says of each of our producer properties that a consumer ignores it."""
    consumer = Consumer({**config_of(PRODUCER_ONLY), "group.id": "g"}, logger=logger)
    consumer.poll(0)
    consumer.close()
    assert lines.ignored() == first_names(PRODUCER_ONLY)


@pytest.mark.parametrize("kind", ClientKind)
@pytest.mark.parametrize("name", OWNED)
def test_what_hooklane_rests_on_cannot_be_given(kind: ClientKind, name: str) -> None:
    """A property that Hooklane sets itself is refused by name, whichever client it is for."""
    with pytest.raises(SettingsError, match=rf"HOOKLANE_KAFKA__PROPERTIES: {name} is set by"):
        properties_for(kind, {name: "x"})


@pytest.mark.parametrize(
    ("kind", "left"),
    [
        (ClientKind.CONSUMER, {"fetch.min.bytes", "socket.timeout.ms", "no.such.property"}),
        (ClientKind.PRODUCER, {"batch.size", "socket.timeout.ms", "no.such.property"}),
        (ClientKind.ADMIN, {"socket.timeout.ms", "no.such.property"}),
    ],
)
def test_each_client_takes_what_applies_to_it(kind: ClientKind, left: set[str]) -> None:
    """The other kind's properties are left out; an unknown one stays, for librdkafka to refuse."""
    given: dict[str, Property] = {
        "fetch.min.bytes": 1,
        "batch.size": 1000,
        "socket.timeout.ms": 1000,
        "no.such.property": 1,
    }
    assert properties_for(kind, given).keys() == left


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (False, "false"), (5, "5"), (0.5, "0.5"), ("x", "x")]
)
def test_values_are_written_as_librdkafka_reads_them(value: Property, text: str) -> None:
    """true and false are lower-case words, numbers and strings stay."""
    assert properties_for(ClientKind.ADMIN, {"any": value}) == {"any": text}
