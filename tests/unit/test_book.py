"""The book of subscriptions: what holds after each record of the config topic."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooklane.schemas.book import (
    BookChange,
    ChangeKind,
    Entry,
    StatusState,
    SubscriptionBook,
    status_key,
    status_record,
)
from hooklane.schemas.subscription_values import ServicePolicy

AT = "2026-11-01T00:00:00Z"


def document(name: str = "a", **fields: object) -> bytes:
    return json.dumps({"id": name, "url": "https://h.example/", **fields}).encode()


def status(judged: int, name: str = "a") -> bytes:
    return status_record(name, judged, "410 Gone", AT)[1]


def book(*records: tuple[bytes | None, bytes | None]) -> SubscriptionBook:
    found = SubscriptionBook(ServicePolicy())
    for offset, (key, value) in enumerate(records):
        found.read(offset, key, value)
    return found


def kinds(*records: tuple[bytes | None, bytes | None]) -> list[str | None]:
    found = SubscriptionBook(ServicePolicy())
    changes = [found.read(offset, *record) for offset, record in enumerate(records)]
    return [None if change is None else change.kind.value for change in changes]


def entry_of(found: SubscriptionBook, name: str = "a") -> Entry:
    entry = found.entry(name)
    assert entry is not None
    return entry


def test_a_document_is_in_force_until_the_next_one_or_a_tombstone() -> None:
    """Added, updated, removed: each with what was and what is in force."""
    found = SubscriptionBook(ServicePolicy())
    first = found.read(3, b"a", document())
    second = found.read(5, b"a", document(state="paused"))
    third = found.read(9, b"a", None)
    assert first == BookChange(ChangeKind.ADDED, "a", None, first.entry if first else None)
    assert second is not None
    assert third is not None
    assert (second.kind, second.before, second.replaced) == (ChangeKind.UPDATED, first.entry, False)
    assert second.entry is not None
    assert (second.entry.offset, second.entry.subscription.state) == (5, "paused")
    assert (third.kind, third.before, third.entry) == (ChangeKind.REMOVED, second.entry, None)
    assert (len(found), found.position) == (0, 10)


def test_another_uid_is_another_subscription() -> None:
    """A document with another uid replaces the subscription, although the id is the same."""
    found = book((b"a", document(uid="one")))
    change = found.read(1, b"a", document(uid="two"))
    assert change is not None
    assert change.replaced


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"{",
        b"\xff",
        b"null",
        b"[" * 100_000,
        document("b"),
        document(urls=1),
        document(url="http://h"),
        document(retry={"schedule": ["7s"]}),
        document(signing={"secrets": ["whsec_plain"]}),
        document(match={"filters": [{"sql": "x"}]}),
        b'{"id": "a", "id": "a", "url": "https://h"}',
    ],
    ids=lambda value: repr(value[:30]),
)
def test_a_bad_document_leaves_the_last_good_one_in_force(bad: bytes) -> None:
    """It becomes a finding with its offset and faults; the next good document clears it."""
    found = book((b"a", document()))
    change = found.read(4, b"a", bad)
    assert change is not None
    assert (change.kind, entry_of(found).offset) == (ChangeKind.BAD, 0)
    (finding,) = found.findings()
    assert (finding.key, finding.offset) == ("a", 4)
    assert finding.faults
    assert found.unready() == ()
    found.read(5, b"a", document())
    assert (found.findings(), entry_of(found).offset) == ((), 5)


def test_a_bad_document_alone_counts_as_never_written() -> None:
    """Nothing is in force, the service is ready all the same; a tombstone clears the finding."""
    found = book((b"a", b"{"))
    assert (found.entry("a"), list(found), found.unready()) == (None, [], ())
    assert found.is_deleted("a", 0)
    change = found.read(1, b"a", None)
    assert change is not None
    assert (change.kind, found.findings()) == (ChangeKind.CLEARED, ())


@pytest.mark.parametrize("key", [None, b"", b"A", b"\xff\xfe", b"a/b", b"a/status/status", b"a\n"])
def test_a_key_that_is_no_id(key: bytes | None) -> None:
    """It is a finding in printable text, and a tombstone for it clears it."""
    found = book((key, document()))
    (finding,) = found.findings()
    assert finding.key.isprintable()
    assert list(found) == []
    found.read(1, key, None)
    assert found.findings() == ()


def test_only_ids_of_newer_formats_alone_keep_the_service_from_being_ready() -> None:
    """Every version too new: unready. A good or a bad one among them: ready. Deleted: ready."""
    newer = document(format=2, future=True)
    assert book((b"a", newer), (b"a", newer)).unready() == ("a",)
    assert book((b"a", document()), (b"a", newer)).unready() == ()
    assert book((b"a", b"{"), (b"a", newer)).unready() == ()
    assert book((b"a", newer), (b"a", None)).unready() == ()
    assert book((b"a", newer), (b"a", document())).unready() == ()
    assert book((b"a", document()), (b"a", None), (b"a", newer)).unready() == ("a",)
    found = book((b"a", document()), (b"a", newer))
    assert entry_of(found).offset == 0
    assert found.findings()[0].unknown_format


def test_a_status_counts_only_for_the_document_it_judged() -> None:
    """It disables the document at its offset, a newer document voids it, a late one is ignored."""
    found = book((b"a", document()))
    change = found.read(1, status_key("a"), status(judged=0))
    assert change is not None
    assert (change.kind, entry_of(found).offset) == (ChangeKind.STATUS, 0)
    disabled = entry_of(found).disabled
    assert disabled is not None
    assert (disabled.state, disabled.reason, disabled.judged_offset) == (
        StatusState.DISABLED,
        "410 Gone",
        0,
    )
    found.read(2, b"a", document())
    assert entry_of(found).disabled is None
    assert found.read(3, status_key("a"), status(judged=0)) is None
    assert entry_of(found).disabled is None


def test_a_status_is_cleared_by_its_tombstone_and_by_one_that_judges_another_document() -> None:
    """What a reader of the compacted topic would see is what a reader from the start sees."""
    records = [(b"a", document()), (status_key("a"), status(judged=0))]
    assert kinds(*records, (status_key("a"), None))[-1] == "status"
    found = book(*records, (status_key("a"), status(judged=99)))
    assert entry_of(found).disabled is None


def test_a_bad_document_does_not_void_a_status() -> None:
    """The document in force is still the one that was judged."""
    found = book((b"a", document()), (status_key("a"), status(judged=0)), (b"a", b"{"))
    assert entry_of(found).disabled is not None
    later = book((b"a", document()), (b"a", b"{"), (status_key("a"), status(judged=0)))
    assert entry_of(later).disabled is not None


@pytest.mark.parametrize(
    "value",
    [
        b"{",
        b"[]",
        b"{}",
        b'{"state": "sleepy", "judged_offset": 0, "at": "2026-11-01T00:00:00Z"}',
        b'{"state": "disabled", "judged_offset": "0", "at": "2026-11-01T00:00:00Z"}',
        b'{"state": "disabled", "judged_offset": true, "at": "2026-11-01T00:00:00Z"}',
        b'{"state": "disabled", "judged_offset": 0, "at": "yesterday"}',
    ],
)
def test_a_bad_status_is_a_finding(value: bytes) -> None:
    """It changes nothing else; the next status clears it."""
    found = book((b"a", document()), (status_key("a"), value))
    assert [finding.key for finding in found.findings()] == ["a/status"]
    assert entry_of(found).disabled is None
    found.read(2, status_key("a"), status(judged=0))
    assert found.findings() == ()
    assert entry_of(found).disabled is not None


def test_a_status_of_a_newer_version_is_read() -> None:
    """Fields that this version does not know do not matter."""
    value = json.dumps({**json.loads(status(judged=0)), "by": "x"}).encode()
    assert entry_of(book((b"a", document()), (status_key("a"), value))).disabled is not None


def test_reading_again_changes_nothing() -> None:
    """A record below the position is not applied a second time, whatever it says."""
    found = book((b"a", document()), (b"a", document(state="paused")))
    before = list(found)
    assert found.read(0, b"a", document()) is None
    assert found.read(1, b"a", None) is None
    assert (list(found), found.position) == (before, 2)


def test_deleted_counts_only_past_the_config_offset() -> None:
    """Rule 7: a task's subscription is deleted only once the book is past its config offset."""
    found = book((b"b", document("b")))
    assert not found.is_deleted("a", 5)
    found.read_through(5)
    assert not found.is_deleted("a", 5)
    found.read_through(6)
    assert found.is_deleted("a", 5)
    assert not found.is_deleted("b", 0)
    assert found.is_deleted("b", 0, uid="of an earlier one")
    assert not found.is_deleted("b", 0, uid="")


def test_what_a_newer_version_wrote_is_not_deleted() -> None:
    """An id of a format that is too high is left to wait, never taken for deleted."""
    assert not book((b"a", document(format=2))).is_deleted("a", 0)


KEYS = st.sampled_from([b"a", b"b", b"a/status", b"b/status", b"B", None])
VALUES = st.one_of(
    st.none(),
    st.sampled_from([b"{", document(), document("b"), document(uid="u"), document(format=2)]),
    st.integers(0, 8).map(status),
)


@given(st.lists(st.tuples(KEYS, VALUES), max_size=12))
def test_any_records_in_any_order(records: list[tuple[Any, Any]]) -> None:
    """Nothing is raised; what is in force is the newest good document since the last tombstone,
    and a change says exactly what differs."""
    found = SubscriptionBook(ServicePolicy())
    expected: dict[str, int] = {}
    for offset, (key, value) in enumerate(records):
        before = {entry.id: entry for entry in found}
        change = found.read(offset, key, value)
        after = {entry.id: entry for entry in found}
        name = (key or b"").decode()
        if value is None:
            expected.pop(name, None)
        elif value in (document(name), document(name, uid="u")):
            expected[name] = offset
        assert {entry.id: entry.offset for entry in found} == expected
        if change is None or change.kind in (ChangeKind.BAD, ChangeKind.CLEARED):
            assert before == after
        else:
            assert before.get(change.id) == change.before
            assert after.get(change.id) == change.entry
    assert found.position == len(records)
