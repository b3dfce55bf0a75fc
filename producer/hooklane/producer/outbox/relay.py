"""The relay: takes rows out of the table, in order, and makes events of them.

What gives the order of a queue is this, in this order: a relay *locks* a bucket in its session;
its producer, whose transactional id is the bucket's, *fences* every earlier one, so that nothing of
an earlier owner can come to Kafka from then on; it *reads* the bucket's rows in that same session,
which has the lock still; *publishes* them in one transaction; and *marks* them in that session.

A session that was lost takes its locks along: the relay begins anew, and may not publish before it
has done all of that again. Nor does it mark then what it had published: another relay may be in the
middle of repeating it, and the repeat would stop before the newest row.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from hooklane.producer.outbox.errors import OutboxError, SessionLostError
from hooklane.producer.outbox.layout import Layout
from hooklane.producer.outbox.ports import Pace, Session, Told
from hooklane.producer.outbox.tenure import OpenPublisher, Tenure

_log = logging.getLogger("hooklane.producer")

_AGAIN_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_LASTED_S: Final = 30.0
"""After a session that has lasted so long the waits begin anew."""


class Relay:
    """One process' part of the work."""

    def __init__(
        self,
        layout: Layout,
        pace: Pace,
        open_session: Callable[[], Awaitable[Session]],
        open_publisher: OpenPublisher,
        told: Told,
    ) -> None:
        self._layout = layout
        self._pace = pace
        self._open_session = open_session
        self._open_publisher = open_publisher
        self._told = told
        self._wake = asyncio.Event()
        self._stopping = False

    def wake(self) -> None:
        """There may be rows."""
        self._wake.set()

    def stop(self) -> None:
        """Take nothing more; `run` ends once what is on its way is marked."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Until `stop`. Who is away is waited for.

        Raises:
            UnusableTableError, UnusableAccessError: at the beginning; later they are waited for.
        """
        lost = 0
        began = False
        while not self._stopping:
            at = _now()
            try:
                session = await self._open_session()
                began = True
                await self._work(session)
            except OutboxError as error:
                if not began and not isinstance(error, SessionLostError):
                    raise
                _log.warning("the outbox is not to be had for now: %s", error)
                self._told.connected(False)
                if _now() - at > _LASTED_S:
                    lost = 0
                await self._pause(_AGAIN_S[min(lost, len(_AGAIN_S) - 1)])
                lost += 1

    async def _work(self, session: Session) -> None:
        tenure = Tenure(
            session,
            self._layout,
            self._pace,
            self._open_publisher,
            self._told,
            self._wake,
            lambda: self._stopping,
        )
        try:
            self._told.connected(True)
            await tenure.work()
        finally:
            await tenure.end()
            await session.close()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not self._stopping:
                    self._wake.clear()
                    await self._wake.wait()
        except TimeoutError:
            pass


def _now() -> float:
    """Monotonic seconds, of the event loop, so that a simulation can bring its own."""
    return asyncio.get_running_loop().time()
