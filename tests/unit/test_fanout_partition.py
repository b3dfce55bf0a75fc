"""From an event and its matches to deliveries; the owned partitions; the subscriptions in force."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hooklane.fanout.delivery import Place
from hooklane.fanout.lanes import LaneTable
from hooklane.fanout.ledger import LedgerState
from hooklane.fanout.match import Matcher
from hooklane.fanout.owned import OwnedPartitions
from hooklane.fanout.partition import EventPartition
from hooklane.fanout.subscribed import Subscribed
from hooklane.runtime.group_client import Assigned
from hooklane.schemas.book import BookChange, ChangeKind, Entry
from hooklane.schemas.lane import LaneNamer, subscriber_digest
from hooklane.schemas.records import Partial
from tests.support.fanout_facts import PLACE, entry, event, partition

A, B = subscriber_digest("a", "u"), subscriber_digest("b", "u")


def test_a_delivery_has_the_names_that_every_service_computes() -> None:
    """Section 1: lane, webhook id and the ledger's digest, from group, subscription and place."""
    one = partition(offset=5)
    (found,) = one.admit(event(5), [entry("a", 3)], 7.5)
    namer = LaneNamer("g", "a", "u", "T", 0)
    assert (found.lane, found.webhook_id) == (namer.lane(b"k"), namer.webhook_id(5))
    assert (found.subscriber, found.subscription, found.uid) == (A, "a", "u")
    assert (found.place, found.sequence, found.event) == (PLACE, 5, event(5))
    assert (found.config_offset, found.admitted, found.one_shot) == (3, 7.5, False)


def test_events_of_a_key_share_a_lane_and_others_do_not() -> None:
    """Section 1: a lane is one key to one subscription; a null key is not an empty key."""
    one = partition()
    lanes = [
        one.admit(event(offset, key), [entry("a")], 0.0)[0].lane
        for offset, key in enumerate((b"k", b"k", b"other", b""))
    ]
    assert lanes[0] == lanes[1]
    assert len(set(lanes)) == 3
    assert len({found.lane for found in one.admit(event(4), [entry("a"), entry("b")], 0.0)}) == 2


@pytest.mark.parametrize(
    ("key", "document"),
    [
        pytest.param(None, entry("a"), id="a null key"),
        pytest.param(b"k", entry("a", ordering="none"), id="ordering none"),
    ],
)
def test_one_shot_lanes(key: bytes | None, document: Entry) -> None:
    """Section 1: each delivery is a lane of its own, whose digest takes the offset in."""
    one = partition()
    found = [one.admit(event(offset, key), [document], 0.0)[0] for offset in range(2)]
    assert all(each.one_shot for each in found)
    assert found[0].lane != found[1].lane
    assert found[0].lane == LaneNamer("g", "a", "u", "T", 0).one_shot(key, 0)


def test_what_an_earlier_owner_settled_is_not_delivered_again() -> None:
    """Rule 4: the ledger says per delivery what is settled, and a new owner carries it over."""
    inherited = LedgerState(5, partial=(Partial(5, (A,)),))
    one = EventPartition(PLACE, "g", inherited, LaneTable())
    found = one.admit(event(5), [entry("a"), entry("b")], 0.0)
    assert [each.subscription for each in found] == ["b"]
    assert one.ledger.state() == LedgerState(5, (), (Partial(5, (A,)),))
    one.draft.settle(found[0])
    assert one.ledger.committable == 6


def test_a_subscription_made_again_is_another_subscriber() -> None:
    """Section 6: another `uid` is another subscription, which has had nothing yet."""
    inherited = LedgerState(4, partial=(Partial(5, (A,)),))
    one = EventPartition(PLACE, "g", inherited, LaneTable())
    one.admit(event(4), [entry("a")], 0.0)
    (found,) = one.admit(event(5), [entry("a", uid="other")], 0.0)
    assert found.subscriber == subscriber_digest("a", "other")
    assert found.lane != LaneNamer("g", "a", "u", "T", 0).lane(b"k")


def test_an_event_that_nobody_wants_is_settled() -> None:
    """Rule 4: an event without deliveries holds no offset up and takes no room."""
    one = partition()
    assert one.admit(event(0, data=bytes(100)), [], 0.0) == []
    one.pass_over(1)
    assert (one.ledger.committable, one.ledger.open_bytes) == (2, 0)


def test_an_event_that_was_delivered_to_everybody_is_settled() -> None:
    """If all of its deliveries are settled by the ledger, nothing waits."""
    inherited = LedgerState(5, partial=(Partial(5, (A, B)),))
    one = EventPartition(PLACE, "g", inherited, LaneTable())
    assert one.admit(event(5, data=bytes(9)), [entry("a"), entry("b")], 0.0) == []
    assert (one.ledger.committable, one.ledger.open_bytes) == (6, 0)


def test_what_is_open_is_measured_by_its_data() -> None:
    """The window is bounded by the bytes of open events, whose age is that of their record."""
    one = partition()
    found = one.admit(event(0, data=bytes(100)), [entry("a"), entry("b")], 0.0)
    assert (one.ledger.open_bytes, one.ledger.open_deliveries, one.ledger.oldest_ms) == (
        100,
        2,
        1_000,
    )
    for each in found:
        one.draft.settle(each)
    assert (one.ledger.open_bytes, one.ledger.oldest_ms) == (0, None)


@settings(deadline=None)
@given(st.sets(st.sampled_from("abcdef")), st.sets(st.sampled_from("abcdef")))
def test_settled_and_delivered_are_all_that_match(settled: set[str], matching: set[str]) -> None:
    """Durability: of those that match, each is either settled by the ledger or delivered now."""
    partial = Partial(5, tuple(subscriber_digest(name, "u") for name in sorted(settled)))
    one = EventPartition(PLACE, "g", LedgerState(5, partial=(partial,)), LaneTable())
    found = one.admit(event(5), [entry(name) for name in sorted(matching)], 0.0)
    assert {each.subscription for each in found} == matching - settled
    assert one.ledger.open_deliveries == len(matching - settled)


# The owned partitions.


def test_owned_partitions_are_found_by_both_names() -> None:
    """The group knows a partition by its topic's name, its lanes by the topic's id."""
    owned, one, two = OwnedPartitions(), partition(0), partition(1)
    owned.add(one)
    owned.add(two)
    assert owned.named(Assigned("orders", 1)) is two
    assert owned.at(Place("orders", "T", 0)) is one
    assert owned.at(Place("orders", "another id", 0)) is None
    assert owned.of([Assigned("orders", 1), Assigned("orders", 9)]) == [two]
    assert (list(owned), len(owned)) == ([one, two], 2)
    assert owned.lanes == {one.place: one.lanes, two.place: two.lanes}


def test_what_is_removed_is_found_no_more() -> None:
    """Rule 6: after a partition was let go, nobody finds it, nor its lanes."""
    owned, one = OwnedPartitions(), partition()
    owned.add(one)
    name = Assigned("orders", 0)
    assert owned.remove(name) is one
    assert owned.remove(name) is None
    assert (owned.named(name), owned.at(one.place), owned.holds(one)) == (None, None, False)
    assert (list(owned), len(owned), dict(owned.lanes)) == ([], 0, {})


def test_only_this_very_assignment_is_held() -> None:
    """What an earlier assignment of the same partition had is not what this one has."""
    owned, old, new = OwnedPartitions(), partition(), partition()
    owned.add(old)
    owned.remove(Assigned("orders", 0))
    owned.add(new)
    assert (owned.holds(old), owned.holds(new)) == (False, True)


def test_partitions_may_go_while_one_looks_at_them() -> None:
    """A loss in the middle of a round over the partitions breaks nothing."""
    owned = OwnedPartitions()
    for number in range(3):
        owned.add(partition(number))
    seen = []
    for one in owned:
        seen.append(one.place.partition)
        owned.remove(Assigned("orders", 2))
    assert seen == [0, 1, 2]


# The subscriptions in force.


def change(kind: ChangeKind, after: Entry | None = None, name: str = "a") -> BookChange:
    return BookChange(kind, name, entry=after)


def matching(subscribed: Subscribed) -> list[tuple[str, int]]:
    return [(each.id, each.offset) for each in subscribed.match(event(0))]


def test_gate_and_matcher_say_the_same_at_every_change() -> None:
    """An event is matched by a document if and only if the gate knows that document."""
    subscribed = Subscribed(Matcher())
    paused = entry("a", 2, state="paused")
    steps = [
        (change(ChangeKind.ADDED, entry("a", 1)), [("a", 1)]),
        (change(ChangeKind.UPDATED, paused), [("a", 2)]),
        (change(ChangeKind.STATUS, replace(paused, offset=2)), [("a", 2)]),
        (change(ChangeKind.BAD, paused), [("a", 2)]),
        (change(ChangeKind.CLEARED), [("a", 2)]),
        (change(ChangeKind.ADDED, entry("b", 4), "b"), [("a", 2), ("b", 4)]),
        (change(ChangeKind.REMOVED), [("b", 4)]),
        (change(ChangeKind.REMOVED), [("b", 4)]),
        (change(ChangeKind.REMOVED, name="b"), []),
    ]
    for step, expected in steps:
        subscribed.follow(step)
        assert matching(subscribed) == expected
        known = [subscribed.entry(name) for name in ("a", "b")]
        assert [(each.id, each.offset) for each in known if each is not None] == expected
