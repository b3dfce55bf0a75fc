"""The subscriptions in force as the event loop knows them, and how far the topic was read."""

from collections.abc import Callable, Iterable

from hooklane.schemas.book import BookChange, ChangeKind, Entry, SubscriptionBook


class KnownSubscriptions:
    """Follows the book change by change; `unknown_formats` is told what cannot be understood."""

    def __init__(self, unknown_formats: Callable[[Iterable[str]], None]) -> None:
        self._unknown_formats = unknown_formats
        self._entries: dict[str, Entry] = {}
        self._book: Callable[[], SubscriptionBook] | None = None

    def begin(self, book: Callable[[], SubscriptionBook]) -> None:
        """Where to look up what has been read."""
        self._book = book

    def follow(self, change: BookChange) -> None:
        """Take over what one record of the config topic changed."""
        match change.kind:
            case ChangeKind.ADDED | ChangeKind.UPDATED | ChangeKind.STATUS:
                if change.entry is not None:
                    self._entries[change.id] = change.entry
            case ChangeKind.REMOVED:
                self._entries.pop(change.id, None)
            case ChangeKind.BAD | ChangeKind.CLEARED:
                pass
        if self._book is not None:
            self._unknown_formats(self._book().unready())

    def entry(self, subscription: str) -> Entry | None:
        return self._entries.get(subscription)

    def is_deleted(self, subscription: str, config_offset: int, uid: str | None) -> bool:
        """Rule 7: not before the topic was read past the offset that matched."""
        return self._book is not None and self._book().is_deleted(subscription, config_offset, uid)
