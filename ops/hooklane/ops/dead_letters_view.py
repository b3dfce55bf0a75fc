"""Dead letters: their ids, which are meant, and how they are shown. Pure."""

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hooklane.ops.attempts_view import attempt_row
from hooklane.ops.letter_state import STATE_FIELDS, LetterState, is_wanted, state_row
from hooklane.ops.log_selection import ALWAYS, Window, content, key_text, may_name, moment
from hooklane.ops.output import Column, Row
from hooklane.runtime.errors import HooklaneError, UsageError
from hooklane.schemas.codec import DEAD_LETTERS, LETTER_MARKS, CodecError
from hooklane.schemas.event import Event
from hooklane.schemas.lane import LaneId
from hooklane.schemas.records import DeadLetter, DeadLetterReason
from hooklane.schemas.records_operator import LetterMark

SHORT = 12
"""How much of the lane a table shows in an id: any unique 8 digits name it."""

COLUMNS = (
    Column("id"),
    Column("time"),
    Column("subscription"),
    Column("key"),
    Column("event_type", "type"),
    Column("event_id", "event id"),
    Column("reason"),
    Column("attempts", align="right"),
    Column("detail"),
)
FIELDS = (
    "id", "time", "lane", "sequence", "subscription", "run", "key", "event_id", "event_type",
    "webhook_id", "reason", "detail", "attempts", "last_status", "last_attempt_at", "topic",
    "partition", "offset", "event_time", "unreadable", *STATE_FIELDS,
)  # fmt: skip
_ID = re.compile(r"([0-9a-f]{8,32})(?::(0|[1-9][0-9]{0,18}|\?))?")
_UNKNOWN = "?"


class NoSuchLetterError(HooklaneError):
    """There is no such dead letter."""

    def __init__(self, given: str) -> None:
        super().__init__(
            f"There is no dead letter {given}: `hooklane dead-letters list` shows what Kafka "
            "still has."
        )


@dataclass(frozen=True, slots=True)
class LetterId:
    """`<lane>:<sequence>`, or the beginning of one: 8 digits of the lane or more.

    A delivery has the same id however often it was given up. `sequence` None is any; `?` is one
    of a record that this version cannot read.
    """

    lane: str
    sequence: str | None = None

    @classmethod
    def parse(cls, given: str) -> "LetterId":
        """As it was typed.

        Raises:
            UsageError: it is no id.
        """
        found = _ID.fullmatch(given.lower())
        if found is None:
            raise UsageError(
                f"{given!r} is no dead letter's id: give <lane>:<sequence> as `hooklane "
                "dead-letters list` shows it, or the lane's first 8 digits or more."
            )
        return cls(found[1], found[2])

    @property
    def is_whole_lane(self) -> bool:
        return len(self.lane) == 32

    @property
    def typed(self) -> str:
        """As somebody types it."""
        return self.lane if self.sequence is None else f"{self.lane}:{self.sequence}"

    @property
    def typed_lane(self) -> LaneId:
        """The lane, where it is whole."""
        return LaneId(self.lane)

    def names(self, letter: str) -> bool:
        """Whether it is the letter of this whole id."""
        lane, _, sequence = letter.rpartition(":")
        return lane.startswith(self.lane) and self.sequence in {None, sequence}


def check_named(ids: Iterable[LetterId], lanes: Iterable[str]) -> None:
    """Whether each id means one lane of those that were found.

    Raises:
        UsageError: it may be one of several.
        NoSuchLetterError: it is none.
    """
    found = set(lanes)
    for one in ids:
        meant = sum(lane.startswith(one.lane) for lane in found)
        if not meant:
            raise NoSuchLetterError(one.typed)
        if meant > 1:
            raise UsageError(f"{meant} lanes begin with {one.lane}: give more of its digits.")


def letter_id(letter: DeadLetter) -> str:
    return f"{letter.lane}:{letter.sequence}"


def mark_of(value: bytes) -> LetterMark | None:
    """The mark that a record is; None for any other record, and for one that is broken."""
    if not LETTER_MARKS.wrote(value):
        return None
    try:
        return LETTER_MARKS.decode(value)
    except CodecError:
        return None


def mark_id(mark: LetterMark) -> str:
    """The id of the letter that it is about."""
    return f"{mark.lane}:{mark.sequence}"


def unread_id(key: bytes | None) -> str:
    """The id of a record that cannot be read, from its key."""
    return f"{key_text(key) or ''}:{_UNKNOWN}"


@dataclass(frozen=True, slots=True)
class LetterSelection:
    """Which dead letters are meant; None is any. `among`: the subscriptions of a tenant."""

    window: Window = ALWAYS
    subscription: str | None = None
    keys: frozenset[bytes] | None = None
    reason: DeadLetterReason | None = None
    ids: tuple[LetterId, ...] = ()
    among: frozenset[str] | None = None

    @property
    def is_all(self) -> bool:
        """Whether nothing but the time is asked for."""
        asked = (self.subscription, self.keys, self.reason, self.among)
        return not self.ids and all(one is None for one in asked)

    def may_hold(self, value: bytes) -> bool:
        """Whether a record's bytes can be one that is meant: Avro has text as it is."""
        texts = (self.subscription, self.reason)
        return (
            all(one is None or one.encode() in value for one in texts)
            and (self.keys is None or any(one in value for one in self.keys))
            and (not self.ids or any(one.lane.encode() in value for one in self.ids))
            and may_name(self.among, value)
        )

    def holds(self, letter: DeadLetter) -> bool:
        return (
            self.window.holds(letter.at_ms)
            and self.subscription in {None, letter.subscription}
            and (self.among is None or letter.subscription in self.among)
            and (self.keys is None or letter.key in self.keys)
            and self.reason in {None, letter.reason}
            and (not self.ids or any(one.names(letter_id(letter)) for one in self.ids))
        )


class LetterPicker:
    """Takes the letters that are meant. `unread` counts records that cannot be read and may be.

    `marks`: those that are known from the beginning; of letters that were picked before their
    mark came, `with_states` leaves out what is not wanted.
    """

    def __init__(
        self,
        selection: LetterSelection,
        wanted: LetterState,
        marks: Mapping[str, LetterMark] | None = None,
    ) -> None:
        self._selection = selection
        self._wanted = wanted
        self.marks: dict[str, LetterMark] = dict(marks or {})
        self._known = frozenset(self.marks)
        self.unread = 0

    def pick(self, key: bytes | None, value: bytes | None, at_ms: int) -> tuple[int, Row] | None:
        """The time and the row of a record, if it is meant. `at_ms`: the record's timestamp."""
        mark = None if value is None else mark_of(value)
        if mark is not None:
            self.marks[mark_id(mark)] = mark
        elif value is not None and self._selection.may_hold(value):
            return self._letter(key, value, at_ms)
        return None

    def with_states(self, rows: Iterable[Row]) -> list[Row]:
        """Rows that were picked, with what became of each, as far as that is wanted."""
        found = []
        for row in rows:
            mark = self.marks.get(str(row["id"]))
            if row["unreadable"] is not None:
                found.append(row)
            elif is_wanted(mark, self._wanted):
                found.append({**row, **state_row(mark)})
        return found

    def _letter(self, key: bytes | None, value: bytes, at_ms: int) -> tuple[int, Row] | None:
        try:
            letter = DEAD_LETTERS.decode(value)
        except CodecError as error:
            return self._unread(key, at_ms, str(error))
        if not self._selection.holds(letter):
            return None
        if self._known and not is_wanted(self.marks.get(letter_id(letter)), self._wanted):
            return None
        return letter.at_ms, letter_row(letter)

    def _unread(self, key: bytes | None, at_ms: int, why: str) -> tuple[int, Row] | None:
        if not self._selection.window.holds(at_ms):
            return None
        if not self._selection.is_all:
            self.unread += 1
            return None
        return at_ms, unread_row(key, at_ms, why)


def letter_row(letter: DeadLetter) -> Row:
    """A letter without its payload."""
    attributes: Mapping[str, str] = {} if letter.event is None else letter.event.attributes
    last = letter.last_attempt
    return {
        "id": letter_id(letter),
        "time": moment(letter.at_ms),
        "lane": letter.lane,
        "sequence": letter.sequence,
        "subscription": letter.subscription,
        "run": letter.run or None,
        "key": key_text(letter.key),
        "event_id": attributes.get("id"),
        "event_type": attributes.get("type"),
        "webhook_id": letter.webhook_id,
        "reason": letter.reason.value,
        "detail": letter.detail,
        "attempts": letter.attempts,
        "last_status": None if last is None else last.status,
        "last_attempt_at": None if last is None else moment(last.started_ms),
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "event_time": moment(letter.timestamp_ms),
        "unreadable": None,
        **state_row(None),
    }


def unread_row(key: bytes | None, at_ms: int, why: str) -> Row:
    """A record that cannot be read: its time, its lane, and why."""
    return {
        **dict.fromkeys(FIELDS),
        "id": unread_id(key),
        "time": moment(at_ms),
        "lane": key_text(key),
        "detail": why,
        "unreadable": why,
    }


def table_row(row: Row) -> Row:
    """The same with as much of the lane's id as a person needs."""
    lane, _, sequence = str(row["id"]).rpartition(":")
    return {**row, "id": f"{lane[:SHORT]}:{sequence}"}


def shown_letter(
    key: bytes | None, value: bytes, at_ms: int, mark: LetterMark | None = None
) -> Row:
    """Everything of one letter, with its last attempt and its payload."""
    try:
        letter = DEAD_LETTERS.decode(value)
    except CodecError as error:
        raw = base64.b64encode(value).decode()
        return {**unread_row(key, at_ms, str(error)), "record_base64": raw}
    last = letter.last_attempt
    return {
        **letter_row(letter),
        **state_row(mark),
        "uid": letter.uid,
        "topic_id": letter.topic_id,
        "group": letter.group,
        "last_attempt": None if last is None else attempt_row(last),
        **_event(letter.event),
        **content("value", letter.value),
        "headers": [
            {"name": one.name, **content("value", one.value)} for one in letter.headers
        ],
    }  # fmt: skip


def _event(event: Event | None) -> Row:
    """The payload; of a record that was no event there is only its value."""
    return {
        "attributes": None if event is None else dict(event.attributes),
        "content_type": None if event is None else event.content_type,
        **content("payload", None if event is None else event.data),
    }


def flat(row: Row, above: str = "") -> Row:
    """A row for a table: what is in a nested one under the names of both; nothing that is null
    inside of it."""
    found: dict[str, object] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{above}{name} ")
        elif value is not None or not above:
            found[above + name] = value
    return found
