"""`hooklane listen` as a process of its own, on a real socket."""

import base64
import hashlib
import hmac
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from typing import Any, Self

import pytest
from standardwebhooks import Webhook

from hooklane.ops.main import run

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
OTHER = "whsec_" + base64.b64encode(b"another secret, also long enough").decode()


class Listener:
    """A running `hooklane listen`; `rows` are what it printed (with --output json)."""

    def __init__(self, *arguments: str, environment: dict[str, str] | None = None) -> None:
        command = [sys.executable, "-m", "hooklane.ops.main", "listen", "--port", "0", *arguments]
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(environment or {})},
        )
        first = self._stderr.readline().decode()
        found = re.fullmatch(r"Listening on http://127\.0\.0\.1:([0-9]+), Ctrl-C ends\.\n", first)
        assert found is not None, first
        self.port = int(found[1])

    @property
    def _stderr(self) -> Any:
        return self._process.stderr

    @property
    def _stdout(self) -> Any:
        return self._process.stdout

    def post(
        self, body: bytes = b"{}", path: str = "/", method: str = "POST", **headers: str
    ) -> tuple[int, str]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def row(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._stdout.readline())
        return found

    def line(self) -> str:
        found: str = self._stdout.readline().decode()
        return found

    def end(self, by: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """The exit code and its last words."""
        self._process.send_signal(by)
        _, words = self._process.communicate(timeout=20)
        return self._process.returncode, words.decode()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    with ExitStack() as stack:

        def start(*arguments: str, **environment: str) -> Listener:
            return stack.enter_context(Listener(*arguments, environment=environment))

        yield start


def signed(body: bytes, sequence: int, secret: str = SECRET, age_s: int = 0) -> dict[str, str]:
    """The headers of a delivery, signed by the receivers' own library."""
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415 - only here

    at = datetime.now(UTC) - timedelta(seconds=age_s)
    webhook_id = f"msg_{sequence}"
    return {
        "webhook_id": webhook_id,
        "webhook_timestamp": str(int(at.timestamp())),
        "webhook_signature": Webhook(secret).sign(webhook_id, at, body.decode()),
        "hooklane_sequence": str(sequence),
        "hooklane_attempt": "1",
        "ce_type": "invoice.paid",
        "ce_source": "/billing",
        "ce_partitionkey": "c-42",
        "content_type": "application/json",
    }


def test_genuine_requests_are_shown_as_such(listen: Callable[..., Listener]) -> None:
    """Signed by the standardwebhooks package: 204, and a row with everything in it."""
    listener = listen("--secret", OTHER, "--secret", SECRET, "--output", "json")
    body = b'{"amount": 12.30, "text": "' + b"x" * 200 + b'"}'
    assert listener.post(body, "/hook?a=b", **signed(body, 7)) == (204, "")
    row = listener.row()
    assert abs(time.time() - _seconds(row.pop("time"))) < 30
    assert row == {
        "status": 204,
        "verified": True,
        "cause": None,
        "order": "next",
        "webhook_id": "msg_7",
        "sequence": 7,
        "attempt": 1,
        "type": "invoice.paid",
        "key": "c-42",
        "source": "/billing",
        "replay": None,
        "path": "/hook",
        "content_type": "application/json",
        "body": body.decode(),
    }
    assert listener.end() == (0, "1 requests, 1 accepted.\n")


def _seconds(text: str) -> float:
    from datetime import datetime  # noqa: PLC0415 - only here

    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"webhook_signature": "v1,AAAA"}, "no-match"),
        ({"webhook_signature": ""}, "missing-header"),
        ({"webhook_id": "msg.7"}, "malformed-id"),
        ({"webhook_timestamp": "1"}, "timestamp-too-old"),
        ({"webhook_timestamp": "nan"}, "malformed-timestamp"),
    ],
)
def test_what_is_not_genuine_is_refused_with_its_cause(
    listen: Callable[..., Listener], change: dict[str, str], cause: str
) -> None:
    """401, the cause to the sender and in the row, and no say in the order."""
    listener = listen("--secret", SECRET, "--output", "json")
    status, text = listener.post(b"{}", **{**signed(b"{}", 7), **change})
    row = listener.row()
    assert (status, row["verified"], row["order"]) == (401, False, None)
    assert row["cause"].startswith(cause)
    assert text == row["cause"] + "\n"
    assert listener.end()[1] == "1 requests, 0 accepted, 1 not genuine.\n"


def test_github_signatures(listen: Callable[..., Listener]) -> None:
    """X-Hub-Signature-256 by the standard library's HMAC; another body or scheme is refused."""
    listener = listen("--scheme", "github", "--output", "json", HOOKLANE_LISTEN_SECRET="it's a key")
    good = "sha256=" + hmac.new(b"it's", b"{}", hashlib.sha256).hexdigest()
    assert listener.post(b"{}", x_hub_signature_256=good)[0] == 204
    assert listener.post(b"{ }", x_hub_signature_256=good)[0] == 401
    assert listener.post(b"{}", x_hub_signature_256=good[7:])[0] == 401
    assert listener.post(b"{}")[0] == 401
    causes = [listener.row()["cause"] for _ in range(4)]
    assert [str(cause).partition(":")[0] for cause in causes] == [
        "None",
        "no-match",
        "malformed-signature",
        "missing-header",
    ]


def test_broken_order_and_repeats_are_said(listen: Callable[..., Listener]) -> None:
    """Per key: next, repeated, broken, retried; and in the last words how many of each."""
    listener = listen("--fail-first", "1", "--output", "json")
    for sequence in (5, 5, 9, 9, 7):
        listener.post(b"{}", **signed(b"{}", sequence))
    rows = [listener.row() for _ in range(5)]
    assert [row["status"] for row in rows] == [503, 204, 204, 204, 204]
    assert [row["order"] for row in rows] == [
        "next",
        "retry",
        "next",
        "repeated",
        "broken: after 9",
    ]
    assert {row["verified"] for row in rows} == {None}
    assert listener.end()[1] == (
        "5 requests, 4 accepted, 1 failed on request, 1 retry, 1 repeated, 1 broken.\n"
    )


def test_told_to_fail_a_key(listen: Callable[..., Listener]) -> None:
    """Only that key fails, with the status that was asked for."""
    listener = listen("--fail", "429", "--fail-key", "c-42")
    assert listener.post(b"{}", **signed(b"{}", 1)) == (429, "told to fail\n")
    assert listener.post(b"{}", **{**signed(b"{}", 2), "ce_partitionkey": "x"})[0] == 204


def test_table_is_a_line_a_request(listen: Callable[..., Listener]) -> None:
    """Headings, then one line each; a hostile body is shortened and cannot move a cursor."""
    listener = listen()
    listener.post(b"\x1b[2J\r\n" + b"x" * 500, **signed(b"{}", 7))
    listener.post(b"\xff\x00", "/", **signed(b"{}", 8))
    heading, first, second = listener.line(), listener.line(), listener.line()
    assert heading.split() == (
        [
            "TIME",
            "STATUS",
            "WEBHOOK-ID",
            "SEQUENCE",
            "ATTEMPT",
            "VERIFIED",
            "ORDER",
            "TYPE",
            "KEY",
            "CAUSE",
            "BODY",
        ]
    )
    assert "msg_7" in first
    assert "\x1b" not in first
    assert first.rstrip().endswith("x…")
    assert "base64:/wA=" in second


def test_other_methods_are_not_webhooks(listen: Callable[..., Listener]) -> None:
    """GET is answered by 405 and not counted; HEAD too."""
    listener = listen()
    assert listener.post(b"", method="GET")[0] == 405
    assert listener.post(b"", method="HEAD")[0] == 405
    assert listener.end()[1] == "0 requests, 0 accepted.\n"


def test_sigterm_answers_what_has_begun(listen: Callable[..., Listener]) -> None:
    """A request whose body is still coming when the signal arrives is answered; exit 0."""
    listener = listen("--output", "json")
    with socket.create_connection(("127.0.0.1", listener.port), timeout=20) as slow:
        slow.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nab")
        # A later request's row shows that the loop has taken up the one before.
        listener.post(b"{}")
        listener.row()
        listener._process.send_signal(signal.SIGTERM)
        wait_refused(listener.port)
        slow.sendall(b"cd")
        assert slow.recv(100).startswith(b"HTTP/1.1 204")
    assert listener.row()["body"] == "abcd"
    assert listener._process.wait(20) == 0


def wait_refused(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return
        time.sleep(0.01)
    raise AssertionError("it goes on listening")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--secret", "whsec_short"], "--secret cannot be used"),
        (["--secret", "", "--scheme", "github"], "--secret is empty."),
        (["--fail", "200"], "--fail 200 is no failure"),
        (["--fail", "700"], "--fail 700 is no failure"),
        (
            ["--host", "192.0.2.1"],
            "Cannot listen on 192.0.2.1:8080 (Cannot assign requested address)",
        ),
        (["--host", "no.such.host.invalid"], "Cannot listen on no.such.host.invalid:8080 ("),
    ],
)
def test_wrong_usage_is_one_sentence(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, and what to change."""
    assert run(["listen", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_taken_port_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """The port is named, and the option that changes it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["listen", "--port", str(port)]) == 2
    assert f"Cannot listen on 127.0.0.1:{port} (Address already in use)" in capsys.readouterr().err
