"""Runs `hooklane dev` until Ctrl-C: a broker, the files, the receiver, both services, a view."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from hooklane.delivery.attempt import Attempted, Delivery
from hooklane.ops.dev_apply import Applier
from hooklane.ops.dev_board import Board
from hooklane.ops.dev_documents import Documents
from hooklane.ops.dev_files import Files, Subscriptions
from hooklane.ops.dev_ground import Place, embedded_place, kafka_place
from hooklane.ops.dev_intro import how_to_publish, introduction
from hooklane.ops.dev_receiver import ReceiverChecks
from hooklane.ops.dev_services import Services, topics_of
from hooklane.ops.dev_view import DevView, Picture
from hooklane.ops.dev_words import Said, Tone, got, sent
from hooklane.ops.listen_answer import FailurePlan
from hooklane.ops.listen_desk import Desk
from hooklane.ops.listen_server import ListenApp, bound
from hooklane.ops.output import Row
from hooklane.runtime.http_server import serving
from hooklane.runtime.kafka_settings import policy_from
from hooklane.runtime.metrics import EventOutcome
from hooklane.runtime.redaction import KnownSecrets
from hooklane.runtime.secrets import Secrets
from hooklane.runtime.settings_source import Given
from hooklane.runtime.shutdown import shutdown_signals, until_one_ends
from hooklane.schemas.subscription_values import ServicePolicy

_DRAWN_S: Final = 0.25
_BODY: Final = 60
_SAMPLE: Final = "id: dev\nurl: {url}\n"


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for. `source`: folder or file, None for a sample; `kafka`: `host:port`, None
    for the embedded broker; `receiver_port`: None for no receiver; `given`: the settings."""

    source: Path | None
    kafka: str | None
    port: int
    topics: tuple[str, ...]
    receiver_port: int | None
    given: Given


async def run_dev(options: Options, view: DevView, secrets: KnownSecrets) -> None:
    """Until Ctrl-C or SIGTERM.

    Raises:
        HooklaneError: something did not start, or a service cannot go on.
    """
    with shutdown_signals() as shutdown:
        await until_one_ends(_everything(options, view, secrets), shutdown.wait())


async def _everything(options: Options, view: DevView, secrets: KnownSecrets) -> None:
    screen = _Screen(view)
    with (
        tempfile.TemporaryDirectory(prefix="hooklane-dev-", ignore_cleanup_errors=True) as folder,
        view,
    ):
        work = _work(options, screen, secrets, Path(folder))
        await until_one_ends(work, screen.draw())


async def _work(options: Options, screen: "_Screen", secrets: KnownSecrets, folder: Path) -> None:
    """From the broker to the files, for as long as it is let."""
    async with _place(options, screen, folder / "spool") as place:
        settings = place.settings_for(options.topics)
        screen.policy = policy_from(settings)
        checks = ReceiverChecks(Secrets(settings.secrets, secrets))
        async with _receiving(options.receiver_port, checks, screen) as url:
            screen.tell(
                introduction(
                    place.address,
                    settings,
                    real=place.is_real,
                    folder=options.source,
                    receiver=url,
                )
            )
            services = Services(place, secrets, screen.sent, screen.note)
            services.consume(options.topics)
            screen.services = services

            def wanted(subscriptions: Subscriptions) -> None:
                screen.board.wanted(subscriptions)
                checks.wanted(subscriptions)
                services.consume(topics_of(options.topics, subscriptions.values()))

            source = options.source or _sample(folder / "subscriptions", url)
            files = Files(
                source,
                Documents(screen.policy),
                Applier(place.config_topic),
                screen,
                wanted,
                services.is_followed,
            )
            # A fan-out that begins without its topics joins its group once more for them.
            await files.begin()
            await until_one_ends(services.run(), files.follow())


def _place(options: Options, screen: "_Screen", spool: Path) -> AbstractAsyncContextManager[Place]:
    if options.kafka is None:
        return embedded_place(options.given, options.port, spool)
    return kafka_place(options.given, options.kafka, spool, screen.note)


@asynccontextmanager
async def _receiving(
    port: int | None, checks: ReceiverChecks, screen: "_Screen"
) -> AsyncIterator[str | None]:
    """Dev's own receiver, while this is open; gives its URL, None where it is not wanted."""
    if port is None:
        yield None
        return
    desk = Desk(checks.check_for, FailurePlan(None), screen.got, _BODY)
    with bound("127.0.0.1", port, "--receiver-port or --no-receiver") as listening:
        checks.port = listening.getsockname()[1]
        async with serving(ListenApp(desk), [listening]):
            yield f"http://127.0.0.1:{checks.port}/"


def _sample(folder: Path, url: str | None) -> Path:
    folder.mkdir()
    (folder / "dev.yaml").write_text(_SAMPLE.format(url=url), encoding="utf-8")
    return folder


class _Screen:
    """Everything that is to be seen goes through here, with the time at which it came."""

    def __init__(self, view: DevView) -> None:
        self._view = view
        self.board = Board()
        self.policy = ServicePolicy()
        self.services: Services | None = None
        self._has_been_ready = False

    async def draw(self) -> None:
        """Keep the table true, for as long as it is let."""
        while True:
            self._view.show(self._picture())
            await asyncio.sleep(_DRAWN_S)

    def tell(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._view.tell(line)

    def note(self, sentence: str) -> None:
        """Something was done."""
        self._view.say(Said(_now(), "--", sentence))

    def warn(self, sentence: str) -> None:
        """Something is wrong, and the developer can mend it."""
        self._view.say(Said(_now(), "!!", sentence, Tone.WARNING))

    def sent(self, delivery: Delivery, attempted: Attempted) -> None:
        self.board.ended(delivery, attempted)
        self._view.say(sent(delivery, attempted, self.policy, _now()))

    def got(self, row: Row) -> None:
        self._view.say(got(row, _now()))

    def _picture(self) -> Picture:
        services = self.services
        if services is None:
            return Picture("starting the broker", 0, 0, 0, 0, ())
        if not services.phase and not self._has_been_ready:
            self._has_been_ready = True
            self.note(f"ready, for example for: {how_to_publish(services.topics)}")
        return Picture(
            phase=services.phase,
            events=sum(
                services.count("hooklane_events_total", outcome=one) for one in EventOutcome
            ),
            unmatched=services.count("hooklane_events_total", outcome=EventOutcome.UNMATCHED),
            waiting=services.count("hooklane_backlog_tasks"),
            blocked=services.count("hooklane_lanes_blocked"),
            lines=self.board.lines,
        )


def _now() -> datetime:
    return datetime.now().astimezone()
