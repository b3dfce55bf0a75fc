"""Tenants' shares: slots and a rate for all subscriptions of a tenant, and nobody else waits."""

from collections import Counter, defaultdict
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooklane.delivery.circuit import Circuits
from hooklane.delivery.limits import RateLimits
from hooklane.delivery.receivers import Receivers
from hooklane.delivery.tenants import TenantLines, TenantRates
from hooklane.fanout.delivery import Delivery
from hooklane.fanout.gate import LaneGate
from hooklane.fanout.lanes import LaneTable
from hooklane.fanout.schedule import Schedule
from hooklane.retrier.gate import TaskGate
from hooklane.retrier.queue import LaneQueue
from hooklane.schemas.lane import LaneId
from hooklane.schemas.subscription_values import parse_rate
from hooklane.schemas.tenants import Quota, TenantRules
from tests.support.fanout_facts import PLACE, delivery, entry
from tests.support.memory_spool import MemorySpool
from tests.support.retrier_facts import NOW_MS, Documents, lane_id, task, waiting


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def quotas(**by_tenant: Quota) -> TenantRules:
    return TenantRules(quotas=by_tenant)


SLOTS = quotas(acme=Quota(max_in_flight=2))
RATE = quotas(acme=Quota(rate_limit=parse_rate("10/s")))


class FanOutBench:
    """Schedule, gate and lines as the fan-out wires them. A subscription's name begins with its
    tenant."""

    def __init__(self, rules: TenantRules, *names: str, process: int = 100) -> None:
        self.clock = Clock()
        self.book = Documents(*(entry(name, tenant=name.split("-")[0]) for name in names))
        receivers = Receivers(Circuits(), RateLimits(), self.clock, rules)
        gate = LaneGate(self.book, {PLACE: LaneTable()}, receivers, 100)
        lines = TenantLines(rules, receivers.tenant_rates, gate.tenant, self.clock)
        self.schedule = Schedule(gate, process, 2.0, lines)
        self.numbers = count()
        self.in_flight: list[Delivery] = []
        self.started: list[Delivery] = []
        self.redirected: list[Delivery] = []

    def add(self, subscription: str, count: int = 1) -> None:
        for _ in range(count):
            number = next(self.numbers)
            self.schedule.add(delivery(number, f"{subscription}/{number}", subscription))

    def step(self) -> list[str]:
        """What starts now, by subscription."""
        steps = self.schedule.advance(self.clock.now)
        self.in_flight += steps.start
        self.started += steps.start
        self.redirected += steps.redirect
        return [one.subscription for one in steps.start]

    def end(self, at: int = 0) -> None:
        self.schedule.resolved(self.in_flight.pop(at))

    def of(self, tenant: str) -> int:
        return sum(one.subscription.startswith(tenant) for one in self.in_flight)


def test_subscriptions_of_a_tenant_share_its_slots_and_take_turns() -> None:
    """Two slots for three subscriptions: whoever has had one stands behind the others."""
    bench = FanOutBench(SLOTS, "acme-a", "acme-b", "acme-c")
    for name in ("acme-a", "acme-b", "acme-c"):
        bench.add(name, 4)
    order = bench.step()
    for _ in range(10):
        bench.end()
        order += bench.step()
        assert bench.of("acme") <= 2
    assert len(order) == 12
    assert {one: order[:9].count(one) for one in set(order)} == dict.fromkeys(set(order), 3)


def test_a_tenant_at_its_limit_holds_up_nobody_else() -> None:
    """Promise of isolation: others start at once, in whatever order they came."""
    bench = FanOutBench(SLOTS, "acme-a", "globex-a")
    bench.add("acme-a", 50)
    bench.add("globex-a", 10)
    assert Counter(bench.step()) == {"acme-a": 2, "globex-a": 10}
    bench.add("globex-a", 5)
    assert bench.step() == ["globex-a"] * 5


def test_a_shared_rate_is_kept_and_told_of_in_time() -> None:
    """Ten a second for two subscriptions together; `next_start` says when to come again."""
    bench = FanOutBench(RATE, "acme-a", "acme-b", "globex-a")
    for name in ("acme-a", "acme-b"):
        bench.add(name, 8)
    bench.add("globex-a", 30)
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(60):
        for name in bench.step():
            found[name].append(bench.clock.now)
        following = bench.schedule.next_start
        if following is None:
            break
        assert following >= bench.clock.now
        bench.clock.now = max(following, bench.clock.now + 1e-6)
    acme = sorted(found["acme-a"] + found["acme-b"])
    assert len(acme) == 16
    assert 1.3 < acme[-1] < 1.7
    assert abs(len([at for at in found["acme-a"] if at < 0.8]) - 4) <= 1
    assert found["globex-a"] == [0.0] * 30


def test_what_a_shared_rate_cannot_let_start_in_time_leaves_at_once() -> None:
    """It would fill the window that other tenants need: with patience for two seconds, about twenty
    of two hundred stay."""
    bench = FanOutBench(RATE, "acme-a", "acme-b")
    for name in ("acme-a", "acme-b"):
        bench.add(name, 100)
    bench.step()
    bench.step()
    assert 170 <= len(bench.redirected) <= 190


def test_what_waits_too_long_for_its_tenants_slots_leaves() -> None:
    """A hanging receiver of one subscription may take all slots of its tenant: what waits for them
    goes into the backlog after the patience of the process."""
    bench = FanOutBench(SLOTS, "acme-a", "acme-b")
    bench.add("acme-a", 2)
    bench.step()
    bench.add("acme-b", 3)
    assert bench.step() == []
    bench.clock.now = 2.5
    bench.schedule.spill(bench.clock.now, 0.0)
    bench.step()
    assert [one.subscription for one in bench.redirected] == ["acme-b"] * 3


def test_a_document_that_changes_its_tenant_keeps_no_slot() -> None:
    """Attempts that began under the one tenant give its slots back, and not the other's."""
    rules = quotas(acme=Quota(max_in_flight=1), globex=Quota(max_in_flight=1))
    bench = FanOutBench(rules, "acme-a", "globex-a")
    bench.add("acme-a")
    assert bench.step() == ["acme-a"]
    bench.book.put("acme-a", 1, tenant="globex")
    bench.add("globex-a")
    assert bench.step() == ["globex-a"]
    bench.end()
    bench.add("acme-a")
    assert bench.step() == []
    bench.end()
    assert bench.step() == ["acme-a"]


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.sampled_from(["acme-a", "acme-b", "globex-a", "x-a"])),
            st.tuples(st.just("end"), st.integers(0, 50)),
            st.tuples(st.just("pass"), st.floats(0.0, 0.5)),
        ),
        max_size=80,
    ),
    st.integers(1, 4),
)
def test_limits_hold_and_everything_goes_in_the_end(
    deeds: list[tuple[str, object]], process: int
) -> None:
    """However events come and attempts end: no tenant is above its slots, nothing is forgotten, and
    a wake-up is told of while something may start."""
    rules = quotas(
        acme=Quota(max_in_flight=2, rate_limit=parse_rate("50/s")), globex=Quota(max_in_flight=1)
    )
    bench = FanOutBench(rules, "acme-a", "acme-b", "globex-a", "x-a", process=process)
    added = 0
    for deed, value in deeds:
        match deed, value:
            case "add", str(name):
                bench.add(name)
                added += 1
            case "end", int(at) if bench.in_flight:
                bench.end(at % len(bench.in_flight))
            case "pass", float(seconds):
                bench.clock.now += seconds
            case _:
                pass
        bench.step()
        assert bench.of("acme") <= 2
        assert bench.of("globex") <= 1
    for _ in range(4 * added + 10):
        if bench.in_flight:
            bench.end()
        elif (following := bench.schedule.next_start) is not None:
            bench.clock.now = max(bench.clock.now + 1e-6, following)
        bench.step()
    assert len(bench.started) + len(bench.redirected) == added
    assert bench.schedule.in_flight == 0


class RetrierBench:
    """Queue, gate and lines as the retrier wires them."""

    def __init__(self, rules: TenantRules, *names: str) -> None:
        self.clock = Clock()
        self.spool = MemorySpool()
        self.book = Documents(*(entry(name, tenant=name.split("-")[0]) for name in names))
        receivers = Receivers(Circuits(), RateLimits(), self.clock, rules)
        self.gate = TaskGate(self.book, receivers, 100)
        lines = TenantLines(rules, receivers.tenant_rates, self.gate.tenant, self.clock)
        self.queue = LaneQueue(self.spool, self.gate, 100, range(100), lines)
        self.begun: list[tuple[str, LaneId]] = []
        self.in_flight: list[str] = []

    def add(self, subscription: str, count: int) -> None:
        for number in range(count):
            self.spool.add(waiting(task(1, f"{subscription}/{number}", subscription)))
        self.queue.mark(subscription)

    def step(self) -> list[str]:
        """What begins now, by subscription, as the backlog's `startable` has it."""
        self.queue.resume()
        found = []
        for name in self.queue.marked():
            lanes = self.queue.due_lanes(name, NOW_MS, self._at_work, self.begun.__len__)
            for lane in lanes:
                self.queue.take_slot(name)
                found_entry = self.book.entry(name)
                assert found_entry is not None
                self.gate.starts(found_entry)
                self.begun.append((name, lane))
                self.in_flight.append(name)
                found.append(name)
        return found

    def end(self) -> None:
        self.queue.free_slot(self.in_flight.pop(0))

    def _at_work(self, lane: LaneId) -> bool:
        return any(lane == one for _, one in self.begun)


def test_the_retrier_keeps_the_same_slots_in_turns() -> None:
    """A drain of one subscription leaves the tenant's slots to its others in turn, and other
    tenants alone."""
    bench = RetrierBench(SLOTS, "acme-a", "acme-b", "globex-a")
    bench.add("acme-a", 6)
    bench.add("acme-b", 6)
    bench.add("globex-a", 5)
    order = bench.step()
    assert Counter(order) == {"acme-a": 2, "globex-a": 5}
    while bench.in_flight:
        bench.end()
        order += bench.step()
        assert sum(one.startswith("acme") for one in bench.in_flight) <= 2
    acme = [one for one in order if one.startswith("acme")]
    assert len(acme) == 12
    assert abs(Counter(acme[:8])["acme-a"] - 4) <= 2


def test_the_retrier_keeps_the_same_rate() -> None:
    """Ten a second for both together, woken as `pause_s` says."""
    bench = RetrierBench(RATE, "acme-a", "acme-b")
    bench.add("acme-a", 6)
    bench.add("acme-b", 6)
    found: list[float] = []
    for _ in range(60):
        found += [bench.clock.now] * len(bench.step())
        pause_s = bench.queue.pause_s()
        if pause_s is None:
            break
        bench.clock.now += max(pause_s, 1e-6)
    assert len(found) == 12
    assert 0.9 < found[-1] < 1.3


@pytest.mark.parametrize("state", ["disabled", "gone"])
def test_what_is_discarded_waits_for_no_share(state: str) -> None:
    """Tasks of a subscription that is disabled or gone leave, whatever its tenant has in flight."""
    bench = RetrierBench(SLOTS, "acme-a", "acme-b")
    bench.add("acme-a", 2)
    assert len(bench.step()) == 2
    if state == "disabled":
        bench.book.put("acme-b", 1, tenant="acme", state="disabled")
    else:
        bench.book.say_gone("acme-b")
    bench.add("acme-b", 3)
    assert Counter(bench.step()) == {"acme-b": 3}
    assert lane_id("acme-b/0") in {lane for _, lane in bench.begun}


def test_nobody_is_limited_by_somebody_elses_quota() -> None:
    """A tenant without a quota, and a subscription without a tenant, ask nobody."""
    rules = quotas(acme=Quota(max_in_flight=1))
    lines = TenantLines(
        rules, TenantRates(rules, RateLimits()), {"a": "acme", "g": "globex"}.get, Clock()
    )
    for _ in range(5):
        for name in ("g", "nobody"):
            assert lines.admits(name)
            lines.begins(name)
    assert lines.admits("a")
    lines.begins("a")
    assert not lines.admits("a")


def test_who_comes_stands_behind_those_who_wait() -> None:
    """A slot that gets free is for the first in line, whoever else asks before it is told; and what
    the first does not use is the next one's."""
    rules = quotas(acme=Quota(max_in_flight=1))
    lines = TenantLines(rules, TenantRates(rules, RateLimits()), lambda _: "acme", Clock())
    lines.begins("a")
    assert [lines.admits("b"), lines.admits("c")] == [False, False]
    lines.ended("a")
    assert not lines.admits("d")
    assert lines.due() == ["b"]
    assert not lines.admits("d")
    assert lines.admits("b")
    lines.begins("b")
    assert lines.due() == []
    lines.ended("b")
    assert lines.due() == ["c"]
    # It had nothing to start after all.
    assert lines.due() == ["d"]
