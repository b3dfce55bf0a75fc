"""What is asked of Kafka, and the config topic as it is followed. In threads of a node."""

from collections.abc import Iterable, Sequence

from hooklane.runtime.group_division import Division
from hooklane.runtime.kafka_admin import Partition
from hooklane.runtime.subscriptions_reader import End, Line
from tests.simulation.threads import Signal, sleep
from tests.simulation.wire import Wire


class SimAdmin:
    """The part of KafkaAdmin that the services use while they run."""

    def __init__(self, wire: Wire) -> None:
        self._wire, self._cluster = wire, wire.cluster

    def topic_ids(self, names: Iterable[str]) -> dict[str, str]:
        self._wire.ask()
        known = self._cluster.topic_ids
        return {name: known[name] for name in names if name in known}

    def configs(self, names: Iterable[str]) -> dict[str, dict[str, str]]:
        self._wire.ask()
        kept = str(self._cluster.tombstones_kept_ms)
        return {name: {"delete.retention.ms": kept} for name in names}

    def first_offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        self._wire.ask()
        return {one: self._cluster.logs[one].first for one in partitions}

    def high_watermarks(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        self._wire.ask()
        return {one: self._cluster.logs[one].end for one in partitions}

    def committed_offsets(
        self, group_id: str, partitions: Sequence[Partition]
    ) -> dict[Partition, int | None]:
        """Waits for open transactions to end."""
        self._wire.ask()
        group = self._cluster.groups[group_id]
        while any(group.pending.get(one) for one in partitions):
            sleep(self._wire.loop, 0.05)
        return {one: group.offsets.get(one) for one in partitions}

    def division(self, group_id: str) -> Division:
        self._wire.ask()
        return self._cluster.groups[group_id].division()


class SimConfigTopic:
    """`ConfigReader` over the simulated topic."""

    def __init__(self, wire: Wire, topic: str) -> None:
        self._wire, self._log = wire, wire.cluster.log(topic, 0)
        self._more = Signal(wire.loop)
        self._log.listeners.append(self._more.set)
        self._position = 0
        self._waiting: list[Line | End] = []

    @property
    def position(self) -> int:
        """How far it has been read, as whoever follows it knows."""
        return self._position - (1 if self._waiting else 0)

    def begin(self) -> None:
        self._position = 0

    def end(self) -> int:
        self._wire.ask()
        return self._log.end

    def poll(self, timeout_s: float) -> Line | End | None:
        if not self._waiting:
            if self._position >= self._log.stable_end:
                self._more.wait(max(timeout_s, 1.0))
            sleep(self._wire.loop, self._wire.latency())
            self._read()
        return self._waiting.pop(0) if self._waiting else None

    def is_replaced(self) -> bool:
        return False

    def close(self) -> None:
        """Nothing is open."""

    def _read(self) -> None:
        if self._wire.reachable:
            entries, self._position = self._log.read(self._position, 100)
            self._waiting += [Line(one.offset, one.key, one.value) for one in entries]
            self._waiting.append(End(self._position))
