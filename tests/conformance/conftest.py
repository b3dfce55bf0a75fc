"""Each engine, one after the other, made the same way."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from ipaddress import ip_network
from types import CoroutineType
from typing import Any, cast

import pytest
import uvloop

from hooklane.delivery.engine.bounds import Bounds
from hooklane.delivery.engine.httpx import HttpxEngine
from hooklane.delivery.engine.httpx_any import TransportEngine
from hooklane.delivery.engine.httpx_make import named_transport
from hooklane.delivery.engine.native import NativeEngine
from hooklane.delivery.engine.proxy import Proxy
from hooklane.delivery.exchange import Engine, Request
from hooklane.delivery.guard import Guard, Policy
from hooklane.delivery.handshakes import Handshakes
from hooklane.delivery.limits import RateLimits
from hooklane.delivery.resolve import Lookup, Resolver
from hooklane.delivery.ways import Engines, Ways
from hooklane.schemas.subscription_values import EngineName
from tests.conformance.driver import Driver, until
from tests.conformance.weaker import is_weaker
from tests.support.engines import Vault
from tests.support.fanout_facts import HandClock
from tests.support.receiver_tls import Authority, TrustIn

Make = Callable[..., Driver]

LOOPBACK = Policy(allow=(ip_network("127.0.0.0/8"),), allow_http=True)


def over_httpx(
    resolver: Resolver, trust: TrustIn, bounds: Bounds, proxy: Proxy | None
) -> TransportEngine:
    """The engine of `HOOKLANE_DELIVERY__TRANSPORT`, with httpx's own transport."""
    assert proxy is None, "its transports have a proxy of their own"
    make = named_transport("httpx:AsyncHTTPTransport", {})
    return TransportEngine(resolver, trust, make, bounds)


ENGINES: dict[str, Callable[[Resolver, TrustIn, Bounds, Proxy | None], Engine]] = {
    "native": NativeEngine,
    "httpx": HttpxEngine,
    "transport": over_httpx,
}


def ours_left() -> list[str]:
    """Tasks of the engines that have not ended."""
    coroutines = [
        cast("CoroutineType[Any, Any, Any]", task.get_coro()) for task in asyncio.all_tasks()
    ]
    return [one.__qualname__ for one in coroutines if "hooklane" in one.cr_code.co_filename]


async def nowhere(name: str) -> Sequence[str]:
    raise AssertionError(f"{name} was looked up")


async def at_home(name: str) -> Sequence[str]:
    return ["127.0.0.1"]


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The services run on uvloop; what holds must hold on both."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Foreign transports are tried on the services' loop only: what differs is not in our code."""
    items[:] = [item for item in items if "[asyncio-transport" not in item.name]


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture(params=list(ENGINES))
async def make(request: pytest.FixtureRequest, authority: Authority) -> AsyncIterator[Make]:
    """Makes drivers of the engine under test; what is not given is strict and small."""
    made: list[Driver] = []
    resolvers: list[Resolver] = []

    def driver(
        *,
        bounds: Bounds | None = None,
        lookup: Lookup = nowhere,
        policy: Policy = LOOPBACK,
        proxy: Proxy | None = None,
    ) -> Driver:
        resolver = Resolver(Guard(policy), lookup)
        resolvers.append(resolver)
        engine = ENGINES[request.param](resolver, TrustIn(authority), bounds or Bounds(), proxy)
        made.append(Driver(engine))
        return made[-1]

    yield driver
    for one in made:
        await one.engine.close()
    for resolver in resolvers:
        resolver.close()
    await until(lambda: not ours_left())


@pytest.fixture
async def over(authority: Authority) -> AsyncIterator[Make]:
    """Makes drivers over httpx's transport with options."""
    opened: list[TransportEngine] = []

    def driver(
        options: dict[str, object],
        *,
        bounds: Bounds | None = None,
        lookup: Lookup = at_home,
        trust: TrustIn | None = None,
    ) -> Driver:
        make = named_transport("httpx:AsyncHTTPTransport", options)
        resolver = Resolver(Guard(LOOPBACK), lookup)
        opened.append(TransportEngine(resolver, trust or TrustIn(authority), make, bounds))
        return Driver(opened[-1])

    yield driver
    for one in opened:
        await one.close()
    await until(lambda: not ours_left())


@pytest.fixture
def weaker(request: pytest.FixtureRequest) -> bool:
    """Whether the engine under test promises less here than the others: weaker.py says why."""
    given = request.node.callspec.params
    case = "-".join(str(given[name]) for name in ("moment", "name", "how") if name in given)
    return is_weaker(given["make"], request.node.originalname, case)


@pytest.fixture
def clock() -> HandClock:
    """The time that tokens live by."""
    return HandClock()


@pytest.fixture
async def make_ways(
    make: Make, authority: Authority, clock: HandClock
) -> AsyncIterator[Callable[..., Ways]]:
    """The engine under test, as documents use it; tokens come by httpx as in the services."""
    made: list[Ways] = []
    trust = TrustIn(authority)

    def ways(vault: Vault, lookup: Lookup = nowhere, limits: RateLimits | None = None) -> Ways:
        handshakes = Handshakes("us.example", limits or RateLimits(), clock.monotonic)
        resolver = Resolver(Guard(LOOPBACK), lookup)
        engine = make(lookup=lookup).engine
        engines: dict[EngineName, Callable[[], Engine]] = {
            EngineName.NATIVE: lambda: engine,
            EngineName.HTTPX: lambda: HttpxEngine(resolver, trust, Bounds()),
        }
        named = Engines(engines, EngineName.NATIVE)
        made.append(
            Ways(named, vault, trust, handshakes, 1 << 20, [resolver.close], clock.monotonic)
        )
        return made[-1]

    yield ways
    for one in made:
        await one.close()


@pytest.fixture
def engine(make: Make) -> Driver:
    return make()


def post(url: str, body: bytes = b"{}", timeout_s: float = 5.0, connect_s: float = 5.0) -> Request:
    return Request("POST", url, ("webhook-id: msg_1",), body, timeout_s, connect_s)
