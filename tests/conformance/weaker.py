"""Where an engine promises less than the suite asks: the one list, test by test, with the reason.

What is listed is not left out: the test asserts what holds instead. All of it is about answers,
which the engine `transport` gets from a transport that has read them already.
"""

from dataclasses import dataclass
from typing import Final

from hooklane.delivery.exchange import FaultKind


@dataclass(frozen=True, slots=True)
class Weaker:
    """`cases`: ids of the test's own parameters, none for all of them."""

    test: str
    why: str
    cases: tuple[str, ...] = ()


_CLOSED = "httpx tells an answer that broke off and one that is no HTTP by one exception: protocol"

TRANSPORT: Final = (
    Weaker(
        "test_connection_ends",
        _CLOSED,
        (
            "after the request-closed",
            "in the status line-closed",
            "in the head-closed",
            "after the head-closed",
            "in the body-closed",
            "in a chunk-closed",
            "between chunks-closed",
            "after a 100-closed",
        ),
    ),
    Weaker("test_body_ends_without_tls_closing", _CLOSED),
    Weaker("test_closed_without_an_answer_is_not_sent_again", _CLOSED),
    Weaker(
        "test_first_byte_in_time_is_enough",
        "a transport tells of the headers and not of the first byte, so that they must be there",
    ),
    Weaker(
        "test_answer_that_nobody_asked_for",
        "h11 keeps what follows an answer for the next request on the connection, unseen",
    ),
    Weaker("test_storm", "as before, so no surplus is sent; and an answer may end as protocol"),
    Weaker(
        "test_answers_that_are_not_http",
        "h11 reads them: it is the transport that judges what is HTTP",
        ("bad version", "two ways of length", "chunked after all", "folded length", "huge chunk"),
    ),
)

READ_AS: Final[dict[str, tuple[int, bytes] | FaultKind]] = {
    "bad version": (200, b""),
    "two ways of length": (200, b""),
    "chunked after all": (200, b""),
    "folded length": (200, b"ok"),
    "huge chunk": FaultKind.TIMEOUT,
}
"""What becomes of those answers: status and body, or how the exchange ends."""


def is_weaker(engine: str, test: str, case: str) -> bool:
    """Whether the engine promises less than that case of the test asks."""
    if engine != "transport":
        return False
    found = (one for one in TRANSPORT if one.test == test)
    return any(not one.cases or case in one.cases for one in found)
