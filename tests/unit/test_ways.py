"""How requests go out that ask for more: headers, engines, and what stays hidden."""

import asyncio
import base64
from dataclasses import replace
from typing import Any

import pytest

from hooklane.delivery.engine.authorities import Authorities
from hooklane.delivery.exchange import FaultKind, Response
from hooklane.delivery.handshakes import Handshakes
from hooklane.delivery.limits import RateLimits
from hooklane.delivery.outcome import judge
from hooklane.delivery.way import Way, way_of
from hooklane.delivery.ways import Engines, Ways
from hooklane.schemas.records import AttemptOutcome
from hooklane.schemas.subscription_values import EngineName
from tests.support.engines import HandEngine, Vault, asked, begun, document, way

LARGEST = 2000
OK = Response(200, (), b"", "192.0.2.1:443")


class Desk:
    """Ways over engines that the test answers for."""

    def __init__(self, usual: EngineName = EngineName.NATIVE, **files: bytes) -> None:
        self.vault = Vault(**files)
        self.opened: dict[EngineName, HandEngine] = {}
        self.ended: list[str] = []
        makes = {name: lambda name=name: self.open(name) for name in EngineName}
        engines = Engines(makes, usual)
        self.ways = Ways(
            engines,
            self.vault,
            Authorities(None),
            Handshakes("us.example", RateLimits(), lambda: 0.0),
            LARGEST,
            [lambda: self.ended.append("closed")],
        )

    def open(self, name: EngineName) -> HandEngine:
        assert name not in self.opened, "opened twice"
        self.opened[name] = HandEngine()
        return self.opened[name]

    @property
    def native(self) -> HandEngine:
        return self.opened[EngineName.NATIVE]


def test_a_plain_document_has_no_way() -> None:
    """What asks for nothing costs nothing: its request goes to the engine as it is."""
    assert way_of(document(headers={"X-A": "b"}, delivery={"rate_limit": "5/s"})) is None


async def test_plain_requests_go_straight_through() -> None:
    """The engine gets the very request and callback, and gives what can be cancelled."""
    desk = Desk()
    request = asked(None)

    def done(_: object) -> None: ...

    assert desk.ways.start(request, done) is desk.native
    assert desk.native.asked == [(request, done)]


@pytest.mark.parametrize(
    ("auth", "secret", "header"),
    [
        ({"bearer": {"token": "file:s"}}, b"t0k3n", ("authorization", "Bearer t0k3n")),
        (
            {"basic": {"username": "Aladdin", "password": "file:s"}},
            b"open sesame",
            ("authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ),
        (
            {"basic": {"username": "tést", "password": "file:s"}},
            "123£".encode(),
            ("authorization", "Basic dMOpc3Q6MTIzwqM="),
        ),
        ({"header": {"name": "X-Api-Key", "value": "file:s"}}, b"k3y", ("x-api-key", "k3y")),
    ],
)
async def test_header_of_each_kind(
    auth: dict[str, Any], secret: bytes, header: tuple[str, str]
) -> None:
    """RFC 6750, the example of RFC 7617, UTF-8, and any other header, beside what was there."""
    desk = Desk(s=secret)
    ends = begun(desk.ways, asked(way(auth=auth)))
    desk.native.end(OK)
    assert await ends.response() is OK
    (request, _) = desk.native.asked[0]
    assert request.headers == (("webhook-id", "msg_1"), header)


async def test_secret_is_read_at_each_attempt() -> None:
    """A token that was rotated is used from the next attempt on."""
    desk = Desk(s=b"old")
    bearer = way(auth={"bearer": {"token": "file:s"}})
    begun(desk.ways, asked(bearer))
    desk.vault.files["s"] = b"new"
    begun(desk.ways, asked(bearer))
    sent = [dict(request.headers)["authorization"] for request, _ in desk.native.asked]
    assert sent == ["Bearer old", "Bearer new"]


@pytest.mark.parametrize(
    ("auth", "secret"),
    [
        ({"bearer": {"token": "file:s"}}, b"a\r\nhost: evil"),
        ({"bearer": {"token": "file:s"}}, b" "),
        ({"header": {"name": "X-K", "value": "file:s"}}, b"a\nb"),
        ({"basic": {"username": "u", "password": "file:s"}}, b"a\nb"),
        ({"bearer": {"token": "file:missing"}}, b"x"),
    ],
)
async def test_secret_that_cannot_be_sent(auth: dict[str, Any], secret: bytes) -> None:
    """No secret, or one that no header can carry: nothing is sent, a fault of the setup says which
    field, not what is in it, and it is told from the loop."""
    desk = Desk(s=secret)
    fault = await begun(desk.ways, asked(way(auth=auth))).fault()
    assert fault.kind is FaultKind.SETUP
    assert desk.native.asked == []
    assert "file:missing" in fault.detail or "`auth." in fault.detail
    assert secret.decode() not in fault.detail.replace("secret", "") or len(secret) == 1


async def test_fault_of_the_setup_can_be_cancelled() -> None:
    """After `cancel` it is not told."""
    desk = Desk()
    ends = begun(desk.ways, asked(way(auth={"bearer": {"token": "file:none"}})))
    assert ends.running is not None
    ends.running.cancel()
    await asyncio.sleep(0)
    assert not ends.told.done()


@pytest.mark.parametrize(
    ("auth", "secret"),
    [
        ({"bearer": {"token": "file:s"}}, b"t0k3n-1"),
        ({"basic": {"username": "u", "password": "file:s"}}, b"p4ssw0rd"),
        ({"header": {"name": "X-K", "value": "file:s"}}, b"k3y-0123"),
    ],
)
async def test_answer_that_says_the_secret_back(auth: dict[str, Any], secret: bytes) -> None:
    """A receiver that echoes headers does not bring the secret into the attempt's record."""
    desk = Desk(s=secret)
    ends = begun(desk.ways, asked(way(auth=auth)))
    (_, sent) = desk.native.asked[0][0].headers[-1]
    said = b"you sent " + sent.encode() + b" that is " + secret
    desk.native.end(Response(200, (("x-echo", sent),), said, "a"))
    answer = await ends.response()
    assert secret.decode() not in str(answer.headers)
    assert secret not in answer.body
    assert base64.b64encode(b"u:" + secret) not in answer.body
    assert answer.body.startswith(b"you sent ")
    assert b"[redacted]" in answer.body


async def test_encoded_password_is_kept_out_of_logs() -> None:
    """The log knows the name and password in the form in which they are sent."""
    desk = Desk(s=b"open sesame")
    begun(desk.ways, asked(way(auth={"basic": {"username": "Aladdin", "password": "file:s"}})))
    assert desk.vault.kept_out == [b"QWxhZGRpbjpvcGVuIHNlc2FtZQ=="]


async def test_engine_by_subscription() -> None:
    """The document's engine carries its requests; the setting's carries those of all others; each
    is opened when it is first needed, and closed at the end before what belongs to them."""
    desk = Desk(usual=EngineName.HTTPX)
    assert set(desk.opened) == {EngineName.HTTPX}
    for _ in range(2):
        begun(desk.ways, asked(way(delivery={"engine": "native"})))
    begun(desk.ways, asked(None))
    assert len(desk.native.asked) == 2
    assert len(desk.opened[EngineName.HTTPX].asked) == 1
    await desk.ways.close()
    assert [engine.closed for engine in desk.opened.values()] == [1, 1]
    assert desk.ended == ["closed"]


@pytest.mark.parametrize("of", [None, way(auth={"bearer": {"token": "file:s"}})])
async def test_body_that_is_too_large(of: Way | None) -> None:
    """It is refused for good before anything is sent, and the setting is named."""
    desk = Desk(s=b"t")
    begun(desk.ways, replace(asked(of), body=b"x" * LARGEST))
    fault = await begun(desk.ways, replace(asked(of), body=b"x" * (LARGEST + 1))).fault()
    assert len(desk.native.asked) == 1
    assert fault.kind is FaultKind.TOO_LARGE
    assert "HOOKLANE_DELIVERY__MAX_REQUEST (2000)" in fault.detail
    assert judge(fault, (), 0.0).kind is AttemptOutcome.REFUSED
