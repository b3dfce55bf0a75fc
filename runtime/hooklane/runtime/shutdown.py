"""How a service is told to end: the first signal asks, the second one ends it at once."""

import asyncio
import faulthandler
import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import structlog

from hooklane.runtime.errors import HooklaneError, said_of

log = structlog.get_logger()

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Shutdown:
    """Whether the service has been asked to end.

    Made in the running event loop, in the main thread.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._asked = asyncio.Event()
        self.by: signal.Signals | None = None
        """The signal that asked."""

    @property
    def requested(self) -> bool:
        return self._asked.is_set()

    def request(self) -> None:
        """Ask from within the service. To be called in its event loop."""
        self._asked.set()

    async def wait(self) -> None:
        """Until somebody asks."""
        await self._asked.wait()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.by is not None:
            # Not by the signal's default action: as process 1 of a container there is none.
            os.write(2, b"Second signal: ending at once.\n")
            os._exit(128 + number)
        self.by = signal.Signals(number)
        self._loop.call_soon_threadsafe(self._asked.set)


def end_on_faults(failed: Callable[[str], None]) -> None:
    """A fault in a callback of the running event loop ends the service.

    What was half done is not known then; from what is in Kafka a new process begins with a whole
    picture.
    """

    def tell(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        log.error("fault in the event loop", message=context.get("message"), exc_info=error)
        if error is not None:
            failed(said_of(error))

    asyncio.get_running_loop().set_exception_handler(tell)


async def until_asked_or_failed(
    shutdown: Shutdown, failure: asyncio.Future[str], following: asyncio.Future[None]
) -> None:
    """Until somebody asks the service to end, or it cannot go on.

    `failure`: why the service stopped; `following` ends when the subscriptions are not followed.

    Raises:
        HooklaneError: it cannot go on.
    """
    asked = asyncio.create_task(shutdown.wait())
    await asyncio.wait((asked, failure, following), return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if failure.done():
        raise HooklaneError(failure.result())
    if following.done():
        raise HooklaneError(f"The subscriptions cannot be followed: {following.exception()}.")


async def until_one_ends(*acts: Coroutine[Any, Any, object]) -> None:
    """Carry all of these out until one ends, and cancel the others; what it raised is raised.

    Of several that ended at once the first one counts.
    """
    tasks = [asyncio.create_task(act) for act in acts]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        ended = next(task for task in tasks if task.done())
        ended.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def shutdown_signals() -> Iterator[Shutdown]:
    """SIGTERM and SIGINT ask the service to end while this is open.

    A second one, of either kind, ends the process with 128 + its number (143, 130). SIGUSR1 writes
    what each thread is doing to stderr, for when a service does not end.
    """
    shutdown = Shutdown()
    faulthandler.register(signal.SIGUSR1, file=2)
    # signal.signal rather than the loop's own: it acts also while the loop is kept busy.
    before = {number: signal.signal(number, shutdown._on_signal) for number in SIGNALS}  # noqa: SLF001
    try:
        yield shutdown
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
