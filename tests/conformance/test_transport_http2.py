"""HTTP/2 by httpx's transport: exchanges share a connection, and not each other's trouble."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from hooklane.delivery.engine.bounds import Bounds
from hooklane.delivery.engine.native import NativeEngine
from hooklane.delivery.exchange import Fault, FaultKind, Response
from hooklane.delivery.guard import Guard
from hooklane.delivery.resolve import Resolver
from hooklane.delivery.way import Identity, Way
from tests.conformance.conftest import LOOPBACK, Make, at_home, post
from tests.conformance.driver import Driver, until
from tests.support.receiver_h2 import Stream, h2_receiver
from tests.support.receiver_script import Peer, scripted
from tests.support.receiver_tls import Authority, Issued, TrustIn, self_signed

HOST = "hooks.example"

HTTP2: dict[str, object] = {"http2": True}


@pytest.fixture
def certified(authority: Authority) -> Issued:
    return authority.issue(HOST)


async def echo(stream: Stream) -> None:
    await stream.answer(stream.body)


async def silent(stream: Stream) -> None:
    await asyncio.Event().wait()


async def test_requests_share_one_connection(over: Make, certified: Issued, tmp_path: Path) -> None:
    """Twenty requests are under way on one connection at once; each is the document's, by its name,
    at the judged address, and gets its own answer."""
    together = asyncio.Barrier(20)

    async def script(stream: Stream) -> None:
        await together.wait()
        await stream.answer(stream.body)

    async with h2_receiver(script, certified.server(tmp_path)) as server:
        engine, url = over(HTTP2), server.url(HOST, "/a/./b?x=%C3%A9")
        bodies = [b"%d" % number for number in range(20)]
        answers = await asyncio.gather(*(engine.response(post(url, body=body)) for body in bodies))
        assert [answer.body for answer in answers] == bodies
        assert {answer.address for answer in answers} == {f"127.0.0.1:{server.port}"}
        assert server.connections == 1
        assert server.streams[0].headers == {
            ":method": "POST",
            ":scheme": "https",
            ":authority": f"{HOST}:{server.port}",
            ":path": "/a/./b?x=%C3%A9",
            "webhook-id": "msg_1",
            "content-length": "1",
        }


async def test_names_at_one_address_share_nothing(
    over: Make, certified: Issued, tmp_path: Path
) -> None:
    """A connection that was verified for one name carries no request for another one, whose
    certificate this is not."""
    async with h2_receiver(echo, certified.server(tmp_path)) as server:
        engine = over(HTTP2)
        assert (await engine.response(post(server.url(HOST)))).status == 200
        result = await engine.run(post(server.url("other.example")))
        assert isinstance(result, Fault)
        assert (result.kind, "ostname mismatch" in result.detail) == (FaultKind.TLS, True)
        assert len(server.streams) == 1


async def test_wrong_certificate_is_refused(over: Make, tmp_path: Path) -> None:
    """A certificate that does not hold is a TLS fault that says why, and gets no request."""
    async with h2_receiver(echo, self_signed(HOST).server(tmp_path)) as server:
        result = await over(HTTP2).run(post(server.url(HOST)))
        assert isinstance(result, Fault)
        assert (result.kind, "self-signed" in result.detail) == (FaultKind.TLS, True)
        assert result.address == f"127.0.0.1:{server.port}"
        assert server.streams == []


async def test_large_body_arrives(over: Make, certified: Issued, tmp_path: Path) -> None:
    """A body above the window goes out as the receiver makes room."""
    async with h2_receiver(echo, certified.server(tmp_path)) as server:
        engine = over(HTTP2, bounds=Bounds(body_bytes=1 << 21))
        answer = await engine.response(post(server.url(HOST), body=b"x" * 1_000_000))
        assert answer.body == b"x" * 1_000_000


async def test_stream_that_is_reset(over: Make, certified: Issued, tmp_path: Path) -> None:
    """A reset of one request is its fault alone: the others and the next go on where they are."""
    was_reset = asyncio.Event()

    async def script(stream: Stream) -> None:
        if stream.body == b"reset":
            await stream.reset()
            was_reset.set()
        elif stream.body == b"later":
            await was_reset.wait()
        await stream.answer(stream.body)

    async with h2_receiver(script, certified.server(tmp_path)) as server:
        engine, url = over(HTTP2), server.url(HOST)
        later = asyncio.ensure_future(engine.response(post(url, body=b"later")))
        kind, address = await engine.fault(post(url, body=b"reset"))
        assert (kind, address) == (FaultKind.PROTOCOL, f"127.0.0.1:{server.port}")
        assert (await later).body == b"later"
        assert (await engine.response(post(url, body=b"next"))).body == b"next"
        assert server.connections == 1


async def test_receiver_that_goes_away(over: Make, certified: Issued, tmp_path: Path) -> None:
    """A request that a receiver took before it went away fails, and is not sent again; the next one
    goes over a new connection."""

    async def script(stream: Stream) -> None:
        if stream.body == b"1":
            await stream.go_away(last=1)
        else:
            await stream.answer(stream.body)

    async with h2_receiver(script, certified.server(tmp_path)) as server:
        engine, url = over(HTTP2), server.url(HOST)
        kind, _ = await engine.fault(post(url, body=b"1"))
        assert kind in {FaultKind.PROTOCOL, FaultKind.RESET}
        assert (await engine.response(post(url, body=b"2"))).body == b"2"
        assert [stream.body for stream in server.streams] == [b"1", b"2"]
        assert server.connections == 2


@pytest.mark.parametrize("first_byte_s", [None, 0.2])
async def test_silence_for_one(
    over: Make, certified: Issued, tmp_path: Path, first_byte_s: float | None
) -> None:
    """A request that is not answered is a timeout, or a first-byte timeout where one is set; what
    shares its connection is answered, new ones go elsewhere, and the connection ends after them."""
    go_on = asyncio.Event()

    async def script(stream: Stream) -> None:
        if stream.body != b"silent":
            await go_on.wait()
            await stream.answer(b"%d" % stream.connection)

    async with h2_receiver(script, certified.server(tmp_path)) as server:
        engine, url = over(HTTP2), server.url(HOST)
        beside = asyncio.ensure_future(engine.response(post(url, body=b"beside")))
        await until(lambda: len(server.streams) == 1)
        total_s = 0.3 if first_byte_s is None else 5.0
        asked = post(url, body=b"silent", timeout_s=total_s)
        kind, address = await engine.fault(replace(asked, way=Way(first_byte_s=first_byte_s)))
        wanted = FaultKind.TIMEOUT if first_byte_s is None else FaultKind.FIRST_BYTE_TIMEOUT
        assert (kind, address) == (wanted, f"127.0.0.1:{server.port}")
        after = asyncio.ensure_future(engine.response(post(url, body=b"after")))
        await until(lambda: any(stream.body == b"after" for stream in server.streams))
        assert server.open == 2
        go_on.set()
        assert ((await beside).body, (await after).body) == (b"1", b"2")
        await until(lambda: server.open == 1)


async def test_cancel_ends_the_connection(over: Make, certified: Issued, tmp_path: Path) -> None:
    """A cancelled exchange is cut off: with nothing beside it its connection ends, untold."""
    async with h2_receiver(silent, certified.server(tmp_path)) as server:
        running, ended = over(HTTP2).begin(post(server.url(HOST)))
        await until(lambda: len(server.streams) == 1)
        running.cancel()
        await until(lambda: server.open == 0)
        assert not ended.done()


async def test_endless_body_is_cut(over: Make, certified: Issued, tmp_path: Path) -> None:
    """A body is read up to the cap; the connection that goes on with the rest is dropped."""

    async def script(stream: Stream) -> None:
        await stream.begin()
        while True:
            await stream.say(b"x" * 10_000)

    async with h2_receiver(script, certified.server(tmp_path)) as server:
        engine = over(HTTP2, bounds=Bounds(body_bytes=1000))
        for number in (1, 2):
            answer = await engine.response(post(server.url(HOST)))
            assert (answer.body, server.connections) == (b"x" * 1000, number)
        await until(lambda: server.open == 0)


@pytest.mark.parametrize(
    "headers",
    [tuple(("a", "b") for _ in range(200)), (("a", "b" * 40_000),)],
    ids=["many", "large"],
)
async def test_head_above_its_bounds(
    over: Make, certified: Issued, tmp_path: Path, headers: tuple[tuple[str, str], ...]
) -> None:
    """Too many or too large headers are a protocol fault, as with HTTP/1.1."""

    async def script(stream: Stream) -> None:
        await stream.answer(headers=headers)

    async with h2_receiver(script, certified.server(tmp_path)) as server:
        kind, _ = await over(HTTP2).fault(post(server.url(HOST)))
        assert kind is FaultKind.PROTOCOL


async def test_contexts_of_others_are_left_alone(
    over: Make, authority: Authority, certified: Issued, tmp_path: Path
) -> None:
    """The service's TLS context and a document's offer no HTTP/2 after this engine has spoken it:
    the native engine, which has them too, would not understand the answer."""

    async def agreed(peer: Peer) -> None:
        await peer.request()
        found = peer.writer.get_extra_info("ssl_object").selected_alpn_protocol()
        await peer.ok(str(found).encode())

    trust = TrustIn(authority)
    apart = authority.client()
    ways = [None, Way(identity=Identity("i", authority.client(), lambda: apart))]
    async with h2_receiver(echo, certified.server(tmp_path)) as server:
        for way in ways:
            answer = await over(HTTP2, trust=trust).response(
                replace(post(server.url(HOST)), way=way)
            )
            assert answer.status == 200
    either = certified.server(tmp_path)
    either.set_alpn_protocols(["h2", "http/1.1"])
    native = NativeEngine(Resolver(Guard(LOOPBACK), at_home), trust)
    async with scripted(agreed, either) as plain:
        for way in ways:
            url = plain.url(scheme="https", host=HOST)
            answer = await Driver(native).response(replace(post(url), way=way))
            assert answer.body == b"None"
    await native.close()


async def test_receiver_without_http2(over: Make, certified: Issued, tmp_path: Path) -> None:
    """Where a receiver speaks HTTP/1.1 only, that is spoken, with connections of their own."""

    async def serve(peer: Peer) -> None:
        while True:
            request = await peer.request()
            await peer.ok(request.body)

    async with scripted(serve, certified.server(tmp_path)) as server:
        engine, url = over(HTTP2), server.url(scheme="https", host=HOST)
        answers = await asyncio.gather(*(engine.run(post(url, body=b"%d" % n)) for n in range(5)))
        assert [isinstance(one, Response) and one.body for one in answers] == [
            b"%d" % number for number in range(5)
        ]


async def test_cut_off_without_http2(over: Make, certified: Issued, tmp_path: Path) -> None:
    """Over HTTP/1.1 a connection that was cut off ends alone: the next request takes one of those
    that are there."""
    heard = asyncio.Event()

    async def serve(peer: Peer) -> None:
        while (request := await peer.request()).body != b"silent":
            await peer.ok(request.body)
        heard.set()
        await peer.gone()

    async with scripted(serve, certified.server(tmp_path)) as server:
        engine, url = over(HTTP2), server.url(scheme="https", host=HOST)
        running, _ = engine.begin(post(url, body=b"silent"))
        await heard.wait()
        assert (await engine.response(post(url, body=b"1"))).body == b"1"
        running.cancel()
        await until(lambda: server.ended == 1)
        assert (await engine.response(post(url, body=b"2"))).body == b"2"
        assert server.connections == 2
