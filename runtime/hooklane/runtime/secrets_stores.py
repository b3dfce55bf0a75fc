"""Secrets out of plugins' stores: fetched beside the event loop, kept, and fetched again in time.

cold --(fetching)--> kept --(80 % of its life)--> kept, fetching --> kept
cold --(no answer)--> a fault, asked again after a second, then two, up to a minute
kept --(no answer)--> kept: a store that is down stops no delivery whose secret is known
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

import structlog

from hooklane.runtime.errors import SecretError
from hooklane.runtime.threads import SomeThreads
from hooklane.schemas.plugged import Group, PluginError, Plugins
from hooklane.schemas.plugin import Fetched, Options

log = structlog.get_logger(__name__)

LARGEST: Final = 64 * 1024
_REFRESH_AT: Final = 0.8
_LEAST_LIFE_S: Final = 1.0
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0
_AT_ONCE: Final = 8


@dataclass(slots=True)
class _Kept:
    """One reference. Times are monotonic seconds; `fault`: why the last fetch gave nothing."""

    value: bytes | None = None
    fault: str = ""
    ask_at: float = float("-inf")
    pause_s: float = _FIRST_PAUSE_S
    fetching: "Future[None] | None" = None

    def is_due(self, now: float) -> bool:
        """Whether to ask for it."""
        return now >= self.ask_at and (self.fetching is None or self.fetching.done())


class Stores:
    """`options`: what the settings say to each store, by its name."""

    def __init__(
        self,
        options: Mapping[str, Options],
        plugins: Plugins,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options
        self._plugins = plugins
        self._monotonic = monotonic
        self._kept: dict[str, _Kept] = {}
        self._threads = SomeThreads("secrets", _AT_ONCE)
        self._lock = threading.Lock()

    def names(self) -> tuple[str, ...]:
        """Those that are installed."""
        return self._plugins.names(Group.SECRETS)

    def fetching(self, references: Iterable[str]) -> "tuple[Future[None], ...]":
        """What has to end before `value` tells at once of each of them. Usually nothing."""
        begun = [self._looked_at(one) for one in references]
        return tuple(
            one.fetching
            for one in begun
            if one.value is None and one.fetching is not None and not one.fetching.done()
        )

    def value(self, reference: str) -> bytes:
        """The secret; where it has never been fetched, the caller waits for it, unless that would
        hold up an event loop.

        Raises:
            SecretError: the store does not give it.
        """
        kept = self._looked_at(reference)
        if kept.value is None and kept.fetching is not None and not kept.fetching.done():
            if _in_event_loop():
                said = kept.fault or "it is being fetched"
                raise SecretError(f"The secret {reference} is not to be had yet: {said}.")
            kept.fetching.result()
        if kept.value is None:
            raise SecretError(f"The secret {reference} is not to be had: {kept.fault}.")
        return kept.value

    def _looked_at(self, reference: str) -> _Kept:
        """What is known of it; asked for if it is time."""
        kept = self._kept.get(reference)
        if kept is not None and not kept.is_due(self._monotonic()):
            return kept
        with self._lock:
            kept = self._kept.setdefault(reference, _Kept())
            if kept.is_due(self._monotonic()):
                kept.fetching = self._threads.submit(self._fetch, reference, kept)
        return kept

    def _fetch(self, reference: str, kept: _Kept) -> None:
        """In a thread of ours, which waits for the plugin's no longer than its limit."""
        name, _, path = reference.partition(":")
        try:
            store = self._plugins.plugged(Group.SECRETS, name, self._options.get(name, {}))
            found = store.ask(_judged, path)
        except (PluginError, ValueError) as error:
            kept.fault = str(error)
            kept.ask_at = self._monotonic() + kept.pause_s
            kept.pause_s = min(kept.pause_s * 2, _LONGEST_PAUSE_S)
            used = kept.value is not None
            log.warning("secret.not_fetched", reference=reference, reason=str(error), used=used)
        else:
            kept.value, kept.fault, kept.pause_s = found.value, "", _FIRST_PAUSE_S
            life_s = max(found.ttl_s, _LEAST_LIFE_S)
            kept.ask_at = self._monotonic() + life_s * _REFRESH_AT


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _judged(found: object) -> Fetched:
    if not isinstance(found, Fetched):
        raise ValueError(f"{type(found).__name__} instead of Fetched")  # noqa: TRY004
    value: object = found.value
    ttl_s: object = found.ttl_s
    if not isinstance(value, bytes) or not 1 <= len(value) <= LARGEST:
        raise ValueError("a secret that is not 1 to 65536 bytes")
    if not isinstance(ttl_s, int | float) or not ttl_s > 0:
        raise ValueError("a secret without a time for which it is good")
    return Fetched(value, min(float(ttl_s), 86_400.0))
