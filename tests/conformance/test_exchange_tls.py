"""TLS: what is checked, and what each fault is called."""

import datetime as dt
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from hooklane.delivery.exchange import FaultKind
from tests.conformance.conftest import Make, at_home, post
from tests.support.receiver_script import Peer, scripted
from tests.support.receiver_tls import NOW, Authority, Issued, self_signed

HOST = "hooks.example"


async def serve(peer: Peer) -> None:
    while True:
        request = await peer.request()
        await peer.ok((request.header("host") or "").encode())


async def test_name_is_checked_and_the_judged_address_dialled(
    make: Make, authority: Authority, tmp_path: Path
) -> None:
    """SNI and `Host` carry the name while the connection goes to the judged address."""
    names: list[str | None] = []
    context = authority.issue(HOST).server(tmp_path)
    context.sni_callback = lambda _, name, __: names.append(name)
    engine = make(lookup=at_home)
    async with scripted(serve, context) as server:
        url = server.url(scheme="https", host=HOST)
        for _ in range(2):
            answer = await engine.response(post(url))
            assert answer.body == f"{HOST}:{server.port}".encode()
            assert answer.address == f"127.0.0.1:{server.port}"
        assert (names, server.connections) == ([HOST], 1)


async def test_address_as_name(make: Make, authority: Authority, tmp_path: Path) -> None:
    """An IP address in the URL is checked against the certificate's addresses."""
    context = authority.issue("127.0.0.1").server(tmp_path)
    async with scripted(serve, context) as server:
        answer = await make().response(post(server.url(scheme="https")))
    assert answer.status == 200


WRONG: dict[str, tuple[Callable[[Authority], Issued], str]] = {
    "expired": (
        lambda authority: authority.issue(HOST, NOW - dt.timedelta(hours=1)),
        "expired",
    ),
    "wrong host": (lambda authority: authority.issue("other.example"), "ostname mismatch"),
    "self-signed": (lambda _: self_signed(HOST), "self-signed"),
    "unknown authority": (lambda _: Authority("Another").issue(HOST), "unable to get local issuer"),
}


@pytest.mark.parametrize("name", WRONG)
async def test_bad_certificates(
    make: Make, authority: Authority, tmp_path: Path, name: str
) -> None:
    """A certificate that does not hold is a TLS fault that says why."""
    issue, words = WRONG[name]
    engine = make(lookup=at_home)
    async with scripted(serve, issue(authority).server(tmp_path)) as server:
        result = await engine.run(post(server.url(scheme="https", host=HOST)))
        assert getattr(result, "kind", None) is FaultKind.TLS, result
        assert words in result.detail  # type: ignore[union-attr]
        assert result.address == f"127.0.0.1:{server.port}"
        assert server.ended == 0


async def test_plain_server_behind_https(make: Make) -> None:
    """A server that does not speak TLS is a TLS fault."""

    async def script(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        await peer.gone()

    async with scripted(script) as server:
        kind, _ = await make().fault(post(server.url(scheme="https")))
    assert kind is FaultKind.TLS


@pytest.mark.parametrize("how", ["reset", "closed"])
async def test_connection_ends_in_the_handshake(make: Make, how: str) -> None:
    """A connection that ends in the middle of the handshake is a TLS fault."""

    async def script(peer: Peer) -> None:
        await peer.reader.read(100)
        if how == "reset":
            peer.reset()

    async with scripted(script) as server:
        kind, _ = await make().fault(post(server.url(scheme="https")))
    assert kind is FaultKind.TLS


async def test_old_tls_is_refused(make: Make, authority: Authority, tmp_path: Path) -> None:
    """TLS 1.1 is not spoken."""
    context = authority.issue(HOST).server(tmp_path)
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with scripted(serve, context) as server:
        kind, _ = await make(lookup=at_home).fault(post(server.url(scheme="https", host=HOST)))
    assert kind is FaultKind.TLS


async def test_client_certificate_that_is_asked_for(
    make: Make, authority: Authority, tmp_path: Path
) -> None:
    """A server that wants a client certificate gets none: a TLS fault, or a reset after TLS 1.3."""
    context = authority.issue(HOST).server(tmp_path)
    context.verify_mode = ssl.CERT_REQUIRED
    async with scripted(serve, context) as server:
        kind, _ = await make(lookup=at_home).fault(post(server.url(scheme="https", host=HOST)))
    assert kind in {FaultKind.TLS, FaultKind.RESET}


async def test_body_ends_without_tls_closing(
    make: Make, authority: Authority, tmp_path: Path, weaker: bool
) -> None:
    """A body with a length that is cut off under TLS is a reset."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc")
        peer.writer.transport.abort()

    context = authority.issue(HOST).server(tmp_path)
    async with scripted(script, context) as server:
        kind, _ = await make(lookup=at_home).fault(post(server.url(scheme="https", host=HOST)))
    assert kind is (FaultKind.PROTOCOL if weaker else FaultKind.RESET)
