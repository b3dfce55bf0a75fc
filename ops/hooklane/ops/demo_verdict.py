"""The end of the demonstration: what was shown, in figures, and whether anything is off. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from hooklane.ops.demo_tally import Tally

UNDISTURBED_S: Final = 2.0
"""95 % of the healthy receiver's events have to come within this, while the others fail for more
than twice as long. Usually it takes some 0.02 s; a busy machine must not fail the demonstration."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One receiver at the end. `trouble_s`: the monotonic seconds in which it failed, if it did."""

    name: str
    tally: Tally
    blocked: int
    released: int
    trouble_s: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`lines`: a heading and a sentence each; `faults`: what is off, none if all is well."""

    lines: tuple[tuple[str, str], ...]
    faults: tuple[str, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        return not self.faults


def judge(published: int, outcomes: Sequence[Outcome], seconds: float) -> Verdict:
    """What all receivers together have seen of `published` events."""
    return Verdict(
        tuple(_lines(published, outcomes)),
        tuple(fault for one in outcomes for fault in _faults(one, outcomes)),
        seconds,
    )


def times_of_trouble(outcomes: Sequence[Outcome]) -> tuple[float, float]:
    """From the first receiver's failure to the last one's end, in monotonic seconds."""
    times = [one.trouble_s for one in outcomes if one.trouble_s is not None]
    return min((one[0] for one in times), default=0.0), max((one[1] for one in times), default=0.0)


def milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.0f} ms"


def _lines(published: int, outcomes: Sequence[Outcome]) -> Iterator[tuple[str, str]]:
    tallies = [one.tally for one in outcomes]
    delivered, expected = (sum(one.delivered for one in tallies), sum(o.expected for o in tallies))
    each = ", ".join(f"{one.name} {one.tally.delivered}" for one in outcomes)
    retried, refused = (sum(one.retried for one in tallies), sum(one.refused for one in tallies))
    verified, requests = (sum(one.verified for one in tallies), sum(o.requests for o in tallies))
    order = "kept" if all(one.in_order for one in tallies) else "BROKEN"
    released, blocked = (sum(one.released for one in outcomes), sum(o.blocked for o in outcomes))
    yield "Published", f"{published} events"
    yield "Delivered", f"{delivered} of {expected}: {each}"
    yield "Retried", f"{retried} requests, after {refused} refusals"
    yield "Verified", f"{verified} of {requests} signatures"
    yield "Order", f"{order} in {sum(one.lanes for one in tallies)} lanes, a key at a receiver each"
    yield "Lanes", f"{released} blocked and released, {blocked} still blocked"
    trouble = times_of_trouble(outcomes)
    for one in outcomes:
        if one.trouble_s is None:
            yield "Undisturbed", _undisturbed(one, trouble)


def _undisturbed(one: Outcome, trouble: tuple[float, float]) -> str:
    p50, p95 = (one.tally.latency_s(share, trouble) for share in (0.5, 0.95))
    return f"{one.name}: p50 {milliseconds(p50)}, p95 {milliseconds(p95)} while the others failed"


def _faults(one: Outcome, outcomes: Sequence[Outcome]) -> Iterator[str]:
    for fault in one.tally.faults():
        yield f"{one.name}: {fault}"
    if one.blocked:
        yield f"{one.name}: {one.blocked} lanes are still blocked"
    if one.trouble_s is None:
        yield from _disturbed(one, times_of_trouble(outcomes))
    elif not (one.tally.refused and one.tally.retried and one.released):
        yield f"{one.name}: it was to fail, and nothing was refused, retried and released"


def _disturbed(one: Outcome, trouble: tuple[float, float]) -> Iterator[str]:
    if one.tally.retried or one.tally.refused:
        yield f"{one.name}: it is healthy, and {one.tally.retried} requests were retries"
    p95 = one.tally.latency_s(0.95, trouble)
    if p95 is None or p95 > UNDISTURBED_S:
        yield (
            f"{one.name}: it is healthy, and 95 % of its events took up to {milliseconds(p95)} "
            f"while the others failed: more than {UNDISTURBED_S:g} s"
        )
