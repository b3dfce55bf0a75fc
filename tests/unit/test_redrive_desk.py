"""A redrive as it is written: what has expired or grown too large meanwhile is left, and told."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
import structlog
from structlog.testing import capture_logs

from hooklane.ops.audit_action import Action
from hooklane.ops.dead_letters_desk import LettersDesk
from hooklane.ops.dead_letters_view import LetterSelection
from hooklane.ops.letter_index import LetterIndex
from hooklane.ops.log_reader import Line, LogReader, Spans
from hooklane.ops.redrive_plan import Left, Redrive
from hooklane.ops.redrive_run import PlannedRedrive, carry_out
from hooklane.ops.run_progress import Stop
from hooklane.ops.run_writer import RunWriter
from hooklane.runtime.kafka import KafkaAccess
from hooklane.runtime.settings import load_settings
from hooklane.schemas.book import SubscriptionBook
from hooklane.schemas.codec import AUDITS, DEAD_LETTERS, LETTER_MARKS, TASKS
from hooklane.schemas.outgoing import Record
from hooklane.schemas.records import DeadLetter
from hooklane.schemas.records_operator import AuditState
from hooklane.schemas.subscription_values import ServicePolicy
from tests.support.operator_facts import a_letter, lane_id

TOPIC = "hooklane.dead-letters"
NOW_MS = 1_790_000_000_000


class Reader(LogReader):
    """Has the letters of one partition, of which `expired` offsets are gone by now."""

    def __init__(self, letters: Sequence[DeadLetter], max_bytes: int) -> None:
        super().__init__(KafkaAccess("127.0.0.1:1"))
        self._letters = letters
        self._max_bytes = max_bytes
        self.expired: set[int] = set()

    def count(self, topic: str) -> int:
        return 1

    def max_bytes(self, topic: str) -> int:
        return self._max_bytes

    def read(self, spans: Spans) -> Iterator[Line]:
        for place, span in spans.items():
            for offset in range(span.first, span.end):
                if offset not in self.expired:
                    letter = self._letters[offset]
                    value = DEAD_LETTERS.encode(letter)
                    key = letter.lane.encode()
                    yield Line(place.topic, place.number, offset, NOW_MS, key, value)


class Written(RunWriter):
    """Keeps what is written."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def write(self, records: Sequence[Record], *_: object) -> None:
        self.records += records

    def of(self, topic: str) -> list[Record]:
        return [one for one in self.records if one.topic == f"hooklane.{topic}"]


def sized(number: int, size: int) -> DeadLetter:
    letter = a_letter(lane_id(number), number, NOW_MS)
    assert letter.event is not None
    return replace(letter, event=replace(letter.event, data=b"x" * size))


def planned(letters: Sequence[DeadLetter]) -> PlannedRedrive:
    """All of them, while all are there."""
    index = LetterIndex(LetterSelection())
    for offset, letter in enumerate(letters):
        index.take(0, offset, NOW_MS, letter.lane.encode(), DEAD_LETTERS.encode(letter))
    book = SubscriptionBook(ServicePolicy())
    book.read(0, b"billing", b'{"id":"billing","url":"https://x.example/","uid":"u"}')
    action = Action.new("dead-letters redrive", "ada", "", "", selection={"all": "yes"})
    redrive = Redrive(action.id, book, again=False)
    return PlannedRedrive(action, redrive, redrive.plan(index), goes_on=False)


@pytest.mark.parametrize(
    ("expired", "max_bytes", "written", "left"),
    [
        ({1}, 1_000_000, [0, 2], {Left.EXPIRED: 1}),
        ({0, 1, 2}, 1_000_000, [], {Left.EXPIRED: 3}),
        (set(), 5_000, [0, 1], {Left.TOO_LARGE: 1}),
        ({0}, 5_000, [1], {Left.EXPIRED: 1, Left.TOO_LARGE: 1}),
    ],
)
def test_what_cannot_be_written_is_left_and_the_rest_goes(
    expired: set[int], max_bytes: int, written: list[int], left: dict[Left, int]
) -> None:
    """A letter that Kafka has deleted since it was counted, and one that is too large for the
    backlog, get no task and no mark; the run is done all the same, and says why and how many."""
    letters = [sized(number, 9_000 if number == 2 else 10) for number in range(3)]
    reader = Reader(letters, max_bytes)
    desk = LettersDesk(load_settings(None, {}), reader)
    writer = desk.writer = Written()
    plan = planned(letters)
    assert plan.plan.left.total() == 0
    reader.expired = expired
    advanced: list[int] = []
    done = carry_out(desk, plan, None, Stop(), advanced.append)
    assert (done.state, done.redriven) == (AuditState.DONE, len(written))
    assert dict(done.left) == left
    assert dict(plan.plan.left) == left
    tasks = [TASKS.decode(one.value or b"") for one in writer.of("backlog")]
    assert [one.sequence for one in tasks] == written
    marks = [LETTER_MARKS.decode(one.value or b"") for one in writer.of("dead-letters")]
    assert [one.sequence for one in marks] == written
    [begun, ended] = [AUDITS.decode(one.value or b"") for one in writer.of("audit")]
    assert (begun.state, ended.state) == (AuditState.BEGUN, AuditState.DONE)
    assert ended.detail == f"{len(written)} of 3 were redriven"


def test_what_writes_a_run_leaves_others_logs_alone() -> None:
    """A console that redrives goes on logging: the words of a run's transactions are kept out, and
    nothing is configured for the whole process."""
    configured = structlog.is_configured()
    writer = RunWriter(KafkaAccess("127.0.0.1:1"), "hooklane", "dead-letters", "command")
    assert structlog.is_configured() is configured
    with capture_logs() as logs:
        writer._writer._log.warning("transaction.unknown", error="x")
        structlog.get_logger("console").warning("attempts cannot be followed")
    assert [line["event"] for line in logs] == ["attempts cannot be followed"]
