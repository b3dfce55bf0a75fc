"""Threads as the services begin them, as a port: a simulation runs them in an order of its own."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


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
