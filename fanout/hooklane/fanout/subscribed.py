"""The subscriptions in force as the event loop knows them: by id for the gate, indexed to match."""

from collections.abc import Iterable

from hooklane.fanout.match import Matcher
from hooklane.schemas.book import BookChange, ChangeKind, Entry
from hooklane.schemas.event import Event


class Subscribed:
    """Follows the book change by change, so that gate and matcher always say the same."""

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher
        self._entries: dict[str, Entry] = {}

    def follow(self, change: BookChange) -> None:
        """Take over what one record of the config topic changed."""
        match change.kind:
            case ChangeKind.ADDED | ChangeKind.UPDATED | ChangeKind.STATUS:
                if change.entry is not None:
                    self._entries[change.id] = change.entry
                    self._matcher.put(change.entry)
            case ChangeKind.REMOVED:
                self._entries.pop(change.id, None)
                self._matcher.remove(change.id)
            case ChangeKind.BAD | ChangeKind.CLEARED:
                pass

    def entry(self, subscription: str) -> Entry | None:
        return self._entries.get(subscription)

    def match(self, event: Event) -> Iterable[Entry]:
        return self._matcher.match(event)
