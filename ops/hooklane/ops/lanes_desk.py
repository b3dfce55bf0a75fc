"""What the commands of `hooklane lanes` do, between their options and what they print."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final, Self

from hooklane.ops.audit_action import Action
from hooklane.ops.audit_write import audit_record
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
from hooklane.ops.lanes_selection import LaneSelection
from hooklane.ops.lanes_view import TaskFacts, WaitingLane
from hooklane.ops.log_reader import open_reader
from hooklane.ops.log_selection import key_text
from hooklane.ops.output import Row, notice
from hooklane.ops.run_desk import RunDesk
from hooklane.ops.subscriptions_topic import ConfigTopic
from hooklane.ops.tenant import subscriptions_of
from hooklane.runtime.kafka_settings import access_from
from hooklane.runtime.settings import Settings
from hooklane.schemas.book import SubscriptionBook
from hooklane.schemas.lane import LaneId
from hooklane.schemas.records_operator import AuditRecord, AuditState
from hooklane.schemas.topics import task_key

FOR_ERRORS: Final = 10_000
"""How many of the newest attempts in each partition are looked through for last errors."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A task that somebody wants to give up, with its record."""

    found: FoundLane
    lane: WaitingLane
    record: bytes

    @property
    def subscription(self) -> str | None:
        task = self.lane.first
        return task.subscription if isinstance(task, TaskFacts) else None

    @property
    def id(self) -> str:
        """As that of the dead letter that it would be."""
        return task_key(self.lane.lane, self.lane.first.sequence).decode()

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
        self._runs = RunDesk(self._reader, self._names)
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

    def of_tenant(self, selection: LaneSelection, tenant: str | None) -> LaneSelection:
        """The same of one tenant, if one is named.

        Raises:
            UsageError: it has no subscription.
        """
        return replace(selection, among=subscriptions_of(tenant, self._settings))

    def selected(self, selection: LaneSelection, attempts: int) -> list[WaitingLane]:
        """The lanes that are meant, by subscription, then by what has waited longest.

        Last errors are looked for among so many of the newest attempts of each partition; 0: only
        where the selection asks for them, and then among `FOR_ERRORS`.
        """
        index = self.finder.all()
        every = self.finder.lanes(index, index.lanes, tasks=1)
        lanes = [lane for lane in every if selection.may_hold(lane)]
        if selection.needs_tasks:
            _tell_unread(every)
        self.finder.add_tickets(lanes)
        lanes = [lane for lane in lanes if selection.is_due(lane)]
        if attempts or selection.error is not None:
            self.finder.add_last_attempts(lanes, attempts or FOR_ERRORS)
        return sorted(filter(selection.has_error, lanes), key=by_waiting)

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

    def retry(self, lanes: Sequence[WaitingLane], action: Action, now_ms: int) -> list[Row]:
        """Write a ticket for each, behind the audit's record; a row for each.

        Raises:
            NewerTaskError: the first task of one cannot be read; nothing is written.
            BrokerError: not every ticket was acknowledged.
        """
        tickets = [retry_ticket(lane, now_ms) for lane in lanes]
        if tickets:
            self._runs.check_layout(self._names.retry(min(self._tiers)))
            writer = self._writer_after(action.record(AuditState.DONE, now_ms, count=len(tickets)))
            writer.write(
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

    def skip(self, chosen: Chosen, action: Action, now_ms: int) -> Row:
        """First the dead letter, acknowledged, then the tombstone (rule 11).

        Raises:
            NewerTaskError: the task cannot be read; nothing is written.
            BrokerError: one was not acknowledged; then the task may wait still.
        """
        self._runs.check_layout(self._names.dead_letters)
        lane, task = chosen.lane, chosen.lane.first
        partition = self.finder.partition(lane.lane)
        letter = skip_letter(lane, chosen.record, self._place(chosen), now_ms)
        audit = action.record(AuditState.DONE, now_ms, count=1, detail=chosen.described())
        writer = self._writer_after(audit)
        writer.write([letter_record(letter, self._names, partition)])
        writer.write([tombstone_record(lane.lane, task.sequence, self._names, partition)])
        return {
            "lane": lane.lane,
            "sequence": task.sequence,
            "subscription": chosen.subscription,
            "key": _key(lane),
            "event_id": task.event_id if isinstance(task, TaskFacts) else None,
            "dead_letter": chosen.id,
            "left": lane.depth - 1,
        }

    def _writer_after(self, record: AuditRecord) -> RecordWriter:
        """What writes, once the audit has this.

        Raises:
            TopicsError: there is no audit topic.
        """
        self._reader.count(self._names.audit)
        writer = RecordWriter(access_from(self._settings))
        writer.write([audit_record(record, self._names)])
        return writer

    def _place(self, chosen: Chosen) -> RecordPlace:
        topic = self._names.backlog
        offset = self.finder.offset_of(chosen.found, chosen.lane.first.sequence)
        return RecordPlace(
            topic, self._reader.topic_id(topic), self.finder.partition(chosen.lane.lane), offset
        )


def by_waiting(lane: WaitingLane) -> tuple[str, int, LaneId]:
    """By subscription, then by what has waited longest."""
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
