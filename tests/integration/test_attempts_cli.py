"""`hooklane attempts` on a real Kafka."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from hooklane.runtime.kafka import KafkaAccess
from hooklane.runtime.kafka_admin import KafkaAdmin
from hooklane.schemas.lane import LaneId, LaneNamer
from hooklane.schemas.records import AttemptOutcome
from tests.kafka.records import Outgoing, produce
from tests.support.operator_commands import Operator
from tests.support.operator_facts import (
    HOUR_MS,
    MINUTE_MS,
    an_attempt,
    lane_id,
    of_a_newer_version,
    stored_attempt,
)
from tests.support.processes import HOOKLANE
from tests.support.site import Site
from tests.support.webhook_sink import Answer, WebhookSink


@pytest.fixture
def operator(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Operator:
    return Operator(site, monkeypatch, capsys)


@pytest.fixture
def now_ms() -> int:
    return time.time_ns() // 1_000_000


def put(site: Site, *records: Outgoing) -> None:
    produce(site.kafka, site.names.attempts, records)


def test_attempts_of_a_real_fanout(site: Site, sink: WebhookSink, operator: Operator) -> None:
    """What a receiver answered is there a moment later, with when it is tried again."""
    sink.answer = lambda hit: Answer(500 if hit.key == "bad" else 200, body="é".encode())
    site.subscribe("a", sink.url("a"))
    with site.fanout() as fanout:
        fanout.wait_ready()
        site.publish_numbers(["bad", "good"])
        fanout.wait_for(lambda: len(site.attempts()) == 2)
        assert fanout.terminate() == 0
    rows = operator.json("attempts")
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)
    [failed] = operator.json("attempts", "--outcome", "failed")
    assert failed == failed | {
        "subscription": "a",
        "key": "bad",
        "event_type": site.events,
        "attempt": 1,
        "service": "fanout",
        "outcome": "failed",
        "status": 500,
        "detail": "the receiver answered 500 Internal Server Error",
        "response": "é",
        "unreadable": None,
    }
    assert failed["next"] > failed["time"]
    [by_id] = operator.json("attempts", "--event", failed["webhook_id"])
    assert by_id == failed
    lines = operator("attempts").splitlines()
    assert len(lines) == 3
    assert lines[0].split()[:3] == ["TIME", "SUBSCRIPTION", "KEY"]


def test_selections(site: Site, operator: Operator, now_ms: int) -> None:
    """Subscription, key, event, outcome and time choose; the newest of them are shown."""
    slow = an_attempt(lane_id(2), 2, now_ms - 3 * HOUR_MS, duration_ms=9.5 * MINUTE_MS)
    delivered = {"outcome": AttemptOutcome.DELIVERED, "status": 200, "next_ms": None}
    put(
        site,
        stored_attempt(an_attempt(lane_id(1), 1, now_ms - 5 * HOUR_MS, key=b"\xfe\xff")),
        stored_attempt(slow),
        stored_attempt(an_attempt(lane_id(1), 3, now_ms - HOUR_MS, **delivered)),
        stored_attempt(an_attempt(lane_id(3), 4, now_ms, subscription="shipping", key=None)),
    )

    def chosen(*options: str) -> list[int]:
        return [row["sequence"] for row in operator.json("attempts", *options)]

    assert chosen() == [1, 2, 3, 4]
    assert chosen("--subscription", "billing") == [1, 2, 3]
    assert chosen("--key", "c-1") == [2, 3]
    assert chosen("--key", "hex:FEFF") == [1]
    assert chosen("--event", "e-3") == [3]
    assert chosen("--event", "e-") == []
    assert chosen("--outcome", "delivered") == [3]
    assert chosen("--since", "4h") == [2, 3, 4]
    # It began before the bound and was written after it.
    assert chosen("--until", "175m") == [1, 2]
    assert chosen("--since", "175m", "--until", "30m") == [3]
    assert chosen("--limit", "1") == [4]
    assert "Only the newest 1" in operator.err
    assert operator("attempts", "--event", "none", "-o", "json") == "[]\n"
    operator("attempts", "--follow", "--until", "1h", exits=2)


def test_what_cannot_be_read_stops_nothing(site: Site, operator: Operator, now_ms: int) -> None:
    """A newer version's record is a row, and with a selection a sentence beside the rows."""
    newer = LaneId("a" * 32)
    put(
        site,
        of_a_newer_version(newer, now_ms - 10),
        stored_attempt(an_attempt(lane_id(1), 1, now_ms - 5)),
        Outgoing(b"k", b"\xc3", partition=1),
        Outgoing(b"k", None, partition=1),
    )
    rows = operator.json("attempts", "--since", "1h")
    assert [row["lane"] for row in rows[:2]] == [newer, lane_id(1)]
    assert "no schema" in rows[0]["unreadable"]
    assert len(rows) == 3
    [row] = operator.json("attempts", "--subscription", "billing")
    assert row["sequence"] == 1
    assert operator.err.startswith("1 records cannot be read")


def test_an_open_transaction_is_waited_for_and_an_aborted_one_unseen(
    site: Site, operator: Operator, now_ms: int
) -> None:
    """A listing ends at the high watermark: what was being written is in it, once it stands."""
    config = {
        "bootstrap.servers": site.kafka.bootstrap_servers,
        "transactional.id": f"{site.prefix}-tx",
    }
    writer = Producer(config)
    writer.init_transactions(30)
    for sequence, end in ((1, writer.abort_transaction), (2, None)):
        writer.begin_transaction()
        record = stored_attempt(an_attempt(lane_id(1), sequence, now_ms))
        assert record.partition is not None
        writer.produce(
            site.names.attempts, record.value, record.key, record.partition, timestamp=now_ms
        )
        writer.flush(30)
        if end is not None:
            end(30)
    commit = threading.Timer(2.0, writer.commit_transaction, (30,))
    commit.start()
    try:
        assert [row["sequence"] for row in operator.json("attempts", "--since", "1h")] == [2]
    finally:
        commit.join()


def test_a_key_of_a_subscription_costs_the_partition_of_its_lane(
    site: Site, operator: Operator, now_ms: int
) -> None:
    """One partition is read, and all of them where nothing is in it, or where it is asked for: a
    replay's lane is another one."""
    site.subscribe("billing", "https://h.example/", uid="u")
    site.publish_numbers([f"k{number}" for number in range(40)])
    [(partition, offset)] = site.publish_numbers(["c-1"])
    topic_id = KafkaAdmin(KafkaAccess(site.kafka.bootstrap_servers)).topic_ids([site.events])
    place = ("u", topic_id[site.events], partition)
    live = LaneNamer(f"{site.prefix}-fanout", "billing", *place).lane(b"c-1")
    replayed = LaneNamer(f"{site.prefix}-fanout", "billing", *place, "run-1").lane(b"c-1")
    put(
        site,
        stored_attempt(an_attempt(live, offset, now_ms - 2 * HOUR_MS)),
        stored_attempt(an_attempt(replayed, offset, now_ms, run="run-1")),
    )
    asked = ("attempts", "--subscription", "billing", "--key", "c-1")
    assert [row["lane"] for row in operator.json(*asked)] == [live]
    assert "Read 1 of 4 partitions" in operator.err
    both = operator.json(*asked, "--all-partitions")
    assert [row["lane"] for row in both] == [live, replayed]
    [other] = operator.json(*asked, "--since", "1h")
    assert other["run"] == "run-1"
    assert "partitions" not in operator.err


class Following:
    """`hooklane attempts --follow` as a process of its own; its lines as they come."""

    def __init__(self, site: Site, *options: str) -> None:
        self.process = subprocess.Popen(
            [HOOKLANE, "attempts", "--follow", *options],
            env=site.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines: list[str] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self._lines.extend(iter(self.process.stdout.readline, ""))

    def lines(self, count: int) -> list[str]:
        """As soon as there are so many."""
        deadline = time.monotonic() + 30
        while len(self._lines) < count:
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline, self._lines
            time.sleep(0.02)
        return list(self._lines)

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(20)
        self._thread.join(10)
        assert self.process.stderr is not None
        self.err = self.process.stderr.read()
        self.process.stderr.close()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@pytest.fixture
def start(site: Site) -> Iterator[Any]:
    """Starts followers, and ends them whatever happens."""
    started: list[Following] = []

    def follow(*options: str) -> Following:
        started.append(Following(site, *options))
        return started[-1]

    yield follow
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate(timeout=10)


def test_following_shows_the_past_asked_for_and_then_what_comes(
    site: Site, start: Any, now_ms: int
) -> None:
    """With `--since` the listing first, then each attempt once, a JSON object a line."""
    put(
        site,
        stored_attempt(an_attempt(lane_id(1), 1, now_ms - 2 * HOUR_MS)),
        stored_attempt(an_attempt(lane_id(2), 2, now_ms - 1000)),
    )
    follower = start("--since", "1h", "--subscription", "billing", "--output", "json")
    follower.lines(1)
    put(
        site,
        of_a_newer_version(LaneId("a" * 32), now_ms),
        stored_attempt(an_attempt(lane_id(4), 9, now_ms, subscription="shipping")),
        stored_attempt(an_attempt(lane_id(3), 3, now_ms)),
    )
    found = [json.loads(line) for line in follower.lines(2)]
    assert [row["sequence"] for row in found] == [2, 3]
    assert follower.end() == 130
    assert "Traceback" not in follower.err


def test_following_without_a_past(site: Site, start: Any, now_ms: int) -> None:
    """Only what comes, as lines under their headings."""
    put(site, stored_attempt(an_attempt(lane_id(1), 1, now_ms)))
    follower = start()
    # When it has begun is not said: what is put again and again appears from then on.
    deadline = time.monotonic() + 30
    number = 100
    while len(follower._lines) < 2:
        assert time.monotonic() < deadline
        put(site, stored_attempt(an_attempt(lane_id(2), number, now_ms)))
        number += 1
        time.sleep(0.1)
    heading, first = follower.lines(2)[:2]
    assert heading.split()[:3] == ["TIME", "SUBSCRIPTION", "KEY"]
    assert "e-1 " not in first
    assert follower.end() == 130


def test_a_reader_that_goes_away_ends_it_quietly(site: Site, now_ms: int, tmp_path: Path) -> None:
    """`hooklane attempts | head -1` prints its line and no complaint."""
    put(site, *(stored_attempt(an_attempt(lane_id(1), n, now_ms)) for n in range(2000)))
    told = tmp_path / "err"
    command = f"{HOOKLANE} attempts --limit 2000 --output json 2>{told} | head -1"
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        env={**os.environ, **site.environment()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "[\n"
    assert told.read_text() == ""
