"""What the console keeps of attempts: the ring, the minutes, and what is made of them."""

import json
import math
import random
import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooklane.ops.attempts_view import AttemptSelection
from hooklane.ops.console.chart import HEIGHT, WIDTH, nice_top, outcome_chart
from hooklane.ops.console.health import health_rows
from hooklane.ops.console.known import Known
from hooklane.ops.console.minutes import MINUTE_MS, OUTCOMES, STEPS_MS, Minutes, Tally, step_of
from hooklane.ops.console.page_attempts import at_hand
from hooklane.ops.console.recent import RecentAttempts
from hooklane.ops.console.services import circuit_word, read_metrics
from hooklane.ops.console.waiting import waits_of
from hooklane.ops.lanes_view import KnownTask, TaskFacts, UnreadTask, WaitingLane
from hooklane.retrier.standing import Standing
from hooklane.schemas.book import SubscriptionBook
from hooklane.schemas.records import AttemptOutcome
from hooklane.schemas.subscription_values import ServicePolicy
from tests.support.operator_facts import an_attempt, lane_id

NOW = 1_700_000_000_000 // MINUTE_MS * MINUTE_MS
LANE = lane_id(1)


def add(minutes: Minutes, name: str, ago_min: int, outcome: AttemptOutcome, ms: float = 10) -> None:
    attempt = an_attempt(LANE, 1, NOW - ago_min * MINUTE_MS, subscription=name, outcome=outcome)
    minutes.add(0, ago_min, replace(attempt, duration_ms=ms), NOW)


def test_attempts_are_counted_by_subscription_and_minute() -> None:
    """Rates and the chart's bars are of the time that is asked for, and of the right one."""
    minutes = Minutes(120)
    for ago in (0, 1, 1, 59, 61):
        add(minutes, "a", ago, AttemptOutcome.DELIVERED)
    add(minutes, "a", 1, AttemptOutcome.FAILED)
    add(minutes, "b", 0, AttemptOutcome.REFUSED)
    hour = minutes.tallies(NOW - 60 * MINUTE_MS)
    assert (hour["a"].total, hour["a"].success) == (5, 4 / 5)
    assert (hour["b"].total, hour["b"].success) == (1, 0.0)
    assert Tally().success is None
    series = minutes.series("a", NOW - 2 * MINUTE_MS, NOW, 1)
    assert [(at - NOW, tally.total) for at, tally in series] == [
        (-2 * MINUTE_MS, 0),
        (-MINUTE_MS, 3),
        (0, 1),
    ]
    assert sum(tally.total for _, tally in minutes.series(None, NOW - 10 * MINUTE_MS, NOW, 5)) == 5


def test_only_so_many_minutes_and_cells_are_kept() -> None:
    """What is too old or of the future is passed over; over the bound the oldest minute goes."""
    minutes = Minutes(60, most_cells=10)
    for ago in (60, 500, -6):
        add(minutes, "a", ago, AttemptOutcome.DELIVERED)
    assert minutes.oldest_ms() is None
    for ago in range(59, -1, -1):
        add(minutes, "a", ago, AttemptOutcome.DELIVERED)
        add(minutes, "b", ago, AttemptOutcome.DELIVERED)
    assert minutes.oldest_ms() == NOW - 4 * MINUTE_MS
    assert minutes.tallies(0)["a"].total == 5
    many = Minutes(60, most_cells=10)
    for number in range(50):
        add(many, f"s-{number}", 0, AttemptOutcome.DELIVERED)
    add(many, "a", 1, AttemptOutcome.DELIVERED)
    assert many.oldest_ms() == NOW
    late = Minutes(60)
    add(late, "a", 30, AttemptOutcome.DELIVERED)
    late.add(0, 0, an_attempt(LANE, 1, NOW + 40 * MINUTE_MS), NOW + 40 * MINUTE_MS)
    assert late.oldest_ms() == NOW + 40 * MINUTE_MS


def test_the_last_error_is_the_newest_not_the_last_that_was_read() -> None:
    """Partitions are read one after the other: an older error does not replace a newer one."""
    minutes = Minutes(60, most_errors=2)
    add(minutes, "a", 3, AttemptOutcome.FAILED)
    add(minutes, "a", 9, AttemptOutcome.FAILED)
    add(minutes, "a", 1, AttemptOutcome.DELIVERED)
    found = minutes.last_error("a")
    assert found is not None
    assert (found.at_ms, found.offset) == (NOW - 3 * MINUTE_MS, 3)
    assert "answered 500" in found.said
    for name in ("b", "c"):
        add(minutes, name, 0, AttemptOutcome.REFUSED)
    assert minutes.last_error("a") is None


@given(st.lists(st.floats(0, 80_000), min_size=1, max_size=300))
def test_the_percentile_is_an_upper_bound_within_a_step(durations: list[float]) -> None:
    """Never below the true value, and above it by no more than a factor of the square root of 2."""
    minutes = Minutes(60)
    for duration in durations:
        add(minutes, "a", 0, AttemptOutcome.DELIVERED, duration)
    found = minutes.tallies(0)["a"].p95_ms
    true = sorted(durations)[math.ceil(0.95 * len(durations)) - 1]
    assert found is not None
    assert found >= true - 1e-6
    assert found <= max(1.0, true * math.sqrt(2) + 1e-6)


def test_steps_hold_their_durations() -> None:
    """A bound belongs to its own step, anything above to the next; what is longest to the last."""
    for place, bound in enumerate(STEPS_MS[:-1]):
        assert step_of(bound) == place
        assert step_of(bound * 1.001) == place + 1
    assert step_of(10**9) == len(STEPS_MS) - 1
    assert step_of(0) == 0


def test_the_ring_keeps_the_newest_and_no_payload() -> None:
    """Over the bound the first goes; responses, and texts of any length, are not kept whole."""
    recent = RecentAttempts(3)
    for number in range(5):
        attempt = an_attempt(
            LANE, number, NOW + number, key=b"k" * 5000, detail="d" * 5000, event_id="e" * 5000
        )
        recent.add(0, number, attempt)
    found = recent.newest(lambda _: True, 10)
    assert [one.offset for one in found] == [4, 3, 2]
    assert (len(recent), recent.dropped, recent.oldest_ms()) == (3, 2, NOW + 2)
    kept = found[0].attempt
    assert (kept.response, kept.response_headers) == (None, ())
    assert [len(kept.key or b""), len(kept.detail), len(kept.event_id)] == [300] * 3


def test_attempts_at_hand_are_paged_by_time() -> None:
    """Newest first across partitions, a hundred at a time, and the next page begins before them; a
    long key is found by what is kept of it."""
    recent = RecentAttempts(1000)
    times = list(range(250))
    random.Random(7).shuffle(times)
    long = b"x" * 1000
    for place, at in enumerate(times):
        recent.add(place % 4, place, an_attempt(LANE, at, NOW + at, key=long if at == 5 else b"k"))
    pages, before = [], None
    while True:
        rows, before = at_hand(recent, AttemptSelection(), before)
        pages.append([one.row["sequence"] for one in rows])
        if before is None:
            break
    assert list(map(len, pages)) == [100, 100, 50]
    assert [one for page in pages for one in page] == list(range(249, -1, -1))
    [row], _ = at_hand(recent, AttemptSelection(keys=frozenset({long})), None)
    assert row.row["sequence"] == 5


@given(st.lists(st.tuples(*[st.integers(0, 10**7)] * 3), min_size=1, max_size=60))
def test_a_chart_stays_within_its_frame(counts: list[tuple[int, int, int]]) -> None:
    """Bars lie on each other from the floor up, none outside; each count that is there is seen."""
    series = []
    for place, found in enumerate(counts):
        tally = Tally()
        tally.cell[:3] = found
        series.append((NOW + place * MINUTE_MS, tally))
    chart = outcome_chart(series)
    for (_, tally), column in zip(series, chart.columns, strict=True):
        assert [bar.kind for bar in column.bars] == [one for one in OUTCOMES if tally.count(one)]
        floor = float(chart.floor)
        for bar in column.bars:
            assert bar.y + bar.height == pytest.approx(floor, abs=0.02)
            assert bar.height >= 1.4
            assert chart.left <= bar.x <= bar.x + bar.width <= WIDTH + 0.01
            floor = bar.y
        # The least that is seen of three outcomes may stand above the top by that.
        assert floor >= -3
    assert all(0 <= tick.at <= HEIGHT for tick in chart.up)


@pytest.mark.parametrize(
    ("largest", "top"), [(0, 2), (1, 2), (3, 4), (10, 10), (15, 20), (999, 1000)]
)
def test_the_top_of_a_chart_is_a_round_number(largest: int, top: int) -> None:
    """At least the largest, and even, so that its half is a number."""
    assert nice_top(largest) == top


def test_what_is_known_is_read_again_when_it_is_old_or_something_was_done() -> None:
    """Within its time nothing is read; a slow reading lasts ten times as long as it took; a reading
    that fails leaves nothing behind."""
    clock = [0.0]
    reads: list[float] = []

    def read() -> float:
        reads.append(clock[0])
        clock[0] += 2.0
        if len(reads) == 3:
            raise ValueError("away")
        return clock[0]

    known = Known(read, 5.0, lambda: clock[0])
    assert known.now().value == 2.0
    clock[0] = 21.9
    assert known.now() == (2.0, 19.9)
    clock[0] = 22.0
    assert known.now().value == 24.0
    known.forget()
    with pytest.raises(ValueError, match="away"):
        known.now()
    assert known.now().value == 28.0
    assert len(reads) == 4


def test_who_comes_while_it_is_read_does_not_wait_and_a_deed_is_not_forgotten() -> None:
    """The old value is given meanwhile; what was read before a deed is not kept behind it."""
    clock, inside, go_on = [0.0], threading.Event(), threading.Event()
    values = iter(range(10))

    def read() -> int:
        value = next(values)
        if value == 1:
            inside.set()
            assert go_on.wait(10)
        return value

    known = Known(read, 5.0, lambda: clock[0])
    assert known.now().value == 0
    clock[0] = 5.0
    slow = threading.Thread(target=known.now)
    slow.start()
    assert inside.wait(10)
    assert known.now() == (0, 5.0)
    known.forget()
    go_on.set()
    slow.join(10)
    assert known.now().value == 2


def facts(name: str, at_ms: int) -> TaskFacts:
    standing = Standing(1, 0, 0, halted=False)
    return TaskFacts(1, name, "u", "", b"k", "t", 0, "e", "type", at_ms, at_ms, standing)


def lane(number: int, task: KnownTask, depth: int) -> WaitingLane:
    return WaitingLane(lane_id(number), depth, [task])


def test_what_waits_is_summed_by_subscription() -> None:
    """Lanes, deliveries and the oldest event; what cannot be read is of no subscription."""
    found = waits_of(
        [
            lane(1, facts("a", 500), 3),
            lane(2, facts("a", 300), 1),
            lane(3, facts("b", -1), 1),
            lane(4, UnreadTask(1, "newer", newer=True), 9),
        ]
    )
    assert found.keys() == {"a", "b"}
    assert (found["a"].lanes, found["a"].tasks, found["a"].oldest_ms) == (2, 4, 300)
    assert found["b"].oldest_ms is None


EXPOSITION = """\
# TYPE hooklane_build_info gauge
hooklane_build_info{version="1.2"} 1.0
# TYPE hooklane_delivery_attempts_total counter
hooklane_delivery_attempts_total{service="fanout",outcome="failed"} 3.0
# TYPE hooklane_backlog_tasks gauge
hooklane_backlog_tasks 7.0
"""
CIRCUITS = """\
# TYPE hooklane_subscription_circuits_open gauge
hooklane_subscription_circuits_open{subscription="a"} %d.0
hooklane_subscription_circuits_open{subscription="other"} 0.0
"""


def test_services_tell_of_circuits_if_they_can() -> None:
    """Open if any of them says so; not known where none tells of the subscription."""
    silent = read_metrics("http://a", EXPOSITION)
    assert (silent.kind, silent.version, silent.circuits) == ("fanout", "1.2", None)
    assert silent.number("backlog_tasks") == 7.0
    assert silent.number("nothing") is None
    closed = read_metrics("http://b", EXPOSITION + CIRCUITS % 0)
    opened = read_metrics("http://c", EXPOSITION + CIRCUITS % 1)
    assert circuit_word([silent], "a") is None
    assert circuit_word([silent, closed], "a") == "closed"
    assert circuit_word([silent, closed, opened], "a") == "open"
    assert circuit_word([opened], "b") is None
    with pytest.raises(ValueError, match="html"):
        read_metrics("http://d", "<html>")


def test_what_needs_somebody_comes_first() -> None:
    """Failing, bad, disabled, waiting, paused and well, each by its own sign."""
    book = SubscriptionBook(ServicePolicy(tiers=()))
    documents = {
        "a-well": {},
        "b-paused": {"state": "paused"},
        "c-waiting": {},
        "d-failing": {},
        "e-open": {},
        "f-disabled": {"state": "disabled"},
    }
    for offset, (name, more) in enumerate(documents.items()):
        document = {"id": name, "url": "https://hooks.example.com/", **more}
        book.read(offset, name.encode(), json.dumps(document).encode())
    book.read(9, b"g-bad", b"{}")
    failing = Tally()
    failing.cell[:3] = 1, 9, 0
    services = [read_metrics("http://c", (CIRCUITS % 1).replace('"a"', '"e-open"'))]
    rows = health_rows(
        book,
        {"d-failing": failing},
        waits_of([lane(1, facts("c-waiting", 1), 1)]),
        services,
        {},
    )
    assert [(row.id, row.word) for row in rows] == [
        ("d-failing", "failing"),
        ("e-open", "failing"),
        ("g-bad", "bad"),
        ("f-disabled", "disabled"),
        ("c-waiting", "waiting"),
        ("b-paused", "paused"),
        ("a-well", "well"),
    ]
