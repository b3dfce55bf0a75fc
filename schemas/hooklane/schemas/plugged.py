"""Plugins as documents and deliveries use them: found by a word, asked past a guard.

This room knows no entry points: `runtime.plugins` finds and guards them, and is handed down in the
`ServicePolicy` that a document is judged by.
"""

import copy
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final, Protocol, TypeVar

from hooklane.schemas.event import NOT_JSON, Event
from hooklane.schemas.plugin import PluginEvent

T = TypeVar("T")


class Group(StrEnum):
    """What a plugin extends: an entry point's group is `hooklane.` and this word."""

    SIGNING = "signing"
    AUTH = "auth"
    FILTERS = "filters"
    PAYLOAD = "payload"
    SECRETS = "secrets"


class PluginError(Exception):
    """A plugin did not do what it is for. One sentence that names it, without secrets."""


class PluginRefusal(PluginError):  # noqa: N818 - what the plugin says, and no fault of it
    """It did: it says that this event can never be sent."""


class Plugged(Protocol):
    """What a plugin has made of some options, past its guard.

    `read` judges what it answers, still in the plugin's thread: an answer may be lazy. It raises a
    ValueError for what is of no use.
    """

    def ask(self, read: Callable[[object], T], *arguments: object) -> T:
        """Its answer, waited for here, in no more than about a second for a filter.

        Raises:
            PluginError: it has none.
        """

    async def answer(self, read: Callable[[object], T], *arguments: object) -> T:
        """Its answer, without holding up anybody else.

        Raises:
            PluginError: it has none.
        """


class Plugins(Protocol):
    """Those that are installed."""

    def names(self, group: Group) -> tuple[str, ...]:
        """The words that documents may use, sorted."""

    def plugged(self, group: Group, name: str, options: object) -> Plugged:
        """The plugin of that name with these options; equal for equal ones.

        Raises:
            ValueError: it cannot be loaded, or does not take the options; the text says so of it.
        """


class NoPlugins:
    """Nothing but what is built in."""

    def names(self, group: Group) -> tuple[str, ...]:  # noqa: ARG002 - of every group
        return ()

    def plugged(self, group: Group, name: str, options: object) -> Plugged:  # noqa: ARG002
        raise ValueError(f"there is no plugin {name} for {group} here")


NO_PLUGINS: Final = NoPlugins()


def plugin_event(event: Event, attributes: Mapping[str, str]) -> PluginEvent:
    """The event as plugins see it: nothing that they do to it is seen by others."""
    return PluginEvent(
        event.topic,
        event.partition,
        event.offset,
        event.timestamp_ms,
        event.key,
        dict(attributes),
        event.content_type,
        event.data,
        lambda: _copy(event.document()),
    )


def _copy(document: object) -> object:
    return None if document is NOT_JSON else copy.deepcopy(document)
