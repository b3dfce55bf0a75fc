"""Single-object encoding: the header, the fingerprint, older schemas, and bytes that are broken."""

import io
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooklane.schemas.codec import (
    ATTEMPTS,
    DEAD_LETTERS,
    LANES,
    LEDGERS,
    TASKS,
    TICKETS,
    BrokenRecordError,
    Codec,
    UnknownSchemaError,
)
from hooklane.schemas.codec_attempt import attempt_datum
from hooklane.schemas.event import Event
from hooklane.schemas.lane import LaneId
from hooklane.schemas.records import (
    AttemptOutcome,
    DeadLetter,
    DeadLetterReason,
    DeliveryAttempt,
    DeliveryTask,
    Header,
    LaneRecord,
    LedgerRecord,
    Partial,
    RetryTicket,
    Span,
)
from tests.unit.test_records_samples import SAMPLES

OLDER = Path(__file__).parent / "data" / "older_schemas"

longs = st.integers(-(2**63), 2**63 - 1)
ints = st.integers(-(2**31), 2**31 - 1)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
keys = st.none() | st.binary(max_size=12)
lanes = st.from_regex("[0-9a-f]{32}", fullmatch=True).map(LaneId)

BY_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    str: texts,
    int: longs,
    bool: st.booleans(),
    float: st.floats(allow_nan=False),
    LaneId: lanes,
    bytes: st.binary(max_size=40),
    bytes | None: keys,
    str | None: st.none() | texts,
    int | None: st.none() | longs,
}


def of(kind: type, **given_: Any) -> st.SearchStrategy[Any]:
    """Records of a kind: the named fields from here, the others by their type."""
    found = {
        name: given_[name] if name in given_ else BY_TYPE[hint]
        for name, hint in kind.__annotations__.items()
        if not name.startswith("_") and name != "dropped"
    }
    return st.builds(kind, **found)


events = of(Event, partition=ints, attributes=st.dictionaries(texts, texts, max_size=4))
attempts = of(
    DeliveryAttempt,
    partition=ints,
    attempt=ints,
    status=st.none() | ints,
    response_headers=st.lists(texts, max_size=3).map(tuple),
    outcome=st.sampled_from(AttemptOutcome),
)
KINDS: list[tuple[Codec[Any], st.SearchStrategy[Any]]] = [
    (TASKS, of(DeliveryTask, event=events, attempts=ints)),
    (TICKETS, of(RetryTicket, attempts=ints, nudge=ints)),
    (LANES, of(LaneRecord, partition=ints)),
    (ATTEMPTS, attempts),
    (
        LEDGERS,
        of(
            LedgerRecord,
            partition=ints,
            settled=st.lists(of(Span), max_size=3).map(tuple),
            partial=st.lists(
                st.builds(Partial, longs, st.lists(st.binary(min_size=8, max_size=8)).map(tuple)),
                max_size=3,
            ).map(tuple),
        ),
    ),
    (
        DEAD_LETTERS,
        of(
            DeadLetter,
            partition=ints,
            attempts=ints,
            reason=st.sampled_from(DeadLetterReason),
            last_attempt=st.none() | attempts,
            event=st.none() | events,
            headers=st.lists(of(Header), max_size=3).map(tuple),
        ),
    ),
]


@pytest.mark.parametrize(("codec", "records"), KINDS)
def test_records_come_back_as_they_were(codec: Codec[Any], records: st.SearchStrategy[Any]) -> None:
    """Whatever a record holds, what is read equals what was written."""

    @given(record=records)
    def round_trip(record: object) -> None:
        assert codec.decode(codec.encode(record)) == record

    round_trip()


@given(record=attempts)
def test_attempts_are_written_as_fastavro_writes_them(record: DeliveryAttempt) -> None:
    """The hand-written datum of an attempt is fastavro's by the schema, to the byte."""
    schema = fastavro.parse_schema(
        json.loads((files("hooklane.schemas") / "avro" / "DeliveryAttempt.avsc").read_text())
    )
    twin = io.BytesIO()
    fastavro.schemaless_writer(twin, schema, asdict(record))
    assert attempt_datum(record) == twin.getvalue()


def rabin(data: bytes) -> int:
    """CRC-64-AVRO as the specification gives it in Java, without a table."""
    empty = 0xC15D213AA4D7A795
    register = empty
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (empty if register & 1 else 0)
    return register


@pytest.mark.parametrize(
    ("canonical", "published"),
    [
        ('"null"', 7195948357588979594),
        ('"boolean"', -6970731678124411036),
        ('"int"', 8247732601305521295),
        ('"long"', -3434872931120570953),
        ('"string"', -8142146995180207161),
    ],
)
def test_fingerprint_is_the_published_one(canonical: str, published: int) -> None:
    """The fingerprint that we write equals the Avro project's own vectors, little-endian."""
    signed = int.from_bytes(rabin(canonical.encode()).to_bytes(8, "big"), "big", signed=True)
    assert signed == published
    found = bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"))
    assert found == published.to_bytes(8, "little", signed=True)


@pytest.mark.parametrize("name", SAMPLES)
def test_records_begin_with_marker_and_fingerprint(name: str) -> None:
    """Two marker bytes, then the fingerprint of the schema's canonical form, little-endian."""
    codec, record = SAMPLES[name]
    canonical = fastavro.schema.to_parsing_canonical_form(codec._schema)
    header = codec.encode(record)[:10]
    assert header == b"\xc3\x01" + rabin(canonical.encode()).to_bytes(8, "little")


def single_object(schema: Any, datum: dict[str, Any]) -> bytes:
    """A record as another program would write it."""
    out = io.BytesIO()
    canonical = fastavro.schema.to_parsing_canonical_form(schema)
    out.write(b"\xc3\x01" + rabin(canonical.encode()).to_bytes(8, "little"))
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), datum)
    return out.getvalue()


def test_record_of_an_older_schema_is_read() -> None:
    """A ticket from before `nudge` and `halted`, with an int `due_ms`, gets the defaults."""
    codec = Codec("RetryTicket", RetryTicket, lambda found: RetryTicket(**found), OLDER)
    older = json.loads((OLDER / "RetryTicket.1.avsc").read_text())
    datum = {"lane": "ab" * 16, "sequence": 7, "subscription": "s", "attempts": 2, "due_ms": 99}
    found = codec.decode(single_object(older, datum))
    assert found == RetryTicket(LaneId("ab" * 16), 7, "s", 2, 0, 99, halted=False)
    assert codec.encode(found) == TICKETS.encode(found)


def test_record_of_an_unknown_schema_is_left_alone() -> None:
    """A fingerprint that is not known is an UnknownSchemaError: most likely a newer version's."""
    older = json.loads((OLDER / "RetryTicket.1.avsc").read_text())
    datum = {"lane": "ab" * 16, "sequence": 7, "subscription": "s", "attempts": 2, "due_ms": 99}
    with pytest.raises(UnknownSchemaError, match="no schema with fingerprint"):
        TICKETS.decode(single_object(older, datum))


def test_only_numbered_files_are_older_schemas(tmp_path: Path) -> None:
    """An editor's backup in the folder of schemas disturbs nothing."""
    (tmp_path / "RetryTicket.avsc").write_text((OLDER / "RetryTicket.avsc").read_text())
    (tmp_path / "RetryTicket.avsc~").write_text("{")
    (tmp_path / "RetryTicket.old.avsc").write_text("{")
    codec = Codec("RetryTicket", RetryTicket, lambda found: RetryTicket(**found), tmp_path)
    assert len(codec._writers) == 1


@pytest.mark.parametrize("name", SAMPLES)
def test_every_truncation_is_a_broken_record(name: str) -> None:
    """A record that was cut anywhere, or has something behind it, is a BrokenRecordError."""
    codec, record = SAMPLES[name]
    whole = codec.encode(record)
    for length in range(len(whole)):
        with pytest.raises(BrokenRecordError):
            codec.decode(whole[:length])
    with pytest.raises(BrokenRecordError, match="1 bytes after"):
        codec.decode(whole + b"\x00")


def never_anything_else(codec: Codec[Any], data: bytes) -> None:
    with suppress(BrokenRecordError, UnknownSchemaError):
        codec.decode(data)


@pytest.mark.parametrize("name", SAMPLES)
def test_rubbish_is_a_broken_record_and_nothing_else(name: str) -> None:
    """Random bytes, also behind a good header, give the two errors of the codec or a record."""
    codec, record = SAMPLES[name]
    whole = codec.encode(record)

    @given(data=st.binary(max_size=200))
    def random_bytes(data: bytes) -> None:
        never_anything_else(codec, data)
        never_anything_else(codec, whole[:10] + data)

    @given(place=st.integers(10, len(whole) - 1), byte=st.integers(0, 255))
    def one_byte_changed(place: int, byte: int) -> None:
        never_anything_else(codec, whole[:place] + bytes([byte]) + whole[place + 1 :])

    random_bytes()
    one_byte_changed()


def test_unknown_word_in_a_closed_list_is_a_broken_record() -> None:
    """An outcome that no version here knows is not taken for another one."""
    codec, record = SAMPLES["attempt.1"]
    data = codec.encode(record).replace(b"\x0cfailed", b"\x0cfoiled")
    with pytest.raises(BrokenRecordError, match="foiled"):
        codec.decode(data)


def walked(value: Any) -> Any:
    """The plain twin of `plain_form`, field by field."""
    plain: Callable[[Any], Any] = walked
    if isinstance(value, tuple):
        return [plain(one) for one in value]
    if not hasattr(value, "__dataclass_fields__"):
        return value
    names = [name for name, field in value.__dataclass_fields__.items() if field.compare]
    return {name: plain(getattr(value, name)) for name in names}


@pytest.mark.parametrize("name", SAMPLES)
def test_precomputed_getters_equal_the_plain_walk(name: str) -> None:
    """What is handed to fastavro is what walking the dataclasses gives."""
    codec, record = SAMPLES[name]
    assert codec._plain(record) == walked(record)


def test_count_of_dropped_attributes_is_not_written() -> None:
    """`Event.dropped` is a fact of this process: it does not change the record's bytes."""
    codec, task = SAMPLES["task.1"]
    assert isinstance(task, DeliveryTask)
    event = replace(task.event, dropped=3)
    assert codec.encode(replace(task, event=event)) == codec.encode(task)
