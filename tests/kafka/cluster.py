"""Three brokers of which single ones can be killed, frozen and started again.

Each has seven doors, so that one cluster serves every test:

    direct      plain text, as the tests' own clients use it
    proxied     plain text, under the addresses that tests/support/links.py listens on
    sasl        SCRAM-SHA-256 in plain text; a user may do only what an ACL lets him
    tls         with a certificate that `show_certificate` exchanges while the brokers run
    secured     SCRAM-SHA-256 over TLS, as an installation in earnest has it
    mutual      TLS, for clients with a certificate
    token       OAUTHBEARER in plain text, with tokens that nobody has signed

Who comes by a door without a name, with a certificate or with a token is a super user.
"""

import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path

from confluent_kafka import ElectionType, KafkaException, TopicPartition
from confluent_kafka.admin._metadata import ClusterMetadata, PartitionMetadata

from tests.kafka.broker import Broker, Kafka, NodeSpec, free_ports
from tests.kafka.doors import BEARER, CERTIFIED, Doors, doors_settings
from tests.kafka.records import admin_of, set_broker
from tests.support.receiver_tls import Authority, Issued

BROKERS = (1, 2, 3)
_CONTROLLER = 9
_DOORS = len(fields(Doors))
_OFFSETS = "__consumer_offsets"
_DEADLINE_S = 60.0
_ANSWER_S = 5.0
_SETTINGS = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": "3",
    "share.coordinator.state.topic.min.isr": "2",
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": f"User:ANONYMOUS;User:{CERTIFIED};User:{BEARER}",
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
        first, *rest = free_ports(1 + _DOORS * len(BROKERS))
        common = _SETTINGS | {"controller.quorum.voters": f"{_CONTROLLER}@127.0.0.1:{first}"}
        self._doors = {
            node: Doors(*rest[at * _DOORS :][:_DOORS]) for at, node in enumerate(BROKERS)
        }
        self.authority = Authority()
        folder.mkdir(parents=True, exist_ok=True)
        certificate = folder / "brokers.pem"
        certificate.write_bytes(_both(self.authority.issue("127.0.0.1")))
        authority = folder / "authority.pem"
        authority.write_bytes(self.authority.pem)
        specs = [
            NodeSpec(_CONTROLLER, "controller", 0, first, common),
            *(
                NodeSpec(
                    node,
                    "broker",
                    doors.direct,
                    0,
                    {**common, **doors_settings(doors, certificate, authority)},
                )
                for node, doors in self._doors.items()
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

    @property
    def proxied(self) -> Kafka:
        """The cluster by way of the links: nobody answers there while they are not up."""
        return self._by(lambda doors: doors.link)

    @property
    def sasl(self) -> Kafka:
        return self._by(lambda doors: doors.sasl)

    @property
    def tls(self) -> Kafka:
        return self._by(lambda doors: doors.tls)

    @property
    def secured(self) -> Kafka:
        return self._by(lambda doors: doors.secured)

    @property
    def mutual(self) -> Kafka:
        return self._by(lambda doors: doors.mutual)

    @property
    def token(self) -> Kafka:
        return self._by(lambda doors: doors.token)

    @property
    def links(self) -> dict[int, tuple[int, int]]:
        """By broker: the port that a link listens on, and the one that it leads to."""
        return {node: (doors.link, doors.proxied) for node, doors in self._doors.items()}

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

    def show_certificate(self, issued: Issued) -> None:
        """From now on new connections to the TLS doors see this one."""
        shown = self._folder / f"{issued.certificate.serial_number:x}.pem"
        shown.write_bytes(_both(issued))
        for node in BROKERS:
            set_broker(self.kafka, node, "listener.name.tls.ssl.keystore.location", str(shown))

    def prefer(self) -> None:
        """Each partition is led by the first of its replicas again, as after a restart."""
        self._elect(ElectionType.PREFERRED, None)

    def elect_uncleanly(self, topic: str, partition: int) -> None:
        """Make a replica the leader that need not have everything."""
        self._elect(ElectionType.UNCLEAN, [TopicPartition(topic, partition)])

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
        """The broker that coordinates a consumer group, also one without members; waits until
        there is one: the leader of the group's partition of the offsets topic."""
        found: list[int] = []

        def tells() -> bool:
            partitions = self._metadata().topics[_OFFSETS].partitions
            found.append(partitions[abs(_java_hash(group)) % len(partitions)].leader)
            return found[-1] >= 0

        self._wait(f"{group} has no coordinator", tells)
        return found[-1]

    def heal(self) -> None:
        """Undo what a test did to the brokers: all run, and are in sync for every topic."""
        self.start_all()
        self._wait("not every replica is in sync", self._all_in_sync)

    def close(self) -> None:
        """Nothing of it is wanted any more, so it is not asked politely."""
        for broker in (*self._brokers.values(), self._controller):
            broker.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _by(self, door: Callable[[Doors], int]) -> Kafka:
        return Kafka(",".join(f"127.0.0.1:{door(doors)}" for doors in self._doors.values()))

    def _elect(self, kind: ElectionType, partitions: list[TopicPartition] | None) -> None:
        self._admin.elect_leaders(kind, partitions).result(_DEADLINE_S)

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


def _both(issued: Issued) -> bytes:
    """Certificate and key, as a broker has them in one file."""
    return issued.pem + issued.key_pem


def _holds(condition: Callable[[], bool]) -> bool:
    """A question that a broker did not answer is asked again."""
    try:
        return condition()
    except KafkaException:
        return False


def _java_hash(text: str) -> int:
    """What Java's String.hashCode gives, by which Kafka finds a group's partition."""
    value = 0
    for letter in text:
        value = (value * 31 + ord(letter)) & 0xFFFFFFFF
    return value - (1 << 32) if value >= 1 << 31 else value
