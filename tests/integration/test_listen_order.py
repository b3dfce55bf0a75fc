"""What a listener says about the order of a lane."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooklane.ops.listen_answer import ACCEPTED, FailurePlan
from hooklane.ops.listen_order import LaneSeen, Order, OrderCheck, Place
from hooklane.ops.listen_request import arrived

LANE = LaneSeen("/", "/billing", "k", "")
OTHER = LaneSeen("/", "/billing", "other", "")

Step = tuple[int, bool]


def judged(*steps: Step, lane: LaneSeen = LANE) -> list[Place]:
    """The places of requests (sequence, accepted) of one lane, in turn."""
    check, found = OrderCheck(), []
    for sequence, accepted in steps:
        found.append(check.place(lane, sequence, f"msg_{sequence}"))
        if accepted:
            check.accepted(lane, sequence, f"msg_{sequence}")
        else:
            check.refused(lane, sequence)
    return found


@pytest.mark.parametrize(
    ("steps", "last"),
    [
        ([(5, True)], Place(Order.NEXT)),
        ([(5, True), (9, True)], Place(Order.NEXT)),
        ([(5, False), (5, True)], Place(Order.RETRY)),
        ([(5, True), (6, False), (6, False), (6, True)], Place(Order.RETRY)),
        ([(5, False), (5, True), (6, True)], Place(Order.NEXT)),
        ([(5, True), (5, True)], Place(Order.REPEATED, 5)),
        ([(5, True), (6, True), (5, True)], Place(Order.REPEATED, 5)),
        ([(5, True), (4, True)], Place(Order.BROKEN, 5)),
        ([(5, False), (4, True)], Place(Order.BROKEN, 5)),
        ([(5, False), (6, True)], Place(Order.OVERTAKING, 5)),
        ([(5, False), (6, True), (5, True)], Place(Order.BROKEN, 6)),
        ([(5, False), (6, True), (7, True)], Place(Order.NEXT)),
        ([(5, False), (6, False), (7, True)], Place(Order.OVERTAKING, 6)),
    ],
)
def test_place_in_the_lane(steps: list[Step], last: Place) -> None:
    """Next, retried, repeated, overtaking one that was refused, or below an accepted one."""
    assert judged(*steps)[-1] == last


def test_lanes_do_not_disturb_each_other() -> None:
    """Another key, path, source or run has an order of its own."""
    check = OrderCheck()
    check.accepted(LANE, 9, "msg_9")
    for other in (
        OTHER,
        LANE._replace(path="/b"),
        LANE._replace(source="s"),
        LANE._replace(run="r"),
    ):
        assert check.place(other, 3, "msg_3") == Place(Order.NEXT)


@given(results=st.lists(st.booleans(), max_size=30))
def test_a_sender_that_keeps_order_is_never_blamed(results: list[bool]) -> None:
    """Each sequence is tried until it is accepted, then comes the next one."""
    sequence, steps = 0, []
    for accepted in results:
        steps.append((sequence, accepted))
        sequence += accepted
    assert {place.order for place in judged(*steps)} <= {Order.NEXT, Order.RETRY}


def test_memory_is_bounded() -> None:
    """After a hundred thousand lanes the oldest are forgotten, the newest are known."""
    check = OrderCheck()
    for number in range(120_000):
        check.accepted(LANE._replace(key=str(number)), 5, f"msg_{number}")
    assert len(check._lanes) == 10_000
    assert len(check._accepted) == 100_000
    assert check.place(LANE._replace(key="119999"), 4, "msg_new").order is Order.BROKEN


KEYED = arrived("/", {"ce-partitionkey": "k", "hooklane-sequence": "7"}, b"")
UNKEYED = arrived("/", {"hooklane-sequence": "7"}, b"")


@pytest.mark.parametrize(
    ("plan", "answers"),
    [
        (FailurePlan(None), [204, 204, 204]),
        (FailurePlan(500), [500, 500, 500]),
        (FailurePlan(503, first=2), [503, 503, 204]),
        (FailurePlan(503, keys=frozenset({"other"})), [204, 204, 204]),
        (FailurePlan(410, keys=frozenset({"k"})), [410, 410, 410]),
        (FailurePlan(410, first=1, keys=frozenset({"k"})), [410, 204, 204]),
        (FailurePlan(503, first=0), [204, 204, 204]),
    ],
)
def test_failure_plans(plan: FailurePlan, answers: list[int]) -> None:
    """All, the first so many, those of a key, or the first so many of a key."""
    assert [plan.answer(KEYED) for _ in range(3)] == answers
    if plan.keys:
        assert plan.answer(UNKEYED) == ACCEPTED


def test_request_is_read_in_both_modes() -> None:
    """Percent-encoded headers and a structured body say the same."""
    binary = arrived(
        "/hook",
        {
            "ce-type": "a%20b",
            "ce-source": "/x",
            "ce-partitionkey": "Z%C3%BCrich",
            "hooklane-sequence": "7",
            "hooklane-attempt": "2",
            "hooklane-replay": "r1",
            "webhook-id": "msg_1",
        },
        b"{}",
    )
    assert binary.lane == LaneSeen("/hook", "/x", "Zürich", "r1")
    assert (binary.type, binary.sequence, binary.attempt) == ("a b", 7, 2)
    body = '{"type":"a b","source":"/x","partitionkey":"Zürich","n":1}'.encode()
    structured = arrived(
        "/hook",
        {"content-type": "application/cloudevents+json", "hooklane-sequence": "7"},
        body,
    )
    assert (structured.type, structured.key, structured.sequence) == ("a b", "Zürich", 7)


def test_the_named_lane_tells_two_topics_apart() -> None:
    """Of one key in two topics each has its own order; without the header they would be one."""
    named = [{**KEYED.headers, "hooklane-lane": lane} for lane in ("a" * 32, "b" * 32)]
    first, second = (arrived("/", headers, b"") for headers in named)
    assert first.lane != second.lane
    assert arrived("/", {**named[0], "ce-partitionkey": "x"}, b"").lane == first.lane
    assert arrived("/", {"hooklane-lane": "a" * 32}, b"").lane is None


@given(
    headers=st.dictionaries(
        st.sampled_from(
            ["content-type", "hooklane-sequence", "hooklane-attempt", "ce-type", "webhook-id"]
        ),
        st.text(max_size=20) | st.just("application/cloudevents+json"),
    ),
    body=st.binary(max_size=40),
)
def test_no_request_raises(headers: dict[str, str], body: bytes) -> None:
    """A listener survives whatever comes."""
    assert arrived("/", headers, body).body == body
