"""What the services ask of Kafka: topics, their ids and settings, and where partitions end.

Everything blocks, for `asyncio.to_thread`; every question has a deadline.
"""

import base64
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
    Uuid,
)
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.admin._metadata import ClusterMetadata
from confluent_kafka.admin._resource import ResourceType

from hooklane.runtime import kafka
from hooklane.runtime.errors import BrokerError
from hooklane.runtime.group_division import Division, partitions_in
from hooklane.runtime.kafka import KafkaAccess
from hooklane.runtime.kafka_clients import open_admin, open_unpolled_consumer

R = TypeVar("R")

ASKED_S = 8.0
"""How long a service waits for an answer before it asks again."""

_AGAIN_S = 0.1

_EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
_LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]
_NONE_THERE = -1
"""Kafka's answer where no record is that young."""


class Partition(NamedTuple):
    """A partition by its topic's name and its number."""

    topic: str
    number: int


@dataclass(frozen=True, slots=True)
class TopicLayout:
    """A topic as the brokers have it; `replicas` is the least that a partition has."""

    name: str
    partitions: int
    replicas: int


class _NotKnownYetError(BrokerError):
    """An answer that says nothing."""


class KafkaAdmin:
    """Questions to a cluster. Every method raises BrokerError when it gets no answer in time."""

    def __init__(self, access: KafkaAccess, timeout_s: float = 15.0) -> None:
        self._access = access
        self._servers = access.bootstrap_servers
        self._timeout_s = timeout_s
        self._last_error: KafkaError | None = None
        self.client = open_admin(kafka.admin(access), self._heard)
        self._before = self.client
        self._askers: dict[str, Consumer] = {}
        self._lock = threading.Lock()

    def check_reachable(self) -> None:
        """Wait until a broker answers."""
        self._metadata()

    def brokers(self) -> int:
        """How many brokers there are now."""
        return len(self._metadata().brokers)

    def layouts(self) -> dict[str, TopicLayout]:
        """Every topic of the cluster, by name."""
        topics = self._metadata().topics
        return {
            name: TopicLayout(
                name,
                len(topic.partitions),
                min((len(one.replicas) for one in topic.partitions.values()), default=0),
            )
            for name, topic in topics.items()
            if topic.error is None
        }

    def topic_ids(self, names: Iterable[str]) -> dict[str, str]:
        """Each topic's UUID as 32 lower-case hex digits; a topic that is missing has none."""
        wanted = sorted(names)
        if not wanted:
            return {}
        # describe_topics asks the last known controller; this makes it one that is alive.
        self._metadata()
        with self._translated("tell topic ids"):
            asked = self.client.describe_topics(
                TopicCollection(wanted), request_timeout=self._timeout_s
            )
        found = {name: self._unless_missing(future) for name, future in asked.items()}
        return {name: _hex(one.topic_id) for name, one in found.items() if one is not None}

    def configs(self, names: Iterable[str]) -> dict[str, dict[str, str]]:
        """Each topic's settings as they are in force; a topic that is missing has none."""
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in sorted(names)]
        if not resources:
            return {}
        with self._translated("tell topic settings"):
            asked = self.client.describe_configs(resources, request_timeout=self._timeout_s)
        found = {one.name: self._unless_missing(future) for one, future in asked.items()}
        return {
            name: {entry.name: str(entry.value) for entry in entries.values()}
            for name, entries in found.items()
            if entries is not None
        }

    def first_offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """The first offset that each partition still has."""
        return self._offsets(dict.fromkeys(partitions, _EARLIEST))

    def high_watermarks(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """One past the last record, open transactions included: how far a restore must read."""
        return self._offsets(dict.fromkeys(partitions, _LATEST))

    def stable_ends(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """One past the last record that a read_committed reader may see now."""
        return self._offsets(dict.fromkeys(partitions, _LATEST), IsolationLevel.READ_COMMITTED)

    def offsets_at(self, moments: Mapping[Partition, int]) -> dict[Partition, int | None]:
        """Each partition's first offset at or after its moment (ms since the epoch), None where
        there is none yet. Uncommitted records count: else what an open transaction holds back would
        be left out."""
        specs = {one: OffsetSpec.for_timestamp(max(0, at_ms)) for one, at_ms in moments.items()}
        found = self._offsets(specs, lowest=_NONE_THERE)
        return {one: offset if offset >= 0 else None for one, offset in found.items()}

    def committed_offsets(
        self, group_id: str, partitions: Sequence[Partition]
    ) -> dict[Partition, int | None]:
        """What a group has committed, None where nothing; waits for open transactions to end.

        By a consumer of its own: the group's answers only between two polls, and an admin client
        takes the process down when the group's coordinator moves (librdkafka's issue 5040).
        """
        if not partitions:
            return {}
        wanted = [TopicPartition(one.topic, one.number) for one in partitions]
        with self._translated("tell committed offsets"):
            found = self._asker_of(group_id).committed(wanted, timeout=self._timeout_s)
        for one in found:
            if one.error is not None:
                raise BrokerError(
                    f"Kafka refuses to tell committed offsets of {one.topic}: {one.error.str()}."
                )
        return {
            Partition(one.topic, one.partition): one.offset if one.offset >= 0 else None
            for one in found
        }

    def division(self, group_id: str) -> Division:
        """How a group of consumers is divided now. One that nobody knows has no members.

        Each broker is asked by the older of Kafka's questions. The newer one goes to the
        coordinator alone, and takes the process down when the connection to it is lost (issue 4605
        of librdkafka).
        """
        with self._translated("tell how groups are divided"):
            found = self.client.list_groups(group_id, self._timeout_s)
        for group in found:
            if group.error is not None:
                raise BrokerError(f"Kafka refuses to tell of {group_id}: {group.error.str()}.")
            try:
                given = {
                    str(one.id): partitions_in(_bytes(one.assignment)) for one in group.members
                }
            except ValueError as error:
                raise BrokerError(f"Of {group_id} Kafka tells what is {error}.") from error
            return Division(group.state == "Stable", given)
        return Division(settled=False, given={})

    def _asker_of(self, group_id: str) -> Consumer:
        with self._lock:
            if group_id not in self._askers:
                config = kafka.offsets_consumer(self._access, group_id)
                self._askers[group_id] = open_unpolled_consumer(config)
            return self._askers[group_id]

    def answer(self, future: "Future[R]", question: str) -> R:
        """The result of an admin request, with its errors as BrokerError."""
        with self._translated(question):
            # librdkafka's own deadline comes first; this one is for a client that has died.
            return future.result(self._timeout_s + 5.0)

    def _offsets(
        self,
        specs: Mapping[Partition, OffsetSpec],
        isolation: IsolationLevel = IsolationLevel.READ_UNCOMMITTED,
        lowest: int = 0,
    ) -> dict[Partition, int]:
        """`lowest`: what is below is no answer."""
        if not specs:
            return {}
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                return self._offsets_now(specs, isolation, lowest)
            except BrokerError as error:
                if not _passing(error) or time.monotonic() >= deadline:
                    raise
                time.sleep(_AGAIN_S)

    def _offsets_now(
        self, specs: Mapping[Partition, OffsetSpec], isolation: IsolationLevel, lowest: int
    ) -> dict[Partition, int]:
        request = {TopicPartition(one.topic, one.number): spec for one, spec in specs.items()}
        with self._translated("tell offsets"):
            asked = self.client.list_offsets(
                request, isolation_level=isolation, request_timeout=self._timeout_s
            )
        found = {
            Partition(place.topic, place.partition): self.answer(future, "tell offsets").offset
            for place, future in asked.items()
        }
        # While a leader comes back librdkafka may give an invalid offset and no error with it.
        if any(offset < lowest for offset in found.values()):
            raise _NotKnownYetError("Kafka does not know where some partitions end yet.")
        return found

    def _metadata(self) -> ClusterMetadata:
        deadline = time.monotonic() + self._timeout_s
        while True:
            left = deadline - time.monotonic()
            try:
                return self.client.list_topics(timeout=max(0.1, min(left, 2.0)))
            except KafkaException as error:
                self.client.poll(0)
                if _hopeless(error.args[0]) or time.monotonic() >= deadline:
                    raise self._unreachable(error.args[0]) from error

    def _unless_missing(self, future: "Future[R]") -> R | None:
        try:
            return self.answer(future, "describe topics")
        except BrokerError as error:
            cause = error.__cause__
            if isinstance(cause, KafkaException) and _missing(cause.args[0]):
                return None
            raise

    def _heard(self, error: KafkaError) -> None:
        # "All brokers are down" comes after, and says less than, what ails one of them.
        if error.code() != KafkaError._ALL_BROKERS_DOWN or self._last_error is None:  # noqa: SLF001
            self._last_error = error

    def _renew(self) -> None:
        """A client that was connected to a broker which died may ask in vain for ever after; the
        one before is kept for those who still wait for its answers."""
        self._before, self.client = self.client, open_admin(kafka.admin(self._access), self._heard)
        with self._lock:
            self._askers.clear()

    def _unreachable(self, error: KafkaError) -> BrokerError:
        told = self._last_error or error
        self._last_error = None
        self._renew()
        return BrokerError(
            f"Kafka did not answer within {self._timeout_s:g} s at {self._servers} "
            f"({told.str().rstrip('.')}): check HOOKLANE_KAFKA__BOOTSTRAP_SERVERS and the security "
            "properties in HOOKLANE_KAFKA__PROPERTIES."
        )

    @contextmanager
    def _translated(self, question: str) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            self.client.poll(0)
            if _silent(error.args[0]):
                raise self._unreachable(error.args[0]) from error
            raise BrokerError(
                f"Kafka at {self._servers} (HOOKLANE_KAFKA__BOOTSTRAP_SERVERS) refuses to "
                f"{question}: {error.args[0].str().rstrip('.')}."
            ) from error
        except TimeoutError as error:
            raise BrokerError(
                f"Kafka at {self._servers} (HOOKLANE_KAFKA__BOOTSTRAP_SERVERS) did not "
                f"{question} within {self._timeout_s:g} s."
            ) from error


def check_reachable(access: KafkaAccess, timeout_s: float = 15.0) -> None:
    """Wait until a broker answers.

    Raises:
        BrokerError: none did; the sentence names the setting and what librdkafka met.
        SettingsError: a property is unknown or wrong.
    """
    KafkaAdmin(access, timeout_s).check_reachable()


def _bytes(value: object) -> bytes:
    """What the client's own types say nothing of."""
    return value if isinstance(value, bytes) else b""


def _hex(topic_id: Uuid) -> str:
    # Kafka writes it in URL-safe base64 without padding.
    return base64.urlsafe_b64decode(f"{topic_id}==").hex()


_SILENT = frozenset(
    {KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN}  # noqa: SLF001
)
_HOPELESS = frozenset(
    {
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
    }
)
_PASSING = frozenset(
    {
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.UNKNOWN_LEADER_EPOCH,
    }
)
"""While a partition's leader changes: the next answer is another one."""


def _passing(error: BrokerError) -> bool:
    if isinstance(error, _NotKnownYetError):
        return True
    cause = error.__cause__
    return isinstance(cause, KafkaException) and cause.args[0].code() in _PASSING


def _silent(error: KafkaError) -> bool:
    return error.code() in _SILENT


def _hopeless(error: KafkaError) -> bool:
    return error.code() in _HOPELESS


def _missing(error: KafkaError) -> bool:
    return error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART
