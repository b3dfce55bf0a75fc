"""What acting commands write into the audit, and how it is listed."""

import getpass
from collections.abc import Mapping
from typing import Any

import pytest
import typer

from hooklane.ops.audit_action import Action
from hooklane.ops.audit_view import AuditPicker, AuditSelection
from hooklane.ops.audit_write import audit_record
from hooklane.ops.command import Invocation
from hooklane.ops.log_selection import Window
from hooklane.schemas.codec import AUDITS
from hooklane.schemas.records_operator import AuditState
from hooklane.schemas.topics import TopicNames

NOW_MS = 1_790_000_000_000


def an_action(name: str = "lanes skip", by: str | None = "ada", **more: Any) -> Action:
    context = typer.Context(typer.main.get_command(typer.Typer(callback=lambda: None)))
    context.obj = Invocation(typed=("lanes", "skip", "3f2a 9c01"))
    return Action.of(context, name, by, "it is \udcff broken", **more)


def test_a_record_says_who_when_what_and_why() -> None:
    """As it was typed, with what was not typed left out; what is no text does not stop it."""
    action = an_action(subscription="billing", selection={"task": "3f:1", "key": None})
    record = action.record(AuditState.DONE, NOW_MS, count=1, detail="task 1")
    assert (record.by, record.at_ms, record.action) == ("ada", NOW_MS, "lanes skip")
    assert record.command == "hooklane lanes skip '3f2a 9c01'"
    assert (record.subscription, record.selection) == ("billing", {"task": "3f:1"})
    assert record.why == "it is \\udcff broken"
    written = audit_record(record, TopicNames("p"))
    assert (written.topic, written.partition, written.key) == ("p.audit", 0, record.id.encode())
    assert AUDITS.decode(written.value or b"") == record


def test_without_a_name_it_is_the_systems_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """And where the system has none for it, the user's number."""
    monkeypatch.setattr(getpass, "getuser", lambda: "root")
    assert an_action(by=None).by == "root"

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert an_action(by=None).by.isdigit()


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ({}, True),
        ({"by": "ada", "action": "lanes skip", "subscription": "billing"}, True),
        ({"action": "lanes"}, True),
        ({"action": "lane"}, False),
        ({"by": "bob"}, False),
        ({"subscription": "shipping"}, True),
        ({"subscription": "ship"}, False),
        ({"id": "x"}, False),
        ({"window": Window(NOW_MS + 1)}, False),
    ],
)
def test_which_records_are_listed(asked: Mapping[str, Any], shown: bool) -> None:
    """By who, what, about which subscription, also one of several, and when."""
    action = an_action(subscription="billing", selection={"subscriptions": "billing, shipping"})
    value = AUDITS.encode(action.record(AuditState.DONE, NOW_MS))
    picked = AuditPicker(AuditSelection(**asked)).pick(b"k", value, NOW_MS)
    assert (picked is not None) == shown


def test_what_cannot_be_read_is_listed_or_counted() -> None:
    """A newer version's record is a row where all are asked for, and else told beside."""
    newer = b"\xc3\x01newschem"
    picked = AuditPicker(AuditSelection()).pick(b"01K", newer, NOW_MS)
    assert picked is not None
    assert (picked[1]["id"], picked[1]["by"]) == ("01K", None)
    assert "no schema" in str(picked[1]["unreadable"])
    picker = AuditPicker(AuditSelection(by="ada"))
    assert (picker.pick(b"01K", newer, NOW_MS), picker.unread) == (None, 1)
    assert picker.pick(b"01K", None, NOW_MS) is None
