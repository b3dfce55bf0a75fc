"""A receiver for tests: takes webhooks on a real socket, keeps them, answers as it is told."""

import asyncio
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Self, assert_never

import httptools

from tests.support.receiver_script import reset


@dataclass(frozen=True, slots=True)
class Hit:
    """One request as it came in. `at`: monotonic seconds of its last byte; `client`: the serial
    number of the client's certificate, in hexadecimal."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float
    method: str = "POST"
    client: str = ""

    @property
    def sequence(self) -> int:
        return int(self.headers["hooklane-sequence"])

    @property
    def key(self) -> str:
        return self.headers.get("ce-partitionkey", "")


class Ending(Enum):
    """How an answer ends."""

    WHOLE = "whole"
    HALF = "half"
    """The head and a part of the body; then the connection is closed."""
    RESET = "reset"
    """No answer: the connection is reset."""
    NEVER = "never"
    """No answer, and the connection stays open."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the sink says, and after how many seconds."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    after_s: float = 0.0
    ending: Ending = Ending.WHOLE


OK = Answer()


@dataclass
class WebhookSink:
    """Runs in a thread of its own between `with` and its end. `answer` is called for each hit.

    `tls`: what it shows; an SSLContext may load another certificate meanwhile. With `keeps` off,
    `answer` alone remembers the hits.
    """

    answer: Callable[[Hit], Answer] = lambda hit: OK
    hits: list[Hit] = field(default_factory=list)
    port: int = 0
    tls: ssl.SSLContext | None = None
    keeps: bool = True

    def __enter__(self) -> Self:
        started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def url(self, path: str) -> str:
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://127.0.0.1:{self.port}/{path}"

    def of(self, path: str) -> list[Hit]:
        """The hits of one path, in the order in which they came."""
        return [hit for hit in list(self.hits) if hit.path == f"/{path}"]

    def wait_for(self, enough: Callable[[], bool], seconds: float = 30.0) -> None:
        """Until `enough` holds; fails with what there is after that many seconds."""
        deadline = time.monotonic() + seconds
        while not enough():
            assert time.monotonic() < deadline, f"only {len(self.hits)} hits in {seconds} s"
            time.sleep(0.01)

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            self._loop.create_server(
                lambda: _Connection(self), "127.0.0.1", self.port, ssl=self.tls
            )
        )
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))


class _Connection(asyncio.Protocol):
    def __init__(self, sink: WebhookSink) -> None:
        self._sink = sink
        self._parser = httptools.HttpRequestParser(self)
        self._path = ""
        self._headers: dict[str, str] = {}
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._path += url.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        method = self._parser.get_method().decode()
        shown = self._transport.get_extra_info("peercert") or {}
        client = str(shown.get("serialNumber", "")).lower()
        hit = Hit(self._path, self._headers, self._body, time.monotonic(), method, client)
        self._path, self._headers, self._body = "", {}, b""
        if self._sink.keeps:
            self._sink.hits.append(hit)
        answer = self._sink.answer(hit)
        if answer.after_s:
            asyncio.get_running_loop().call_later(answer.after_s, self._reply, answer)
        else:
            self._reply(answer)

    def _reply(self, answer: Answer) -> None:
        match answer.ending:
            case Ending.NEVER:
                return
            case Ending.RESET:
                reset(self._transport)
                return
            case Ending.WHOLE | Ending.HALF:
                whole = answer.ending is Ending.WHOLE
                more = 0 if whole else 1000
                lines = [
                    f"HTTP/1.1 {answer.status} X",
                    f"content-length: {len(answer.body) + more}",
                    *(f"{name}: {value}" for name, value in answer.headers),
                ]
                self._transport.write("\r\n".join([*lines, "", ""]).encode() + answer.body)
                if not whole:
                    self._transport.close()
            case never:
                assert_never(never)
