"""One run: the plan carried out, then everything healed, and what must hold in the end."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from tests.simulation.admin import SimConfigTopic
from tests.simulation.cluster import Cluster
from tests.simulation.group import Group
from tests.simulation.judge import Judge, Violation
from tests.simulation.log import Ending
from tests.simulation.loop import DAZED_S, HERE, KilledError, Node, SimLoop
from tests.simulation.operator import Operator
from tests.simulation.parts import Found, Product
from tests.simulation.plan import FANOUTS, HORIZON_S, Do, Plan, Step
from tests.simulation.producer import Flaws
from tests.simulation.quiet import logging_to, unrest
from tests.simulation.receivers import Receivers, Sickness
from tests.simulation.services import (
    EVENTS,
    FANOUT_GROUP,
    NAMES,
    RETRIER_GROUP,
    SESSION_S,
    TIERS,
    Around,
    Parts,
    run_fanout,
    run_retrier,
)
from tests.simulation.threads import SimThreads
from tests.simulation.wire import Wire, rng_of
from tests.support.memory_spool import MemorySpool

_LOOK_S = 0.25
_SETTLES_S = 90.0
"""So long may it take until all is at rest, once nothing goes wrong any more."""
_BACK_S = 0.3
_MOST_STEPS = 400_000


@dataclass
class _Host:
    """Where one process runs, again and again. Its disk stays."""

    name: str
    flaws: Flaws = field(default_factory=Flaws)
    around: Around | None = None
    spool: MemorySpool = field(default_factory=MemorySpool)
    starts: int = 0
    runs: bool = False
    """Whether it is meant to run."""


class World:
    def __init__(self, plan: Plan, parts: Parts, *, keep_trace: bool) -> None:
        self.plan, self._parts = plan, parts
        self._keep_trace = keep_trace
        self.trace: list[str] = []
        self.loop = SimLoop()
        self._threads = SimThreads(self.loop)
        self.cluster = Cluster(self.loop, rng_of(plan.seed, "cluster"), self.say)
        self._make_topics()
        self._fanouts = self._group(FANOUT_GROUP, EVENTS, plan.event_partitions)
        self._retriers = self._group(RETRIER_GROUP, NAMES.backlog, plan.partitions)
        self.judge = Judge(self.cluster, FANOUT_GROUP, plan.partitions)
        self.cluster.decided = self.judge.decided
        for log in self.cluster.logs.values():
            log.grown = self.judge.visible
        self.receivers = Receivers(self.loop, rng_of(plan.seed, "receivers"), self.judge)
        self.operator = Operator(plan, self.cluster, self.judge, self.knows)
        self._hosts = {name: _Host(name) for name in plan.starts}
        self._rest = False
        self._next_look = 0.0
        self._published = 0

    # Clock.

    def monotonic(self) -> float:
        return self.loop.time()

    def wall_ms(self) -> int:
        return self.cluster.wall_ms()

    def run(self) -> Found:
        with logging_to(self.say_logged):
            try:
                self.operator.apply_all()
                for name, at in self.plan.starts.items():
                    self.loop.call_at(at, self._start, self._hosts[name])
                for step in self.plan.steps:
                    self.loop.call_at(step.at, self._carry_out, step)
                self.loop.run_world(self._broken, HORIZON_S)
                self._heal()
                self._come_to_rest()
                for key in self.plan.keys:
                    self._publish(key)
                self._come_to_rest()
                self._judge_faults()
                if self.judge.violation is None:
                    self.judge.judge_end()
                return self._found()
            finally:
                self._end()

    def say(self, text: str) -> None:
        if self._keep_trace:
            self.trace.append(f"{self.loop.time():9.4f}  {text}")

    def say_logged(self, event: str, fields: dict[str, Any]) -> None:
        node = HERE.get()
        who = "world" if node is None else node.name
        shown = " ".join(
            f"{key}={value}" for key, value in fields.items() if key not in {"seconds", "level"}
        )
        self.say(f"{who}: {event} {shown}".rstrip())

    def knows(self, offset: int) -> bool:
        """Whether every fan-out that runs has read the config topic past this offset."""
        config = [
            cast("SimConfigTopic", host.around.config)
            for host in self._hosts.values()
            if host.name in FANOUTS and host.around is not None
        ]
        return all(one.position > offset for one in config)

    # Processes.

    def _start(self, host: _Host) -> None:
        if host.around is not None:
            return
        host.runs = True
        host.starts += 1
        node = Node(f"{host.name}.{host.starts}", self.loop)
        fanout = host.name in FANOUTS

        def wire(purpose: str) -> Wire:
            return Wire(node, self.cluster, rng_of(self.plan.seed, node.name, purpose))

        around = host.around = Around(
            node=node,
            wire=wire,
            threads=self._threads,
            clock=self,
            engine=self.receivers,
            judge=self.judge,
            group=self._fanouts if fanout else self._retriers,
            partitions=self.plan.partitions,
            instance=host.name if self.plan.static else "",
            config=SimConfigTopic(wire("config"), NAMES.subscriptions),
            parts=self._parts,
            spool=host.spool,
            flaws=host.flaws,
            stop=asyncio.Event(),
        )
        host.flaws.told = lambda: self.judge.excuse(node)
        node.on_death.append(lambda: self._died(host, around))
        self.say(f"{node.name}: starts")
        node.run(lambda: self._run(host, around, run_fanout if fanout else run_retrier))

    def _run(self, host: _Host, around: Around, run: Callable[[Around], Any]) -> None:
        task = self.loop.create_task(run(around))
        task.add_done_callback(lambda done: self._ended(host, around, done))

    def _ended(self, host: _Host, around: Around, task: asyncio.Task[None]) -> None:
        """The process has ended by itself, as asked or not."""
        error = None if task.cancelled() else task.exception()
        if isinstance(error, KilledError):
            return
        if error is not None:
            self.loop.faults.append((around.node, {"exception": error}))
        if around.ended:
            self.say(f"{around.node.name}: ends: {around.ended}")
            self._judge_reason(around)
        around.node.kill()

    def _died(self, host: _Host, around: Around) -> None:
        self.say(f"{around.node.name}: is gone")
        self.judge.excuse(around.node)
        if host.around is around:
            host.around = None
            if host.runs:
                self.loop.at_large(_BACK_S, lambda: self._start(host))

    def _judge_reason(self, around: Around) -> None:
        allowed = ("did not answer", "fenced", "was cut off", "in time")
        if not any(word in around.ended for word in allowed):
            said = f"{around.node.name} ended: {around.ended}"
            self.judge.violation = self.judge.violation or Violation("fault", said)

    def _back_after(self, host: _Host, seconds: float) -> None:
        def back() -> None:
            host.runs = True
            self._start(host)

        self.loop.at_large(seconds, back)

    # Steps.

    def _carry_out(self, step: Step) -> None:
        self.say(f"== {str(step).strip()}")
        arguments = cast("tuple[Any, ...]", step.arguments)
        match step.do:
            case Do.PUBLISH:
                for _ in range(arguments[1]):
                    self._publish(arguments[0])
            case Do.PUBLISH_ABORTED:
                self._publish_aborted(arguments[0])
            case Do.KAFKA_AWAY:
                self.cluster.go_away(arguments[0])
            case Do.SLOW_MARKERS:
                self.cluster.slow_markers_until = self.loop.time() + arguments[0]
            case Do.REBALANCE:
                (self._fanouts if arguments[0] == "fanout" else self._retriers).turn()
            case Do.SICKEN:
                sickness: Sickness = arguments[1]
                self.receivers.sicken(arguments[0], sickness, arguments[2])
            case Do.COMPACT:
                self.cluster.compact(f"{NAMES.prefix}.{arguments[0]}")
            case Do.EDIT:
                self.operator.edit(*arguments)
            case _:
                self._to_process(step.do, *arguments)

    def _to_process(self, do: Do, name: str, *arguments: Any) -> None:
        host = self._hosts.get(name)
        if host is None or host.around is None:
            return
        around, node = host.around, host.around.node
        match do:
            case Do.KILL:
                self._kill(host, *arguments)
            case Do.KILL_WITHIN:
                calls, back, without_spool = arguments
                node.deaths_door = calls
                node.on_death.insert(0, lambda: self._killed(host, back, without=without_spool))
            case Do.STOP:
                host.runs = False
                node.run(around.stop.set)
                self._back_after(host, arguments[0] + 0.5)
            case Do.FREEZE:
                self._freeze(node, arguments[0])
            case Do.FREEZE_WITHIN:
                calls, seconds = arguments
                node.sleeps_at = calls
                node.on_sleep = lambda: self._freeze(node, seconds)
            case Do.CUT_OFF:
                node.cut_until = max(node.cut_until, self.loop.time() + arguments[0])
                self.judge.excuse(node)
            case Do.STICK if around.member is not None:
                around.member.stuck_until = self.loop.time() + arguments[0]
                node.dazed_until = around.member.stuck_until + DAZED_S
            case Do.FLAW:
                host.flaws.coming.append(arguments[0])
            case _:
                pass

    def _freeze(self, node: Node, seconds: float) -> None:
        self.say(f"{node.name}: is frozen")
        self.judge.excuse(node)
        node.freeze()
        self.loop.at_large(seconds, lambda: self._thaw(node))

    def _thaw(self, node: Node) -> None:
        if node.frozen:
            self.say(f"{node.name}: thaws")
            node.thaw()

    def _kill(self, host: _Host, back: float, without_spool: bool) -> None:
        assert host.around is not None
        self._killed(host, back, without=without_spool)
        host.around.node.kill()

    def _killed(self, host: _Host, back: float, *, without: bool) -> None:
        host.runs = False
        if without:
            host.spool = MemorySpool()
        self._back_after(host, back)

    def _publish(self, key: str | None) -> None:
        self._published += 1
        partition = 0 if key is None else sum(key.encode()) % self.plan.event_partitions
        log = self.cluster.log(EVENTS, partition)
        wanted = self.operator.wanting()
        # Before it is there, so that nobody gets it unawares.
        self.judge.published(partition, log.end, key, wanted)
        value = json.dumps({"n": self._published}).encode()
        offset = log.append(None if key is None else key.encode(), value, self.wall_ms())
        self.say(f"event {offset} of partition {partition}, key {key}")

    def _publish_aborted(self, key: str | None) -> None:
        log = self.cluster.log(EVENTS, 0)
        batch = log.begin()
        log.append(None if key is None else key.encode(), b"{}", self.wall_ms(), batch)
        self.loop.at_large(0.2, lambda: log.mark(batch, Ending.ABORTED, self.wall_ms()))

    # The end.

    def _heal(self) -> None:
        self.say("== everything is healed")
        self.receivers.heal()
        self.cluster.slow_markers_until = 0.0
        self.operator.heal()
        for host in self._hosts.values():
            host.flaws.coming.clear()
            if host.around is not None:
                node = host.around.node
                node.cut_until, node.deaths_door, node.sleeps_at = 0.0, None, None
                self._thaw(node)

    def _broken(self) -> bool:
        if self.loop.steps > _MOST_STEPS and self.judge.violation is None:
            self.judge.violation = Violation("dead end", "it turns in a circle")
        return self.judge.violation is not None or bool(self.loop.faults)

    def _come_to_rest(self) -> None:
        if self._broken():
            return
        self._rest = False
        self.loop.call_later(_LOOK_S, self._look)
        deadline = self.loop.time() + _SETTLES_S
        if not self.loop.run_world(lambda: self._rest or self._broken(), deadline):
            self.judge.violation = Violation("dead end", "; ".join(self._unrest()))

    def _look(self) -> None:
        self.operator.tend()
        self._rest = not self._unrest()
        self.loop.call_later(_LOOK_S, self._look)

    def _unrest(self) -> list[str]:
        processes = {name: host.around for name, host in self._hosts.items()}
        return unrest(self.cluster, self._fanouts, processes)

    def _judge_faults(self) -> None:
        for node, context in self.loop.faults:
            who = "world" if node is None else node.name
            said = f"{who}: {context.get('message')}: {context.get('exception')!r}"
            self.judge.violation = self.judge.violation or Violation("fault", said)

    def _found(self) -> Found:
        return Found(
            self.plan,
            self.judge.violation,
            self.trace,
            self.judge.starts,
            self.loop.steps,
            self.loop.time(),
        )

    def _end(self) -> None:
        keep, self._keep_trace = self._keep_trace, False
        for host in self._hosts.values():
            host.runs = False
            if host.around is not None:
                host.around.node.kill()
        self.loop.close()
        self._keep_trace = keep

    def _make_topics(self) -> None:
        plan = self.plan
        self.cluster.make_topic(EVENTS, plan.event_partitions)
        for name in NAMES.all(TIERS):
            self.cluster.make_topic(name, 1 if name == NAMES.subscriptions else plan.partitions)

    def _group(self, name: str, topic: str, partitions: int) -> Group:
        group = Group(
            name,
            self.loop,
            rng_of(self.plan.seed, name),
            SESSION_S,
            tuple((topic, number) for number in range(partitions)),
            self._left,
        )
        self.cluster.groups[name] = group
        return group

    def _left(self, member: str) -> None:
        for host in self._hosts.values():
            around = host.around
            if around is not None and around.member is not None and around.member.member == member:
                self.say(f"{around.node.name}: is cut off by its group")
                self.judge.cut_off(around.node)


def run(plan: Plan, parts: Parts | None = None, *, keep_trace: bool = False) -> Found:
    """One plan, from its start to its end."""
    return World(plan, Product() if parts is None else parts, keep_trace=keep_trace).run()
