"""Deliveries through a proxy: what it is asked for, who judges, and what is called its fault."""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest

from hooklane.delivery.engine.proxy import Proxy, read_proxy
from hooklane.delivery.exchange import Fault, FaultKind
from tests.conformance.conftest import LOOPBACK, Make, at_home, post
from tests.conformance.driver import until
from tests.support.engines import Vault
from tests.support.proxy import ProxyServer, proxy
from tests.support.receiver import Answer, receiver
from tests.support.receiver_script import Peer, scripted
from tests.support.receiver_tls import Authority, self_signed

# The engines that `HOOKLANE_DELIVERY__PROXY` is for; transports have a proxy of their own.
pytestmark = pytest.mark.parametrize("make", ["native", "httpx"], indirect=True)

HOST = "hooks.example"
BASIC = "Basic bWU6aHVzaC10d28="
"""Of `me` and `hush-two`."""


async def serve(peer: Peer) -> None:
    while True:
        request = await peer.request()
        await peer.ok(f"{request.line} of {request.header('host')}".encode())


def by(server: ProxyServer | int, scheme: str = "http", *, judges: bool = False) -> Proxy:
    port = server if isinstance(server, int) else server.port
    return read_proxy(f"{scheme}://me:hush%2Dtwo@127.0.0.1:{port}", Vault(), judges=judges)


@pytest.fixture
def tls(authority: Authority, tmp_path: Path) -> ssl.SSLContext:
    return authority.issue(HOST).server(tmp_path)


async def test_tunnel_to_the_judged_address(make: Make, tls: ssl.SSLContext) -> None:
    """The proxy is asked for the address that the guard has judged, and looks nothing up; TLS is
    spoken with the receiver by its name, and the tunnel is kept."""
    async with scripted(serve, tls) as server, proxy(wanted=BASIC) as between:
        engine = make(lookup=at_home, proxy=by(between))
        url = server.url(scheme="https", host=HOST)
        assert (await engine.response(post(url))).status == 200
        answer = await engine.response(post(url))
        assert answer.body == f"POST /hook HTTP/1.1 of {HOST}:{server.port}".encode()
        place = f"127.0.0.1:{server.port}"
        assert answer.address == f"{place} via 127.0.0.1:{between.port}"
        assert between.lines == [f"CONNECT {place} HTTP/1.1"]


async def test_proxy_that_judges_is_asked_for_the_name(make: Make, tls: ssl.SSLContext) -> None:
    """Where the settings say so nothing is looked up here and the proxy decides."""
    async with scripted(serve, tls) as server, proxy(homes={HOST: "127.0.0.1"}) as between:
        engine = make(proxy=by(between, judges=True))
        answer = await engine.response(post(server.url(scheme="https", host=HOST)))
        assert answer.status == 200
        assert between.lines == [f"CONNECT {HOST}:{server.port} HTTP/1.1"]


async def test_plain_requests_are_asked_of_the_proxy_itself(make: Make) -> None:
    """For `http://` the proxy gets the whole URL and its own credentials, which the receiver does
    not see; its connection is kept."""
    async with receiver(lambda hook: Answer(body=hook.path.encode())) as to, proxy() as between:
        between.wanted = BASIC
        engine = make(proxy=by(between))
        for _ in range(2):
            assert (await engine.response(post(to.url("/a?b=c")))).body == b"/a?b=c"
        port = to.url("").rpartition(":")[2]
        assert between.lines == [f"POST http://127.0.0.1:{port}/a?b=c HTTP/1.1"] * 2
        assert between.server is not None
        assert between.server.connections == 1
        assert "proxy-authorization" not in to.hooks[0].headers
        assert to.hooks[0].headers["host"] == f"127.0.0.1:{port}"


async def test_proxy_over_tls(make: Make, authority: Authority, tmp_path: Path) -> None:
    """An `https://` proxy is spoken to by TLS, and the receiver by TLS inside of that."""
    outer = authority.issue("127.0.0.1").server(tmp_path)
    inner = authority.issue(HOST).server(tmp_path)
    async with scripted(serve, inner) as server, proxy(outer, BASIC) as between:
        engine = make(lookup=at_home, proxy=by(between, "https"))
        for _ in range(2):
            answer = await engine.response(post(server.url(scheme="https", host=HOST)))
            assert answer.status == 200
        assert len(between.asked) == 1


async def test_proxy_over_tls_is_verified(make: Make, tmp_path: Path) -> None:
    """A proxy whose certificate does not hold gets neither the request nor the credentials."""
    outer = self_signed("127.0.0.1").server(tmp_path)
    async with proxy(outer) as between:
        engine = make(lookup=at_home, proxy=by(between, "https"))
        result = await engine.run(post(f"https://{HOST}/"))
        assert isinstance(result, Fault)
        assert result.kind is FaultKind.PROXY
        assert "certificate is not valid" in result.detail
        assert between.asked == []


@pytest.mark.parametrize("url", ["https://169.254.169.254/", "http://10.0.0.1/", "https://h:22/"])
async def test_guard_judges_before_the_proxy_is_asked(make: Make, url: str) -> None:
    """What may not be reached is refused without a word to the proxy."""
    async with proxy() as between:
        found = await make(proxy=by(between)).fault(post(url))
        assert found == (FaultKind.BLOCKED_ADDRESS, None)
        assert between.asked == []


async def test_proxy_that_judges_still_gets_no_denied_port(make: Make) -> None:
    """Schemes and ports are ours to refuse, whoever judges addresses."""
    async with proxy() as between:
        found = await make(proxy=by(between, judges=True)).fault(post(f"https://{HOST}:22/"))
        assert found == (FaultKind.BLOCKED_ADDRESS, None)
        assert between.asked == []


@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_wrong_credentials(make: Make, scheme: str) -> None:
    """A 407 is the proxy's fault and names the setting; it is never the receiver's answer."""
    async with proxy(wanted="Basic other") as between:
        engine = make(lookup=at_home, proxy=by(between))
        result = await engine.run(post(f"{scheme}://{HOST}:8443/"))
        assert isinstance(result, Fault)
        assert result.kind is FaultKind.PROXY
        assert "HOOKLANE_DELIVERY__PROXY" in result.detail
        assert "hush" not in result.detail


async def test_407_of_a_receiver_behind_a_tunnel(make: Make, tls: ssl.SSLContext) -> None:
    """What comes through a tunnel is the receiver's own word, whatever its status."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n")

    async with scripted(script, tls) as server, proxy() as between:
        engine = make(lookup=at_home, proxy=by(between))
        answer = await engine.response(post(server.url(scheme="https", host=HOST)))
    assert answer.status == 407


async def test_next_address_is_asked_for(make: Make, tls: ssl.SSLContext) -> None:
    """Where the proxy cannot reach one address of the receiver it is asked for the next one."""

    async def two(name: str) -> Sequence[str]:
        return ["127.0.0.9", "127.0.0.1"]

    async with scripted(serve, tls) as server, proxy() as between:
        engine = make(lookup=two, proxy=by(between))
        answer = await engine.response(post(server.url(scheme="https", host=HOST)))
        assert answer.status == 200
        assert len(between.asked) == 2


async def test_mixed_answer_asks_for_the_public_ones_only(make: Make, tls: ssl.SSLContext) -> None:
    """Of blocked and allowed addresses in one answer the proxy hears of the allowed ones only."""

    async def mixed(name: str) -> Sequence[str]:
        return ["10.0.0.1", "127.0.0.1", "169.254.169.254"]

    async with scripted(serve, tls) as server, proxy() as between:
        engine = make(lookup=mixed, proxy=by(between))
        answer = await engine.response(post(server.url(scheme="https", host=HOST)))
        assert answer.status == 200
        assert between.lines == [f"CONNECT 127.0.0.1:{server.port} HTTP/1.1"]


ANSWERS = {
    "refuses": (b"HTTP/1.1 403 No\r\n\r\n", "it answered 403"),
    "no HTTP": (b"SSH-2.0-x\r\n\r\n", "not HTTP/1.1"),
    "no status": (b"HTTP/1.1 xyz\r\n\r\n", "not HTTP/1.1"),
    "too much": (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "more than its answer"),
    "endless": (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 4000, "no end"),
    "ends": (b"HTTP/1.1 2", "ended the connection"),
    "says nothing": (b"", "ended the connection"),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_what_a_proxy_may_answer_wrong(make: Make, name: str) -> None:
    """Whatever is no tunnel is the proxy's fault, in a sentence, and nothing goes out."""
    answer, words = ANSWERS[name]

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(answer)
        if not words.startswith("ended"):
            await peer.gone()

    async with scripted(script) as between:
        result = await make(lookup=at_home, proxy=by(between.port)).run(post(f"https://{HOST}/"))
    assert isinstance(result, Fault)
    assert (result.kind, words in result.detail) == (FaultKind.PROXY, True), result
    assert result.address == f"127.0.0.1:{between.port}"


async def test_proxy_that_is_not_there(make: Make) -> None:
    """A refused connection is the proxy's fault, not the receiver's."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        engine = make(lookup=at_home, proxy=by(port))
        assert await engine.fault(post(f"https://{HOST}/")) == (
            FaultKind.PROXY,
            f"127.0.0.1:{port}",
        )


async def test_proxy_that_hangs(make: Make) -> None:
    """A proxy that never answers has the connect timeout, and its connection is ended."""

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.gone()

    async with scripted(script) as between:
        engine = make(lookup=at_home, proxy=by(between.port))
        kind, _ = await engine.fault(post(f"https://{HOST}/", connect_s=0.2))
        assert kind is FaultKind.CONNECT_TIMEOUT
        await until(lambda: between.ended == 1)


async def test_proxy_that_dies_in_the_exchange(make: Make, tls: ssl.SSLContext) -> None:
    """A tunnel that breaks is a failed attempt, and the next one goes through a new tunnel."""
    alive = asyncio.Event()

    async def script(peer: Peer) -> None:
        request = await peer.request()
        if not alive.is_set():
            alive.set()
            peers[0].reset()
            await peer.gone()
        await peer.ok(request.body)

    peers: list[Peer] = []

    class Breaking(ProxyServer):
        async def __call__(self, peer: Peer) -> None:
            peers.append(peer)
            await super().__call__(peer)

    between = Breaking()
    async with scripted(script, tls) as server, scripted(between) as opened:
        between.server = opened
        engine = make(lookup=at_home, proxy=by(between))
        url = server.url(scheme="https", host=HOST)
        kind, _ = await engine.fault(post(url))
        assert kind is FaultKind.RESET
        assert (await engine.response(post(url))).status == 200
        assert len(between.asked) == 2


async def test_receivers_certificate_is_checked_behind_a_proxy(make: Make, tmp_path: Path) -> None:
    """A proxy cannot stand for the receiver."""
    fake = self_signed(HOST).server(tmp_path)
    async with scripted(serve, fake) as server, proxy() as between:
        engine = make(lookup=at_home, proxy=by(between))
        kind, _ = await engine.fault(post(server.url(scheme="https", host=HOST)))
    assert kind is FaultKind.TLS


async def test_environment_names_no_proxy(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """`HTTP_PROXY` and its kin are never read."""
    async with receiver() as to, proxy() as between:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{between.port}")
        assert (await make().response(post(to.url()))).status == 200
        assert between.asked == []


def test_policy_of_these_tests_allows_plain_http(make: Make) -> None:
    """So that what is refused here is refused for its address or port."""
    assert LOOPBACK.allow_http
