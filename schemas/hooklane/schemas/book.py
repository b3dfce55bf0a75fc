"""The book of subscriptions: what the config topic says, record by record. Pure.

A document is in force from its record until a newer valid one or a tombstone. What cannot be read
becomes a *finding* and changes nothing else. Example, one id:

    offset 3  valid document     in force: 3
    offset 5  broken document    in force: 3, and a finding for 5
    offset 6  status for 3       in force: 3, disabled
    offset 8  valid document     in force: 8, the finding is cleared, the status is void
    offset 9  tombstone          nothing in force
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

from hooklane.schemas.book_status import (
    STATUS_SUFFIX,
    Status,
    StatusState,
    read_status,
    status_key,
    status_record,
)
from hooklane.schemas.subscription import Subscription, validate
from hooklane.schemas.subscription_faults import (
    Fault,
    SubscriptionError,
    UnknownFormatError,
    quoted,
)
from hooklane.schemas.subscription_parts import Ordering
from hooklane.schemas.subscription_text import read_document
from hooklane.schemas.subscription_values import SUBSCRIPTION_ID, ServicePolicy

__all__ = (
    "BookChange",
    "ChangeKind",
    "Entry",
    "Finding",
    "Status",
    "StatusState",
    "SubscriptionBook",
    "status_key",
    "status_record",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A subscription in force: its document, the document's offset, and a status that counts."""

    subscription: Subscription
    offset: int
    disabled: Status | None = None

    @property
    def id(self) -> str:
        return self.subscription.id

    @property
    def uid(self) -> str:
        return self.subscription.uid

    @property
    def by_key(self) -> bool:
        """Deliveries of one key go in order."""
        return self.subscription.ordering is Ordering.KEY


@dataclass(frozen=True, slots=True)
class Finding:
    """The newest record of a key cannot be read. `key` is an id, `<id>/status`, or neither."""

    key: str
    offset: int
    faults: tuple[Fault, ...]
    unknown_format: bool = False


class ChangeKind(Enum):
    ADDED = "added"
    UPDATED = "updated"
    REMOVED = "removed"
    STATUS = "status"
    """Disabled by what a service found, or no longer."""
    BAD = "bad"
    """A finding was added; what is in force stays."""
    CLEARED = "cleared"
    """A finding went away with its tombstone; nothing was in force."""


@dataclass(frozen=True, slots=True)
class BookChange:
    """What one record changed. `id` is the record's key where that is no subscription's.

    `before` and `entry` are what was and is in force. A document with another `uid` than before is
    another subscription: `replaced` is true.
    """

    kind: ChangeKind
    id: str
    before: Entry | None = None
    entry: Entry | None = None
    finding: Finding | None = None

    @property
    def replaced(self) -> bool:
        return (
            self.before is not None and self.entry is not None and self.before.uid != self.entry.uid
        )


class SubscriptionBook:
    """Applies the records of the config topic in the order of their offsets.

    One thread reads records in; others may look meanwhile: each answer is of one moment.
    """

    def __init__(self, policy: ServicePolicy) -> None:
        self._policy = policy
        self._entries: dict[str, Entry] = {}
        self._findings: dict[str, Finding] = {}
        self._other_versions: set[str] = set()
        """Ids of which some version, good or bad, has a format that this version knows."""
        self._position = 0

    @property
    def position(self) -> int:
        """The offset of the next record: everything below it has been applied."""
        return self._position

    def read(self, offset: int, key: bytes | None, value: bytes | None) -> BookChange | None:
        """Apply one record. None: it changed nothing, or it has been applied before."""
        if offset < self._position:
            return None
        self._position = offset + 1
        name = _text(key)
        subscription = name.removesuffix(STATUS_SUFFIX)
        if key is None or not SUBSCRIPTION_ID.fullmatch(subscription):
            return self._read_unknown(offset, name, value)
        if subscription != name:
            return self._read_status(offset, subscription, value)
        return self._remove(name) if value is None else self._read_document(offset, name, value)

    def read_through(self, position: int) -> None:
        """Everything below `position` was read: what is missing there was compacted away, or is a
        transaction's marker."""
        self._position = max(self._position, position)

    def entry(self, subscription: str) -> Entry | None:
        """What is in force."""
        return self._entries.get(subscription)

    def __iter__(self) -> Iterator[Entry]:
        """All that is in force, by id."""
        return iter(sorted(self._entries.values(), key=lambda entry: entry.id))

    def __len__(self) -> int:
        return len(self._entries)

    def findings(self) -> tuple[Finding, ...]:
        """What cannot be read, by key."""
        return tuple(sorted(self._findings.values(), key=lambda finding: finding.key))

    def unready(self) -> tuple[str, ...]:
        """Ids of which every version has a format that is too high: without them the service would
        skip deliveries, so it is not ready."""
        return tuple(
            finding.key
            for finding in self.findings()
            if finding.unknown_format and finding.key not in self._other_versions
        )

    def is_deleted(self, subscription: str, config_offset: int, uid: str | None = None) -> bool:
        """Whether a subscription that was in force at `config_offset` is gone (rule 7).

        False while the book has not read past that offset. With `uid`, one that was deleted and
        made again is gone too.
        """
        if self._position <= config_offset:
            return False
        entry = self._entries.get(subscription)
        if entry is not None:
            return uid is not None and entry.uid != uid
        finding = self._findings.get(subscription)
        return finding is None or not finding.unknown_format

    def _read_document(self, offset: int, name: str, value: bytes) -> BookChange:
        try:
            subscription = self._parse(name, value)
        except UnknownFormatError as error:
            return self._note(Finding(name, offset, error.faults, unknown_format=True))
        except SubscriptionError as error:
            self._other_versions.add(name)
            return self._note(Finding(name, offset, error.faults))
        before = self._entries.get(name)
        entry = self._entries[name] = Entry(subscription, offset)
        self._other_versions.add(name)
        self._findings.pop(name, None)
        kind = ChangeKind.ADDED if before is None else ChangeKind.UPDATED
        return BookChange(kind, name, before, entry)

    def _parse(self, name: str, value: bytes) -> Subscription:
        subscription = validate(read_document(value), self._policy)
        if subscription.id != name:
            said = f"{subscription.id} is not the record's key {name}: they must be the same"
            raise SubscriptionError((Fault("id", said),))
        return subscription

    def _remove(self, name: str) -> BookChange | None:
        before = self._entries.pop(name, None)
        finding = self._findings.pop(name, None)
        self._other_versions.discard(name)
        if before is not None:
            return BookChange(ChangeKind.REMOVED, name, before)
        return None if finding is None else BookChange(ChangeKind.CLEARED, name)

    def _read_status(self, offset: int, name: str, value: bytes | None) -> BookChange | None:
        key = name + STATUS_SUFFIX
        try:
            status = None if value is None else read_status(value)
        except SubscriptionError as error:
            return self._note(Finding(key, offset, error.faults))
        cleared = self._findings.pop(key, None)
        before = self._entries.get(name)
        if before is not None:
            counts = status is not None and status.judged_offset == before.offset
            entry = replace(before, disabled=status if counts else None)
            if entry != before:
                self._entries[name] = entry
                return BookChange(ChangeKind.STATUS, name, before, entry)
        return None if cleared is None else BookChange(ChangeKind.CLEARED, key)

    def _read_unknown(self, offset: int, name: str, value: bytes | None) -> BookChange | None:
        if value is None:
            found = self._findings.pop(name, None)
            return None if found is None else BookChange(ChangeKind.CLEARED, name)
        said = "the record's key is not a subscription's id: delete the record"
        return self._note(Finding(name, offset, (Fault("", said),)))

    def _note(self, finding: Finding) -> BookChange:
        self._findings[finding.key] = finding
        entry = self._entries.get(finding.key)
        return BookChange(ChangeKind.BAD, finding.key, entry, entry, finding)


def _text(key: bytes | None) -> str:
    """The key as text of one line, also where it is none."""
    if key is None:
        return "(null)"
    text = key.decode("utf-8", "backslashreplace")
    return text if text.isprintable() and len(text) <= 300 else quoted(text)
