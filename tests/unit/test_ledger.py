"""The ledger: what may be committed, and what stands above it."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooklane.fanout.ledger import Ledger, LedgerState
from hooklane.schemas.records import Partial, Span

A, B, C = b"aaaaaaaa", b"bbbbbbbb", b"cccccccc"


def ledger_at(offset: int) -> Ledger:
    return Ledger(LedgerState(offset))


def test_the_docstrings_example() -> None:
    """Of five events the first is half done: it holds the commit, the rest stands in the ledger."""
    ledger = ledger_at(10)
    for offset, subscribers in ((10, (A, B)), (11, (A,)), (12, (A, B)), (13, ()), (14, (B,))):
        ledger.admit(offset, subscribers)
    for offset, subscriber in ((10, A), (11, A), (12, A), (12, B)):
        ledger.settle(offset, subscriber)
    assert ledger.state() == LedgerState(10, (Span(11, 13),), (Partial(10, (A,)),))


def test_a_new_owner_delivers_only_what_is_not_settled() -> None:
    """The inherited ledger answers by event and by delivery, and is carried on until passed."""
    inherited = LedgerState(10, (Span(11, 13),), (Partial(10, (A,)), Partial(14, (C,))))
    ledger = Ledger(inherited)
    assert [ledger.is_settled(offset) for offset in range(10, 15)] == [
        False,
        True,
        True,
        True,
        False,
    ]
    assert ledger.settled_subscribers(10) == (A,)
    ledger.admit(10, (B,))
    assert ledger.state() == inherited
    ledger.settle(10, B)
    assert ledger.state() == LedgerState(11, (Span(11, 13),), (Partial(14, (C,)),))


def test_events_without_matches_move_the_commit_on() -> None:
    """An event that matches nobody is settled as soon as everything before it is."""
    ledger = ledger_at(0)
    ledger.admit(0, ())
    ledger.admit(5, ())
    assert ledger.committable == 6


def test_what_is_open_is_counted() -> None:
    """Deliveries and bytes are counted in when admitted, and out when settled."""
    ledger = ledger_at(0)
    ledger.admit(0, (A, B), 100)
    ledger.settle(0, A)
    assert (ledger.open_deliveries, ledger.open_bytes) == (1, 100)
    ledger.settle(0, B)
    ledger.settle(0, B)
    assert (ledger.open_deliveries, ledger.open_bytes) == (0, 0)


def test_offsets_only_rise() -> None:
    """An event that was admitted before is refused: it would be settled twice."""
    ledger = ledger_at(3)
    with pytest.raises(ValueError, match="after"):
        ledger.admit(2, (A,))


def reference(
    start: int, events: dict[int, set[bytes]], settled: Iterable[tuple[int, bytes]]
) -> tuple[int, set[int], dict[int, set[bytes]]]:
    """The plain twin: committed offset, wholly settled offsets above it, partly settled ones."""
    done: dict[int, set[bytes]] = {offset: set() for offset in events}
    for offset, subscriber in settled:
        done[offset].add(subscriber)
    position = max(events, default=start - 1) + 1
    unsettled = [offset for offset in events if events[offset] - done[offset]]
    committed = min(unsettled, default=position)
    whole = {offset for offset in range(committed, position) if offset not in unsettled}
    partly = {offset: done[offset] for offset in unsettled if done[offset]}
    return committed, whole, partly


@given(
    st.dictionaries(
        st.integers(0, 30), st.sets(st.sampled_from([A, B, C])), min_size=1, max_size=20
    ),
    st.data(),
)
def test_state_equals_the_plain_twin_and_survives_owners(
    events: dict[int, set[bytes]], data: st.DataObject
) -> None:
    """Whatever is settled in whatever order, through any number of owners, the state is right."""
    events = dict(sorted(events.items()))
    deliveries = [(offset, one) for offset in events for one in sorted(events[offset])]
    order = data.draw(st.permutations(deliveries))
    cut = data.draw(st.integers(0, len(order)))
    handovers = data.draw(st.integers(1, 3))
    state = LedgerState(0)
    settled: list[tuple[int, bytes]] = []
    for turn in range(handovers):
        ledger = Ledger(state)
        for offset in (one for one in events if one >= state.offset):
            if ledger.is_settled(offset):
                ledger.admit(offset, ())
                continue
            before = ledger.settled_subscribers(offset)
            ledger.admit(offset, [one for one in events[offset] if one not in before])
        share = order[cut * turn // handovers : cut * (turn + 1) // handovers]
        for offset, subscriber in share:
            ledger.settle(offset, subscriber)
        settled.extend(share)
        state = ledger.state()
    committed, whole, partly = reference(0, events, settled)
    assert state.offset == committed
    assert {o for span in state.settled for o in range(span.first, span.last + 1)} == whole
    assert {one.offset: set(one.subscribers) for one in state.partial} == partly
    assert all(a.last + 1 < b.first for a, b in zip(state.settled, state.settled[1:], strict=False))
