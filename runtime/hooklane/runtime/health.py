"""`/healthz`, `/readyz` and `/metrics`, served from the service's own event loop.

- `/healthz` answers as long as the loop does. A broker's outage does not make it fail: to restart
  the process would not bring the broker back.
- `/readyz` answers 503 until the subscriptions have been read, the group has been joined and all
  assigned partitions have been restored; its body says what is missing.
"""

import errno
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Protocol

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hooklane.runtime.errors import SettingsError
from hooklane.runtime.http_server import serving
from hooklane.runtime.metrics_restore import Restores
from hooklane.runtime.settings_sections import HttpSettings

log = structlog.get_logger()

TopicPartition = tuple[str, int]


class Ready(Protocol):
    """What knows whether a service does its work."""

    def missing(self) -> tuple[str, ...]:
        """What is still waited for; empty if the service is ready."""


class Exposed(Protocol):
    """What has a service's metrics."""

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """As Prometheus reads them, and the content type, by the `Accept` header."""


class Readiness:
    """Whether the service does its work. Pure: the service says what has happened.

    What has been reached stays so: nothing here is taken back because a broker is away. A
    partition that is assigned later is waited for again.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._began: dict[TopicPartition, float] = {}
        self._last_restore_s = 0.0
        self._subscriptions_read = False
        self._joined = False
        self._restoring: dict[TopicPartition, int | None] = {}
        self._unknown_formats: tuple[str, ...] = ()

    def subscriptions_read(self) -> None:
        """The config topic has been read to its end."""
        self._subscriptions_read = True

    def unknown_formats(self, subscriptions: Iterable[str]) -> None:
        """The subscriptions of which no version can be read here (`SubscriptionBook.unready`)."""
        self._unknown_formats = tuple(subscriptions)

    def joined(self) -> None:
        """The group has given its answer, also if that was no partition."""
        self._joined = True

    def assigned(self, partitions: Iterable[TopicPartition]) -> None:
        """The group has been joined, and these partitions are to be restored."""
        self._joined = True
        wanted = tuple(partitions)
        self._restoring.update(dict.fromkeys(wanted))
        self._began.update(dict.fromkeys(wanted, self._monotonic()))

    def restoring(self, partition: TopicPartition, left: int) -> None:
        """How many records a partition still has to read."""
        if partition in self._restoring:
            self._restoring[partition] = left

    def restored(self, partition: TopicPartition) -> None:
        """A partition is ready for its first event."""
        self._restoring.pop(partition, None)
        began = self._began.pop(partition, None)
        if began is not None:
            self._last_restore_s = self._monotonic() - began

    def revoked(self, partitions: Iterable[TopicPartition]) -> None:
        """Partitions that others look after now."""
        for partition in partitions:
            self._restoring.pop(partition, None)
            self._began.pop(partition, None)

    def restores(self) -> Restores:
        """How far they are, for the metrics."""
        oldest = min(self._began.values(), default=None)
        return Restores(
            partitions=len(self._restoring),
            records_left=sum(left or 0 for left in self._restoring.values()),
            running_s=0.0 if oldest is None else self._monotonic() - oldest,
            last_s=self._last_restore_s,
        )

    def missing(self) -> tuple[str, ...]:
        """What is still waited for; empty if the service is ready."""
        return tuple(self._missing())

    def _missing(self) -> Iterator[str]:
        if not self._subscriptions_read:
            yield "the subscriptions have not been read to their end"
        for name in self._unknown_formats:
            yield f"subscription {name} has a format that only a newer version knows"
        if not self._joined:
            yield "the consumer group has not been joined"
        for (topic, partition), left in self._restoring.items():
            to_read = "" if left is None else f": {left} records are left to read"
            yield f"{topic}[{partition}] has not been restored{to_read}"


@asynccontextmanager
async def serve_health(
    settings: HttpSettings, readiness: Ready, metrics: Exposed
) -> AsyncIterator[int]:
    """Serve while this is open; gives the bound port.

    Raises:
        SettingsError: the address cannot be bound.
    """
    listener = _bind(settings)
    port: int = listener.getsockname()[1]
    log.info("health and metrics are served", address=settings.host, port=port)
    async with serving(health_app(readiness, metrics), [listener]):
        yield port


def health_app(readiness: Ready, metrics: Exposed) -> Starlette:
    """The three pages."""

    async def healthz(_: Request) -> Response:
        return JSONResponse({"alive": True})

    async def readyz(_: Request) -> Response:
        missing = readiness.missing()
        body = {"ready": not missing, "missing": list(missing)}
        return JSONResponse(body, 503 if missing else 200)

    async def scrape(request: Request) -> Response:
        body, content_type = metrics.exposition(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", scrape),
        ]
    )


def _bind(settings: HttpSettings) -> socket.socket:
    """A socket that is bound, so that the port is known before anything else begins."""
    try:
        found = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen()
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise SettingsError(_why_not_bound(settings, error)) from error
    listener.setblocking(False)
    return listener


def _why_not_bound(settings: HttpSettings, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {settings.port} is taken: set HOOKLANE_HTTP__PORT to a free one, or 0 for any."
        )
    return (
        f"Health and metrics cannot be served on {settings.host}:{settings.port} "
        f"({error.strerror}): change HOOKLANE_HTTP__HOST or HOOKLANE_HTTP__PORT."
    )
