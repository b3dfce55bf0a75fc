"""What happens to a lane that waits when its subscription's document changes, and between versions.

Pure decisions of both services, one after the other on the same lane.
"""

from dataclasses import replace

import pytest

from hooklane.fanout.gate import LaneGate
from hooklane.fanout.lanes import LaneTable
from hooklane.fanout.schedule import Verdict
from hooklane.retrier.commands import WriteRelease
from hooklane.schemas.book import Entry
from hooklane.schemas.topics import LaneKey
from tests.support.fanout_facts import PLACE, entry, event, partition
from tests.support.receivers import OpenTo
from tests.support.retrier_facts import (
    DELIVERED,
    Documents,
    attempts,
    releases,
    sequences,
    stand,
    task,
)


def gate(lanes: LaneTable, document: Entry) -> LaneGate:
    return LaneGate(Documents(document), {PLACE: lanes}, OpenTo(), 8)


def test_events_after_a_switch_to_no_order_do_not_wait_for_the_old_lane() -> None:
    """Rule 1 and section 3: a delivery keeps the lane it was born in; those of a document that says
    `ordering: none` are lanes of their own, which a blocked lane of the key does not hold up."""
    one = partition()
    by_key, at_once = entry(ordering="key"), entry(offset=1, ordering="none")
    (before,) = one.admit(event(0), [by_key], 0.0)
    one.lanes.redirect(before.lane, before.sequence)
    (behind,) = one.admit(event(1), [by_key], 0.0)
    (after,) = one.admit(event(2), [at_once], 0.0)
    assert behind.lane == before.lane != after.lane
    assert gate(one.lanes, by_key).judge(behind) is Verdict.REDIRECT
    assert gate(one.lanes, at_once).judge(behind) is Verdict.REDIRECT
    assert gate(one.lanes, at_once).judge(after) is Verdict.ATTEMPT


def test_a_switch_back_finds_the_lane_as_blocked_as_it_was() -> None:
    """Rule 1: while something of the lane waits in the backlog, an event of the key follows it."""
    one = partition()
    (before,) = one.admit(event(0), [entry()], 0.0)
    one.lanes.redirect(before.lane, before.sequence)
    one.admit(event(1), [entry(offset=1, ordering="none")], 0.0)
    (back,) = one.admit(event(2), [entry(offset=2)], 0.0)
    assert back.lane == before.lane
    assert one.lanes.is_blocked(back.lane)
    assert one.lanes.release(back.lane, before.sequence)
    assert not one.lanes.is_blocked(back.lane)


@pytest.mark.parametrize(
    ("ordering", "one_shot", "released"),
    [("none", False, [2]), ("key", True, [])],
    ids=["a lane by key under a document without order", "one-shots under a document by key"],
)
def test_what_waits_goes_on_as_it_was_born(
    ordering: str, one_shot: bool, released: list[int]
) -> None:
    """Rules 8 and 9: the order within a lane, and whether it gets a release, are its tasks' own;
    the document's `ordering` is of what comes."""
    bench = stand(entry(offset=9, ordering=ordering))
    lanes = ("l", "m") if one_shot else ("l", "l")
    for sequence, lane in zip((1, 2), lanes, strict=True):
        bench.redirect(replace(task(sequence, lane), one_shot=one_shot))
    begun = attempts(bench.start())
    assert sequences(begun) == ([1, 2] if one_shot else [1])
    found: list[WriteRelease] = []
    while begun:
        commands = bench.ends(begun.pop(0), DELIVERED)
        begun += attempts(commands)
        found += releases(bench.ack(*commands))
    assert [one.owed.sequence for one in found] == released


def test_an_edit_counts_for_what_waits_from_its_next_attempt_on() -> None:
    """Section 3 and rule 10: URL, secret and schedule of the newest document apply to the backlog;
    an attempt under way ends by the document that it began with."""
    bench = stand(entry(offset=0))
    bench.redirect(task(1))
    (first,) = attempts(bench.start())
    bench.book.put(offset=5, url="http://127.0.0.1:2/", retry={"schedule": ["30s"]})
    assert first.entry.subscription.url != "http://127.0.0.1:2/"
    bench.ack(*bench.ends(first, DELIVERED))
    bench.redirect(task(2))
    (second,) = attempts(bench.start())
    assert second.entry.offset == 5
    assert second.entry.subscription.url == "http://127.0.0.1:2/"


def test_between_versions_a_lane_waits_and_is_never_overtaken() -> None:
    """Rule 12: of two versions side by side the older one leaves a lane with a newer task to the
    newer one, tasks behind it included, and goes on with all other lanes."""
    bench = stand(entry())
    bench.unreadable(1, "l")
    bench.redirect(task(2, "l"), task(3, "m"))
    assert sequences(attempts(bench.start())) == [3]


def test_between_versions_a_newer_lane_record_blocks() -> None:
    """Rules 5 and 12: to wait is safe, to overtake is not: an older fan-out takes a lane whose
    record it cannot read for blocked, whatever the releases say."""
    table = LaneTable()
    (found,) = partition().admit(event(0), [entry()], 0.0)
    table.restore(LaneKey.BLOCKED, found.lane, (1 << 63) - 1)
    table.restored()
    assert table.is_blocked(found.lane)
    assert not table.release(found.lane, 7)
    assert table.is_blocked(found.lane)
