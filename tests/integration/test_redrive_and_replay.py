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

from tests.kafka.broker import Kafka
from tests.support.operator_commands import Operator
from tests.support.processes import HOOKLANE, ServiceProcess
from tests.support.site import Site, make_site
from tests.support.webhook_sink import Answer, Hit, WebhookSink

KEYS = [f"k-{number}" for number in range(4)]
ROUNDS = 12
COUNT = len(KEYS) * ROUNDS
RATE = "16/s"
"""So slow that what is cut off is far from done, also on a machine that is busy."""


WRITING = ("Redriving: ", "Replaying: ")


@dataclass
class Stage:
    """Both services at work, and a receiver that refuses the paths that are failing."""

    site: Site
    sink: WebhookSink
    fanout: ServiceProcess
    failing: set[str] = field(default_factory=set)

    def begun(self, arguments: list[str]) -> "subprocess.Popen[str]":
        """A command that has read what there is, and begins to write."""
        process = subprocess.Popen(
            [HOOKLANE, *arguments],
            env=self.site.environment(),
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if line.startswith(WRITING):
                return process
        raise AssertionError(said)

    def cut_off(self, arguments: list[str], path: str, at: int, by: signal.Signals) -> str:
        """Begin a command, and send it a signal once so many deliveries have come in all."""
        process = self.begun(arguments)
        self.sink.wait_for(lambda: len(self.replayed(path)) >= at or process.poll() is not None)
        process.send_signal(by)
        return ended(process, 130 if by is signal.SIGINT else -by)

    def replayed(self, path: str) -> list[Hit]:
        """What has come of a run."""
        return [hit for hit in self.sink.of(path) if "hooklane-replay" in hit.headers]

    def wait_replayed(self, path: str, count: int) -> list[Hit]:
        self.sink.wait_for(lambda: len(self.replayed(path)) >= count)
        return self.replayed(path)

    def give_up(self, name: str) -> None:
        """Let all of some events become dead letters of this subscription."""
        self.failing.add(f"/{name}")
        before = self.fanout.metric("hooklane_dead_letters_total")
        self.site.publish_numbers(KEYS * ROUNDS)
        self.fanout.wait_for(
            lambda: self.fanout.metric("hooklane_dead_letters_total") == before + COUNT
        )
        self.failing.clear()


@pytest.fixture(scope="module")
def stage(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    site = make_site(kafka, f"act-{uuid4().hex[:8]}", tiers=("1s",))
    spool = str(tmp_path_factory.mktemp("spool"))
    with WebhookSink() as sink:
        # Before the services begin, so that no event comes before its subscription.
        for name in ("a", "c"):
            site.subscribe(name, sink.url(name), retry={"schedule": []})
        with site.fanout() as fanout, site.retrier(RETRIER__SPOOL_DIR=spool) as retrier:
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


def ended(process: "subprocess.Popen[str]", code: int) -> str:
    """What it said until its end."""
    _, said = process.communicate(timeout=30)
    assert process.returncode == code, said
    return said


def sequences(hits: list[Hit]) -> dict[str, list[int]]:
    """By key, in the order in which they came."""
    found: dict[str, list[int]] = {}
    for hit in hits:
        found.setdefault(hit.key, []).append(int(hit.headers["hooklane-sequence"]))
    return found


def assert_each_once_in_order(hits: list[Hit]) -> None:
    """Every event of every key, in rising sequence, none twice."""
    assert Counter({key: len(found) for key, found in sequences(hits).items()}) == Counter(
        dict.fromkeys(KEYS, ROUNDS)
    )
    for found in sequences(hits).values():
        assert found == sorted(set(found))


def test_a_redrive_is_cut_off_thrice_and_nothing_is_doubled_or_turned_round(
    stage: Stage, operator: Operator
) -> None:
    """Rule 12, by SIGINT, SIGKILL, and another redrive that takes over: each once, in order."""
    stage.give_up("a")
    ids = {hit.headers["ce-id"]: hit.headers["webhook-id"] for hit in stage.sink.of("a")}
    redrive = ["dead-letters", "redrive", "--subscription", "a"]
    counted = operator.json(*redrive, "--dry-run")
    assert (counted["run"], counted["state"]) == (None, "counted")
    assert (counted["matched"], counted["redriven"], counted["left"]) == (COUNT, COUNT, {})
    assert stage.replayed("a") == []

    said = stage.cut_off([*redrive, "--rate", RATE], "a", 8, signal.SIGINT)
    assert "Interrupted: " in said
    assert "the same command goes on" in said
    stage.cut_off([*redrive, "--rate", RATE], "a", 22, signal.SIGKILL)
    overtaken = stage.begun([*redrive, "--rate", "1/s"])
    done = operator.json(*redrive, "--why", "they mended it", "--by", "ada")
    assert "another process of this kind has begun" in ended(overtaken, 1)
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
    assert states == {"begun": 4, "interrupted": 1, "done": 1}
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
    """Rule 12: past events go to one subscription alone, in order, and each comes once."""
    stage.site.subscribe("b", stage.sink.url("b"))
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    until = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    replay = ["replay", "-s", "b", "--topic", stage.site.events, "--since", since]
    replay += ["--until", until]
    one_key = operator.json(*replay, "--key", "k-1", "--dry-run")
    assert (one_key["matched"], one_key["passed"]) == (
        ROUNDS,
        {"of_another_time_or_key": COUNT - ROUNDS},
    )
    others = len(stage.sink.of("a"))

    said = stage.cut_off([*replay, "--rate", RATE], "b", 8, signal.SIGINT)
    run = said.split("`hooklane replay --run ")[1].split("`")[0]
    stage.cut_off(["replay", "--run", run, "--rate", RATE], "b", 20, signal.SIGKILL)
    done = operator.json(*replay)
    assert (done["run"], done["state"]) == (run, "done")
    hits = stage.wait_replayed("b", COUNT)
    assert_each_once_in_order(hits)
    assert {hit.headers["hooklane-replay"] for hit in hits} == {run}
    assert {hit.headers["hooklane-attempt"] for hit in hits} == {"1"}
    assert len(stage.sink.of("a")) == others
    assert stage.site.lane_records("released") == {}

    operator(*replay, exits=2)
    assert f"as run {run}: give --again" in operator.err
    [*_, last] = operator.json("audit", "--action", "replay")
    assert (last["id"], last["state"], last["subscription"]) == (run, "done", "b")
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
    # Where they stood at a partition's beginning they are deleted already.
    assert (again["redriven"], again["left"].keys() - {"purged"}) == (0, set())
    every = operator.json("dead-letters", "purge", "--all", "--state", "all", "--yes")
    assert every["deleted"] > COUNT
    assert operator.json("dead-letters", "list", "--state", "all") == []
    assert stage.site.dead_letters() == []
