"""The receivers of docs/receiving: one table for all of them, and real deliveries."""

import base64
import hmac
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from tests.kafka.broker import Kafka
from tests.kafka.records import Outgoing
from tests.support.receiver_programs import NEEDS, Kept, ReceiverProgram, missing
from tests.support.site import make_site
from tests.support.webhook_sink import Answer, Ending, Hit, WebhookSink

OLD, NEW, WRONG = (
    "whsec_" + text
    for text in (
        "b2xkLW9sZC1vbGQtb2xkLW9sZC1vbGQtb2xkLW9sZA==",
        "bmV3LW5ldy1uZXctbmV3LW5ldy1uZXctbmV3LW5ldw==",
        "d3JvbmctLXdyb25nLS13cm9uZy0td3JvbmctLXdyb24=",
    )
)
LANE, OTHER = "a" * 32, "b" * 32
PROGRAMS = sorted(NEEDS)


@dataclass(frozen=True)
class Case:
    """One request: what differs from a good one, what it is answered, whether it is kept.

    `changed`: headers on top; an empty value leaves the header out.
    """

    name: str
    status: int = 204
    kept: bool = True
    id: str = ""
    sequence: int = 5
    lane: str = LANE
    body: bytes = b'{"amount": 120}'
    secret: str = NEW
    age_s: int = 0
    changed: Mapping[str, str] = field(default_factory=dict)

    @property
    def webhook_id(self) -> str:
        return self.id or f"msg_{self.name.replace(' ', '-')}"

    def headers(self) -> dict[str, str]:
        """Signed by the receivers' own library."""
        at = datetime.now(UTC) - timedelta(seconds=self.age_s)
        headers = {
            "content-type": "application/json",
            "webhook-id": self.webhook_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": signature(self.secret, self.webhook_id, at, self.body),
            "ce-type": "order.paid",
            "hooklane-lane": self.lane,
            "hooklane-sequence": str(self.sequence),
        }
        headers |= {
            name: value.replace("GOOD", headers.get(name, ""))
            for name, value in self.changed.items()
        }
        return {name: value for name, value in headers.items() if value}

    def line(self) -> Kept:
        headers = self.headers()
        lane = headers.get("hooklane-lane", "-")
        kind = headers["ce-type"] if " " not in headers["ce-type"] else "-"
        return Kept(self.webhook_id, lane, headers["hooklane-sequence"], kind, self.body)


def signature(secret: str, webhook_id: str, at: datetime, body: bytes) -> str:
    """The package signs text; these bytes are none everywhere."""
    if b"\xff" not in body:
        return Webhook(secret).sign(webhook_id, at, body.decode())
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{webhook_id}.{int(at.timestamp())}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


TABLE = (
    Case("good"),
    Case("repeat", kept=False, id="msg_good"),
    Case("late repeat", kept=False, sequence=4),
    Case("same sequence", kept=False, sequence=5),
    Case("next", sequence=7),
    Case("other lane", lane=OTHER, sequence=3),
    Case("no lane", sequence=1, changed={"hooklane-lane": ""}),
    Case("far sequence", sequence=123_456_789_012_345),
    Case("signed with another secret", 401, kept=False, secret=WRONG, lane=OTHER, sequence=9),
    Case("old secret", secret=OLD, lane=OTHER, sequence=10),
    Case(
        "second signature", lane=OTHER, sequence=11, changed={"webhook-signature": "v1,AAAA GOOD"}
    ),
    Case(
        "other version", lane=OTHER, sequence=12, changed={"webhook-signature": "v1a,AA v2,B GOOD"}
    ),
    Case("one character off", 401, kept=False, changed={"webhook-signature": "GOODA"}),
    Case("no signature", 401, kept=False, changed={"webhook-signature": ""}),
    Case("empty signature", 401, kept=False, changed={"webhook-signature": "v1,"}),
    Case("other id than signed", 401, kept=False, changed={"webhook-id": "msg_other"}),
    Case("no id", 401, kept=False, changed={"webhook-id": ""}),
    Case("id with a dot", 401, kept=False, id="msg.1"),
    Case("stale", 401, kept=False, age_s=310),
    Case("from the future", 401, kept=False, age_s=-310),
    Case("four minutes old", age_s=240, lane=OTHER, sequence=13),
    Case("no time", 401, kept=False, changed={"webhook-timestamp": ""}),
    Case("time with a point", 401, kept=False, changed={"webhook-timestamp": "GOOD.0"}),
    Case("non-ASCII", body='{"who": "Zoë Übermut 🪝"}'.encode(), lane=OTHER, sequence=14),
    Case("empty body", body=b"", lane=OTHER, sequence=15),
    Case("bytes", body=b"\x00\xff\r\n\n", lane=OTHER, sequence=16),
    Case("type with spaces", lane=OTHER, sequence=17, changed={"ce-type": "a b"}),
    Case("type with everything", lane=OTHER, sequence=18, changed={"ce-type": '%C3%A4\\"$(id)`'}),
)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ReceiverProgram]]:
    """All that can be run here, started side by side."""
    folder = tmp_path_factory.mktemp("receivers")
    found = {
        language: ReceiverProgram(language, folder, (OLD, NEW))
        for language in PROGRAMS
        if missing(language) is None
    }
    try:
        for program in found.values():
            program.start()
        for program in found.values():
            program.wait_ready()
        yield found
    finally:
        for program in found.values():
            program.kill()


@pytest.fixture(params=PROGRAMS)
def program(
    request: pytest.FixtureRequest, programs: dict[str, ReceiverProgram]
) -> ReceiverProgram:
    """One after the other; skipped where its toolchain is not on the machine."""
    why = missing(request.param)
    if why is not None:
        pytest.skip(why)
    return programs[request.param]


def test_all_behave_alike(program: ReceiverProgram) -> None:
    """The table: who gets which answer, and what is in the inbox by then, byte by byte."""
    expected: list[Kept] = []
    for case in TABLE:
        answered = program.ask("POST", "/webhooks", case.headers(), case.body)
        assert answered == (case.status, b""), case.name
        expected += [case.line()] if case.kept else []
        assert program.kept() == expected, case.name
    program.wait_worked()


def test_what_is_no_webhook(program: ReceiverProgram) -> None:
    """Health, another path, another method, a body that is too large to be read."""
    assert program.ask("GET", "/healthz", {}) == (200, b"ok\n")
    assert program.ask("POST", "/elsewhere", {}, b"{}")[0] == 404
    assert program.ask("GET", "/webhooks", {})[0] == 405
    with socket.create_connection(("127.0.0.1", program.port), timeout=20) as line:
        line.sendall(b"POST /webhooks HTTP/1.1\r\nhost: x\r\ncontent-length: 1048577\r\n\r\n")
        assert line.recv(100).startswith(b"HTTP/1.1 413")


def test_one_of_many_at_once_is_kept(program: ReceiverProgram) -> None:
    """Ten copies of one request at the same time leave one line."""
    case = Case("at once", lane="c" * 32)
    headers = case.headers()
    statuses: list[int] = []

    def send() -> None:
        statuses.append(program.ask("POST", "/webhooks", headers, case.body)[0])

    threads = [threading.Thread(target=send) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert statuses == [204] * 10
    assert [one.id for one in program.kept()].count(case.webhook_id) == 1


def test_a_kill_loses_and_doubles_nothing(programs: dict[str, ReceiverProgram]) -> None:
    """After SIGKILL in the middle of a line: the half line goes, ids and sequences are known."""
    before, after = Case("before", lane="d" * 32), Case("after", lane="d" * 32, sequence=6)
    late = Case("late", lane="d" * 32, sequence=5)
    kept = {}
    for one in programs.values():
        assert one.ask("POST", "/webhooks", before.headers(), before.body)[0] == 204
        kept[one.language] = one.kept()
        one.kill()
        with one.inbox.open("a") as inbox:
            inbox.write(f"{after.webhook_id} {after.lane} 6 order.pai")
        one.start()
    for one in programs.values():
        one.wait_ready()
        for case in (before, late, after):
            assert one.ask("POST", "/webhooks", case.headers(), case.body)[0] == 204
        assert one.kept() == [*kept[one.language], after.line()], one.language
        one.wait_worked()


@pytest.mark.parametrize(
    ("secrets", "message"),
    [
        ((), "Set WEBHOOK_SECRETS to signing secrets, separated by spaces."),
        ((NEW, "whsec_no!base64"), "A secret in WEBHOOK_SECRETS is not base64 behind whsec_."),
    ],
)
def test_a_wrong_start_is_one_sentence(
    secrets: tuple[str, ...],
    message: str,
    programs: dict[str, ReceiverProgram],
    tmp_path: Path,
) -> None:
    """Without a secret, or with one that was mangled, none starts and each says why."""
    wrong = [ReceiverProgram(language, tmp_path, secrets) for language in programs]
    with ExitStack() as stack:
        for one in wrong:
            stack.callback(one.kill)
            one.start()
        for one in wrong:
            code, said = one.wait_ended()
            assert code != 0, one.language
            assert message in said, one.language
            assert "Traceback" not in said


TROUBLED = b'{"n": 1, "key": "weak"}'


class Door:
    """Before all receivers: passes requests on. One event it first refuses, and then lets through
    without the sender hearing of it, so that it comes a third time."""

    def __init__(self, programs: Mapping[str, ReceiverProgram]) -> None:
        self._programs = programs
        self.tries: Counter[str] = Counter()

    def answer(self, hit: Hit) -> Answer:
        language = hit.path.strip("/")
        troubled = hit.body == TROUBLED
        self.tries[language] += troubled
        if troubled and self.tries[language] == 1:
            return Answer(503)
        status, _ = self._programs[language].ask("POST", "/webhooks", hit.headers, hit.body)
        lost = troubled and self.tries[language] == 2
        return Answer(status, ending=Ending.RESET if lost else Ending.WHOLE)


def test_deliveries_of_the_services(
    kafka: Kafka, prefix: str, programs: dict[str, ReceiverProgram], tmp_path: Path
) -> None:
    """Each has every event once, and those of a key in order, though one was refused and one came
    twice; signed with two secrets of which a receiver needs to know one."""
    weak = [b'{"n": 0, "key": "weak"}', TROUBLED, b'{"n": 2, "key": "weak"}']
    fine = ['{"who": "Zoë 🪝"}'.encode(), None, b'{"n": 2, "key": "fine"}']
    alone = b'{"n": 0}'
    site = make_site(kafka, prefix, tiers=("1s", "2s"))
    door = Door(programs)
    with WebhookSink(door.answer) as sink:
        for language in programs:
            site.subscribe(language, sink.url(language), signing={"secrets": [WRONG, NEW]})
        with site.fanout() as fanout, site.retrier(RETRIER__SPOOL_DIR=str(tmp_path)) as retrier:
            fanout.wait_ready()
            retrier.wait_ready()
            site.publish(Outgoing(b"weak", body) for body in weak)
            site.publish(Outgoing(b"fine", body) for body in fine)
            site.publish([Outgoing(None, alone)])
            sink.wait_for(lambda: all(all_there(one, site.events, 7) for one in programs.values()))
            # The third time of the event whose answer was lost comes before the one behind it.
            assert door.tries == dict.fromkeys(programs, 3)
            assert (fanout.terminate(), retrier.terminate()) == (0, 0)
    for program in programs.values():
        lanes: dict[str, list[bytes]] = {}
        for one in program.kept():
            if one.type == site.events:
                lanes.setdefault(one.lane, []).append(one.body)
        assert lanes.pop("-") == [alone], program.language
        assert sorted(lanes.values()) == sorted([weak, [body or b"" for body in fine]])
        program.wait_worked()


def all_there(program: ReceiverProgram, kind: str, count: int) -> bool:
    return sum(one.type == kind for one in program.kept()) >= count
