"""The matcher: the index gives what a look at every subscription would give."""

import json
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooklane.fanout.match import Matcher
from hooklane.fanout.match_explain import Objection, explain
from hooklane.fanout.match_index import ProbeIndex, alternatives_of
from hooklane.schemas.book import Entry, Status, StatusState
from hooklane.schemas.event import Event
from hooklane.schemas.subscription import validate
from hooklane.schemas.subscription_values import ServicePolicy, parse_instant


def entry(name: str, match: object = None, **fields: object) -> Entry:
    document = {"id": name, "url": "https://h.example/", "match": match or {}, **fields}
    return Entry(validate(document, ServicePolicy()), 0)


def event(topic: str = "orders", data: bytes = b"{}", **attributes: str) -> Event:
    base = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "order.paid"}
    return Event(topic, "t", 0, 1, 1_000_000, b"k", {**base, **attributes}, "text/x", data)


def matcher(*entries: Entry, failed: Callable[[str, str], None] | None = None) -> Matcher:
    found = Matcher(failed)
    for one in entries:
        found.put(one)
    return found


def ids(found: Matcher, one: Event) -> list[str]:
    return [entry.id for entry in found.match(one)]


@pytest.mark.parametrize(
    ("match", "matches"),
    [
        ({}, True),
        ({"topics": ["orders"]}, True),
        ({"topics": ["ord?rs"]}, True),
        ({"topics": ["*.x", "order*"]}, True),
        ({"topics": ["order"]}, False),
        ({"types": ["order.*"]}, True),
        ({"types": ["*.paid"]}, True),
        ({"types": ["*d*.p*d"]}, True),
        ({"types": ["invoice", "*aid*"]}, True),
        ({"filters": [{"any": [{"exact": {"id": "2"}}, {"cel": "true"}]}]}, True),
        ({"types": ["Order.*"]}, False),
        ({"topics": ["orders"], "types": ["invoice.*"]}, False),
        ({"filters": []}, True),
        ({"filters": [{"exact": {"source": "/shop", "subject": "eu-1"}}]}, True),
        ({"filters": [{"exact": {"source": "/shop", "subject": "eu"}}]}, False),
        ({"filters": [{"exact": {"source": "/SHOP"}}]}, False),
        ({"filters": [{"exact": {"absent": "x"}}]}, False),
        ({"filters": [{"not": {"exact": {"absent": "x"}}}]}, True),
        ({"filters": [{"prefix": {"subject": "eu-", "source": "/"}}]}, True),
        ({"filters": [{"suffix": {"subject": "-1"}}, {"suffix": {"type": ".paid"}}]}, True),
        ({"filters": [{"suffix": {"subject": "-1"}}, {"suffix": {"type": ".x"}}]}, False),
        ({"filters": [{"any": [{"exact": {"id": "2"}}, {"prefix": {"id": "1"}}]}]}, True),
        ({"filters": [{"all": [{"exact": {"id": "1"}}, {"exact": {"id": "1"}}]}]}, True),
        ({"filters": [{"exact": {"partitionkey": "k", "datacontenttype": "text/x"}}]}, True),
        ({"filters": [{"cel": "data.amount > 100"}]}, True),
        ({"filters": [{"cel": "data.amount > 1000"}]}, False),
        ({"filters": [{"not": {"cel": "data.amount > 1000"}}]}, True),
    ],
)
def test_conditions(match: Mapping[str, Any], matches: bool) -> None:
    """Topics, types and filters are an AND; attributes are compared case-sensitively."""
    one = event(data=b'{"amount": 150}', subject="eu-1")
    assert ids(matcher(entry("a", match)), one) == (["a"] if matches else [])
    assert (explain(one, entry("a", match)) is None) is matches


def test_matches_come_in_the_order_of_ids() -> None:
    """Whatever the order of arrival, the answer is sorted by id."""
    found = matcher(*(entry(name, {"types": ["order.*"]}) for name in ("c", "a", "b")))
    assert ids(found, event()) == ["a", "b", "c"]


def test_the_state_plays_no_part() -> None:
    """Paused, disabled, and disabled by a 410: all match, and the fan-out sees why to act."""
    status = Status(StatusState.DISABLED, "410", 0, parse_instant("2026-11-01T00:00:00Z"))
    gone = Entry(entry("c").subscription, 0, status)
    found = matcher(entry("a", state="paused"), entry("b", state="disabled"), gone)
    assert [one.id for one in found.match(event())] == ["a", "b", "c"]
    assert found.match(event())[2].disabled == status


@pytest.mark.parametrize(
    ("effective_from", "matches"),
    [
        ("1970-01-01T00:16:39.999Z", True),
        ("1970-01-01T00:16:40Z", True),
        ("1970-01-01T00:16:40.000001Z", False),
        ("1970-01-01T00:16:40.001Z", False),
        ("1970-01-01T01:16:40+01:00", True),
        ("9999-12-31T23:59:59-23:59", False),
    ],
)
def test_events_before_effective_from_do_not_match(effective_from: str, matches: bool) -> None:
    """A record's time (here 1000 s) is compared to the millisecond, the bound itself included."""
    found = matcher(entry("a", effective_from=effective_from))
    assert ids(found, event()) == (["a"] if matches else [])


def test_an_event_without_a_time_is_not_before_anything() -> None:
    """A record without a timestamp is delivered rather than lost."""
    one = event()
    one.timestamp_ms = -1
    assert ids(matcher(entry("a", effective_from="2026-11-01T00:00:00Z")), one) == ["a"]


def test_an_expression_that_fails_is_reported_and_stops_nothing() -> None:
    """The subscription with the failing expression does not match, the others do."""
    told: list[tuple[str, str]] = []
    found = matcher(
        entry("bad", {"filters": [{"cel": "data.nothing == 1"}]}),
        entry(
            "good", {"filters": [{"any": [{"cel": "data.nothing == 1"}, {"exact": {"id": "1"}}]}]}
        ),
        entry("plain"),
        failed=lambda name, detail: told.append((name, detail)),
    )
    assert ids(found, event()) == ["good", "plain"]
    assert sorted(name for name, _ in told) == ["bad", "good"]
    assert ids(found, event(data=b"\xff")) == ["good", "plain"]


def test_a_new_version_takes_the_place_of_the_old_one() -> None:
    """After `put` only the new conditions hold, after `remove` none; answers have the new entry."""
    found = matcher(entry("a", {"types": ["order.*"]}))
    found.put(entry("a", {"types": ["invoice.*"]}))
    assert ids(found, event()) == []
    again = entry("a", {"types": ["invoice.*"]}, state="paused")
    found.put(again)
    (answer,) = found.match(event(type="invoice.paid"))
    assert answer is again
    found.remove("a")
    found.remove("never there")
    assert (ids(found, event(type="invoice.paid")), len(found)) == ([], 0)


def test_a_new_effective_from_counts() -> None:
    """An edit of `effective_from` alone is taken too."""
    found = matcher(entry("a", effective_from="2026-11-01T00:00:00Z"))
    found.put(entry("a"))
    assert ids(found, event()) == ["a"]


@pytest.mark.parametrize(
    ("match", "said"),
    [
        ({"topics": ["a", "b*"]}, "match.topics: takes a, b*; the event has orders"),
        ({"types": ["x.*"]}, "match.types: takes x.*; the event has order.paid"),
        (
            {"filters": [{"exact": {"id": "1"}}, {"prefix": {"subject": "eu-"}}]},
            "match.filters[1]: wants subject beginning with 'eu-'; the event has no subject",
        ),
        (
            {"filters": [{"not": {"any": [{"suffix": {"id": "1"}}]}}]},
            "match.filters[0]: wants not (any of (id ending with '1')); the event has id = '1'",
        ),
        (
            {"filters": [{"cel": "data.x == 1"}]},
            "match.filters[0]: wants cel (data.x == 1); the event has no answer",
        ),
    ],
)
def test_why_not(match: object, said: str) -> None:
    """The first condition that the event does not meet is told, with what the event has there."""
    assert str(explain(event(), entry("a", match))).startswith(said)


def test_why_not_names_the_filter_and_its_dialect() -> None:
    """Down to the member of an `all`; an expression's data is shown as the event has it."""
    match = {"filters": [{"all": [{"exact": {"id": "1"}}, {"cel": "data.order.amount > 100"}]}]}
    one = event(data=b'{"order": {"amount": 50}}')
    assert explain(one, entry("a", match)) == Objection(
        path="match.filters[0].all[1]",
        dialect="cel",
        wants="wants cel (data.order.amount > 100)",
        has="data.order.amount = 50",
    )


def test_why_not_of_a_state() -> None:
    """Disabled by its operator is the last reason why not; paused, and a 410, are none."""
    disabled = explain(event(), entry("a", state="disabled"))
    assert disabled is not None
    assert (disabled.path, disabled.dialect) == ("state", None)
    assert explain(event(), entry("a", {"types": ["x"]}, state="disabled")) != disabled
    assert explain(event(), entry("a", state="paused")) is None


def test_why_not_effective_from() -> None:
    """An event that is too early is told so with both times."""
    answer = explain(event(), entry("a", effective_from="2026-11-01T00:00:00Z"))
    assert str(answer) == (
        "effective_from: takes events from 2026-11-01T00:00:00Z on; the event has"
        " 1970-01-01T00:16:40Z"
    )


TEXT = st.text("ab", min_size=1, max_size=3)
GLOB = st.text("ab*?", min_size=1, max_size=4)
NAME = st.sampled_from(["type", "source", "subject", "ext"])
COMPARED = st.dictionaries(NAME, TEXT, min_size=1, max_size=2)
LEAF = st.one_of(
    st.builds(
        lambda kind, want: {kind: want}, st.sampled_from(["exact", "prefix", "suffix"]), COMPARED
    ),
    st.builds(lambda n: {"cel": f"data.n > {n}"}, st.integers(0, 3)),
)
FILTER = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.builds(
            lambda kind, parts: {kind: parts},
            st.sampled_from(["all", "any"]),
            st.lists(inner, min_size=1, max_size=3),
        ),
        st.builds(lambda one: {"not": one}, inner),
    ),
    max_leaves=5,
)
MATCH = st.fixed_dictionaries(
    {},
    optional={
        "topics": st.lists(GLOB, min_size=1, max_size=2),
        "types": st.lists(GLOB, min_size=1, max_size=2),
        "filters": st.lists(FILTER, max_size=3),
    },
)
EVENT = st.builds(
    lambda topic, kind, rest, n: event(
        topic, json.dumps({"n": n} if n is not None else {}).encode(), **{**rest, "type": kind}
    ),
    TEXT,
    TEXT,
    st.dictionaries(st.sampled_from(["source", "subject", "ext"]), TEXT),
    st.none() | st.integers(0, 4),
)
COMPARE: Mapping[str, Callable[[str, str], bool]] = {
    "exact": lambda found, wanted: found == wanted,
    "prefix": lambda found, wanted: found.startswith(wanted),
    "suffix": lambda found, wanted: found.endswith(wanted),
}


def naive_filter(one: Mapping[str, Any], seen: Event) -> bool:
    ((kind, value),) = one.items()
    match kind:
        case "all":
            return all(naive_filter(part, seen) for part in value)
        case "any":
            return any(naive_filter(part, seen) for part in value)
        case "not":
            return not naive_filter(value, seen)
        case "cel":
            document: Any = seen.document()
            return "n" in document and document["n"] > int(value.rpartition(" ")[2])
        case _:
            return all(
                name in seen.attributes and COMPARE[kind](seen.attributes[name], text)
                for name, text in value.items()
            )


def naive_match(match: Mapping[str, Any], seen: Event) -> bool:
    topics, types = match.get("topics", ["*"]), match.get("types", ["*"])
    return (
        any(fnmatchcase(seen.topic, glob) for glob in topics)
        and any(fnmatchcase(seen.attributes["type"], glob) for glob in types)
        and all(naive_filter(one, seen) for one in match.get("filters", []))
    )


@given(st.lists(MATCH, max_size=8), st.lists(EVENT, min_size=1, max_size=4), st.data())
def test_the_index_equals_a_look_at_every_subscription(
    matches: list[dict[str, Any]], events: list[Event], data: st.DataObject
) -> None:
    """For any subscriptions, put, replaced and removed in any order, and any events."""
    found = Matcher()
    held: dict[str, dict[str, Any]] = {}
    for match in matches:
        name = data.draw(st.sampled_from("abcdef"))
        found.put(entry(name, match))
        held[name] = match
    for name in data.draw(st.sets(st.sampled_from("abcdef"), max_size=2)):
        found.remove(name)
        held.pop(name, None)
    for one in events:
        assert ids(found, one) == sorted(n for n, match in held.items() if naive_match(match, one))
        for name, match in held.items():
            assert (explain(one, entry(name, match)) is None) is naive_match(match, one)


def test_cost_grows_with_what_matches() -> None:
    """Of 2,000 subscriptions with a topic and type in common, an event looks only at a few: the
    condition that tells them apart is the one they are filed under."""
    index = ProbeIndex()
    for number in range(2000):
        match = {
            "topics": ["orders"],
            "types": ["order.*"],
            "filters": [{"exact": {"source": f"/tenants/{number}"}}],
        }
        index.put(f"s{number}", alternatives_of(entry("a", match).subscription.match))
    attributes = {"type": "order.paid", "source": "/tenants/7"}
    assert "s7" in index.candidates("orders", attributes)
    assert len(index.candidates("orders", attributes)) <= 5


def test_what_was_taken_out_leaves_nothing_behind() -> None:
    """The index of subscriptions that come and go does not grow."""
    index = ProbeIndex()
    for number in range(50):
        match = {
            "types": [f"a{number}.*", f"*.b{number}"],
            "filters": [{"any": [{"exact": {"id": f"{number}"}}]}],
        }
        index.put("a", alternatives_of(entry("a", match).subscription.match))
        index.remove("a")
    assert (index._equals, index._begins, index._ends, index._filed) == ({}, {}, {}, {})
