"""What an answer or a fault means for the delivery."""

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooklane.delivery.exchange import Fault, FaultKind, Response
from hooklane.delivery.outcome import RETRY_AFTER_CAP_S, judge, retry_after, setup_failed
from hooklane.schemas.records import AttemptOutcome

NOW = 1_700_000_000.0
DELIVERED, FAILED, REFUSED = (
    AttemptOutcome.DELIVERED,
    AttemptOutcome.FAILED,
    AttemptOutcome.REFUSED,
)


def response(status: int, *headers: tuple[str, str]) -> Response:
    return Response(status, headers, b"", "127.0.0.1:443")


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (200, DELIVERED, "accepted"),
        (202, DELIVERED, "accepted"),
        (204, DELIVERED, "accepted"),
        (299, DELIVERED, "accepted"),
        (300, FAILED, "redirect"),
        (301, FAILED, "redirect"),
        (307, FAILED, "redirect"),
        (400, FAILED, "status"),
        (401, FAILED, "status"),
        (404, FAILED, "status"),
        (410, REFUSED, "gone"),
        (422, REFUSED, "give-up-on"),
        (429, FAILED, "status"),
        (500, FAILED, "status"),
        (503, FAILED, "status"),
        (599, FAILED, "status"),
        (700, FAILED, "status"),
        (199, FAILED, "status"),
    ],
)
def test_statuses(status: int, kind: AttemptOutcome, reason: str) -> None:
    """2xx is delivered, 410 and named statuses are refused, everything else comes again."""
    outcome = judge(response(status), (422,), NOW)
    assert (outcome.kind, outcome.reason, outcome.status) == (kind, reason, status)
    assert outcome.gone is (status == 410)
    assert str(status) in outcome.detail


def test_gone_goes_before_give_up_on() -> None:
    """A 410 disables the subscription also where `give_up_on` names it."""
    assert judge(response(410), (410,), NOW).gone


def test_success_goes_before_give_up_on() -> None:
    """A 2xx is delivered whatever `give_up_on` says."""
    assert judge(response(200), (200,), NOW).kind is DELIVERED


@pytest.mark.parametrize("kind", FaultKind)
def test_faults(kind: FaultKind) -> None:
    """What would be the same at each attempt is refused for good; every other fault comes again."""
    outcome = judge(Fault(kind, "why"), (), NOW)
    refused = kind in {
        FaultKind.BLOCKED_ADDRESS,
        FaultKind.INVALID_URL,
        FaultKind.TOO_LARGE,
    }
    assert outcome.kind is (REFUSED if refused else FAILED)
    assert (outcome.reason, outcome.detail, outcome.status) == (kind.value, "why", None)


def test_setup() -> None:
    """A request that could not be made comes again."""
    outcome = setup_failed("no secret")
    assert (outcome.kind, outcome.reason, outcome.detail) == (FAILED, "setup", "no secret")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 120 ", 120.0),
        ("86401", RETRY_AFTER_CAP_S),
        ("9" * 15, RETRY_AFTER_CAP_S),
        ("9" * 5000, None),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW + 10 * 86400, usegmt=True), RETRY_AFTER_CAP_S),
        ("Tuesday, 14-Nov-23 22:14:50 GMT", 90.0),
        ("Tue Nov 14 22:14:50 2023", 90.0),
        ("Tue, 14 Nov 2023 23:14:50 +0100", 90.0),
        (formatdate(NOW - 90, usegmt=True), None),
        (formatdate(NOW, usegmt=True), None),
        ("-5", None),
        ("1.5", None),
        ("+5", None),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("\u0665", None),
        ("Tue, 99 Nov 2023 22:14:50 GMT", None),
        ("Tue, 14 Nov 99999 22:14:50 GMT", None),
        ("Tue, 14 Nov 2023 22:14:50 +9999999", None),
    ],
)
def test_retry_after(value: str, expected: float | None) -> None:
    """Seconds or a date, capped at a day; what is past, negative or nonsense counts as absent."""
    headers = (("date", "x"), ("retry-after", value))
    assert retry_after(headers, NOW) == expected
    for status in (429, 503):
        outcome = judge(response(status, *headers), (), NOW)
        assert outcome.kind is FAILED
        assert outcome.retry_after_s == expected
        assert outcome.reason == ("status" if expected is None else "retry-after")


@pytest.mark.parametrize("status", [200, 301, 410, 500, 502])
def test_retry_after_counts_for_429_and_503_only(status: int) -> None:
    """Other statuses do not put a delivery off."""
    assert judge(response(status, ("retry-after", "60")), (), NOW).retry_after_s is None


def test_given_up_status_is_not_put_off() -> None:
    """A 429 that `give_up_on` names is refused at once."""
    outcome = judge(response(429, ("retry-after", "60")), (429,), NOW)
    assert (outcome.kind, outcome.retry_after_s) == (REFUSED, None)


@given(st.text(), st.integers(100, 999), st.floats(0, 4e9))
def test_any_answer_is_judged(value: str, status: int, now: float) -> None:
    """Whatever a receiver sends in `Retry-After`, the wait is between nothing and a day."""
    outcome = judge(response(status, ("retry-after", value)), (), now)
    assert outcome.retry_after_s is None or 0 <= outcome.retry_after_s <= RETRY_AFTER_CAP_S
