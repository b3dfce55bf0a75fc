"""Threads as the services begin them, as a port: a simulation runs them in an order of its own."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from typing import Any, ParamSpec, Protocol, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


class Started(Protocol):
    """A thread that has begun."""

    def is_alive(self) -> bool: ...
    def join(self) -> None: ...


class Threads(Protocol):
    """What begins threads, and what waits in them for the event loop."""

    def start(self, target: Callable[[], None], name: str) -> Started:
        """Run `target` beside the event loop; it does not keep the process from ending."""

    def ask(
        self, question: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop, timeout_s: float
    ) -> T:
        """In a thread: the event loop's answer.

        Raises:
            TimeoutError: it took too long, and the question was cancelled.
        """


class SystemThreads:
    """The machine's own."""

    def start(self, target: Callable[[], None], name: str) -> Started:
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        return thread

    def ask(
        self, question: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop, timeout_s: float
    ) -> T:
        work = asyncio.run_coroutine_threadsafe(question, loop)
        try:
            return work.result(timeout_s)
        except TimeoutError:
            work.cancel()
            raise


SYSTEM_THREADS = SystemThreads()


class OneThread(Executor):
    """Carries out one call after the other on one thread, for which the process does not wait.

    The standard library's executors are waited for at the end of a process, also when a call of a
    foreign library never comes back.
    """

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        if not self._thread.is_alive():
            self._thread.start()
        future: Future[T] = Future()

        def call() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    result = fn(*args, **kwargs)
                except BaseException as error:  # noqa: BLE001 - told to whoever waits
                    future.set_exception(error)
                else:
                    future.set_result(result)

        self._calls.put(call)
        return future

    def end(self, seconds: float) -> bool:
        """Take no more, and wait for what was taken; whether it came to its end."""
        self._calls.put(None)
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
