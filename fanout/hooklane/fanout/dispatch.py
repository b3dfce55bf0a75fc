"""Carries out what the schedule says: starts attempts, and gives their ends to the draft."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

from hooklane.delivery import attempt
from hooklane.delivery.attempt import Attempted
from hooklane.delivery.exchange import Running
from hooklane.fanout.delivery import Delivery, Place
from hooklane.fanout.gate import LaneGate
from hooklane.fanout.partition import EventPartition
from hooklane.fanout.process import Process
from hooklane.fanout.redirect import Redirect
from hooklane.fanout.rules import Rules
from hooklane.fanout.schedule import Schedule, Steps, by_place
from hooklane.fanout.settle import Ended
from hooklane.runtime.landings import Landings
from hooklane.schemas.book import Entry
from hooklane.schemas.lane import LaneId
from hooklane.schemas.records import DeadLetter, DeadLetterReason


class Attempts(Protocol):
    """What makes an HTTP attempt of a delivery."""

    def start(self, delivery: attempt.Delivery, done: Callable[[Attempted], None]) -> Running: ...


class Dispatcher:
    """Between the schedule and the attempts. Lives in the event loop.

    `changed` is told of each event partition whose draft or ledger has changed.
    """

    def __init__(
        self,
        process: Process,
        schedule: Schedule,
        gate: LaneGate,
        attempts: Attempts,
        rules: Rules,
        changed: Callable[[EventPartition], None],
    ) -> None:
        self._process = process
        self._owned = process.owned
        self._clock = process.clock
        self._metrics = process.metrics
        self._schedule = schedule
        self._gate = gate
        self._attempts = attempts
        self._rules = rules
        self._changed = changed
        self._running: dict[Delivery, Running] = {}
        self._failed: dict[Delivery, Redirect] = {}
        self._landings = Landings[Delivery]()
        self._given_up: dict[tuple[LaneId, int], Delivery] = {}
        """Attempted, given up, and their dead letters not committed yet."""
        self._never_attempted: dict[tuple[LaneId, int], Delivery] = {}
        """The same, without an attempt."""
        self._waking: asyncio.TimerHandle | None = None
        self._wakes_at = 0.0

    def add(self, deliveries: Iterable[Delivery]) -> None:
        """Deliveries that came in; `step` begins them."""
        for delivery in deliveries:
            self._schedule.add(delivery)

    def step(self) -> None:
        """Do what may be done now. While the fence is closed nothing starts or is redirected."""
        if self._process.may_start():
            self._carry_out(self._schedule.advance(self._clock.monotonic()))
            if self._schedule.next_start is not None:
                self._wake_at(self._schedule.next_start)

    def spill(self, lag: float) -> None:
        """Redirect what has waited too long; to be called now and then.

        `lag`: how many seconds a turn of the event loop takes.
        """
        self._schedule.spill(self._clock.monotonic(), lag)
        self.step()

    def committed(self, letters: Iterable[DeadLetter]) -> None:
        """These dead letters are in Kafka: their lanes go on."""
        for letter in letters:
            delivery = self._given_up.pop((letter.lane, letter.sequence), None)
            if delivery is not None:
                self._landings.landed(delivery)
                self._schedule.resolved(delivery)
            delivery = self._never_attempted.pop((letter.lane, letter.sequence), None)
            if delivery is not None:
                self._schedule.lettered(delivery)
        self.step()

    async def drain(self, places: Iterable[Place], grace_s: float) -> None:
        """Start nothing more there, wait for the attempts in flight, cut off the rest."""
        places = tuple(places)
        in_flight = self._schedule.hold(by_place(places))
        await self._landings.wait(in_flight, grace_s)
        self.cut_off(places)
        self.step()

    def cut_off(self, places: Iterable[Place]) -> None:
        """Drop all work there. Attempts in flight are cancelled; they are not settled."""
        gone = by_place(places)
        for delivery in [one for one in self._failed if gone(one.place)]:
            del self._failed[delivery]
        for key in [key for key, one in self._never_attempted.items() if gone(one.place)]:
            del self._never_attempted[key]
        for delivery in self._schedule.hold(gone):
            running = self._running.pop(delivery, None)
            if running is not None:
                running.cancel()
            self._given_up.pop((delivery.lane, delivery.sequence), None)
            self._landings.landed(delivery)
            self._schedule.cut_off(delivery)
        self._metrics.attempts_in_flight.set(self._schedule.in_flight)

    def _wake_at(self, at: float) -> None:
        """Step again when a rate limit lets the next one start."""
        if self._waking is not None:
            if self._wakes_at <= at:
                return
            self._waking.cancel()
        self._wakes_at = at
        delay_s = max(at - self._clock.monotonic(), 0.0)
        self._waking = asyncio.get_running_loop().call_later(delay_s, self._wake)

    def _wake(self) -> None:
        self._waking = None
        self.step()

    def _carry_out(self, steps: Steps) -> None:
        for delivery in steps.redirect:
            self._redirect(delivery)
        for delivery in steps.discard:
            self._discard(delivery)
        for delivery in steps.give_up:
            self._give_up(delivery, _reason(delivery))
        for delivery in steps.start:
            self._start(delivery)
        if steps.start:
            self._metrics.attempts_in_flight.set(self._schedule.in_flight)

    def _start(self, delivery: Delivery) -> None:
        entry = self._gate.entry(delivery)
        assert entry is not None  # noqa: S101 - the gate has just passed it
        wanted = attempt.Delivery(
            lane=delivery.lane,
            sequence=delivery.sequence,
            webhook_id=delivery.webhook_id,
            run="",
            event=delivery.event,
            subscription=entry.subscription,
            attempt=1,
        )
        self._running[delivery] = self._attempts.start(
            wanted, lambda attempted: self._ended(delivery, entry, attempted)
        )

    def _ended(self, delivery: Delivery, entry: Entry, attempted: Attempted) -> None:
        del self._running[delivery]
        partition = self._partition_of(delivery)
        ended = self._rules.ended(delivery, entry, attempted, self._clock.wall_ms())
        self._process.circuits.record(
            entry.subscription.url, delivery.lane, attempted.outcome, self._clock.monotonic()
        )
        record = attempted.record
        self._metrics.attempted(record.subscription, record.outcome, record.duration_ms / 1000)
        partition.draft.attempted(ended.record)
        self._settle(partition, delivery, ended)
        self._changed(partition)
        if (delivery.lane, delivery.sequence) not in self._given_up:
            self._landings.landed(delivery)
        self.step()
        self._metrics.attempts_in_flight.set(self._schedule.in_flight)

    def _settle(self, partition: EventPartition, delivery: Delivery, ended: Ended) -> None:
        if ended.disabling is not None:
            self._gate.gone[delivery.subscription] = ended.disabling.offset
            partition.draft.disable(ended.disabling)
        if ended.redirect is not None:
            self._failed[delivery] = ended.redirect
            self._schedule.failed(delivery)
            return
        if ended.letter is not None:
            # Its lane goes on when the letter is committed: after a crash before that it is
            # attempted again, and must not arrive behind what came after it.
            self._given_up[delivery.lane, delivery.sequence] = delivery
            partition.draft.give_up(delivery.subscriber, ended.letter)
            return
        age_ms = self._clock.wall_ms() - delivery.event.timestamp_ms
        self._metrics.delivery_latency.observe(max(age_ms, 0) / 1000)
        partition.draft.settle(delivery)
        self._schedule.resolved(delivery)

    def _redirect(self, delivery: Delivery) -> None:
        redirect = self._failed.pop(delivery, None) or Redirect(delivery)
        if delivery.undecided:
            # The retrier would deliver it. Its lane waits meanwhile for nothing: it had no attempt.
            self._schedule.gives_up(delivery)
            self._give_up(delivery, _reason(delivery))
        elif self._rules.fits_backlog(delivery.event):
            partition = self._partition_of(delivery)
            partition.draft.redirect(redirect)
            self._changed(partition)
        else:
            self._schedule.gives_up(delivery)
            self._give_up(delivery, DeadLetterReason.TOO_LARGE)

    def _discard(self, delivery: Delivery) -> None:
        partition = self._partition_of(delivery)
        partition.draft.settle(delivery)
        self._changed(partition)

    def _give_up(self, delivery: Delivery, reason: DeadLetterReason) -> None:
        self._never_attempted[delivery.lane, delivery.sequence] = delivery
        letter = self._rules.letter(delivery, reason, self._clock.wall_ms())
        partition = self._partition_of(delivery)
        partition.draft.give_up(delivery.subscriber, letter)
        self._changed(partition)

    def _partition_of(self, delivery: Delivery) -> EventPartition:
        partition = self._owned.at(delivery.place)
        assert partition is not None  # noqa: S101 - what is let go is cut off first
        return partition


def _reason(delivery: Delivery) -> DeadLetterReason:
    """Of what is given up without an attempt by the gate's word."""
    return DeadLetterReason.REFUSED if delivery.undecided else DeadLetterReason.DISABLED
