"""Single faults of the services' own processes, of which the storm's mixture proves too little."""

import random
import resource
import signal
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.chaos.keeper import Keeper, Kept
from tests.chaos.stage import stage, until
from tests.kafka.broker import Kafka
from tests.kafka.records import Outgoing
from tests.support.site import make_site
from tests.support.webhook_sink import OK, Answer, WebhookSink

SESSION_S = 3.0
SHORT = {"KAFKA__SESSION_TIMEOUT": f"{SESSION_S:.0f}s"}


@pytest.mark.timeout(200)
def test_frozen_for_longer_than_the_session(kafka: Kafka, prefix: str, tmp_path: Path) -> None:
    """SIGSTOP: the other ones take over and all arrives; after SIGCONT no order is broken."""
    with stage(kafka, prefix) as flowing, ExitStack() as stack:
        pairs = [
            (
                stack.enter_context(flowing.site.fanout(name, **SHORT)),
                stack.enter_context(
                    flowing.site.retrier(name, RETRIER__SPOOL_DIR=str(tmp_path / name), **SHORT)
                ),
            )
            for name in ("one", "two")
        ]
        for process in (one for pair in pairs for one in pair):
            process.wait_ready()
        for frozen in pairs:
            for process in frozen:
                process.send(signal.SIGSTOP)
            time.sleep(SESSION_S)
            # Only the other pair can have done this.
            flowing.settle()
            for process in frozen:
                process.send(signal.SIGCONT)
            flowing.settle()
        flowing.finish()
        assert [one.terminate() for pair in pairs for one in pair] == [0] * 4


@pytest.mark.timeout(200)
def test_out_of_memory_loses_nothing(kafka: Kafka, prefix: str, tmp_path: Path) -> None:
    """Allocations fail: what cannot go on ends, and the next process does what was left undone."""
    endings: Counter[str] = Counter()
    with stage(kafka, prefix) as flowing:
        fanout = Kept(flowing.site.fanout(), None, endings)
        retrier = Kept(flowing.site.retrier(RETRIER__SPOOL_DIR=str(tmp_path)), None, endings)
        with Keeper({"fanout": [fanout], "retrier": [retrier]}) as keeper:
            flowing.settle()
            for kept in keeper.all:
                starve(kept.process.pid)
            # What a process lives on it has already: larger events ask for more.
            flowing.site.publish(
                Outgoing(b"large-%d" % at, b'{"n":-1,"x":"%b"}' % (b"x" * 900_000))
                for at in range(80)
            )
            until(lambda: endings.total() > 0, lambda: "nobody has run out of memory", 40.0)
            flowing.finish()
            for kept in keeper.all:
                kept.terminate()


def starve(pid: int) -> None:
    """No more memory of its own than it has. RLIMIT_AS would count what is only reserved."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    has = next(int(line.split()[1]) for line in status if line.startswith("VmData:")) * 1024
    resource.prlimit(pid, resource.RLIMIT_DATA, (has, has))


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_rebalance_storm(kafka: Kafka, prefix: str) -> None:
    """Dynamic members join and leave, each a rebalance at once: nothing is lost or turned round."""
    chance = random.Random(7)
    with stage(kafka, prefix, names=["steady"]) as flowing, ExitStack() as stack:
        told = {"FANOUT__SPILL_AFTER": "10m"}
        members = [
            stack.enter_context(flowing.site.fanout(name, KAFKA__INSTANCE_ID="", **told))
            for name in ("one", "two", "three")
        ]
        members[0].wait_ready()
        for bounce in range(6):
            time.sleep(chance.uniform(0.0, 0.7))
            assert members[bounce % 3].terminate() == 0
            members[bounce % 3].start()
            # The one that is next may not be gone before this one can take a signal.
            members[(bounce + 1) % 3].wait_ready()
        verdict = flowing.finish()
        assert verdict.repeats == 0
        assert [member.terminate() for member in members] == [0] * 3


@pytest.mark.timeout(200)
@pytest.mark.parametrize("died", ["fanout", "retrier"])
def test_a_restart_under_the_same_name_waits_for_no_session(
    kafka: Kafka, prefix: str, sink: WebhookSink, tmp_path: Path, died: str
) -> None:
    """After SIGKILL and a start the first delivery comes long before the session has run out."""
    site = make_site(kafka, prefix, tiers=("1s", "2s"))
    told = {"KAFKA__SESSION_TIMEOUT": "60s", "RETRIER__SPOOL_DIR": str(tmp_path)}
    site.subscribe("a", sink.url("a"))
    with site.fanout(**told) as fanout, site.retrier(**told) as retrier:
        fanout.wait_ready()
        retrier.wait_ready()
        sink.answer = lambda _: Answer(503)
        site.publish_numbers(["k"])
        sink.wait_for(lambda: len(sink.hits) > 0)
        retrier.wait_for(lambda: retrier.metric("hooklane_backlog_tasks") == 1)
        process, key = {"fanout": (fanout, "other"), "retrier": (retrier, "k")}[died]
        process.kill()
        sink.answer = lambda _: OK
        before = len(sink.hits)
        site.publish_numbers([key], first=1)
        process.start()
        # Half of the session: how much sooner it comes is measured by bench/restart.py.
        sink.wait_for(lambda: any(hit.key == key for hit in sink.hits[before:]), 30.0)
