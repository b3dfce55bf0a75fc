"""Calls of plugins, so that whatever one does fails what it was asked for and nothing else.

Each is made in a thread that the plugin's calls share, and has a time limit. Python cannot end a
thread: a call that is not back by then is left behind, and what was made of the same options is
not asked again before it is. An exception becomes a `PluginError`, which names the plugin; its own
text goes to the log alone, since it may hold a secret or an event, unless the plugin means it to be
read.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

import structlog

from hooklane.runtime.threads import SomeThreads
from hooklane.schemas.plugged import PluginError, PluginRefusal
from hooklane.schemas.plugin import EventRefused, PluginFailure

log = structlog.get_logger(__name__)

T = TypeVar("T")

MOST_THREADS: Final = 16
"""Calls of one plugin at once."""
_SLICES: Final = 10
_SAID_EVERY_S: Final = 60.0
_LONGEST_SAID: Final = 200


class Guard:
    """One object of a plugin. `key`: equal ones are of the same plugin and options; `title` names
    it in sentences; `function` is the one method of its protocol."""

    __slots__ = ("_function", "_key", "_left_behind", "_limit_s", "_said_at", "_threads", "title")

    def __init__(
        self,
        title: str,
        key: tuple[object, ...],
        function: Callable[..., object],
        threads: SomeThreads,
        limit_s: float,
    ) -> None:
        self.title = title
        self._key = key
        self._function = function
        self._threads = threads
        self._limit_s = limit_s
        self._left_behind: Future[Any] | None = None
        self._said_at = float("-inf")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Guard) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def ask(self, read: Callable[[object], T], *arguments: object) -> T:
        """The answer, as `read` takes it; the caller waits.

        The limit is counted in pieces, so that a process that was stopped for a while, or a machine
        that was, is not taken for a plugin that hangs.

        Raises:
            PluginError: there is none.
        """
        call = self._begun(read, arguments)
        for _ in range(_SLICES):
            try:
                return call.result(self._limit_s / _SLICES)
            except TimeoutError:
                continue
        raise self._late(call)

    async def answer(self, read: Callable[[object], T], *arguments: object) -> T:
        """The same without holding up the event loop.

        Raises:
            PluginError: there is none.
        """
        call = self._begun(read, arguments)
        waiting = asyncio.wrap_future(call)
        try:
            done, _ = await asyncio.wait((waiting,), timeout=self._limit_s)
        except asyncio.CancelledError:
            # Else asyncio complains of an outcome that nobody has looked at.
            waiting.cancel()
            raise
        if not done:
            error = self._late(call)
            waiting.cancel()
            raise error
        return waiting.result()

    def _begun(self, read: Callable[[object], T], arguments: tuple[object, ...]) -> "Future[T]":
        if self._left_behind is not None and not self._left_behind.done():
            raise PluginError(
                f"{self.title} is not asked: it has not come back from an earlier call"
            )
        return self._threads.submit(self._called, read, arguments)

    def _late(self, call: "Future[T]") -> PluginError:
        if call.cancel():
            return PluginError(f"{self.title} is not asked: all of its threads are busy")
        self._left_behind = call
        return PluginError(f"{self.title} has not answered within {self._limit_s:g} s")

    def _called(self, read: Callable[[object], T], arguments: tuple[object, ...]) -> T:
        """In the plugin's thread."""
        try:
            found = self._function(*arguments)
        except EventRefused as error:
            raise PluginRefusal(f"{self.title} refuses the event: {one_line(error)}") from None
        except PluginFailure as error:
            raise PluginError(f"{self.title} failed: {one_line(error)}") from None
        except BaseException as error:  # noqa: BLE001 - also what would end the thread
            raise self._fault(error) from None
        try:
            return read(found)
        except ValueError as error:
            raise PluginError(f"{self.title} gave nothing of use: {one_line(error)}") from None
        except BaseException as error:  # noqa: BLE001 - an answer that is read may be the plugin's code
            raise self._fault(error) from None

    def _fault(self, error: BaseException) -> PluginError:
        now = time.monotonic()
        if now - self._said_at > _SAID_EVERY_S:
            self._said_at = now
            log.warning("plugin.failed", plugin=self.title, exc_info=error)
        return PluginError(f"{self.title} failed: {type(error).__name__}, see the log")


def one_line(error: BaseException) -> str:
    """An exception's text for a sentence."""
    text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return text if len(text) <= _LONGEST_SAID else text[: _LONGEST_SAID - 3] + "..."
