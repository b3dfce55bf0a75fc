"""Which subscriptions an event may match, without a look at the others. Pure.

Every subscription has *alternatives*: sets of probes of which at least one hits whenever the
subscription matches. `types: [a, b.*]` gives one set of two probes, `exact: {source: /x}` one of
one. A subscription is filed under the probes of one of its sets, the one whose fullest bucket is
emptiest: so a condition that everybody has ("topic is orders") fills no bucket while a rarer one
is there. An event is looked up by each of its attributes; what is filed under a probe that hits is
a candidate and is judged in full. A subscription without alternatives (no condition, only CEL,
only `not`) is a candidate always.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from typing import NamedTuple, assert_never

from hooklane.schemas.filters import All, Any, Cel, Exact, Filter, Not, PluginFilter, Prefix, Suffix
from hooklane.schemas.filters_glob import Glob, compile_glob
from hooklane.schemas.subscription_parts import Match

TOPIC = "kafka topic"
"""Stands for the record's topic among the attributes; no attribute's name has a space."""


class ProbeKind(IntEnum):
    """Ordered: an earlier kind says more about an event."""

    EQUALS = 0
    BEGINS = 1
    ENDS = 2


class Probe(NamedTuple):
    """Hits an event whose `attribute` equals, begins with, or ends with `text`."""

    kind: ProbeKind
    attribute: str
    text: str


Alternatives = frozenset[Probe]


def alternatives_of(match: Match, seen: tuple[str, ...] | None = None) -> tuple[Alternatives, ...]:
    """Every set of probes of which one must hit for `match` to hold. Empty: none can be told.

    `seen`: the topics that the tenant may see, where that is limited."""
    found = [
        *_globs_alternatives(TOPIC, seen or ()),
        *_globs_alternatives(TOPIC, match.topics or ()),
        *_globs_alternatives("type", match.types or ()),
    ]
    for one in match.filters:
        found.extend(_filter_alternatives(one))
    return tuple(found)


def _globs_alternatives(attribute: str, globs: Iterable[str]) -> Iterator[Alternatives]:
    probes = [_glob_probe(attribute, compile_glob(text)) for text in globs]
    known = [probe for probe in probes if probe is not None]
    if known and len(known) == len(probes):
        yield frozenset(known)


def _glob_probe(attribute: str, glob: Glob) -> Probe | None:
    if glob.literal:
        return Probe(ProbeKind.EQUALS, attribute, glob.text)
    if glob.prefix and len(glob.prefix) >= len(glob.suffix):
        return Probe(ProbeKind.BEGINS, attribute, glob.prefix)
    return Probe(ProbeKind.ENDS, attribute, glob.suffix) if glob.suffix else None


def _filter_alternatives(one: Filter) -> list[Alternatives]:
    match one:
        case Exact(exact=wanted):
            return _each(ProbeKind.EQUALS, wanted)
        case Prefix(prefix=wanted):
            return _each(ProbeKind.BEGINS, wanted)
        case Suffix(suffix=wanted):
            return _each(ProbeKind.ENDS, wanted)
        case All(all=inner):
            return [found for part in inner for found in _filter_alternatives(part)]
        case Any(any=inner):
            return _any_alternatives(inner)
        case Not() | Cel() | PluginFilter():
            return []
        case _:
            assert_never(one)


def _each(kind: ProbeKind, wanted: Mapping[str, str]) -> list[Alternatives]:
    return [frozenset({Probe(kind, name, text)}) for name, text in wanted.items()]


def _any_alternatives(inner: tuple[Filter, ...]) -> list[Alternatives]:
    """One set from each member, together; none if a member has none."""
    joined: set[Probe] = set()
    for part in inner:
        found = _filter_alternatives(part)
        if not found:
            return []
        joined |= min(found, key=lambda probes: max(probe.kind for probe in probes))
    return [frozenset(joined)]


class _Affixes:
    """Buckets by a beginning or an end of a text, found by trying the lengths that are there."""

    def __init__(self) -> None:
        self.buckets: dict[str, set[str]] = {}
        self.lengths: Counter[int] = Counter()


class ProbeIndex:
    """Subscription ids by probes. Ids are filed and taken out one by one."""

    def __init__(self) -> None:
        self._always: set[str] = set()
        self._equals: dict[tuple[str, str], set[str]] = {}
        self._begins: dict[str, _Affixes] = {}
        self._ends: dict[str, _Affixes] = {}
        self._filed: dict[str, Alternatives] = {}

    def put(self, subscription: str, alternatives: tuple[Alternatives, ...]) -> None:
        """File an id that is not there."""
        if not alternatives:
            self._always.add(subscription)
            return
        probes = min(alternatives, key=self._load)
        self._filed[subscription] = probes
        for probe in probes:
            self._bucket_for(probe).add(subscription)

    def remove(self, subscription: str) -> None:
        """Take an id out; nothing happens if it is not there."""
        self._always.discard(subscription)
        for probe in self._filed.pop(subscription, ()):
            bucket = self._bucket(probe)
            bucket.discard(subscription)
            if not bucket:
                self._drop(probe)

    def candidates(self, topic: str, attributes: Mapping[str, str]) -> set[str]:
        """The ids that an event may match: a superset of those it does."""
        found = set(self._always)
        found.update(self._equals.get((TOPIC, topic), ()))
        for item in attributes.items():
            found.update(self._equals.get(item, ()))
        for name, affixes in self._begins.items():
            text = topic if name == TOPIC else attributes.get(name)
            if text is not None:
                for length in affixes.lengths:
                    found.update(affixes.buckets.get(text[:length], ()))
        for name, affixes in self._ends.items():
            text = topic if name == TOPIC else attributes.get(name)
            if text is not None:
                for length in affixes.lengths:
                    found.update(affixes.buckets.get(text[-length:], ()))
        return found

    def _load(self, probes: Alternatives) -> tuple[int, int, int]:
        fullest = max(len(self._bucket(probe)) for probe in probes)
        return fullest, max(probe.kind for probe in probes), len(probes)

    def _affixes(self, probe: Probe) -> dict[str, _Affixes]:
        return self._begins if probe.kind is ProbeKind.BEGINS else self._ends

    def _bucket(self, probe: Probe) -> set[str]:
        """What is filed under the probe; a set of its own if nothing is."""
        if probe.kind is ProbeKind.EQUALS:
            return self._equals.get((probe.attribute, probe.text), set())
        affixes = self._affixes(probe).get(probe.attribute)
        return set() if affixes is None else affixes.buckets.get(probe.text, set())

    def _bucket_for(self, probe: Probe) -> set[str]:
        if probe.kind is ProbeKind.EQUALS:
            return self._equals.setdefault((probe.attribute, probe.text), set())
        affixes = self._affixes(probe).setdefault(probe.attribute, _Affixes())
        if probe.text not in affixes.buckets:
            affixes.buckets[probe.text] = set()
            affixes.lengths[len(probe.text)] += 1
        return affixes.buckets[probe.text]

    def _drop(self, probe: Probe) -> None:
        if probe.kind is ProbeKind.EQUALS:
            del self._equals[probe.attribute, probe.text]
            return
        by_attribute = self._affixes(probe)
        affixes = by_attribute[probe.attribute]
        del affixes.buckets[probe.text]
        affixes.lengths[len(probe.text)] -= 1
        if not affixes.lengths[len(probe.text)]:
            del affixes.lengths[len(probe.text)]
        if not affixes.buckets:
            del by_attribute[probe.attribute]
