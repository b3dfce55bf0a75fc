"""What the demonstration finds wrong at a receiver: each fault is told, and nothing else is."""

import pytest

from hooklane.ops.demo_tally import Arrival, Tally

PUBLISHED = {"a": ("k1", 0), "b": ("k1", 1), "c": ("k2", 2), "d": ("k1", 5)}
"""Events by id: their key and Kafka's offset."""


def tally() -> Tally:
    """A receiver that wants four events, three of them of one key."""
    found = Tally()
    for name, (key, offset) in PUBLISHED.items():
        found.expect(name, key, sent_s=10.0)
        found.published(name, offset)
    return found


def arrival(name: str, **other: object) -> Arrival:
    """`name` as it should come, accepted, but for what `other` says."""
    key, offset = PUBLISHED.get(name, ("k9", 9))
    values: dict[str, object] = {
        "event_id": name,
        "key": key,
        "sequence": offset,
        "attempt": 1,
        "verified": True,
        "accepted": True,
        "at_s": 10.5,
    }
    return Arrival(**{**values, **other})  # type: ignore[arg-type]


def seen(*arrivals: Arrival) -> Tally:
    found = tally()
    for one in arrivals:
        found.arrive(one)
    return found


def all_but(*names: str) -> list[Arrival]:
    return [arrival(name) for name in PUBLISHED if name not in names]


def test_a_perfect_day_has_no_fault() -> None:
    """Every event once, verified and in order: nothing is said, and everything is counted."""
    found = seen(*all_but())
    assert found.faults() == []
    assert (found.delivered, found.waiting, found.requests, found.verified) == (4, 0, 4, 4)
    assert (found.retried, found.refused, found.repeated, found.lanes) == (0, 0, 0, 2)


def test_keys_may_overtake_each_other() -> None:
    """Order is a key's: another key's event may come at any time."""
    assert seen(*(arrival(name) for name in "cabd")).faults() == []


def test_a_refused_event_that_comes_again_in_its_turn_is_in_order() -> None:
    """Refused, retried and accepted before the next of its key: that is what a retry is."""
    refused = arrival("a", accepted=False)
    found = seen(refused, arrival("c"), arrival("a", attempt=2), arrival("b"), arrival("d"))
    assert found.faults() == []
    assert (found.refused, found.retried) == (1, 1)


def test_a_repeated_delivery_is_no_fault() -> None:
    """At least once is the promise: the repeat is counted and breaks nothing."""
    found = seen(*all_but(), arrival("a"))
    assert (found.faults(), found.repeated, found.delivered) == ([], 1, 4)


def test_an_event_from_outside_is_only_counted() -> None:
    """Somebody else's event, as with --keep, is neither missing nor in the way."""
    found = seen(arrival("visitor"), *all_but())
    assert (found.faults(), found.strangers) == ([], 1)


@pytest.mark.parametrize(
    ("arrivals", "fault"),
    [
        (all_but("c"), "1 never came: c"),
        (all_but("a", "b", "c", "d"), "4 never came: a, b, c, d"),
        ([*all_but("c"), arrival("c", accepted=False)], "1 never came: c"),
        ([arrival(name) for name in "bacd"], "not in order: b came out of turn"),
        (
            [arrival("a", accepted=False), arrival("b"), arrival("a"), arrival("c"), arrival("d")],
            "not in order: b overtook a",
        ),
        (
            [arrival("a", accepted=False), arrival("b", accepted=False), *all_but()],
            "not in order: b overtook a",
        ),
        ([*all_but("c"), arrival("c", verified=False)], "1 without a valid signature: c"),
        ([*all_but("c"), arrival("c", key="k1")], "1 with another key than the one they were"),
        ([*all_but("d"), arrival("d", sequence=4)], "hooklane-sequence that is not Kafka's"),
        ([*all_but("d"), arrival("d", sequence=1)], "d has a sequence that is not above that of b"),
        ([*all_but("d"), arrival("d", sequence=-1)], "hooklane-sequence that is not Kafka's"),
    ],
)
def test_each_fault_is_noticed(arrivals: list[Arrival], fault: str) -> None:
    """A missing, inverted, unverified or misnamed delivery is told with its event."""
    assert fault in "; ".join(seen(*arrivals).faults())


def test_an_unverified_request_counts_for_nothing() -> None:
    """What may be forged is not a delivery, so the event is missing as well."""
    found = seen(*all_but("c"), arrival("c", verified=False))
    assert "1 never came: c" in found.faults()
    assert (found.requests, found.verified, found.in_order) == (4, 3, True)


def test_an_offset_that_is_told_late_is_compared_all_the_same() -> None:
    """The event may be delivered before the publisher hears of its offset."""
    found = Tally()
    found.expect("a", "k1", 0.0)
    found.arrive(arrival("a", sequence=7))
    found.published("a", 8)
    assert "hooklane-sequence" in found.faults()[0]


def test_many_faults_of_a_kind_are_cut_short() -> None:
    """Five are named, the others counted."""
    found = Tally()
    for number in range(8):
        found.expect(str(number), "k", 0.0)
    assert found.faults() == ["8 never came: 0, 1, 2, 3, 4 and 3 more"]


def test_latency_is_from_publishing_to_the_2xx() -> None:
    """By share of the events, and on demand only of those published in a span."""
    found = tally()
    for number, one in enumerate(all_but()):
        found.arrive(arrival(one.event_id, at_s=11.0 + number))
    assert found.latency_s(0.5) == 3.0
    assert found.latency_s(1.0) == 4.0
    assert found.latency_s(0.5, (11.0, 12.0)) is None
