"""The links of the fault tests: what they hold is late, not lost, and what they slow is slow."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.kafka.broker import free_ports
from tests.support.links import Links, Way

_SOON_S = 10.0


@pytest.fixture
def link() -> Iterator[tuple[Links, socket.socket]]:
    """A link to an echo, and a connection through it."""
    [listen] = free_ports(1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_echo, args=(server,), daemon=True).start()
        with (
            Links({1: (listen, server.getsockname()[1])}) as links,
            socket.create_connection(("127.0.0.1", listen)) as connection,
        ):
            connection.settimeout(_SOON_S)
            yield links, connection


def _echo(server: socket.socket) -> None:
    with suppress(OSError):
        connection, _ = server.accept()
        with connection:
            while data := connection.recv(65536):
                connection.sendall(data)


def test_what_is_held_comes_when_the_link_is_whole(link: tuple[Links, socket.socket]) -> None:
    """Either way holds what is under way, and only until it is healed."""
    links, connection = link
    for way in Way:
        links.hold([1], [way])
        connection.sendall(b"hello")
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(10)
        links.heal()
        connection.settimeout(_SOON_S)
        assert connection.recv(10) == b"hello"


def test_latency_counts_both_ways(link: tuple[Links, socket.socket]) -> None:
    """100 ms each way are 200 ms to and fro."""
    links, connection = link
    links.slow([1], latency_s=0.1)
    began = time.monotonic()
    connection.sendall(b"hello")
    assert connection.recv(10) == b"hello"
    assert time.monotonic() - began >= 0.2


def test_a_rate_is_kept(link: tuple[Links, socket.socket]) -> None:
    """100,000 bytes take half a second at 200,000 a second."""
    links, connection = link
    links.slow([1], latency_s=0, bytes_per_s=200_000)
    began, left = time.monotonic(), 100_000
    connection.sendall(bytes(left))
    while left:
        left -= len(connection.recv(65536))
    assert time.monotonic() - began >= 0.5


def test_an_end_is_told(link: tuple[Links, socket.socket]) -> None:
    """Who closes his end of a whole link is missed at the other."""
    _, connection = link
    connection.shutdown(socket.SHUT_WR)
    assert connection.recv(10) == b""
