"""What `hooklane dev` writes into the config topic, and what it never touches."""

from collections.abc import Sequence
from typing import cast

import pytest

from hooklane.ops.dev_apply import Applier
from hooklane.ops.subscriptions_topic import ConfigTopic, Record
from hooklane.schemas.book import SubscriptionBook
from hooklane.schemas.book_status import status_key, status_record
from hooklane.schemas.subscription import Subscription, validate
from hooklane.schemas.subscription_values import ServicePolicy


class Topic:
    """The config topic in memory."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def read(self) -> SubscriptionBook:
        book = SubscriptionBook(ServicePolicy())
        for offset, (key, value) in enumerate(self.records):
            book.read(offset, key, value)
        return book

    def write(self, records: Sequence[Record]) -> None:
        self.records += records


def wanted(*names: str, url: str = "https://x.example") -> dict[str, Subscription]:
    return {name: validate({"id": name, "url": url}, ServicePolicy()) for name in names}


def said(applier: Applier, wanted: dict[str, Subscription], saved: Sequence[str]) -> list[str]:
    """What it did, and then what it could not."""
    done, refused = applier.bring(wanted, saved)
    assert all((one.now is None) == (one.id not in wanted) for one in done)
    return [*(f"{one.id} {one.said}" for one in done), *refused]


@pytest.fixture
def topic() -> Topic:
    return Topic()


@pytest.fixture
def applier(topic: Topic) -> Applier:
    return Applier(cast("ConfigTopic", topic))


def test_applied_like_the_command_does(topic: Topic, applier: Applier) -> None:
    """New ones are stamped, stamps are carried over, and what is the same is not written again."""
    assert said(applier, wanted("a"), ["a"]) == ["a created"]
    first = topic.read().entry("a")
    assert first is not None
    assert first.uid
    assert said(applier, wanted("a"), ["a"]) == []
    assert said(applier, wanted("a", url="https://y.example"), ["a"]) == ["a configured"]
    second = topic.read().entry("a")
    assert second is not None
    assert (second.uid, second.subscription.url) == (first.uid, "https://y.example")
    assert len(topic.records) == 2


def test_only_its_own_are_deleted(topic: Topic, applier: Applier) -> None:
    """What another one applied is named and stays; what dev applied goes with its status."""
    topic.write([wanted("theirs")["theirs"].record()])
    applier.bring(wanted("mine"), ["mine"])
    assert applier.others(["mine"]) == ["theirs"]
    assert said(applier, {}, []) == ["mine deleted; what waited for it is discarded"]
    assert {entry.id for entry in topic.read()} == {"theirs"}
    assert topic.records[-2:] == [(b"mine", None), (status_key("mine"), None)]
    assert said(applier, {}, []) == []


def test_one_that_cannot_be_changed_holds_up_no_other(topic: Topic, applier: Applier) -> None:
    """A document with another uid is refused in a sentence; the others are applied."""
    applier.bring(wanted("a"), ["a"])
    other = validate({"id": "a", "url": "https://x.example", "uid": "else"}, ServicePolicy())
    done, refused = applier.bring({"a": other, **wanted("b")}, ["a", "b"])
    assert [one.id for one in done] == ["b"]
    assert [one.partition(": ")[0] for one in refused] == ["a"]


def test_saving_the_file_ends_what_a_410_began(topic: Topic, applier: Applier) -> None:
    """The same document is written again if its file was saved, and else not."""
    applier.bring(wanted("a"), ["a"])
    topic.write([status_record("a", 0, "gone", "2026-01-01T00:00:00Z")])
    entry = topic.read().entry("a")
    assert entry is not None
    assert entry.disabled is not None
    assert said(applier, wanted("a"), []) == []
    assert said(applier, wanted("a"), ["a"]) == ["a active again, since its file was saved"]
    after = topic.read().entry("a")
    assert after is not None
    assert after.disabled is None
