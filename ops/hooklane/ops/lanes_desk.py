"""What the commands of `hooklane lanes` do, between their options and what they print."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from hooklane.ops.lanes_act import (
    RecordPlace,
    RecordWriter,
    letter_record,
    retry_ticket,
    skip_letter,
    ticket_record,
    tombstone_record,
)
from hooklane.ops.lanes_read import FoundLane, LaneFinder, NoSuchLaneError
from hooklane.ops.lanes_view import TaskFacts, WaitingLane
from hooklane.ops.log_reader import open_reader
from hooklane.ops.log_selection import key_text
from hooklane.ops.output import Row, notice
from hooklane.ops.subscriptions_topic import ConfigTopic
from hooklane.runtime.errors import TopicsError
from hooklane.runtime.kafka_settings import access_from
from hooklane.runtime.settings import Settings
from hooklane.schemas.book import SubscriptionBook
from hooklane.schemas.lane import LaneId
from hooklane.schemas.topics import task_key


@dataclass(frozen=True, slots=True)
class Chosen:
    """A task that somebody wants to give up, with its record."""

    found: FoundLane
    lane: WaitingLane
    record: bytes

    def described(self) -> str:
        task = self.lane.first
        text = f"task {task.sequence} of lane {self.lane.lane}"
        if isinstance(task, TaskFacts):
            text += f" ({task.event_type} {task.event_id} for {task.subscription})"
        return text


class LaneDesk:
    """Opened for one command, closed after it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._names = settings.topic_names
        self._tiers = settings.retry.tiers
        self._reader = open_reader(settings)
        self.finder = LaneFinder(self._reader, self._names, self._tiers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._reader.close()

    def book(self) -> SubscriptionBook:
        """The subscriptions, for tenants and states."""
        return ConfigTopic(self._settings).read()

    def selected(
        self, subscription: str | None, keys: frozenset[bytes] | None, *, halted: bool
    ) -> list[WaitingLane]:
        """The lanes that are meant, by subscription, then by what has waited longest."""
        index = self.finder.all()
        every = self.finder.lanes(index, index.lanes, tasks=1)
        lanes = [lane for lane in every if lane.is_of(subscription, keys)]
        if subscription is not None or keys is not None:
            _tell_unread(every)
        self.finder.add_tickets(lanes)
        return sorted((lane for lane in lanes if lane.halted or not halted), key=_order)

    def shown(self, given: str, tasks: int) -> WaitingLane:
        """One lane with its first so many tasks.

        Raises:
            UsageError: `given` names no lane or several.
            NoSuchLaneError: nothing waits there.
        """
        found = self.finder.named(given)
        lanes = self.finder.lanes(found.index, [found.lane], tasks)
        if not lanes:
            raise NoSuchLaneError(f"Lane {found.lane} was resolved a moment ago: nothing waits.")
        self.finder.add_tickets(lanes)
        return lanes[0]

    def chosen(self, given: str, sequence: int | None, attempts: int) -> Chosen:
        """A task to give up; None is the lane's first. Its last attempt is looked for among so
        many. Raises as `shown` does."""
        found = self.finder.named(given)
        lane, record = self.finder.at(found, sequence)
        self.finder.add_tickets([lane])
        self.finder.add_last_attempts([lane], attempts)
        return Chosen(found, lane, record)

    def retry(self, lanes: Sequence[WaitingLane], now_ms: int) -> list[Row]:
        """Write a ticket for each; a row for each.

        Raises:
            NewerTaskError: the first task of one cannot be read; nothing is written.
            BrokerError: not every ticket was acknowledged.
        """
        tickets = [retry_ticket(lane, now_ms) for lane in lanes]
        if tickets:
            self._check_layout(self._names.retry(min(self._tiers)))
            RecordWriter(access_from(self._settings)).write(
                [
                    ticket_record(one, self._names, self._tiers, self.finder.partition(one.lane))
                    for one in tickets
                ]
            )
        return [
            {
                "lane": ticket.lane,
                "subscription": ticket.subscription,
                "key": _key(lane),
                "sequence": ticket.sequence,
                "attempts": ticket.attempts,
                "nudge": ticket.nudge,
            }
            for lane, ticket in zip(lanes, tickets, strict=True)
        ]

    def skip(self, chosen: Chosen, now_ms: int) -> Row:
        """First the dead letter, acknowledged, then the tombstone (rule 11).

        Raises:
            NewerTaskError: the task cannot be read; nothing is written.
            BrokerError: one was not acknowledged; then the task may wait still.
        """
        self._check_layout(self._names.dead_letters)
        lane, task = chosen.lane, chosen.lane.first
        partition = self.finder.partition(lane.lane)
        letter = skip_letter(lane, chosen.record, self._place(chosen), now_ms)
        writer = RecordWriter(access_from(self._settings))
        writer.write([letter_record(letter, self._names, partition)])
        writer.write([tombstone_record(lane.lane, task.sequence, self._names, partition)])
        return {
            "lane": lane.lane,
            "sequence": task.sequence,
            "subscription": task.subscription if isinstance(task, TaskFacts) else None,
            "key": _key(lane),
            "event_id": task.event_id if isinstance(task, TaskFacts) else None,
            "dead_letter": task_key(lane.lane, task.sequence).decode(),
            "left": lane.depth - 1,
        }

    def _place(self, chosen: Chosen) -> RecordPlace:
        topic = self._names.backlog
        offset = self.finder.offset_of(chosen.found, chosen.lane.first.sequence)
        return RecordPlace(
            topic, self._reader.topic_id(topic), self.finder.partition(chosen.lane.lane), offset
        )

    def _check_layout(self, topic: str) -> None:
        """A lane's records must be in the partition of one number in every topic."""
        backlog = self._names.backlog
        if self._reader.count(topic) != self._reader.count(backlog):
            raise TopicsError(
                f"{topic} has {self._reader.count(topic)} partitions and {backlog} has "
                f"{self._reader.count(backlog)}: `hooklane topics check` says what to do."
            )


def _order(lane: WaitingLane) -> tuple[str, int, LaneId]:
    task = lane.first
    if isinstance(task, TaskFacts):
        return task.subscription, task.redirected_ms, lane.lane
    return "", 0, lane.lane


def _key(lane: WaitingLane) -> str | None:
    return key_text(lane.first.key) if isinstance(lane.first, TaskFacts) else None


def _tell_unread(lanes: Sequence[WaitingLane]) -> None:
    unread = sum(not isinstance(lane.first, TaskFacts) for lane in lanes)
    if unread:
        notice(
            f"{unread} lanes are left out, since their first task cannot be read: "
            "`hooklane lanes list` without a selection shows them."
        )
