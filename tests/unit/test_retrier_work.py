"""The workshop: commands are carried out, answers come back, nothing starts unfenced."""

import asyncio

import pytest

from hooklane.delivery.circuit import CircuitTerms
from hooklane.retrier.standing import TicketPlace
from hooklane.schemas.records import AttemptOutcome
from tests.support.fanout_facts import counted, entry
from tests.support.retrier_facts import DELIVERED, FAILED, GONE, NOW_MS, lane_id, task
from tests.support.retrier_loop import Shop, until

URL = "http://127.0.0.1:1/"


def test_a_delivery_as_it_goes_out() -> None:
    """Section 5: the webhook's id and sequence are the task's, the document is the newest."""
    shop = Shop()
    of = task(5, attempts=2, due_ms=0, run="r1")
    shop.redirect(of)
    shop.step()
    [running] = shop.receivers.started
    sent = running.delivery
    assert (sent.lane, sent.sequence, sent.webhook_id, sent.run) == (of.lane, 5, "msg_5", "r1")
    assert (sent.attempt, sent.event) == (3, of.event)
    assert sent.subscription is shop.book.entries["s"].subscription


def test_the_way_of_a_lane_to_its_release() -> None:
    """Rule 9: attempt, tombstone, next attempt, tombstone, and the release after the last ack."""
    shop = Shop()
    first, second = task(1), task(2)
    shop.redirect(first, second)
    shop.step()
    shop.receivers.end(first, DELIVERED)
    assert shop.receivers.sequences() == [1, 2]
    shop.ack()
    shop.receivers.end(second, DELIVERED)
    assert shop.writer.topics() == ["attempts", "backlog"]
    shop.ack()
    assert shop.writer.topics() == ["lanes"]
    shop.ack()
    assert shop.spool.owed(0) == []


def test_a_ticket_is_known_by_the_place_that_kafka_gave_it() -> None:
    """Rule 7: the offset of an open ticket is what the tier's commit stops before."""
    shop = Shop()
    of = task(1)
    shop.redirect(of)
    shop.step()
    shop.receivers.end(of, FAILED)
    assert shop.writer.topics() == ["attempts", "retry.5s"]
    shop.ack()
    found = shop.spool.get(of.lane, 1)
    assert found is not None
    assert (found.ticket, found.standing.attempts) == (TicketPlace("5s", 7), 1)


def test_gone_writes_status_and_letter() -> None:
    """Section 5: a 410 is written to the config topic; the letter's ack lets the task go."""
    shop = Shop()
    of = task(1)
    shop.redirect(of)
    shop.step()
    shop.receivers.end(of, GONE)
    assert shop.writer.topics() == ["attempts", "subscriptions", "dead-letters"]
    shop.ack()
    assert shop.writer.topics() == ["backlog"]


def test_what_is_counted() -> None:
    """Section 7: attempts by outcome, their latency, and dead letters once they are written."""
    shop = Shop(entry(retry={"schedule": []}))
    one, two = task(1, "a"), task(2, "b")
    shop.redirect(one, two)
    shop.step()
    assert shop.metrics.attempts_in_flight.value == 2
    shop.receivers.end(one, DELIVERED)
    shop.receivers.end(two, FAILED)
    assert shop.metrics.attempts[AttemptOutcome.DELIVERED].value == 1
    assert shop.metrics.attempts[AttemptOutcome.FAILED].value == 1
    assert shop.metrics.delivery_latency.sum == (NOW_MS - one.event.timestamp_ms) / 1000
    assert shop.metrics.dead_letters._value.get() == 0
    shop.ack()
    assert shop.metrics.dead_letters._value.get() == 1
    assert counted(shop.metrics, "subscription_dead_letters_total", subscription="other") == 1
    assert counted(shop.metrics, "last_progress_timestamp_seconds") == NOW_MS / 1000


def test_the_latency_of_a_run_is_not_that_of_an_event() -> None:
    """Rule 12: a replay counts its attempts, and leaves the time from record to 2xx as it is."""
    shop = Shop()
    of = task(1, run="01JD")
    shop.redirect(of)
    shop.step()
    shop.receivers.end(of, DELIVERED)
    assert shop.metrics.attempts[AttemptOutcome.DELIVERED].value == 1
    assert shop.metrics.delivery_latency.sum == 0


def test_attempts_in_flight_are_counted_down() -> None:
    """Section 7: an idle retrier shows no attempt under way."""
    shop = Shop()
    of = task(1)
    shop.redirect(of)
    shop.step()
    shop.receivers.end(of, DELIVERED)
    assert shop.metrics.attempts_in_flight.value == 0


def test_nothing_starts_while_the_fence_is_closed() -> None:
    """Self-fencing: no attempt starts unless the last poll returned lately."""
    shop = Shop()
    shop.redirect(task(1))
    shop.clock.seconds = 3.0
    shop.step()
    assert shop.receivers.started == []
    shop.around.fence.polled(3.0)
    shop.clock.seconds = 3.5
    shop.step()
    assert shop.receivers.sequences() == [1]


@pytest.mark.parametrize("outcome", [DELIVERED, FAILED])
def test_a_lane_does_not_go_on_while_the_fence_is_closed(outcome: object) -> None:
    """Self-fencing: the next task of a lane is an attempt like any other."""
    shop = Shop(entry(retry={"schedule": []}))
    shop.redirect(task(1), task(2))
    shop.step()
    shop.clock.seconds = 3.0
    shop.receivers.end(task(1), outcome)  # type: ignore[arg-type]
    shop.ack()
    assert shop.receivers.sequences() == [1]


def test_nothing_begins_while_writing_stands() -> None:
    """Promise of bounded memory: while Kafka acknowledges nothing, no delivery begins whose
    tombstone would only join the others; none is lost either."""
    shop = Shop()
    first, second = task(1), task(2)
    shop.redirect(first, second, task(1, "other"))
    shop.writer.is_behind = True
    shop.step()
    assert shop.receivers.sequences() == []
    shop.writer.is_behind = False
    shop.step()
    shop.writer.is_behind = True
    shop.receivers.end(first, DELIVERED)
    assert shop.receivers.sequences() == [1, 1]
    shop.writer.is_behind = False
    shop.ack()
    assert shop.receivers.sequences() == [1, 1, 2]


def test_an_open_circuit_lets_nothing_through() -> None:
    """Promise of isolation: lanes of a dead receiver wait, and cost no attempt."""
    shop = Shop(terms=CircuitTerms(threshold=1, cool_down_s=5.0))
    shop.redirect(task(1, "a"))
    shop.step()
    shop.receivers.end(task(1, "a"), FAILED)
    shop.redirect(task(2, "b"))
    shop.step()
    assert shop.receivers.sequences() == [1]


def test_one_probe_after_the_cool_down() -> None:
    """`Circuit`: after the cool-down one attempt may probe; the others wait for its outcome."""
    shop = Shop(terms=CircuitTerms(threshold=1, cool_down_s=1.0))
    shop.redirect(task(1, "a"))
    shop.step()
    shop.receivers.end(task(1, "a"), FAILED)
    shop.ack()
    shop.redirect(task(2, "b"), task(3, "c"), task(4, "d"))
    shop.clock.seconds = 1.5
    shop.step()
    assert len(shop.receivers.started) == 2


async def test_drain_waits_for_what_is_in_flight() -> None:
    """SIGTERM and revocations: an attempt under way may end, and what it leads to is written."""
    shop = Shop()
    of = task(1)
    shop.redirect(of, task(2), task(3, "other"))
    shop.step()
    draining = asyncio.create_task(shop.workshop.drain(0, 60.0))
    await asyncio.sleep(0)
    shop.redirect(task(4, "third"))
    shop.step()
    shop.receivers.end(of, DELIVERED)
    assert not draining.done()
    shop.receivers.end(task(3, "other"), FAILED)
    await asyncio.wait_for(draining, 5)
    assert sorted(shop.receivers.sequences()) == [1, 3]
    assert sorted(shop.writer.topics()) == ["attempts", "attempts", "backlog", "retry.5s"]


async def test_drain_cuts_off_what_does_not_end_in_time() -> None:
    """Rule 6's likeness: a short grace, then the rest is cancelled and left to the next owner."""
    shop = Shop()
    shop.redirect(task(1))
    shop.step()
    await asyncio.wait_for(shop.workshop.drain(0, 0.01), 5)
    assert shop.receivers.started[0].cancelled
    assert (shop.writer.written, shop.spool.tasks()) == ([], 1)


async def test_drain_of_an_idle_partition_returns_at_once() -> None:
    """Nothing in flight, nothing to wait for, also while another partition works."""
    shop = Shop(partitions=(0, 1))
    shop.redirect(task(1))
    shop.step()
    await asyncio.wait_for(shop.workshop.drain(1, 60.0), 5)
    assert not shop.receivers.started[0].cancelled


async def test_a_partition_cut_off_while_it_drains_ends_the_wait() -> None:
    """A loss in the middle of a shutdown does not hold it up for the grace."""
    shop = Shop()
    shop.redirect(task(1))
    shop.step()
    draining = asyncio.create_task(shop.workshop.drain(0, 60.0))
    await asyncio.sleep(0)
    shop.workshop.cut_off(0)
    await until(draining.done)
    assert shop.receivers.started[0].cancelled


async def test_two_drains_at_once_both_end_with_the_last_attempt() -> None:
    """A revocation while the process shuts down: neither waits for its grace in vain."""
    shop = Shop()
    shop.redirect(task(1))
    shop.step()
    drains = [asyncio.create_task(shop.workshop.drain(0, 60.0)) for _ in range(2)]
    await asyncio.sleep(0)
    shop.receivers.end(task(1), DELIVERED)
    await asyncio.wait_for(asyncio.gather(*drains), 5)
    assert not shop.receivers.started[0].cancelled


def test_cut_off_concerns_its_own_partition() -> None:
    """Others that stay go on."""
    shop = Shop(partitions=(0, 1))
    shop.redirect(task(1, "a"))
    shop.redirect(task(2, "b"), partition=1)
    shop.step()
    shop.workshop.cut_off(1)
    cancelled = {one.delivery.lane: one.cancelled for one in shop.receivers.started}
    assert cancelled == {lane_id("a"): False, lane_id("b"): True}


def test_a_failure_opens_the_circuit_by_lanes() -> None:
    """An origin is judged by its lanes: the circuit of the document's URL is told of each."""
    shop = Shop(terms=CircuitTerms(threshold=2, cool_down_s=5.0))
    shop.redirect(task(1, "a"), task(2, "b"))
    shop.step()
    shop.receivers.end(task(1, "a"), FAILED)
    assert not shop.circuits.refuses(URL, 0.0)
    shop.receivers.end(task(2, "b"), FAILED)
    assert shop.circuits.refuses(URL, 0.0)


async def test_a_rate_limit_lets_the_next_one_start_by_itself() -> None:
    """Section 6: over its rate a lane waits, and begins at its moment without a look or a tick."""
    shop = Shop(entry(delivery={"rate_limit": "20/s"}))
    shop.redirect(task(1, "a"), task(1, "b"), task(1, "c"))
    shop.step()
    assert len(shop.receivers.started) == 1
    shop.clock.seconds += 0.06
    await until(lambda: len(shop.receivers.started) == 2)


async def test_a_lane_does_not_go_on_above_its_rate() -> None:
    """Section 6: the next task of a lane that was delivered is an attempt like any other."""
    shop = Shop(entry(delivery={"rate_limit": "1000/h"}))
    first, second = task(1), task(2)
    shop.redirect(first, second)
    shop.step()
    shop.receivers.end(first, DELIVERED)
    assert shop.receivers.sequences() == [1]


def test_halted_lanes_are_looked_at_where_writing_goes_on() -> None:
    """Self-fencing: who may have been taken for dead discards nothing."""
    shop = Shop()
    shop.redirect(task(1, halted=True))
    shop.book.put(uid="another", offset=1)
    shop.clock.seconds = 100.0
    shop.workshop.look_at_halted()
    assert shop.writer.topics() == []
    shop.around.fence.polled(100.0)
    shop.clock.seconds = 100.5
    shop.workshop.look_at_halted()
    assert shop.writer.topics() == ["backlog"]
