"""How each subscription is, in one row. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hooklane.ops.console.minutes import LastError, Tally
from hooklane.ops.console.services import ServiceFacts, circuit_word
from hooklane.ops.console.waiting import Waits
from hooklane.ops.subscriptions_rows import note
from hooklane.schemas.book import Entry, SubscriptionBook
from hooklane.schemas.subscription_parts import State

_NOTHING = Waits(0, 0, 0, None)


@dataclass(frozen=True, slots=True)
class Health:
    """One subscription. `state`: also `disabled` by its receiver, and `bad`. `circuit`: None where
    no service tells."""

    id: str
    tenant: str | None
    state: str
    url: str | None
    note: str
    tally: Tally
    waits: Waits
    circuit: str | None
    last_error: LastError | None

    @property
    def word(self) -> str:
        """What to look at first: `failing`, `waiting`, a state, or `well`."""
        if self.state != State.ACTIVE.value:
            return self.state
        if self.circuit == "open" or (self.tally.success is not None and self.tally.success < 0.5):
            return "failing"
        return "waiting" if self.waits.lanes else "well"


def health_rows(
    book: SubscriptionBook,
    tallies: Mapping[str, Tally],
    waits: Mapping[str, Waits],
    services: Sequence[ServiceFacts],
    errors: Mapping[str, LastError | None],
) -> list[Health]:
    """A row a subscription: what needs somebody first, then by id."""
    entries = {entry.id: entry for entry in book}
    findings = {finding.key: finding for finding in book.findings()}
    rows = []
    for name in sorted(entries.keys() | findings.keys()):
        entry = entries.get(name)
        rows.append(
            Health(
                id=name,
                tenant=None if entry is None else entry.subscription.tenant,
                state=state_of(entry),
                url=None if entry is None else entry.subscription.url,
                note=note(entry, findings.get(name)),
                tally=tallies.get(name, Tally()),
                waits=waits.get(name, _NOTHING),
                circuit=circuit_word(services, name),
                last_error=errors.get(name),
            )
        )
    order = ("failing", "bad", "disabled", "waiting", "paused", "well")
    return sorted(rows, key=lambda row: order.index(row.word))


def state_of(entry: Entry | None) -> str:
    if entry is None:
        return "bad"
    return State.DISABLED.value if entry.disabled is not None else entry.subscription.state.value
