"""What `hooklane dev` says and shows: at 80 and 160 columns, and without a terminal."""

import io
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console, RenderableType

from hooklane.delivery.attempt import Attempted, Delivery
from hooklane.delivery.exchange import Fault, FaultKind, Response, Running
from hooklane.delivery.outcome import judge
from hooklane.ops.dev_board import Board, WatchedAttempts
from hooklane.ops.dev_intro import how_to_publish, introduction
from hooklane.ops.dev_receiver import ReceiverChecks
from hooklane.ops.dev_settings import Around, on_embedded, on_kafka
from hooklane.ops.dev_view import LiveDevView, Picture, PlainDevView, dev_view, drawn, line_of
from hooklane.ops.dev_words import Said, got, sent
from hooklane.runtime.secrets import Secrets
from hooklane.runtime.settings_sections import SecretSettings
from hooklane.runtime.settings_source import Given
from hooklane.schemas.event import Event
from hooklane.schemas.lane import LaneId
from hooklane.schemas.records import DeliveryAttempt
from hooklane.schemas.subscription import Subscription, validate
from hooklane.schemas.subscription_values import ServicePolicy
from tests.support.site import SECRET

AT = datetime(2026, 11, 26, 12, 0, 1, tzinfo=UTC)
POLICY = ServicePolicy(allow_http=True, allow_plaintext_secrets=True)
DOWN = Fault(FaultKind.CONNECT_TIMEOUT, "no connection could be made: connection refused")


def subscription(name: str = "app", **fields: Any) -> Subscription:
    document = {"id": name, "url": "http://localhost:3000/hooks", **fields}
    return validate(document, POLICY)


def delivery(of: Subscription, attempt: int = 1, key: bytes | None = b"c-42") -> Delivery:
    event = Event(
        topic="orders.events",
        topic_id="t",
        partition=0,
        offset=7,
        timestamp_ms=0,
        key=key,
        attributes={"id": "e", "source": "/s", "type": "order.paid"},
        content_type="application/json",
        data=b"{}",
        traceparent=None,
    )
    return Delivery(LaneId("0" * 32), 7, "msg_1", "", event, of, attempt)


def ended(result: Response | Fault, give_up_on: tuple[int, ...] = ()) -> Attempted:
    record = cast("DeliveryAttempt", type("Record", (), {"duration_ms": 12.4}))
    return Attempted(judge(result, give_up_on, 0.0), record)


def answer(status: int, *headers: tuple[str, str]) -> Response:
    return Response(status, headers, b"", "127.0.0.1:3000")


def plain(what: RenderableType, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width).print(what)
    return [line.rstrip() for line in out.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("result", "attempt", "fields", "said"),
    [
        (answer(204), 1, {}, "204 No Content in 12 ms"),
        (answer(503), 1, {}, "FAILED: 503 Service Unavailable; again in 5 s"),
        (answer(503), 2, {}, "FAILED: 503 Service Unavailable; again in 30 s"),
        (answer(429, ("retry-after", "9")), 1, {}, "FAILED: 429 Too Many Requests; again in 9 s"),
        (DOWN, 1, {}, f"FAILED: {DOWN.detail}; again in 5 s"),
        (
            answer(500),
            2,
            {"retry": {"schedule": ["5s"]}},
            "FAILED: 500 Internal Server Error; given up: see `hooklane dead-letters list`",
        ),
        (
            answer(500),
            2,
            {"retry": {"schedule": ["5s"], "on_exhausted": "halt"}},
            "FAILED: 500 Internal Server Error; its lane is halted: see `hooklane lanes list`",
        ),
        (
            answer(410),
            1,
            {},
            "REFUSED: 410 Gone; the subscription is disabled until its file is saved again",
        ),
        (
            Fault(FaultKind.BLOCKED_ADDRESS, "10.0.0.1 is private"),
            1,
            {},
            "REFUSED: 10.0.0.1 is private; given up: see `hooklane dead-letters list`",
        ),
    ],
)
def test_an_attempt_in_words(
    result: Response | Fault, attempt: int, fields: dict[str, Any], said: str
) -> None:
    """How it ended, why, and what comes next."""
    line = sent(delivery(subscription(**fields), attempt), ended(result), POLICY, AT)
    assert str(line) == f"12:00:01  -> app  order.paid c-42 #7 try {attempt}  {said}"


def test_an_event_without_a_key_is_said_so() -> None:
    """A null key is not an empty key."""
    lines = [sent(delivery(subscription(), 1, key), ended(DOWN), POLICY, AT) for key in (None, b"")]
    assert ["(no key) #7" in str(line) for line in lines] == [True, False]


def test_a_request_in_words() -> None:
    """Whether it is genuine and in order, and its body."""
    row: dict[str, object] = {
        "status": 204,
        "verified": True,
        "cause": None,
        "order": "next",
        "path": "/hooks",
        "type": "order.paid",
        "key": "c-42",
        "sequence": 7,
        "attempt": 1,
        "body": '{"n":1}',
    }
    begin = "12:00:01  <- /hooks  order.paid c-42 #7 try 1  "
    assert str(got(row, AT)) == begin + 'verified, next: {"n":1}'
    unsigned = {**row, "verified": None, "order": None}
    assert str(got(unsigned, AT)) == begin + 'not signed: {"n":1}'
    wrong = {**row, "verified": False, "cause": "no-match: x", "status": 401, "order": None}
    assert str(got(wrong, AT)) == begin + 'NOT VERIFIED (no-match: x): {"n":1}'


def picture_of(board: Board, phase: str = "") -> Picture:
    return Picture(phase, events=5, unmatched=2, waiting=1, blocked=1, lines=board.lines)


def board_at_work() -> Board:
    board = Board()
    names = ("app", "a-name-that-is-longer-than-the-column-has-room-for")
    board.wanted({name: subscription(name) for name in names})
    board.ended(delivery(subscription("app")), ended(answer(204)))
    board.ended(delivery(subscription(names[1])), ended(DOWN))
    return board


@pytest.mark.parametrize("width", [80, 160])
def test_the_table_fits_its_width(width: int) -> None:
    """A line for each subscription, none too long, and all figures are there."""
    lines = plain(drawn(picture_of(board_at_work()), width), width)
    assert max(map(len, lines)) <= width
    assert (
        lines[1] == "events 5, matched nobody 2, deliveries waiting 1, lanes blocked 1; Ctrl-C ends"
    )
    [app] = [line for line in lines if line.startswith("app ")]
    assert app.split()[:6] == ["app", "1", "0", "204", "No", "Content"]
    assert ("http://localhost:3000/hooks" in app) == (width > 80)
    [other] = [line for line in lines if line.startswith("a-name")]
    assert "no connection" in other
    assert "…" in other


def test_the_table_says_what_is_not_delivered_to() -> None:
    """A subscription that is paused, one without an attempt yet, and none at all."""
    board = Board()
    board.wanted({"b": subscription("b", state="paused"), "a": subscription("a")})
    lines = plain(drawn(picture_of(board, "starting the fan-out"), 80), 80)
    assert lines[1] == "Starting the fan-out ..."
    assert [line.split() for line in lines[3:]] == [["a", "0", "0", "-"], ["b", "0", "0", "paused"]]
    board.wanted({})
    assert plain(drawn(picture_of(board), 80), 80)[2] == "No subscription yet."


def test_many_subscriptions_leave_room_for_the_lines() -> None:
    """A dozen is shown, the others are counted."""
    board = Board()
    board.wanted({f"s-{number:02}": subscription(f"s-{number:02}") for number in range(15)})
    lines = plain(drawn(picture_of(board), 80), 80)
    assert lines[-1] == "and 3 more"
    assert len(lines) == 3 + 12 + 1


def test_counts_survive_a_change_of_the_file() -> None:
    """What was counted for a subscription stays; what went is forgotten."""
    board = board_at_work()
    board.wanted({"app": subscription("app", state="paused"), "new": subscription("new")})
    assert [(line.subscription.id, line.delivered) for line in board.lines] == [
        ("app", 1),
        ("new", 0),
    ]
    assert (board.delivered, board.failed) == (1, 1)


def test_a_long_line_goes_on_beside_its_time() -> None:
    """What runs over is to the right of the time; what would move the cursor is spelt out."""
    lines = plain(line_of(Said(AT, "->", "word " * 20 + "\x1b[2J")), 80)
    assert len(lines) == 2
    assert lines[1].startswith(" " * 10 + "word")
    assert "\\x1b[2J" in lines[1]


def test_without_a_terminal_there_are_only_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Each is said once; the table is not drawn."""
    view = dev_view(plain=False)
    assert isinstance(view, PlainDevView)
    with view:
        view.show(picture_of(board_at_work()))
        view.tell("hello")
        view.say(Said(AT, "--", "app created"))
    assert capsys.readouterr().out == "hello\n12:00:01  --  app created\n"


def test_at_a_terminal_it_is_live() -> None:
    """Unless lines are asked for, or the terminal cannot draw."""
    terminal = Console(file=io.StringIO(), force_terminal=True, width=80)
    assert isinstance(dev_view(plain=False, console=terminal), LiveDevView)
    assert isinstance(dev_view(plain=True, console=terminal), PlainDevView)


def test_attempts_are_watched_and_go_on() -> None:
    """Whoever watches is told first, and the service is told all the same."""
    order: list[str] = []
    result = ended(answer(204))

    class Attempts:
        def start(self, _: Delivery, done: Callable[[Attempted], None]) -> Running:
            done(result)
            return cast("Running", self)

    watched = WatchedAttempts(Attempts(), lambda _, one: order.append(f"told {one is result}"))
    watched.start(delivery(subscription()), lambda one: order.append(f"done {one is result}"))
    assert order == ["told True", "done True"]


def checks(*subscriptions: Subscription) -> ReceiverChecks:
    found = ReceiverChecks(Secrets(SecretSettings(allow_plaintext=True)))
    found.port = 3000
    found.wanted({one.id: one for one in subscriptions})
    return found


def test_the_receiver_verifies_by_the_subscription_of_the_path() -> None:
    """By its secrets; not at all where it does not sign, nor at a path that nobody names."""
    signed = subscription(signing={"secrets": [SECRET]})
    check = checks(signed).check_for("/hooks")
    assert check is not None
    assert str(check.cause({}, b"", 0.0)).startswith("missing-header")
    assert checks(signed).check_for("/else") is None
    assert checks(subscription()).check_for("/hooks") is None
    # Of two at one path, one does not sign: nothing can be said of a request.
    assert checks(signed, subscription("b")).check_for("/hooks") is None


def test_what_the_receiver_cannot_check_it_does_not_judge() -> None:
    """A scheme without a verifier here, and a secret that is not to be had."""
    stripe = subscription(signing={"scheme": "stripe", "secrets": ["plain-secret"]})
    assert checks(stripe).check_for("/hooks") is None
    missing = subscription(signing={"secrets": ["env:HOOKLANE_SECRET_NOWHERE"]})
    assert checks(missing).check_for("/hooks") is None
    elsewhere = subscription(url="http://localhost:3001/hooks", signing={"secrets": [SECRET]})
    assert checks(elsewhere).check_for("/hooks") is None


def test_the_introduction_says_what_the_broker_is() -> None:
    """Nobody shall take the embedded one for a Kafka; at its usual port little is to be set."""
    given = Given(path=None, file={}, environment={})
    settings = on_embedded(given, Around("localhost:1", (), Path()))
    lines = list(
        introduction("localhost:9092", settings, real=False, folder=None, receiver="http://r/")
    )
    assert "not a real Kafka" in lines[1]
    assert [line for line in lines if "export" in line] == [
        "  export HOOKLANE_TOPICS__PARTITIONS=4",
        "  export HOOKLANE_DELIVERY__ALLOW_HTTP=true",
        "  export HOOKLANE_SECRETS__ALLOW_PLAINTEXT=true",
    ]
    settings = on_kafka(given, Around("kafka:1", (), Path()))
    lines = list(introduction("kafka:1", settings, real=True, folder=Path("s"), receiver=None))
    assert "  export HOOKLANE_TOPICS__PREFIX=hooklane-dev" in lines
    assert "  export HOOKLANE_FANOUT__GROUP_ID=hooklane-dev-fanout" in lines
    assert not any("not a real Kafka" in line for line in lines)


def test_the_command_to_try_names_a_topic() -> None:
    """The first that is whole; a pattern is none."""
    assert how_to_publish(("^x", "bills")).startswith("hooklane publish bills --type")
    assert how_to_publish(()).startswith("hooklane publish orders.events --type")
