"""The log reader of the embedded broker, which cannot look offsets up by time."""

from collections.abc import Mapping, Sequence

from hooklane.ops.embedded_broker import EmbeddedAdmin
from hooklane.ops.log_reader import LogReader, Span
from hooklane.runtime.kafka import KafkaAccess
from hooklane.runtime.kafka_admin import Partition


class EmbeddedLogReader(LogReader):
    """Reads everything, whatever the time: the caller judges each record itself."""

    def __init__(self, access: KafkaAccess) -> None:
        super().__init__(access, admin=EmbeddedAdmin(access))

    def since(self, moments: Mapping[Partition, int]) -> dict[Partition, Span]:
        return self.whole(list(moments))

    def between(
        self,
        partitions: Sequence[Partition],
        since_ms: int | None,  # noqa: ARG002 - it is asked as Kafka is
        until_ms: int | None,  # noqa: ARG002
    ) -> dict[Partition, Span]:
        return self.whole(partitions)
