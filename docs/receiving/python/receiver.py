"""A receiver of Hooklane's webhooks, with FastAPI. It stores, answers, and then works.

Environment: WEBHOOK_SECRETS (one or more, separated by spaces), INBOX (a file, inbox.txt).
"""

import base64
import hmac
import os
import queue
import re
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool

TOLERANCE_S = 300
LARGEST_BODY = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Event:
    """A line of the inbox: what is absent is a `-`, the body is in base64."""

    id: str
    lane: str
    sequence: str
    type: str
    body: str


def genuine(secrets: list[bytes], headers: Mapping[str, str], body: bytes) -> bool:
    """Whether one of the signatures was made with one of the secrets, a short while ago."""
    webhook_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", webhook_id):
        return False
    if not re.fullmatch(r"[0-9]{1,12}", timestamp):
        return False
    if abs(time.time() - int(timestamp)) > TOLERANCE_S:
        return False
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    found = False
    for secret in secrets:
        expected = b"v1," + base64.b64encode(hmac.digest(secret, signed, "sha256"))
        for given in headers.get("webhook-signature", "").split():
            found |= hmac.compare_digest(given.encode(), expected)
    return found


def read(headers: Mapping[str, str], body: bytes) -> Event:
    """What is kept of a genuine request."""

    def header(name: str, pattern: str) -> str:
        value = headers.get(name, "")
        return value if re.fullmatch(pattern, value) else "-"

    return Event(
        headers["webhook-id"],
        header("hooklane-lane", "[0-9a-f]{32}"),
        header("hooklane-sequence", "[0-9]{1,18}"),
        header("ce-type", "[!-~]{1,512}"),
        base64.b64encode(body).decode(),
    )


def work(event: Event) -> None:
    """Your own work, one event after the other. Done twice for an event only after a crash."""
    print("working on", event.type, base64.b64decode(event.body).decode(errors="replace"))


class Inbox:
    """What was accepted, in a file: a line an event. INBOX.done has the ids that were worked on.

    In a service of yours this is a table: `id` unique, the highest sequence by lane.
    """

    def __init__(self, path: Path) -> None:
        done = path.with_name(path.name + ".done")
        worked_on = len(whole_lines(done))
        self._lock = threading.Lock()
        self._ids: set[str] = set()
        self._highest: dict[str, int] = {}
        self._todo: queue.SimpleQueue[Event] = queue.SimpleQueue()
        for number, line in enumerate(whole_lines(path)):
            self._remember(Event(*line.split(" ")), todo=number >= worked_on)
        self._file, self._done = path.open("a"), done.open("a")

    def take(self, event: Event) -> None:
        """Keep it for good before this returns, unless it was here, or comes too late."""
        with self._lock, or_the_end():
            if event.id in self._ids or self._is_late(event):
                return
            print(event.id, event.lane, event.sequence, event.type, event.body, file=self._file)
            self._file.flush()
            os.fsync(self._file.fileno())
            self._remember(event, todo=True)

    def work_on(self) -> None:
        """For a thread of its own: works on one event after the other, and never ends."""
        while True:
            event = self._todo.get()
            with or_the_end():
                work(event)
                print(event.id, file=self._done, flush=True)

    def _is_late(self, event: Event) -> bool:
        """A request that was long under way: a later event of its lane has been here since."""
        known = self._highest.get(event.lane)
        return known is not None and event.sequence != "-" and int(event.sequence) <= known

    def _remember(self, event: Event, *, todo: bool) -> None:
        self._ids.add(event.id)
        if event.lane != "-" and event.sequence != "-":
            self._highest[event.lane] = int(event.sequence)
        if todo:
            self._todo.put(event)


@contextmanager
def or_the_end() -> Iterator[None]:
    """What cannot be stored is not answered, and what could not be worked on is not passed over:
    the process ends, and goes on from its files when it is started again."""
    try:
        yield
    except Exception:
        traceback.print_exc()
        os._exit(1)


def whole_lines(path: Path) -> list[str]:
    """The file's lines. Half a line is what a crash left: it was never answered, and goes."""
    found = path.read_text() if path.exists() else ""
    whole = found[: found.rfind("\n") + 1]
    if whole != found:
        path.write_text(whole)
    return whole.splitlines()


def secrets_from(text: str) -> list[bytes]:
    """The keys of `whsec_…` secrets that are separated by spaces."""
    try:
        found = [
            base64.b64decode(secret.removeprefix("whsec_"), validate=True)
            for secret in text.split()
        ]
    except ValueError:
        sys.exit("A secret in WEBHOOK_SECRETS is not base64 behind whsec_.")
    return found or sys.exit("Set WEBHOOK_SECRETS to signing secrets, separated by spaces.")


SECRETS = secrets_from(os.environ.get("WEBHOOK_SECRETS", ""))
INBOX = Inbox(Path(os.environ.get("INBOX", "inbox.txt")))


@asynccontextmanager
async def working(_: FastAPI) -> AsyncIterator[None]:
    threading.Thread(target=INBOX.work_on, daemon=True).start()
    yield


app = FastAPI(lifespan=working)


@app.get("/healthz")
async def healthz() -> Response:
    return Response("ok\n")


@app.post("/webhooks")
async def webhooks(request: Request) -> Response:
    if int(request.headers.get("content-length", LARGEST_BODY + 1)) > LARGEST_BODY:
        return Response(status_code=413)
    body = await request.body()
    if not genuine(SECRETS, request.headers, body):
        return Response(status_code=401)
    await run_in_threadpool(INBOX.take, read(request.headers, body))
    return Response(status_code=204)
