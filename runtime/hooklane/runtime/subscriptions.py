"""Follows the config topic: every service knows the subscriptions before it begins, and live.

    follower = SubscriptionFollower(TopicReader(properties, topic), policy, on_change, metrics)
    await follower.start()        # on_change has been called for everything in force
    ...
    await follower.stop()

A thread reads the topic into a book; what changes is told in the event loop, in the order of the
records. A broker's outage only delays. Where the topic was truncated or made again it is read
anew, and what differs is told as if it had been written just then: nobody has to know.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final, Protocol

import structlog

from hooklane.runtime.errors import BrokerError, HooklaneError, TopicsError
from hooklane.runtime.metrics import Metrics
from hooklane.runtime.subscriptions_reader import End, Line, Replaced
from hooklane.runtime.threads import SYSTEM_THREADS, Started, Threads
from hooklane.schemas.book import BookChange, ChangeKind, Entry, SubscriptionBook
from hooklane.schemas.subscription_values import ServicePolicy

log = structlog.get_logger()

_POLL_S: Final = 0.2
_AGAIN_S: Final = 1.0
_IDENTITY_S: Final = 10.0
_AT_ONCE: Final = 50
"""Changes told in one turn of the loop, so that ten thousand do not hold up the deliveries."""


class ConfigReader(Protocol):
    """The config topic, as `TopicReader` reads it."""

    def begin(self) -> None:
        """Start over at the first record."""

    def end(self) -> int:
        """The offset after the last record that is written."""

    def poll(self, timeout_s: float) -> Line | End | Replaced | None:
        """What comes next."""

    def is_replaced(self) -> bool:
        """Whether the topic was made again."""

    def close(self) -> None:
        """Let the connections go."""


class SubscriptionFollower:
    """Made and used in the running event loop. `on_change` is called there, one change at a time.

    `failed` is done, with an exception, if the thread ended without being asked to: a service
    must not go on with subscriptions that grow old.
    """

    def __init__(
        self,
        reader: ConfigReader,
        policy: ServicePolicy,
        on_change: Callable[[BookChange], None],
        metrics: Metrics,
        threads: Threads = SYSTEM_THREADS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader = reader
        self._policy = policy
        self._on_change = on_change
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._started: asyncio.Future[None] = self._loop.create_future()
        self.failed: asyncio.Future[None] = self._loop.create_future()
        self._stopping = threading.Event()
        self._threads = threads
        self._monotonic = monotonic
        self._thread: Started | None = None
        self._book = SubscriptionBook(policy)
        self._complained = False

    @property
    def book(self) -> SubscriptionBook:
        """What has been read: at most a moment ahead of what `on_change` was told."""
        return self._book

    async def start(self) -> None:
        """Read to the high watermark; on return all that is in force has been told.

        Waits for as long as Kafka does not answer.

        Raises:
            TopicsError: the config topic is not there.
        """
        self._thread = self._threads.start(self._run, "subscriptions")
        await self._started

    async def stop(self) -> None:
        """End the thread and close its connections."""
        self._stopping.set()
        if self._thread is not None and self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)
        for waiting in (self._started, self.failed):
            waiting.cancel()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                book = self._load()
                if book is None:
                    return
                log.info("subscriptions.read", subscriptions=len(book), offset=book.position)
                before, self._book = self._book, book
                self._tell(*differences(before, book))
                self._in_loop(self._mark_started)
                self._follow(book)
        except Exception as error:  # noqa: BLE001 - told to the service, which ends of it
            self._in_loop(self._mark_failed, error)
        finally:
            self._reader.close()

    def _load(self) -> SubscriptionBook | None:
        """The whole topic in a new book; None if the follower is to stop."""
        while not self._stopping.is_set():
            try:
                book = self._load_once()
            except TopicsError as error:
                if not self._started.done():
                    raise
                self._complain(error)
            except BrokerError as error:
                self._complain(error)
            else:
                if book is not None:
                    self._complained = False
                    return book
            self._stopping.wait(_AGAIN_S)
        return None

    def _load_once(self) -> SubscriptionBook | None:
        """None: the topic was replaced while it was read."""
        book = SubscriptionBook(self._policy)
        self._reader.begin()
        target = self._reader.end()
        judged = self._monotonic()
        while book.position < target and not self._stopping.is_set():
            match self._reader.poll(_POLL_S):
                case Line() as line:
                    _read(book, line)
                case End(offset):
                    # Also past what compaction took away and past the marks of transactions.
                    book.read_through(offset)
                case Replaced():
                    return None
                case None:
                    if self._monotonic() - judged > _AGAIN_S:
                        judged = self._monotonic()
                        # A topic that was made again may never reach the old one's end. Its end
                        # alone says nothing: a broker that has just become the leader may tell a
                        # lower one, and a book that is not whole loses events.
                        if self._reader.is_replaced():
                            return None
        # What was read in between may be of two topics.
        return None if self._reader.is_replaced() else book

    def _follow(self, book: SubscriptionBook) -> None:
        """Until the topic is replaced, or the follower is to stop."""
        judge_at = self._monotonic() + _IDENTITY_S
        while not self._stopping.is_set():
            match self._poll_on():
                case Line() as line:
                    self._complained = False
                    change = _read(book, line)
                    if change is not None:
                        self._tell(change)
                case End(offset):
                    book.read_through(offset)
                case Replaced():
                    break
                case None:
                    pass
            if self._monotonic() > judge_at:
                judge_at = self._monotonic() + _IDENTITY_S
                if self._reader.is_replaced():
                    break
        if not self._stopping.is_set():
            log.warning("config topic was truncated or made again: reading it anew")

    def _poll_on(self) -> Line | End | Replaced | None:
        """The next thing; a right that was taken away is said, and what is known stays in force."""
        try:
            return self._reader.poll(_POLL_S)
        except BrokerError as error:
            self._complain(error)
            self._stopping.wait(_AGAIN_S)
            return None

    def _complain(self, error: HooklaneError) -> None:
        if not self._complained:
            self._complained = True
            log.warning("subscriptions cannot be read, trying again", reason=str(error))

    def _tell(self, *changes: BookChange) -> None:
        for first in range(0, len(changes), _AT_ONCE):
            self._in_loop(self._call, changes[first : first + _AT_ONCE])

    def _call(self, changes: tuple[BookChange, ...]) -> None:
        for change in changes:
            if change.kind is ChangeKind.BAD and change.finding is not None:
                log.warning(
                    "bad subscription document: the last good one stays in force",
                    subscription=change.id,
                    offset=change.finding.offset,
                    reason="; ".join(map(str, change.finding.faults)),
                )
            if change.entry is not None:
                self._metrics.by_subscription.in_force(change.entry)
            elif change.kind is ChangeKind.REMOVED:
                self._metrics.by_subscription.gone(change.id)
            self._on_change(change)
        self._metrics.subscriptions.set(len(self._book))
        self._metrics.bad_subscriptions.set(len(self._book.findings()))

    def _mark_started(self) -> None:
        if not self._started.done():
            self._started.set_result(None)

    def _mark_failed(self, error: Exception) -> None:
        waiting = self.failed if self._started.done() else self._started
        if not waiting.done():
            waiting.set_exception(error)

    def _in_loop(self, call: Callable[..., None], *arguments: object) -> None:
        # A loop that is closed already has nobody left to tell.
        with suppress(RuntimeError):
            if not self._stopping.is_set():
                self._loop.call_soon_threadsafe(call, *arguments)


def _read(book: SubscriptionBook, line: Line) -> BookChange | None:
    try:
        return book.read(line.offset, line.key, line.value)
    except Exception:
        # The book has a finding for every bad document; this is for the one nobody thought of.
        log.exception("record of the config topic was passed over", offset=line.offset)
        return None


def differences(before: SubscriptionBook, after: SubscriptionBook) -> Iterator[BookChange]:
    """What has to be told to somebody who knows `before`, so that he knows `after`."""
    old = {entry.id: entry for entry in before}
    new = {entry.id: entry for entry in after}
    for name in sorted(old.keys() - new.keys()):
        yield BookChange(ChangeKind.REMOVED, name, old[name])
    for name, entry in new.items():
        known = old.get(name)
        if known != entry:
            yield BookChange(_kind(known, entry), name, known, entry)
    found = set(before.findings())
    now = after.findings()
    for finding in now:
        if finding not in found:
            entry_now = new.get(finding.key)
            yield BookChange(ChangeKind.BAD, finding.key, entry_now, entry_now, finding)
    for key in sorted({one.key for one in found} - {one.key for one in now}):
        if key not in old and key not in new:
            yield BookChange(ChangeKind.CLEARED, key)


def _kind(known: Entry | None, entry: Entry) -> ChangeKind:
    if known is None:
        return ChangeKind.ADDED
    same_document = known.offset == entry.offset and known.subscription == entry.subscription
    return ChangeKind.STATUS if same_document else ChangeKind.UPDATED
