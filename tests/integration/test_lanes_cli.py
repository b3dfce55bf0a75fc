"""`hooklane lanes` on a real Kafka, with lanes that a real fan-out has blocked."""

import json
from datetime import datetime

import pytest
from confluent_kafka.cimpl import NewPartitions

from hooklane.ops import lanes
from hooklane.schemas.codec import TASKS
from hooklane.schemas.lane import LaneId, lane_partition
from hooklane.schemas.records import DeadLetterReason
from hooklane.schemas.topics import task_key
from tests.kafka.records import Outgoing, admin_of, produce, read_topic
from tests.support.operator_commands import Operator
from tests.support.site import PARTITIONS, Site
from tests.support.webhook_sink import Answer, WebhookSink

HALT = {"schedule": [], "on_exhausted": "halt"}


@pytest.fixture
def operator(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Operator:
    return Operator(site, monkeypatch, capsys)


def failing(sink: WebhookSink, *keys: str) -> None:
    sink.answer = lambda hit: Answer(500 if hit.key in keys else 200)


def redirected(site: Site, keys: list[str], count: int) -> None:
    """Let a fan-out put `count` deliveries of these events into the backlog, and end it."""
    with site.fanout() as fanout:
        fanout.wait_ready()
        site.publish_numbers(keys)
        fanout.wait_for(lambda: fanout.metric("hooklane_redirects_total") == count)
        assert fanout.terminate() == 0


def test_list_and_show_say_what_waits_and_why(
    site: Site, sink: WebhookSink, operator: Operator
) -> None:
    """Blocked and paused lanes with depth, first task, attempts, next time and last error."""
    failing(sink, "bad")
    site.subscribe("a", sink.url("a"), tenant="acme")
    site.subscribe("held", sink.url("held"), state="paused")
    redirected(site, ["bad", "good", "bad", "bad"], 3 + 4)
    rows = operator.json("lanes", "list")
    first = rows[0]
    assert (first["subscription"], first["key"], first["depth"]) == ("a", "bad", 3)
    assert {(row["subscription"], row["key"], row["depth"]) for row in rows[1:]} == {
        ("held", "bad", 3),
        ("held", "good", 1),
    }
    task = min(site.tasks().values(), key=lambda one: (one.subscription, one.sequence))
    assert first == first | {
        "lane": task.lane,
        "tenant": "acme",
        "subscription_state": "active",
        "topic": site.events,
        "partition": task.event.partition,
        "first_sequence": task.sequence,
        "attempts": 1,
        "halted": False,
        "last_error": "the receiver answered 500 Internal Server Error",
        "last_status": 500,
        "unreadable": None,
    }
    assert datetime.fromisoformat(first["due"]).timestamp() * 1000 == task.due_ms
    assert first["next"] in {first["due"], "at once"}
    assert {row["next"] for row in rows[1:]} == {"paused"}
    assert {row["attempts"] for row in rows[1:]} == {0}

    assert operator.json("lanes", "list", "--subscription", "a", "--key", "good") == []
    assert operator.json("lanes", "list", "--halted") == []
    assert len(operator.json("lanes", "list", "--key", "bad")) == 2
    table = operator("lanes", "list").splitlines()
    assert table[0].split()[:5] == ["LANE", "SUBSCRIPTION", "TENANT", "KEY", "TOPIC"]
    assert table[1].split()[:4] == [task.lane[:12], "a", "acme", "bad"]
    assert "TENANT" not in operator("lanes", "list", "--subscription", "held").splitlines()[0]

    for name in (task.lane, task.lane[:8].upper()):
        shown = operator.json("lanes", "show", name)
        # What was to come may have become due since.
        assert shown == shown | first | {"next": shown["next"]}
        assert [one["attempts"] for one in shown["tasks"]] == [1, 0, 0]
        sequences = [one["sequence"] for one in shown["tasks"]]
        assert sequences == sorted(sequences)
        assert {one["type"] for one in shown["tasks"]} == {site.events}
        assert (shown["ticket"]["tier"], shown["ticket"]["nudge"]) == ("5s", 0)
    assert len(operator.json("lanes", "show", task.lane, "--tasks", "2")["tasks"]) == 2
    text = operator("lanes", "show", task.lane, "--tasks", "1")
    assert "last error" in text
    assert operator.err == "2 later tasks are left out: --tasks N shows more.\n"


def test_last_errors_are_looked_for_within_a_bound(
    site: Site, sink: WebhookSink, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`list` reads only so many of the newest attempts; what lies before is not known to it."""
    failing(sink, "bad")
    site.subscribe("a", sink.url("a"))
    redirected(site, ["bad"], 1)
    [row] = operator.json("lanes", "list")
    assert row["last_status"] == 500
    partition = lane_partition(row["lane"], PARTITIONS)
    filler = [Outgoing(b"x", b"x", partition=partition) for _ in range(30)]
    produce(site.kafka, site.names.attempts, filler)
    monkeypatch.setattr(lanes, "LIST_ATTEMPTS", 20)
    [row] = operator.json("lanes", "list")
    assert (row["last_status"], row["last_error"], row["attempts"]) == (None, None, 1)
    assert operator.json("lanes", "show", row["lane"])["last_status"] == 500


def test_what_does_not_wait_is_one_sentence(site: Site, operator: Operator) -> None:
    """An empty listing is empty; a lane without tasks ends with 1, a wrong name with 2."""
    assert operator("lanes", "list", "--output", "json") == "[]\n"
    for command in (["show"], ["retry"], ["skip", "--yes"]):
        assert operator("lanes", *command, "ab" * 16, exits=1) == ""
        assert operator.err.startswith(f"Error: Nothing waits in lane {'ab' * 16}: ")
        assert operator.err.count("\n") == 1
        operator("lanes", *command, "abc", exits=2)
        assert "its first 8 digits" in operator.err
    operator("lanes", "retry", exits=2)
    operator("lanes", "retry", "ab" * 16, "--halted", exits=2)
    assert operator.json("lanes", "retry", "--subscription", "nobody") == []


def test_retry_tries_a_halted_lane_now(
    site: Site, sink: WebhookSink, operator: Operator, tmp_path: object
) -> None:
    """Rule 11: a ticket with the same attempts, one nudge more, due now: the retrier delivers."""
    failing(sink, "bad", "worse")
    site.subscribe("a", sink.url("a"), retry=HALT)
    redirected(site, ["bad", "bad", "worse"], 3)
    rows = operator.json("lanes", "list", "--halted")
    assert {(row["key"], row["next"], row["halted"]) for row in rows} == {
        ("bad", "halted", True),
        ("worse", "halted", True),
    }
    with site.retrier(RETRIER__SPOOL_DIR=str(tmp_path)) as retrier:
        retrier.wait_ready()
        failing(sink)
        sink.hits.clear()
        [done] = operator.json("lanes", "retry", "--subscription", "a", "--key", "bad", "--halted")
        assert (done["key"], done["attempts"], done["nudge"]) == ("bad", 1, 1)
        assert operator.err == "1 lane may be tried now.\n"
        retrier.wait_for(lambda: len(sink.hits) == 2)
        assert [json.loads(hit.body)["n"] for hit in sink.hits] == [0, 1]
        assert sink.hits[0].headers["hooklane-attempt"] == "2"
        retrier.wait_for(lambda: len(site.tasks()) == 1)
        [left] = operator.json("lanes", "list")
        assert left["key"] == "worse"
        operator("lanes", "retry", left["lane"][:10], "--why", "once more")
        retrier.wait_for(lambda: site.tasks() == {})
    first, second = operator.json("audit", "--action", "lanes retry")
    assert first["selection"] == {"subscription": "a", "key": "bad", "halted": "yes"}
    assert (second["selection"], second["why"]) == ({"lane": left["lane"][:10]}, "once more")
    [ticket] = [one for one in site.tickets("5s") if one.lane == done["lane"]]
    assert (ticket.attempts, ticket.nudge, ticket.halted) == (1, 1, False)
    stored = read_topic(site.kafka, f"{site.prefix}.retry.5s")
    assert {one.partition for one in stored if one.key == done["lane"].encode()} == {
        lane_partition(done["lane"], PARTITIONS)
    }


def test_of_two_nudges_the_second_is_higher(
    site: Site, sink: WebhookSink, operator: Operator
) -> None:
    """`retry` goes by what the tickets say, and `show` names the one that holds."""
    failing(sink, "bad")
    site.subscribe("a", sink.url("a"), retry=HALT)
    redirected(site, ["bad"], 1)
    [lane] = [row["lane"] for row in operator.json("lanes", "list")]
    assert operator.json("lanes", "show", lane)["ticket"]["tier"] == "10h"
    assert [operator.json("lanes", "retry", lane)[0]["nudge"] for _ in range(2)] == [1, 2]
    shown = operator.json("lanes", "show", lane)
    assert (shown["ticket"]["tier"], shown["ticket"]["nudge"]) == ("5s", 2)
    assert (shown["halted"], shown["next"], shown["attempts"]) == (False, "at once", 1)


def test_skip_gives_up_the_first_task_and_the_lane_goes_on(
    site: Site, sink: WebhookSink, operator: Operator, tmp_path: object
) -> None:
    """Rule 11: a dead letter with its last attempt, then a tombstone where the task is."""
    failing(sink, "bad")
    site.subscribe("a", sink.url("a"), retry=HALT)
    redirected(site, ["bad", "bad", "bad"], 3)
    tasks = sorted(site.tasks().values(), key=lambda task: task.sequence)
    lane = tasks[0].lane
    operator("lanes", "skip", lane, exits=2)
    assert "--yes" in operator.err
    assert f"task {tasks[0].sequence} of lane {lane}" in operator.err
    assert len(site.tasks()) == 3

    done = operator.json("lanes", "skip", lane[:9], "--yes")
    assert done == done | {
        "lane": lane,
        "sequence": tasks[0].sequence,
        "event_id": tasks[0].event.attributes["id"],
        "dead_letter": f"{lane}:{tasks[0].sequence}",
        "left": 2,
    }
    [audit] = operator.json("audit")
    assert (audit["action"], audit["subscription"], audit["count"]) == ("lanes skip", "a", 1)
    assert (audit["selection"], audit["state"]) == ({"task": done["dead_letter"]}, "done")
    last = tasks[2].sequence
    assert operator.json("lanes", "skip", lane, "--sequence", str(last), "--yes")["left"] == 1
    first_letter, second_letter = site.dead_letters()
    assert first_letter.reason is second_letter.reason is DeadLetterReason.SKIPPED
    assert (first_letter.attempts, second_letter.attempts) == (1, 0)
    assert first_letter.last_attempt is not None
    assert first_letter.last_attempt.status == 500
    assert second_letter.last_attempt is None
    assert first_letter.event == tasks[0].event
    places = [
        (one.partition, one.key)
        for one in read_topic(site.kafka, site.names.backlog)
        if one.value is None
    ]
    partition = lane_partition(lane, PARTITIONS)
    assert places == [
        (partition, task_key(lane, tasks[0].sequence)),
        (partition, task_key(lane, last)),
    ]
    failing(sink)
    sink.hits.clear()
    with site.retrier(RETRIER__SPOOL_DIR=str(tmp_path)) as retrier:
        retrier.wait_ready()
        retrier.wait_for(lambda: site.tasks() == {})
    assert [json.loads(hit.body)["n"] for hit in sink.hits] == [1]
    operator("lanes", "skip", lane, "--sequence", str(last), "--yes", exits=1)


def test_what_cannot_be_read_is_shown_and_stops_nothing(
    site: Site, sink: WebhookSink, operator: Operator
) -> None:
    """A newer version's task is listed as such and kept; a broken one can be given up whole."""
    failing(sink, "bad")
    site.subscribe("a", sink.url("a"), retry=HALT)
    redirected(site, ["bad"], 1)
    newer, broken = LaneId("0" * 32), LaneId("f" * 32)
    [good] = site.tasks().values()
    cut = TASKS.encode(good)[:-3]
    records = [
        (newer, task_key(newer, 7), b"\xc3\x01newschemfuture"),
        (broken, task_key(broken, 8), cut),
        (broken, b"no task key", b"x"),
    ]
    for lane, key, value in records:
        place = lane_partition(lane, PARTITIONS)
        produce(site.kafka, site.names.backlog, [Outgoing(key, value, partition=place)])
    place = lane_partition(good.lane, PARTITIONS)
    for topic in (f"{site.prefix}.retry.5s", site.names.attempts):
        strange = Outgoing(good.lane.encode(), b"\xc3\x01newschem", partition=place)
        produce(site.kafka, topic, [strange])

    rows = {row["lane"]: row for row in operator.json("lanes", "list")}
    assert "1 tickets could not be read" in operator.err
    assert "1 backlog records have keys" in operator.err
    assert rows[good.lane]["attempts"] == 1
    assert rows[good.lane]["last_status"] == 500
    assert "newer version" in rows[newer]["unreadable"]
    assert (rows[newer]["first_sequence"], rows[newer]["subscription"]) == (7, None)
    assert rows[broken]["unreadable"].startswith("broken")
    assert len(operator("lanes", "list").splitlines()) == 4
    assert [row["lane"] for row in operator.json("lanes", "list", "--key", "bad")] == [good.lane]
    assert "2 lanes are left out" in operator.err
    assert "newer" in operator("lanes", "show", newer)

    for command in (["retry", newer], ["skip", newer, "--yes"], ["retry", broken]):
        operator("lanes", *command, exits=1)
        assert "use the version of hooklane that wrote it" in operator.err
    assert site.dead_letters() == []
    assert operator.json("lanes", "skip", broken, "--yes")["left"] == 0
    [letter] = site.dead_letters()
    assert (letter.lane, letter.sequence, letter.value) == (broken, 8, cut)
    assert set(site_keys(site)) == {task_key(newer, 7), task_key(good.lane, good.sequence)}


def site_keys(site: Site) -> list[bytes]:
    """The tasks that wait, by key, whether they can be read or not."""
    latest = {one.key: one.value for one in read_topic(site.kafka, site.names.backlog)}
    return [
        key
        for key, value in latest.items()
        if value is not None and key is not None and b":" in key
    ]


def test_topics_of_other_sizes_are_not_written_to(site: Site, operator: Operator) -> None:
    """A lane's records must be in the partition of one number everywhere, else nothing is done."""
    lane = LaneId("f" * 32)
    place = lane_partition(lane, PARTITIONS)
    produce(site.kafka, site.names.backlog, [Outgoing(task_key(lane, 1), b"", partition=place)])
    admin = admin_of(site.kafka)
    wanted = NewPartitions(site.names.dead_letters, PARTITIONS + 1)
    admin.create_partitions([wanted])[site.names.dead_letters].result(20)
    operator("lanes", "skip", lane, "--yes", exits=1)
    assert f"{site.names.dead_letters} has 5 partitions" in operator.err
    assert "hooklane topics check" in operator.err
    assert site.dead_letters() == []
    assert len(operator.json("lanes", "list")) == 1


def test_failures_are_one_sentence(
    site: Site, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Missing topics and a broker that is away: exit 1, what to change, and no more."""
    monkeypatch.setenv("HOOKLANE_TOPICS__PREFIX", "nowhere")
    assert operator("lanes", "list", exits=1) == ""
    assert "hooklane topics apply" in operator.err
    monkeypatch.setenv("HOOKLANE_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    assert operator("lanes", "list", exits=1) == ""
    assert "HOOKLANE_KAFKA__BOOTSTRAP_SERVERS" in operator.err
    assert operator.err.count("\n") == 1
