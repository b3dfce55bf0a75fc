"""Why a subscription does not get an event: the first condition that says no, and where. Pure."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from hooklane.fanout.match_condition import EventView, conditions_of, filter_test
from hooklane.fanout.match_words import dialect_of, filter_names, filter_words
from hooklane.schemas.book import Entry
from hooklane.schemas.event import NOT_JSON, Event
from hooklane.schemas.filters import All, Cel, Filter
from hooklane.schemas.plugged import PluginError
from hooklane.schemas.subscription_parts import State
from hooklane.schemas.tenants import NO_TENANTS, TenantRules

_PATH: Final = re.compile(r"\bdata((?:\.[A-Za-z_][A-Za-z0-9_]*)+)(?![A-Za-z0-9_(])")
_MOST_PATHS: Final = 5
_LONGEST_VALUE: Final = 80
_ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class Objection:
    """Why not. `path`: of the condition in the document; `dialect`: of a filter, else None;
    `wants` and `has`: what it asks for and what the event has there, in words."""

    path: str
    dialect: str | None
    wants: str
    has: str

    def __str__(self) -> str:
        return f"{self.path}: {self.wants}; the event has {self.has}"


def explain(event: Event, entry: Entry, tenants: TenantRules = NO_TENANTS) -> Objection | None:
    """The first objection of the document in force; None: the subscription gets the event.

    Paused is none: then deliveries wait. Nor is a 410 of the receiver: then they are dead letters.
    """
    view = EventView(event)
    for condition in conditions_of(entry.subscription, tenants):
        try:
            if condition.holds(view):
                continue
        except PluginError as error:
            wants = "cannot be answered, so that the delivery is given up"
            return Objection(condition.path, None, wants, f"no answer ({error})")
        if isinstance(condition.wants, str):
            return Objection(condition.path, None, condition.wants, condition.has(view))
        return _of_filter(condition.wants, condition.path, view)
    if entry.subscription.state is State.DISABLED:
        return Objection("state", None, "takes nothing, it is disabled", "no other way")
    return None


def _of_filter(one: Filter, path: str, view: EventView) -> Objection:
    """Down to the member of an `all` that said no; of `any` and `not` the whole did."""
    if isinstance(one, All):
        for place, part in enumerate(one.all):
            if not filter_test(part)(view):
                return _of_filter(part, f"{path}.all[{place}]", view)
    return Objection(path, dialect_of(one), f"wants {filter_words(one)}", _has(one, view))


def _has(one: Filter, view: EventView) -> str:
    seen = view.attributes
    names = sorted(set(filter_names(one)))
    shown = [f"{name} = {seen[name]!r}" if name in seen else f"no {name}" for name in names]
    shown += _data_of(one, view.event)
    view.failures.clear()
    filter_test(one)(view)
    shown += [f"no answer ({failure})" for failure in view.failures]
    view.failures.clear()
    return ", ".join(shown) or "another answer"


def _data_of(one: Filter, event: Event) -> Iterator[str]:
    """What the paths that an expression names lead to in the event's data."""
    if not isinstance(one, Cel):
        return
    document = event.document()
    if document is NOT_JSON:
        return
    for path in list(dict.fromkeys(_PATH.findall(one.cel)))[:_MOST_PATHS]:
        found = _at(document, path[1:].split("."))
        if found is not _ABSENT:
            value = json.dumps(found, ensure_ascii=False)
            cut = value if len(value) <= _LONGEST_VALUE else value[:_LONGEST_VALUE] + "..."
            yield f"data{path} = {cut}"


def _at(document: object, names: list[str]) -> object:
    for name in names:
        if not isinstance(document, dict) or name not in document:
            return _ABSENT
        document = document[name]
    return document
