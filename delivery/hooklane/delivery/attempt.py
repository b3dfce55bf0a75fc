"""One delivery's attempt, from the document in force to its outcome and its record."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from hooklane.delivery import journal
from hooklane.delivery.asked import Asked, Documents
from hooklane.delivery.exchange import Engine, Fault, Response, Running
from hooklane.delivery.outcome import (
    Outcome,
    judge,
    plugin_failed,
    plugin_refused,
    refused,
    setup_failed,
)
from hooklane.delivery.prepare import Stores, prepared
from hooklane.delivery.recorded import SENSITIVE, recorded_headers
from hooklane.delivery.request import AttemptFacts, RefusedError, SetupError, build
from hooklane.delivery.signing import Signer, SigningError, signer
from hooklane.delivery.tracing import PassedOn, Span, Tracing
from hooklane.runtime.clock import Clock
from hooklane.runtime.errors import SecretError
from hooklane.schemas.event import Event
from hooklane.schemas.lane import LaneId
from hooklane.schemas.plugged import PluginError, PluginRefusal
from hooklane.schemas.records import AttemptOutcome, DeliveryAttempt
from hooklane.schemas.subscription import Subscription
from hooklane.schemas.subscription_parts import Ordering

_RECORDED_RESPONSE: Final = 1024
_RECORDED_DETAIL: Final = 500

_log = logging.getLogger(__name__)


class Secrets(Protocol):
    """Where the values behind secret references come from."""

    def resolve(self, reference: str) -> bytes:
        """The secret, as of now; files and keys may have been rotated since the last time.

        Raises:
            SecretError: it is not to be had.
        """


class Delivery(NamedTuple):
    """What is to be attempted, by the document that is in force now.

    `attempt` is this attempt's number, 1 for the first; `run` is empty for live events.
    """

    lane: LaneId
    sequence: int
    webhook_id: str
    run: str
    event: Event
    subscription: Subscription
    attempt: int


class Attempted(NamedTuple):
    """How it ended. The record's `next_ms` is None: only the service knows its retry policy."""

    outcome: Outcome
    record: DeliveryAttempt


class Attempter:
    """Starts attempts. `service` is the word that stands in their records, `redact` the names of
    headers, in lower case, whose values do not; `stores`: of secrets that have to be fetched."""

    def __init__(
        self,
        engine: Engine,
        secrets: Secrets,
        clock: Clock,
        service: str,
        tracing: Tracing | None = None,
        redact: frozenset[str] = SENSITIVE,
        stores: Stores | None = None,
    ) -> None:
        self._engine = engine
        self._secrets = secrets
        self._clock = clock
        self._service = service
        self._tracing = tracing or PassedOn()
        self._redact = redact
        self._stores = stores
        self._asked = Documents()

    def start(self, delivery: Delivery, done: Callable[[Attempted], None]) -> Running:
        """Begin. `done` is called exactly once, from the event loop, never from within `start`;
        after `cancel` not at all.

        A request that cannot be made (a secret that is not to be had, a header that may not be
        set) is a failed attempt with the reason `setup`, or `plugin` where one failed.
        """
        span = self._tracing.begin(delivery)
        under_way = _UnderWay(delivery, done, span, self._clock, self._service, self._redact)
        try:
            asked = self._asked.of(delivery.subscription)
            facts = _facts(delivery, span, under_way.started_ms)
            if asked.takes_time:
                task = asyncio.create_task(self._prepare(asked, delivery, facts, under_way))
                under_way.exchange = _Preparing(task)
                return under_way
            request = build(delivery.event, facts, asked.destination, self._signer(asked))
        except Exception as error:  # noqa: BLE001 - named in the record
            return under_way.fail_soon(_unmade(error, delivery))
        under_way.exchange = self._engine.start(request, under_way.exchanged)
        return under_way

    async def _prepare(
        self, asked: Asked, delivery: Delivery, facts: AttemptFacts, under_way: "_UnderWay"
    ) -> None:
        try:
            request = await prepared(asked, delivery.event, facts, self._secrets, self._stores)
        except Exception as error:  # noqa: BLE001 - as above
            under_way.fail_soon(_unmade(error, delivery))
        else:
            under_way.exchange = self._engine.start(request, under_way.exchanged)

    def _signer(self, asked: Asked) -> Signer | None:
        if asked.scheme is None:
            return None
        return signer(asked.scheme, tuple(map(self._secrets.resolve, asked.secrets)))


def named_lane(lane: LaneId, key: bytes | None, subscription: Subscription) -> str:
    """The lane as the receiver is told it. One that is a single delivery has no order: to name it
    would have receivers remember a lane for each event."""
    return lane if key is not None and subscription.ordering is Ordering.KEY else ""


def _facts(delivery: Delivery, span: Span, started_ms: int) -> AttemptFacts:
    return AttemptFacts(
        delivery.webhook_id,
        delivery.sequence,
        delivery.attempt,
        delivery.run,
        started_ms // 1000,
        span.traceparent,
        span.tracestate,
        named_lane(delivery.lane, delivery.event.key, delivery.subscription),
    )


def _unmade(error: Exception, delivery: Delivery) -> Outcome:
    """Why there is no request. Whatever is wrong with this event or document, others go on."""
    match error:
        case SecretError() | SigningError() | SetupError():
            return setup_failed(str(error))
        case RefusedError():
            return refused(str(error))
        case PluginRefusal():
            return plugin_refused(str(error))
        case PluginError():
            return plugin_failed(str(error))
        case _:
            _log.error("the request of %s cannot be made", delivery.webhook_id, exc_info=error)
            return setup_failed(f"the request cannot be made: {type(error).__name__}")


class _Preparing:
    """A request that is being made; a `Running`."""

    __slots__ = ("_task",)

    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task

    def cancel(self) -> None:
        self._task.cancel()


class _UnderWay:
    """An attempt that has begun."""

    __slots__ = (
        "_clock",
        "_delivery",
        "_done",
        "_redact",
        "_service",
        "_span",
        "_started",
        "exchange",
        "started_ms",
    )

    def __init__(
        self,
        delivery: Delivery,
        done: Callable[[Attempted], None],
        span: Span,
        clock: Clock,
        service: str,
        redact: frozenset[str],
    ) -> None:
        self.exchange: Running | None = None
        self.started_ms = clock.wall_ms()
        self._delivery = delivery
        self._done: Callable[[Attempted], None] | None = done
        self._span = span
        self._clock = clock
        self._service = service
        self._redact = redact
        self._started = clock.monotonic()

    def cancel(self) -> None:
        if self._done is not None and self.exchange is not None:
            self._done = None
            self.exchange.cancel()
            self._span.cancelled()

    def fail_soon(self, outcome: Outcome) -> "_UnderWay":
        self.exchange = asyncio.get_running_loop().call_soon(self._end, outcome, None)
        return self

    def exchanged(self, result: Response | Fault) -> None:
        give_up_on = self._delivery.subscription.retry.give_up_on
        self._end(judge(result, give_up_on, self._clock.wall_ms() / 1000), result)

    def _end(self, outcome: Outcome, result: Response | Fault | None) -> None:
        done, self._done = self._done, None
        if done is not None:
            self._span.ended(outcome, None if result is None else result.address)
            record = self._record(outcome, result)
            if outcome.kind is not AttemptOutcome.DELIVERED:
                journal.attempt_failed(record)
            done(Attempted(outcome, record))

    def _record(self, outcome: Outcome, result: Response | Fault | None) -> DeliveryAttempt:
        delivery, event = self._delivery, self._delivery.event
        response: bytes | None = None
        headers: tuple[str, ...] = ()
        if isinstance(result, Response):
            response = result.body[:_RECORDED_RESPONSE]
            headers = recorded_headers(result.headers, self._redact)
        return DeliveryAttempt(
            lane=delivery.lane,
            sequence=delivery.sequence,
            webhook_id=delivery.webhook_id,
            subscription=delivery.subscription.id,
            uid=delivery.subscription.uid,
            run=delivery.run,
            topic=event.topic,
            topic_id=event.topic_id,
            partition=event.partition,
            key=event.key,
            event_id=event.attributes["id"],
            event_type=event.attributes["type"],
            attempt=delivery.attempt,
            service=self._service,
            started_ms=self.started_ms,
            duration_ms=(self._clock.monotonic() - self._started) * 1000,
            outcome=outcome.kind,
            reason=outcome.reason,
            detail=outcome.detail[:_RECORDED_DETAIL],
            status=outcome.status,
            address=None if result is None else result.address,
            response=response,
            next_ms=None,
            trace_id=self._span.trace_id,
            response_headers=headers,
        )
