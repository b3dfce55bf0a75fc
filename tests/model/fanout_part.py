"""A fan-out that owns the event partition: its decision classes, and the loop around them.

The methods play the parts of `intake`, `dispatch`, `commit` and `service`, one atomic step each.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from hooklane.delivery.attempt import Attempted
from hooklane.delivery.outcome import Outcome
from hooklane.fanout.delivery import Delivery, Place
from hooklane.fanout.gate import LaneGate
from hooklane.fanout.lanes import LaneTable
from hooklane.fanout.ledger import LedgerState
from hooklane.fanout.redirect import Redirect, Share
from hooklane.fanout.restore import LaneLine, LaneRestorer, Restored
from hooklane.schemas.codec import LANES
from hooklane.schemas.lane import LaneId
from hooklane.schemas.records import AttemptOutcome, DeliveryAttempt
from hooklane.schemas.topics import LaneKey, split_lane_key
from tests.model.scene import GROUP, NOW_MS, Log, Scene
from tests.support.receivers import OpenTo

Starts = tuple[tuple[int, int], ...]
"""Deliveries that are attempted now, each with the number of its attempt."""


class FanOutView(NamedTuple):
    """What the explorer needs to know to see which steps are possible."""

    position: int
    running: tuple[int, ...]
    has_changed: bool
    pending: bool
    blocked: int


class Written(NamedTuple):
    """A share as it is written: its offset, and its records by log."""

    offset: int
    records: tuple[tuple[int, ...], ...]


class FanOut:
    def __init__(self, scene: Scene, era: int, committed: int, lines: tuple[int, ...]) -> None:
        """Restored from the committed offset and these records of the lanes topic (rule 5)."""
        place = scene.place(era)
        restored = _restored(scene, place, lines)
        ledger = restored.ledger
        inherited = (
            LedgerState(committed)
            if ledger is None
            else LedgerState(committed, ledger.settled, ledger.partial)
        )
        self._scene, self._era = scene, era
        self._partition = scene.parts.partition(place, GROUP, inherited, restored.lanes)
        lanes: dict[Any, LaneTable] = {place: self._partition.lanes}
        self._gate = LaneGate(scene.book, lanes, OpenTo(never), 8)
        self._schedule = scene.parts.schedule(self._gate, 8, 1.0)
        self._running: list[Delivery] = []
        self._failed: dict[Delivery, Redirect] = {}
        self._pending: Share | None = None
        self._given_up: dict[tuple[LaneId, int], Delivery] = {}

    def view(self) -> FanOutView:
        return FanOutView(
            self._partition.ledger.position,
            tuple(self._number(one) for one in self._running),
            self._partition.draft.has_changed,
            self._pending is not None,
            len(self._partition.lanes.blocked_lanes),
        )

    def admit(self) -> Starts:
        """Take the next event (intake)."""
        offset = self._partition.ledger.position
        if self._partition.ledger.is_settled(offset):
            self._partition.pass_over(offset)
            return ()
        event = self._scene.eras[self._era][offset]
        for delivery in self._partition.admit(event, self._scene.wanting(event), 0.0):
            self._schedule.add(delivery)
        return self._step_if_open()

    def step(self) -> Starts:
        """Carry out what the schedule says, the fence being open (dispatch)."""
        steps = self._schedule.advance(0.0)
        for delivery in steps.redirect:
            redirect = self._failed.pop(delivery, None) or Redirect(delivery)
            self._partition.draft.redirect(redirect)
        self._running += steps.start
        return tuple((self._number(one), 1) for one in steps.start)

    def ended(self, number: int, outcome: Outcome) -> Starts:
        """The attempt of this delivery ended (dispatch)."""
        delivery = next(one for one in self._running if self._number(one) == number)
        self._running.remove(delivery)
        entry = self._scene.entries[delivery.subscription]
        attempted = Attempted(outcome, attempt_record(delivery, 1, outcome))
        ended = self._scene.rules.ended(delivery, entry, attempted, NOW_MS)
        if ended.redirect is not None:
            self._failed[delivery] = ended.redirect
            self._schedule.failed(delivery)
            return self._step_if_open()
        if ended.letter is not None:
            self._given_up[delivery.lane, delivery.sequence] = delivery
            self._partition.draft.give_up(delivery.subscriber, ended.letter)
            return ()
        self._partition.draft.settle(delivery)
        self._schedule.resolved(delivery)
        return self._step_if_open()

    def released(self, key: bytes, value: bytes | None) -> Starts:
        """The tail read a record of the lanes topic (restore, service)."""
        split = split_lane_key(key)
        if value is not None and split is not None and split[0] is LaneKey.RELEASED:
            self._partition.lanes.release(LaneId(split[1]), LANES.decode(value).sequence)
        return ()

    def take(self) -> Written:
        """The share for the next transaction, or the one that was aborted once more (commit)."""
        if self._pending is None:
            limit = self._scene.bounds.redirects_at_once
            self._pending = self._partition.draft.take(limit)
        assert self._pending is not None
        catalogue = self._scene.catalogue
        logs: dict[Log, list[int]] = {log: [] for log in Log}
        records = self._scene.parts.records(self._pending, self._scene.fanout_layout, NOW_MS)
        for record in records:
            number = catalogue.number(record.topic, record.key, record.value)
            logs[catalogue.about(number).log].append(number)
        return Written(self._pending.offset, tuple(tuple(logs[log]) for log in Log))

    def committed(self) -> Starts:
        """The share is in Kafka: the lanes of its dead letters go on (dispatch)."""
        assert self._pending is not None
        letters = self._pending.dead_letters
        self._pending = None
        if not letters:
            return ()
        for letter in letters:
            self._schedule.resolved(self._given_up.pop((letter.lane, letter.sequence)))
        return self._step_if_open()

    def _step_if_open(self) -> Starts:
        return () if self._scene.bounds.fenced else self.step()

    def _number(self, delivery: Delivery) -> int:
        topic_id = delivery.event.topic_id
        return self._scene.catalogue.delivery(delivery.lane, delivery.sequence, topic_id)


class _Read:
    """A lanes topic whose content is known."""

    def read_from_start(self, partition: int) -> int:
        return 1

    def stop_reading(self, partition: int) -> None: ...


def _restored(scene: Scene, place: Place, numbers: tuple[int, ...]) -> Restored:
    records = [scene.catalogue.record(number) for number in numbers]
    lines = [LaneLine(offset, *record) for offset, record in enumerate(records)]
    return asyncio.run(_restore(place, lines))


async def _restore(place: Place, lines: Sequence[LaneLine]) -> Restored:
    async def high_watermark(partition: int) -> int:
        return len(lines)

    restorer = LaneRestorer(_Read(), GROUP, 1, high_watermark, lambda *_: None)
    restoring = asyncio.ensure_future(restorer.restore(place))
    await asyncio.sleep(0)
    if lines:
        restorer.read(0, 1, lines)
    restorer.reached_end(0, 1, len(lines))
    return await restoring


def never(url: str) -> bool:
    return False


DELIVERED = Outcome(AttemptOutcome.DELIVERED, "accepted", "", 200)
FAILED = Outcome(AttemptOutcome.FAILED, "status", "", 500)
REFUSED = Outcome(AttemptOutcome.REFUSED, "give-up-on", "", 400)


def attempt_record(of: Any, attempt: int, outcome: Outcome) -> DeliveryAttempt:
    """The record of an attempt, of a delivery or of a task."""
    event = of.event
    return DeliveryAttempt(
        lane=of.lane,
        sequence=of.sequence,
        webhook_id=of.webhook_id,
        subscription=of.subscription,
        uid=of.uid,
        run="",
        topic=event.topic,
        topic_id=event.topic_id,
        partition=event.partition,
        key=event.key,
        event_id=event.attributes["id"],
        event_type=event.attributes["type"],
        attempt=attempt,
        service="model",
        started_ms=0,
        duration_ms=1.0,
        outcome=outcome.kind,
        reason=outcome.reason,
        detail=outcome.detail,
        status=outcome.status,
        address=None,
        response=None,
        next_ms=None,
        trace_id=None,
    )
