"""Which rows may go now, and what waits."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooklane.producer.encoding import OutgoingRecord
from hooklane.producer.outbox.desk import Ask, Batch, Desk, Fault, Refusal
from hooklane.producer.outbox.layout import OnBadRow
from hooklane.producer.outbox.route import BadRowError
from hooklane.producer.outbox.row import Row

AGAIN_S = 10.0
TOO_LARGE = Refusal(Fault.ROW, "too large")
NO_TOPIC = Refusal(Fault.TOPIC, "no such topic")


def row(position: int, key: str, bucket: int = 0, of: str = "orders", type_: str = "t") -> Row:
    return Row(position, bucket, f"{of}/{key}", f"id-{position}", of, key, type_, b"{}")


def record(one: Row) -> OutgoingRecord:
    if one.type == "bad":
        raise BadRowError("it is bad")
    return OutgoingRecord(str(one.aggregatetype), b"", b"", [], str(one.id))


def open_desk(on_bad_row: OnBadRow = OnBadRow.WAIT, buckets: int = 1) -> Desk:
    desk = Desk(record, on_bad_row, AGAIN_S)
    for bucket in range(buckets):
        desk.add(bucket)
        desk.opened(bucket)
    return desk


def taken(desk: Desk, *rows: Row, now: float = 0.0) -> tuple[Batch, ...]:
    return desk.take(rows, now).batches


def positions(batch: Batch) -> list[int]:
    return [one.position for one in batch.rows]


def test_nothing_is_read_before_a_bucket_is_open() -> None:
    """What an earlier owner has sent must have come to its end first."""
    desk = Desk(record, OnBadRow.WAIT, AGAIN_S)
    desk.add(3)
    assert desk.ask(0.0) is None
    desk.opened(3)
    assert desk.ask(0.0) == Ask((3,))


def test_a_bucket_is_read_again_once_its_rows_are_marked() -> None:
    """While rows are on their way nothing of their bucket is read; other buckets are."""
    desk = open_desk(buckets=2)
    (batch,) = taken(desk, row(1, "a"), row(2, "b"))
    assert positions(batch) == [1, 2]
    assert desk.ask(0.0) == Ask((1,))
    desk.done(batch)
    assert desk.ask(0.0) == Ask((0, 1))


def test_a_failed_batch_comes_again_only_after_the_fence() -> None:
    """Nobody knows what became of it, so its bucket has to be opened anew."""
    desk = open_desk()
    (batch,) = taken(desk, row(1, "a"))
    desk.failed(batch)
    assert desk.ask(0.0) is None
    desk.opened(0)
    assert desk.ask(0.0) == Ask((0,))


def test_a_failed_batch_comes_again_in_parts() -> None:
    """It may have been more than a transaction has time for: half as many rows, and more again once
    those have come through."""
    desk = open_desk()
    rows = [row(n, f"k{n}") for n in range(8)]
    sizes = []
    for fails in (True, True, True, True, False, False, False):
        (batch,) = taken(desk, *rows)
        sizes.append(len(batch.rows))
        if fails:
            desk.failed(batch)
            desk.opened(0)
        else:
            desk.done(batch)
    assert sizes == [8, 4, 2, 1, 1, 2, 4]


def test_a_bad_row_holds_what_is_behind_it() -> None:
    """What is before it in its queue goes, what is behind it waits, other queues go on; after a
    while it is looked at again."""
    desk = open_desk()
    rows = [row(1, "a"), row(2, "a", type_="bad"), row(3, "a"), row(4, "b")]
    work = desk.take(rows, 0.0)
    assert [positions(one) for one in work.batches] == [[1, 4]]
    assert [(one.row.position, one.aside) for one in work.bad] == [(2, False)]
    desk.done(work.batches[0])
    assert desk.ask(AGAIN_S - 0.1) == Ask((0,), queues=("orders/a",))
    assert desk.ask(AGAIN_S) == Ask((0,))


def test_a_skipped_row_holds_nothing() -> None:
    """With `skip` it is to be set aside, and its queue goes on."""
    desk = open_desk(OnBadRow.SKIP)
    work = desk.take([row(1, "a", type_="bad"), row(2, "a")], 0.0)
    assert [positions(one) for one in work.batches] == [[2]]
    assert [(one.row.position, one.aside) for one in work.bad] == [(1, True)]


def test_a_refused_row_is_found_by_halves() -> None:
    """Kafka may refuse a whole batch for one record: only a row that was refused alone is bad, all
    else is published, and the batches grow again."""
    desk = open_desk()
    rows = [row(n, f"k{n}") for n in range(1, 65)]
    waiting, published, sizes = list(rows), [], []
    for _ in range(40):
        ask = desk.ask(0.0)
        assert ask is not None
        batches = taken(desk, *(one for one in waiting if one.queue not in ask.queues))
        if not batches:
            break
        (batch,) = batches
        sizes.append(len(batch.rows))
        if 40 in positions(batch):
            bad = desk.refused(batch, dict.fromkeys(range(len(batch.rows)), TOO_LARGE), 0.0)
            assert [one.row.position for one in bad] == ([40] if len(batch.rows) == 1 else [])
            desk.again(batch)
        else:
            published += positions(batch)
            waiting = [one for one in waiting if one not in batch.rows]
            desk.done(batch)
    assert published == [n for n in range(1, 65) if n != 40]
    assert len(sizes) < 20


def test_a_missing_topic_holds_only_what_goes_there() -> None:
    """It is said once, and holds its aggregatetype however many keys there are."""
    desk = open_desk()
    (batch,) = taken(desk, row(1, "a", of="gone"), row(2, "b", of="gone"), row(3, "a"))
    bad = desk.refused(batch, {0: NO_TOPIC, 1: NO_TOPIC}, 0.0)
    desk.again(batch)
    assert [one.row.position for one in bad] == [1]
    assert desk.ask(0.0) == Ask((0,), types=("gone",))


def test_a_refusal_that_names_nobody_is_narrowed_down() -> None:
    """Where all records of several topics were refused, smaller batches show whose fault it is."""
    desk = open_desk()
    (batch,) = taken(desk, row(1, "a", of="denied"), row(2, "a"))
    assert desk.refused(batch, {0: NO_TOPIC, 1: NO_TOPIC}, 0.0) == []
    desk.again(batch)
    (batch,) = taken(desk, row(1, "a", of="denied"), row(2, "a"))
    assert positions(batch) == [1]
    desk.refused(batch, {0: NO_TOPIC}, 0.0)
    desk.again(batch)
    assert desk.ask(0.0) == Ask((0,), types=("denied",))


def test_a_bucket_that_leaves_is_not_read_any_more() -> None:
    """It can be given back once what is on its way is marked."""
    desk = open_desk(buckets=2)
    (batch,) = taken(desk, row(1, "a"))
    desk.leave(0)
    assert desk.left() == []
    desk.done(batch)
    assert desk.ask(0.0) == Ask((1,))
    assert desk.left() == [0]
    desk.remove(0)
    assert desk.buckets == (1,)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=25),
    st.data(),
    st.sampled_from(OnBadRow),
)
def test_no_row_overtakes_its_queue(
    written: list[tuple[str, bool]], data: st.DataObject, on_bad_row: OnBadRow
) -> None:
    """Whatever is bad, refused or fails: the rows of a queue are published in order, and with
    `wait` none of them before a bad one is mended."""
    desk = open_desk(on_bad_row)
    waiting = [row(n, key, type_="bad" if bad else "t") for n, (key, bad) in enumerate(written, 1)]
    published: dict[str, list[int]] = defaultdict(list)
    for turn in range(60):
        ask = desk.ask(float(turn))
        assert ask is not None
        work = desk.take([one for one in waiting if one.queue not in ask.queues], float(turn))
        waiting = [
            one
            for one in waiting
            if one.position not in {b.row.position for b in work.bad if b.aside}
        ]
        for batch in work.batches:
            match data.draw(st.sampled_from(("done", "done", "failed", "refused"))):
                case "done":
                    for one in batch.rows:
                        published[one.queue].append(one.position)
                    waiting = [one for one in waiting if one not in batch.rows]
                    desk.done(batch)
                case "failed":
                    desk.failed(batch)
                    desk.opened(batch.bucket)
                case _:
                    place = data.draw(st.integers(0, len(batch.rows) - 1))
                    aside = {
                        one.row.position
                        for one in desk.refused(batch, {place: TOO_LARGE}, float(turn))
                        if one.aside
                    }
                    waiting = [one for one in waiting if one.position not in aside]
                    desk.again(batch)
    for queue, order in published.items():
        assert order == sorted(order)
        if on_bad_row is OnBadRow.WAIT:
            of_queue = [n for n, (key, _) in enumerate(written, 1) if f"orders/{key}" == queue]
            assert order == of_queue[: len(order)]


@pytest.mark.parametrize("fault", Fault)
def test_every_refusal_ends_somewhere(fault: Fault) -> None:
    """A single row that is refused holds something, so that it is not tried again at once."""
    desk = open_desk()
    (batch,) = taken(desk, row(1, "a"))
    assert desk.refused(batch, {0: Refusal(fault, "no")}, 0.0)
    desk.again(batch)
    assert desk.held == 1
