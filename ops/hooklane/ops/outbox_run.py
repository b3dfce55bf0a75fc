"""From settings to a running outbox relay, and to its end."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import structlog

from hooklane.ops.outbox_kafka import BucketPublisher, bucket_config
from hooklane.ops.outbox_layout import layout_from, pace_from
from hooklane.ops.outbox_metrics import OutboxMetrics
from hooklane.producer.outbox.errors import OutboxError, UnusableAccessError
from hooklane.producer.outbox.relay import Relay
from hooklane.runtime.errors import HooklaneError, SettingsError
from hooklane.runtime.health import serve_health
from hooklane.runtime.kafka_settings import access_from
from hooklane.runtime.redaction import KnownSecrets
from hooklane.runtime.settings import Settings
from hooklane.runtime.settings_outbox import OutboxSettings
from hooklane.runtime.shutdown import Shutdown, end_on_faults

log = structlog.get_logger(__name__)

_NOT_INSTALLED = (
    "The outbox relay needs psycopg, which is not installed: pip install 'hooklane[outbox]'."
)


async def run_outbox(settings: Settings, shutdown: Shutdown, secrets: KnownSecrets) -> None:
    """Run until `shutdown` is asked for.

    Raises:
        HooklaneError: it cannot start or cannot go on; one sentence that says why.
    """
    try:
        # An extra of the package: who has no outbox goes without.
        from hooklane.producer.outbox.connect import passwords  # noqa: PLC0415
        from hooklane.producer.outbox.database import open_session  # noqa: PLC0415
        from hooklane.producer.outbox.listen import listen  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError(_NOT_INSTALLED) from error

    def dsn() -> str:
        text = connection_string(settings.outbox)
        for secret in passwords(text):
            secrets.add(secret)
        return text

    layout = layout_from(settings.outbox)
    metrics = OutboxMetrics()
    relay = Relay(
        layout,
        pace_from(settings.outbox),
        lambda: open_session(dsn, layout),
        publishers(settings),
        metrics,
    )
    failure: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def failed(reason: str) -> None:
        if not failure.done():
            failure.set_result(reason)

    end_on_faults(failed)
    async with serve_health(settings.http, metrics, metrics):
        log.info("outbox relay", table=layout.table, buckets=layout.buckets)
        tasks = [asyncio.create_task(relay.run())]
        if layout.channel:
            tasks.append(asyncio.create_task(listen(dsn, layout.channel, relay.wake)))
        await _until_asked(relay, tasks, shutdown, failure, settings.outbox)


async def _until_asked(
    relay: Relay,
    tasks: "list[asyncio.Task[None]]",
    shutdown: Shutdown,
    failure: "asyncio.Future[str]",
    outbox: OutboxSettings,
) -> None:
    asked = asyncio.create_task(shutdown.wait())
    try:
        waited: list[asyncio.Future[Any]] = [asked, failure, *tasks]
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if asked.done():
            relay.stop()
            await asyncio.wait(tasks[:1], timeout=outbox.shutdown_grace.seconds)
        for task in tasks:
            if task.done():
                task.result()
        if failure.done():
            raise HooklaneError(failure.result())
    except OutboxError as error:
        raise SettingsError(str(error)) from error
    finally:
        for task in (asked, *tasks):
            task.cancel()
        await asyncio.gather(asked, *tasks, return_exceptions=True)


def connection_string(outbox: OutboxSettings) -> str:
    """As it is at present.

    Raises:
        UnusableAccessError: there is none.
    """
    if outbox.dsn_file is not None:
        try:
            return outbox.dsn_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UnusableAccessError(
                f"HOOKLANE_OUTBOX__DSN_FILE names {outbox.dsn_file}, and that cannot be read."
            ) from error
    if outbox.dsn is not None:
        return outbox.dsn.get_secret_value()
    raise UnusableAccessError(
        "No database is named: set HOOKLANE_OUTBOX__DSN such as "
        "postgresql://user@host:5432/database, or HOOKLANE_OUTBOX__DSN_FILE."
    )


def publishers(settings: Settings) -> Callable[[str, int], BucketPublisher]:
    """What opens the publisher of a bucket of the table of that name."""
    access, outbox = access_from(settings), settings.outbox
    # A wrong property is told at once.
    bucket_config(access, "", 0, outbox.partitioner)

    def opened(table: str, bucket: int) -> BucketPublisher:
        name = outbox.name or re.sub(r"[^A-Za-z0-9._-]", "_", table)
        full = f"{settings.topics.prefix}-outbox-{name}"
        return BucketPublisher(bucket_config(access, full, bucket, outbox.partitioner))

    return opened
