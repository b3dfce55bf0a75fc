"""Answers of Kafka that pass by themselves are not told to anybody."""

from collections.abc import Sequence
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from hooklane.runtime.errors import BrokerError
from hooklane.runtime.kafka import KafkaAccess
from hooklane.runtime.kafka_admin import KafkaAdmin, Partition

PLACE = Partition("orders", 0)


class Client:
    """Stands for the admin client: fails with these codes first, then says these offsets."""

    def __init__(self, *codes: int, offsets: Sequence[int] = (7,)) -> None:
        self.codes = list(codes)
        self.offsets = list(offsets)
        self.asked = 0

    def poll(self, timeout: float) -> int:
        return 0

    def list_offsets(self, request: Any, **_: Any) -> dict[Any, "Future[Any]"]:
        self.asked += 1
        future: Future[Any] = Future()
        if self.codes:
            future.set_exception(KafkaException(KafkaError(self.codes.pop(0))))
        else:
            future.set_result(SimpleNamespace(offset=self.offsets.pop(0)))
        return dict.fromkeys(request, future)


def admin_over(client: Client, patience_s: float = 5.0) -> KafkaAdmin:
    admin = KafkaAdmin(KafkaAccess("127.0.0.1:1"), patience_s)
    admin.client = client  # type: ignore[assignment]
    return admin


@pytest.mark.parametrize(
    "code",
    [
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.OFFSET_NOT_AVAILABLE,
    ],
)
def test_a_leader_that_changes_is_asked_again(code: int) -> None:
    """Rule 5 needs ends: while a leader changes the question is put again, not given up."""
    client = Client(code, code)
    assert admin_over(client).high_watermarks([PLACE]) == {PLACE: 7}
    assert client.asked == 3


def test_an_offset_that_is_none_is_no_answer() -> None:
    """Rule 5: seen while a broker came back: -1001 without an error. To read up to that is to read
    nothing, and to take it for everything."""
    client = Client(offsets=[-1001, -1001, 7])
    assert admin_over(client).high_watermarks([PLACE]) == {PLACE: 7}
    assert client.asked == 3


def test_no_record_of_a_time_is_an_answer_and_no_offset_is_none() -> None:
    """Asked by time, -1 says that there is none so young; what is lower says nothing."""
    client = Client(offsets=[-1001, -1])
    assert admin_over(client).offsets_at({PLACE: 1_000}) == {PLACE: None}
    assert client.asked == 2
    assert admin_over(Client(offsets=[5])).offsets_at({PLACE: 1_000}) == {PLACE: 5}


def test_a_refusal_is_told_at_once() -> None:
    """What will not pass by itself is one sentence, without a second question."""
    client = Client(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    with pytest.raises(BrokerError, match="refuses to tell offsets"):
        admin_over(client).high_watermarks([PLACE])
    assert client.asked == 1
