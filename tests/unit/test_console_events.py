"""The test event as a task of its own, and what pages take over from commands."""

import json

import pytest

from hooklane.ops.audit_action import Action
from hooklane.ops.console.redrives import Redrives, RunningRedrive
from hooklane.ops.console.test_event import TEST_TYPE, event_id, task_for_test, usual_type
from hooklane.ops.dead_letters_view import LetterSelection
from hooklane.ops.output import heard_by, is_at_terminal, notice
from hooklane.runtime.errors import UsageError
from hooklane.runtime.settings import Settings
from hooklane.schemas.book import Entry, SubscriptionBook
from hooklane.schemas.lane import LaneNamer
from hooklane.schemas.records_operator import AuditState
from hooklane.schemas.subscription_values import ServicePolicy


def entry_of(**fields: object) -> Entry:
    book = SubscriptionBook(ServicePolicy(tiers=()))
    document = {"id": "a", "uid": "u", "url": "https://hooks.example.com/", **fields}
    book.read(7, b"a", json.dumps(document).encode())
    entry = book.entry("a")
    assert entry is not None
    return entry


def test_a_test_event_is_in_nobodys_way() -> None:
    """Its lane is no live event's and no other test's, it goes at once, and its webhook-id is of no
    event, or a receiver would take the real one for a repetition."""
    entry = entry_of()
    task = task_for_test(entry, "g", ("orders", "id"), ("order.paid", b"{}"), "R1", 1000)
    other = task_for_test(entry, "g", ("orders", "id"), ("order.paid", b"{}"), "R2", 1000)
    live = LaneNamer("g", "a", "u", "id", 0)
    assert len({task.lane, other.lane, live.lane(None), live.one_shot(None, 0)}) == 4
    assert len({task.webhook_id, other.webhook_id, live.webhook_id(0)}) == 3
    assert (task.one_shot, task.attempts, task.due_ms, task.halted) == (True, 0, 1000, False)
    assert (task.subscription, task.uid, task.config_offset, task.run) == ("a", "u", 7, "R1")
    assert task.event.attributes["id"] == event_id("R1") == "test-R1"
    assert (task.event.attributes["type"], task.event.data) == ("order.paid", b"{}")


@pytest.mark.parametrize(
    ("types", "usual"),
    [
        (None, TEST_TYPE),
        (["order.*"], TEST_TYPE),
        (["order.*", "order.paid", "order.sent"], "order.paid"),
    ],
)
def test_a_test_event_is_of_a_type_that_the_receiver_knows(
    types: list[str] | None, usual: str
) -> None:
    """The first that the document names whole; else one that says what it is."""
    entry = entry_of() if types is None else entry_of(match={"types": types})
    assert usual_type(entry) == usual


def test_one_redrive_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second one is refused while the first is not over, and not thereafter; of those that are
    over fifty are remembered; at the end of the console those under way are told to stop."""
    monkeypatch.setattr(Redrives, "_start", staticmethod(lambda work: None))
    redrives = Redrives(Settings())

    def begun() -> RunningRedrive:
        action = Action.new("dead-letters redrive", "ada", "", "console")
        return redrives.begin(action, LetterSelection(), None)

    first = begun()
    with pytest.raises(UsageError, match="of ada is under way"):
        begun()
    assert redrives.stop_all() == [first]
    assert first.stop.is_asked()
    first.state = "interrupted"
    for _ in range(60):
        begun().state = "done"
    assert redrives.stop_all() == []
    assert redrives.get(first.name) is None


def test_a_page_hears_what_a_terminal_would_be_told(capfd: pytest.CaptureFixture[str]) -> None:
    """Only while it listens, and nothing comes twice."""
    said: list[str] = []
    with heard_by(said.append):
        assert not is_at_terminal()
        notice("for the page\x07")
    notice("for the terminal")
    assert said == ["for the page\\x07"]
    assert capfd.readouterr().err == "for the terminal\n"


def test_a_deed_of_a_page_is_told_as_a_commands() -> None:
    """Who, why, how, and what was asked for; what was not asked for is left out."""
    action = Action.new("lanes skip", "ada", "why", "how", selection={"lane": "l", "key": None})
    record = action.record(AuditState.DONE, 5, count=1)
    assert (record.by, record.why, record.command, record.action) == (
        "ada",
        "why",
        "how",
        "lanes skip",
    )
    assert (record.selection, record.count, record.state) == ({"lane": "l"}, 1, AuditState.DONE)
    assert len(record.id) == 26
