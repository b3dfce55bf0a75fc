"""Bounds that hold at any speed: what the fan-out holds of an event partition does not grow with
the events it has taken, redirected or delivered, nor with the keys it has seen."""

from hooklane.fanout.partition import EventPartition
from hooklane.fanout.redirect import Redirect
from tests.support.fanout_facts import entry, event, partition
from tests.support.held import held

_FEW, _MANY = 500, 5_000
_A_TRANSACTION = 50
_SLACK = 20
"""Objects: integers above 256 are objects of their own, smaller ones are Python's."""


def take(one: EventPartition, events: int, keys: int, *, dead: bool) -> None:
    """So many events for a subscriber that is dead, or to whom each is delivered at once."""
    entries = [entry()]
    for offset in range(one.ledger.position, one.ledger.position + events):
        [delivery] = one.admit(event(offset, b"%d" % (offset % keys)), entries, 0.0)
        if dead:
            one.draft.redirect(Redirect(delivery))
        else:
            one.draft.settle(delivery)
        if offset % _A_TRANSACTION == 0:
            one.draft.take(_A_TRANSACTION * 2)
    while one.draft.take(_A_TRANSACTION * 2):
        pass


def test_redirects_leave_nothing_but_their_lanes() -> None:
    """Promise of bounded memory: a dead subscriber's backlog is in Kafka, whatever its length."""
    short, long = partition(), partition()
    take(short, _FEW, keys=20, dead=True)
    take(long, _MANY, keys=20, dead=True)
    assert len(long.lanes.blocked_lanes) == 20
    assert held(long) <= held(short) + _SLACK


def test_deliveries_leave_nothing_whatever_their_keys() -> None:
    """Promise of bounded memory: keys that were seen are not remembered."""
    short, long = partition(), partition()
    take(short, _FEW, keys=20, dead=False)
    take(long, _MANY, keys=_MANY, dead=False)
    assert held(long) <= held(short) + _SLACK


def test_released_lanes_leave_nothing() -> None:
    """Promise of bounded memory: when the backlog is drained the fan-out is as it was before."""
    one = partition()
    take(one, 1, keys=1, dead=False)
    before = held(one)
    take(one, _MANY, keys=_FEW, dead=True)
    for lane in list(one.lanes.blocked_lanes):
        one.lanes.release(lane, _MANY)
    while one.draft.take(_A_TRANSACTION):
        pass
    assert held(one) <= before + _SLACK
