"""What a redrive will write: which letters, into which lanes, in which order. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from typing import Final, NamedTuple

from hooklane.ops.letter_index import LetterFacts, LetterIndex
from hooklane.schemas.book import Entry, SubscriptionBook
from hooklane.schemas.lane import LaneId, LaneNamer
from hooklane.schemas.records import DeadLetter, DeliveryTask
from hooklane.schemas.records_operator import Fate
from hooklane.schemas.subscription_parts import Ordering, State

_GAP: Final = 2_000
"""Offsets between two letters from which on they are fetched apart."""


class Left(StrEnum):
    """Why a letter that is meant is not redriven; the word as it is printed."""

    DONE = "redriven_before"
    PURGED = "purged"
    OWN = "given_up_by_this_run"
    NO_PAYLOAD = "without_payload"
    DELETED = "subscription_deleted"
    DISABLED = "subscription_disabled"
    DOUBTFUL = "beside_a_newer_versions_record"
    TOO_LARGE = "too_large_for_the_backlog"
    EXPIRED = "expired_meanwhile"


REMEDIES: Final = {
    Left.DONE: "--again takes them once more",
    Left.OWN: "a run of its own takes them: do it again when this one is done",
    Left.NO_PAYLOAD: "they were no events, or too large for a record",
    Left.DELETED: "what was made again under the same id is another subscription",
    Left.DISABLED: "`hooklane subscriptions resume` first, else they would be given up again",
    Left.DOUBTFUL: "use the newest version of hooklane that writes here",
    Left.TOO_LARGE: "raise max.message.bytes of the backlog",
    Left.EXPIRED: "Kafka has deleted them by their age",
}


class Planned(NamedTuple):
    """A letter and the lane that its task goes to."""

    letter: LetterFacts
    lane: LaneId
    one_shot: bool


@dataclass(frozen=True, slots=True)
class RedrivePlan:
    """In the order of writing: within a lane by sequence, else by when it was given up."""

    tasks: Sequence[Planned]
    left: Counter[Left] = field(default_factory=Counter)


class Redrive:
    """Decides for one run. With `again` letters that were redriven before are meant too."""

    def __init__(self, run: str, book: SubscriptionBook, *, again: bool) -> None:
        self._run = run
        self._book = book
        self._again = again
        self._namers: dict[tuple[str, str, str, str, int], LaneNamer] = {}

    def plan(self, index: LetterIndex) -> RedrivePlan:
        """What is to be written of all that is meant."""
        planned: dict[tuple[LaneId, int], Planned] = {}
        left: Counter[Left] = Counter()
        for letter in index.letters():
            judged = self._judge(letter, index)
            if isinstance(judged, Left):
                left[judged] += 1
            else:
                # A delivery that was given up in several runs goes out once in this one.
                planned[judged.lane, letter.sequence] = judged
        return RedrivePlan(in_order(planned.values()), left)

    def task(
        self, planned: Planned, letter: DeadLetter, webhook_id: str, at_ms: int
    ) -> DeliveryTask:
        """The task of a letter that was planned, with its payload read again; due at once."""
        assert letter.event is not None  # noqa: S101 - `plan` leaves those out
        entry = self._book.entry(letter.subscription or "")
        assert entry is not None  # noqa: S101 - likewise
        return DeliveryTask(
            lane=planned.lane,
            sequence=letter.sequence,
            webhook_id=webhook_id,
            subscription=entry.id,
            uid=letter.uid,
            run=self._run,
            one_shot=planned.one_shot,
            group=letter.group,
            event=letter.event,
            config_offset=entry.offset,
            attempts=0,
            due_ms=at_ms,
            halted=False,
            redirected_ms=at_ms,
        )

    def _judge(self, letter: LetterFacts, index: LetterIndex) -> Planned | Left:
        left = self._left(letter, index)
        if left is not None:
            return left
        entry = self._book.entry(letter.subscription or "")
        if entry is None or entry.uid != letter.uid:
            return Left.DELETED
        if entry.disabled is not None or entry.subscription.state is State.DISABLED:
            return Left.DISABLED
        return self._planned(letter, entry)

    def _left(self, letter: LetterFacts, index: LetterIndex) -> Left | None:
        mark = index.marks.get(letter.name)
        if mark is not None and mark.fate is Fate.PURGED:
            return Left.PURGED
        if letter.run == self._run:
            return Left.OWN
        # What this very run has redriven stays so, also with `again`.
        if mark is not None and (mark.run == self._run or not self._again):
            return Left.DONE
        if index.is_doubtful(letter):
            return Left.DOUBTFUL
        return None if letter.has_event else Left.NO_PAYLOAD

    def _planned(self, letter: LetterFacts, entry: Entry) -> Planned:
        place = (letter.group, entry.id, letter.uid, letter.topic_id, letter.event_partition)
        namer = self._namers.get(place)
        if namer is None:
            namer = self._namers[place] = LaneNamer(*place, run=self._run)
        one_shot = letter.key is None or entry.subscription.ordering is Ordering.NONE
        lane = namer.one_shot(letter.key, letter.sequence) if one_shot else namer.lane(letter.key)
        return Planned(letter, lane, one_shot)


def in_order(tasks: Iterable[Planned]) -> list[Planned]:
    """By the time at which they were given up, but within a lane by sequence.

    A lane's letters nearly always come in their sequence. One that was given up before its turn,
    by an operator's skip, moves back behind those before it: so what is read follows the topic.
    """
    found = []
    latest: dict[LaneId, int] = {}
    for one in sorted(tasks, key=lambda one: one.letter.sequence):
        at_ms = latest[one.lane] = max(one.letter.at_ms, latest.get(one.lane, 0))
        found.append((at_ms, one))
    # Stable: of one moment they stay in the order of their sequences.
    return [one for _, one in sorted(found, key=lambda pair: pair[0])]


def batches(tasks: Sequence[Planned], most: int, most_bytes: int) -> Iterator[list[Planned]]:
    """What goes together: at most so many, and no more bytes unless it is one alone."""
    batch: list[Planned] = []
    size = 0
    for one in tasks:
        if batch and (len(batch) >= most or size + one.letter.size > most_bytes):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += one.letter.size
    if batch:
        yield batch


def spans_of(offsets: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Where to read for these offsets of a partition: from, and to below; far ones apart."""
    first = last = None
    for offset in sorted(offsets):
        if first is None or last is None:
            first = offset
        elif offset - last > _GAP:
            yield first, last + 1
            first = offset
        last = offset
    if first is not None and last is not None:
        yield first, last + 1


def new_webhook_id(run: str, webhook_id: str) -> str:
    """Another id for the same delivery, the same however often this run is gone on with."""
    digest = blake2b(f"{run}:{webhook_id}".encode(), digest_size=16, person=b"hooklane-new")
    return "msg_" + digest.hexdigest()
