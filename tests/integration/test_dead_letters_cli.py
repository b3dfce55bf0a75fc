"""`hooklane dead-letters` on a real Kafka."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from hooklane.ops import log_reader
from hooklane.ops.log_reader import Line, LogReader
from hooklane.schemas.lane import LaneId
from hooklane.schemas.records import DeadLetterReason
from hooklane.schemas.records_operator import Fate
from tests.kafka.records import Outgoing, produce
from tests.support.operator_commands import Operator
from tests.support.operator_facts import (
    HOUR_MS,
    MINUTE_MS,
    a_letter,
    lane_id,
    of_a_newer_version,
    stored_letter,
    stored_mark,
)
from tests.support.site import PARTITIONS, Site
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
    produce(site.kafka, site.names.dead_letters, records)


def sequences(rows: list[dict[str, object]]) -> list[object]:
    return [row["sequence"] for row in rows]


def test_what_the_services_gave_up_is_listed_and_shown(
    site: Site, sink: WebhookSink, operator: Operator
) -> None:
    """The reason, the last attempt and the payload of a delivery; the bytes of what was none."""
    sink.answer = lambda hit: Answer(500, body=b"no")
    site.subscribe("a", sink.url("a"), retry={"schedule": []})
    bad = Outgoing(
        b"k", b"{\xff", headers=[("content-type", b"application/cloudevents+json"), ("x", b"\xff")]
    )
    with site.fanout() as fanout:
        fanout.wait_ready()
        site.publish_numbers(["k"])
        site.publish([bad])
        fanout.wait_for(lambda: fanout.metric("hooklane_dead_letters_total") == 2)
        assert fanout.terminate() == 0
    given_up, unreadable = sorted(
        operator.json("dead-letters", "list"), key=lambda row: str(row["reason"])
    )
    assert given_up == given_up | {
        "id": f"{given_up['lane']}:{given_up['sequence']}",
        "subscription": "a",
        "key": "k",
        "reason": "exhausted",
        "attempts": 1,
        "last_status": 500,
        "topic": site.events,
        "unreadable": None,
    }
    assert (unreadable["reason"], unreadable["subscription"]) == ("unreadable", None)
    table = operator("dead-letters", "list").splitlines()
    assert table[0].split()[:3] == ["ID", "TIME", "SUBSCRIPTION"]

    # As a person does it: the short id from the table.
    short = next(line.split()[0] for line in table if "exhausted" in line)
    for name in (short, given_up["id"], given_up["lane"][:8]):
        shown = operator.json("dead-letters", "show", name)
        assert shown == shown | given_up
        assert (shown["payload"], shown["payload_base64"]) == ('{"n":0}', None)
        assert shown["attributes"]["type"] == site.events
        assert (shown["last_attempt"]["status"], shown["last_attempt"]["response"]) == (500, "no")
    text = operator("dead-letters", "show", short).splitlines()
    assert any(line.split() == ["last", "attempt", "status", "500"] for line in text)
    assert any(line.split() == ["payload", '{"n":0}'] for line in text)

    shown = operator.json("dead-letters", "show", unreadable["id"])
    assert (shown["payload"], shown["value"]) == (None, None)
    assert base64.b64decode(shown["value_base64"]) == b"{\xff"
    assert shown["headers"] == [
        {"name": "content-type", "value": "application/cloudevents+json", "value_base64": None},
        {"name": "x", "value": None, "value_base64": "/w=="},
    ]


def test_selections(site: Site, operator: Operator, now_ms: int) -> None:
    """Subscription, key, reason and time choose; what is left is in the order of time."""
    lane = lane_id(1)
    put(
        site,
        stored_letter(a_letter(lane, 1, now_ms - 5 * HOUR_MS)),
        stored_letter(a_letter(lane_id(2), 2, now_ms - 3 * HOUR_MS, key=b"\xff")),
        stored_letter(a_letter(lane, 3, now_ms - HOUR_MS, reason=DeadLetterReason.SKIPPED)),
        stored_letter(a_letter(lane_id(3), 4, now_ms - MINUTE_MS, subscription="shipping")),
    )

    def chosen(*options: str) -> list[object]:
        return sequences(operator.json("dead-letters", "list", *options))

    at = datetime.fromtimestamp(now_ms / 1000 - 2 * 3600, UTC).isoformat()
    assert chosen() == [1, 2, 3, 4]
    assert chosen("--subscription", "billing") == [1, 2, 3]
    assert chosen("--key", "c-1") == [1, 3, 4]
    assert chosen("--key", "hex:ff") == [2]
    assert chosen("--reason", "skipped") == [3]
    assert chosen("--since", "4h") == [2, 3, 4]
    assert chosen("--until", "4h") == [1]
    assert chosen("--since", "4h", "--until", at) == [2]
    assert chosen("--since", at, "--subscription", "billing") == [3]
    assert chosen("--subscription", "nobody") == []
    assert chosen("--limit", "2") == [3, 4]
    assert operator.err == "Only the newest 2 are shown: --limit N shows more.\n"


def counted_lines(monkeypatch: pytest.MonkeyPatch) -> list[Line]:
    """Every record that a command fetches from now on."""
    seen: list[Line] = []
    reading: Callable[..., Iterator[Line]] = LogReader.read

    def counted(self: LogReader, spans: object) -> Iterator[Line]:
        for line in reading(self, spans):
            seen.append(line)
            yield line

    monkeypatch.setattr(LogReader, "read", counted)
    return seen


def test_the_newest_of_all_are_read_from_the_end(
    site: Site, operator: Operator, now_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a selection a listing costs what it shows, not what the topic holds."""
    times = range(now_ms - 400, now_ms)
    put(site, *(stored_letter(a_letter(lane_id(n), n, at)) for n, at in enumerate(times)))
    monkeypatch.setattr(log_reader, "SPARE", 0)
    seen = counted_lines(monkeypatch)
    found = sequences(operator.json("dead-letters", "list", "--limit", "3"))
    assert found == [397, 398, 399]
    assert operator.err == "Only the newest 3 are shown: --limit N shows more.\n"
    assert len(seen) <= 2 * 3 * PARTITIONS
    assert len(operator.json("dead-letters", "list", "--limit", "3", "--key", "c-1")) == 3
    assert len(seen) >= 400


def test_since_does_not_read_what_is_older(
    site: Site, operator: Operator, now_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time gives the offset in each partition: records far before it are never fetched."""
    old = [stored_letter(a_letter(lane_id(n), n, now_ms - 9 * HOUR_MS)) for n in range(100)]
    put(site, *old, stored_letter(a_letter(lane_id(7), 500, now_ms)))
    seen = counted_lines(monkeypatch)
    assert sequences(operator.json("dead-letters", "list", "--since", "2h")) == [500]
    assert len(seen) == 1
    # To the end all the same: what became of a letter stands behind it.
    assert len(operator.json("dead-letters", "list", "--until", "2h")) == 100
    assert len(seen) == 1 + 101


def test_letters_that_are_not_open_make_room_for_older_ones(
    site: Site, operator: Operator, now_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest open ones are shown, however many behind them were redriven or purged."""
    letters = [a_letter(lane_id(n % 5), n, now_ms - 400 + n) for n in range(60)]
    put(site, *map(stored_letter, letters))
    fates = {n: Fate.REDRIVEN if n % 2 else Fate.PURGED for n in range(10, 60)}
    put(site, *(stored_mark(letters[n], fate, now_ms) for n, fate in fates.items()))
    monkeypatch.setattr(log_reader, "SPARE", 0)
    assert sequences(operator.json("dead-letters", "list", "--limit", "3")) == [7, 8, 9]
    assert operator.err == "Only the newest 3 are shown: --limit N shows more.\n"
    redriven = operator.json("dead-letters", "list", "--state", "redriven", "--limit", "2")
    assert [(row["sequence"], row["state"]) for row in redriven] == [
        (57, "redriven"),
        (59, "redriven"),
    ]
    every = operator.json("dead-letters", "list", "--state", "all")
    assert [row["state"] for row in every[8:12]] == ["open", "open", "purged", "redriven"]
    shown = operator.json("dead-letters", "show", f"{letters[11].lane}:11")
    assert (shown["state"], shown["state_by"], shown["state_run"]) == ("redriven", "ada", "run")


def test_a_delivery_given_up_twice_is_one(site: Site, operator: Operator, now_ms: int) -> None:
    """After a crash between the letter and the tombstone there are two records and one id."""
    lane = lane_id(1)
    put(
        site,
        stored_letter(a_letter(lane, 1, now_ms - 2000, detail="first")),
        stored_letter(a_letter(lane, 1, now_ms - 1000, detail="second")),
    )
    [row] = operator.json("dead-letters", "list")
    assert row["detail"] == "second"
    assert operator.json("dead-letters", "show", row["id"])["detail"] == "second"


def test_ids_that_mean_no_letter_or_several(site: Site, operator: Operator, now_ms: int) -> None:
    """An ambiguous id and nonsense end with 2, an unknown one with 1; 12 is not 1."""
    lane = lane_id(1)
    put(site, *(stored_letter(a_letter(lane, n, now_ms)) for n in range(1, 21)))
    operator("dead-letters", "show", lane[:8], exits=2)
    assert "may be one of several" in operator.err
    assert operator.json("dead-letters", "show", f"{lane[:8]}:1")["sequence"] == 1
    operator("dead-letters", "show", f"{lane}:0", exits=1)
    assert operator.err.startswith(f"Error: There is no dead letter {lane}:0: ")
    for nonsense in ("abc", "x" * 32, f"{lane}:x", f"{lane}:01"):
        operator("dead-letters", "show", nonsense, exits=2)
    operator("dead-letters", "list", "--since", "yesterday", exits=2)
    assert "--since 'yesterday' is no time" in operator.err
    operator("dead-letters", "list", "--since", "1h", "--until", "2h", exits=2)


def test_what_cannot_be_read_stops_no_listing(site: Site, operator: Operator, now_ms: int) -> None:
    """A newer version's record is a row of its own; with a selection it is told beside."""
    newer, good = LaneId("a" * 32), lane_id(1)
    put(
        site,
        of_a_newer_version(newer, now_ms - 500),
        of_a_newer_version(newer, now_ms - 400),
        stored_letter(a_letter(good, 1, now_ms)),
        Outgoing(None, None, partition=0),
        Outgoing(b"\xff", b"rubbish", partition=0, timestamp_ms=now_ms - 300),
    )
    rows = operator.json("dead-letters", "list")
    assert [row["id"] for row in rows] == [f"{newer}:?", f"{newer}:?", "hex:ff:?", f"{good}:1"]
    assert "no schema" in rows[0]["unreadable"]
    assert len(operator("dead-letters", "list").splitlines()) == 5
    assert sequences(operator.json("dead-letters", "list", "--subscription", "billing")) == [1]
    assert operator.err.startswith("2 records cannot be read by this version")
    shown = operator.json("dead-letters", "show", f"{newer}:?")
    assert base64.b64decode(shown["record_base64"]) == b"\xc3\x01newschembilling"
    assert json.loads(operator("dead-letters", "list", "--until", "1h", "-o", "json")) == []
