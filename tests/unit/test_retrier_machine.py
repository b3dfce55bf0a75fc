"""The retrier's promises under any sequence of events: rules 7 to 11 and slots that never leak.

The machine plays Kafka, the fan-out, the receivers, an operator and the group: whatever they do in
whatever order, lanes keep their order, nothing is lost, and slots are counted right. What the
decisions ask for is judged in `RetrierWorld`.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hooklane.delivery.outcome import Outcome
from hooklane.retrier.commands import WriteLetter, WriteTicket
from hooklane.retrier.standing import Standing, TicketPlace
from hooklane.schemas.codec import TASKS
from hooklane.schemas.records import RetryTicket
from tests.support.fanout_facts import TIERS
from tests.support.retrier_facts import DELIVERED, FAILED, NEVER_MS, REFUSED, lane_id, task
from tests.support.retrier_world import DOCUMENTS, LANES, MOST, Fate, RetrierWorld


class RetrierMachine(RetrierWorld, RuleBasedStateMachine):
    @initialize()
    def both_assigned(self) -> None:
        self.assigned(0)
        self.opened(0)

    @rule(name=st.sampled_from(sorted(LANES)), count=st.integers(1, 2), attempted=st.booleans())
    def redirect(self, name: str, count: int, attempted: bool) -> None:
        """The fan-out commits a redirect; the first may bring an attempt of its own."""
        subscription, partition = LANES[name]
        for index in range(count):
            sequence, self.next_sequence = self.next_sequence, self.next_sequence + 1
            values = {"attempts": 1, "due_ms": self.bench.now_ms} if attempted and not index else {}
            of = task(sequence, name, subscription, **values)
            made = of.attempts
            standing = Standing(made, 0, of.due_ms or 0, halted=False)
            self.fates[name, sequence] = Fate(standing=standing, known=standing)
            self.backlog[partition].append((of.lane, sequence, TASKS.encode(of)))

    @precondition(lambda self: self.unread())
    @rule(data=st.data(), count=st.integers(1, 4))
    def read(self, data: st.DataObject, count: int) -> None:
        """The next records of an owned partition."""
        partition = data.draw(st.sampled_from(self.unread()))
        for _ in range(count):
            self.read_one(partition)

    @precondition(lambda self: self.owned)
    @rule(data=st.data())
    def read_again(self, data: st.DataObject) -> None:
        """A tier is read again from where the group had committed it, which is before here."""
        partition = data.draw(st.sampled_from(sorted(self.owned)))
        tier = data.draw(st.sampled_from(TIERS)).text
        tickets = self.tiers[tier, partition]
        first = data.draw(st.integers(0, len(tickets)))
        for offset, ticket in list(enumerate(tickets))[first:]:
            self.ticket_read(ticket, partition, TicketPlace(tier, offset))

    @rule()
    def start(self) -> None:
        self.carry_out(self.bench.start())

    @rule()
    def begin_what_is_marked(self) -> None:
        """Between two looks, as after each answer."""
        self.carry_out(self.bench.backlog.startable(self.bench.now_ms))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), outcome=st.sampled_from([DELIVERED] * 4 + [FAILED, REFUSED]))
    def attempt_ends(self, data: st.DataObject, outcome: Outcome) -> None:
        self.end(data.draw(st.sampled_from(sorted(self.running))), outcome)

    @precondition(lambda self: self.streams())
    @rule(data=st.data(), count=st.integers(1, 3))
    def acked(self, data: st.DataObject, count: int) -> None:
        """Kafka has the oldest records of one partition."""
        stream = data.draw(st.sampled_from(self.streams()))
        for _ in range(count):
            self.ack_one(stream)

    @precondition(lambda self: self.unresolved())
    @rule(data=st.data())
    def skipped(self, data: st.DataObject) -> None:
        """An operator, or an earlier owner: a dead letter, then a tombstone."""
        name, sequence = data.draw(st.sampled_from(self.unresolved()))
        self.skip(name, sequence)

    @precondition(lambda self: self.unresolved())
    @rule(data=st.data(), halted=st.booleans())
    def retried(self, data: st.DataObject, halted: bool) -> None:
        """An operator's ticket, due now; or an earlier owner's, halted."""
        name, sequence = data.draw(st.sampled_from(self.unresolved()))
        fate = self.fates[name, sequence]
        subscription, partition = LANES[name]
        made, nudge = fate.standing.attempts, fate.standing.nudge + 1
        due_ms = self.bench.now_ms
        ticket = RetryTicket(lane_id(name), sequence, subscription, made, nudge, due_ms, halted)
        self.append_ticket(ticket, partition, "5s")

    @precondition(lambda self: self.owned)
    @rule(data=st.data())
    def tickets_read(self, data: st.DataObject) -> None:
        """All of the tiers up to their ends, the newest first: tiers do not wait for each other."""
        self.read_tiers(data.draw(st.sampled_from(sorted(self.owned))))

    @rule(data=st.data(), what=st.sampled_from(["time", "edited", "deleted", "circuit"]))
    def goes_on_around(self, data: st.DataObject, what: str) -> None:
        """One rule, so that most steps are about tasks."""
        name = data.draw(st.sampled_from(sorted(DOCUMENTS)))
        match what:
            case "edited" if name in self.bench.book.entries:
                state = data.draw(st.sampled_from(["paused", "active", "active"]))
                self.bench.book.put(name, state=state, **DOCUMENTS[name])
            case "deleted" if not self.running and not self.streams():
                self.bench.book.entries.pop(name, None)
            case "circuit":
                self.bench.open_circuits.clear()
                if data.draw(st.booleans()):
                    self.bench.open_circuits.add("http://127.0.0.1:1/")
            case _:
                self.bench.now_ms += 1_000 * data.draw(st.sampled_from([1, 5, 30]))

    @precondition(lambda self: len(self.open) < 2)
    @rule(partition=st.sampled_from([0, 1]), restored=st.booleans())
    def comes(self, partition: int, restored: bool) -> None:
        self.assigned(partition)
        if restored:
            self.opened(partition)

    def assigned(self, partition: int) -> None:
        self.owned.add(partition)

    def opened(self, partition: int) -> None:
        """Read to its end, with all that is known to be on its way there (rule 7)."""
        if partition in self.owned - self.open:
            for stream in self.streams():
                while stream[1] == partition and self.pending[stream]:
                    self.ack_one(stream)
            while self.read_to[partition] < len(self.backlog[partition]):
                self.read_one(partition)
            self.read_tiers(partition)
            self.open.add(partition)
            self.carry_out(self.bench.backlog.open(partition))

    @rule(data=st.data(), how=st.sampled_from(["checkpointed", "died", "held", "lost"]))
    def something_ends(self, data: st.DataObject, how: str) -> None:
        """One rule, so that most steps go on with what there is."""
        match how:
            case "checkpointed":
                self.checkpointed()
            case "died":
                self.died(data)
            case "held" if self.open:
                self.held(data.draw(st.sampled_from(sorted(self.open))))
            case "lost" if self.owned:
                self.lost(data.draw(st.sampled_from(sorted(self.owned))))

    def held(self, partition: int) -> None:
        found = self.bench.backlog.hold(partition)
        assert {one.lane for one in found} >= self.running_in(partition)
        self.open.discard(partition)

    def lost(self, partition: int) -> None:
        """Attempts are cut off; what has been given to the producer may still arrive."""
        for lane in self.running_in(partition):
            del self.running[lane]
        self.bench.backlog.forget(partition)
        self.owned.discard(partition)
        self.open.discard(partition)

    def checkpointed(self) -> None:
        """How far has been read is kept, with all that was read in the spool, or out of it."""
        self.bench.backlog.settle()
        self.saved.update((partition, self.read_to[partition]) for partition in self.owned)

    def died(self, data: st.DataObject) -> None:
        """The process is killed and comes back to its spool and to its last checkpoint: what it had
        given to the producer has arrived, up to some record, or has not."""
        for stream in self.streams():
            self.arrives(stream, data.draw(st.integers(0, len(self.pending[stream]))))
        self.running.clear()
        self.owned.clear()
        self.open.clear()
        self.read_to = dict(self.saved)
        self.bench.restart()
        for partition in (0, 1):
            self.assigned(partition)
            self.opened(partition)

    def read_tiers(self, partition: int) -> None:
        for tier in reversed(TIERS):
            for offset, ticket in enumerate(self.tiers[tier.text, partition]):
                self.ticket_read(ticket, partition, TicketPlace(tier.text, offset))

    @invariant()
    def slots_are_those_of_lanes_at_work(self) -> None:
        """No event leaks a slot, and no event gives one back twice."""
        writing = {
            write.waiting.lane
            for writes in self.pending.values()
            for write in writes
            if isinstance(write, WriteTicket | WriteLetter)
            and write.waiting.partition in self.owned
        }
        taken = set().union(*self.busy().values())
        assert self.bench.backlog.in_flight == len(taken)
        assert set(self.running) <= taken <= set(self.running) | writing

    @invariant()
    def limits_hold(self) -> None:
        assert self.bench.backlog.in_flight <= MOST
        for name, lanes in self.busy().items():
            assert len(lanes) <= DOCUMENTS[name]["delivery"]["max_in_flight"]

    @invariant()
    def tickets_that_count_are_kept(self) -> None:
        """Rule 7: a tier's offset is committed only past tickets that are used up."""
        for (name, sequence), fate in self.fates.items():
            if fate.ticket is None or fate.resolved:
                continue
            first = self.bench.spool.first_open_ticket(LANES[name][1], fate.ticket.tier)
            found = self.bench.spool.get(lane_id(name), sequence)
            if found is None or found.ticket is not None:
                assert first is not None
                assert first <= fate.ticket.offset

    def teardown(self) -> None:
        """All goes well from now on: everything is delivered or in dead letters, and released."""
        self.bench.open_circuits.clear()
        for name, fields in DOCUMENTS.items():
            if name in self.bench.book.entries:
                self.bench.book.put(name, **fields)
        for partition in (0, 1):
            self.assigned(partition)
            if partition not in self.open:
                self.opened(partition)
            # Also what came after it was opened: an operator's word is heard in the end.
            self.read_tiers(partition)
        for place in self.unresolved():
            if self.fates[place].standing.halted:
                self.skip(*place)
        self.bench.now_ms = NEVER_MS
        for _ in range(4 * len(self.fates) + 8):
            self.settle()
        assert self.unresolved() == []
        assert (self.bench.spool.tasks(), self.bench.backlog.in_flight) == (0, 0)
        highest = dict.fromkeys(LANES, -1)
        for name, sequence in self.fates:
            highest[name] = max(highest[name], sequence)
        assert self.released == highest


TestRetrierMachine = RetrierMachine.TestCase
TestRetrierMachine.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)
