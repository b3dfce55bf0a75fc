"""Whether an origin may be tried. Pure: the caller brings the time and the outcomes."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from hooklane.delivery.exchange import FaultKind
from hooklane.delivery.outcome import Outcome
from hooklane.delivery.target import InvalidUrl, Origin, read_target
from hooklane.schemas.lane import LaneId
from hooklane.schemas.records import AttemptOutcome

_NOT_ITS_FAULT = frozenset({FaultKind.SETUP, FaultKind.PLUGIN, FaultKind.HANDSHAKE})


class Permit(Enum):
    FREE = "free"
    PROBE = "probe"
    """One attempt; the others wait for its outcome."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class CircuitTerms:
    """`threshold`: lanes that fail in a row. `cool_down_s` doubles with each probe that fails, up
    to `cap_s`. A probe that has not ended after `probe_s` is forgotten."""

    threshold: int = 10
    cool_down_s: float = 5.0
    cap_s: float = 60.0
    probe_s: float = 60.0


class Circuit:
    """One origin's.

        closed --(threshold lanes failed in a row)--> open --(cool-down)--> half-open
        half-open --success--> closed; --failure--> open again, cool-down doubled up to a cap

    Lanes and not attempts are counted: a poisoned key that fails again and again is one lane, and
    must not close its neighbours' way.
    """

    def __init__(self, terms: CircuitTerms) -> None:
        self._terms = terms
        self._failed: set[LaneId] = set()
        self._cool_down_s = terms.cool_down_s
        self._open_until: float | None = None
        self._probing_since: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is not closed: open, or half-open."""
        return self._open_until is not None

    @property
    def is_idle(self) -> bool:
        """Whether forgetting it would change nothing."""
        return not self._failed and self._open_until is None

    def refuses(self, now: float) -> bool:
        """Whether `permit` would refuse at `now` (monotonic seconds); asks without taking."""
        if self._open_until is None:
            return False
        return now < self._open_until or self._is_probing(now)

    def permit(self, now: float) -> Permit:
        """Ask for an attempt at `now`; a PROBE is taken by asking."""
        if self._open_until is None:
            return Permit.FREE
        if self.refuses(now):
            return Permit.REFUSED
        self._probing_since = now
        return Permit.PROBE

    def record(self, lane: LaneId, *, well: bool, now: float) -> None:
        """An attempt of `lane` ended: the receiver is well, or it is not."""
        if well:
            self._failed.clear()
            self._cool_down_s = self._terms.cool_down_s
            self._open_until = self._probing_since = None
        elif self._open_until is not None:
            if self._is_probing(now):
                self._cool_down_s = min(self._cool_down_s * 2, self._terms.cap_s)
                self._open_until, self._probing_since = now + self._cool_down_s, None
        else:
            self._failed.add(lane)
            if len(self._failed) >= self._terms.threshold:
                self._failed.clear()
                self._open_until = now + self._cool_down_s

    def record_nothing(self) -> None:
        """An attempt ended that never came to the receiver: the next one may be the probe."""
        self._probing_since = None

    def _is_probing(self, now: float) -> bool:
        return self._probing_since is not None and now < self._probing_since + self._terms.probe_s


def _nobody(origin: Origin, is_open: bool) -> None:
    """Told of nothing."""


class Circuits:
    """The circuits of all origins that failed lately; `most` bounds them. `turned` is told when one
    opens, and when it closes."""

    def __init__(self, terms: CircuitTerms | None = None, most: int = 10_000) -> None:
        self.turned: Callable[[Origin, bool], None] = _nobody
        self._terms = terms or CircuitTerms()
        self._most = most
        self._circuits: OrderedDict[Origin, Circuit] = OrderedDict()

    def is_open(self, url: str) -> bool:
        """Whether the circuit of this URL's origin is not closed."""
        if not self._circuits:
            return False
        circuit = self._circuits.get(_origin(url))
        return circuit is not None and circuit.is_open

    def count_open(self) -> int:
        """How many are not closed."""
        return sum(one.is_open for one in self._circuits.values())

    def refuses(self, url: str, now: float) -> bool:
        """Whether attempts of this URL would be refused; asks without taking a probe."""
        if not self._circuits:
            return False
        circuit = self._circuits.get(_origin(url))
        return circuit is not None and circuit.refuses(now)

    def permit(self, url: str, now: float) -> Permit:
        """Ask for an attempt; an origin without a failure is free."""
        if not self._circuits:
            return Permit.FREE
        circuit = self._circuits.get(_origin(url))
        return Permit.FREE if circuit is None else circuit.permit(now)

    def record(self, url: str, lane: LaneId, outcome: Outcome, now: float) -> None:
        """An attempt ended. What failed on our side says nothing about the receiver."""
        if not self._circuits and _is_well(outcome):
            return
        origin = _origin(url)
        circuit = self._circuits.get(origin)
        if _is_ours(outcome):
            if circuit is not None:
                circuit.record_nothing()
            return
        well = _is_well(outcome)
        if circuit is None:
            if well:
                return
            circuit = self._circuits[origin] = Circuit(self._terms)
            if len(self._circuits) > self._most:
                self._circuits.popitem(last=False)
        was_open = circuit.is_open
        circuit.record(lane, well=well, now=now)
        if circuit.is_open is not was_open:
            self.turned(origin, circuit.is_open)
        if circuit.is_idle:
            del self._circuits[origin]


def _is_ours(outcome: Outcome) -> bool:
    """Whether we refused to send it, or could not make the request, or were not let.

    Many subscriptions may share an origin: one without its secret must not close the others' way.
    """
    refused = outcome.kind is AttemptOutcome.REFUSED
    return outcome.status is None and (refused or outcome.reason in _NOT_ITS_FAULT)


def _is_well(outcome: Outcome) -> bool:
    """Whether the receiver works: it answered, and not that it is overloaded or broken.

    A 4xx may well be this event's own fault, as a redirect is the document's.
    """
    status = outcome.status
    return status is not None and status < 500 and status != 429


@lru_cache(maxsize=20_000)
def _origin(url: str) -> Origin:
    target = read_target(url)
    return Origin("", url, 0) if isinstance(target, InvalidUrl) else target.origin
