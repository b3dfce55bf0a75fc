"""Asks receivers whether they want deliveries, once for many of them."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from hooklane.delivery.exchange import Fault, FaultKind, Request, Response
from hooklane.delivery.handshake import Allowed, Standing, asking_headers, judge_handshake
from hooklane.delivery.limits import RateLimits
from hooklane.delivery.request import custom_lines
from hooklane.delivery.way import Handshake

_REMEMBERED: Final = 10_000

Send = Callable[[Request], Awaitable[Response | Fault]]


@dataclass(slots=True)
class _Receiver:
    """One URL, asked for one subscription."""

    standing: Standing | None = None
    asking: asyncio.Task[None] | None = None


class Handshakes:
    """`origin`: the DNS name that we go by; without one nobody can be asked.

    What a receiver allows is told to `limits`, which the gates keep.
    """

    def __init__(
        self, origin: str | None, limits: RateLimits, monotonic: Callable[[], float]
    ) -> None:
        self._origin = origin
        self._limits = limits
        self._monotonic = monotonic
        self._receivers: OrderedDict[tuple[str, Handshake], _Receiver] = OrderedDict()

    async def fault(self, request: Request, handshake: Handshake, send: Send) -> Fault | None:
        """Why `request` may not be sent; asks the receiver first where that is due.

        `send`: carries the question, with the credentials that deliveries have (section 4.1).
        """
        if self._origin is None:
            detail = "`delivery.handshake` needs HOOKLANE_DELIVERY__ORIGIN: set it to your DNS name"
            return Fault(FaultKind.SETUP, detail)
        receiver = self._receiver(request.url, handshake)
        standing = receiver.standing
        if standing is None or not standing.holds(self._monotonic()):
            if receiver.asking is None:
                asking = self._ask(receiver, request, handshake, send, self._origin)
                receiver.asking = asyncio.create_task(asking)
            # Who waits may be cut off; the others go on waiting for the same answer.
            await asyncio.shield(receiver.asking)
            standing = receiver.standing
            if standing is not None and isinstance(standing.answer, Allowed):
                await self._in_pace(handshake)
        answer = None if standing is None else standing.answer
        return answer if isinstance(answer, Fault) else None

    async def close(self) -> None:
        """Ask nothing more."""
        tasks = [one.asking for one in self._receivers.values() if one.asking is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _in_pace(self, handshake: Handshake) -> None:
        """Those who waited began before a rate was granted: they go one after the other."""
        name = handshake.subscription
        limit = self._limits.limit(name, handshake.rate)
        if limit is None or limit == handshake.rate:
            return
        wait_s = self._limits.wait_s(name, limit, self._monotonic())
        self._limits.start(name, limit, self._monotonic())
        await asyncio.sleep(wait_s)

    async def _ask(
        self,
        receiver: _Receiver,
        request: Request,
        handshake: Handshake,
        send: Send,
        origin: str,
    ) -> None:
        try:
            asking = map(": ".join, asking_headers(origin, handshake.rate))
            lines = (*asking, *custom_lines({}))
            asked = replace(request, method="OPTIONS", lines=lines, body=b"")
            answer = judge_handshake(await send(asked), origin, handshake.rate)
            if isinstance(answer, Allowed):
                self._limits.grant(handshake.subscription, answer.rate)
            receiver.standing = Standing(answer, self._monotonic())
        finally:
            receiver.asking = None

    def _receiver(self, url: str, handshake: Handshake) -> _Receiver:
        key = (url, handshake)
        receiver = self._receivers.get(key)
        if receiver is None:
            receiver = self._receivers[key] = _Receiver()
            if len(self._receivers) > _REMEMBERED:
                idle = (one for one, of in self._receivers.items() if of.asking is None)
                del self._receivers[next(idle)]
        return receiver
