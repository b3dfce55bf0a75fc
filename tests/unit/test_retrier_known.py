"""The subscriptions as the retrier's event loop knows them."""

import json

import pytest

from hooklane.retrier.known import KnownSubscriptions
from hooklane.schemas.book import SubscriptionBook
from hooklane.schemas.book_status import status_record
from tests.support.fanout_facts import POLICY


class Topic:
    """The config topic, record by record."""

    def __init__(self) -> None:
        self.book = SubscriptionBook(POLICY)
        self.told: list[tuple[str, ...]] = []
        self.known = KnownSubscriptions(lambda names: self.told.append(tuple(names)))
        self.known.begin(lambda: self.book)

    def read(self, key: bytes, value: bytes | None) -> None:
        change = self.book.read(self.book.position, key, value)
        if change is not None:
            self.known.follow(change)

    def document(self, **fields: object) -> None:
        document = {"id": "s", "url": "http://127.0.0.1:1/", "uid": "u", **fields}
        self.read(b"s", json.dumps(document).encode())


def test_what_is_in_force_is_known() -> None:
    """Added, updated, disabled by a status, removed: each change is taken over."""
    topic = Topic()
    topic.document()
    assert topic.known.entry("s") == topic.book.entry("s") is not None
    topic.document(state="paused")
    assert topic.known.entry("s") == topic.book.entry("s")
    topic.read(*status_record("s", 1, "gone", "2026-11-01T00:00:00Z"))
    found = topic.known.entry("s")
    assert found is not None
    assert found.disabled is not None
    topic.read(b"s", None)
    assert topic.known.entry("s") is None


def test_a_bad_document_leaves_the_last_good_one_in_force() -> None:
    """Section 6: a document that cannot be taken changes nothing."""
    topic = Topic()
    topic.document()
    before = topic.known.entry("s")
    topic.read(b"s", b"{")
    assert topic.known.entry("s") == before is not None


def test_an_id_of_unknown_format_keeps_the_service_from_being_ready() -> None:
    """Section 6: an old binary must not skip what a newer one wrote."""
    topic = Topic()
    topic.document(format=99)
    topic.read(b"s", None)
    assert topic.told == [("s",), ()]


@pytest.mark.parametrize(("offset", "deleted"), [(1, True), (2, False)])
def test_deleted_only_by_a_book_that_has_read_far_enough(offset: int, deleted: bool) -> None:
    """Rule 7: the retrier's book may be behind the fan-out's that matched the task."""
    topic = Topic()
    topic.document()
    topic.read(b"s", None)
    assert topic.known.is_deleted("s", offset, "u") is deleted


def test_nothing_is_deleted_before_there_is_a_book() -> None:
    """Before the first reading nobody may discard anything."""
    assert not KnownSubscriptions(lambda _: None).is_deleted("s", 0, "u")
