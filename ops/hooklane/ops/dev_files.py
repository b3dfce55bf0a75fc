"""The folder of `hooklane dev`, from its files to the config topic."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, Protocol, TypeVar

from hooklane.ops.dev_apply import Applied, Applier
from hooklane.ops.dev_documents import Documents
from hooklane.ops.dev_folder import LOOK_S, Changes, FolderWatch, snapshot
from hooklane.ops.subscriptions_files import read_documents
from hooklane.runtime.errors import BrokerError
from hooklane.schemas.subscription import Subscription

Subscriptions = dict[str, Subscription]
R = TypeVar("R")

_FOLLOWED_LOOKS: Final = 250
_FOLLOWED_LOOK_S: Final = 0.02


class Screen(Protocol):
    """Who is told, in a sentence, of what was done and of what is wrong."""

    def note(self, sentence: str) -> None: ...
    def warn(self, sentence: str) -> None: ...


class Files:
    """Follows the folder. `wanted` is told what its files want, whenever they change;
    `is_followed` says whether the services know of what was applied."""

    def __init__(
        self,
        source: Path,
        documents: Documents,
        applier: Applier,
        screen: Screen,
        wanted: Callable[[Subscriptions], None],
        is_followed: Callable[[Applied], bool],
    ) -> None:
        self._source = source
        self._documents = documents
        self._applier = applier
        self._screen = screen
        self._wanted = wanted
        self._is_followed = is_followed
        self._watch = FolderWatch()
        self._told: set[str] = set()
        self._has_begun = False

    async def begin(self) -> None:
        """Bring what is there to the config topic, for the first time."""
        while not self._has_begun:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def follow(self) -> None:
        """For as long as it is let."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Read what has changed, and bring it to the config topic."""
        try:
            changes = self._watch.look(await asyncio.to_thread(snapshot, self._source))
        except OSError as error:
            # A folder that is away for a moment, as with `git checkout`, deletes nothing.
            self._complain_once(f"{self._source} cannot be read ({error.strerror}).")
            return
        if changes is not None:
            self._told.clear()
            await self._take(changes)

    async def _take(self, changes: Changes) -> None:
        for path in changes.gone:
            self._documents.forget(path)
        for path in changes.changed:
            reading = partial(read_documents, [str(path)])
            fault = await asyncio.to_thread(self._documents.take, path, reading)
            if fault is not None:
                self._screen.warn(fault)
        for conflict in self._documents.conflicts():
            self._screen.warn(conflict)
        wanted = self._documents.wanted()
        self._wanted(wanted)
        await self._bring(changes, wanted)

    async def _bring(self, changes: Changes, wanted: Subscriptions) -> None:
        saved = self._documents.ids_of(changes.changed)
        done, refused = await self._answered(partial(self._applier.bring, wanted, saved))
        for sentence in refused:
            self._screen.warn(sentence)
        for one in done:
            await self._until_followed(one)
            self._screen.note(f"{one.id} {one.said}")
        if not self._has_begun:
            self._has_begun = True
            for name in await self._answered(partial(self._applier.others, wanted)):
                self._screen.note(f"{name} is in no file of the folder and stays in force")

    async def _until_followed(self, done: Applied) -> None:
        """So that an event which is published after it was said is matched by it."""
        for _ in range(_FOLLOWED_LOOKS):
            if self._is_followed(done):
                return
            await asyncio.sleep(_FOLLOWED_LOOK_S)

    async def _answered(self, ask: Callable[[], R]) -> R:
        """Kafka's answer, however long there is none."""
        while True:
            try:
                return await _to_the_end(ask)
            except BrokerError as error:
                self._complain_once(str(error))
                await asyncio.sleep(LOOK_S)

    def _complain_once(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            self._screen.warn(sentence)


async def _to_the_end(ask: Callable[[], R]) -> R:
    """In a thread, whose answer is waited for also when nobody wants it any more.

    Else its broker would go before it, and it would wait for an answer for long.
    """
    asked = asyncio.create_task(asyncio.to_thread(ask))
    try:
        return await asyncio.shield(asked)
    except asyncio.CancelledError:
        await asyncio.wait([asked])
        raise
