"""The demonstration's course: start everything, a day at the shop, wait for the last delivery."""

import asyncio
import tempfile
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_bytes
from typing import Final

from hooklane.delivery.ground import Running
from hooklane.fanout.run import fanout_running
from hooklane.ops.demo_ground import documents, settings_for, until_ready
from hooklane.ops.demo_receivers import Receiver, Told, receiving
from hooklane.ops.demo_shop import SOURCE, SUBSCRIBERS, TOPIC, days_work
from hooklane.ops.demo_verdict import Outcome
from hooklane.ops.embedded_broker import embedded_broker, make_topics, write_documents
from hooklane.ops.embedded_ground import standing_on_embedded
from hooklane.ops.lane_board import LaneBoard
from hooklane.producer import AsyncEventPublisher, NewEvent, PublishError
from hooklane.retrier.run import retrier_running
from hooklane.runtime.errors import BrokerError
from hooklane.runtime.kafka_settings import access_from
from hooklane.runtime.metrics import Service
from hooklane.runtime.redaction import KnownSecrets

_EVENTS_A_SECOND: Final = 40
_PATIENCE_S: Final = 12.0
"""For the last deliveries, once all events are published."""
_LOOK_S: Final = 0.05


@dataclass(slots=True)
class Stage:
    """What there is to see. `bootstrap_servers` is empty until the broker runs."""

    receivers: Sequence[Receiver]
    board: LaneBoard = field(default_factory=LaneBoard)
    began_s: float = field(default_factory=time.monotonic)
    phase: str = "starting the broker"
    published: int = 0
    to_publish: int = 0
    bootstrap_servers: str = ""
    services: Sequence[Running] = ()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began_s

    def outcomes(self) -> list[Outcome]:
        return [self._outcome(one) for one in self.receivers]

    def is_failing(self, one: Outcome) -> bool:
        """Whether this receiver refuses anything now."""
        begin, end = one.trouble_s or (0.0, 0.0)
        return begin <= time.monotonic() < end

    @property
    def is_settled(self) -> bool:
        """Everything that is expected has come, and no lane is blocked."""
        return not any(one.tally.waiting or self.board.blocked(one.name) for one in self.receivers)

    def _outcome(self, one: Receiver) -> Outcome:
        return Outcome(
            one.name,
            one.tally,
            self.board.blocked(one.name),
            self.board.released(one.name),
            one.trouble_s,
        )


def empty_stage(told: Told) -> Stage:
    """The shop's receivers, each with a new secret."""
    return Stage([Receiver(one, _secret(), told) for one in SUBSCRIBERS])


@asynccontextmanager
async def everything_running(stage: Stage) -> AsyncIterator[AsyncEventPublisher]:
    """Broker, receivers, fan-out and retrier, while this is open; gives the shop's publisher.

    Raises:
        HooklaneError: something did not start.
    """
    known = KnownSecrets()
    for one in stage.receivers:
        known.add(one.secret)
    with tempfile.TemporaryDirectory(prefix="hooklane-demo-", ignore_cleanup_errors=True) as spool:
        async with (
            embedded_broker() as address,
            receiving(stage.receivers) as urls,
            # Made before its first event, as in a service: it takes its time to connect.
            AsyncEventPublisher({"bootstrap.servers": address}, source=SOURCE) as publisher,
        ):
            settings = settings_for(address, Path(spool))
            access, names = access_from(settings), settings.topic_names
            stage.bootstrap_servers = address
            topics = [TOPIC, *names.all(settings.retry.tiers)]
            await asyncio.to_thread(make_topics, access, topics)
            await asyncio.to_thread(
                write_documents, access, names.subscriptions, documents(stage.receivers, urls)
            )
            stage.phase = "starting the fan-out and the retrier"
            async with (
                standing_on_embedded(settings, Service.FANOUT, known) as fanouts,
                standing_on_embedded(settings, Service.RETRIER, known) as retriers,
                fanout_running(fanouts, stage.board.watched) as fanout,
                retrier_running(retriers) as retrier,
            ):
                stage.services = (fanout, retrier)
                stage.phase = "waiting for the consumer groups to form"
                await until_ready(stage.services)
                yield publisher


async def days_events(stage: Stage, publisher: AsyncEventPublisher) -> None:
    """Publish a day's events, one after the other, at a steady pace.

    Raises:
        BrokerError: Kafka did not take one.
        HooklaneError: a service cannot go on.
    """
    events = list(days_work())
    stage.phase, stage.to_publish = "publishing", len(events)
    begun = time.monotonic()
    for one in stage.receivers:
        one.begun_s = begun
    sent: list[asyncio.Task[None]] = []
    try:
        for number, event in enumerate(events):
            await asyncio.sleep(max(begun + number / _EVENTS_A_SECOND - time.monotonic(), 0))
            _check(stage)
            _expect(stage, event)
            sent.append(asyncio.create_task(_publish(stage, publisher, event)))
        await asyncio.gather(*sent)
    except PublishError as error:
        raise BrokerError(f"The embedded broker did not take an event: {error}.") from error
    finally:
        for task in sent:
            task.cancel()


async def last_deliveries(stage: Stage) -> None:
    """Until everything has come, or for as long as the patience lasts.

    Raises:
        HooklaneError: a service cannot go on.
    """
    stage.phase = "waiting for the last deliveries"
    until = time.monotonic() + _PATIENCE_S
    while not stage.is_settled and time.monotonic() < until:
        _check(stage)
        await asyncio.sleep(_LOOK_S)
    stage.phase = "done"


def _check(stage: Stage) -> None:
    for one in stage.services:
        one.check()


def _expect(stage: Stage, event: NewEvent) -> None:
    for one in stage.receivers:
        if one.subscriber.wants(event.type):
            one.tally.expect(event.id, str(event.key), time.monotonic())


async def _publish(stage: Stage, publisher: AsyncEventPublisher, event: NewEvent) -> None:
    receipt = await publisher.publish(TOPIC, event)
    stage.published += 1
    for one in stage.receivers:
        one.tally.published(event.id, receipt.offset)


def _secret() -> str:
    return "whsec_" + b64encode(token_bytes(32)).decode()
