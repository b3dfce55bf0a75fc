"""The handshake of CloudEvents' webhooks: what is asked, and which answers are a yes."""

import pytest

from hooklane.delivery.circuit import Circuits, Permit
from hooklane.delivery.exchange import Fault, FaultKind, Response
from hooklane.delivery.handshake import Allowed, Standing, asking_headers, judge_handshake
from hooklane.delivery.limits import RateLimits
from hooklane.delivery.receivers import Receivers
from hooklane.schemas.subscription_values import RateLimit
from tests.support.engines import document

US = "events.us.example"
TEN_A_SECOND = RateLimit(10, 1.0, "10/s")


def answer(status: int = 200, **headers: str) -> Response:
    named = tuple((f"webhook-allowed-{name}", value) for name, value in headers.items())
    return Response(status, named, b"", "192.0.2.1:443")


@pytest.mark.parametrize(
    ("rate", "asked"),
    [
        (None, None),
        (TEN_A_SECOND, "600"),
        (RateLimit(90, 3600.0, "90/h"), "1"),
        (RateLimit(1, 3600.0, "1/h"), "1"),
    ],
)
def test_what_is_asked(rate: RateLimit | None, asked: str | None) -> None:
    """Sections 4.1.1 and 4.1.3: our name, and the rate in whole requests a minute if there is
    one."""
    headers = dict(asking_headers(US, rate))
    assert headers["webhook-request-origin"] == US
    assert headers.get("webhook-request-rate") == asked


@pytest.mark.parametrize(
    ("result", "rate", "granted"),
    [
        (answer(origin=US), None, None),
        (answer(origin="*"), None, None),
        (answer(origin=US.upper(), rate="*"), TEN_A_SECOND, None),
        (answer(204, origin=US, rate="120"), TEN_A_SECOND, 120),
        (answer(origin=US, rate="120"), None, 120),
    ],
)
def test_answers_that_are_a_yes(
    result: Response, rate: RateLimit | None, granted: int | None
) -> None:
    """Section 4.2: our name or any, with the rate that is allowed."""
    allowed = judge_handshake(result, US, rate)
    assert isinstance(allowed, Allowed)
    assert (allowed.rate and allowed.rate.count) == granted
    assert allowed.rate is None or allowed.rate.per_s == 60.0


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (answer(405), "it answered 405"),
        (answer(302, origin="*"), "it answered 302"),
        (answer(), f"does not name {US}"),
        (answer(origin="other.example"), f"does not name {US}"),
        (answer(origin=f"evil-{US}"), f"does not name {US}"),
        (answer(origin="*"), "WebHook-Allowed-Rate is no number"),
        (answer(origin="*", rate="0"), "WebHook-Allowed-Rate is no number"),
        (answer(origin="*", rate="-1"), "WebHook-Allowed-Rate is no number"),
        (answer(origin="*", rate="many"), "WebHook-Allowed-Rate is no number"),
    ],
)
def test_answers_that_are_no_yes(result: Response, words: str) -> None:
    """Silence is no permission, nor is a yes to somebody else, nor a rate that nobody can keep."""
    fault = judge_handshake(result, US, TEN_A_SECOND)
    assert isinstance(fault, Fault)
    assert (fault.kind, words in fault.detail) == (FaultKind.HANDSHAKE, True)


def test_a_receiver_that_cannot_be_reached() -> None:
    """It keeps its own word, so that a blocked address is refused for good as ever."""
    fault = judge_handshake(Fault(FaultKind.BLOCKED_ADDRESS, "10.0.0.1 is private"), US, None)
    assert isinstance(fault, Fault)
    assert fault.kind is FaultKind.BLOCKED_ADDRESS


def test_how_long_an_answer_is_good_for() -> None:
    """A yes for an hour, a no for half a minute."""
    yes = Standing(Allowed(None), 0.0)
    no = Standing(Fault(FaultKind.HANDSHAKE, ""), 0.0)
    assert [yes.holds(at) for at in (29.0, 3599.0, 3600.0)] == [True, True, False]
    assert [no.holds(at) for at in (29.0, 30.0)] == [True, False]


@pytest.mark.parametrize(
    ("own", "granted", "kept"),
    [
        (None, RateLimit(60, 60.0, ""), 1.0),
        ("10/s", RateLimit(60, 60.0, ""), 1.0),
        ("1/m", RateLimit(600, 60.0, ""), 60.0),
        ("1/m", None, 60.0),
        (None, None, 0.0),
    ],
)
def test_the_stricter_rate_is_kept(own: str | None, granted: RateLimit | None, kept: float) -> None:
    """The gates keep the document's limit or what the receiver granted, whichever is less."""
    limits = RateLimits()
    limits.grant("s", granted)
    receivers = Receivers(Circuits(), limits, lambda: 100.0)
    fields: dict[str, object] = {} if own is None else {"rate_limit": own}
    of = document(delivery={"handshake": True, **fields})
    assert receivers.begins(of) is Permit.FREE
    assert receivers.wait_s(of) == pytest.approx(kept, abs=0.03)


def test_what_was_granted_ends_with_the_handshake() -> None:
    """A document that asks for none any more keeps its own limit only."""
    limits = RateLimits()
    limits.grant("s", RateLimit(1, 60.0, "1/m"))
    receivers = Receivers(Circuits(), limits, lambda: 100.0)
    of = document(delivery={"rate_limit": "10/s"})
    receivers.starts(of)
    assert receivers.wait_s(of) < 0.2
