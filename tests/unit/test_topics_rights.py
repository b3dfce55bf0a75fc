"""What each principal has to be allowed: by the settings, and in the words of Kafka's script."""

import re
import shlex
from pathlib import Path

import pytest

from hooklane.ops.topics_rights import (
    Groups,
    Operation,
    Resource,
    Right,
    Role,
    acl_commands,
    rights,
)
from hooklane.runtime.kafka_settings import plan_from
from hooklane.runtime.settings import load_settings
from hooklane.runtime.topic_plan import TopicPlan
from hooklane.schemas.topics import Delay, TopicNames

ROOT = Path(__file__).resolve().parents[2]
GROUPS = Groups("acme-fanout", "acme-retrier")
PRINCIPALS = {role: f"User:CN={role},O=Acme Ltd" for role in Role}


def plan(*events: str) -> TopicPlan:
    return TopicPlan(TopicNames("acme"), 4, 3, (Delay.parse("5s"), Delay.parse("1m")), events)


@pytest.mark.parametrize(
    ("event", "name", "prefixed"),
    [
        ("orders.events", "orders.events", False),
        (r"^orders\..*", "orders.", True),
        (r"^billing[.].*$", "billing.", True),
        (r"^a-b_c\.v1\.(x|y)", "*", False),
        (r"^ord?ers", "or", True),
        (r"^orders\.*x", "orders", True),
        (r"^ab+c", "ab", True),
        (r"^x{2}", "*", False),
        (r"^.*", "*", False),
        (r"^orders|billing", "*", False),
    ],
)
def test_a_pattern_is_what_its_names_begin_with(event: str, name: str, prefixed: bool) -> None:
    """Kafka's rights know no expressions: a beginning that all names have, else every topic."""
    found = [
        (one.name, one.prefixed)
        for one in rights(plan(event), GROUPS)
        if one.role is Role.FANOUT and Operation.READ in one.operations and "event" in one.why
    ]
    assert found == [(name, prefixed)]


def test_only_own_names_are_named() -> None:
    """Topics of the prefix and of the events, the service's own group and transactional ids."""
    for one in rights(plan("orders.events"), GROUPS):
        match one.resource:
            case Resource.TOPIC:
                assert one.name.startswith("acme.") or one.name == "orders.events"
                assert one.name != "acme" or not one.prefixed
            case _ if one.role is Role.OPERATOR and one.name.startswith("acme-"):
                runs = {"acme-dead-letters-", "acme-replay-"}
                assert (one.name in runs, one.prefixed) == (True, True)
            case Resource.TRANSACTIONAL_ID if one.role is Role.OUTBOX:
                assert (one.name, one.prefixed) == ("acme-outbox-", True)
            case Resource.GROUP if Operation.READ in one.operations:
                assert (one.name, one.prefixed) == (f"acme-{one.role}", False)
            case Resource.GROUP:
                assert one.name in {"acme.subscriptions.reader", "hooklane-reader-"}
                assert one.operations == (Operation.DESCRIBE,)
            case Resource.TRANSACTIONAL_ID:
                assert (one.name, one.prefixed) == (f"acme-acme-{one.role}-", True)


def test_nobody_may_do_what_is_not_his() -> None:
    """Only who makes topics may create and alter; events are written by who publishes."""
    found = rights(plan("orders.events"), GROUPS)
    making = {Operation.CREATE, Operation.ALTER_CONFIGS}
    assert {one.role for one in found if making & set(one.operations)} == {Role.SETUP}
    writers = {
        one.role
        for one in found
        if one.name == "orders.events" and Operation.WRITE in one.operations
    }
    assert writers == {Role.PUBLISHER, Role.OUTBOX}
    readers = {one.role for one in found if one.name == "orders.events"}
    assert Role.RETRIER not in readers


def test_commands_are_lines_for_a_shell() -> None:
    """Each right once, with its principal, quoted where a name of a certificate needs it."""
    found = rights(plan("orders.events", "^a[.].*"), GROUPS)
    lines = list(acl_commands(found, PRINCIPALS, "kafka:9092, other:9092"))
    assert len(lines) == len(found)
    for one, line in zip(found, lines, strict=True):
        words = shlex.split(line)
        assert words[:4] == [
            "kafka-acls.sh",
            "--bootstrap-server",
            "kafka:9092,other:9092",
            "--add",
        ]
        assert words[words.index("--allow-principal") + 1] == PRINCIPALS[one.role]
        assert words[words.index(f"--{one.resource}") + 1] == one.name
        assert [words[at + 1] for at, word in enumerate(words) if word == "--operation"] == [
            *one.operations
        ]
        assert ("prefixed" in words) is one.prefixed
        assert re.search(r"User:CN=\w+,O=Acme Ltd", line)


def documented(found: list[Right]) -> list[str]:
    """Rows as docs/security.md has them; tiers are one row."""
    rows = []
    for one in found:
        name = re.sub(r"(?<=[.]retry[.])\w+$", "<delay>", one.name) + ("*" if one.prefixed else "")
        operations = ", ".join(one.operations)
        rows.append(f"| {one.role} | {one.resource} | `{name}` | {operations} | {one.why} |")
    return list(dict.fromkeys(rows))


def test_the_page_has_each_right() -> None:
    """The table of docs/security.md is what the command prints by default, tiers as one row."""
    settings = load_settings(None, {"HOOKLANE_FANOUT__TOPICS": '["orders.events"]'})
    groups = Groups(settings.fanout.group_id, settings.retrier.group_id)
    page = (ROOT / "docs" / "security.md").read_text()
    section = page.split("\n## Rights at the brokers\n")[1].split("\n## ")[0]
    table = section.split("|---|---|---|---|---|\n")[1].split("\n\n")[0]
    assert table.splitlines() == documented(rights(plan_from(settings), groups))
