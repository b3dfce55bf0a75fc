"""Avro and schemas in the fan-out: what waits for a schema, what is refused, what is delivered."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import structlog

from hooklane.fanout.intake import Intake
from hooklane.fanout.judge import EventJudge
from hooklane.fanout.match import Matcher
from hooklane.fanout.partition import EventPartition
from hooklane.fanout.reading import Reading
from hooklane.fanout.schema_wait import SchemaWait
from hooklane.fanout.subscribed import Subscribed
from hooklane.fanout.window import Flow, Window
from hooklane.runtime.errors import HooklaneError
from hooklane.runtime.group_client import Assigned
from hooklane.runtime.group_poll import Consumed
from hooklane.runtime.settings_sections import Validation
from hooklane.schemas.avro_reader import AvroReader
from hooklane.schemas.avro_schema import AvroSchema
from hooklane.schemas.book import BookChange, ChangeKind, Entry
from hooklane.schemas.event_types_read import read_event_types
from hooklane.schemas.records import DeadLetterReason
from hooklane.schemas.registry_schemas import KnownSchemas, MissingSchema, RegisteredSchema
from hooklane.schemas.subscription import validate
from tests.support.fanout_facts import (
    POLICY,
    HandClock,
    counted,
    entry,
    partition,
    process,
    rules,
    settled_loop,
    until,
)

PAID: dict[str, Any] = {
    "type": "record",
    "name": "Paid",
    "fields": [{"name": "amount", "type": "long"}],
}
AVRO = AvroSchema(PAID)


def wire(schema_id: int, amount: int) -> bytes:
    return b"\0" + schema_id.to_bytes(4, "big") + AVRO.encode({"amount": amount})


def consumed(offset: int, value: bytes | None, number: int = 0, kind: str = "paid") -> Consumed:
    headers: list[tuple[str, bytes | None]] = [("event-type", kind.encode())]
    return Consumed("orders", number, offset, 1_000 + offset, b"k", value, headers)


def subscribed(*filters: dict[str, Any]) -> Subscribed:
    """One subscription that filters so."""
    found = Subscribed(Matcher())
    document = {"id": "s", "url": "https://example.com/", "match": {"filters": list(filters)}}
    one = Entry(validate(document, POLICY), 0) if filters else entry("s")
    found.follow(BookChange(ChangeKind.ADDED, "s", entry=one))
    return found


class Registry:
    """Answers when the test lets it; `down` says why it does not."""

    def __init__(self, known: KnownSchemas) -> None:
        self.known = known
        self.down: str | None = None
        self.asked: list[int] = []
        self.has = {7: RegisteredSchema("AVRO", json.dumps(PAID))}

    async def fetch(self, schema_id: int) -> bool:
        self.asked.append(schema_id)
        await asyncio.sleep(0)
        if self.down is not None:
            raise HooklaneError(self.down)
        found = self.has.get(schema_id, MissingSchema(f"schema {schema_id}"))
        self.known.learn(schema_id, found)
        return isinstance(found, RegisteredSchema)


class Stage:
    """An intake whose partitions may wait for schemas."""

    def __init__(self, *partitions: EventPartition, by: Subscribed | None = None) -> None:
        self.clock = HandClock()
        self.process = process(self.clock)
        for one in partitions:
            self.process.owned.add(one)
        known = KnownSchemas(self.clock.monotonic)
        self.registry = Registry(known)
        self.broken: list[str] = []
        self.wait = SchemaWait(self.process, self.registry, self._again, self.broken.append)
        self.seen: list[tuple[int, int, object]] = []
        self.touched: list[list[EventPartition]] = []
        self.intake = Intake(
            self.process,
            by or subscribed(),
            rules(),
            self._admitted,
            lambda *gap: self.broken.append(f"gap {gap}"),
            Reading(AvroReader(None, known), self.registry),
            self.wait.want,
        )

    def _again(self, one: EventPartition) -> None:
        self.intake.again(one)

    def _admitted(self, deliveries: Any, partitions: Any) -> None:
        self.touched.append(list(partitions))
        for one in deliveries:
            self.seen.append((one.place.partition, one.sequence, json.loads(one.event.data)))

    @property
    def offsets(self) -> list[tuple[int, int]]:
        return [(number, offset) for number, offset, _ in self.seen]


async def test_a_partition_waits_for_its_schema_and_the_others_go_on() -> None:
    """Promise of order: all behind the first unknown schema waits, and comes as it was read."""
    stage = Stage(partition(0), partition(1))
    stage.registry.down = "it does not answer"
    stage.intake.take([consumed(0, b"{}"), consumed(1, wire(7, 1)), consumed(2, b"{}")])
    stage.intake.take([consumed(0, b"{}", 1), consumed(3, wire(7, 3)), consumed(1, b"{}", 1)])
    await settled_loop()
    assert stage.offsets == [(0, 0), (1, 0), (1, 1)]
    stage.registry.down = None
    await until(lambda: len(stage.seen) == 6)
    assert stage.offsets[3:] == [(0, 1), (0, 2), (0, 3)]
    assert stage.seen[3][2] == {"amount": 1}
    assert stage.broken == []
    fetches = {
        word: counted(stage.process.metrics, "schema_fetches_total", outcome=word)
        for word in ("found", "failed", "missing")
    }
    assert fetches == {"found": 1, "failed": len(stage.registry.asked) - 1, "missing": 0}


async def test_a_second_schema_holds_the_rest_again() -> None:
    """Between two schemas that are unknown what stands there is taken, and nothing is overtaken."""
    stage = Stage(partition(0))
    stage.registry.has[8] = stage.registry.has[7]
    stage.intake.take([consumed(0, wire(7, 0)), consumed(1, b"{}"), consumed(2, wire(8, 2))])
    stage.intake.take([consumed(3, b"{}")])
    await until(lambda: len(stage.seen) == 4)
    assert stage.offsets == [(0, 0), (0, 1), (0, 2), (0, 3)]
    assert stage.registry.asked == [7, 8]


async def test_partitions_that_need_one_schema_ask_once() -> None:
    """What one has asked for the others get too."""
    stage = Stage(partition(0), partition(1))
    stage.intake.take([consumed(0, wire(7, 0)), consumed(0, wire(7, 1), 1)])
    await until(lambda: len(stage.seen) == 2)
    assert stage.registry.asked == [7]


async def test_a_schema_that_there_is_not_makes_dead_letters() -> None:
    """An unknown id is a bad record: the reason is in the letter, and the partition goes on."""
    one = partition(0)
    stage = Stage(one)
    stage.intake.take([consumed(0, wire(9, 0)), consumed(1, wire(9, 1)), consumed(2, b"{}")])
    await until(lambda: stage.seen)
    share = one.draft.take(100)
    assert share is not None
    assert [letter.sequence for letter in share.dead_letters] == [0, 1]
    letter = share.dead_letters[0]
    assert (letter.reason, letter.subscription) == (DeadLetterReason.UNREADABLE, None)
    assert letter.detail == "the schema registry has no schema 9"
    assert letter.value == wire(9, 0)
    assert stage.registry.asked == [9]
    assert counted(stage.process.metrics, "events_total", outcome="unreadable") == 2


async def test_what_was_let_go_is_forgotten() -> None:
    """Rule 6: records that waited are the next owner's; nobody asks for their schema any more."""
    stage = Stage(partition(0))
    stage.registry.down = "it does not answer"
    stage.intake.take([consumed(0, wire(7, 0))])
    await settled_loop()
    stage.process.owned.remove(Assigned("orders", 0))
    stage.process.owned.add(partition(0))
    await until(lambda: not stage.wait._fetching)
    stage.registry.down = None
    stage.intake.take([consumed(0, wire(7, 5))])
    await until(lambda: stage.seen)
    assert stage.seen == [(0, 0, {"amount": 5})]


async def test_a_registry_that_is_down_has_a_line_a_minute() -> None:
    """The reason is logged when the wait begins and once a minute, its end once."""
    stage = Stage(partition(0))
    stage.registry.down = "http://registry:8081 does not answer: refused"
    with structlog.testing.capture_logs() as lines:
        stage.intake.take([consumed(0, wire(7, 0))])
        await until(lambda: len(stage.registry.asked) >= 3)
        first = list(lines)
        stage.clock.now += 61
        await until(lambda: len(lines) > 1)
        stage.registry.down = None
        await until(lambda: stage.seen)
    assert [(line["event"], line.get("reason")) for line in first] == [
        ("schema_registry.waits", "http://registry:8081 does not answer: refused")
    ]
    assert [line["event"] for line in lines] == [
        "schema_registry.waits",
        "schema_registry.waits",
        "schema_registry.answers",
    ]
    assert lines[-1]["seconds"] >= 61


async def test_a_fault_of_ours_while_fetching_ends_the_service() -> None:
    """A partition that waits for ever without a word would be worse."""
    stage = Stage(partition(0))
    stage.registry.has[7] = None  # type: ignore[assignment]  # what nobody foresaw
    stage.intake.take([consumed(0, wire(7, 0))])
    await until(lambda: stage.broken)
    assert "a schema could not be fetched" in stage.broken[0]


def test_a_waiting_partition_is_paused_until_its_schema_is_known() -> None:
    """However much room the window has: what cannot be taken is not to be read either."""
    one = partition(0)
    said: list[str] = []
    owned = process().owned
    owned.add(one)
    window = Window(deliveries=1000, bytes=1 << 30, span=1000)
    flow = Flow(window, owned, lambda _: said.append("pause"), lambda _: said.append("resume"))
    one.held = [consumed(0, b"")]
    flow.grown([one])
    flow.look()
    flow.shrunk(one)
    assert said == ["pause"]
    one.held = None
    flow.look()
    assert said == ["pause", "resume"]


async def test_avro_that_nobody_wants_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes become JSON only for a subscription: a filter on data, or a delivery."""
    stage = Stage(partition(0), by=subscribed({"exact": {"type": "other"}}))
    stage.registry.known.learn(7, stage.registry.has[7])
    reads = count_reads(monkeypatch)
    stage.intake.take([consumed(0, b"\0\0\0\0\7")])
    assert (reads, stage.seen) == ([], [])
    assert counted(stage.process.metrics, "events_total", outcome="unmatched") == 1


async def test_avro_is_read_once_for_filters_and_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    """The document that a filter looked at is the one that receivers get."""
    stage = Stage(partition(0), by=subscribed({"cel": "data.amount > 3"}))
    stage.registry.known.learn(7, stage.registry.has[7])
    reads = count_reads(monkeypatch)
    stage.intake.take([consumed(0, wire(7, 3)), consumed(1, wire(7, 4))])
    assert stage.seen == [(0, 1, {"amount": 4})]
    assert len(reads) == 2


async def test_bad_avro_is_a_dead_letter_though_a_filter_would_hide_it() -> None:
    """A filter on data that cannot be read is false; the record is not lost by that."""
    one = partition(0)
    stage = Stage(one, by=subscribed({"cel": "data.amount > 3"}))
    stage.registry.known.learn(7, stage.registry.has[7])
    stage.intake.take([consumed(0, b"\0\0\0\0\7")])
    share = one.draft.take(100)
    assert share is not None
    assert "does not fit the registry's schema 7" in share.dead_letters[0].detail


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    reads: list[bytes] = []
    plain = AvroSchema.decode

    def decode(self: AvroSchema, datum: bytes, *rest: Any) -> object:
        reads.append(datum)
        return plain(self, datum, *rest)

    monkeypatch.setattr(AvroSchema, "decode", decode)
    return reads


class Judged:
    """An intake that judges by a folder with `paid` (JSON Schema) and `sent` (Avro)."""

    def __init__(self, folder: Path, validation: Validation) -> None:
        paid = {"type": "object", "properties": {"amount": {"type": "integer"}}}
        (folder / "paid.json").write_text(json.dumps(paid))
        (folder / "sent.avsc").write_text(json.dumps(PAID))
        types = read_event_types(folder)
        self.process = process()
        self.partition = partition(0)
        self.process.owned.add(self.partition)
        self.delivered: list[int] = []
        clock = self.process.clock.monotonic
        judge = EventJudge(types, validation, self.process.metrics, clock)
        self.intake = Intake(
            self.process,
            subscribed(),
            rules(),
            lambda found, _: self.delivered.extend(one.sequence for one in found),
            lambda *_: None,
            Reading(AvroReader(types, None), None, judge),
        )

    @property
    def reasons(self) -> list[str]:
        share = self.partition.draft.take(100)
        return [] if share is None else [letter.detail for letter in share.dead_letters]


BATCH = [
    consumed(0, b'{"amount": 1}'),
    consumed(1, b'{"amount": "1"}'),
    consumed(2, b"not json"),
    consumed(3, None),
    consumed(4, b'{"amount": "1"}', kind="unknown"),
    consumed(5, AVRO.encode_single_object({"amount": 5}), kind="sent"),
    consumed(6, b'{"amount": "6"}', kind="sent"),
    consumed(7, AVRO.encode_single_object({"amount": 7}), kind="paid"),
]


def test_refused_events_go_to_the_dead_letters_with_the_path(tmp_path: Path) -> None:
    """Neither tombstones nor types without a schema are judged; the rest fits or is refused."""
    stage = Judged(tmp_path, Validation.REFUSE)
    stage.intake.take(BATCH)
    assert stage.delivered == [0, 3, 4, 5, 7]
    assert stage.reasons == [
        'the data does not fit the schema of paid: $.amount: the value is not of type "integer"',
        "the data does not fit the schema of paid: $: is not JSON",
        "the data does not fit the schema of sent: $.amount: is not a whole number of 64 bits",
    ]
    assert counted(stage.process.metrics, "invalid_events_total") == 3
    assert counted(stage.process.metrics, "events_total", outcome="unreadable") == 3


def test_warned_events_are_delivered_and_counted(tmp_path: Path) -> None:
    """A line names type, place and path, ten times a minute for a type; everything is delivered."""
    stage = Judged(tmp_path, Validation.WARN)
    with structlog.testing.capture_logs() as lines:
        stage.intake.take(BATCH)
        stage.intake.take([consumed(at, b"[]") for at in range(8, 28)])
    assert stage.delivered == list(range(28))
    assert counted(stage.process.metrics, "invalid_events_total") == 23
    assert {line["event"] for line in lines} == {"event.invalid"}
    assert len(lines) == 11
    assert lines[0]["type"] == "paid"
    assert lines[0]["offset"] == 1
    assert lines[0]["reason"] == '$.amount: the value is not of type "integer"'
