"""What the reader of the config topic makes of Kafka's answers."""

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from hooklane.runtime.errors import BrokerError
from hooklane.runtime.subscriptions_reader import TopicReader


class Client:
    """Stands for the admin client: says one offset."""

    def __init__(self, offset: int) -> None:
        self._offset = offset

    def list_offsets(self, request: Any, **_: Any) -> dict[Any, "Future[Any]"]:
        future: Future[Any] = Future()
        future.set_result(SimpleNamespace(offset=self._offset))
        return dict.fromkeys(request, future)


def end_by(offset: int) -> int:
    reader = TopicReader({"bootstrap.servers": "127.0.0.1:1"}, "subscriptions")
    reader._admin = Client(offset)  # type: ignore[assignment]
    return reader.end()


def test_an_end_is_told() -> None:
    """As Kafka says it."""
    assert end_by(6) == 6


def test_an_offset_that_is_none_is_no_end() -> None:
    """Durability: seen while a broker came back: -1001 without an error. A book that is read up to
    that is empty, and every event would pass for one that nobody wants."""
    with pytest.raises(BrokerError, match="does not know the end"):
        end_by(-1001)
