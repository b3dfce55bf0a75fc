"""Threads that take turns with the event loop: one of all runs at any time, in a fixed order.

A thread runs until it blocks in `sleep` or `Signal.wait`; then the loop goes on, and takes the
thread up again when its time has come. So a service's blocking code runs as it is, and the same
seed gives the same order.
"""

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any, TypeVar

from tests.simulation.loop import KilledError, Node, SimLoop, here

T = TypeVar("T")

_OF_THREAD = threading.local()


class _Worker:
    """An operating system's thread, used again and again."""

    def __init__(self) -> None:
        self._go, self._back = threading.Lock(), threading.Lock()
        self._go.acquire()
        self._back.acquire()
        self._job: Callable[[], None] | None = None
        self._killed = False
        threading.Thread(target=self._run, daemon=True).start()

    def begin(self, job: Callable[[], None]) -> None:
        self._job, self._killed = job, False

    def step(self) -> None:
        """From the loop: let it run until it blocks or ends."""
        self._go.release()
        self._back.acquire()

    def block(self) -> None:
        """From the thread: let the loop run.

        Raises:
            KilledError: its process has died meanwhile.
        """
        self._back.release()
        self._go.acquire()
        if self._killed:
            raise KilledError

    def unwind(self) -> None:
        self._killed = True
        self.step()

    def _run(self) -> None:
        _OF_THREAD.worker = self
        while True:
            self._go.acquire()
            job, self._job = self._job, None
            if job is not None:
                job()
            self._back.release()


_IDLE: list[_Worker] = []


class _Thread:
    """A thread of a node. `join` blocks the calling one."""

    def __init__(self, node: Node, target: Callable[[], Any], ended: Callable[[Any], None]) -> None:
        self._node, self._target, self._ended = node, target, ended
        self._worker = _IDLE.pop() if _IDLE else _Worker()
        self._running = True
        self._done = Signal(node.loop)
        context = node.context.copy()
        self._worker.begin(lambda: context.run(self._run))
        node.on_death.append(self._die)

    def step(self) -> None:
        if self._running:
            self._worker.step()
            self._rest()

    def is_alive(self) -> bool:
        return self._running

    def join(self) -> None:
        while self._running:
            self._done.wait(None)

    def _run(self) -> None:
        _OF_THREAD.thread = self
        result: Any = None
        error: BaseException | None = None
        try:
            result = self._target()
        except BaseException as caught:  # noqa: BLE001 - told to whoever waits
            error = caught
        self._running = False
        _OF_THREAD.thread = None
        if not isinstance(error, KilledError):
            self._ended((result, error))
            self._done.set()

    def _die(self) -> None:
        if self._running and getattr(_OF_THREAD, "thread", None) is not self:
            self._worker.unwind()
            self._rest()

    def _rest(self) -> None:
        if not self._running:
            _IDLE.append(self._worker)


class Signal:
    """What a thread waits for. Setting it wakes all that wait now, each in its own node."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop
        self._waiting: list[Callable[[], None]] = []

    def set(self) -> None:
        waiting, self._waiting = self._waiting, []
        for wake in waiting:
            wake()

    def wait(self, timeout_s: float | None) -> None:
        """In a thread: until it is set, or the time is up."""
        node, thread = here(), _OF_THREAD.thread
        node.outside()
        woken = False

        def step() -> None:
            nonlocal woken
            if not woken:
                woken = True
                thread.step()

        def wake() -> None:
            self._loop.call_soon(step, context=node.context.copy())

        self._waiting.append(wake)
        if timeout_s is not None:
            self._loop.call_later(timeout_s, step, context=node.context.copy())
        thread._worker.block()
        if wake in self._waiting:
            self._waiting.remove(wake)


def sleep(loop: SimLoop, seconds: float) -> None:
    """In a thread."""
    node, thread = here(), _OF_THREAD.thread
    node.outside()
    loop.call_later(seconds, thread.step, context=node.context.copy())
    thread._worker.block()


class SimThreads:
    """`hooklane.runtime.threads.Threads`, and what `run_in_executor` does."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop
        loop.run_blocking = self.run_blocking

    def start(self, target: Callable[[], None], name: str) -> _Thread:
        node = here()
        thread = _Thread(node, target, lambda end: self._ended(node, name, end))
        self._loop.call_soon(thread.step, context=node.context.copy())
        return thread

    def ask(
        self, question: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop, timeout_s: float
    ) -> T:
        done = Signal(self._loop)
        work = asyncio.run_coroutine_threadsafe(question, loop)
        work.add_done_callback(lambda _: done.set())
        try:
            if not work.done():
                done.wait(timeout_s)
        except KilledError:
            if inspect.getcoroutinestate(question) == inspect.CORO_CREATED:
                question.close()
            raise
        if not work.done():
            work.cancel()
            raise TimeoutError
        return work.result(0)

    def run_blocking(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """In a thread of the node that calls."""
        node, future = here(), self._loop.create_future()
        context = copy_context()

        def ended(end: tuple[Any, BaseException | None]) -> None:
            def tell() -> None:
                result, error = end
                if future.done():
                    return
                if error is None:
                    future.set_result(result)
                else:
                    future.set_exception(error)

            self._loop.call_soon(tell, context=context)

        thread = _Thread(node, call, ended)
        self._loop.call_soon(thread.step, context=node.context.copy())
        return future

    def _ended(self, node: Node, name: str, end: tuple[Any, BaseException | None]) -> None:
        if end[1] is not None:
            self._loop.faults.append((node, {"message": name, "exception": end[1]}))
