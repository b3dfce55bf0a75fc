"""Real Apache Kafka for the tests.

Fixtures (tests/conftest.py)
    kafka           one broker for the whole test run, about 3 s. `kafka.bootstrap_servers`.
                    With pytest-xdist all workers share it: the controlling process starts it.
    kafka_cluster   three brokers and a controller beside them, about 6 s once a run, started when
                    the first test asks. A test may do what it likes to the brokers: after it all
                    are started again, and the next test waits until they are in sync.
                    With pytest-xdist each worker has its own.
    prefix          a topic prefix of this test's own, such as `t-3f9c2a81`. Take it for every
                    topic, group id and transactional id: the broker is shared, and nothing is
                    deleted.

    async def test_it(kafka: Kafka, prefix: str) -> None:
        topic = create_topic(kafka, f"{prefix}.events", partitions=3)
        produce(kafka, topic, [Outgoing(key=b"k", value=b"{}")])
        assert [one.value for one in read_topic(kafka, topic)] == [b"{}"]

    def test_a_broker_dies(kafka_cluster: KafkaCluster, prefix: str) -> None:
        leader = kafka_cluster.leader(topic, 0)
        kafka_cluster.kill(leader)                       # SIGKILL
        kafka_cluster.start(leader)                      # the same ports and data
        kafka_cluster.wait_in_sync(topic, replicas=3)

The functions are in tests/kafka/records.py, the cluster in tests/kafka/cluster.py.

HOOKLANE_TEST_BOOTSTRAP_SERVERS makes `kafka` a cluster that is already there; `kafka_cluster`
always starts its own, since it kills brokers.

Brokers differ from Kafka's defaults in that topics are never made by themselves, groups do not
wait before their first rebalance, session timeouts may be as short as 1 s, and the internal
topics have 3 partitions. Data and logs (`broker.log`, `output.log`) are in a temporary folder that
goes at the end of the run; a start that fails quotes their end.
"""

import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.kafka.fetch import KafkaUnavailableError
from tests.kafka.jvm import Jvm

_LOG4J = Path(__file__).resolve().parent / "log4j2.properties"
_CLUSTER_ID = "aG9va2xhbmUtdGVzdHMtMQ"
_HOST = "127.0.0.1"
_START_TIMEOUT_S = 60.0

# Below the range from which the kernel takes ports for outgoing connections: a port that a killed
# broker had must still be free when it is started again.
_PORTS = range(20_000, 32_000)

_DEFAULTS: Mapping[str, str] = {
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "offsets.topic.num.partitions": "3",
    "transaction.state.log.num.partitions": "3",
    "share.coordinator.state.topic.num.partitions": "1",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "log.cleaner.dedupe.buffer.size": str(8 * 1024 * 1024),
    "unclean.leader.election.enable": "false",
}


@dataclass(frozen=True, slots=True)
class Kafka:
    """A cluster as its clients see it."""

    bootstrap_servers: str


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """What one node of a cluster is.

    `roles` and `settings` are Kafka's; `port` is a broker's, `controller_port` a controller's.
    """

    node: int
    roles: str
    port: int
    controller_port: int
    settings: Mapping[str, str]


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on now."""
    found: set[int] = set()
    while len(found) < count:
        port = random.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind((_HOST, port))
            except OSError:
                continue
        found.add(port)
    return list(found)


class Broker:
    """One KRaft node: formatted when made, started and stopped at will, on the same ports."""

    def __init__(self, spec: NodeSpec, jars: Path, folder: Path) -> None:
        self.spec = spec
        self._jars = jars
        self._folder = folder
        self._config = folder / "server.properties"
        self._jvm: Jvm | None = None
        folder.mkdir(parents=True)
        lines = [f"{name}={value}\n" for name, value in self._settings().items()]
        self._config.write_text("".join(lines))
        self._format()

    @property
    def address(self) -> str:
        return f"{_HOST}:{self.spec.port}"

    @property
    def running(self) -> bool:
        return self._jvm is not None and self._jvm.running

    def start(self) -> None:
        """Start the process; `wait_listening` tells when it takes connections."""
        if not self.running:
            self._jvm = Jvm([*self._java(), "kafka.Kafka", str(self._config)], self._output)

    def wait_listening(self) -> None:
        """Wait until its port is open, which a broker opens once it may serve.

        Raises:
            KafkaUnavailableError: the process ended, or it took longer than 60 s.
        """
        port = self.spec.port if "broker" in self.spec.roles else self.spec.controller_port
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not _listens(port):
            if not self.running or time.monotonic() > deadline:
                raise KafkaUnavailableError(
                    f"Kafka node {self.spec.node} did not start; its last words are: "
                    + self._last_words()
                )
            time.sleep(0.02)

    def stop(self) -> None:
        """SIGTERM: leadership moves first, logs are closed; SIGKILL where that takes over 30 s."""
        if self._jvm is None:
            return
        self._jvm.signal(signal.SIGCONT)
        self._jvm.signal(signal.SIGTERM)
        try:
            self._jvm.wait(30.0)
        except subprocess.TimeoutExpired:
            self._jvm.kill()

    def kill(self) -> None:
        """SIGKILL."""
        if self._jvm is not None:
            self._jvm.kill()

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        if self._jvm is not None:
            self._jvm.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        if self._jvm is not None:
            self._jvm.signal(signal.SIGCONT)

    @property
    def _output(self) -> Path:
        return self._folder / "output.log"

    def _settings(self) -> dict[str, str]:
        listeners = []
        if "broker" in self.spec.roles:
            listeners.append(f"PLAINTEXT://{self.address}")
        if "controller" in self.spec.roles:
            listeners.append(f"CONTROLLER://{_HOST}:{self.spec.controller_port}")
        return {
            **_DEFAULTS,
            "process.roles": self.spec.roles,
            "node.id": str(self.spec.node),
            "listeners": ",".join(listeners),
            "controller.listener.names": "CONTROLLER",
            "log.dirs": str(self._folder / "data"),
            **self.spec.settings,
        }

    def _java(self) -> list[str]:
        return [
            "-Xms128m",
            "-Xmx384m",
            # What starts fastest on few cores; a test's load never repays the second compiler.
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            f"-Dlog4j2.configurationFile={_LOG4J}",
            f"-Dhooklane.broker.folder={self._folder}",
            "-cp",
            f"{self._jars}/*",
        ]

    def _format(self) -> None:
        tool = ["kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", str(self._config)]
        jvm = Jvm([*self._java(), *tool], self._output)
        try:
            code = jvm.wait(_START_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            jvm.kill()
            code = -1
        if code != 0:
            raise KafkaUnavailableError(f"Kafka's storage was not made: {self._last_words()}")

    def _last_words(self) -> str:
        logs = [self._output, self._folder / "broker.log"]
        return "\n".join(log.read_text(errors="replace")[-2000:] for log in logs if log.exists())


class SingleBroker:
    """One node that is broker and controller, in a folder that goes with it."""

    def __init__(self, jars: Path, folder: Path) -> None:
        port, controller_port = free_ports(2)
        settings = {
            "controller.quorum.voters": f"1@{_HOST}:{controller_port}",
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
        }
        self._folder = folder
        spec = NodeSpec(1, "broker,controller", port, controller_port, settings)
        self._broker = Broker(spec, jars, folder / "node-1")

    def start(self) -> Kafka:
        self._broker.start()
        self._broker.wait_listening()
        return Kafka(self._broker.address)

    def close(self) -> None:
        """Nothing of it is wanted any more, so it is not asked politely."""
        self._broker.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((_HOST, port)) == 0
