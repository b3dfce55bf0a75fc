"""What becomes of deliveries that wait: retried, given up, halted, held, discarded."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from hooklane.schemas.records import DeadLetterReason
from tests.support.processes import ServiceProcess
from tests.support.site import Site
from tests.support.webhook_sink import Answer, WebhookSink


@contextmanager
def both(site: Site, spool: Path) -> Iterator[tuple[ServiceProcess, ServiceProcess]]:
    """A fan-out and a retrier, ready."""
    with ExitStack() as stack:
        fanout = stack.enter_context(site.fanout())
        retrier = stack.enter_context(site.retrier(RETRIER__SPOOL_DIR=str(spool)))
        fanout.wait_ready()
        retrier.wait_ready()
        yield fanout, retrier


def test_an_exhausted_schedule_makes_a_dead_letter_and_the_lane_goes_on(
    fast: Site, sink: WebhookSink, tmp_path: Path
) -> None:
    """Rule 10: the dead letter has the last attempt; the lane's next event is delivered."""
    sink.answer = lambda hit: Answer(500 if b'"n":0' in hit.body else 200)
    fast.subscribe("a", sink.url("a"), retry={"schedule": ["1s", "1s"]})
    with both(fast, tmp_path) as (_, retrier):
        fast.publish_numbers(["k", "k"])
        sink.wait_for(lambda: len(sink.hits) == 4)
        retrier.wait_for(lambda: retrier.metric("hooklane_dead_letters_total") == 1)
        retrier.wait_for(lambda: retrier.metric("hooklane_backlog_tasks") == 0)
        assert retrier.terminate() == 0
    [letter] = fast.dead_letters()
    assert (letter.reason, letter.attempts) == (DeadLetterReason.EXHAUSTED, 3)
    assert letter.last_attempt is not None
    assert (letter.last_attempt.attempt, letter.last_attempt.status) == (3, 500)
    assert [hit.body for hit in sink.hits] == [b'{"n":0}'] * 3 + [b'{"n":1}']
    assert fast.tasks() == {}


def test_retry_after_is_kept_whatever_the_tier(
    fast: Site, sink: WebhookSink, tmp_path: Path
) -> None:
    """Section 5: a receiver that asks for five seconds gets them, from both services."""

    def answer(hit: object) -> Answer:
        return Answer(503, (("retry-after", "3"),)) if len(sink.hits) <= 2 else Answer()

    sink.answer = answer
    fast.subscribe("a", sink.url("a"))
    with both(fast, tmp_path):
        fast.publish_numbers(["k"])
        sink.wait_for(lambda: len(sink.hits) == 3)
    first, second, third = (hit.at for hit in sink.hits)
    assert second - first >= 3.0
    assert third - second >= 3.0


def test_gone_sends_what_waits_to_the_dead_letters(
    fast: Site, sink: WebhookSink, tmp_path: Path
) -> None:
    """Section 5: a 410 at a retry disables; what waits is not lost and not attempted."""
    sink.answer = lambda hit: Answer(500 if len(sink.hits) == 1 else 410)
    fast.subscribe("a", sink.url("a"))
    with both(fast, tmp_path) as (fanout, retrier):
        fast.publish_numbers(["k", "k", "k", "k"])
        retrier.wait_for(lambda: retrier.metric("hooklane_backlog_tasks") == 4)
        retrier.wait_for(lambda: retrier.metric("hooklane_dead_letters_total") == 4)
        # Letters come first, tombstones behind them.
        retrier.wait_for(lambda: retrier.metric("hooklane_backlog_tasks") == 0)
        fast.publish_numbers(["other"])
        fanout.wait_for(lambda: fanout.metric("hooklane_dead_letters_total") == 1)
    assert len(sink.hits) == 2
    assert {letter.reason for letter in fast.dead_letters()} == {DeadLetterReason.DISABLED}
    assert fast.tasks() == {}


def test_paused_waits_and_resumed_goes_in_order(
    fast: Site, sink: WebhookSink, tmp_path: Path
) -> None:
    """Section 6: paused deliveries wait in the backlog, however long, and come in order."""
    fast.subscribe("a", sink.url("a"), state="paused")
    with both(fast, tmp_path) as (_, retrier):
        fast.publish_numbers(["k"] * 5)
        retrier.wait_for(lambda: retrier.metric("hooklane_backlog_tasks") == 5)
        assert sink.hits == []
        fast.subscribe("a", sink.url("a"))
        sink.wait_for(lambda: len(sink.hits) == 5)
    assert [hit.body for hit in sink.hits] == [b'{"n":%d}' % n for n in range(5)]


@pytest.mark.parametrize("deleted", [True, False])
def test_deleted_or_disabled_is_discarded(
    fast: Site, sink: WebhookSink, tmp_path: Path, deleted: bool
) -> None:
    """Section 6: what waits for it goes, without an attempt and without a dead letter."""
    sink.answer = lambda hit: Answer(500)
    fast.subscribe("a", sink.url("a"), retry={"schedule": ["4s", "4s"]})
    with both(fast, tmp_path) as (_, retrier):
        fast.publish_numbers(["k", "k", "j"])
        retrier.wait_for(lambda: retrier.metric("hooklane_backlog_tasks") == 3)
        if deleted:
            fast.configure(b"a", None)
        else:
            fast.subscribe("a", sink.url("a"), state="disabled")
        retrier.wait_for(lambda: retrier.metric("hooklane_backlog_tasks") == 0, 3.0)
        assert retrier.terminate() == 0
    assert fast.tasks() == {}
    assert fast.dead_letters() == []
    assert len(sink.hits) == 2


def test_halt_waits_for_an_operator(fast: Site, sink: WebhookSink, tmp_path: Path) -> None:
    """Rule 10: a halted lane is not tried again, not even by a restart without the spool."""
    sink.answer = lambda hit: Answer(500)
    fast.subscribe("a", sink.url("a"), retry={"schedule": ["1s"], "on_exhausted": "halt"})
    with both(fast, tmp_path) as (_, retrier):
        fast.publish_numbers(["k", "k"])
        sink.wait_for(lambda: len(sink.hits) == 2)
        retrier.wait_for(lambda: any(one.halted for one in fast.tickets("4s")))
        retrier.kill()
        for file in tmp_path.iterdir():
            file.unlink()
        retrier.start()
        retrier.wait_ready()
        retrier.wait_for(lambda: retrier.metric("hooklane_backlog_tasks") == 2)
        time.sleep(1.5)  # what must not happen cannot be waited for
    assert len(sink.hits) == 2


def test_attempt_counts_and_due_times_survive(
    fast: Site, sink: WebhookSink, tmp_path: Path
) -> None:
    """Restart: killed and without its spool, the retrier goes on where the tickets say."""
    sink.answer = lambda hit: Answer(500 if len(sink.hits) <= 3 else 200)
    fast.subscribe("a", sink.url("a"), retry={"schedule": ["1s", "2s", "4s"]})
    with both(fast, tmp_path) as (_, retrier):
        fast.publish_numbers(["k"])
        sink.wait_for(lambda: len(sink.hits) == 3)
        retrier.wait_for(lambda: len(fast.tickets("4s")) == 1)
        retrier.kill()
        for file in tmp_path.iterdir():
            file.unlink()
        retrier.start()
        sink.wait_for(lambda: len(sink.hits) == 4)
    assert [int(hit.headers["hooklane-attempt"]) for hit in sink.hits] == [1, 2, 3, 4]
    assert sink.hits[3].at - sink.hits[2].at >= 3.9
