"""Three brokers of which single ones can be killed, frozen and started again."""

import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin._metadata import ClusterMetadata, PartitionMetadata

from tests.kafka.broker import Broker, Kafka, NodeSpec, free_ports
from tests.kafka.records import admin_of

BROKERS = (1, 2, 3)
_CONTROLLER = 9
_DEADLINE_S = 60.0
_SETTINGS = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": "3",
    "share.coordinator.state.topic.min.isr": "2",
    # A killed broker is noticed, and a frozen one leaves the in-sync replicas, within seconds.
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "3000",
    "replica.lag.time.max.ms": "5000",
}


class KafkaCluster:
    """Brokers 1, 2 and 3, and a controller of their own that tests leave alone.

    The controller stands beside them so that also two brokers may be killed without the loss of
    the metadata quorum: leaders move and in-sync replicas shrink as they do in a real cluster.
    """

    def __init__(self, jars: Path, folder: Path) -> None:
        self._folder = folder
        first, *rest = free_ports(1 + len(BROKERS))
        quorum = {"controller.quorum.voters": f"{_CONTROLLER}@127.0.0.1:{first}"}
        specs = [
            NodeSpec(_CONTROLLER, "controller", 0, first, _SETTINGS | quorum),
            *(
                NodeSpec(node, "broker", port, 0, _SETTINGS | quorum)
                for node, port in zip(BROKERS, rest, strict=True)
            ),
        ]
        with ThreadPoolExecutor(len(specs)) as pool:
            made = pool.map(lambda spec: Broker(spec, jars, folder / f"node-{spec.node}"), specs)
            self._controller, *brokers = made
        self._brokers = dict(zip(BROKERS, brokers, strict=True))
        self._admin = admin_of(self.kafka)

    @property
    def kafka(self) -> Kafka:
        """The cluster for the functions of tests/kafka/records.py."""
        return Kafka(self.bootstrap_servers)

    @property
    def bootstrap_servers(self) -> str:
        return ",".join(broker.address for broker in self._brokers.values())

    def address(self, node: int) -> str:
        """One broker's `host:port`."""
        return self._brokers[node].address

    def start_all(self) -> None:
        """Start what is not running, and wait until every broker serves."""
        self._controller.start()
        for broker in self._brokers.values():
            broker.thaw()
            broker.start()
        for broker in (self._controller, *self._brokers.values()):
            broker.wait_listening()
        self._wait("not all brokers have joined", lambda: self._joined() == set(BROKERS))

    def start(self, node: int) -> None:
        """Start a broker again, on its ports and its data, and wait until it listens."""
        self._brokers[node].start()
        self._brokers[node].wait_listening()

    def kill(self, node: int) -> None:
        """SIGKILL."""
        self._brokers[node].kill()

    def stop(self, node: int) -> None:
        """SIGTERM, as in a rolling restart: leadership moves before the broker ends."""
        self._brokers[node].stop()

    def freeze(self, node: int) -> None:
        """SIGSTOP: its connections stay open and nothing answers."""
        self._brokers[node].freeze()

    def thaw(self, node: int) -> None:
        """SIGCONT."""
        self._brokers[node].thaw()

    def leader(self, topic: str, partition: int) -> int:
        """The partition's leader, or -1 while it has none."""
        return self._partition(topic, partition).leader

    def in_sync(self, topic: str, partition: int) -> set[int]:
        """The brokers that have all of the partition."""
        return set(self._partition(topic, partition).isrs)

    def wait_leader_other_than(self, node: int, topic: str, partition: int) -> int:
        """Wait until another broker leads the partition; returns it."""
        others = {-1, node}
        self._wait(
            f"{topic}-{partition} is still led by {node}, or not at all",
            lambda: self.leader(topic, partition) not in others,
        )
        return self.leader(topic, partition)

    def wait_in_sync(self, topic: str, replicas: int) -> None:
        """Wait until every partition of the topic has this many in-sync replicas."""
        self._wait(
            f"{topic} has not {replicas} in-sync replicas everywhere",
            lambda: all(
                len(one.isrs) == replicas
                for one in self._metadata().topics[topic].partitions.values()
            ),
        )

    def group_coordinator(self, group: str) -> int:
        """The broker that coordinates a consumer group."""
        described = self._admin.describe_consumer_groups([group])
        return int(described[group].result(_DEADLINE_S).coordinator.id)

    def heal(self) -> None:
        """Undo what a test did to the brokers: all run, and are in sync for every topic."""
        self.start_all()
        self._wait("not every replica is in sync", self._all_in_sync)

    def close(self) -> None:
        """Nothing of it is wanted any more, so it is not asked politely."""
        for broker in (*self._brokers.values(), self._controller):
            broker.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _joined(self) -> set[int]:
        return set(self._metadata().brokers)

    def _metadata(self) -> ClusterMetadata:
        # Not describe_topics: it asks one broker only, which may be the one that was killed.
        return self._admin.list_topics(timeout=5.0)

    def _partition(self, topic: str, partition: int) -> PartitionMetadata:
        return self._metadata().topics[topic].partitions[partition]

    def _all_in_sync(self) -> bool:
        topics = self._metadata().topics.values()
        partitions = [one for topic in topics for one in topic.partitions.values()]
        return all(one.leader >= 0 and len(one.isrs) == len(one.replicas) for one in partitions)

    def _wait(self, complaint: str, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _DEADLINE_S
        while not _holds(done):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{complaint} after {_DEADLINE_S:.0f} s")
            time.sleep(0.05)


def _holds(condition: Callable[[], bool]) -> bool:
    """A question that a broker did not answer is asked again."""
    try:
        return condition()
    except KafkaException:
        return False
