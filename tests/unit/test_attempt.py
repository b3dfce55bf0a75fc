"""One attempt from start to record: with an engine that is told its end, and with a real one."""

import asyncio
import base64
from collections.abc import Callable, Sequence
from ipaddress import ip_network
from typing import Any

import pytest
from standardwebhooks import Webhook

from hooklane.delivery.assemble import open_engine
from hooklane.delivery.attempt import Attempted, Attempter, Delivery, named_lane
from hooklane.delivery.engine.native import NativeEngine
from hooklane.delivery.engine.tls import verifying_context
from hooklane.delivery.exchange import Fault, FaultKind, Response
from hooklane.delivery.guard import Guard, Policy
from hooklane.delivery.limits import RateLimits
from hooklane.delivery.recorded import SENSITIVE, recorded_headers
from hooklane.delivery.resolve import Resolver
from hooklane.runtime.clock import SystemClock
from hooklane.runtime.errors import SecretError, SettingsError
from hooklane.runtime.settings_delivery import DeliverySettings
from hooklane.schemas.codec import ATTEMPTS
from hooklane.schemas.event import Event
from hooklane.schemas.lane import LaneId
from hooklane.schemas.records import AttemptOutcome
from hooklane.schemas.subscription import Subscription, validate
from hooklane.schemas.subscription_values import ServicePolicy
from tests.support.engines import HandEngine
from tests.support.receiver import Answer, receiver

SECRET = b"whsec_" + base64.b64encode(b"s" * 32)
LANE = LaneId("0" * 32)


class FakeClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def wall_ms(self) -> int:
        return 1_700_000_000_999 + int((self.now - 1000.0) * 1000)


class FakeSecrets:
    def keep_out(self, value: bytes) -> None:
        pass

    def resolve(self, reference: str) -> bytes:
        if reference != "env:HOOKLANE_SECRET_GOOD":
            raise SecretError(f"{reference} is not set")
        return SECRET


class Setup:
    """An attempter with its fakes, and what it told."""

    def __init__(self) -> None:
        self.engine = HandEngine()
        self.clock = FakeClock()
        self.told: list[Attempted] = []
        self.attempter = Attempter(self.engine, FakeSecrets(), self.clock, "fanout")

    def end(self, result: Response | Fault) -> Attempted:
        ((_, done),) = self.engine.asked
        done(result)
        (told,) = self.told
        return told


def subscription(**fields: Any) -> Subscription:
    document = {
        "id": "billing",
        "uid": "u1",
        "url": "https://hooks.example/x?token=in-the-url",
        "signing": {"secrets": ["env:HOOKLANE_SECRET_GOOD"]},
    }
    return validate(document | fields, ServicePolicy(allow_http=True))


def delivery(of: Subscription | None = None, *, attempt: int = 1, run: str = "") -> Delivery:
    event = Event(
        topic="billing",
        topic_id="t" * 22,
        partition=3,
        offset=42,
        timestamp_ms=0,
        key=b"k",
        attributes={"specversion": "1.0", "id": "e1", "source": "/b", "type": "paid"},
        content_type="application/json",
        data=b"{}",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    return Delivery(LANE, 42, "msg_1", run, event, of or subscription(), attempt)


def test_request_carries_the_document_and_the_attempt() -> None:
    """The document's settings and this attempt's facts are in the request."""
    setup = Setup()
    document = subscription(
        payload={"mode": "structured"},
        headers={"X-Env": "prod"},
        delivery={"timeout": "7s", "connect_timeout": "250ms"},
    )
    setup.attempter.start(delivery(document, attempt=4, run="r-1"), setup.told.append)
    ((request, _),) = setup.engine.asked
    headers = dict(request.headers)
    assert request.url == "https://hooks.example/x?token=in-the-url"
    assert (request.timeout_s, request.connect_timeout_s) == (7.0, 0.25)
    assert headers["hooklane-attempt"] == "4"
    assert headers["hooklane-replay"] == "r-1"
    assert headers["hooklane-lane"] == LANE
    assert headers["webhook-timestamp"] == "1700000000"
    assert headers["x-env"] == "prod"
    assert headers["content-type"] == "application/cloudevents+json"
    assert headers["traceparent"].startswith("00-0af7651916cd43dd8448eb211c80319c")
    assert setup.told == []


@pytest.mark.parametrize(
    ("key", "ordering", "named"), [(b"k", "key", LANE), (None, "key", ""), (b"k", "none", "")]
)
def test_a_lane_with_an_order_is_named(key: bytes | None, ordering: str, named: str) -> None:
    """A delivery that is a lane by itself has no order, and nothing to remember."""
    assert named_lane(LANE, key, subscription(ordering=ordering)) == named


def test_record_of_a_response() -> None:
    """The record says what was attempted, how it ended, and keeps the first KiB of the answer."""
    setup = Setup()
    setup.attempter.start(delivery(), setup.told.append)
    setup.clock.now += 0.25
    attempted = setup.end(Response(503, (("retry-after", "9"),), b"x" * 5000, "192.0.2.1:443"))
    record = attempted.record
    assert attempted.outcome.retry_after_s == 9.0
    assert (record.outcome, record.reason) == (AttemptOutcome.FAILED, "retry-after")
    assert (record.status, record.address) == (503, "192.0.2.1:443")
    assert record.response == b"x" * 1024
    assert (record.started_ms, record.duration_ms) == (1_700_000_000_999, 250.0)
    assert (record.lane, record.sequence, record.webhook_id) == (LANE, 42, "msg_1")
    assert (record.subscription, record.uid, record.run) == ("billing", "u1", "")
    assert (record.topic, record.topic_id, record.partition) == ("billing", "t" * 22, 3)
    assert (record.key, record.event_id, record.event_type) == (b"k", "e1", "paid")
    assert (record.attempt, record.service, record.next_ms) == (1, "fanout", None)
    assert record.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert ATTEMPTS.decode(ATTEMPTS.encode(record)) == record


def test_record_of_a_fault() -> None:
    """Without a response there is neither status nor body, but the address that was dialled."""
    setup = Setup()
    setup.attempter.start(delivery(), setup.told.append)
    attempted = setup.end(Fault(FaultKind.RESET, "gone " * 1000, "192.0.2.1:443"))
    record = attempted.record
    assert (record.outcome, record.reason) == (AttemptOutcome.FAILED, "reset")
    assert (record.status, record.response, record.address) == (None, None, "192.0.2.1:443")
    assert len(record.detail) == 500


def test_give_up_on_is_the_documents() -> None:
    """A status that the document in force names is refused."""
    setup = Setup()
    setup.attempter.start(delivery(subscription(retry={"give_up_on": [422]})), setup.told.append)
    assert setup.end(Response(422, (), b"", "a")).outcome.kind is AttemptOutcome.REFUSED


def test_cancelled_attempt_tells_nothing() -> None:
    """After `cancel` the engine's exchange is cut off and nothing is told, however late."""
    setup = Setup()
    running = setup.attempter.start(delivery(), setup.told.append)
    running.cancel()
    running.cancel()
    ((_, done),) = setup.engine.asked
    done(Fault(FaultKind.RESET, "late"))
    assert (setup.told, setup.engine.cancelled) == ([], 1)


def test_cancel_after_the_end_does_nothing() -> None:
    """An attempt that has ended cannot be cut off any more."""
    setup = Setup()
    running = setup.attempter.start(delivery(), setup.told.append)
    setup.end(Response(200, (), b"", "a"))
    running.cancel()
    assert setup.engine.cancelled == 0


BAD: dict[str, tuple[Subscription, str]] = {
    "secret not to be had": (
        subscription(signing={"secrets": ["env:HOOKLANE_SECRET_NONE"]}),
        "env:HOOKLANE_SECRET_NONE is not set",
    ),
    "header": (subscription().model_copy(update={"headers": {"Host": "x"}}), "header Host"),
    "broken document": (
        subscription().model_copy(update={"headers": None}),
        "cannot be made: AttributeError",
    ),
}


@pytest.mark.parametrize("name", BAD)
async def test_request_that_cannot_be_made(name: str) -> None:
    """It is a failed attempt with the reason `setup`, told from the loop and not from `start`."""
    setup = Setup()
    document, words = BAD[name]
    setup.attempter.start(delivery(document), setup.told.append)
    assert setup.told == []
    await asyncio.sleep(0)
    (attempted,) = setup.told
    record = attempted.record
    assert (record.outcome, record.reason) == (AttemptOutcome.FAILED, "setup")
    assert words in record.detail
    assert (record.status, record.address, setup.engine.asked) == (None, None, [])


TEMPLATE = {"mode": "template", "template": '{"text": {{ data.text | json }}}'}


async def test_template_that_fails_for_an_event() -> None:
    """It is refused for good, with the reason and what is missing; nothing is sent."""
    setup = Setup()
    setup.attempter.start(delivery(subscription(payload=TEMPLATE)), setup.told.append)
    await asyncio.sleep(0)
    (attempted,) = setup.told
    assert (attempted.outcome.kind, attempted.outcome.reason) == ("refused", "template")
    assert "data.text is undefined" in attempted.record.detail
    assert setup.engine.asked == []


async def test_setup_failure_can_be_cancelled() -> None:
    """Also the word of a request that could not be made is not told after `cancel`."""
    setup = Setup()
    setup.attempter.start(delivery(BAD["header"][0]), setup.told.append).cancel()
    await asyncio.sleep(0)
    assert setup.told == []


def test_newest_document_applies() -> None:
    """A document that was changed under its id is read anew; so is the one before, if it comes
    again."""
    setup = Setup()
    old, new = subscription(), subscription(url="https://new.example/", headers={"X-New": "1"})
    for document in (old, new, new, old):
        setup.attempter.start(delivery(document), setup.told.append)
    requests = [request for request, _ in setup.engine.asked]
    assert [request.url for request in requests] == [old.url, new.url, new.url, old.url]
    assert ["x-new" in dict(request.headers) for request in requests] == [False, True, True, False]


def test_unsigned() -> None:
    """A subscription without `signing` gets no signature, and no secret is asked for."""
    setup = Setup()
    document = subscription().model_copy(update={"signing": None})
    setup.attempter.start(delivery(document), setup.told.append)
    ((request, _),) = setup.engine.asked
    assert "webhook-signature" not in dict(request.headers)


async def attempt(attempter: Attempter, one: Delivery) -> Attempted:
    ended: asyncio.Future[Attempted] = asyncio.get_running_loop().create_future()
    attempter.start(one, ended.set_result)
    async with asyncio.timeout(10):
        return await ended


async def nowhere(name: str) -> Sequence[str]:
    raise AssertionError(name)


@pytest.fixture
def real() -> Callable[[], tuple[Attempter, NativeEngine]]:
    def make() -> tuple[Attempter, NativeEngine]:
        policy = Policy(allow=(ip_network("127.0.0.0/8"),), allow_http=True)
        context = verifying_context()
        engine = NativeEngine(Resolver(Guard(policy), nowhere), lambda: context)
        return Attempter(engine, FakeSecrets(), SystemClock(), "fanout"), engine

    return make


async def test_over_the_wire(real: Callable[[], tuple[Attempter, NativeEngine]]) -> None:
    """A real receiver gets a webhook that its library verifies, and its record has no secret."""
    attempter, engine = real()
    async with receiver(lambda _: Answer(202, b"thanks")) as to:
        attempted = await attempt(attempter, delivery(subscription(url=to.url("/x?token=t0k3n"))))
        (hook,) = to.hooks
    await engine.close()
    Webhook(SECRET.decode()).verify(hook.body, hook.headers)
    record = attempted.record
    assert (record.outcome, record.status, record.response) == ("delivered", 202, b"thanks")
    assert record.address is not None
    assert record.address.startswith("127.0.0.1:")
    assert record.duration_ms > 0
    written = ATTEMPTS.encode(record)
    for secret in (b"t0k3n", SECRET, b"s" * 32, hook.headers["webhook-signature"].encode()):
        assert secret not in written


def test_headers_of_the_response_are_recorded_without_credentials() -> None:
    """Each as a line, in their order; the values of those that are named stay out, whatever name
    the settings add."""
    setup = Setup()
    setup.attempter = Attempter(
        setup.engine, FakeSecrets(), setup.clock, "fanout", redact=SENSITIVE | {"x-session"}
    )
    setup.attempter.start(delivery(subscription()), setup.told.append)
    headers = (("server", "nginx"), ("set-cookie", "id=s3cret"), ("x-session", "s3cret"))
    record = setup.end(Response(500, headers, b"oh", "203.0.113.7:443")).record
    assert record.response_headers == (
        "server: nginx",
        "set-cookie: [redacted]",
        "x-session: [redacted]",
    )


def test_a_long_head_is_cut() -> None:
    """A receiver cannot make the record large: at most 32 headers of 256 characters."""
    lines = recorded_headers(tuple((f"x-{n}", "v" * 9000) for n in range(100)), SENSITIVE)
    assert (len(lines), {len(line) for line in lines}) == (32, {256})


async def test_denied_networks_are_the_settings() -> None:
    """A network that the settings deny is never reached, although they allow it too."""
    settings = DeliverySettings.model_validate(
        {
            "allow_http": True,
            "allow_networks": ["127.0.0.0/8"],
            "deny_networks": ["127.0.0.1/32"],
        }
    )
    engine = open_engine(settings, [], FakeSecrets(), RateLimits())
    attempter = Attempter(engine, FakeSecrets(), SystemClock(), "fanout")
    refused = await attempt(attempter, delivery(subscription(url="http://127.0.0.1:8123/")))
    await engine.close()
    assert (refused.outcome.kind, refused.outcome.reason) == ("refused", "blocked-address")
    assert "denied by the settings" in refused.outcome.detail


async def test_assembled_from_settings() -> None:
    """What the settings open is reached by name and over a real lookup, with ports still closed."""
    settings = DeliverySettings.model_validate(
        {"allow_http": True, "allow_networks": ["127.0.0.0/8", "::1/128"]}
    )
    async with receiver() as to, receiver() as own:
        closed = int(own.url("").rpartition(":")[2])
        engine = open_engine(settings, [closed], FakeSecrets(), RateLimits())
        attempter = Attempter(engine, FakeSecrets(), SystemClock(), "fanout")
        reached = await attempt(attempter, delivery(subscription(url=to.url(host="localhost"))))
        refused = await attempt(attempter, delivery(subscription(url=own.url(host="localhost"))))
        await engine.close()
        assert (len(to.hooks), len(own.hooks)) == (1, 0)
    assert reached.outcome.kind == "delivered"
    assert (refused.outcome.kind, refused.outcome.reason) == ("refused", "blocked-address")


@pytest.mark.parametrize("url", ["http://proxy.example:3128/path", "http://proxy_.:0"])
def test_proxy_that_cannot_be_used_stops_the_start(url: str) -> None:
    """A proxy that somebody relies on is not walked around; the setting is named."""
    settings = DeliverySettings.model_validate({"proxy": url})
    with pytest.raises(SettingsError, match="HOOKLANE_DELIVERY__PROXY"):
        open_engine(settings, [], FakeSecrets(), RateLimits())


async def test_blocked_over_the_wire(real: Callable[[], tuple[Attempter, NativeEngine]]) -> None:
    """A metadata address is refused for good and never dialled."""
    attempter, engine = real()
    attempted = await attempt(attempter, delivery(subscription(url="https://169.254.169.254/")))
    await engine.close()
    assert (attempted.outcome.kind, attempted.outcome.reason) == ("refused", "blocked-address")
    assert attempted.record.address is None
