"""The circuit: when an origin is left alone, and how it is tried again."""

import pytest

from hooklane.delivery.circuit import Circuit, Circuits, CircuitTerms, Permit
from hooklane.delivery.outcome import Outcome
from hooklane.schemas.lane import LaneId
from hooklane.schemas.records import AttemptOutcome

TERMS = CircuitTerms(threshold=3, cool_down_s=5.0, cap_s=20.0, probe_s=60.0)
URL, SAME, OTHER = "https://a.example/x", "https://A.example:443/y", "https://b.example/x"


def opened_circuit(at: float) -> Circuit:
    circuit = Circuit(TERMS)
    for lane in "abc":
        circuit.record(LaneId(lane), well=False, now=at)
    return circuit


def test_it_opens_when_enough_lanes_failed_in_a_row() -> None:
    """Closed until the threshold, refused from then on."""
    circuit = Circuit(TERMS)
    permits = []
    for lane in "abc":
        permits.append(circuit.permit(0.0))
        circuit.record(LaneId(lane), well=False, now=0.0)
    assert [*permits, circuit.permit(4.9)] == [Permit.FREE] * 3 + [Permit.REFUSED]


def test_one_poisoned_lane_never_opens_it() -> None:
    """Isolation: a key that fails a hundred times is one lane."""
    circuit = Circuit(TERMS)
    for _ in range(100):
        circuit.record(LaneId("poisoned"), well=False, now=0.0)
    assert circuit.permit(0.0) is Permit.FREE


def test_a_success_in_between_begins_the_count_anew() -> None:
    """In a row means in a row."""
    circuit = Circuit(TERMS)
    for lane, well in (("a", False), ("b", False), ("c", True), ("d", False), ("e", False)):
        circuit.record(LaneId(lane), well=well, now=0.0)
    assert circuit.permit(0.0) is Permit.FREE


def test_half_open_lets_one_probe_through() -> None:
    """After the cool-down one attempt may probe; a second one waits for its outcome."""
    circuit = opened_circuit(at=0.0)
    assert [circuit.permit(5.0), circuit.permit(5.0)] == [Permit.PROBE, Permit.REFUSED]


def test_a_good_probe_closes_it() -> None:
    """One success is enough, and the cool-down is the first one again."""
    circuit = opened_circuit(at=0.0)
    circuit.permit(5.0)
    circuit.record(LaneId("d"), well=True, now=5.1)
    assert circuit.permit(5.1) is Permit.FREE
    assert circuit.is_idle


@pytest.mark.parametrize(("probes", "wait"), [(1, 10.0), (2, 20.0), (3, 20.0)])
def test_a_bad_probe_doubles_the_cool_down_up_to_the_cap(probes: int, wait: float) -> None:
    """The longer it is away, the more rarely it is tried."""
    circuit, last = opened_circuit(at=0.0), 0.0
    for _ in range(probes):
        last += 20.0
        assert circuit.permit(last) is Permit.PROBE
        circuit.record(LaneId("d"), well=False, now=last)
    assert circuit.refuses(last + wait - 0.1)
    assert not circuit.refuses(last + wait)


def test_late_failures_of_before_do_not_prolong_it() -> None:
    """Attempts that were in flight when it opened say nothing new."""
    circuit = opened_circuit(at=0.0)
    circuit.record(LaneId("z"), well=False, now=4.0)
    assert circuit.permit(5.0) is Permit.PROBE


def test_a_probe_that_never_ends_is_forgotten() -> None:
    """A probe that was cut off with its partition must not close the way for ever."""
    circuit = opened_circuit(at=0.0)
    assert circuit.permit(5.0) is Permit.PROBE
    assert circuit.permit(64.9) is Permit.REFUSED
    assert circuit.permit(65.0) is Permit.PROBE


def outcome(status: int | None, kind: AttemptOutcome = AttemptOutcome.FAILED) -> Outcome:
    return Outcome(kind, "status", "", status)


@pytest.mark.parametrize(
    ("ended", "opens"),
    [
        (outcome(500), True),
        (outcome(429), True),
        (outcome(None), True),
        (outcome(404), False),
        (outcome(301), False),
        (outcome(200, AttemptOutcome.DELIVERED), False),
        (outcome(None, AttemptOutcome.REFUSED), False),
        (Outcome(AttemptOutcome.FAILED, "setup", "the secret is not set"), False),
        (Outcome(AttemptOutcome.FAILED, "plugin", "the plugin acme failed"), False),
    ],
)
def test_what_counts_as_a_receiver_that_is_not_well(ended: Outcome, opens: bool) -> None:
    """No answer, 5xx and 429 do; what may be the event's own fault or ours does not."""
    circuits = Circuits(TERMS)
    for lane in "abc":
        circuits.record(URL, LaneId(lane), ended, 0.0)
    assert circuits.refuses(SAME, 1.0) is opens
    assert not circuits.refuses(OTHER, 1.0)


def test_a_probe_that_could_not_be_made_leaves_the_way_to_the_next_one() -> None:
    """A half-open circuit does not wait for a probe that never came to its receiver."""
    circuits = Circuits(TERMS)
    for lane in "abc":
        circuits.record(URL, LaneId(lane), outcome(500), 0.0)
    assert circuits.permit(URL, 5.0) is Permit.PROBE
    assert circuits.permit(URL, 5.1) is Permit.REFUSED
    circuits.record(URL, LaneId("d"), Outcome(AttemptOutcome.FAILED, "setup", ""), 5.2)
    assert circuits.permit(URL, 5.3) is Permit.PROBE
