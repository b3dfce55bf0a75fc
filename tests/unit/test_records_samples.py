"""Records that were written once and must be readable for ever: the bytes are in data/records.

A new version adds its own samples (`<record>.<n>.bin`) and keeps these.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hooklane.schemas.codec import (
    ATTEMPTS,
    AUDITS,
    DEAD_LETTERS,
    LANES,
    LEDGERS,
    LETTER_MARKS,
    TASKS,
    TICKETS,
    Codec,
)
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
from hooklane.schemas.records_operator import AuditRecord, AuditState, Fate, LetterMark

FOLDER = Path(__file__).parent / "data" / "records"
LANE = LaneId("0123456789abcdef" * 2)
TOPIC_ID = "fedcba9876543210" * 2

EVENT = Event(
    topic="billing.events",
    topic_id=TOPIC_ID,
    partition=3,
    offset=41,
    timestamp_ms=1_790_000_000_123,
    key=b"c-42",
    attributes={"specversion": "1.0", "id": "e-1", "source": "/billing", "type": "invoice.paid"},
    content_type="application/json",
    data=b'{"amount": 12.30}',
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    tracestate="vendor=1",
)
ATTEMPT = DeliveryAttempt(
    lane=LANE,
    sequence=41,
    webhook_id="msg_" + "ab" * 16,
    subscription="billing-invoices",
    uid="01JD",
    run="",
    topic="billing.events",
    topic_id=TOPIC_ID,
    partition=3,
    key=b"c-42",
    event_id="e-1",
    event_type="invoice.paid",
    attempt=2,
    service="fanout",
    started_ms=1_790_000_000_500,
    duration_ms=12.5,
    outcome=AttemptOutcome.FAILED,
    reason="status",
    detail="the receiver answered 503",
    status=503,
    address="127.0.0.1:8080",
    response=b"later",
    next_ms=1_790_000_005_500,
    trace_id="0af7651916cd43dd8448eb211c80319c",
)
SAMPLES: dict[str, tuple[Codec[Any], object]] = {
    "task.1": (
        TASKS,
        DeliveryTask(
            lane=LANE,
            sequence=41,
            webhook_id="msg_" + "ab" * 16,
            subscription="billing-invoices",
            uid="01JD",
            run="",
            one_shot=False,
            group="hooklane-fanout",
            event=EVENT,
            config_offset=7,
            attempts=2,
            due_ms=1_790_000_005_500,
            halted=True,
            redirected_ms=1_790_000_000_600,
        ),
    ),
    "ticket.1": (
        TICKETS,
        RetryTicket(LANE, 41, "billing-invoices", 2, 1, 1_790_000_005_500, halted=True),
    ),
    "lane.1": (
        LANES,
        LaneRecord(
            41,
            "hooklane-fanout",
            "billing.events",
            TOPIC_ID,
            3,
            "billing-invoices",
            "01JD",
            b"",
            1_790_000_000_600,
        ),
    ),
    "ledger.1": (
        LEDGERS,
        LedgerRecord(
            "hooklane-fanout",
            "billing.events",
            TOPIC_ID,
            3,
            40,
            (Span(42, 45), Span(47, 47)),
            (Partial(41, (b"12345678", b"\x00\xff345678")), Partial(46, ())),
        ),
    ),
    "attempt.1": (ATTEMPTS, ATTEMPT),
    "attempt.2": (
        ATTEMPTS,
        replace(ATTEMPT, response_headers=("server: nginx", "set-cookie: [redacted]")),
    ),
    "dead_letter.1": (
        DEAD_LETTERS,
        DeadLetter(
            lane=LANE,
            sequence=41,
            webhook_id="msg_" + "ab" * 16,
            subscription="billing-invoices",
            uid="01JD",
            run="",
            group="hooklane-fanout",
            reason=DeadLetterReason.EXHAUSTED,
            detail="7 attempts were made",
            at_ms=1_790_000_900_000,
            attempts=7,
            last_attempt=ATTEMPT,
            topic="billing.events",
            topic_id=TOPIC_ID,
            partition=3,
            offset=41,
            timestamp_ms=1_790_000_000_123,
            key=b"c-42",
            event=EVENT,
        ),
    ),
    "dead_letter_unreadable.1": (
        DEAD_LETTERS,
        DeadLetter(
            lane=LANE,
            sequence=41,
            webhook_id=None,
            subscription=None,
            uid="",
            run="",
            group="hooklane-fanout",
            reason=DeadLetterReason.UNREADABLE,
            detail="the structured CloudEvent is not a JSON object",
            at_ms=1_790_000_900_000,
            attempts=0,
            last_attempt=None,
            topic="billing.events",
            topic_id=TOPIC_ID,
            partition=3,
            offset=41,
            timestamp_ms=1_790_000_000_123,
            key=None,
            event=None,
            value=b"\x00\xff",
            headers=(Header("content-type", b"application/cloudevents+json"), Header("x", None)),
        ),
    ),
    "audit.1": (
        AUDITS,
        AuditRecord(
            id="01KB0000000000000000000000",
            at_ms=1_790_000_900_000,
            by="ada",
            host="ops-1",
            action="dead-letters redrive",
            state=AuditState.INTERRUPTED,
            command="hooklane dead-letters redrive --subscription billing-invoices",
            subscription="billing-invoices",
            selection={"subscription": "billing-invoices"},
            count=12,
            detail="12 of 40 were redriven",
            why="ticket 4711",
        ),
    ),
    "letter_mark.1": (
        LETTER_MARKS,
        LetterMark(LANE, 41, Fate.REDRIVEN, "01KB0000000000000000000000", 1_790_000_900_000, "ada"),
    ),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_kept_bytes_are_still_read(name: str) -> None:
    """What every version wrote reads to the same record."""
    codec, record = SAMPLES[name]
    assert codec.decode((FOLDER / f"{name}.bin").read_bytes()) == record


def test_every_kept_sample_is_tried() -> None:
    """No file in the folder is forgotten."""
    assert {file.stem for file in FOLDER.iterdir()} == SAMPLES.keys()


if __name__ == "__main__":  # python -m tests.unit.test_records_samples: write what is missing
    for missing, (writer, sample) in SAMPLES.items():
        path = FOLDER / f"{missing}.bin"
        if not path.exists():
            path.write_bytes(writer.encode(sample))
