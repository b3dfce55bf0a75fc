"""The operator: documents of subscriptions, their edits, and what is done about halted tasks."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from hooklane.retrier.resolve import letter_for
from hooklane.schemas.codec import DEAD_LETTERS, TASKS, TICKETS
from hooklane.schemas.outgoing import by_lane
from hooklane.schemas.records import DeadLetterReason, DeliveryTask, RetryTicket
from hooklane.schemas.topics import task_key
from tests.simulation.cluster import Cluster
from tests.simulation.judge import Judge
from tests.simulation.plan import Edit, Plan
from tests.simulation.services import NAMES, TIERS
from tests.simulation.wire import rng_of

_SCHEDULE = ["500ms", "500ms", "2s", "2s", "4s", "4s"]


@dataclass
class _Written:
    """A subscription as it is in the topic now."""

    uid: str
    document: dict[str, Any] = field(default_factory=dict)
    offset: int = -1


class Operator:
    """`knows(offset)`: whether every fan-out that runs has read the config topic so far."""

    def __init__(
        self, plan: Plan, cluster: Cluster, judge: Judge, knows: Callable[[int], bool]
    ) -> None:
        self._plan, self._cluster, self._judge, self._knows = plan, cluster, judge, knows
        self._rng = rng_of(plan.seed, "operator")
        self._log = cluster.log(NAMES.subscriptions, 0)
        self._written: dict[str, _Written] = {}
        self._edits = 0
        self._acted: set[tuple[bytes, int]] = set()

    def apply_all(self) -> None:
        for name in self._plan.subscriptions:
            self._write(name, _Written("u0", self._document(name, "u0")))

    def edit(self, name: str, edit: Edit) -> None:
        self._edits += 1
        found = self._written.get(name)
        if found is None:
            return
        match edit:
            case Edit.PAUSE | Edit.RESUME:
                state = "paused" if edit is Edit.PAUSE else "active"
                self._change(name, found, state=state)
            case Edit.URL:
                self._change(name, found, url=f"http://{name}.example/{self._edits}")
            case Edit.ORDERING:
                self._judge.switched.add(name)
                other = "none" if found.document["ordering"] == "key" else "key"
                self._change(name, found, ordering=other)
            case Edit.DELETE:
                self._delete(name, found)
            case Edit.REPLACE:
                self._delete(name, found)
                uid = f"u{self._edits}"
                # As the command line stamps it: what was published before is not its business.
                since = datetime.fromtimestamp(self._cluster.wall_ms() / 1000, UTC)
                document = self._document(name, uid) | {"effective_from": since.isoformat()}
                self._write(name, _Written(uid, document))

    def wanting(self) -> dict[str, str]:
        """Who has to get what is published now: uid by subscription."""
        return {
            name: one.uid
            for name, one in self._written.items()
            if one.uid == "u0" or self._knows(one.offset)
        }

    def heal(self) -> None:
        """Nothing is paused; what a 410 disabled gets a newer document."""
        for name, found in list(self._written.items()):
            self._change(name, found, state="active")

    def tend(self) -> None:
        """Retry or skip what is halted."""
        for log in self._cluster.of_topic(NAMES.backlog):
            for key, value in log.in_force().items():
                said = self._judge.said_of(key)
                if said is not None and said.halted and (key, said.nudge) not in self._acted:
                    self._acted.add((key, said.nudge))
                    self._act(TASKS.decode(value), said.attempts, said.nudge)

    def _act(self, task: DeliveryTask, attempts: int, nudge: int) -> None:
        if self._rng.random() < 0.5:
            ticket = RetryTicket(
                lane=task.lane,
                sequence=task.sequence,
                subscription=task.subscription,
                attempts=attempts,
                nudge=nudge + 1,
                due_ms=self._cluster.wall_ms(),
                halted=False,
            )
            topic = NAMES.retry(TIERS[0])
            self._append(topic, task, TICKETS.encode(ticket))
            self._cluster.trace(f"operator: retry {task.subscription} {task.sequence}")
            return
        now_ms = self._cluster.wall_ms()
        letter = letter_for(task, DeadLetterReason.SKIPPED, None, attempts, now_ms)
        self._cluster.trace(f"operator: skip {task.subscription} {task.sequence}")
        self._append(NAMES.dead_letters, task, DEAD_LETTERS.encode(letter))
        place = by_lane(NAMES.backlog, task.lane, b"", self._plan.partitions).partition
        key = task_key(task.lane, task.sequence)
        self._cluster.log(NAMES.backlog, place).append(key, None, now_ms)

    def _append(self, topic: str, task: DeliveryTask, value: bytes) -> None:
        record = by_lane(topic, task.lane, value, self._plan.partitions)
        log = self._cluster.log(topic, record.partition)
        log.append(record.key, value, self._cluster.wall_ms())

    def _delete(self, name: str, found: _Written) -> None:
        self._judge.deleted.add((name, found.uid))
        del self._written[name]
        self._log.append(name.encode(), None, self._cluster.wall_ms())

    def _change(self, name: str, found: _Written, **fields: Any) -> None:
        self._write(name, _Written(found.uid, {**found.document, **fields}))

    def _write(self, name: str, written: _Written) -> None:
        value = json.dumps(written.document).encode()
        written.offset = self._log.append(name.encode(), value, self._cluster.wall_ms())
        self._written[name] = written

    def _document(self, name: str, uid: str) -> dict[str, Any]:
        halts = name in self._plan.halting
        return {
            "id": name,
            "uid": uid,
            "url": f"http://{name}.example/",
            "state": "active",
            "ordering": "none" if name == "c" else "key",
            "delivery": {"timeout": "1500ms", "connect_timeout": "1s", "max_in_flight": 3},
            "retry": {
                "schedule": _SCHEDULE[:3] if halts else _SCHEDULE,
                "on_exhausted": "halt" if halts else "dead-letter",
                "give_up_on": [400],
            },
        }
