"""`dead-letters redrive` and `purge`, `replay` and `audit`, with real services on a real Kafka.

One site and one pair of services for all of them. What a command writes is cut off in its middle,
by SIGINT and by SIGKILL, and done again: a receiver sees each delivery once, in order.
"""

import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from hooklane.schemas.codec import DEAD_LETTERS
from tests.kafka.broker import Kafka
from tests.kafka.records import read_topic
from tests.support.operator_commands import Operator
from tests.support.processes import HOOKLANE, ServiceProcess
from tests.support.site import Site, make_site
from tests.support.webhook_sink import Answer, Hit, WebhookSink

KEYS = [f"k-{number}" for number in range(4)]
ROUNDS = 20
COUNT = len(KEYS) * ROUNDS
RATE = "40/s"


@dataclass
class Stage:
    """Both services at work, and a receiver that refuses the paths that are failing."""

    site: Site
    sink: WebhookSink
    fanout: ServiceProcess
    failing: set[str] = field(default_factory=set)

    def cut_off(self, arguments: list[str], path: str, at: int, by: signal.Signals) -> str:
        """Begin a command, and send it a signal once so many of its deliveries have come."""
        process = subprocess.Popen(
            [HOOKLANE, *arguments],
            env=self.site.environment(),
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        self.sink.wait_for(lambda: len(self.replayed(path)) >= at or process.poll() is not None)
        process.send_signal(by)
        _, said = process.communicate(timeout=30)
        assert process.returncode == (130 if by is signal.SIGINT else -by), said
        return said

    def replayed(self, path: str) -> list[Hit]:
        """What has come of a run."""
        return [hit for hit in self.sink.of(path) if "hooklane-replay" in hit.headers]

    def wait_replayed(self, path: str, count: int) -> list[Hit]:
        self.sink.wait_for(lambda: len(self.replayed(path)) >= count)
        return self.replayed(path)

    def give_up(self, name: str) -> None:
        """Let all events become dead letters of a new subscription."""
        self.failing.add(f"/{name}")
        self.site.subscribe(name, self.sink.url(name), retry={"schedule": []})
        before = self.fanout.metric("hooklane_dead_letters_total")
        self.publish()
        self.fanout.wait_for(
            lambda: self.fanout.metric("hooklane_dead_letters_total") == before + COUNT
        )
        self.failing.clear()

    def publish(self) -> None:
        self.site.publish_numbers(KEYS * ROUNDS)


@pytest.fixture(scope="module")
def stage(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    site = make_site(kafka, f"act-{uuid4().hex[:8]}", tiers=("1s",))
    spool = str(tmp_path_factory.mktemp("spool"))
    with (
        WebhookSink() as sink,
        site.fanout() as fanout,
        site.retrier(RETRIER__SPOOL_DIR=spool) as retrier,
    ):
        stage = Stage(site, sink, fanout)
        sink.answer = lambda hit: Answer(500 if hit.path in stage.failing else 200)
        for service in (fanout, retrier):
            service.wait_ready()
        yield stage


@pytest.fixture
def operator(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Operator:
    return Operator(stage.site, monkeypatch, capsys)


def sequences(hits: list[Hit]) -> dict[str, list[int]]:
    """By key, in the order in which they came."""
    found: dict[str, list[int]] = {}
    for hit in hits:
        found.setdefault(hit.key, []).append(int(hit.headers["hooklane-sequence"]))
    return found


def assert_each_once_in_order(hits: list[Hit], rounds: int = ROUNDS) -> None:
    """Every event of every key, in rising sequence, none twice."""
    assert Counter({key: len(found) for key, found in sequences(hits).items()}) == Counter(
        dict.fromkeys(KEYS, rounds)
    )
    for found in sequences(hits).values():
        assert found == sorted(set(found))


def test_a_redrive_is_cut_off_twice_and_nothing_is_doubled_or_turned_round(
    stage: Stage, operator: Operator
) -> None:
    """SIGINT and SIGKILL in the middle, then once more: each letter once, in order, in one run."""
    stage.give_up("a")
    ids = {hit.headers["ce-id"]: hit.headers["webhook-id"] for hit in stage.sink.of("a")}
    redrive = ["dead-letters", "redrive", "--subscription", "a"]
    counted = operator.json(*redrive, "--dry-run")
    assert (counted["run"], counted["state"]) == (None, "counted")
    assert (counted["matched"], counted["redriven"], counted["left"]) == (COUNT, COUNT, {})
    assert stage.replayed("a") == []

    said = stage.cut_off([*redrive, "--rate", RATE], "a", 10, signal.SIGINT)
    assert "Interrupted: " in said
    assert "the same command goes on" in said
    stage.cut_off([*redrive, "--rate", RATE], "a", 40, signal.SIGKILL)
    done = operator.json(*redrive, "--why", "they mended it", "--by", "ada")
    assert f"Goes on with run {done['run']}" in operator.err
    assert (done["state"], done["matched"]) == ("done", COUNT)
    hits = stage.wait_replayed("a", COUNT)
    assert_each_once_in_order(hits)
    assert {hit.headers["hooklane-replay"] for hit in hits} == {done["run"]}
    assert {hit.headers["ce-id"]: hit.headers["webhook-id"] for hit in hits} == ids

    assert operator.json("dead-letters", "list") == []
    redriven = operator.json("dead-letters", "list", "--state", "redriven")
    assert (len(redriven), {row["state_run"] for row in redriven}) == (COUNT, {done["run"]})
    assert operator.json("dead-letters", "show", redriven[0]["id"])["state"] == "redriven"
    repeated = operator.json(*redrive)
    assert (repeated["redriven"], repeated["left"]) == (0, {"redriven_before": COUNT})
    states = Counter(row["state"] for row in operator.json("audit", "--id", done["run"]))
    assert states == {"begun": 3, "interrupted": 1, "done": 1}
    [_, last] = operator.json("audit", "--by", "ada", "--action", "dead-letters")
    assert (last["why"], last["subscription"]) == ("they mended it", "a")


def test_what_fails_again_is_a_dead_letter_again(stage: Stage, operator: Operator) -> None:
    """Given up in its run it is open again, and a run of its own redrives it, with a new id."""
    [letter] = operator.json("dead-letters", "list", "--state", "redriven", "--limit", "1")
    stage.failing.add("/a")
    before = len(stage.replayed("a"))
    first = operator.json("dead-letters", "redrive", letter["id"], "--again")
    stage.wait_replayed("a", before + 1)
    stage.sink.wait_for(lambda: operator.json("dead-letters", "list") != [])
    [once_more] = operator.json("dead-letters", "list")
    assert (once_more["run"], once_more["event_id"]) == (first["run"], letter["event_id"])
    stage.failing.clear()
    second = operator.json("dead-letters", "redrive", once_more["id"][:9], "--new-ids")
    assert (second["redriven"], second["run"] != first["run"]) == (1, True)
    last = stage.wait_replayed("a", before + 2)[-1]
    assert last.headers["hooklane-replay"] == second["run"]
    assert last.headers["webhook-id"] != letter["webhook_id"]
    assert operator.json("dead-letters", "list") == []


def test_a_replay_is_cut_off_twice_and_goes_on_where_it_was(
    stage: Stage, operator: Operator
) -> None:
    """Past events go to one subscription alone, each once and in order, while it lives on."""
    stage.site.subscribe("b", stage.sink.url("b"))
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    until = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    replay = ["replay", "-s", "b", "--topic", stage.site.events, "--since", since]
    replay += ["--until", until, "--key", "k-1"]
    counted = operator.json(*replay, "--dry-run")
    assert (counted["matched"], counted["passed"]) == (
        ROUNDS,
        {"of_another_time_or_key": COUNT - ROUNDS},
    )
    others = len(stage.sink.of("a"))

    said = stage.cut_off([*replay, "--rate", "10/s"], "b", 3, signal.SIGINT)
    run = said.split("`hooklane replay --run ")[1].split("`")[0]
    stage.cut_off(["replay", "--run", run, "--rate", "10/s"], "b", 8, signal.SIGKILL)
    done = operator.json(*replay)
    assert (done["run"], done["state"]) == (run, "done")
    hits = stage.wait_replayed("b", ROUNDS)
    [found] = sequences(hits).values()
    assert (len(found), found) == (ROUNDS, sorted(set(found)))
    assert {hit.headers["hooklane-replay"] for hit in hits} == {run}
    assert {hit.headers["hooklane-attempt"] for hit in hits} == {"1"}
    assert len(stage.sink.of("a")) == others
    assert stage.site.lane_records("released") == {}

    operator(*replay, exits=2)
    assert f"as run {run}: give --again" in operator.err
    operator("replay", "--run", run, exits=2)
    assert f"Run {run} is done" in operator.err


def test_purged_letters_are_hidden_and_deleted_where_kafka_can(
    stage: Stage, operator: Operator
) -> None:
    """Those before them stay what they are; once all of a beginning is purged, it is deleted."""
    stage.give_up("c")
    purge = ["dead-letters", "purge", "--subscription", "c", "--key", "k-2"]
    operator(*purge, exits=2)
    assert "--yes" in operator.err
    purged = operator.json(*purge, "--yes")
    assert (purged["matched"], purged["purged"]) == (ROUNDS, ROUNDS)
    assert len(operator.json("dead-letters", "list", "-s", "c")) == COUNT - ROUNDS
    again = operator.json("dead-letters", "redrive", "-s", "c", "--key", "k-2")
    assert (again["redriven"], again["left"]) == (0, {"purged": ROUNDS})
    every = operator.json("dead-letters", "purge", "--all", "--state", "all", "--yes")
    assert every["deleted"] > COUNT
    assert operator.json("dead-letters", "list", "--state", "all") == []
    left = [
        one
        for one in read_topic(stage.site.kafka, stage.site.names.dead_letters)
        if DEAD_LETTERS.wrote(one.value or b"")
    ]
    assert left == []
