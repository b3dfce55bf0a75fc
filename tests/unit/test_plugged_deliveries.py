"""Attempts whose documents name plugins: what is sent, and how each way to fail ends."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping

import pytest

from hooklane.delivery.attempt import Attempted, Attempter
from hooklane.delivery.exchange import Request, Response
from hooklane.delivery.plugged import made_credentials
from hooklane.runtime.clock import SystemClock
from hooklane.schemas.plugged import Group, PluginError
from hooklane.schemas.plugin import Body, EventRefused, Message, OutgoingRequest, PluginEvent
from hooklane.schemas.records import AttemptOutcome
from hooklane.schemas.subscription import Subscription, validate
from tests.support.engines import HandEngine, Vault
from tests.support.plugins import entry, plugin, policy
from tests.unit.test_attempt import delivery

METHODS = {Group.SIGNING: "sign", Group.PAYLOAD: "transform", Group.AUTH: "headers"}
FIELDS: Mapping[Group, dict[str, object]] = {
    Group.SIGNING: {"signing": {"scheme": "acme", "secrets": ["file:one"]}},
    Group.PAYLOAD: {"payload": {"mode": "acme"}},
    Group.AUTH: {"auth": {"acme": {"secrets": {"key": "file:one"}}}},
}
KEY = b"k3y-of-november"


def document(group: Group, call: Callable[..., object], **fields: object) -> Subscription:
    """One that uses a plugin `acme` of this group, and nothing else beyond the least."""
    here = policy(entry(group, "acme", plugin(call, METHODS[group])))
    least = {"id": "billing", "url": "https://example.com/hook"}
    return validate({**least, **FIELDS[group], **fields}, here)


async def attempted(found: Subscription) -> tuple[Request | None, Attempted]:
    """One attempt, and the request that was sent, if one was."""
    engine = HandEngine()
    ended: asyncio.Future[Attempted] = asyncio.get_running_loop().create_future()
    attempter = Attempter(engine, Vault(one=KEY), SystemClock(), "fanout")
    attempter.start(delivery(found), ended.set_result)
    async with asyncio.timeout(20):
        # A plugin's thread ends when it likes.
        while not engine.asked and not ended.done():  # noqa: ASYNC110
            await asyncio.sleep(0.002)
        if engine.asked:
            engine.end(Response(200, (), b"", "192.0.2.1:443"))
        told = await ended
    return (engine.asked[0][0] if engine.asked else None), told


async def test_a_scheme_of_a_plugin_signs_what_is_sent() -> None:
    """It gets the attempt's content and the secrets, and its headers go out in lower case."""

    def sign(message: Message, secrets: tuple[bytes, ...]) -> Iterator[tuple[str, str]]:
        assert (message.webhook_id, message.body, secrets) == ("msg_1", b"{}", (KEY,))
        yield "X-Acme", str(message.timestamp)

    sent, told = await attempted(document(Group.SIGNING, sign))
    assert sent is not None
    headers = dict(sent.headers)
    assert headers["x-acme"] == headers["webhook-timestamp"]
    assert told.outcome.kind is AttemptOutcome.DELIVERED


async def test_a_mode_of_a_plugin_makes_the_body() -> None:
    """Of the event, which it cannot change for others; attributes are in no header."""

    def transform(event: PluginEvent) -> Body:
        document = event.document()
        assert isinstance(document, dict)
        document["changed"] = True
        assert event.document() == {}
        return Body("application/xml", f"<{event.attributes['type']}/>".encode())

    sent, _ = await attempted(document(Group.PAYLOAD, transform))
    assert sent is not None
    assert (sent.body, dict(sent.headers)["content-type"]) == (b"<paid/>", "application/xml")
    assert not [name for name, _ in sent.headers if name.startswith("ce-")]


HEADERS = [
    ("x-a", "a b", None),
    ("host", "evil.example", "the header host, which is set by the delivery itself"),
    ("Webhook-Id", "msg_2", "the header Webhook-Id, which is set by the delivery itself"),
    ("ce-type", "x", "the header ce-type, which"),
    ("x-a", "a\r\nhost: evil", "the header x-a with a value that is not one line"),
    ("x a", "a", "a header whose name holds a character"),
]


@pytest.mark.parametrize("group", [Group.SIGNING, Group.PAYLOAD])
@pytest.mark.parametrize("error", [RuntimeError(KEY.decode()), TypeError()])
async def test_an_exception_fails_the_attempt(group: Group, error: Exception) -> None:
    """It comes again as any failure; the record names the plugin, and holds nothing of the text."""

    def call(*_: object) -> object:
        raise error

    sent, told = await attempted(document(group, call))
    assert sent is None
    assert (told.outcome.kind, told.outcome.reason) == (AttemptOutcome.FAILED, "plugin")
    assert f"the {group} plugin acme of" in told.record.detail
    assert KEY.decode() not in told.record.detail


@pytest.mark.parametrize(("name", "value", "fault"), HEADERS)
async def test_headers_are_judged(name: str, value: str, fault: str | None) -> None:
    """None that HTTP or the delivery sets, and none that would be two lines."""
    sent, told = await attempted(document(Group.SIGNING, lambda *_: [(name, value)]))
    if fault is None:
        assert sent is not None
    else:
        assert sent is None
        assert told.outcome.reason == "plugin"
        assert fault in told.record.detail


@pytest.mark.parametrize(
    ("group", "answer", "said"),
    [
        (Group.SIGNING, None, "NoneType instead of pairs"),
        (Group.SIGNING, {"x-a": "b"}, "dict instead of pairs"),
        (Group.SIGNING, [("x-a", b"b")], "not a pair of texts"),
        (Group.SIGNING, [("x-a", "b"), ("X-A", "c")], "the same header twice"),
        (Group.SIGNING, [(f"x-{n}", "") for n in range(17)], "more than 16 headers"),
        (Group.PAYLOAD, b"raw", "bytes instead of a Body"),
        (Group.PAYLOAD, Body("no type", b""), "content type is none"),
        (Group.PAYLOAD, ("text/plain", b""), "tuple instead of a Body"),
    ],
)
async def test_nonsense_fails_the_attempt(group: Group, answer: object, said: str) -> None:
    """What comes back is judged before anything is sent."""
    sent, told = await attempted(document(group, lambda *_: answer))
    assert sent is None
    assert (told.outcome.kind, told.outcome.reason) == (AttemptOutcome.FAILED, "plugin")
    assert said in told.record.detail


async def test_an_event_that_is_refused_is_given_up() -> None:
    """The plugin knows that no attempt can ever succeed."""

    def call(_: PluginEvent) -> Body:
        raise EventRefused("it has no amount")

    sent, told = await attempted(document(Group.PAYLOAD, call))
    assert sent is None
    assert (told.outcome.kind, told.outcome.reason) == (AttemptOutcome.REFUSED, "plugin")
    assert told.record.detail.endswith("refuses the event: it has no amount")


async def test_a_secret_said_back_is_not_in_the_record() -> None:
    """Also where the plugin means its words for people."""

    def call(*_: object) -> object:
        raise EventRefused(f"cannot use {KEY.decode()}")

    _, told = await attempted(document(Group.SIGNING, call))
    assert told.record.detail.endswith("cannot use [redacted]")


async def test_a_plugin_that_hangs_costs_its_delivery_its_timeout() -> None:
    """And nothing else: the event loop goes on, and a cancelled attempt tells nobody."""
    stuck = threading.Event()
    found = document(Group.PAYLOAD, lambda _: stuck.wait(), delivery={"timeout": "50ms"})
    sent, told = await attempted(found)
    assert (sent, told.outcome.reason) == (None, "setup")
    assert told.record.detail == "the request was not ready within 0.05 s"
    ended: list[Attempted] = []
    attempter = Attempter(HandEngine(), Vault(one=KEY), SystemClock(), "fanout")
    attempter.start(delivery(found), ended.append).cancel()
    stuck.set()
    await asyncio.sleep(0.02)
    assert ended == []


async def test_credentials_of_a_plugin() -> None:
    """It sees the request as it will be sent, and its secrets by name; values that a receiver may
    send back are known, short ones apart."""

    def headers(request: OutgoingRequest, secrets: Mapping[str, bytes]) -> list[tuple[str, str]]:
        assert (request.method, request.headers) == ("POST", (("x-env", "prod"),))
        return [("Authorization", f"Acme {secrets['key'].decode()}"), ("x-n", "1")]

    auth = document(Group.AUTH, headers).auth
    assert auth is not None
    assert auth.plugged is not None
    request = Request("POST", "https://example.com", ("x-env: prod",), b"{}", 5.0, 5.0)
    found = await made_credentials(auth.plugged, request, Vault(one=KEY))
    assert found.headers == (("authorization", f"Acme {KEY.decode()}"), ("x-n", "1"))
    assert found.hidden == (KEY, b"Acme " + KEY)
    taken = Request("POST", "https://example.com", ("x-n: 2", "x-env: prod"), b"{}", 5.0, 5.0)
    with pytest.raises(PluginError, match=r"."):
        await made_credentials(auth.plugged, taken, Vault(one=KEY))
