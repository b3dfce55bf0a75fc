"""What `hooklane doctor` asks Kafka."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from confluent_kafka import (
    ConsumerGroupState,
    IsolationLevel,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin._acl import AclOperation
from confluent_kafka.admin._listoffsets import OffsetSpec

from hooklane.ops import doctor_findings as judge
from hooklane.ops.doctor_findings import Finding, Status
from hooklane.ops.doctor_tls import certificate_fault
from hooklane.ops.embedded_broker import is_embedded
from hooklane.runtime.errors import BrokerError
from hooklane.runtime.kafka_admin import KafkaAdmin, Partition
from hooklane.runtime.kafka_settings import access_from, plan_from
from hooklane.runtime.settings import Settings
from hooklane.runtime.topic_apply import check_topics
from hooklane.runtime.topic_check import covered_event_topics
from hooklane.runtime.topic_words import remedy, sentence

_REACH_S: Final = 5.0
_TIMEOUT_S: Final = 10.0
_EVENTS: Final = ("READ", "DESCRIBE")
_OWN: Final = ("READ", "WRITE", "DESCRIBE", "DESCRIBE_CONFIGS")
_GROUP: Final = ("READ", "DESCRIBE")
_NEWEST: OffsetSpec = OffsetSpec.max_timestamp()  # type: ignore[no-untyped-call]


class KafkaDoctor:
    """Raises BrokerError nowhere: what is not answered is a finding."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._plan = plan_from(settings)
        self._admin = KafkaAdmin(access_from(settings), _REACH_S)
        self._topics: dict[str, int] = {}

    def broker(self) -> Finding:
        """Whether somebody answers; everything else needs that."""
        servers = self._settings.kafka.bootstrap_servers
        try:
            count = self._admin.brokers()
            layouts = self._admin.layouts().values()
            self._topics = {one.name: one.partitions for one in layouts}
        except BrokerError as error:
            return judge.unreachable(servers, str(error), self._certificate_fault(servers))
        return Finding("broker", servers, Status.OK, f"brokers that answer: {count}")

    def is_embedded(self) -> bool:
        """Whether it is the broker inside librdkafka, which knows little of itself."""
        return is_embedded(access_from(self._settings))

    def _certificate_fault(self, servers: str) -> str | None:
        """Of the first broker's."""
        properties = self._settings.kafka.properties
        if "ssl" not in str(properties.get("security.protocol", "")).lower():
            return None
        authorities = properties.get("ssl.ca.location")
        return certificate_fault(
            servers.partition(",")[0], None if authorities is None else str(authorities), _REACH_S
        )

    def topics(self) -> Iterator[Finding]:
        yield from self._asked("topics", "kafka", self._check_topics)
        if not self._settings.fanout.topics:
            yield Finding(
                "topics",
                "event topics",
                Status.WARNING,
                "HOOKLANE_FANOUT__TOPICS names none here",
                "set it as it is for the fan-out, so that event topics and its lag are looked at",
            )

    def rights(self) -> Iterator[Finding]:
        """What can be asked: not the right to write under a transactional id."""
        yield from self._asked("rights", "topics", self._topic_rights)
        yield from self._asked("rights", "groups", self._group_rights)

    def clock(self, now_ms: int) -> Iterator[Finding]:
        yield from self._asked("clock", "kafka", lambda: [judge.clock(self._newest(), now_ms)])

    def groups(self) -> Iterator[Finding]:
        fanout, retrier = self._settings.fanout.group_id, self._settings.retrier.group_id
        yield from self._asked("groups", fanout, lambda: self._group("fanout", fanout))
        yield from self._asked("groups", retrier, lambda: self._group("retrier", retrier))

    def event_topics(self) -> list[str]:
        """Those that the fan-out reads and that are there."""
        return covered_event_topics(self._plan, self._topics)

    def _asked(
        self, check: str, subject: str, ask: Callable[[], Iterable[Finding]]
    ) -> Iterator[Finding]:
        try:
            yield from ask()
        except BrokerError as error:
            yield Finding(
                check,
                subject,
                Status.WRONG,
                str(error).rstrip("."),
                "see the broker's log, and the rights of the user",
            )

    def _check_topics(self) -> Iterator[Finding]:
        found = check_topics(self._admin, self._plan)
        for one in found:
            status = Status.WRONG if one.vital else Status.WARNING
            # Kafka hides what somebody may not describe.
            unseen = "; or let the user describe it, if it is there" if one.what == "topic" else ""
            yield Finding("topics", one.topic, status, sentence(one), remedy(one) + unseen)
        if not found:
            yield Finding("topics", self._settings.topics.prefix, Status.OK, "all as they must be")

    def _topic_rights(self) -> Iterator[Finding]:
        own = [one for one in self._plan.names.all(self._plan.tiers) if one in self._topics]
        wanted = {**dict.fromkeys(own, _OWN), **dict.fromkeys(self.event_topics(), _EVENTS)}
        if not wanted:
            return
        asked = self._admin.client.describe_topics(
            TopicCollection(list(wanted)),
            include_authorized_operations=True,
            request_timeout=_TIMEOUT_S,
        )
        findings = []
        for name, future in asked.items():
            described = self._admin.answer(future, f"describe topic {name}")
            given = _names(described.authorized_operations)
            findings.append(judge.rights("topic", name, wanted[name], given))
        yield from _gathered(findings, "topics")

    def _group_rights(self) -> Iterator[Finding]:
        names = [self._settings.fanout.group_id, self._settings.retrier.group_id]
        asked = self._admin.client.describe_consumer_groups(
            names, include_authorized_operations=True, request_timeout=_TIMEOUT_S
        )
        findings = []
        for name, future in asked.items():
            described = self._admin.answer(future, f"describe group {name}")
            given = _names(described.authorized_operations)
            findings.append(judge.rights("group", name, _GROUP, given))
        yield from _gathered(findings, "groups")

    def _group(self, service: str, name: str) -> Iterator[Finding]:
        asked = self._admin.client.describe_consumer_groups([name], request_timeout=_TIMEOUT_S)
        found = self._admin.answer(asked[name], f"describe group {name}")
        yield from judge.group(service, name, len(found.members), self._lag(service, name))
        if found.state is ConsumerGroupState.STABLE:
            given = {
                (one.topic, one.partition)
                for member in found.members
                for one in member.assignment.topic_partitions
            }
            ownerless = [one for one in self._consumed(service) if one not in given]
            named = [f"{one.topic}[{one.number}]" for one in ownerless]
            yield from judge.ownerless(service, name, named)

    def _consumed(self, service: str) -> list[Partition]:
        """What a group is there for."""
        topics = self.event_topics() if service == "fanout" else [self._plan.names.backlog]
        return [
            Partition(topic, number)
            for topic in topics
            for number in range(self._topics.get(topic, 0))
        ]

    def _lag(self, service: str, name: str) -> Mapping[str, int | None]:
        """Of the fan-out by event partition; what waits for the retrier is the backlog's."""
        if service != "fanout":
            return {}
        places = self._consumed(service)
        committed = self._admin.committed_offsets(name, places)
        ends, first = self._admin.high_watermarks(places), self._admin.first_offsets(places)
        return {
            f"{one.topic}[{one.number}]": ends[one] - max(first[one], committed[one] or 0)
            for one in places
        }

    def _newest(self) -> dict[str, int]:
        """By topic the newest time of a record."""
        names = [self._plan.names.attempts, self._plan.names.lanes, *self.event_topics()]
        request = {
            TopicPartition(name, number): _NEWEST
            for name in names
            for number in range(self._topics.get(name, 0))
        }
        if not request:
            return {}
        asked = self._admin.client.list_offsets(
            request, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=_TIMEOUT_S
        )
        newest: dict[str, int] = {}
        for place, future in asked.items():
            at_ms = self._admin.answer(future, "tell the newest time").timestamp
            newest[place.topic] = max(newest.get(place.topic, 0), at_ms)
        return newest


def _names(operations: Iterable[AclOperation] | None) -> list[str] | None:
    return None if operations is None else [one.name for one in operations]


def _gathered(findings: list[Finding], subject: str) -> Iterator[Finding]:
    """What is missing one by one, what is well in one line."""
    missing = [one for one in findings if one.status is not Status.OK]
    yield from missing
    if findings and not missing:
        yield Finding("rights", subject, Status.OK, f"all that are needed, on {len(findings)}")
