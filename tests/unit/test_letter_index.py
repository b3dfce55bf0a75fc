"""Which dead letters a redrive takes, into which lanes, in which order; what a purge may delete."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooklane.ops.dead_letters_view import (
    LetterId,
    LetterSelection,
    NoSuchLetterError,
    check_named,
)
from hooklane.ops.letter_index import LetterIndex, LetterName
from hooklane.ops.purge_plan import PrefixScan
from hooklane.ops.redrive_plan import (
    Left,
    Planned,
    Redrive,
    RedrivePlan,
    batches,
    in_order,
    new_webhook_id,
    spans_of,
)
from hooklane.runtime.errors import UsageError
from hooklane.schemas.book import SubscriptionBook
from hooklane.schemas.codec import DEAD_LETTERS, LETTER_MARKS
from hooklane.schemas.lane import LaneId, LaneNamer
from hooklane.schemas.records import DeadLetter
from hooklane.schemas.records_operator import Fate, LetterMark
from hooklane.schemas.subscription_values import ServicePolicy
from tests.support.operator_facts import a_letter, lane_id

NOW_MS = 1_790_000_000_000
RUN = "01KB0000000000000000000000"
NEWER = b"\xc3\x01newschem"


def a_mark(letter: DeadLetter, fate: Fate = Fate.REDRIVEN, run: str = "earlier") -> LetterMark:
    return LetterMark(letter.lane, letter.sequence, fate, run, NOW_MS)


def indexed(*records: DeadLetter | LetterMark | bytes, every: bool = True) -> LetterIndex:
    """Told of these, one after the other, all in one partition."""
    index = LetterIndex(LetterSelection() if every else LetterSelection(subscription="billing"))
    for offset, record in enumerate(records):
        if isinstance(record, bytes):
            index.take(0, offset, NOW_MS, lane_id(1).encode(), record)
        else:
            codec = DEAD_LETTERS if isinstance(record, DeadLetter) else LETTER_MARKS
            value = codec.encode(record)  # type: ignore[arg-type]  # each has its own
            index.take(0, offset, record.at_ms, record.lane.encode(), value)
    return index


def a_book(fields: str = "", name: str = "billing") -> SubscriptionBook:
    book = SubscriptionBook(ServicePolicy())
    document = b'{"id":"%s","url":"https://x.example/","uid":"u"%s}'
    book.read(3, name.encode(), document % (name.encode(), fields.encode()))
    return book


def plan(
    *records: DeadLetter | LetterMark | bytes,
    book: SubscriptionBook | None = None,
    again: bool = False,
) -> RedrivePlan:
    return Redrive(RUN, book or a_book(), again=again).plan(indexed(*records))


def sequences(found: RedrivePlan) -> list[int]:
    return [one.letter.sequence for one in found.tasks]


FIRST = a_letter(lane_id(1), 7, NOW_MS)


def test_a_letter_goes_into_the_lane_of_its_key_in_this_run() -> None:
    """Rule 12: the run's own lane; the webhook id, the event and its place stay what they are."""
    deciding = Redrive(RUN, a_book(), again=False)
    [planned] = deciding.plan(indexed(FIRST)).tasks
    assert planned.lane == LaneNamer("g", "billing", "u", "t", 0, run=RUN).lane(b"c-1")
    task = deciding.task(planned, FIRST, "msg_7", NOW_MS)
    assert (task.sequence, task.webhook_id, task.run, task.event) == (7, "msg_7", RUN, FIRST.event)
    assert (task.attempts, task.due_ms, task.halted) == (0, NOW_MS, False)
    assert (task.config_offset, task.one_shot, task.group) == (3, False, "g")


@pytest.mark.parametrize(
    ("letter", "fields"), [(replace(FIRST, key=None), ""), (FIRST, ',"ordering":"none"')]
)
def test_without_an_order_each_letter_is_a_lane(letter: DeadLetter, fields: str) -> None:
    """A null key, or a document that asks for no order: the delivery is a lane alone."""
    [planned] = plan(letter, book=a_book(fields)).tasks
    namer = LaneNamer("g", "billing", "u", "t", 0, run=RUN)
    assert (planned.one_shot, planned.lane) == (True, namer.one_shot(letter.key, 7))


def test_a_letter_that_was_redriven_is_not_taken_again_unless_told() -> None:
    """Its mark says so, also where the letter comes once more behind it, after a crash."""
    for records in ((FIRST, a_mark(FIRST)), (FIRST, a_mark(FIRST), FIRST)):
        found = plan(*records)
        assert (sequences(found), found.left) == ([], {Left.DONE: 1})
        assert sequences(plan(*records, again=True)) == [7]


def test_a_run_that_goes_on_takes_nothing_twice() -> None:
    """Rule 12: what this run has redriven stays so, also with --again; its own letters too."""
    own = replace(FIRST, run=RUN)
    found = plan(FIRST, a_mark(FIRST, run=RUN), again=True)
    assert (sequences(found), found.left) == ([], {Left.DONE: 1})
    assert plan(own, again=True).left == {Left.OWN: 1}


def test_a_delivery_given_up_in_two_runs_is_one_task() -> None:
    """The live letter and that of an earlier redrive are the same event: one goes out."""
    earlier = replace(FIRST, lane=lane_id(2), run="earlier")
    assert sequences(plan(FIRST, a_mark(FIRST), earlier, again=True)) == [7]


@pytest.mark.parametrize(
    ("records", "book", "left"),
    [
        ((FIRST, a_mark(FIRST, Fate.PURGED)), a_book(), Left.PURGED),
        ((replace(FIRST, event=None),), a_book(), Left.NO_PAYLOAD),
        ((FIRST,), a_book(name="other"), Left.DELETED),
        ((replace(FIRST, uid="before"),), a_book(), Left.DELETED),
        ((FIRST,), a_book(',"state":"disabled"'), Left.DISABLED),
        ((FIRST, NEWER), a_book(), Left.DOUBTFUL),
        ((NEWER, FIRST), a_book(), Left.DOUBTFUL),
    ],
)
def test_what_is_left(
    records: Sequence[DeadLetter | LetterMark | bytes], book: SubscriptionBook, left: Left
) -> None:
    """What the retrier would discard or give up at once is not written; nor what is in doubt."""
    found = plan(*records, book=book)
    assert (sequences(found), found.left) == ([], {left: 1})


def test_only_what_is_selected_is_looked_at() -> None:
    """By id, by the lane's beginning, by subscription; marks count whatever is selected."""
    other = a_letter(lane_id(2), 8, NOW_MS, subscription="shipping")
    found = indexed(FIRST, other, a_mark(other), every=False)
    assert [one.sequence for one in found.letters()] == [7]
    assert found.marks.keys() == {(lane_id(2), 8)}
    by_id = LetterSelection(ids=(LetterId.parse(f"{lane_id(1)}:7"), LetterId.parse("00000002")))
    assert by_id.holds(FIRST)
    assert by_id.holds(other)
    assert not by_id.holds(replace(FIRST, sequence=8))
    assert by_id.may_hold(DEAD_LETTERS.encode(other))
    assert not by_id.may_hold(
        DEAD_LETTERS.encode(replace(other, lane=lane_id(3), last_attempt=None))
    )


def test_an_id_that_means_no_lane_or_several_is_refused() -> None:
    """Nothing is redriven or purged by a slip of the pen; without a sequence it is a whole lane."""
    lanes = [lane_id(0x12345678), lane_id(0x12345679)]
    check_named([LetterId.parse("12345678"), LetterId.parse(f"{lanes[1]}:7")], lanes)
    with pytest.raises(NoSuchLetterError, match="There is no dead letter 1234567a:7"):
        check_named([LetterId.parse("1234567A:7")], lanes)
    same = [lanes[0], LaneId("12345678" + "1" * 24)]
    with pytest.raises(UsageError, match="2 lanes begin with 12345678: give more"):
        check_named([LetterId.parse("12345678")], same)


letters = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 30), st.integers(0, 50)), unique_by=lambda x: x[:2]
)


@given(letters)
def test_the_order_of_writing(drawn: list[tuple[int, int, int]]) -> None:
    """Rule 12: in every lane by sequence, whenever each was given up; and nothing is left out."""
    given_up = [a_letter(lane_id(lane), at, NOW_MS + late) for lane, at, late in drawn]
    facts = list(indexed(*given_up).letters())
    found = in_order(Planned(one, one.lane, one_shot=False) for one in facts)
    assert sorted(one.letter.name for one in found) == sorted(one.name for one in facts)
    for lane in {one.lane for one in found}:
        in_lane = [one.letter.sequence for one in found if one.lane == lane]
        assert in_lane == sorted(in_lane)


def test_what_was_given_up_in_its_turn_is_written_in_the_order_of_the_topic() -> None:
    """So that payloads are read once through, and the oldest goes first."""
    given_up = [a_letter(lane_id(n % 3), n, NOW_MS + n) for n in range(9)]
    found = in_order(Planned(one, one.lane, one_shot=False) for one in indexed(*given_up).letters())
    assert [one.letter.offset for one in found] == list(range(9))


def test_batches_are_bounded_in_number_and_bytes() -> None:
    """One that is larger than a batch goes alone; none is left out or turned round."""
    size = len(DEAD_LETTERS.encode(FIRST))
    tasks = [
        Planned(one, one.lane, one_shot=False)
        for one in indexed(*(a_letter(lane_id(1), n, NOW_MS) for n in range(5))).letters()
    ]
    assert [len(one) for one in batches(tasks, 2, 100 * size)] == [2, 2, 1]
    assert [len(one) for one in batches(tasks, 9, 3 * size)] == [3, 2]
    assert [len(one) for one in batches(tasks, 9, 1)] == [1] * 5
    assert list(batches([], 9, 1)) == []


@given(st.sets(st.integers(0, 50_000), max_size=40))
def test_far_offsets_are_read_apart(offsets: set[int]) -> None:
    """Each is in one span, and no span reads more than a gap's worth beside them."""
    spans = list(spans_of(offsets))
    assert all(sum(first <= one < end for first, end in spans) == 1 for one in offsets)
    assert sum(end - first for first, end in spans) <= 2_001 * max(len(offsets), 1)
    assert spans == sorted(spans)


def test_a_new_webhook_id_is_the_same_when_a_run_goes_on() -> None:
    """It depends on the run and the old one alone; no `.` is in it."""
    assert new_webhook_id("r", "msg_1") == new_webhook_id("r", "msg_1")
    assert len({new_webhook_id(r, m) for r in "rs" for m in ("msg_1", "msg_2")}) == 4
    assert new_webhook_id("r", "msg_1").startswith("msg_")


@pytest.mark.parametrize(
    ("kept", "end"), [(None, 5), (2, 2), (0, 0)], ids=["all", "an open one", "the first"]
)
def test_a_purged_beginning_may_be_deleted(kept: int | None, end: int) -> None:
    """Up to the first record that is an open letter, or that nobody here can read."""
    given_up = [a_letter(lane_id(1), n, NOW_MS) for n in range(3)]
    marks: dict[LetterName, LetterMark] = {
        (one.lane, one.sequence): a_mark(one, Fate.PURGED)
        for n, one in enumerate(given_up)
        if n != kept
    }
    values = [*map(DEAD_LETTERS.encode, given_up), *map(LETTER_MARKS.encode, marks.values())]
    scan = PrefixScan(0, marks)
    for offset, value in enumerate(values[:5]):
        if not scan.take(offset, value):
            break
    assert scan.end == end
    assert not PrefixScan(0, marks).take(0, NEWER)


def test_a_redriven_letter_is_not_deleted() -> None:
    """Only a purge puts away: what was redriven can still be shown, and redriven again."""
    scan = PrefixScan(4, {(FIRST.lane, FIRST.sequence): a_mark(FIRST)})
    assert not scan.take(4, DEAD_LETTERS.encode(FIRST))
    assert scan.end == 4


@given(letters, st.lists(st.integers(0, 6), max_size=5))
def test_a_run_that_is_cut_off_anywhere_writes_each_once_and_in_order(
    drawn: list[tuple[int, int, int]], stops: list[int]
) -> None:
    """Rule 12: batches and their marks come together, so what is left is what was not written."""
    records: list[DeadLetter | LetterMark | bytes] = [
        a_letter(lane_id(lane), at, NOW_MS + late, key=b"%d" % lane) for lane, at, late in drawn
    ]
    written: list[Planned] = []
    for stop in [*stops, len(drawn)]:
        for batch in list(batches(plan(*records).tasks, 3, 10**9))[:stop]:
            written += batch
            records += (
                LetterMark(one.letter.lane, one.letter.sequence, Fate.REDRIVEN, RUN, NOW_MS)
                for one in batch
            )
    assert sorted(one.letter.name for one in written) == sorted(
        (lane_id(lane), at) for lane, at, _ in drawn
    )
    for lane in {one.lane for one in written}:
        in_lane = [one.letter.sequence for one in written if one.lane == lane]
        assert in_lane == sorted(in_lane)
