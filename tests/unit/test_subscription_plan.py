"""What apply, pause and resume will write, decided from the book alone."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from hooklane.ops.subscriptions_files import Given
from hooklane.ops.subscriptions_plan import (
    Action,
    RefusedError,
    Step,
    changed,
    diff_text,
    plan_apply,
    plan_prune,
    plan_state,
    prune_text,
    validated,
)
from hooklane.ops.subscriptions_rows import subscription_rows
from hooklane.ops.ulid import new_ulid
from hooklane.runtime.errors import UsageError
from hooklane.schemas.book import SubscriptionBook, status_record
from hooklane.schemas.subscription_parts import State
from hooklane.schemas.subscription_values import ServicePolicy

NOW = datetime(2026, 11, 1, tzinfo=UTC)
POLICY = ServicePolicy()
OPEN = ServicePolicy(allow_plaintext_secrets=True)


def document(name: str = "a", **fields: object) -> dict[str, Any]:
    return {"id": name, "url": "https://h.example/", **fields}


def book(*values: object, policy: ServicePolicy = POLICY) -> SubscriptionBook:
    found = SubscriptionBook(policy)
    for offset, value in enumerate(values):
        data = None if value is None else json.dumps(value).encode()
        found.read(offset, b"a", data)
    return found


def plan(found: SubscriptionBook, *documents: object, policy: ServicePolicy = POLICY) -> list[Step]:
    uids: Iterator[str] = (f"UID{n}" for n in range(10))
    wanted = validated([Given(f"f{n}", one) for n, one in enumerate(documents)], policy)
    return plan_apply(wanted, found, NOW, lambda: next(uids))


def test_a_new_subscription_is_stamped() -> None:
    """`effective_from` and `uid` are set when the id first appears."""
    (step,) = plan(book(), document())
    assert step.action is Action.CREATED
    assert step.wanted.document() == document(effective_from="2026-11-01T00:00:00Z", uid="UID0")


def test_stamps_that_are_given_stay() -> None:
    """A new document may bring its own stamps, so that past events can be asked for."""
    own = document(effective_from="2020-01-01T00:00:00Z", uid="mine")
    (step,) = plan(book(), own)
    assert step.wanted.document() == own


def test_an_edit_carries_the_stamps_over() -> None:
    """A changed document keeps both stamps of the one in force."""
    held = document(effective_from="2020-01-01T00:00:00Z", uid="held")
    (step,) = plan(book(held), document(state="paused"))
    assert step.action is Action.CONFIGURED
    assert step.wanted.document() == {**held, "state": "paused"}


def test_what_has_no_stamps_gets_none_later() -> None:
    """A document that another tool wrote keeps its absent uid: another one would move its lanes."""
    (step,) = plan(book(document()), document(state="paused"))
    assert step.wanted.document() == document(state="paused")


def test_an_unchanged_document_is_not_written() -> None:
    """The same document in another order of fields is unchanged."""
    held = document(effective_from="2020-01-01T00:00:00Z", uid="held", headers={"X-A": "1"})
    (step,) = plan(book(held), {"headers": {"X-A": "1"}, **document()})
    assert (step.action, changed([step]), diff_text(step)) == (Action.UNCHANGED, [], "")


def test_a_subscription_made_again_is_another_one() -> None:
    """After a tombstone the id is new and gets a uid of its own."""
    (step,) = plan(book(document(uid="old"), None), document())
    assert (step.action, step.wanted.uid) == (Action.CREATED, "UID0")


def test_a_bad_document_in_the_topic_is_replaced() -> None:
    """Without a good version before, the id counts as never written."""
    (step,) = plan(book({"id": "a"}), document())
    assert step.action is Action.CREATED


def test_another_uid_is_refused() -> None:
    """A uid in force cannot be changed by an edit."""
    with pytest.raises(UsageError, match="uid: held is in force and cannot be changed"):
        plan(book(document(uid="held")), document(uid="other"))


def test_what_a_newer_version_wrote_is_not_overwritten() -> None:
    """An id whose newest document has a format that is too high is refused."""
    with pytest.raises(UsageError, match="a was written by a newer version"):
        plan(book(document(), document(format=2)), document())


def test_all_documents_are_judged_before_any_is_taken() -> None:
    """Every fault of every document is told, with its file and path; none is planned."""
    with pytest.raises(RefusedError, match="have 3 faults") as caught:
        plan(book(), document("a"), document("b", url="x"), {"id": "c"}, document("a"))
    assert [line.split(" ")[:2] for line in caught.value.faults] == [
        ["f1:", "url:"],
        ["f2:", "url:"],
        ["f3:", "id:"],
    ]


def test_states() -> None:
    """A state that differs is written; one that is there already is not."""
    entries = list(book(document(uid="u")))
    (paused,) = plan_state(entries, State.PAUSED)
    assert (paused.action, paused.wanted.document()) == (
        Action.CONFIGURED,
        document(uid="u", state="paused"),
    )
    (active,) = plan_state(entries, State.ACTIVE)
    assert active.action is Action.UNCHANGED


def test_resume_writes_what_a_410_disabled() -> None:
    """The document is written again as it is, so that the status is void."""
    found = book(document())
    found.read(1, *status_record("a", 0, "410 Gone", "2026-11-01T00:00:00Z"))
    (step,) = plan_state(list(found), State.ACTIVE)
    assert step.action is Action.CONFIGURED
    found.read(2, *step.wanted.record())
    assert [entry.disabled for entry in found] == [None]


def test_diff_of_an_edit() -> None:
    """A unified diff of YAML; the stamps, which are carried over, do not show as changes."""
    held = document(uid="u", headers={"X-A": "1"})
    (step,) = plan(book(held), document(headers={"X-A": "2"}))
    lines = diff_text(step).splitlines()
    assert lines[:2] == ["--- a (in force)", "+++ a (wanted)"]
    assert [line for line in lines[2:] if line[0] in "+-"] == ["-  X-A: '1'", "+  X-A: '2'"]


def test_diff_of_a_new_one_has_no_stamps() -> None:
    """Stamps of a new subscription are not known before it is applied."""
    (step,) = plan(book(), document())
    added = [line for line in diff_text(step).splitlines() if line.startswith("+")]
    assert added == ["+++ a (wanted)", "+id: a", "+url: https://h.example/"]


def test_diff_shows_no_secret() -> None:
    """A plain-text secret that changed is said to differ and not shown; apply sees the change."""
    held, wanted = (document(signing={"secrets": [f"canary{n}"]}) for n in (1, 2))
    (step,) = plan(book(held, policy=OPEN), wanted, policy=OPEN)
    assert step.action is Action.CONFIGURED
    assert "# a secret in plain text differs" in diff_text(step)
    assert "canary" not in diff_text(step)


def test_rows_show_bad_and_disabled_ones() -> None:
    """In force, disabled by its receiver, a bad newer version, and bad alone: each has its row."""
    found = SubscriptionBook(POLICY)
    found.read(0, b"a", json.dumps(document("a", tenant="t")).encode())
    found.read(1, *status_record("a", 0, "410 Gone", "2026-11-01T00:00:00Z"))
    found.read(2, b"a", b"{")
    found.read(3, b"z", b"{}")
    first, second = subscription_rows(found)
    assert (first["id"], first["state"], first["tenant"], first["offset"]) == (
        "a",
        "active",
        "t",
        0,
    )
    assert "disabled by its receiver: 410 Gone" in str(first["note"])
    assert "the record at offset 2 is bad" in str(first["note"])
    assert (second["id"], second["state"], second["url"]) == ("z", "bad", None)
    assert "id: is required" in str(second["note"])
    assert list(first) == list(second)


def test_ulids() -> None:
    """26 characters of Crockford's alphabet, in the order of their times, different each time."""
    early, late = new_ulid(1_700_000_000_000), new_ulid(1_700_000_000_001)
    assert len(early) == 26
    assert set(early) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
    assert early < late
    assert early[:10] == "01HF7YAT00"
    assert new_ulid(0) != new_ulid(0)
    assert new_ulid(2**48 - 1)[0] == "7"


def filled(**documents: object) -> SubscriptionBook:
    """A book with a document an id."""
    found = SubscriptionBook(POLICY)
    for offset, (name, value) in enumerate(documents.items()):
        found.read(offset, name.encode(), json.dumps(value).encode())
    return found


def test_prune_takes_what_is_in_no_document() -> None:
    """What is in force and not wanted goes, by id; `diff` shows each line of it as taken away."""
    found = filled(c=document("c"), a=document("a"), b=document("b"))
    wanted = validated([Given("f", document("b"))], POLICY)
    surplus = plan_prune(wanted, found)
    assert [entry.id for entry in surplus] == ["a", "c"]
    lines = prune_text(surplus[0]).splitlines()
    assert lines[:2] == ["--- a (in force)", "+++ a (deleted)"]
    assert "-id: a" in lines
    assert not [line for line in lines[2:] if line.startswith("+")]


def test_prune_leaves_what_a_newer_version_wrote() -> None:
    """Nobody here knows what it is, so nothing is deleted until a person has looked."""
    found = filled(a=document("a"), newer={"id": "newer", "format": 99})
    with pytest.raises(UsageError, match="newer was written by a newer version of Hooklane"):
        plan_prune(validated([Given("f", document("a"))], POLICY), found)
