"""A receiver that speaks HTTP/2: many requests on a connection, each answered as a script says."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    RequestReceived,
    StreamEnded,
    WindowUpdated,
)
from h2.exceptions import H2Error

from tests.support.receiver_script import Peer, ScriptedServer, scripted


class Stream:
    """One request, and what may be said to it. `connection` counts from one."""

    def __init__(self, carrier: "_Carrier", number: int, headers: dict[str, str]) -> None:
        self.headers = headers
        self.body = b""
        self.connection = carrier.number
        self._carrier = carrier
        self._number = number

    async def answer(
        self, body: bytes = b"ok", status: int = 200, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        await self.begin(status, headers)
        await self.say(body, last=True)

    async def begin(self, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> None:
        """Headers only."""
        self._carrier.h2.send_headers(self._number, [(":status", str(status)), *headers])
        await self._carrier.flush()

    async def say(self, data: bytes, *, last: bool = False) -> None:
        """Part of the body, as the other side makes room for it."""
        h2 = self._carrier.h2
        while data:
            room = min(h2.local_flow_control_window(self._number), h2.max_outbound_frame_size)
            if room == 0:
                self._carrier.room.clear()
                await self._carrier.room.wait()
                continue
            h2.send_data(self._number, data[:room])
            data = data[room:]
            await self._carrier.flush()
        if last:
            h2.end_stream(self._number)
            await self._carrier.flush()

    async def reset(self) -> None:
        self._carrier.h2.reset_stream(self._number, ErrorCodes.INTERNAL_ERROR)
        await self._carrier.flush()

    async def go_away(self, last: int) -> None:
        """Say that no request after `last` was or will be taken, and end the connection."""
        self._carrier.h2.close_connection(ErrorCodes.NO_ERROR, last_stream_id=last)
        await self._carrier.flush()
        self._carrier.writer.close()


Script = Callable[[Stream], Awaitable[None]]


class H2Receiver:
    """`streams` are in the order of their arrival."""

    def __init__(self, script: Script) -> None:
        self.streams: list[Stream] = []
        self.server: ScriptedServer | None = None
        self.connections = 0
        self.open = 0
        self._script = script

    @property
    def port(self) -> int:
        assert self.server is not None
        return self.server.port

    def url(self, host: str, path: str = "/hook") -> str:
        return f"https://{host}:{self.port}{path}"

    async def __call__(self, peer: Peer) -> None:
        self.connections += 1
        self.open += 1
        try:
            await _Carrier(peer, self._script, self).serve()
        except* OSError:
            pass
        finally:
            self.open -= 1


class _Carrier:
    """One connection."""

    def __init__(self, peer: Peer, script: Script, receiver: H2Receiver) -> None:
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.number = receiver.connections
        self.room = asyncio.Event()
        self.writer = peer.writer
        self._peer = peer
        self._script = script
        self._receiver = receiver
        self._streams: dict[int, Stream] = {}

    async def flush(self) -> None:
        await self._peer.send(self.h2.data_to_send())

    async def serve(self) -> None:
        self.h2.initiate_connection()
        await self.flush()
        async with asyncio.TaskGroup() as playing:
            while data := await self._peer.reader.read(65536):
                for event in self.h2.receive_data(data):
                    ready = self._take(event)
                    if ready is not None:
                        playing.create_task(self._play(ready))
                if not self.writer.is_closing():
                    await self.flush()
            raise ConnectionResetError

    def _take(self, event: Event) -> Stream | None:
        """The request that is complete by this event, if one is."""
        match event:
            case RequestReceived():
                headers = {str(name): str(value) for name, value in event.headers or ()}
                number = event.stream_id or 0
                self._streams[number] = Stream(self, number, headers)
            case DataReceived():
                number = event.stream_id or 0
                self._streams[number].body += event.data or b""
                self.h2.acknowledge_received_data(event.flow_controlled_length or 0, number)
            case StreamEnded():
                stream = self._streams[event.stream_id or 0]
                self._receiver.streams.append(stream)
                return stream
            case WindowUpdated():
                self.room.set()
            case _:
                pass
        return None

    async def _play(self, stream: Stream) -> None:
        # Who is gone hears no more.
        with suppress(OSError, H2Error):
            await self._script(stream)


@asynccontextmanager
async def h2_receiver(script: Script, tls: ssl.SSLContext) -> AsyncIterator[H2Receiver]:
    """Play `script` for each request to a free loopback port."""
    tls.set_alpn_protocols(["h2"])
    receiver = H2Receiver(script)
    async with scripted(receiver, tls) as server:
        receiver.server = server
        yield receiver
