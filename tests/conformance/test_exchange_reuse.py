"""When engines use a connection again, and when they must not."""

import asyncio
import socket
import struct

import pytest

from hooklane.delivery.engine.bounds import Bounds
from hooklane.delivery.exchange import FaultKind, Response
from tests.conformance.conftest import Make, at_home, post
from tests.conformance.driver import Driver, until
from tests.support.receiver_script import Peer, scripted


async def serve(peer: Peer) -> None:
    while True:
        request = await peer.request()
        await peer.ok(request.body)


async def test_connection_is_kept(engine: Driver) -> None:
    """Requests one after the other share one connection."""
    async with scripted(serve) as server:
        for body in (b"1", b"2", b"3"):
            answer = await engine.response(post(server.url(), body=body))
            assert answer.body == body
        assert server.connections == 1


async def test_one_exchange_a_connection(engine: Driver) -> None:
    """Requests at the same time have a connection each, and each gets its own answer."""
    async with scripted(serve) as server:
        bodies = [b"%d" % number for number in range(20)]
        answers = await asyncio.gather(
            *(engine.response(post(server.url(), body=body)) for body in bodies)
        )
        assert [answer.body for answer in answers] == bodies
        assert server.connections == 20


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
    ],
    ids=["close", "1.0"],
)
async def test_connection_that_says_close_is_not_kept(engine: Driver, head: bytes) -> None:
    """After `Connection: close`, and without keep-alive in HTTP/1.0, a new connection is made."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(head)
        await peer.gone()

    async with scripted(script) as server:
        for number in (1, 2):
            await engine.response(post(server.url()))
            assert server.connections == number
        await until(lambda: server.ended == 2)


@pytest.mark.parametrize("how", ["closed", "reset"])
async def test_closed_by_peer_while_idle(engine: Driver, how: str) -> None:
    """A connection that the peer ended while it was idle is not used: the next request succeeds."""
    ended = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.ok()
        if how == "reset":
            await asyncio.sleep(0.02)
            peer.reset()
        else:
            peer.writer.close()
        ended.set()

    async with scripted(script) as server:
        await engine.response(post(server.url()))
        await ended.wait()
        await asyncio.sleep(0.02)
        await engine.response(post(server.url()))
        assert server.connections == 2


async def test_closed_without_an_answer_is_not_sent_again(engine: Driver, weaker: bool) -> None:
    """A request that was written on a kept connection and got no answer fails: it may have been
    taken, so it is never sent a second time."""
    taken: list[bytes] = []

    async def script(peer: Peer) -> None:
        taken.append((await peer.request()).body)
        await peer.ok()
        taken.append((await peer.request()).body)

    async with scripted(script) as server:
        await engine.response(post(server.url(), body=b"1"))
        kind, _ = await engine.fault(post(server.url(), body=b"2"))
        assert kind is (FaultKind.PROTOCOL if weaker else FaultKind.RESET)
        assert (taken, server.connections) == ([b"1", b"2"], 1)


async def answered_by_hand(listener: socket.socket) -> tuple[socket.socket, bytes]:
    """Take one connection and answer one request on it, without a server's loop."""
    loop = asyncio.get_running_loop()
    peer, _ = await loop.sock_accept(listener)
    peer.setblocking(False)
    received = b""
    while b"\r\n\r\n" not in received or not received.endswith(b"}"):
        received += await loop.sock_recv(peer, 65536)
    await loop.sock_sendall(peer, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    return peer, received


async def test_reset_before_anything_left_is_sent_again(engine: Driver) -> None:
    """A kept connection that was reset, unseen as yet, takes nothing of the next request: nothing
    left this host, so it goes over a new connection and the attempt succeeds."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/hook"
        _, ended = engine.begin(post(url, body=b"{1}"))
        peer, _ = await answered_by_hand(listener)
        assert isinstance(await ended, Response)
        # By RST, and in one turn of the loop with the next request: the engine cannot know.
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        _, ended = engine.begin(post(url, body=b"{2}"))
        async with asyncio.timeout(5):
            peer, received = await answered_by_hand(listener)
            assert isinstance(await ended, Response)
        assert received.endswith(b"{2}")
        peer.close()


async def test_answer_that_nobody_asked_for(make: Make, weaker: bool) -> None:
    """A second answer smuggled behind the first is never taken for the answer of the next one; nor,
    whatever the engine, for the answer of another origin at the same address."""
    engine = make(lookup=at_home)

    async def script(peer: Peer) -> None:
        request = await peer.request()
        answer = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n%b" % request.body
        await peer.send(answer + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
        await peer.gone()

    async with scripted(script) as server:
        answer = await engine.response(post(server.url(), body=b"1"))
        assert answer.body == b"1"
        answer = await engine.response(post(server.url(host="other.example"), body=b"2"))
        assert answer.body == b"2"
        answer = await engine.response(post(server.url(), body=b"3"))
        assert (answer.body, server.connections) == ((b"evil", 2) if weaker else (b"3", 3))


async def test_late_words_of_an_idle_connection(engine: Driver) -> None:
    """A connection on which something comes while it is idle is dropped."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.ok(b"1")
        await asyncio.sleep(0.02)
        await peer.send(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
        await peer.gone()

    async with scripted(script) as server:
        await engine.response(post(server.url()))
        await asyncio.sleep(0.08)
        answer = await engine.response(post(server.url()))
        assert (answer.status, server.connections) == (200, 2)


async def test_connection_of_a_timeout_is_dropped(engine: Driver) -> None:
    """A late answer to a request that timed out is not taken for the answer of the next one."""
    late = asyncio.Event()

    async def script(peer: Peer) -> None:
        request = await peer.request()
        if request.body == b"slow":
            await late.wait()
        await peer.ok(request.body)

    async with scripted(script) as server:
        kind, _ = await engine.fault(post(server.url(), body=b"slow", timeout_s=0.1))
        assert kind is FaultKind.TIMEOUT
        late.set()
        answer = await engine.response(post(server.url(), body=b"next"))
        assert answer.body == b"next"


async def test_idle_connections_are_closed(make: Make) -> None:
    """A connection that nobody uses is closed after the limit, whatever other origins do."""
    engine = make(bounds=Bounds(idle_s=0.1))
    async with scripted(serve) as one, scripted(serve) as other:
        await engine.response(post(one.url()))
        await engine.response(post(other.url()))
        await until(lambda: len(one.errors) == 1 and len(other.errors) == 1)


async def test_old_connections_are_not_used_again(make: Make) -> None:
    """A connection above its age is replaced, so that a name that moved is followed."""
    engine = make(bounds=Bounds(age_s=0.0))
    async with scripted(serve) as server:
        for number in (1, 2, 3):
            await engine.response(post(server.url()))
            assert server.connections == number
        await until(lambda: len(server.errors) == 3)


async def test_origins_do_not_share(engine: Driver) -> None:
    """Another host name is another origin, also at the same address and port."""
    async with scripted(serve) as server:
        await engine.response(post(server.url()))
        await engine.response(post(server.url(host="127.0.0.1.")))
        assert server.connections == 1
