"""Between the callbacks of engines and coroutines, in both directions."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from hooklane.delivery.exchange import Done, Engine, Fault, FaultKind, Request, Response

log = structlog.get_logger(__name__)

Work = Coroutine[Any, Any, Response | Fault]


class Tasked:
    """An exchange that a task carries; a `Running`."""

    __slots__ = ("_cancelled", "_done", "task")

    def __init__(self, task: asyncio.Task[Response | Fault], done: Done) -> None:
        self.task = task
        self._cancelled = False
        self._done = done

    def cancel(self) -> None:
        self._cancelled = True
        self.task.cancel()

    def finished(self, task: asyncio.Task[Response | Fault]) -> None:
        # A task that was cancelled from elsewhere (the loop is closing) has nothing to say either.
        if self._cancelled or task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._done(task.result())
            return
        # An exchange leaves nothing half done that others look at, so this one fails alone: raised
        # here it would end the service, and again after each start, for one receiver's odd answer.
        log.error("exchange.error_of_our_own", exc_info=error)
        name = type(error).__name__
        self._done(Fault(FaultKind.SETUP, f"an error of Hooklane's own, {name}: see the log"))


class Tasks:
    """Those that run."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Response | Fault]] = set()

    def start(self, work: Work, done: Done) -> Tasked:
        """`done` gets what `work` returns, unless it is cancelled before."""
        task = asyncio.get_running_loop().create_task(work)
        tasked = Tasked(task, done)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(tasked.finished)
        return tasked

    async def close(self) -> None:
        """Cut off what runs."""
        tasks = tuple(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def exchanged(engine: Engine, request: Request) -> Response | Fault:
    """Run an exchange to its end; cancelled, it is cut off."""
    ended: asyncio.Future[Response | Fault] = asyncio.get_running_loop().create_future()
    running = engine.start(request, ended.set_result)
    try:
        return await ended
    except asyncio.CancelledError:
        running.cancel()
        raise
