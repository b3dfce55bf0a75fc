"""Transports of somebody else's making: who gets which, when one ends, how their settings fail."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from ipaddress import ip_network

import httpx
import pytest
from structlog.testing import capture_logs

from hooklane.delivery.assemble import open_engine
from hooklane.delivery.engine import httpx_make
from hooklane.delivery.engine.bounds import Bounds
from hooklane.delivery.engine.httpx_any import TransportEngine
from hooklane.delivery.engine.httpx_lines import Transports
from hooklane.delivery.engine.httpx_make import named_transport
from hooklane.delivery.exchange import FaultKind, Request
from hooklane.delivery.guard import Guard, Policy
from hooklane.delivery.limits import RateLimits
from hooklane.delivery.resolve import Resolver
from hooklane.delivery.target import Origin
from hooklane.delivery.way import Way
from hooklane.runtime.errors import SettingsError
from hooklane.runtime.settings import load_settings
from hooklane.runtime.settings_delivery import DeliverySettings
from hooklane.runtime.settings_shown import secret_values, shown_values
from hooklane.schemas.subscription_values import EngineName
from tests.support.engines import Vault, asked, begun

HERE = "tests.unit.test_transports"
ONE, OTHER = Origin("https", "one.example", 443), Origin("https", "other.example", 443)
PLAIN = ssl.create_default_context()


class Silent(httpx.AsyncBaseTransport):
    """Tells nothing of what it does, and does as the test says."""

    def __init__(self, verify: ssl.SSLContext, fails: str = "") -> None:
        self.verify = verify
        self.fails = fails
        self.asked: list[httpx.Request] = []
        self.closed = 0
        MADE.append(self)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        match self.fails:
            case "hang":
                await asyncio.Event().wait()
            case "connect" if request.url.host != "127.0.0.3":
                raise httpx.ConnectError("no")
            case "certificate":
                raise httpx.ConnectTimeout("no") from ssl.SSLCertVerificationError("expired")
            case "waiting":
                raise httpx.ConnectTimeout("no") from ssl.SSLWantReadError()
            case "odd":
                raise LookupError("odd")
            case "upgrade":
                return httpx.Response(101)
            case _:
                pass
        return httpx.Response(200, content=b"ok")

    async def aclose(self) -> None:
        self.closed += 1
        if self.fails == "close":
            raise OSError("it does not close")


MADE: list[Silent] = []


@pytest.fixture(autouse=True)
def none_made() -> None:
    MADE.clear()


def no_transport(**_: object) -> str:
    return "no transport"


def picky(verify: ssl.SSLContext, **options: object) -> Silent:
    """Says what it was given."""
    raise ValueError(f"not with\n{options}")


def once(verify: ssl.SSLContext) -> Silent:
    """Makes one and no more."""
    if MADE:
        raise OSError("too many files")
    return Silent(verify)


NOT_CALLABLE = 3


@pytest.fixture
async def transports() -> AsyncIterator[Callable[..., Transports]]:
    opened: list[Transports] = []

    def store(bounds: Bounds | None = None) -> Transports:
        opened.append(Transports(Silent, bounds or Bounds(), PLAIN))
        return opened[-1]

    yield store
    for one in opened:
        await one.close()
    assert all(made.closed <= 1 for made in MADE)


async def ended(count: int) -> None:
    """Wait until that many are closed."""
    async with asyncio.timeout(5):
        while sum(made.closed for made in MADE) < count:  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(0.002)


async def test_a_line_has_one_transport(transports: Callable[..., Transports]) -> None:
    """Exchanges of one line share it, those of another one never do; the one that was made to see
    whether it can be is the first that is used."""
    store = transports()
    first = store.take(ONE, PLAIN)
    assert store.take(ONE, PLAIN) is first
    assert store.take(OTHER, PLAIN) is not first
    assert store.take((ONE, "identity"), PLAIN) is not first
    assert first.transport is MADE[0]
    assert len(MADE) == 3


async def test_one_that_was_cut_off_ends_with_its_last(
    transports: Callable[..., Transports],
) -> None:
    """After a cut there is another one for what comes; the old one is closed when what it carries
    has ended."""
    store = transports()
    cut, beside = store.take(ONE, PLAIN), store.take(ONE, PLAIN)
    store.give_back(ONE, cut, fit=False)
    after = store.take(ONE, PLAIN)
    assert after is not beside
    await asyncio.sleep(0)
    assert MADE[0].closed == 0
    store.give_back(ONE, beside, fit=False)
    await ended(1)
    assert (MADE[0].closed, MADE[1].closed) == (1, 0)


async def test_old_and_idle_ones_are_closed(transports: Callable[..., Transports]) -> None:
    """One above its age gets nothing new, and one that nobody uses is closed after its time."""
    old = transports(Bounds(age_s=0.0))
    old.give_back(ONE, old.take(ONE, PLAIN), fit=True)
    await ended(1)
    idle = transports(Bounds(idle_s=0.05))
    idle.give_back(ONE, idle.take(ONE, PLAIN), fit=True)
    await ended(2)


async def test_renewed_trust_is_another_transport(transports: Callable[..., Transports]) -> None:
    """When the authorities have changed nothing new goes over connections of before."""
    store = transports()
    store.give_back(ONE, store.take(ONE, PLAIN), fit=True)
    assert store.take(ONE, ssl.create_default_context()).transport is MADE[1]
    await ended(1)


async def test_one_that_does_not_close_hinders_nobody(
    transports: Callable[..., Transports],
) -> None:
    """What a transport says to its own end is logged and no delivery's affair."""
    store = transports()
    lent = store.take(ONE, PLAIN)
    MADE[0].fails = "close"
    store.give_back(ONE, lent, fit=False)
    await ended(1)
    assert store.take(ONE, PLAIN).transport is MADE[1]


class Trust:
    """Authorities that change."""

    def __init__(self) -> None:
        self.context = ssl.create_default_context()

    def __call__(self) -> ssl.SSLContext:
        return self.context

    def fresh(self) -> ssl.SSLContext:
        return ssl.create_default_context()


async def three(name: str) -> list[str]:
    return ["127.0.0.1", "127.0.0.2", "127.0.0.3"]


@pytest.fixture
async def engine() -> AsyncIterator[tuple[TransportEngine, Trust]]:
    policy = Policy(allow=(ip_network("127.0.0.0/8"),))
    trust = Trust()
    opened = TransportEngine(Resolver(Guard(policy), three), trust, Silent)
    yield opened, trust
    await opened.close()
    assert [made.closed for made in MADE] == [1] * len(MADE)


def patient(request: Request, first_byte_s: float) -> Request:
    return replace(request, way=Way(first_byte_s=first_byte_s), connect_timeout_s=0.1)


async def test_what_a_transport_is_asked(engine: tuple[TransportEngine, Trust]) -> None:
    """The address in the URL, the name in `Host` and `sni_hostname`, what is left of the connect
    timeout; the context is neither the service's nor made again for each line."""
    opened, trust = engine
    for host in ("one", "two"):
        await begun(opened, asked(None, f"https://{host}.example/a%20b?c")).response()
    first, second = MADE
    (request,) = first.asked
    assert str(request.url) == "https://127.0.0.1/a%20b?c"
    assert request.headers["host"] == "one.example"
    assert request.extensions["sni_hostname"] == "one.example"
    assert "target" not in request.extensions
    assert 0 < request.extensions["timeout"]["connect"] <= 5.0
    assert first.verify is second.verify
    assert first.verify is not trust.context
    trust.context = ssl.create_default_context()
    await begun(opened, asked(None, "https://one.example/a/../b")).response()
    assert MADE[2].verify is not first.verify
    assert MADE[2].asked[0].extensions["target"] == b"/a/../b"


async def test_addresses_in_turn(engine: tuple[TransportEngine, Trust]) -> None:
    """An address that cannot be reached is followed by the next one, and the last word is the
    answer's."""
    opened, _ = engine
    MADE[0].fails = "connect"
    answer = await begun(opened, asked(None)).response()
    assert answer.address == "127.0.0.3:443"
    assert [request.url.host for request in MADE[0].asked] == [
        "127.0.0.1",
        "127.0.0.2",
        "127.0.0.3",
    ]


async def test_transport_that_tells_nothing(engine: tuple[TransportEngine, Trust]) -> None:
    """Without a word from it the answer's headers have the connect timeout and the first byte's
    together; then it is cut off and not used again."""
    opened, _ = engine
    MADE[0].fails = "hang"
    fault = await begun(opened, patient(asked(None), 0.1)).fault()
    assert (fault.kind, fault.address) == (FaultKind.FIRST_BYTE_TIMEOUT, "127.0.0.1:443")
    await ended(1)
    assert (await begun(opened, asked(None)).response()).body == b"ok"


@pytest.mark.parametrize(
    ("fails", "kind"),
    [
        ("certificate", FaultKind.TLS),
        ("waiting", FaultKind.CONNECT_TIMEOUT),
        ("odd", FaultKind.RESET),
        ("upgrade", FaultKind.PROTOCOL),
    ],
)
async def test_transport_with_ways_of_its_own(
    engine: tuple[TransportEngine, Trust], fails: str, kind: FaultKind
) -> None:
    """Whatever it raises or takes for an answer is a fault of the attempt."""
    opened, _ = engine
    MADE[0].fails = fails
    assert (await begun(opened, asked(None)).fault()).kind is kind


async def test_transport_that_cannot_be_made_any_more() -> None:
    """Later it fails the attempt, which is tried again, and names the setting."""
    policy = Policy(allow=(ip_network("127.0.0.0/8"),))
    make = named_transport(f"{HERE}:once", {})
    opened = TransportEngine(Resolver(Guard(policy), three), Trust(), make)
    assert (await begun(opened, asked(None, "https://one.example/")).response()).status == 200
    fault = await begun(opened, asked(None, "https://two.example/")).fault()
    assert (fault.kind, "HOOKLANE_DELIVERY__TRANSPORT" in fault.detail) == (FaultKind.SETUP, True)
    await opened.close()


WRONG: dict[str, tuple[str, dict[str, object], str]] = {
    "no place": ("httpx", {}, "must be package.module:callable"),
    "no module": ("no_such_module:X", {}, "cannot be imported .*no_such_module"),
    "no name": ("httpx:NoSuchTransport", {}, "cannot be imported .*NoSuchTransport"),
    "not callable": (f"{HERE}:NOT_CALLABLE", {}, "cannot be called; name a class"),
    "no transport": (f"{HERE}:no_transport", {}, "makes no httpx.AsyncBaseTransport but a str"),
    "a client": ("httpx:AsyncClient", {}, "makes no httpx.AsyncBaseTransport but a AsyncClient"),
    "odd option": ("httpx:AsyncHTTPTransport", {"htpp2": True}, "cannot be called .*htpp2"),
    "picky": (f"{HERE}:picky", {"a": [{"b": "hush"}]}, "cannot be called .*not with"),
    "odd proxy": ("httpx:AsyncHTTPTransport", {"proxy": "x://me:hush@h"}, "cannot be called"),
}


@pytest.mark.parametrize("name", WRONG)
async def test_transport_that_cannot_be_made_stops_the_start(name: str) -> None:
    """One sentence names the setting, and says nothing of what the options hold."""
    transport, options, words = WRONG[name]
    settings = DeliverySettings.model_validate(
        {"transport": transport, "transport_options": options}
    )
    with pytest.raises(SettingsError, match=words) as refused:
        open_engine(settings, [], Vault(), RateLimits())
    assert str(refused.value).startswith("HOOKLANE_DELIVERY__TRANSPORT")
    assert "hush" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_options_of_nothing_stop_the_start() -> None:
    """Options without a transport would be silently of no effect."""
    settings = DeliverySettings.model_validate({"transport_options": {"http2": True}})
    with pytest.raises(SettingsError, match="HOOKLANE_DELIVERY__TRANSPORT_OPTIONS is set"):
        open_engine(settings, [], Vault(), RateLimits())


def test_http2_without_its_package_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """httpx would find it out at the first delivery; what to install is named."""
    monkeypatch.setattr(httpx_make, "find_spec", lambda _: None)
    settings = DeliverySettings.model_validate(
        {"transport": "httpx:AsyncHTTPTransport", "transport_options": {"http2": True}}
    )
    with pytest.raises(SettingsError, match=r"hooklane\[http2\]"):
        open_engine(settings, [], Vault(), RateLimits())


async def test_engine_httpx_is_over_the_transport_of_the_settings() -> None:
    """Documents that ask for `httpx` get it, the others do not; what was tried out is used."""
    settings = DeliverySettings.model_validate(
        {"transport": f"{HERE}:Silent", "allow_networks": ["127.0.0.0/8"], "allow_http": True}
    )
    opened = open_engine(settings, [], Vault(), RateLimits())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        answer = await begun(opened, asked(Way(engine=EngineName.HTTPX), url)).response()
        assert (answer.body, len(MADE)) == (b"ok", 1)
        assert (await begun(opened, asked(None, url)).fault()).kind is FaultKind.CONNECTION_REFUSED
    await opened.close()
    assert MADE[0].closed == 1


@pytest.mark.parametrize(
    ("options", "warned"), [({}, True), ({"proxy": None}, False), ({"proxy": "socks5://p"}, False)]
)
async def test_proxy_that_a_transport_walks_around(
    options: dict[str, object], warned: bool
) -> None:
    """Who sets a proxy for all deliveries is told that a transport without one does not use it."""
    settings = DeliverySettings.model_validate(
        {
            "proxy": "http://proxy:3128",
            "transport": "httpx:AsyncHTTPTransport",
            "transport_options": options,
        }
    )
    with capture_logs() as said:
        await open_engine(settings, [], Vault(), RateLimits()).close()
    assert [one["event"] for one in said] == ["delivery.transport_without_proxy"] * warned


def test_options_are_read_and_shown_without_passwords() -> None:
    """They are a JSON object in the environment; a proxy's password is neither shown nor logged."""
    settings = load_settings(
        None,
        {
            "HOOKLANE_DELIVERY__TRANSPORT": "httpx:AsyncHTTPTransport",
            "HOOKLANE_DELIVERY__TRANSPORT_OPTIONS": (
                '{"http2": true, "proxy": "socks5://me:hush-hush@h:1080", "more": ["x://a:hus-2@h"]}'
            ),
        },
    )
    values = {(section, name): value for section, name, value in shown_values(settings)}
    assert values["delivery", "transport_options"] == {
        "http2": True,
        "proxy": "set",
        "more": ["set"],
    }
    assert {"hush-hush", "hus-2"} <= set(secret_values(settings))
