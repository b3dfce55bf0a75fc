"""Filters of plugins: what they say, and what becomes of an event when they cannot."""

from collections.abc import Callable

import pytest

from hooklane.fanout.match import Matcher, Undecided
from hooklane.fanout.match_explain import explain
from hooklane.schemas.book import Entry
from hooklane.schemas.event import Event
from hooklane.schemas.plugged import Group
from hooklane.schemas.plugin import PluginEvent
from hooklane.schemas.records import DeadLetterReason
from hooklane.schemas.subscription import validate
from tests.support.fanout_facts import BROKEN, partition
from tests.support.plugins import entry, plugin, policy
from tests.unit.test_fanout_dispatch import Stage
from tests.unit.test_match import event


def subscribed(name: str, call: Callable[[PluginEvent], object], *filters: object) -> Entry:
    """A subscription whose filters are these, `{sample: ...}` among them."""
    here = policy(entry(Group.FILTERS, "sample", plugin(call, "matches")))
    match = {"filters": list(filters) or [{"sample": {"percent": 5}}]}
    document = {"id": name, "url": "https://h.example/", "match": match}
    return Entry(validate(document, here), 3)


def matched(one: Entry, found: Event | None = None) -> tuple[Entry, ...]:
    matcher = Matcher()
    matcher.put(one)
    return matcher.match(found or event())


def broken(_: PluginEvent) -> bool:
    raise RuntimeError("not today")


def test_a_dialect_sees_the_event() -> None:
    """Its place, key, attributes with the key among them, and its data as a copy."""

    def call(seen: PluginEvent) -> bool:
        assert (seen.topic, seen.offset, seen.key) == ("orders", 1, b"k")
        assert seen.attributes["partitionkey"] == "k"
        return seen.document() == {"n": 1}

    assert [one.id for one in matched(subscribed("s", call), event(data=b'{"n":1}'))] == ["s"]
    assert matched(subscribed("s", call), event(data=b"{}")) == ()


def test_it_stands_in_any_place_of_a_filter() -> None:
    """Below `not`, `any` and `all`."""
    sample = {"sample": None}
    nested = {"not": {"any": [sample, {"all": [sample]}]}}
    assert matched(subscribed("s", lambda _: True, nested)) == ()
    assert len(matched(subscribed("s", lambda _: False, nested))) == 1


@pytest.mark.parametrize("call", [broken, lambda _: None, lambda _: 1])
def test_one_that_fails_leaves_the_event_undecided(call: Callable[[PluginEvent], bool]) -> None:
    """Also below `not`: no answer is neither yes nor no, and the plugin is named."""
    for filters in (({"sample": 1},), ({"not": {"sample": 1}},)):
        (found,) = matched(subscribed("s", call, *filters))
        assert isinstance(found, Undecided)
        assert found.offset == 3
        assert "the filters plugin sample of" in found.reason


def test_another_conditions_no_decides() -> None:
    """What does not want the event anyway gets no dead letter for a plugin's fault."""
    no = {"exact": {"type": "other"}}
    assert matched(subscribed("s", broken, {"sample": 1}, no)) == ()
    assert matched(subscribed("s", broken, no, {"sample": 1})) == ()


def test_a_neighbour_notices_nothing() -> None:
    """Its own filters answer."""
    matcher = Matcher()
    matcher.put(subscribed("a", broken))
    matcher.put(subscribed("b", lambda _: True))
    first, second = matcher.match(event())
    assert isinstance(first, Undecided)
    assert (second.id, isinstance(second, Undecided)) == ("b", False)


def test_why_is_told() -> None:
    """`trace` says that there is no answer, and what else was asked for."""
    objection = explain(event(), subscribed("s", broken))
    assert objection is not None
    assert str(objection).startswith("match.filters[0]: cannot be answered")
    assert "RuntimeError" in str(objection)
    objection = explain(event(), subscribed("s", lambda _: False))
    assert objection is not None
    assert objection.dialect == "sample"
    assert objection.wants == 'wants sample ({"percent": 5})'


def test_an_undecided_delivery_is_marked() -> None:
    """From the match into the delivery."""
    (found,) = matched(subscribed("s", broken))
    (one,) = partition().admit(event(), [found], 0.0)
    assert "RuntimeError" in one.undecided


async def test_it_becomes_a_dead_letter_without_an_attempt() -> None:
    """With the plugin's name; what comes behind it in its lane waits until that is in Kafka."""
    stage = Stage()
    stage.comes(undecided="the plugin sample failed")
    stage.comes()
    assert stage.attempts.begun == []
    share = stage.commits()
    (letter,) = share.dead_letters
    assert (letter.reason, letter.detail) == (DeadLetterReason.REFUSED, "the plugin sample failed")
    assert letter.event is not None
    assert len(stage.attempts.begun) == 1


async def test_it_is_never_redirected() -> None:
    """The retrier would deliver it: behind a failed attempt of its lane it is a letter too."""
    stage = Stage()
    stage.comes()
    stage.comes(undecided="the plugin sample failed")
    stage.comes()
    stage.ends(BROKEN)
    share = stage.share()
    assert [one.delivery.sequence for one in share.redirects] == [0, 2]
    assert [one.offset for one in share.dead_letters] == [1]
