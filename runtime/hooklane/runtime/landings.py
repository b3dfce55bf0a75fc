"""Waits until what is in flight has landed. In the event loop."""

import asyncio
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Landings(Generic[K]):
    """Several may wait for the same at once: a rebalance while the process shuts down."""

    def __init__(self) -> None:
        self._landings: dict[K, asyncio.Future[None]] = {}

    async def wait(self, in_flight: Iterable[K], grace_s: float) -> None:
        """Until all of these have landed, or the grace (seconds) is over."""
        loop = asyncio.get_running_loop()
        landings = [self._landings.setdefault(one, loop.create_future()) for one in in_flight]
        if landings:
            await asyncio.wait(landings, timeout=grace_s)

    def landed(self, one: K) -> None:
        """It has ended, or was cut off."""
        landing = self._landings.pop(one, None)
        if landing is not None and not landing.done():
            landing.set_result(None)
