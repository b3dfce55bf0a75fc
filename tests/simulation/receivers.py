"""The receivers and the way to them, as an engine: refused, slow, silent, lost and twice."""

import random
from collections.abc import Callable
from enum import Enum
from typing import Protocol

from hooklane.delivery.exchange import Done, Fault, FaultKind, Request, Response
from tests.simulation.loop import Node, SimLoop, here

_ADDRESS = "203.0.113.1:443"


class Sickness(Enum):
    """How a receiver fails."""

    REFUSES = "refuses connections"
    FAILS = "answers 500"
    SLOW = "answers late"
    SILENT = "does not answer"
    LOSES = "takes it, and its answer is lost"
    FLAKY = "does any of it"
    BUSY = "answers 429"
    REJECTS = "answers 400"
    GONE = "answers 410"


class Told(Protocol):
    """Who hears of every request that reaches a receiver."""

    def under_way(self) -> object:
        """The attempt that is being started."""

    def arrived(self, attempt: object, *, accepted: bool) -> None: ...


class Receivers:
    """All of them, by subscription: a URL is `http://<subscription>.example/<anything>`."""

    def __init__(self, loop: SimLoop, rng: random.Random, judge: Told) -> None:
        self._loop, self._rng, self._judge = loop, rng, judge
        self._sick: dict[str, tuple[Sickness, float]] = {}
        self.healthy = False
        """From the end of the faults on nothing goes wrong."""

    def sicken(self, subscription: str, sickness: Sickness, seconds: float) -> None:
        self._sick[subscription] = (sickness, self._loop.time() + seconds)

    def heal(self) -> None:
        self._sick.clear()
        self.healthy = True

    def start(self, request: Request, done: Done) -> "_Exchange":
        node = here()
        node.outside()
        exchange = _Exchange(done, node, self._judge.under_way())
        self._at_large(lambda: self._arrive(request, exchange))
        node.loop.call_later(
            request.timeout_s,
            exchange.end,
            Fault(FaultKind.TIMEOUT, "no answer in time"),
            context=node.context.copy(),
        )
        return exchange

    async def close(self) -> None:
        """Nothing is open."""

    def _arrive(self, request: Request, exchange: "_Exchange") -> None:
        if exchange.ended and self._rng.random() < 0.5:
            return
        subscription = request.url.removeprefix("http://").partition(".")[0]
        match self._health(subscription):
            case None:
                self._accept(exchange)
                if not self.healthy and self._rng.random() < 0.02:
                    self._judge.arrived(exchange.attempt, accepted=True)
            case Sickness.REFUSES:
                self._answer(exchange, Fault(FaultKind.CONNECTION_REFUSED, "refused"))
            case Sickness.SLOW:
                self._accept(exchange, self._rng.uniform(0.3, 2.5))
            case Sickness.SILENT:
                pass
            case Sickness.LOSES:
                self._judge.arrived(exchange.attempt, accepted=True)
                self._answer(exchange, Fault(FaultKind.RESET, "reset"))
            case sickness:
                self._reject(exchange, sickness)

    def _health(self, subscription: str) -> Sickness | None:
        sickness, until = self._sick.get(subscription, (None, 0.0))
        if self.healthy:
            return None
        if sickness is Sickness.FLAKY and self._loop.time() < until:
            return self._rng.choice((None, None, Sickness.FAILS, Sickness.LOSES, Sickness.SLOW))
        if sickness is not None and self._loop.time() < until:
            return sickness
        return Sickness.FAILS if self._rng.random() < 0.03 else None

    def _accept(self, exchange: "_Exchange", delay: float | None = None) -> None:
        self._judge.arrived(exchange.attempt, accepted=True)
        self._answer(exchange, Response(204, (), b"", _ADDRESS), delay)

    def _reject(self, exchange: "_Exchange", sickness: Sickness) -> None:
        self._judge.arrived(exchange.attempt, accepted=False)
        status = {Sickness.BUSY: 429, Sickness.REJECTS: 400, Sickness.GONE: 410}.get(sickness, 500)
        headers = (("retry-after", "1"),) if sickness is Sickness.BUSY else ()
        self._answer(exchange, Response(status, headers, b"", _ADDRESS))

    def _answer(
        self, exchange: "_Exchange", result: Response | Fault, delay: float | None = None
    ) -> None:
        after = self._rng.uniform(0.001, 0.02) if delay is None else delay
        context = exchange.node.context.copy()
        self._loop.call_later(after, exchange.end, result, context=context)

    def _at_large(self, call: Callable[[], None]) -> None:
        delay = self._rng.uniform(0.001, 0.02)
        if not self.healthy and self._rng.random() < 0.03:
            delay = self._rng.uniform(0.05, 0.8)
        self._loop.at_large(delay, call)


class _Exchange:
    """One request. `ended`: its sender has given it up, or has its answer."""

    def __init__(self, done: Done, node: Node, attempt: object) -> None:
        self._done = done
        self.node, self.attempt = node, attempt
        self.ended = False

    def cancel(self) -> None:
        self.ended = True

    def end(self, result: Response | Fault) -> None:
        if not self.ended:
            self.ended = True
            self._done(result)
