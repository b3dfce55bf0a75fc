"""Client certificates and authorities of documents, as each engine shows and checks them."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from hooklane.delivery.exchange import FaultKind
from hooklane.delivery.ways import Ways
from tests.conformance.conftest import at_home
from tests.support.engines import Vault, asked, begun, way
from tests.support.receiver_script import Peer, ScriptedServer, scripted
from tests.support.receiver_tls import Authority, Issued, self_signed

HOST = "hooks.example"
MTLS = {"mtls": {"certificate": "file:cert", "key": "file:key"}}


@pytest.fixture(scope="module")
def clients() -> Authority:
    """Who issues client certificates; nobody trusts it for servers."""
    return Authority("Clients")


async def who(peer: Peer) -> None:
    """Answers with the serial number of the client's certificate."""
    shown: Any = peer.writer.get_extra_info("peercert")
    while True:
        await peer.request()
        await peer.ok(b"nobody" if not shown else str(int(shown["serialNumber"], 16)).encode())


def wanting(authority: Authority, clients: Authority, folder: Path, tls13: bool) -> ssl.SSLContext:
    """A server's context that takes only what `clients` has issued."""
    context = authority.issue(HOST).server(folder)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=clients.pem.decode())
    if not tls13:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def holding(one: Issued, **more: bytes) -> Vault:
    return Vault(cert=one.pem, key=one.key_pem, **more)


async def shown(ways: Ways, server: ScriptedServer, **fields: object) -> str:
    """Whom the receiver saw."""
    url = server.url(scheme="https", host=HOST)
    ends = begun(ways, asked(way(**{"auth": MTLS, **fields}), url))
    return (await ends.response()).body.decode()


async def test_client_certificate_is_shown(
    make_ways: Callable[..., Ways], authority: Authority, clients: Authority, tmp_path: Path
) -> None:
    """A receiver that wants a certificate sees the document's, and the connection is kept."""
    mine = clients.issue("me")
    async with scripted(who, wanting(authority, clients, tmp_path, tls13=True)) as server:
        ways = make_ways(holding(mine), at_home)
        for _ in range(2):
            assert await shown(ways, server) == str(mine.certificate.serial_number)
        assert server.connections == 1


@contextmanager
def strict_server(context: ssl.SSLContext) -> Iterator[int]:
    """A server that says by an alert why it ends the handshake, as asyncio's does not; its port."""

    def serve() -> None:
        plain, _ = listener.accept()
        with plain:
            plain.settimeout(5)
            tls = ssl.MemoryBIO(), ssl.MemoryBIO()
            secure = context.wrap_bio(*tls, server_side=True)
            while data := plain.recv(65536):
                tls[0].write(data)
                with suppress(ssl.SSLError):
                    secure.do_handshake()
                if tls[1].pending:
                    plain.sendall(tls[1].read())

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            thread.join(5)


@pytest.mark.parametrize("tls13", [True, False], ids=["1.3", "1.2"])
async def test_unknown_client_certificate(
    make_ways: Callable[..., Ways],
    authority: Authority,
    clients: Authority,
    tmp_path: Path,
    tls13: bool,
) -> None:
    """A certificate that the receiver does not trust is a TLS fault that says so, also in TLS 1.3,
    where the receiver judges it after our side of the handshake has ended."""
    ways = make_ways(holding(self_signed("me")), at_home)
    with strict_server(wanting(authority, clients, tmp_path, tls13)) as port:
        url = f"https://{HOST}:{port}/hook"
        fault = await begun(ways, asked(way(auth=MTLS), url)).fault()
    assert fault.kind is FaultKind.TLS
    assert "UNKNOWN_CA" in fault.detail


async def test_renewed_certificate_is_shown_at_once(
    make_ways: Callable[..., Ways], authority: Authority, clients: Authority, tmp_path: Path
) -> None:
    """When the files change the next request goes over a new connection with the new certificate;
    while only one of the two has been replaced, the old pair is shown."""
    old, new = clients.issue("me"), clients.issue("me")
    vault = holding(old)
    async with scripted(who, wanting(authority, clients, tmp_path, tls13=True)) as server:
        ways = make_ways(vault, at_home)
        seen = [await shown(ways, server)]
        vault.files["cert"] = new.pem
        seen.append(await shown(ways, server))
        vault.files["key"] = new.key_pem
        seen.append(await shown(ways, server))
    serials = [str(one.certificate.serial_number) for one in (old, old, new)]
    assert seen == serials


async def test_identities_do_not_share_connections(
    make_ways: Callable[..., Ways], authority: Authority, clients: Authority, tmp_path: Path
) -> None:
    """Two subscriptions with the same receiver and other certificates never use each other's
    connection, nor does one without a certificate."""
    one, other = clients.issue("one"), clients.issue("other")
    context = wanting(authority, clients, tmp_path, tls13=True)
    context.verify_mode = ssl.CERT_OPTIONAL
    vault = holding(one, cert2=other.pem, key2=other.key_pem)
    second = {"mtls": {"certificate": "file:cert2", "key": "file:key2"}}
    async with scripted(who, context) as server:
        ways = make_ways(vault, at_home)
        url = server.url(scheme="https", host=HOST)
        seen = []
        for _ in range(2):
            seen.append(await shown(ways, server))
            seen.append(await shown(ways, server, auth=second))
            seen.append((await begun(ways, asked(None, url)).response()).body.decode())
    serials = [str(shown.certificate.serial_number) for shown in (one, other)]
    assert seen == [*serials, "nobody"] * 2


async def test_documents_own_authority(
    make_ways: Callable[..., Ways], authority: Authority, tmp_path: Path
) -> None:
    """With `delivery.ca` the receiver is checked against that authority and no other."""
    private = Authority("Private")
    ways = make_ways(Vault(ca=private.pem), at_home)
    own = way(delivery={"ca": "file:ca"})
    async with (
        scripted(who, private.issue(HOST).server(tmp_path)) as inside,
        scripted(who, authority.issue(HOST).server(tmp_path)) as outside,
    ):
        inside_url, outside_url = (one.url(scheme="https", host=HOST) for one in (inside, outside))
        assert (await begun(ways, asked(own, inside_url)).response()).status == 200
        assert (await begun(ways, asked(None, outside_url)).response()).status == 200
        for request in (asked(None, inside_url), asked(own, outside_url)):
            fault = await begun(ways, request).fault()
            assert (fault.kind, "unable to get local issuer" in fault.detail) == (
                FaultKind.TLS,
                True,
            )
