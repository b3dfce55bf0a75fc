"""An event loop whose time is the simulation's, and processes that freeze and die in it.

Everything that runs belongs to a `Node`, a process of the simulated machines, or to the world
around them. Which one is told by a context variable, so that tasks, timers and threads inherit it:
what belongs to a frozen node waits until it thaws, what belongs to a dead one never runs.
"""

import asyncio
import heapq
import inspect
from asyncio import events
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

HERE: ContextVar["Node | None"] = ContextVar("node", default=None)
"""Whose code runs now; None: the world's."""


DAZED_S = 0.6
"""Longer than a fence takes to open after a gap (`hooklane.runtime.fence.SETTLES_S`)."""


class KilledError(BaseException):
    """Unwinds what a process was just doing when it was killed."""


class Node:
    """One start of one process, until it has died.

    `deaths_door`: it dies at the write or attempt that brings this to zero, in the middle of what
    it is doing. `sleeps_at`: it is frozen right behind that one, by `on_sleep`.
    """

    def __init__(self, name: str, loop: "SimLoop") -> None:
        self.name = name
        self.loop = loop
        self.dead = False
        self.frozen = False
        self.dazed_until = 0.0
        """Its fence may be closed until then: it writes nothing, also not for a revocation."""
        self.deaths_door: int | None = None
        self.sleeps_at: int | None = None
        self.on_sleep: Callable[[], None] | None = None
        self.cut_until = 0.0
        """Kafka does not hear it, nor it Kafka, before this time."""
        self.on_death: list[Callable[[], None]] = []
        self._held: list[asyncio.Handle] = []
        self.context = copy_context()
        self.context.run(HERE.set, self)

    def run(self, call: Callable[[], None]) -> None:
        """As its own code, from now on."""
        self.loop.call_soon(call, context=self.context.copy())

    def hold(self, handle: asyncio.Handle) -> None:
        self._held.append(handle)

    def freeze(self) -> None:
        self.frozen = True

    def thaw(self) -> None:
        self.frozen = False
        self.dazed_until = self.loop.time() + DAZED_S
        held, self._held = self._held, []
        for handle in held:
            self.loop.again(handle, self)

    def kill(self) -> None:
        """It is gone between two of its steps, or within one if its own code calls this."""
        if not self.dead:
            self.dead, self.frozen = True, False
            self._held.clear()
            for call in self.on_death:
                call()

    def outside(self) -> None:
        """To be called at the beginning of whatever it asks of the outside.

        Raises:
            KilledError: it is dead.
        """
        if self.dead:
            raise KilledError

    def acts(self) -> None:
        """The same, at whatever others can see.

        Raises:
            KilledError: it has just died of it, or was dead already.
        """
        if self.deaths_door is not None and not self.dead:
            self.deaths_door -= 1
            if self.deaths_door <= 0:
                self.kill()
        if self.sleeps_at is not None and not self.dead:
            self.sleeps_at -= 1
            if self.sleeps_at <= 0 and self.on_sleep is not None:
                self.sleeps_at = None
                self.on_sleep()
        self.outside()


def here() -> Node:
    """The node whose code this is."""
    node = HERE.get()
    assert node is not None, "only a node's code may call this"
    return node


class SimLoop(asyncio.BaseEventLoop):
    """Runs handles by (time, order). Nothing is ever waited for: time jumps to the next handle.

    `executor` runs what is given to a thread. `faults`: exceptions that nobody caught.
    """

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._heap: list[tuple[float, int, asyncio.Handle, Node | None]] = []
        self._count = 0
        self._tasks: list[asyncio.Task[Any]] = []
        self._closed = False
        self.run_blocking: Callable[[Callable[[], Any]], asyncio.Future[Any]] | None = None
        self.faults: list[tuple[Node | None, dict[str, Any]]] = []
        self.steps = 0
        self._in_line: dict[Executor, asyncio.Future[None]] = {}

    def time(self) -> float:
        return self._now

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        context = copy_context() if context is None else context
        handle = asyncio.Handle(callback, args, self, context)
        self._push(self._now, handle, context.get(HERE))
        return handle

    call_soon_threadsafe = call_soon

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        context = copy_context() if context is None else context
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._push(max(when, self._now), handle, context.get(HERE))
        return handle

    def at_large(self, delay: float, call: Callable[[], None]) -> None:
        """What is on its way, whatever becomes of its sender."""
        self.call_later(delay, call, context=Context())

    def again(self, handle: asyncio.Handle, node: Node) -> None:
        """A handle that was held, now."""
        self._push(self._now, handle, node)

    def run_world(self, until: Callable[[], bool], deadline: float) -> bool:
        """Until the condition holds: True; or until the time is up."""
        before = events._get_running_loop()
        events._set_running_loop(self)
        try:
            while self._heap and self._heap[0][0] <= deadline:
                self._run_next()
                if until():
                    return True
            self._now = max(self._now, deadline)
            return until()
        finally:
            events._set_running_loop(before)

    def _run_next(self) -> None:
        when, _, handle, node = heapq.heappop(self._heap)
        self._now = max(self._now, when)
        if handle.cancelled() or (node is not None and node.dead):
            return
        if node is not None and node.frozen:
            node.hold(handle)
            return
        self.steps += 1
        handle._run()

    def _push(self, when: float, handle: asyncio.Handle, node: Node | None) -> None:
        if not self._closed:
            self._count += 1
            heapq.heappush(self._heap, (when, self._count, handle, node))

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=self, **options)
        # Those of a process that dies stay in the middle, and nobody may hear of their end.
        self._tasks.append(task)
        return task

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        assert self.run_blocking is not None
        if executor is None:
            return self.run_blocking(lambda: func(*args))
        return self._in_turn(executor, lambda: func(*args))

    def _in_turn(self, executor: Executor, call: Callable[[], T]) -> asyncio.Future[T]:
        """Behind what the executor, which has one thread, was given before."""
        assert self.run_blocking is not None
        run, future, ended = self.run_blocking, self.create_future(), self.create_future()

        def begin(_: object = None) -> None:
            if future.cancelled():
                ended.set_result(None)
            else:
                run(call).add_done_callback(end)

        def end(work: asyncio.Future[T]) -> None:
            ended.set_result(None)
            if not future.cancelled():
                error = work.exception()
                if error is None:
                    future.set_result(work.result())
                else:
                    future.set_exception(error)

        before = self._in_line.get(executor)
        self._in_line[executor] = ended
        if before is None or before.done():
            begin()
        else:
            before.add_done_callback(begin)
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not self._closed and not isinstance(error, KilledError):
            self.faults.append((HERE.get(), context))

    def set_exception_handler(self, handler: Any) -> None:
        raise NotImplementedError

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return events._get_running_loop() is self

    def is_closed(self) -> bool:
        return self._closed

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It is passed over when its time comes."""

    def __del__(self) -> None:
        """It holds nothing of the system's that would have to be closed."""

    def close(self) -> None:
        """End what was left in the middle, without a word."""
        self._closed = True
        self._heap.clear()
        for task in self._tasks:
            if not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                question: Any = task.get_coro()
                if inspect.getcoroutinestate(question) == inspect.CORO_CREATED:
                    question.close()
        self._tasks.clear()
