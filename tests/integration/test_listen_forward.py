"""`hooklane listen` before a server of one's own: passing on, keeping, sending again."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from hooklane.ops.main import run
from tests.integration.test_listen_command import OTHER, SECRET, Listener, signed
from tests.kafka.broker import free_ports
from tests.support.webhook_sink import Answer, Hit, WebhookSink

BODY = '{"who": "Zoë", "amount": 12.30 }'.encode()


@pytest.fixture
def behind() -> Iterator[WebhookSink]:
    """The developer's own server."""
    with WebhookSink() as sink:
        yield sink


Started = Callable[..., Listener]


@pytest.fixture
def listen(behind: WebhookSink) -> Iterator[Started]:
    """Listeners end before the server behind them does."""
    found: list[Listener] = []

    def start(*arguments: str) -> Listener:
        found.append(Listener("--output", "json", *arguments))
        return found[-1]

    yield start
    for one in found:
        one.__exit__()


def test_a_request_arrives_as_it_came(listen: Started, behind: WebhookSink) -> None:
    """Body and headers byte by byte, so that the server behind verifies it; the path too."""
    listener = listen("--secret", SECRET, "--forward-to", f"http://127.0.0.1:{behind.port}")
    sent = signed(BODY, 7)
    assert listener.post(BODY, "/hooks/a%20b?x=%2F&y", **sent) == (200, "")
    [hit] = behind.hits
    assert (hit.path, hit.method, hit.body) == ("/hooks/a%20b?x=%2F&y", "POST", BODY)
    headers = {name.replace("_", "-"): value for name, value in sent.items()}
    own = {"host": f"127.0.0.1:{behind.port}", "content-length": str(len(BODY))}
    assert hit.headers == headers | own | {"accept-encoding": "identity"}
    assert Webhook(SECRET).verify(hit.body, hit.headers) == json.loads(BODY)
    row = listener.row()
    assert (row["status"], row["verified"], row["order"], row["cause"]) == (200, True, "next", None)


def test_a_path_that_is_given_is_where_all_go(listen: Started, behind: WebhookSink) -> None:
    """As other tools of this kind do; `http://` may be left out."""
    listener = listen("--forward-to", f"127.0.0.1:{behind.port}/webhooks?from=dev")
    assert listener.post(b"", "/elsewhere?x=1")[0] == 200
    assert behind.hits[0].path == "/webhooks?from=dev"
    assert behind.hits[0].body == b""


def test_the_answer_goes_back(listen: Started, behind: WebhookSink) -> None:
    """Status, body and Retry-After are the server's; a refusal is a retry when it comes again."""
    answers = iter(
        (Answer(503, (("retry-after", "7"), ("content-type", "text/plain")), b"later"), Answer(202))
    )

    def answer(_: Hit) -> Answer:
        return next(answers)

    behind.answer = answer
    listener = listen("--forward-to", behind.url("x"))
    assert listener.post(b"{}", **signed(b"{}", 1)) == (503, "later")
    assert listener.post(b"{}", **signed(b"{}", 1)) == (202, "")
    assert [listener.row()["order"] for _ in range(2)] == ["next", "retry"]
    assert listener.end()[1] == "2 requests, 1 accepted, 1 failed behind, 1 retry.\n"


def test_what_is_refused_here_goes_no_further(listen: Started, behind: WebhookSink) -> None:
    """Not genuine, or told to fail: the server behind hears nothing of it."""
    listener = listen("--secret", SECRET, "--fail-first", "1", "--forward-to", behind.url("x"))
    assert listener.post(b"{}", **signed(b"{}", 1, OTHER))[0] == 401
    assert listener.post(b"{}", **signed(b"{}", 1)) == (503, "told to fail\n")
    assert listener.post(b"{}", **signed(b"{}", 1))[0] == 200
    assert [hit.headers["webhook-id"] for hit in behind.hits] == ["msg_1"]


def test_without_verification_all_goes_on(listen: Started, behind: WebhookSink) -> None:
    """So that one's own refusals can be tried; the row says all the same what is not genuine."""
    behind.answer = lambda _: Answer(401)
    listener = listen("--secret", SECRET, "--no-verify", "--forward-to", behind.url("x"))
    assert listener.post(b"{}", **signed(b"{}", 1, OTHER))[0] == 401
    row = listener.row()
    assert (row["verified"], row["order"]) == (False, None)
    assert row["cause"].startswith("no-match")
    assert len(behind.hits) == 1


def test_a_server_that_is_not_there(listen: Started) -> None:
    """502 to the sender, who will come again, and the reason in the row."""
    [nobody] = free_ports(1)
    listener = listen("--forward-to", f"http://127.0.0.1:{nobody}/x")
    status, text = listener.post(b"{}", **signed(b"{}", 1))
    row = listener.row()
    assert (status, row["status"], text) == (502, 502, row["cause"] + "\n")
    assert row["cause"].startswith(f"not-reached: http://127.0.0.1:{nobody}/x: ")


def test_kept_requests_are_sent_again(
    listen: Started,
    behind: WebhookSink,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The last ones, in order, byte by byte, under their ids and with a signature of now; they are
    files that `hooklane verify` reads."""
    folder = tmp_path / "kept"
    listener = listen("--keep", str(folder), "--secret", SECRET, "--secret", OTHER)
    bodies = [b'{"n": %d}' % number for number in range(3)]
    for number, body in enumerate(bodies):
        # So old that its signature is about to be refused.
        listener.post(body, f"/a?n={number}", **signed(body, number, age_s=290))
    files = sorted(folder.iterdir())
    assert [file.suffix for file in files] == [".body", ".headers"] * 3
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    again = ["listen", "--keep", str(folder), "--forward-to", f"127.0.0.1:{behind.port}"]
    assert run([*again, "--secret", SECRET, "--replay", "2", "--output", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["status"], row["webhook_id"], row["accepted"]) for row in rows] == [
        (200, "msg_1", True),
        (200, "msg_2", True),
    ]
    assert [(hit.path, hit.body) for hit in behind.hits] == [
        (f"/a?n={number}", bodies[number]) for number in (1, 2)
    ]
    for hit in behind.hits:
        assert Webhook(SECRET).verify(hit.body, hit.headers) is not None
        kept = (folder / f"{files[0].name}").with_suffix(".headers").read_text()
        assert hit.headers["webhook-timestamp"] not in kept
    behind.answer = lambda _: Answer(500)
    assert run([*again, "--replay", "1"]) == 1
    assert " 500  msg_2 " in capsys.readouterr().out


def test_a_hundred_requests_are_kept(tmp_path: Path) -> None:
    """The oldest go; what a sender writes into its id names no file elsewhere."""
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415 - only here

    from hooklane.ops.listen_keep import RequestFolder  # noqa: PLC0415

    folder = RequestFolder(tmp_path / "kept")
    folder.make()
    first = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(102):
        headers = [(b"webhook-id", b"../../%d" % number)]
        folder.keep(first + timedelta(seconds=number), "/", headers, b"%d" % number)
    assert [one.body for one in folder.last(1000)] == [b"%d" % number for number in range(2, 102)]
    assert len(list((tmp_path / "kept").iterdir())) == 200
    assert [file.name for file in tmp_path.iterdir()] == ["kept"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--verify"], "--verify needs a --secret"),
        (["--replay", "1"], "--replay needs --keep, where the requests are, and --forward-to."),
        (["--forward-to", "ftp://x"], "--forward-to ftp://x cannot be used: give one such as"),
        (["--forward-to", "http://["], "--forward-to http://[ is no URL"),
        (
            ["--keep", "nowhere", "--forward-to", "localhost:1", "--replay", "1"],
            "No request is kept in nowhere",
        ),
        (["--keep", "/dev/null"], "--keep /dev/null cannot be made a folder"),
    ],
)
def test_wrong_usage_is_one_sentence(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, and what to change."""
    assert run(["listen", "--port", "0", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
