"""What engines send, and what they understand of the answers."""

import pytest

from hooklane.delivery.engine.bounds import Bounds
from hooklane.delivery.exchange import Fault, FaultKind, Request
from tests.conformance.conftest import Make, post
from tests.conformance.driver import Driver
from tests.conformance.weaker import READ_AS
from tests.support.receiver_script import Peer, Received, scripted


async def test_request_arrives_byte_for_byte(engine: Driver) -> None:
    """Target, headers and body reach the receiver as they were asked for, and nothing is added."""
    seen: list[Received] = []

    async def script(peer: Peer) -> None:
        seen.append(await peer.request())
        await peer.ok()

    async with scripted(script) as server:
        url = server.url("/a/./b%20c|d?x=%C3%A9&y=1")
        asked = Request("POST", url, ("webhook-id: m", "x-one: é"), b"\x00\r\n\r\n", 5, 5)
        answer = await engine.response(asked)
    (got,) = seen
    assert got.line == "POST /a/./b%20c%7Cd?x=%C3%A9&y=1 HTTP/1.1"
    assert sorted(got.headers) == [
        ("content-length", "5"),
        ("host", f"127.0.0.1:{server.port}"),
        ("webhook-id", "m"),
        ("x-one", "é"),
    ]
    assert got.body == b"\x00\r\n\r\n"
    assert (answer.status, answer.body) == (200, b"ok")
    assert answer.address == f"127.0.0.1:{server.port}"


ANSWERS = {
    "sized": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
    "no body": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    "empty reason": (b"HTTP/1.1 202 \r\ncontent-length: 0\r\n\r\n", 202, b""),
    "chunked": (
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"1\r\no\r\n1;x=y\r\nk\r\n0\r\nT: 1\r\n\r\n"
        ),
        200,
        b"ok",
    ),
    "ended by closing": (b"HTTP/1.1 200 OK\r\n\r\nok", 200, b"ok"),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\nok", 200, b"ok"),
    "after 100": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        200,
        b"ok",
    ),
    "after 103": (
        (
            b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
            b"HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\nok"
        ),
        500,
        b"ok",
    ),
    "compressed": (
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nok",
        200,
        b"ok",
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_answers_that_are_http(engine: Driver, name: str) -> None:
    """Each way to frame a response is understood; nothing is decompressed."""
    raw, status, body = ANSWERS[name]

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(raw)

    async with scripted(script) as server:
        answer = await engine.response(post(server.url()))
    assert (answer.status, answer.body) == (status, body)
    assert "link" not in dict(answer.headers)


BROKEN = {
    "not HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "bad version": b"HTTP/9.9 200 OK\r\ncontent-length: 0\r\n\r\n",
    "bad status": b"HTTP/1.1 2x0 OK\r\ncontent-length: 0\r\n\r\n",
    "blank in a name": b"HTTP/1.1 200 OK\r\nbad name: x\r\ncontent-length: 0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc",
    "two ways of length": (
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "two lengths in one": b"HTTP/1.1 200 OK\r\ncontent-length: 2, 3\r\n\r\nabc",
    "chunked after all": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n0\r\n\r\n"
    ),
    "hidden chunked": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
    "plus length": b"HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nok",
    "hex length": b"HTTP/1.1 200 OK\r\ncontent-length: 0x2\r\n\r\nok",
    "huge length": (b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999999\r\n\r\nok"),
    "blank before the colon": b"HTTP/1.1 200 OK\r\ncontent-length : 2\r\n\r\nok",
    "folded length": b"HTTP/1.1 200 OK\r\ncontent-length:\r\n 2\r\n\r\nok",
    "huge chunk": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1ffffffffffffffff\r\nabc"
    ),
    "negative length": b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
    "bad chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
    "unasked upgrade": (
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nhello"
    ),
    "too many headers": (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n" + b"a: b\r\n" * 200 + b"\r\n"),
    "large header": (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\na: " + b"b" * 40_000 + b"\r\n\r\n"),
    "endless head": b"HTTP/1.1 200 OK\r\na: " + b"b" * 300_000,
}


@pytest.mark.parametrize("name", BROKEN)
async def test_answers_that_are_not_http(engine: Driver, name: str, weaker: bool) -> None:
    """What is no response, or could be read in two ways, is a protocol fault."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(BROKEN[name])
        await peer.gone()

    async with scripted(script) as server:
        never = weaker and READ_AS[name] is FaultKind.TIMEOUT
        result = await engine.run(post(server.url(), timeout_s=0.5 if never else 5.0))
    if isinstance(result, Fault):
        assert result.kind is (READ_AS[name] if weaker else FaultKind.PROTOCOL)
    else:
        assert weaker
        assert (result.status, result.body) == READ_AS[name]
    assert result.address == f"127.0.0.1:{server.port}"


@pytest.mark.parametrize("extra", [0, 1, 1_000_000])
async def test_body_is_read_up_to_its_cap(make: Make, extra: int) -> None:
    """A body at the cap is whole; of a longer one the cap is kept and the connection dropped."""
    engine = make(bounds=Bounds(body_bytes=1000))

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.ok(b"x" * (1000 + extra))

    async with scripted(script) as server:
        for _ in range(2):
            answer = await engine.response(post(server.url()))
            assert (answer.status, answer.body) == (200, b"x" * 1000)
        assert server.connections == (1 if extra == 0 else 2)


async def test_endless_body_is_cut(make: Make) -> None:
    """A body without an end is a response as soon as the cap is full."""
    engine = make(bounds=Bounds(body_bytes=1000))

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await peer.send(b"x" * 10_000)

    async with scripted(script) as server:
        answer = await engine.response(post(server.url()))
    assert answer.body == b"x" * 1000


async def test_early_answer_counts(engine: Driver) -> None:
    """A receiver that answers before it has read the request is understood, and not reused."""

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await peer.gone()

    async with scripted(script) as server:
        answer = await engine.response(post(server.url(), body=b"x" * 300_000))
    assert answer.status == 413


async def test_redirects_are_not_followed(engine: Driver) -> None:
    """A redirect, here to a metadata address, is a response like any other."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(
            b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n"
        )
        await peer.gone()

    async with scripted(script) as server:
        answer = await engine.response(post(server.url()))
    assert answer.status == 302
    assert ("location", "http://169.254.169.254/") in answer.headers


async def test_cookies_are_not_kept(engine: Driver) -> None:
    """A cookie that was set does not come back."""
    seen: list[Received] = []

    async def script(peer: Peer) -> None:
        while True:
            seen.append(await peer.request())
            await peer.send(b"HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n")

    async with scripted(script) as server:
        await engine.response(post(server.url()))
        await engine.response(post(server.url()))
    assert [one.header("cookie") for one in seen] == [None, None]


async def test_header_that_breaks_lines_is_not_sent(engine: Driver) -> None:
    """A line break in a header never reaches the wire, whoever let it through."""

    async def script(peer: Peer) -> None:
        await peer.request()

    async with scripted(script) as server:
        asked = Request("POST", server.url(), ("x: a\r\nhost: b",), b"", 5, 5)
        kind, _ = await engine.fault(asked)
        assert kind is FaultKind.SETUP
        assert server.ended == 0
