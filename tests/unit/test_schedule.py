"""The schedule: one attempt in flight a lane, many lanes at once, nobody waits for anybody."""

from collections import defaultdict

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hooklane.fanout.delivery import Delivery, Place
from hooklane.fanout.schedule import Schedule, Steps, Verdict, by_place
from hooklane.schemas.event import Event
from hooklane.schemas.lane import LaneId

PLACE = Place("orders", "T", 0)
OTHER = Place("orders", "T", 1)


def delivery(
    sequence: int,
    lane: str = "l",
    subscription: str = "s",
    place: Place = PLACE,
    admitted: float = 0.0,
) -> Delivery:
    event = Event("orders", "T", place.partition, sequence, 0, b"k", {}, "text/plain", b"")
    return Delivery(
        place=place,
        sequence=sequence,
        lane=LaneId(f"{subscription}/{lane}/{place.partition}"),
        one_shot=False,
        webhook_id=f"msg_{sequence}",
        subscription=subscription,
        uid="",
        subscriber=b"12345678",
        config_offset=0,
        event=event,
        admitted=admitted,
    )


class Facts:
    """A gate whose answers the test sets, by lane or by subscription."""

    def __init__(self, limit: int = 32) -> None:
        self.verdicts: dict[str, Verdict] = defaultdict(lambda: Verdict.ATTEMPT)
        self.limit = limit
        self.paced: set[str] = set()
        self.pause_s, self.interval_s = 0.0, 0.0
        self.probed: set[str] = set()

    def judge(self, delivery: Delivery) -> Verdict:
        by_lane = self.verdicts.get(delivery.lane)
        return by_lane if by_lane is not None else self.verdicts[delivery.subscription]

    def max_in_flight(self, subscription: str) -> int:
        return self.limit

    def wait_s(self, subscription: str, ahead: int = 0) -> float:
        return self.pause_s + ahead * self.interval_s if subscription in self.paced else 0.0

    def begins(self, delivery: Delivery) -> bool:
        return delivery.lane not in self.probed


def schedule(facts: Facts | None = None, process: int = 100) -> Schedule:
    return Schedule(facts or Facts(), max_in_flight=process, patience=2.0)


def sequences(deliveries: list[Delivery]) -> list[int]:
    return [one.sequence for one in deliveries]


def test_one_attempt_in_flight_a_lane() -> None:
    """Rule 1: the next delivery of a lane starts when the one before it is resolved."""
    work = schedule()
    first, second = delivery(1), delivery(2)
    work.add(first)
    work.add(second)
    assert work.advance(0.0).start == [first]
    work.resolved(first)
    assert work.advance(0.0).start == [second]


def test_lanes_run_beside_each_other() -> None:
    """Rule 1: different lanes of one subscription are in flight at once."""
    work = schedule()
    for lane in ("a", "b", "c"):
        work.add(delivery(1, lane))
    assert len(work.advance(0.0).start) == 3


def test_a_failure_takes_all_that_wait_behind_it_along_in_order() -> None:
    """Rule 3: a redirect has no gap, and no attempt of the lane is in flight."""
    work = schedule()
    one, two, three = delivery(1), delivery(2), delivery(3)
    for each in (one, two, three):
        work.add(each)
    work.advance(0.0)
    work.failed(one)
    assert work.advance(0.0) == Steps(redirect=[one, two, three])


def test_a_blocked_lane_is_redirected_without_a_slot() -> None:
    """A poisoned key follows its lane into the backlog, also while all slots are taken."""
    facts = Facts(limit=1)
    work = schedule(facts)
    work.add(delivery(1, "healthy"))
    work.advance(0.0)
    poisoned = delivery(2, "poisoned")
    facts.verdicts[poisoned.lane] = Verdict.REDIRECT
    work.add(poisoned)
    assert work.advance(0.0).redirect == [poisoned]


@pytest.mark.parametrize(
    ("verdict", "steps"), [(Verdict.DISCARD, "discard"), (Verdict.GIVE_UP, "give_up")]
)
def test_a_verdict_on_the_subscription_empties_its_lanes(verdict: Verdict, steps: str) -> None:
    """Deleted or gone: whatever waits is dealt with one by one, also behind an attempt."""
    facts = Facts()
    work = schedule(facts)
    one, two, three = delivery(1), delivery(2), delivery(3)
    for each in (one, two, three):
        work.add(each)
    work.advance(0.0)
    facts.verdicts["s"] = verdict
    work.resolved(one)
    assert getattr(work.advance(0.0), steps) == [two, three]


def test_a_subscription_keeps_to_its_limit_and_leaves_the_rest_to_others() -> None:
    """`max_in_flight` bounds one subscription and no other."""
    work = schedule(Facts(limit=2))
    for lane in "abcd":
        work.add(delivery(1, lane, "busy"))
    work.add(delivery(1, "a", "calm"))
    started = work.advance(0.0).start
    assert sorted(one.subscription for one in started) == ["busy", "busy", "calm"]


def test_subscriptions_take_turns_when_the_process_is_full() -> None:
    """A subscription with many lanes does not take every slot before the others get one."""
    work = schedule(process=4)
    for lane in "abcdef":
        work.add(delivery(1, lane, "busy"))
    for lane in "ab":
        work.add(delivery(1, lane, "calm"))
    started = [one.subscription for one in work.advance(0.0).start]
    assert started == ["busy", "calm", "busy", "calm"]


def test_a_freed_slot_goes_to_a_waiting_lane() -> None:
    """When an attempt ends, the next lane of the subscription starts at once."""
    work = schedule(Facts(limit=1))
    a, b = delivery(1, "a"), delivery(1, "b")
    work.add(a)
    work.add(b)
    assert work.advance(0.0).start == [a]
    work.resolved(a)
    assert work.advance(0.0).start == [b]


def test_spill_redirects_what_waits_too_long_for_its_own_subscription() -> None:
    """Rule 3: a slow subscriber's deliveries leave the process, whole lanes in order."""
    work = schedule(Facts(limit=1))
    for each in (delivery(1, "a"), delivery(1, "b"), delivery(2, "b")):
        work.add(each)
    work.advance(0.0)
    work.spill(now=1.9, lag=0.01)
    assert work.advance(0.0).redirect == []
    work.spill(now=2.1, lag=0.01)
    assert [(one.lane, one.sequence) for one in work.advance(0.0).redirect] == [
        ("s/b/0", 1),
        ("s/b/0", 2),
    ]


def test_nothing_spills_behind_an_attempt_in_flight() -> None:
    """Rule 3: no redirect while an attempt of its lane is in flight, however long it takes."""
    work = schedule()
    work.add(delivery(1))
    work.add(delivery(2))
    work.advance(0.0)
    work.spill(now=1000.0, lag=0.01)
    assert work.advance(0.0) == Steps()


def test_nothing_spills_when_the_process_is_what_is_slow() -> None:
    """Waiting for the process' own slots is no reason to write into the backlog."""
    work = schedule(process=1)
    work.add(delivery(1, "a"))
    work.add(delivery(1, "b"))
    work.advance(0.0)
    work.spill(now=1000.0, lag=0.01)
    assert work.advance(0.0) == Steps()


def test_nothing_spills_while_attempts_wait_for_the_event_loop() -> None:
    """An attempt that lasts only a few turns of a slow loop says nothing about its receiver."""
    work = schedule(Facts(limit=1))
    work.add(delivery(1, "a"))
    work.add(delivery(1, "b"))
    work.advance(2.5)
    work.spill(now=3.0, lag=0.2)
    assert work.advance(3.0) == Steps()
    work.spill(now=3.0, lag=0.05)
    assert len(work.advance(3.0).redirect) == 1


def test_what_waits_too_long_behind_a_slow_attempt_leaves_when_that_has_ended() -> None:
    """Promise of isolation: a hot key whose attempts are slow does not fill the process; rule 3:
    it leaves in order, once no attempt of it is in flight."""
    work = schedule()
    one, two, three = delivery(1), delivery(2), delivery(3)
    for each in (one, two, three):
        work.add(each)
    work.advance(0.0)
    work.spill(now=2.1, lag=0.01)
    assert work.advance(2.1) == Steps()
    work.add(delivery(4, "other"))
    work.resolved(one)
    steps = work.advance(2.2)
    assert steps.redirect == [two, three]
    assert sequences(steps.start) == [4]


def test_a_lane_that_moves_on_in_time_stays() -> None:
    """Fast attempts behind each other are no reason for the backlog, however many there are."""
    work = schedule()
    one, two = delivery(1), delivery(2)
    work.add(one)
    work.add(two)
    work.advance(2.05)
    work.spill(now=2.1, lag=0.02)
    work.resolved(one)
    assert work.advance(2.1).start == [two]


def test_hold_forgets_what_waits_and_names_what_is_in_flight() -> None:
    """Rule 6: on revocation nothing new starts; attempts in flight may still end."""
    work = schedule()
    running, behind, waiting_elsewhere = delivery(1), delivery(2), delivery(1, place=OTHER)
    work.add(running)
    work.advance(0.0)
    work.add(behind)
    work.add(waiting_elsewhere)
    assert work.hold(by_place([PLACE])) == [running]
    work.resolved(running)
    assert work.advance(0.0).start == [waiting_elsewhere]


def test_a_failure_during_a_hold_is_redirected_alone() -> None:
    """Rule 6: what fails in the grace goes into the last transaction; what waited does not."""
    work = schedule()
    running = delivery(1)
    work.add(running)
    work.add(delivery(2))
    work.advance(0.0)
    work.hold(by_place([PLACE]))
    work.failed(running)
    assert work.advance(0.0) == Steps(redirect=[running])


def test_a_cut_off_attempt_frees_its_slot() -> None:
    """A cancelled attempt is neither resolved nor failed, and blocks nobody."""
    work = schedule(Facts(limit=1), process=1)
    running, other = delivery(1), delivery(1, "x", place=OTHER)
    work.add(running)
    work.add(other)
    work.advance(0.0)
    work.hold(by_place([PLACE]))
    work.cut_off(running)
    assert work.advance(0.0).start == [other]


class Life(RuleBasedStateMachine):
    """Any order of arrivals, ends, spills, verdicts and holds keeps the promises."""

    def __init__(self) -> None:
        super().__init__()
        self.facts = Facts(limit=2)
        self.work = Schedule(self.facts, max_in_flight=3, patience=2.0)
        self.now = 0.0
        self.sequence = 0
        self.flying: list[Delivery] = []
        self.pending: dict[str, list[Delivery]] = defaultdict(list)
        self.letters: list[Delivery] = []
        """Given up without an attempt, and their dead letters not committed."""

    def carry_out(self) -> None:
        steps = self.work.advance(self.now)
        for one in (*steps.redirect, *steps.discard, *steps.give_up):
            assert one.lane not in {flying.lane for flying in self.flying}
            assert self.pending[one.lane].pop(0) is one
        self.letters += steps.give_up
        for one in steps.start:
            assert one.lane not in {flying.lane for flying in self.flying}
            assert one.lane not in {letter.lane for letter in self.letters}
            assert self.pending[one.lane][0] is one
            self.flying.append(one)

    @rule(
        lane=st.sampled_from("abc"),
        subscription=st.sampled_from("xyz"),
        place=st.sampled_from([PLACE, OTHER]),
    )
    def arrive(self, lane: str, subscription: str, place: Place) -> None:
        self.sequence += 1
        one = delivery(self.sequence, lane, subscription, place, self.now)
        self.pending[one.lane].append(one)
        self.work.add(one)
        self.carry_out()

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), well=st.booleans())
    def end(self, data: st.DataObject, well: bool) -> None:
        one = data.draw(st.sampled_from(self.flying))
        self.flying.remove(one)
        if well:
            assert self.pending[one.lane].pop(0) is one
            self.work.resolved(one)
        else:
            self.work.failed(one)
        self.carry_out()

    @precondition(lambda self: self.letters)
    @rule(count=st.integers(1, 3))
    def commit_letters(self, count: int) -> None:
        committed, self.letters = self.letters[:count], self.letters[count:]
        for one in committed:
            self.work.lettered(one)
        self.carry_out()

    @rule(seconds=st.floats(0.1, 5.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.work.spill(self.now, 0.001)
        self.carry_out()

    @rule(subscription=st.sampled_from("xyz"), pause_s=st.sampled_from([0.0, 0.5, 5.0]))
    def limit_rate(self, subscription: str, pause_s: float) -> None:
        self.facts.paced ^= {subscription}
        self.facts.pause_s, self.facts.interval_s = pause_s, pause_s / 4

    @rule(subscription=st.sampled_from("xyz"), verdict=st.sampled_from(Verdict))
    def learn(self, subscription: str, verdict: Verdict) -> None:
        self.facts.verdicts[subscription] = verdict

    @rule(place=st.sampled_from([PLACE, OTHER]))
    def hold(self, place: Place) -> None:
        held = self.work.hold(by_place([place]))
        assert set(map(id, held)) == {id(one) for one in self.flying if one.place == place}
        for one in held:
            self.work.cut_off(one)
        self.flying = [one for one in self.flying if one.place != place]
        self.letters = [one for one in self.letters if one.place != place]
        for name, waiting in self.pending.items():
            self.pending[name] = [one for one in waiting if one.place != place]
        self.carry_out()

    @invariant()
    def counts_agree(self) -> None:
        assert self.work.in_flight == len(self.flying)
        per_subscription: dict[str, int] = defaultdict(int)
        for one in self.flying:
            per_subscription[one.subscription] += 1
        assert max(per_subscription.values(), default=0) <= 2

    @invariant()
    def nothing_is_stuck(self) -> None:
        waits = self.work.next_start is not None
        if self.flying or self.letters or waits:
            return
        if all(v is Verdict.ATTEMPT for v in self.facts.verdicts.values()):
            assert not any(self.pending.values())


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=200, stateful_step_count=40)


def paced(pause_s: float, interval_s: float, process: int = 100) -> tuple[Facts, Schedule]:
    facts = Facts()
    facts.paced, facts.pause_s, facts.interval_s = {"s"}, pause_s, interval_s
    return facts, schedule(facts, process)


def test_a_rate_limit_makes_a_subscription_wait_and_nobody_else() -> None:
    """Section 6: what is over its rate waits for the moment that is told, without a slot."""
    facts, work = paced(0.5, 0.1, process=1)
    limited, other = delivery(1), delivery(1, "x", "calm")
    work.add(limited)
    work.add(other)
    assert work.advance(10.0).start == [other]
    assert work.next_start == 10.5
    work.resolved(other)
    facts.pause_s = 0.0
    assert work.advance(10.4) == Steps()
    assert work.advance(10.5).start == [limited]
    assert work.next_start is None


def test_what_a_rate_limit_cannot_let_start_in_time_leaves_at_once() -> None:
    """Rule 3: what would be spilled later is redirected now, the latest lanes first, so that a
    limited subscription never fills the process."""
    _, work = paced(0.5, 1.0)
    for lane in "abcd":
        work.add(delivery(1, lane))
    assert [one.lane for one in work.advance(0.0).redirect] == ["s/d/0", "s/c/0"]
    work.add(delivery(1, "e"))
    assert [one.lane for one in work.advance(0.1).redirect] == ["s/e/0"]


def test_a_lane_leaves_whole_for_a_rate_limit() -> None:
    """Rule 3: what waits behind the first delivery of a lane goes with it, in order."""
    _, work = paced(60.0, 1.0)
    one, two = delivery(1), delivery(2)
    work.add(one)
    work.add(two)
    assert work.advance(0.0) == Steps(redirect=[one, two])


def test_while_a_receiver_is_probed_no_second_lane_starts() -> None:
    """Section 6: half-open means one lane; what else may not begin goes into the backlog."""
    facts = Facts()
    facts.probed = {"s/b/0"}
    work = schedule(facts)
    probe, second = delivery(1, "a"), delivery(1, "b")
    work.add(probe)
    work.add(second)
    assert work.advance(0.0) == Steps(start=[probe], redirect=[second])
