"""What engines make of connections that fail, hang or end at the wrong moment."""

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_network

import pytest

from hooklane.delivery.exchange import FaultKind, Request, Response
from hooklane.delivery.guard import Policy
from hooklane.delivery.way import Way
from tests.conformance.conftest import LOOPBACK, Make, post
from tests.conformance.driver import Driver, until
from tests.support.receiver_script import Peer, scripted


async def silent(peer: Peer) -> None:
    await peer.gone()


async def test_connection_refused(engine: Driver) -> None:
    """A port where nobody listens is named with its address."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        found = await engine.fault(post(f"http://127.0.0.1:{port}/"))
    assert found == (FaultKind.CONNECTION_REFUSED, f"127.0.0.1:{port}")


async def test_connect_timeout(engine: Driver) -> None:
    """A connection that does not come about in time is a connect timeout, not a timeout."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        # The queue of a listener that never accepts holds one connection; the next one hangs.
        with socket.create_connection(("127.0.0.1", port)):
            found = await engine.fault(post(f"http://127.0.0.1:{port}/", connect_s=0.2))
    assert found == (FaultKind.CONNECT_TIMEOUT, f"127.0.0.1:{port}")


async def test_tls_handshake_has_the_connect_timeout(engine: Driver) -> None:
    """A peer that takes the connection and never answers the handshake is a connect timeout."""
    async with scripted(silent) as server:
        found = await engine.fault(post(server.url(scheme="https"), connect_s=0.2))
    assert found == (FaultKind.CONNECT_TIMEOUT, f"127.0.0.1:{server.port}")


async def test_black_hole(engine: Driver) -> None:
    """A receiver that reads and never answers is a timeout after the total time."""
    async with scripted(silent) as server:
        found = await engine.fault(post(server.url(), timeout_s=0.2))
        assert found == (FaultKind.TIMEOUT, f"127.0.0.1:{server.port}")
        await until(lambda: server.ended == 1)


def patient(url: str, first_byte_s: float, timeout_s: float = 5.0) -> Request:
    return replace(post(url, timeout_s=timeout_s), way=Way(first_byte_s=first_byte_s))


async def test_no_first_byte_in_time(engine: Driver) -> None:
    """A receiver that has the request and says nothing is a first-byte timeout, long before the
    total time is up."""
    async with scripted(silent) as server:
        found = await engine.fault(patient(server.url(), 0.2))
        assert found == (FaultKind.FIRST_BYTE_TIMEOUT, f"127.0.0.1:{server.port}")
        await until(lambda: server.ended == 1)


async def test_first_byte_in_time_is_enough(engine: Driver, weaker: bool) -> None:
    """An answer that has begun may take its time, also on a kept connection, and also where the
    connection takes longer than the first byte may."""
    begun, rest = b"HTTP/1.1 200 OK\r\n", b"content-length: 2\r\n\r\nok"
    if weaker:
        begun, rest = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", b"ok"

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(begun)
            await asyncio.sleep(0.4)
            await peer.send(rest)

    async with scripted(script) as server:
        for _ in range(2):
            answer = await engine.response(patient(server.url(), 0.2))
            assert answer.body == b"ok"
        assert server.connections == 1


async def test_total_time_before_the_first_byte(engine: Driver) -> None:
    """Where the total time is up first, that is what it is called."""
    async with scripted(silent) as server:
        kind, _ = await engine.fault(patient(server.url(), 0.5, timeout_s=0.2))
    assert kind is FaultKind.TIMEOUT


async def test_receiver_that_does_not_read(engine: Driver) -> None:
    """A request that cannot be written is a timeout like any other."""

    async def script(peer: Peer) -> None:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(30)

    async with scripted(script) as server:
        kind, _ = await engine.fault(post(server.url(), body=b"x" * 20_000_000, timeout_s=0.3))
    assert kind is FaultKind.TIMEOUT


@pytest.mark.parametrize("drip", [b"HTTP/1.1 200 OK\r\n", b"x"], ids=["head", "body"])
async def test_slow_drip(engine: Driver, drip: bytes) -> None:
    """One byte at a time does not stretch the total time."""

    async def script(peer: Peer) -> None:
        await peer.request()
        if drip == b"x":
            await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        for at in range(1000):
            await peer.send(drip[at % len(drip)].to_bytes())
            await asyncio.sleep(0.03)

    async with scripted(script) as server:
        kind, _ = await engine.fault(post(server.url(), timeout_s=0.3))
    assert kind is FaultKind.TIMEOUT


MOMENTS = {
    "before the request": b"",
    "after the request": b"",
    "in the status line": b"HTTP/1.1 20",
    "in the head": b"HTTP/1.1 200 OK\r\ncontent-le",
    "after the head": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
    "in the body": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc",
    "in a chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc",
    "between chunks": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
    "after a 100": b"HTTP/1.1 100 Continue\r\n\r\n",
}


@pytest.mark.parametrize("how", ["reset", "closed"])
@pytest.mark.parametrize("moment", MOMENTS)
async def test_connection_ends(engine: Driver, moment: str, how: str, weaker: bool) -> None:
    """A connection that ends anywhere before the end of the response is a reset."""

    async def script(peer: Peer) -> None:
        if moment != "before the request":
            await peer.request()
        await peer.send(MOMENTS[moment])
        if MOMENTS[moment]:
            # So that the peer has read it before the connection ends: a reset throws it away.
            await asyncio.sleep(0.05)
        if how == "reset":
            peer.reset()

    async with scripted(script) as server:
        found = await engine.fault(post(server.url()))
    wanted = FaultKind.PROTOCOL if weaker else FaultKind.RESET
    assert found == (wanted, f"127.0.0.1:{server.port}")


async def test_reset_in_a_body_without_length(engine: Driver) -> None:
    """A body that only closing ends is not complete when it ends by a reset."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\nabc")
        await asyncio.sleep(0.05)
        peer.reset()

    async with scripted(script) as server:
        kind, _ = await engine.fault(post(server.url()))
    assert kind is FaultKind.RESET


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("ftp://127.0.0.1/", FaultKind.INVALID_URL),
        ("http://a@127.0.0.1/", FaultKind.INVALID_URL),
        ("nonsense", FaultKind.INVALID_URL),
        ("http://127.0.0.1:22/", FaultKind.BLOCKED_ADDRESS),
        ("http://10.0.0.1/", FaultKind.BLOCKED_ADDRESS),
        ("http://[::ffff:169.254.169.254]/", FaultKind.BLOCKED_ADDRESS),
        ("http://0x0a.1/", FaultKind.BLOCKED_ADDRESS),
    ],
)
async def test_guarded(engine: Driver, url: str, kind: FaultKind) -> None:
    """What the guard refuses is never dialled."""
    assert await engine.fault(post(url)) == (kind, None)


async def test_http_may_be_refused(make: Make) -> None:
    """Without `allow_http` a plain URL is an invalid one."""
    engine = make(policy=Policy(allow=(ip_network("127.0.0.0/8"),)))
    kind, _ = await engine.fault(post("http://127.0.0.1/"))
    assert kind is FaultKind.INVALID_URL


async def test_lookup_fails(make: Make) -> None:
    """A name that cannot be looked up is a DNS fault."""

    async def lookup(name: str) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    kind, _ = await make(lookup=lookup).fault(post("http://hooks.example/"))
    assert kind is FaultKind.DNS


async def test_lookup_hangs(make: Make) -> None:
    """A name server that does not answer is a DNS fault after the connect timeout."""

    async def lookup(name: str) -> Sequence[str]:
        await asyncio.sleep(30)
        raise AssertionError

    kind, _ = await make(lookup=lookup).fault(post("http://hooks.example/", connect_s=0.2))
    assert kind is FaultKind.DNS


async def test_mixed_answer_dials_only_the_public_ones(make: Make) -> None:
    """Of public and blocked addresses in one answer only the public ones are dialled, in turn."""
    asked: list[str] = []

    async def lookup(name: str) -> Sequence[str]:
        asked.append(name)
        return ["10.0.0.1", "169.254.169.254", "127.0.0.2", "127.0.0.1"]

    async def script(peer: Peer) -> None:
        request = await peer.request()
        await peer.ok((request.header("host") or "").encode())

    engine = make(lookup=lookup)
    async with scripted(script) as server:
        answer = await engine.response(post(server.url(host="hooks.example.")))
    assert answer.body == f"hooks.example:{server.port}".encode()
    assert answer.address == f"127.0.0.1:{server.port}"
    assert asked == ["hooks.example."]


async def test_rebinding_does_not_reach_a_second_answer(make: Make) -> None:
    """A name whose next answer would be private is dialled by the answer that was judged."""
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])

    async def lookup(name: str) -> Sequence[str]:
        return next(answers)

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")

    engine = make(lookup=lookup)
    async with scripted(script) as server:
        for _ in range(3):
            answer = await engine.response(post(server.url(host="rebinding.example")))
            assert answer.address == f"127.0.0.1:{server.port}"


async def test_cancel_tells_nothing(engine: Driver) -> None:
    """A cancelled exchange ends its connection and its callback is not called."""
    async with scripted(silent) as server:
        running, ended = engine.begin(post(server.url()))
        await until(lambda: server.connections == 1)
        running.cancel()
        await until(lambda: server.ended == 1)
        running.cancel()
    assert not ended.done()


async def test_cancel_before_the_connection(engine: Driver) -> None:
    """An exchange that is cancelled at once leaves nothing behind."""
    async with scripted(silent) as server:
        running, ended = engine.begin(post(server.url()))
        running.cancel()
        await asyncio.sleep(0.05)
    assert not ended.done()


async def test_close_cuts_off(engine: Driver) -> None:
    """Closing the engine ends what runs, without telling."""
    async with scripted(silent) as server:
        _, ended = engine.begin(post(server.url()))
        await until(lambda: server.connections == 1)
        await engine.engine.close()
        await until(lambda: server.ended == 1)
    assert not ended.done()


async def test_dead_origin_disturbs_no_other(engine: Driver) -> None:
    """A hundred exchanges that hang at one origin do not delay one at another."""

    async def good(peer: Peer) -> None:
        await peer.request()
        await peer.ok()

    async with scripted(silent) as dead, scripted(good) as alive:
        hanging = [engine.begin(post(dead.url()))[0] for _ in range(100)]
        result = await engine.run(post(alive.url(), timeout_s=2.0))
        assert isinstance(result, Response)
        for running in hanging:
            running.cancel()


def test_policy_of_these_tests_is_narrow() -> None:
    """Only loopback is opened, so that what is not loopback is really judged."""
    assert LOOPBACK.allow == (ip_network("127.0.0.0/8"),)
