"""The judge: hears every attempt, request and record as it happens, and says what breaks a promise.

It knows who published what, and the promises; of the services' decisions it knows nothing.

*Order.* An attempt of sequence t starts only when every s < t of its lane is resolved: accepted,
and its owner heard so; or in the dead letters for good; or its subscription was deleted.

*Repeats.* What is resolved is attempted again only after something died, was cut off, or lost an
answer. Of what a receiver accepts from a lane each acceptance is at most one step above the one
before it, dead letters left out. What arrives from a sender that is dead, cut off or has given the
request up is not counted: nobody can call it back, and `hooklane-sequence` shows it.

*Newest last.* In the end the newest of each lane was accepted last.

*Attempt counts and due times survive.* An attempt's number is above, and its time not before, what
any ticket or task said that was there before its owner got the partition.

*Durability.* In the end all was accepted, or is in the dead letters.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from hooklane.delivery import attempt
from hooklane.schemas.codec import DEAD_LETTERS, TASKS, TICKETS
from hooklane.schemas.lane import LaneNamer, lane_partition
from hooklane.schemas.records import AttemptOutcome
from hooklane.schemas.topics import split_task_key
from tests.simulation.cluster import Cluster, Transaction
from tests.simulation.log import Entry, Log
from tests.simulation.loop import Node

Birth = tuple[str, str, int, int]
"""A delivery without its lane: subscription, uid, event partition, sequence."""


@dataclass(frozen=True, slots=True)
class Violation:
    """`promise` is a word; `lane` names what to look for in the trace."""

    promise: str
    said: str
    lane: str = ""

    def __str__(self) -> str:
        return f"{self.promise}: {self.said}"


@dataclass(eq=False)
class Attempt:
    """One that a process has started."""

    node: Node
    birth: Birth
    lane: str
    keyed: bool
    number: int
    given_up: bool = False
    """Its sender does not wait for the answer any more."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a ticket or a task says, and since when all can read it."""

    since: float
    attempts: int
    nudge: int
    due_ms: int
    halted: bool


@dataclass
class Standing:
    """Of one process: which partitions it was given, and when; `cut_off`: nobody counts on it."""

    assigned: dict[tuple[str, int], float] = field(default_factory=dict)
    cut_off: bool = False


class Judge:
    """`violation` is the first promise that was broken."""

    def __init__(self, cluster: Cluster, group: str, partitions: int) -> None:
        self._cluster, self._group, self._partitions = cluster, group, partitions
        self._loop = cluster.loop
        self.violation: Violation | None = None
        self.starts = 0
        self.keys: dict[tuple[int, int], str | None] = {}
        """Of each event that counts, by partition and offset."""
        self.wanted: set[Birth] = set()
        self.deleted: set[tuple[str, str]] = set()
        self.switched: set[str] = set()
        """Subscriptions whose `ordering` has changed: an event may be in one lane or the other."""
        self.resolved: dict[Birth, float] = {}
        self.lettered: set[Birth] = set()
        self.accepted: set[Birth] = set()
        self._lanes: dict[str, set[int]] = defaultdict(set)
        self._last: dict[str, int] = {}
        self._top: dict[str, int] = {}
        self._births: dict[tuple[str, int], Birth] = {}
        self._said: dict[tuple[str, int], list[Said]] = defaultdict(list)
        self._redirected: dict[tuple[str, int], float] = {}
        self._excused = -1.0
        self._standing: dict[Node, Standing] = defaultdict(Standing)
        self._by_key: dict[tuple[int, str | None], list[int]] = defaultdict(list)
        self._heard: dict[Node, set[Birth]] = defaultdict(set)
        self._under_way: Attempt | None = None

    # What the world tells.

    def published(
        self, partition: int, offset: int, key: str | None, wanted: Mapping[str, str]
    ) -> None:
        """An event, and who has to get it: uid by subscription."""
        self.keys[partition, offset] = key
        self._by_key[partition, key].append(offset)
        self.wanted |= {(name, uid, partition, offset) for name, uid in wanted.items()}

    def excuse(self, node: Node) -> None:
        """It has just died, was cut off, or lost an answer: repeats may follow. Nobody counts on
        one that was cut off before, so nothing that it loses now is a reason for others."""
        if not self.is_cut_off(node):
            self._excused = self._loop.time()

    def cut_off(self, node: Node) -> None:
        """Its group counts on it no more."""
        self.excuse(node)
        self._standing[node].cut_off = True

    def given(self, node: Node, places: list[tuple[str, int]]) -> None:
        """It was told that these partitions are its own now."""
        standing = self._standing[node]
        standing.cut_off = False
        standing.assigned.update(dict.fromkeys(places, self._loop.time()))

    def is_cut_off(self, node: Node) -> bool:
        return self._standing[node].cut_off

    def decided(self, transaction: Transaction) -> None:
        """Dead letters of a transaction count from its decision on."""
        for (topic, partition), batch in transaction.batches.items():
            if topic.endswith(".dead-letters"):
                for entry in self._cluster.logs[topic, partition].entries:
                    if entry.batch is batch and entry.value is not None:
                        self._letter(entry.value)

    def visible(self, log: Log, entry: Entry) -> None:
        """A record that all can read from now on."""
        name = log.topic.partition(".")[2]
        if entry.value is None:
            if name == "backlog" and entry.key is not None:
                self._tombstone(entry.key)
            return
        if name == "dead-letters":
            self._letter(entry.value)
        elif name == "backlog":
            task = TASKS.decode(entry.value)
            self._birth(task.lane, task.sequence, task.subscription, task.uid, task.event.partition)
            self._redirected.setdefault((task.lane, task.sequence), self._loop.time())
            self._say(task.lane, task.sequence, task.attempts, 0, task.due_ms or 0, task.halted)
        elif name.startswith("retry."):
            one = TICKETS.decode(entry.value)
            self._say(one.lane, one.sequence, one.attempts, one.nudge, one.due_ms, one.halted)

    # What is heard of attempts.

    def started(self, node: Node, of: attempt.Delivery, *, fanout: bool) -> Attempt:
        """Its request is about to be made."""
        self.starts += 1
        event = of.event
        birth = (of.subscription.id, of.subscription.uid, event.partition, of.sequence)
        namer = LaneNamer(self._group, birth[0], birth[1], event.topic_id, event.partition, of.run)
        keyed = event.key is not None and namer.lane(event.key) == of.lane
        begun = Attempt(node, birth, of.lane, keyed, of.attempt)
        self._births[of.lane, of.sequence] = birth
        self._lanes[of.lane].add(of.sequence)
        if birth[:2] not in self.deleted:
            self._judge_start(begun, fanout=fanout)
        self._under_way = begun
        return begun

    def under_way(self) -> object:
        return self._under_way

    def arrived(self, attempt: object, *, accepted: bool) -> None:
        """A receiver got it."""
        assert isinstance(attempt, Attempt)
        if not accepted:
            return
        self.accepted.add(attempt.birth)
        node = attempt.node
        if attempt.given_up or node.dead or self.is_cut_off(node):
            return
        lane, sequence = attempt.lane, attempt.birth[3]
        before = self._last.get(lane, -1)
        self._last[lane] = sequence
        self._top[lane] = max(sequence, self._top.get(lane, -1))
        for other in self._of_lane(attempt):
            if before < other < sequence and not self._is_over(attempt, other):
                self._break("repeats", attempt, f"{sequence} is accepted right after {before}")

    def ended(self, attempt: Attempt, outcome: AttemptOutcome) -> None:
        """Its sender has heard how it ended."""
        attempt.given_up = True
        if outcome is AttemptOutcome.DELIVERED:
            self._heard[attempt.node].add(attempt.birth)
        if outcome is AttemptOutcome.DELIVERED and not self.is_cut_off(attempt.node):
            self.resolved.setdefault(attempt.birth, self._loop.time())
            if self._loop.time() < attempt.node.dazed_until:
                self.excuse(attempt.node)

    def cancelled(self, attempt: Attempt) -> None:
        attempt.given_up = True
        self.excuse(attempt.node)

    # The end.

    def judge_end(self) -> None:
        """After all has come to rest."""
        for birth in sorted(self.wanted):
            name, uid, partition, sequence = birth
            if (name, uid) in self.deleted or birth in self.accepted or birth in self.lettered:
                continue
            said = f"{name} never got {sequence} of partition {partition}"
            self.violation = self.violation or Violation("durability", said)
        for lane, top in self._top.items():
            newest = self._births[lane, top]
            over = newest[:2] in self.deleted or newest in self.lettered
            if self._last[lane] < top and not over:
                said = f"{self._last[lane]} was accepted after {top}"
                self.violation = self.violation or Violation("newest last", said, lane)

    # The rules.

    def _judge_start(self, attempt: Attempt, *, fanout: bool) -> None:
        _, _, partition, sequence = attempt.birth
        for other in self._of_lane(attempt):
            if other < sequence and not self._is_resolved(attempt, other):
                self._break("order", attempt, f"{sequence} is attempted, and {other} not resolved")
        at = self.resolved.get(attempt.birth)
        if at is not None and self._excused < at:
            self._break("repeats", attempt, f"{sequence} is attempted again, and nothing has died")
        if fanout:
            self._judge_fanout(attempt, self._since(attempt, "orders", partition))
        else:
            place = lane_partition(attempt.lane, self._partitions)  # type: ignore[arg-type]
            self._judge_retrier(attempt, self._since(attempt, "hooklane.backlog", place))

    def _judge_fanout(self, attempt: Attempt, since: float) -> None:
        redirected = self._redirected.get((attempt.lane, attempt.birth[3]))
        if redirected is not None and redirected < since:
            self._break("settled", attempt, f"{attempt.birth[3]} is in the backlog")

    def _judge_retrier(self, attempt: Attempt, since: float) -> None:
        said = self._said[attempt.lane, attempt.birth[3]]
        known = [one for one in said if one.since < since]
        if not known:
            return
        made = max(one.attempts for one in known)
        if attempt.number <= made:
            self._break("attempt counts", attempt, f"attempt {attempt.number}, {made} were made")
        highest = max(said, key=_standing)
        if highest.since >= since:
            return
        now_ms = self._cluster.wall_ms()
        if highest.halted or now_ms < highest.due_ms:
            when = "it is halted" if highest.halted else f"due in {highest.due_ms - now_ms} ms"
            self._break("due times", attempt, f"{attempt.birth[3]} is attempted, but {when}")

    def _since(self, attempt: Attempt, topic: str, partition: int) -> float:
        return self._standing[attempt.node].assigned.get((topic, partition), 0.0)

    def _of_lane(self, attempt: Attempt) -> list[int]:
        """The sequences that are in the attempt's lane for certain."""
        name, uid, partition, sequence = attempt.birth
        if not attempt.keyed:
            return []
        if name in self.switched:
            return sorted(self._lanes[attempt.lane])
        return [
            one
            for one in self._by_key[partition, self.keys.get((partition, sequence))]
            if (name, uid, partition, one) in self.wanted
        ]

    def _is_resolved(self, attempt: Attempt, sequence: int) -> bool:
        """Or its own owner has heard so, and not yet that nobody counts on it any more."""
        birth = (*attempt.birth[:3], sequence)
        return birth in self.resolved or birth in self._heard[attempt.node]

    def _is_over(self, attempt: Attempt, sequence: int) -> bool:
        """Whether it may be missing among what the receiver accepts."""
        birth = (*attempt.birth[:3], sequence)
        if birth[0] in self.switched and birth in self.accepted:
            # In a lane of its own, where a new owner found it after the switch.
            return True
        return birth in self.lettered or birth[:2] in self.deleted

    def _tombstone(self, key: bytes) -> None:
        """It is resolved for all, also if whoever wrote it was cut off; if it is true."""
        named = split_task_key(key)
        birth = None if named is None else self._births.get(named)
        if birth is not None and birth in self.accepted:
            self.resolved.setdefault(birth, self._loop.time())

    def _letter(self, value: bytes) -> None:
        letter = DEAD_LETTERS.decode(value)
        if letter.subscription is not None:
            birth = (letter.subscription, letter.uid, letter.partition, letter.sequence)
            self.lettered.add(birth)
            self.resolved.setdefault(birth, self._loop.time())

    def _birth(self, lane: str, sequence: int, name: str, uid: str, partition: int) -> None:
        self._births[lane, sequence] = (name, uid, partition, sequence)
        self._lanes[lane].add(sequence)

    def _say(
        self, lane: str, sequence: int, attempts: int, nudge: int, due_ms: int, halted: bool
    ) -> None:
        said = Said(self._loop.time(), attempts, nudge, due_ms, halted)
        self._said[lane, sequence].append(said)

    def said_of(self, key: bytes) -> Said | None:
        """The highest that was said of the task of this key."""
        named = split_task_key(key)
        return None if named is None else max(self._said[named], key=_standing, default=None)

    def _break(self, promise: str, attempt: Attempt, said: str) -> None:
        if self.violation is None:
            name = f"{attempt.birth[0]} of partition {attempt.birth[2]}"
            self.violation = Violation(
                promise, f"{name}: {said} (by {attempt.node.name})", attempt.lane
            )


def _standing(said: Said) -> tuple[int, int]:
    return said.attempts, said.nudge
