"""The fan-out and the retrier of `hooklane dev`, kept running as event topics come and go."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack

from hooklane.delivery.ground import Running
from hooklane.fanout.run import fanout_running
from hooklane.ops.dev_apply import Applied
from hooklane.ops.dev_board import Told
from hooklane.ops.dev_ground import Place
from hooklane.ops.dev_intro import SAMPLE_TOPIC
from hooklane.retrier.run import retrier_running
from hooklane.runtime.errors import BrokerError
from hooklane.runtime.metrics import Metrics, Service
from hooklane.runtime.redaction import KnownSecrets
from hooklane.runtime.shutdown import end_on_faults
from hooklane.schemas.book import Entry
from hooklane.schemas.subscription import Subscription

_LOOK_S = 0.1
_AGAIN_S = 1.0
_GLOB = frozenset("*?")


def topics_of(named: Iterable[str], subscriptions: Iterable[Subscription]) -> tuple[str, ...]:
    """The event topics to consume: those that were named, and each that a document names whole."""
    globs = (one.match.topics or () for one in subscriptions)
    whole = {topic for topics in globs for topic in topics if not _GLOB & set(topic)}
    return tuple(sorted({*named, *whole}))


class Services:
    """`topics` are what the fan-out is to consume; it is made anew when they change."""

    def __init__(
        self, place: Place, secrets: KnownSecrets, told: Told, say: Callable[[str], None]
    ) -> None:
        self._place = place
        self._secrets = secrets
        self._told = told
        self._say = say
        self.topics: tuple[str, ...] = ()
        self._running: dict[Service, Running] = {}
        self._metrics: list[Metrics] = []
        self.phase = "starting the fan-out and the retrier"

    def consume(self, topics: Sequence[str]) -> None:
        """These, and on the embedded broker every other one: there the sample's is made, where none
        is named, since a consumer that finds no topic at all does not join its group."""
        self.topics = tuple(topics) or (() if self._place.is_real else (SAMPLE_TOPIC,))

    async def run(self) -> None:
        """For as long as it is let.

        Raises:
            HooklaneError: a service cannot start, or cannot go on.
        """
        settings = self._place.settings_for(self.topics)
        end_on_faults(self._fault)
        async with AsyncExitStack() as stack:
            ground = await stack.enter_async_context(
                self._place.ground(settings, Service.RETRIER, self._secrets, self._told)
            )
            self._metrics.append(ground.metrics)
            retrier = await stack.enter_async_context(retrier_running(ground))
            self._running[Service.RETRIER] = retrier
            while True:
                await self._fan_out()

    def count(self, name: str, **labels: str) -> int:
        """A metric of all services there were, summed up."""
        found = (one.registry.get_sample_value(name, labels) for one in self._metrics)
        return round(sum(value or 0 for value in found))

    def is_followed(self, done: Applied) -> bool:
        """Whether those that run have taken over what was applied."""
        return all(_is_known(one.in_force(done.id), done) for one in self._running.values())

    async def _fan_out(self) -> None:
        """One fan-out, until the topics change."""
        topics = self.topics
        if not topics and self._place.is_real:
            self.phase = "waiting for an event topic"
            self._say(
                "no event topic yet: name one in match.topics of a subscription, or by --topic"
            )
            await self._until_changed(topics)
            return
        self.phase = "starting the fan-out"
        for line in await self._made(topics):
            self._say(line)
        settings = self._place.settings_for(topics)
        async with self._place.ground(
            settings, Service.FANOUT, self._secrets, self._told
        ) as ground:
            self._metrics.append(ground.metrics)
            async with fanout_running(ground) as running:
                self._running[Service.FANOUT] = running
                await self._until_changed(topics)
        ground.metrics.lanes_blocked.set(0)
        del self._running[Service.FANOUT]

    async def _made(self, topics: Sequence[str]) -> list[str]:
        while True:
            try:
                return await asyncio.to_thread(self._place.make_event_topics, topics)
            except BrokerError as error:
                self._say(str(error))
                await asyncio.sleep(_AGAIN_S)

    async def _until_changed(self, topics: Sequence[str]) -> None:
        made = topics
        while self.topics == topics or not self._place.is_real:
            if self.topics != made:
                # Every topic is consumed here; it is made before its first event.
                made = self.topics
                await self._made(made)
            self._check()
            await asyncio.sleep(_LOOK_S)

    def _check(self) -> None:
        for one in self._running.values():
            one.check()
        if Service.FANOUT in self._running:
            missing = [what for one in self._running.values() for what in one.readiness.missing()]
            self.phase = missing[0] if missing else ""

    def _fault(self, reason: str) -> None:
        for one in self._running.values():
            one.failed(reason)


def _is_known(entry: Entry | None, done: Applied) -> bool:
    return done.now == (None if entry is None else entry.subscription)
