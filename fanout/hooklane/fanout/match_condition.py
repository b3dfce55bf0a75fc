"""The conditions of a subscription, compiled once: does an event meet each. Pure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias, assert_never

from hooklane.fanout.match_words import listed
from hooklane.schemas.event import Event
from hooklane.schemas.filters import (
    All,
    Any,
    Cel,
    Exact,
    Filter,
    Not,
    PluginFilter,
    Prefix,
    Suffix,
    filter_attributes,
)
from hooklane.schemas.filters_cel import CelFailure, CelProgram, CelView
from hooklane.schemas.filters_glob import Glob, compile_glob
from hooklane.schemas.plugged import plugin_event
from hooklane.schemas.plugin import PluginEvent
from hooklane.schemas.subscription import Subscription
from hooklane.schemas.subscription_values import instant_from_ms, instant_text
from hooklane.schemas.tenants import NO_TENANTS, TenantRules

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class EventView:
    """One event as conditions see it. Made once an event, shared by all subscriptions."""

    __slots__ = ("_cel", "_seen", "attributes", "event", "failures")

    def __init__(self, event: Event) -> None:
        self.event = event
        self.attributes = filter_attributes(event)
        self.failures: list[str] = []
        """Why CEL expressions had no answer, since the list was last emptied."""
        self._cel: CelView | None = None
        self._seen: PluginEvent | None = None

    def answer(self, program: CelProgram) -> bool:
        """The expression's answer; false, and noted, if it has none."""
        if self._cel is None:
            self._cel = CelView(self.event, self.attributes)
        try:
            return self._cel.holds(program)
        except CelFailure as failure:
            self.failures.append(str(failure))
            return False

    def told(self, one: PluginFilter) -> bool:
        """What a plugin says.

        Raises:
            PluginError: nothing of use.
        """
        if self._seen is None:
            self._seen = plugin_event(self.event, self.attributes)
        return one.plugged.ask(_yes_or_no, self._seen)


def _yes_or_no(found: object) -> bool:
    if not isinstance(found, bool):
        raise ValueError(f"{type(found).__name__} instead of true or false")  # noqa: TRY004
    return found


Test: TypeAlias = Callable[[EventView], bool]


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of the AND, where it stands in the document, and what it asks for.

    `wants`: in words, or the filter itself. `has`: what an event has there; a filter's is told by
    `match_explain`.
    """

    path: str
    holds: Test
    wants: str | Filter
    has: Callable[[EventView], str]


def conditions_of(
    subscription: Subscription, tenants: TenantRules = NO_TENANTS
) -> tuple[Condition, ...]:
    """All that must hold, the cheapest first."""
    return tuple(_conditions(subscription, tenants))


def _conditions(subscription: Subscription, tenants: TenantRules) -> Iterator[Condition]:
    match = subscription.match
    allowed = tenants.topics_of(subscription.tenant)
    if allowed is not None:
        yield _tenant(subscription.tenant, allowed)
    if subscription.effective_from is not None:
        yield _since(subscription.effective_from)
    if match.topics is not None:
        yield _topics(match.topics)
    if match.types is not None:
        yield _types(match.types)
    for place, one in enumerate(match.filters):
        yield Condition(f"match.filters[{place}]", filter_test(one), one, _nothing)


def _nothing(_view: EventView) -> str:
    return ""


def _tenant(tenant: str | None, allowed: tuple[str, ...]) -> Condition:
    seen = _any_glob(allowed)
    who = "a subscription without a tenant" if tenant is None else f"{tenant}"
    return Condition(
        "tenant",
        lambda view: seen(view.event.topic),
        f"{who} may see {listed(allowed) if allowed else 'no topic'}",
        lambda view: f"topic {view.event.topic}",
    )


def _since(instant: datetime) -> Condition:
    # A record's time has milliseconds: one at 5 ms is before an instant at 5.2 ms.
    first_ms = -((_EPOCH - instant) // timedelta(milliseconds=1))
    return Condition(
        "effective_from",
        lambda view: not 0 <= view.event.timestamp_ms < first_ms,
        f"takes events from {instant_text(instant)} on",
        lambda view: instant_text(instant_from_ms(view.event.timestamp_ms)),
    )


def _topics(texts: tuple[str, ...]) -> Condition:
    taken = _any_glob(texts)
    return Condition(
        "match.topics",
        lambda view: taken(view.event.topic),
        f"takes {listed(texts)}",
        lambda view: view.event.topic,
    )


def _types(texts: tuple[str, ...]) -> Condition:
    taken = _any_glob(texts)
    return Condition(
        "match.types",
        lambda view: taken(view.attributes["type"]),
        f"takes {listed(texts)}",
        lambda view: view.attributes["type"],
    )


def _any_glob(texts: tuple[str, ...]) -> Callable[[str], bool]:
    globs = [compile_glob(text) for text in texts]
    literals = frozenset(glob.text for glob in globs if glob.literal)
    patterns: tuple[Glob, ...] = tuple(glob for glob in globs if not glob.literal)
    return lambda text: text in literals or any(glob.takes(text) for glob in patterns)


def filter_test(one: Filter) -> Test:
    """Whether an event meets a filter."""
    match one:
        case Exact() | Prefix() | Suffix():
            return _comparison(one)
        case All(all=inner):
            tests = tuple(map(filter_test, inner))
            return lambda view: all(test(view) for test in tests)
        case Any(any=inner):
            tests = tuple(map(filter_test, inner))
            return lambda view: any(test(view) for test in tests)
        case Not(not_=negated):
            test = filter_test(negated)
            return lambda view: not test(view)
        case Cel():
            program = one.program()
            return lambda view: view.answer(program)
        case PluginFilter():
            return lambda view: view.told(one)
        case _:
            assert_never(one)


def _comparison(one: Exact | Prefix | Suffix) -> Test:
    match one:
        case Exact(exact=wanted):
            return _compare(wanted, str.__eq__)
        case Prefix(prefix=wanted):
            return _compare(wanted, str.startswith)
        case Suffix(suffix=wanted):
            return _compare(wanted, str.endswith)
        case _:
            assert_never(one)


def _compare(wanted: Mapping[str, str], holds: Callable[[str, str], bool]) -> Test:
    items = tuple(wanted.items())

    def test(view: EventView) -> bool:
        for name, text in items:
            found = view.attributes.get(name)
            if found is None or not holds(found, text):
                return False
        return True

    return test
