"""What the reader of the config topic makes of Kafka's answers."""

import pytest

from hooklane.runtime.errors import BrokerError
from hooklane.runtime.subscriptions_reader import TopicReader
from tests.unit.test_kafka_admin_patience import Client, admin_over


def end_by(*offsets: int) -> int:
    reader = TopicReader({"bootstrap.servers": "127.0.0.1:1"}, "subscriptions")
    reader._admin = admin_over(Client(offsets=offsets), patience_s=0.3)
    return reader.end()


def test_an_end_is_told() -> None:
    """As Kafka says it."""
    assert end_by(6) == 6


def test_an_offset_that_is_none_is_no_end() -> None:
    """Durability: seen while a broker came back: -1001 without an error. A book that is read up to
    that is empty, and every event would pass for one that nobody wants: it is asked again."""
    assert end_by(-1001, -1001, 6) == 6
    with pytest.raises(BrokerError, match="does not know where"):
        end_by(*[-1001] * 20)
