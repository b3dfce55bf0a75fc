"""The handshake before the first delivery, by each engine on real sockets."""

import asyncio
from collections.abc import Callable

import pytest

from hooklane.delivery.exchange import FaultKind
from hooklane.delivery.limits import RateLimits
from hooklane.delivery.ways import Ways
from tests.conformance.driver import until
from tests.support.engines import Vault, asked, begun, way
from tests.support.fanout_facts import HandClock
from tests.support.receiver_script import Peer, Received, scripted

YES = b"HTTP/1.1 200 OK\r\nwebhook-allowed-origin: us.example\r\ncontent-length: 0\r\n%b\r\n"


class Wanting:
    """A receiver that answers OPTIONS as it is told, and takes every POST."""

    def __init__(self, answer: bytes = YES % b"") -> None:
        self.answer = answer
        self.asked: list[Received] = []
        self.delay_s = 0.0

    async def __call__(self, peer: Peer) -> None:
        while True:
            request = await peer.request()
            self.asked.append(request)
            if request.line.startswith("OPTIONS"):
                await asyncio.sleep(self.delay_s)
                await peer.send(self.answer)
            else:
                await peer.ok()

    @property
    def methods(self) -> list[str]:
        return [one.line.partition(" ")[0] for one in self.asked]


@pytest.fixture
def ways(make_ways: Callable[..., Ways]) -> Ways:
    return make_ways(Vault(token=b"t0k3n"))


async def test_receiver_is_asked_once(ways: Ways, clock: HandClock) -> None:
    """The same target is asked by OPTIONS with our name, the rate and the credentials, once for
    deliveries that come together, and again after an hour."""
    receiver = Wanting(YES % b"webhook-allowed-rate: *\r\n")
    receiver.delay_s = 0.05
    wanted = way(
        delivery={"handshake": True, "rate_limit": "10/s"},
        auth={"bearer": {"token": "file:token"}},
    )
    async with scripted(receiver) as server:
        url = server.url("/in?a=b")
        together = [begun(ways, asked(wanted, url)) for _ in range(5)]
        assert [(await one.response()).status for one in together] == [200] * 5
        (await begun(ways, asked(wanted, url)).response())
        assert receiver.methods == ["OPTIONS", *["POST"] * 6]
        question = receiver.asked[0]
        assert question.line == "OPTIONS /in?a=b HTTP/1.1"
        assert question.header("webhook-request-origin") == "us.example"
        assert question.header("webhook-request-rate") == "600"
        assert question.header("authorization") == "Bearer t0k3n"
        assert question.header("webhook-id") is None
        clock.now += 3601
        await begun(ways, asked(wanted, url)).response()
        assert receiver.methods[-2:] == ["OPTIONS", "POST"]


async def test_receiver_that_does_not_agree(ways: Ways, clock: HandClock) -> None:
    """Nothing is delivered, and it is not asked again at once; later it may agree."""
    receiver = Wanting(b"HTTP/1.1 405 No\r\ncontent-length: 0\r\n\r\n")
    wanted = way(delivery={"handshake": True})
    async with scripted(receiver) as server:
        for _ in range(3):
            fault = await begun(ways, asked(wanted, server.url())).fault()
            assert (fault.kind, "it answered 405" in fault.detail) == (FaultKind.HANDSHAKE, True)
        assert receiver.methods == ["OPTIONS"]
        receiver.answer = YES % b""
        clock.now += 31
        await begun(ways, asked(wanted, server.url())).response()
        assert receiver.methods == ["OPTIONS", "OPTIONS", "POST"]


async def test_other_subscriptions_are_not_asked_for(ways: Ways) -> None:
    """A subscription that asks for no handshake is delivered, whatever another one's receiver
    said at the same address."""
    receiver = Wanting(b"HTTP/1.1 405 No\r\ncontent-length: 0\r\n\r\n")
    async with scripted(receiver) as server:
        await begun(ways, asked(way(delivery={"handshake": True}), server.url())).fault()
        await begun(ways, asked(None, server.url())).response()
    assert receiver.methods == ["OPTIONS", "POST"]


async def test_granted_rate_is_told_to_the_gates(make_ways: Callable[..., Ways]) -> None:
    """What the receiver allows is kept from the first delivery on, also among those that waited
    for the answer."""
    limits = RateLimits()
    ways = make_ways(Vault(), limits=limits)
    receiver = Wanting(YES % b"webhook-allowed-rate: 60\r\n")
    wanted = way(delivery={"handshake": True})
    async with scripted(receiver) as server:
        first, second = (begun(ways, asked(wanted, server.url())) for _ in range(2))
        await first.response()
        await asyncio.sleep(0.05)
        assert receiver.methods == ["OPTIONS", "POST"]
        granted = limits.limit("s", None)
        assert granted is not None
        assert (granted.count, granted.per_s) == (60, 60.0)
        await second.response()
        assert receiver.methods == ["OPTIONS", "POST", "POST"]


async def test_handshake_that_is_not_answered(ways: Ways) -> None:
    """The attempt's own time bounds the wait; cut off, it tells nothing."""
    receiver = Wanting()
    receiver.delay_s = 30.0
    wanted = way(delivery={"handshake": True})
    async with scripted(receiver) as server:
        cut = begun(ways, asked(wanted, server.url()))
        await until(lambda: receiver.methods == ["OPTIONS"])
        assert cut.running is not None
        cut.running.cancel()
        fault = await begun(ways, asked(wanted, server.url(), timeout_s=0.2)).fault()
        assert fault.kind is FaultKind.HANDSHAKE
        assert not cut.told.done()
