"""Proxies of httpx's transport: whom they are asked for, and what is called whose fault."""

import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from hooklane.delivery.exchange import Fault, FaultKind
from hooklane.delivery.resolve import Lookup
from tests.conformance.conftest import Make, at_home, nowhere, post
from tests.conformance.driver import Driver, until
from tests.support.proxy import ProxyServer
from tests.support.proxy import proxy as http_proxy
from tests.support.proxy_socks import SocksServer, socks_proxy
from tests.support.receiver_script import Peer, ScriptedServer, scripted
from tests.support.receiver_tls import Authority, self_signed

HOST = "hooks.example"

Through = Callable[..., Driver]


async def serve(peer: Peer) -> None:
    while True:
        request = await peer.request()
        await peer.ok((request.header("host") or "").encode())


@pytest.fixture
def through(over: Make) -> Through:
    """Makes drivers that go through a proxy."""

    def driver(
        proxy: SocksServer | ProxyServer | ScriptedServer,
        lookup: Lookup = at_home,
        user: str = "",
        scheme: str = "socks5",
    ) -> Driver:
        return over({"proxy": f"{scheme}://{user}127.0.0.1:{proxy.port}"}, lookup=lookup)

    return driver


@pytest.fixture
def tls(authority: Authority, tmp_path: Path) -> ssl.SSLContext:
    return authority.issue(HOST).server(tmp_path)


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
async def test_proxy_is_asked_for_the_judged_address(
    through: Through, tls: ssl.SSLContext, scheme: str
) -> None:
    """The proxy gets the address that the guard has judged and never a name, also where its scheme
    would leave names to it; TLS is spoken with the receiver by its name, and the tunnel is kept."""
    async with scripted(serve, tls) as server, socks_proxy(b"me:hush") as proxy:
        engine = through(proxy, user="me:hush@", scheme=scheme)
        for _ in range(2):
            answer = await engine.response(post(server.url(scheme="https", host=HOST)))
            assert answer.body == f"{HOST}:{server.port}".encode()
            assert answer.address == f"127.0.0.1:{server.port}"
        assert proxy.asked == [f"127.0.0.1:{server.port}"]
        assert proxy.users == [b"me:hush"]


async def test_blocked_and_public_addresses_in_one_answer(
    through: Through, tls: ssl.SSLContext
) -> None:
    """Of one answer the proxy hears of the allowed addresses only, and of the next one where it
    cannot reach the first."""

    async def mixed(name: str) -> Sequence[str]:
        return ["10.0.0.1", "127.0.0.9", "127.0.0.1", "169.254.169.254"]

    async with scripted(serve, tls) as server, socks_proxy() as proxy:
        answer = await through(proxy, mixed).response(post(server.url(scheme="https", host=HOST)))
        assert answer.address == f"127.0.0.1:{server.port}"
        assert proxy.asked == [f"127.0.0.9:{server.port}", f"127.0.0.1:{server.port}"]


@pytest.mark.parametrize("url", ["https://169.254.169.254/", "http://10.0.0.1/", "http://h:22/"])
async def test_guard_judges_before_the_proxy_is_asked(through: Through, url: str) -> None:
    """What may not be reached is refused without a word to the proxy."""
    async with socks_proxy() as proxy:
        found = await through(proxy, nowhere).fault(post(url))
        assert found == (FaultKind.BLOCKED_ADDRESS, None)
        assert proxy.server is not None
        assert proxy.server.connections == 0


async def test_proxy_that_refuses(through: Through) -> None:
    """A proxy that reaches nobody, or does not take the password, is named as the fault, without
    the password."""
    async with socks_proxy(b"me:other") as proxy:
        result = await through(proxy, user="me:hush-two@").run(post(f"https://{HOST}:8443/"))
        assert isinstance(result, Fault)
        assert (result.kind, "hush" in result.detail) == (FaultKind.PROXY, False)
    async with socks_proxy() as proxy:
        kind, _ = await through(proxy).fault(post("http://127.0.0.1:9/"))
        assert kind is FaultKind.BLOCKED_ADDRESS
        kind, address = await through(proxy).fault(post("http://127.0.0.9:8443/"))
        assert (kind, address) == (FaultKind.PROXY, "127.0.0.9:8443")


async def test_proxy_that_hangs(through: Through) -> None:
    """A proxy that takes the connection and says nothing has the connect timeout, and its
    connection is ended."""

    async def script(peer: Peer) -> None:
        await peer.gone()

    async with scripted(script) as proxy:
        kind, _ = await through(proxy).fault(post(f"https://{HOST}/", connect_s=0.2))
        assert kind is FaultKind.CONNECT_TIMEOUT
        await until(lambda: proxy.ended == 1)


@pytest.mark.parametrize("said", [b"", b"\x05", b"SSH-2.0-x\r\n"])
async def test_proxy_that_is_none(through: Through, said: bytes) -> None:
    """What speaks no SOCKS is a connection that could not be made, whatever httpx makes of it."""

    async def script(peer: Peer) -> None:
        await peer.reader.readexactly(3)
        await peer.send(said)

    async with scripted(script) as proxy:
        kind, _ = await through(proxy).fault(post(f"https://{HOST}/"))
        assert kind in {FaultKind.CONNECTION_REFUSED, FaultKind.PROXY}


async def test_receivers_certificate_is_checked_behind_the_proxy(
    through: Through, tmp_path: Path
) -> None:
    """A proxy cannot stand for the receiver."""
    fake = self_signed(HOST).server(tmp_path)
    async with scripted(serve, fake) as server, socks_proxy() as proxy:
        kind, _ = await through(proxy).fault(post(server.url(scheme="https", host=HOST)))
        assert kind is FaultKind.TLS


async def test_transport_that_does_not_check_by_name(through: Through, tls: ssl.SSLContext) -> None:
    """Where `sni_hostname` is not looked at, as by httpx behind an HTTP proxy, the certificate is
    checked against the address: nothing is delivered, rather than to somebody else."""
    async with scripted(serve, tls) as server, http_proxy() as between:
        result = await through(between, scheme="http").run(
            post(server.url(scheme="https", host=HOST))
        )
        assert isinstance(result, Fault)
        assert (result.kind, "IP address mismatch" in result.detail) == (FaultKind.TLS, True)
        assert between.lines == [f"CONNECT 127.0.0.1:{server.port} HTTP/1.1"]
        assert server.ended == 0
