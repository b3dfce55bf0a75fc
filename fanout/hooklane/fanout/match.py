"""Which subscriptions want an event. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

from hooklane.fanout.match_condition import Condition, EventView, conditions_of
from hooklane.fanout.match_index import ProbeIndex, alternatives_of
from hooklane.schemas.book import Entry
from hooklane.schemas.event import Event
from hooklane.schemas.plugged import PluginError
from hooklane.schemas.tenants import NO_TENANTS, TenantRules

Failed = Callable[[str, str], None]
"""Told a subscription's id and why a CEL expression of it had no answer for an event."""


@dataclass(frozen=True, slots=True)
class Undecided(Entry):
    """One whose plugin could not say whether it wants the event; `reason`: why."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Filed:
    entry: Entry
    conditions: tuple[Condition, ...]

    def wants(self, view: EventView) -> Entry | None:
        """The entry, if all conditions hold; `Undecided` if only a plugin's might not."""
        failed: PluginError | None = None
        for condition in self.conditions:
            try:
                if not condition.holds(view):
                    return None
            except PluginError as error:
                failed = error
        if failed is None:
            return self.entry
        entry = self.entry
        return Undecided(entry.subscription, entry.offset, entry.disabled, str(failed))


class Matcher:
    """Matches events against the subscriptions that were put in.

    The state of a subscription plays no part: one that is paused, disabled by its operator or
    disabled by a 410 matches like any other, and the fan-out decides by `Entry` whether to
    attempt, redirect, discard or dead-letter. A CEL expression that has no answer for an event (a
    missing field, data that is no JSON) counts as false, also below `not`, and is reported; it
    stops nothing. A plugin's filter that fails is no answer about the event: the entry comes as
    `Undecided`, unless another condition says no, so that the event is not lost for it.

    `tenants` limit what a subscription may see, whatever it asks for.
    """

    def __init__(self, failed: Failed | None = None, tenants: TenantRules = NO_TENANTS) -> None:
        self._failed = failed
        self._tenants = tenants
        self._filed: dict[str, _Filed] = {}
        self._index = ProbeIndex()

    def __len__(self) -> int:
        return len(self._filed)

    def put(self, entry: Entry) -> None:
        """Add a subscription, or take its new version in place of the old one."""
        before = self._filed.get(entry.id)
        if before is not None and _same_conditions(before.entry, entry):
            self._filed[entry.id] = _Filed(entry, before.conditions)
            return
        self._index.remove(entry.id)
        self._filed[entry.id] = _Filed(entry, conditions_of(entry.subscription, self._tenants))
        seen = self._tenants.topics_of(entry.subscription.tenant)
        self._index.put(entry.id, alternatives_of(entry.subscription.match, seen))

    def remove(self, subscription: str) -> None:
        """Take a subscription out; nothing happens if it is not there."""
        if self._filed.pop(subscription, None) is not None:
            self._index.remove(subscription)

    def match(self, event: Event) -> tuple[Entry, ...]:
        """Every subscription that wants the event, by id."""
        view = EventView(event)
        found = []
        for name in self._index.candidates(event.topic, view.attributes):
            filed = self._filed[name]
            entry = filed.wants(view)
            if entry is not None:
                found.append(entry)
            if view.failures:
                self._report(name, view)
        return tuple(sorted(found, key=_by_id))

    def _report(self, name: str, view: EventView) -> None:
        if self._failed is not None:
            for failure in view.failures:
                self._failed(name, failure)
        view.failures.clear()


def _same_conditions(one: Entry, other: Entry) -> bool:
    return (
        one.subscription.match == other.subscription.match
        and one.subscription.tenant == other.subscription.tenant
        and one.subscription.effective_from == other.subscription.effective_from
    )


def _by_id(entry: Entry) -> str:
    return entry.id
