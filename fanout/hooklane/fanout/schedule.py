"""Which delivery may start now. Pure: it returns what to do, the loop does it.

A lane has at most one attempt in flight; what comes later waits behind it in the order of the
sequences. Lanes whose first delivery waits for nothing but a free slot stand in their
subscription's queue; subscriptions take turns, so that a busy one cannot hold the others up.

    admitted --> behind an attempt of its lane --> queue of its subscription --> in flight
                                   |                    |                          |
                                   +---- redirected <---+ (spilled) <--------------+ (failed)

When the first delivery of a lane is redirected, all that wait behind it go with it, in order:
so no attempt of the lane is in flight then, and the redirects have no gap (rule 3).
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from heapq import heappop, heappush
from typing import Protocol, assert_never

from hooklane.fanout.delivery import Delivery, Place
from hooklane.schemas.lane import LaneId

_TURNS = 5


class Verdict(Enum):
    """What may become of a delivery that is the first of its lane."""

    ATTEMPT = "attempt"
    REDIRECT = "redirect"
    """Its lane is blocked, its subscription paused, or its receiver's circuit open."""
    DISCARD = "discard"
    """Its subscription is deleted or disabled by its operator."""
    GIVE_UP = "give-up"
    """Its subscription is gone by its receiver's own word (410): a dead letter."""


class Gate(Protocol):
    """Says what may become of the first delivery of a lane, by the facts of this moment."""

    def judge(self, delivery: Delivery) -> Verdict: ...

    def max_in_flight(self, subscription: str) -> int:
        """How many attempts of it may be in flight at once."""

    def wait_s(self, subscription: str, ahead: int = 0) -> float:
        """Seconds until its rate limit lets one more start after `ahead` others; 0: now."""

    def begins(self, delivery: Delivery) -> bool:
        """An attempt of it begins, unless this says no: its receiver is being probed."""


class Tenants(Protocol):
    """What subscriptions of one tenant share (delivery.tenants)."""

    def admits(self, subscription: str) -> bool: ...
    def begins(self, subscription: str) -> None: ...
    def ended(self, subscription: str) -> None: ...
    def due(self) -> list[str]: ...
    def wait_s(self, subscription: str, ahead: int) -> float: ...

    @property
    def next_start(self) -> float | None: ...


@dataclass(slots=True)
class Steps:
    """What the loop has to do, in this order."""

    redirect: list[Delivery] = field(default_factory=list)
    discard: list[Delivery] = field(default_factory=list)
    give_up: list[Delivery] = field(default_factory=list)
    start: list[Delivery] = field(default_factory=list)

    def forget(self, held: Callable[[Place], bool]) -> None:
        """Drop what has not been carried out of these event partitions."""
        for steps in (self.redirect, self.discard, self.give_up):
            steps[:] = [one for one in steps if not held(one.place)]


@dataclass(slots=True, eq=False)
class _Lane:
    name: LaneId
    waiting: deque[Delivery]
    in_flight: Delivery | None = None
    overdue: bool = False
    """Whether what waits behind the attempt has waited too long: it goes when that has ended."""
    given_up: dict[int, Place] | None = None
    """Sequences without an attempt whose dead letters are not committed: no attempt goes before."""

    @property
    def place(self) -> Place:
        if self.in_flight is not None:
            return self.in_flight.place
        return next(iter((self.given_up or {}).values()), None) or self.waiting[0].place

    def give_up(self, delivery: Delivery) -> None:
        if self.given_up is None:
            self.given_up = {}
        self.given_up[delivery.sequence] = delivery.place


@dataclass(slots=True, eq=False)
class _Queue:
    """The lanes of one subscription that wait for a slot, and the slots that it has taken."""

    subscription: str
    ready: deque[_Lane] = field(default_factory=deque)
    in_flight: dict[Delivery, float] = field(default_factory=dict)
    """When each attempt began (monotonic seconds), the oldest first."""
    in_turn: bool = False
    paced: bool = False
    """Whether it waits for its rate limit."""
    in_line: bool = False
    """Whether it waits for a slot, or for the rate, that its tenant's subscriptions share."""


class Schedule:
    """The lanes that have deliveries in this process. `patience`: seconds until a spill.
    `tenants`: where some share slots or a rate."""

    def __init__(
        self, gate: Gate, max_in_flight: int, patience: float, tenants: Tenants | None = None
    ) -> None:
        self._gate = gate
        self._max_in_flight = max_in_flight
        self._patience = patience
        self._tenants = tenants
        self._lanes: dict[LaneId, _Lane] = {}
        self._queues: dict[str, _Queue] = {}
        self._turns: deque[_Queue] = deque()
        self._paced: list[tuple[float, int, _Queue]] = []
        """A heap: when the rate limits of queues let them go on."""
        self._pauses = 0
        self._steps = Steps()
        self._leaving: set[LaneId] = set()
        """Lanes with a redirect that has not been collected: what comes follows it."""
        self.in_flight = 0

    def add(self, delivery: Delivery) -> None:
        """A delivery came in. Of one lane they come in the order of their sequences."""
        lane = self._lanes.get(delivery.lane)
        if lane is not None:
            lane.waiting.append(delivery)
            return
        if delivery.lane in self._leaving:
            self._steps.redirect.append(delivery)
            return
        lane = self._lanes[delivery.lane] = _Lane(delivery.lane, deque((delivery,)))
        self._look_at(lane)

    def resolved(self, delivery: Delivery) -> None:
        """Its attempt ended and it needs no further one."""
        lane = self._landed(delivery)
        if lane.overdue and lane.waiting:
            self._redirect_waiting(lane)
        else:
            self._look_at(lane)

    def failed(self, delivery: Delivery) -> None:
        """Its attempt ended and it has to come again: it and all behind it are redirected."""
        lane = self._landed(delivery)
        self._redirect(delivery)
        self._redirect_waiting(lane)

    def gives_up(self, delivery: Delivery) -> None:
        """It becomes a dead letter without an attempt, by somebody else's verdict."""
        lane = self._lanes.get(delivery.lane)
        if lane is None:
            lane = self._lanes[delivery.lane] = _Lane(delivery.lane, deque())
        lane.give_up(delivery)

    def lettered(self, delivery: Delivery) -> None:
        """The dead letter of one without an attempt is committed: what waits behind it goes on.

        After a crash before that it would be attempted, behind what came after it.
        """
        lane = self._lanes.get(delivery.lane)
        if lane is None or lane.given_up is None:
            return
        if lane.given_up.pop(delivery.sequence, None) is not None and not lane.given_up:
            self._look_at(lane)

    def hold(self, held: Callable[[Place], bool]) -> list[Delivery]:
        """Start nothing more of these event partitions; returns what is in flight of them.

        What waits is forgotten: it was not settled, so the next owner finds it again.
        """
        in_flight = []
        for lane in list(self._lanes.values()):
            if not held(lane.place):
                continue
            lane.waiting.clear()
            if lane.in_flight is not None:
                in_flight.append(lane.in_flight)
            else:
                del self._lanes[lane.name]
        self._steps.forget(held)
        self._leaving = {one.lane for one in self._steps.redirect}
        return in_flight

    def cut_off(self, delivery: Delivery) -> None:
        """Its attempt was cancelled, and it is not redirected: the next owner does it again."""
        lane = self._landed(delivery)
        lane.waiting.clear()
        del self._lanes[lane.name]

    def advance(self, now: float) -> Steps:
        """What to do at `now`: subscriptions with a free slot take turns, a lane each."""
        while self._paced and self._paced[0][0] <= now:
            queue = heappop(self._paced)[2]
            queue.paced = False
            self._take_turn(queue)
        self._let_in()
        while self._turns and self.in_flight < self._max_in_flight:
            queue = self._turns.popleft()
            queue.in_turn = False
            wait_s = self._gate.wait_s(queue.subscription)
            if wait_s > 0:
                self._pace(queue, now + wait_s)
                continue
            if self._tenants is not None and not self._tenants.admits(queue.subscription):
                queue.in_line = True
                self._trim(queue)
                continue
            self._start_first(queue, now)
            self._take_turn(queue)
        steps, self._steps = self._steps, Steps()
        self._leaving.clear()
        return steps

    def spill(self, now: float, lag: float) -> None:
        """Redirect lanes that waited too long for a slot of their own subscription, or whose own
        attempts are so slow that what waits behind them does: one hot key would fill the window
        that all others need. The latter leave once their attempt has ended (rule 3).

        Not where the process itself is what is slow, for to write a delivery into the backlog
        costs it more than to make it: attempts that last no longer than a few turns of the event
        loop (`lag`: how long one takes, in seconds) wait for us and not for their receiver.
        """
        for queue in list(self._queues.values()):
            self._take_turn(queue)
            self._mark_overdue(queue, now, lag)
            slow = queue.in_line or _oldest_age(queue, now) > lag * _TURNS
            if not queue.in_turn and slow:
                while queue.ready and self._waited(queue.ready[0], now):
                    self._redirect_waiting(queue.ready.popleft())
            self._rest(queue)

    @property
    def next_start(self) -> float | None:
        """When the next rate limit lets a lane start (monotonic seconds), if one waits for it."""
        tenants = None if self._tenants is None else self._tenants.next_start
        paced = self._paced[0][0] if self._paced else None
        return min((at for at in (paced, tenants) if at is not None), default=None)

    def _let_in(self) -> None:
        """Those whose tenants' lines have come to them."""
        for subscription in () if self._tenants is None else self._tenants.due():
            queue = self._queues.get(subscription)
            if queue is not None:
                queue.in_line = False
                self._take_turn(queue)

    def _pace(self, queue: _Queue, until: float) -> None:
        """Its rate limit lets nothing start until then."""
        queue.paced = True
        self._pauses += 1
        heappush(self._paced, (until, self._pauses, queue))
        self._trim(queue)

    def _trim(self, queue: _Queue) -> None:
        """Redirect at once what would only be spilled later: what the rate limit cannot let start
        while it has patience. So a limited subscription never fills the process's window."""
        while queue.ready and self._wait_s(queue, len(queue.ready) - 1) > self._patience:
            self._redirect_waiting(queue.ready.pop())

    def _wait_s(self, queue: _Queue, ahead: int) -> float:
        own = self._gate.wait_s(queue.subscription, ahead)
        if self._tenants is None or not queue.in_line:
            return own
        return max(own, self._tenants.wait_s(queue.subscription, ahead))

    def _mark_overdue(self, queue: _Queue, now: float, lag: float) -> None:
        for delivery, begun in queue.in_flight.items():
            if now - begun <= lag * _TURNS:
                break
            lane = self._lanes.get(delivery.lane)
            if lane is not None and lane.waiting and self._waited(lane, now):
                lane.overdue = True

    def _waited(self, lane: _Lane, now: float) -> bool:
        return not lane.waiting or now - lane.waiting[0].admitted > self._patience

    def _start_first(self, queue: _Queue, now: float) -> None:
        """Start the first lane of the queue that passes its gate."""
        while queue.ready:
            lane = queue.ready.popleft()
            if lane.waiting and self._passes_gate(lane) and self._begins(lane):
                lane.in_flight = lane.waiting.popleft()
                queue.in_flight[lane.in_flight] = now
                if self._tenants is not None:
                    self._tenants.begins(queue.subscription)
                self.in_flight += 1
                self._steps.start.append(lane.in_flight)
                return
        self._rest(queue)

    def _look_at(self, lane: _Lane) -> None:
        """A lane without an attempt in flight: queue it, or carry out its verdict."""
        if not self._passes_gate(lane):
            return
        subscription = lane.waiting[0].subscription
        queue = self._queues.get(subscription)
        if queue is None:
            queue = self._queues[subscription] = _Queue(subscription)
        queue.ready.append(lane)
        if queue.paced or queue.in_line:
            self._trim(queue)
        self._take_turn(queue)

    def _begins(self, lane: _Lane) -> bool:
        """Whether its receiver takes one more now; if not, as with any open circuit, it leaves."""
        if self._gate.begins(lane.waiting[0]):
            return True
        self._redirect_waiting(lane)
        return False

    def _passes_gate(self, lane: _Lane) -> bool:
        """Whether the lane's first delivery may be attempted; else it is dealt with here."""
        while lane.waiting:
            match self._gate.judge(lane.waiting[0]):
                case Verdict.ATTEMPT:
                    return not lane.given_up
                case Verdict.REDIRECT:
                    self._redirect(*lane.waiting)
                    lane.waiting.clear()
                case Verdict.DISCARD:
                    self._steps.discard.append(lane.waiting.popleft())
                case Verdict.GIVE_UP:
                    delivery = lane.waiting.popleft()
                    lane.give_up(delivery)
                    self._steps.give_up.append(delivery)
                case never:
                    assert_never(never)
        if not lane.given_up:
            self._lanes.pop(lane.name, None)
        return False

    def _redirect_waiting(self, lane: _Lane) -> None:
        if self._lanes.get(lane.name) is lane:
            del self._lanes[lane.name]
            self._redirect(*lane.waiting)
            lane.waiting.clear()

    def _redirect(self, *deliveries: Delivery) -> None:
        self._steps.redirect.extend(deliveries)
        self._leaving.update(one.lane for one in deliveries)

    def _landed(self, delivery: Delivery) -> _Lane:
        lane = self._lanes[delivery.lane]
        lane.in_flight = None
        self.in_flight -= 1
        queue = self._queues[delivery.subscription]
        del queue.in_flight[delivery]
        if self._tenants is not None:
            self._tenants.ended(queue.subscription)
        self._take_turn(queue)
        self._rest(queue)
        return lane

    def _take_turn(self, queue: _Queue) -> None:
        """Put a queue into the round if it has a lane to start and a free slot for it."""
        if not queue.ready or queue.in_turn or queue.paced or queue.in_line:
            return
        if len(queue.in_flight) < self._gate.max_in_flight(queue.subscription):
            queue.in_turn = True
            self._turns.append(queue)

    def _rest(self, queue: _Queue) -> None:
        """Forget a subscription that has nothing here, so that memory follows the work."""
        if not (queue.ready or queue.in_flight or queue.in_turn):
            self._queues.pop(queue.subscription, None)


def _oldest_age(queue: _Queue, now: float) -> float:
    return now - next(iter(queue.in_flight.values()), now)


def by_place(places: Iterable[Place]) -> Callable[[Place], bool]:
    """A test for membership, for `drop` and `hold`."""
    return frozenset(places).__contains__
