"""Threads as the services begin them, as a port: a simulation runs them in an order of its own."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future
from queue import Empty, SimpleQueue
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


class SomeThreads(Executor):
    """Carries out calls on up to `most` threads, for which the process does not wait.

    The standard library's executors are waited for at the end of a process, also when a call of a
    foreign library never comes back.
    """

    def __init__(self, name: str, most: int) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._name = name
        self._most = most
        self._idle = threading.Semaphore(0)
        self._lock = threading.Lock()
        self.threads: list[threading.Thread] = []

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
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
        with self._lock:
            if not self._idle.acquire(blocking=False) and len(self.threads) < self._most:
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self.threads.append(thread)
                thread.start()
        return future

    def _run(self) -> None:
        while (call := self._next()) is not None:
            call()
            # What it held is not held until the next one comes.
            del call

    def _next(self) -> Callable[[], None] | None:
        try:
            return self._calls.get_nowait()
        except Empty:
            self._idle.release()
            return self._calls.get()


class OneThread(SomeThreads):
    """Carries out one call after the other."""

    def __init__(self, name: str) -> None:
        super().__init__(name, 1)

    def end(self, seconds: float) -> bool:
        """Take no more, and wait for what was taken; whether it came to its end."""
        self._calls.put(None)
        for thread in self.threads:
            thread.join(seconds)
        return not any(thread.is_alive() for thread in self.threads)
