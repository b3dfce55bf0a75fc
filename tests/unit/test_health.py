"""Health: what readiness waits for, and the pages over a real socket."""

import asyncio
import json
import signal
import socket

import pytest

from hooklane.runtime.errors import SettingsError
from hooklane.runtime.health import Readiness, serve_health
from hooklane.runtime.metrics import Metrics, Service
from hooklane.runtime.metrics_restore import Restores
from hooklane.runtime.settings_sections import HttpSettings

LOOPBACK = HttpSettings(host="127.0.0.1", port=0)


def ready() -> Readiness:
    readiness = Readiness()
    readiness.subscriptions_read()
    readiness.joined()
    return readiness


async def get(port: int, path: str) -> tuple[int, str]:
    """Status and body of a page, by hand."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return int(head.split()[1]), body


def test_nothing_is_ready_at_first() -> None:
    """Subscriptions and group are both waited for."""
    assert len(Readiness().missing()) == 2


def test_a_group_without_a_partition_is_ready() -> None:
    """A process for which no partition is left has nothing to restore."""
    assert ready().missing() == ()


def test_every_assigned_partition_is_restored_first() -> None:
    """Ready only when the last of the assigned partitions is; a later assignment counts again."""
    readiness = Readiness()
    readiness.subscriptions_read()
    readiness.assigned([("orders", 0), ("orders", 1)])
    readiness.restored(("orders", 0))
    assert readiness.missing() == ("orders[1] has not been restored",)
    readiness.restored(("orders", 1))
    assert readiness.missing() == ()
    readiness.assigned([("orders", 2)])
    assert readiness.missing() == ("orders[2] has not been restored",)


def test_what_others_look_after_is_not_waited_for() -> None:
    """A partition that is taken away in the middle of its restore holds nothing up."""
    readiness = ready()
    readiness.assigned([("orders", 0)])
    readiness.revoked([("orders", 0), ("orders", 9)])
    assert readiness.missing() == ()


def test_a_format_of_a_newer_version_keeps_it_from_being_ready() -> None:
    """An old binary says which subscription it cannot read, until that has gone."""
    readiness = ready()
    readiness.unknown_formats(["billing"])
    assert "billing" in readiness.missing()[0]
    readiness.unknown_formats([])
    assert readiness.missing() == ()


def test_how_far_the_restores_are() -> None:
    """How many, what is left, how long the oldest has taken, and how long the last one took."""
    now = [100.0]
    readiness = Readiness(lambda: now[0])
    assert readiness.restores() == Restores()
    readiness.assigned([("b", 0), ("b", 1)])
    now[0] = 103.0
    readiness.assigned([("b", 2)])
    readiness.restoring(("b", 1), 70)
    now[0] = 105.0
    assert readiness.restores() == Restores(3, 70, 5.0, 0.0)
    readiness.restored(("b", 1))
    assert readiness.restores() == Restores(2, 0, 5.0, 5.0)
    readiness.revoked([("b", 0)])
    assert readiness.restores() == Restores(1, 0, 2.0, 5.0)


async def test_the_pages() -> None:
    """/healthz answers from the start, /readyz says what is missing, /metrics is Prometheus'."""
    readiness, metrics = Readiness(), Metrics(Service.FANOUT)
    async with serve_health(LOOPBACK, readiness, metrics) as port:
        assert (await get(port, "/healthz"))[0] == 200
        status, body = await get(port, "/readyz")
        assert status == 503
        assert json.loads(body) == {"ready": False, "missing": list(readiness.missing())}
        readiness.subscriptions_read()
        readiness.joined()
        status, body = await get(port, "/readyz")
        assert (status, json.loads(body)) == (200, {"ready": True, "missing": []})
        metrics.redirects.inc(3)
        status, body = await get(port, "/metrics")
        assert status == 200
        assert "hooklane_redirects_total 3.0" in body.splitlines()
        assert (await get(port, "/other"))[0] == 404


async def test_the_port_is_free_again_afterwards() -> None:
    """Closing lets the port go and leaves the service's signal handlers alone."""
    before = signal.getsignal(signal.SIGTERM)
    async with serve_health(LOOPBACK, Readiness(), Metrics(Service.FANOUT)) as port:
        assert signal.getsignal(signal.SIGTERM) is before
    again = HttpSettings(host="127.0.0.1", port=port)
    async with serve_health(again, Readiness(), Metrics(Service.FANOUT)) as second:
        assert second == port


async def test_a_slow_client_does_not_hold_up_the_end() -> None:
    """A connection that sends half a request is cut off when the service ends."""
    async with asyncio.timeout(10):
        async with serve_health(LOOPBACK, Readiness(), Metrics(Service.FANOUT)) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /healthz HTTP/1.1\r\n")
            await writer.drain()
        writer.close()


async def test_a_taken_port_is_said() -> None:
    """One sentence that names the setting."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = HttpSettings(host="127.0.0.1", port=other.getsockname()[1])
        with pytest.raises(SettingsError, match=r"is taken: set HOOKLANE_HTTP__PORT"):
            async with serve_health(taken, Readiness(), Metrics(Service.FANOUT)):
                pass


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
async def test_an_address_of_somebody_else_is_said(host: str) -> None:
    """An address that is not this machine's names both settings."""
    elsewhere = HttpSettings(host=host, port=0)
    with pytest.raises(SettingsError, match=r"change HOOKLANE_HTTP__HOST"):
        async with serve_health(elsewhere, Readiness(), Metrics(Service.FANOUT)):
            pass
