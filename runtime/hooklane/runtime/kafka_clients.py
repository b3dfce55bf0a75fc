"""Makes Kafka clients from configurations, with librdkafka's words in Python's log.

Each function raises SettingsError, naming the property, for one that is unknown or has a value
that librdkafka refuses.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from hooklane.runtime.kafka import Config
from hooklane.runtime.kafka_properties import refused

_KINDS = 1000

LOGGER = logging.getLogger("hooklane.kafka")
"""What librdkafka says; a client hands it over in its `poll`. Silent where no log is set up: a
command says in its own sentence what went wrong."""
LOGGER.addHandler(logging.NullHandler())


class Repeats(logging.Filter):
    """Lets what librdkafka says again and again through once in a while.

    Of a broker that is away each client speaks several times a second; one line each half minute,
    by its kind and its client, says as much.
    """

    def __init__(self, every_s: float = 30.0, monotonic: Callable[[], float] = time.monotonic):
        super().__init__()
        self._every_s = every_s
        self._monotonic = monotonic
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        kind = record.getMessage().partition("]")[0]
        now = self._monotonic()
        if now - self._said.get(kind, -self._every_s) < self._every_s:
            return False
        if len(self._said) > _KINDS:
            self._said.clear()
        self._said[kind] = now
        return True


LOGGER.addFilter(Repeats())

Heard = Callable[[KafkaError], None]
"""Called in the client's `poll` with errors from which librdkafka recovers by itself."""


def _unheard(error: KafkaError) -> None:
    """librdkafka logs the same words."""


def open_consumer(config: Config, heard: Heard = _unheard) -> Consumer:
    with _refusals():
        return Consumer(_with_callback(config, heard), logger=LOGGER)


def open_unpolled_consumer(config: Config) -> Consumer:
    """One that answers questions and is never polled: what it would say is heard by nobody."""
    with _refusals():
        return Consumer({**config, "log_level": "0"})


def open_producer(config: Config, heard: Heard = _unheard) -> Producer:
    with _refusals():
        return Producer(_with_callback(config, heard), logger=LOGGER)


def open_admin(config: Config, heard: Heard = _unheard) -> AdminClient:
    with _refusals():
        return AdminClient(_with_callback(config, heard), logger=LOGGER)


def _with_callback(config: Config, heard: Heard) -> dict[str, Any]:
    return {**config, "error_cb": heard}


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except KafkaException as error:
        raise refused(error.args[0].str()) from error
