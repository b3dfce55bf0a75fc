"""Failing receivers while both services run, are stopped and are killed."""

import random
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.kafka.broker import Kafka
from tests.kafka.records import Outgoing
from tests.support.order import judge
from tests.support.processes import ServiceProcess
from tests.support.site import Site, make_site
from tests.support.webhook_sink import Answer, Hit, WebhookSink

EVENTS = 4000
KEYS = 40
NAMES = ("one", "two", "three")
SCHEDULE = ["1s", "2s"] + ["4s"] * 20


class Unsteady:
    """Fails one request in ten, and one key altogether for its first seconds."""

    def __init__(self, seed: int, seconds: float) -> None:
        self._chance = random.Random(seed)
        self._until = time.monotonic() + seconds
        self.accepted: list[Hit] = []

    def __call__(self, hit: Hit) -> Answer:
        poisoned = hit.key == "key-7" and time.monotonic() < self._until
        if poisoned or self._chance.random() < 0.1:
            return Answer(self._chance.choice([500, 502, 503, 404]))
        self.accepted.append(hit)
        return Answer()


@pytest.fixture
def shop(kafka: Kafka, prefix: str, sink: WebhookSink) -> Site:
    site = make_site(kafka, prefix, partitions=4, tiers=("1s", "2s", "4s"))
    for name in NAMES:
        site.subscribe(name, sink.url(name), retry={"schedule": SCHEDULE})
    return site


def flow(site: Site, seconds: float) -> threading.Thread:
    def publish() -> None:
        for first in range(0, EVENTS, 100):
            site.publish(
                Outgoing(b"key-%d" % (number % KEYS), b'{"n":%d}' % number)
                for number in range(first, first + 100)
            )
            time.sleep(seconds * 100 / EVENTS)

    thread = threading.Thread(target=publish)
    thread.start()
    return thread


def wanted() -> dict[str, set[int]]:
    return {name: set(range(EVENTS)) for name in NAMES}


def all_accepted(unsteady: Unsteady) -> bool:
    return len({(hit.path, hit.body) for hit in unsteady.accepted}) == EVENTS * len(NAMES)


@pytest.mark.timeout(180)
def test_one_in_ten_fails_and_everything_arrives_in_order(
    shop: Site, sink: WebhookSink, tmp_path: Path
) -> None:
    """Every event reaches every subscription, in order per key, without a repeat."""
    unsteady = Unsteady(seed=4, seconds=8.0)
    sink.answer = unsteady
    with shop.fanout() as fanout, shop.retrier(RETRIER__SPOOL_DIR=str(tmp_path)) as retrier:
        fanout.wait_ready()
        retrier.wait_ready()
        flow(shop, 5.0).join()
        sink.wait_for(lambda: all_accepted(unsteady), 60.0)
        assert fanout.terminate() == 0
        assert retrier.terminate() == 0
    verdict = judge(unsteady.accepted, wanted())
    assert verdict.in_order_and_complete, verdict
    assert verdict.repeats == 0
    assert shop.dead_letters() == []
    assert shop.tasks() == {}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("killed", [False, True])
def test_both_go_down_in_turn_and_nothing_is_lost_or_turned_round(
    shop: Site, sink: WebhookSink, tmp_path: Path, killed: bool
) -> None:
    """Promise of durability and order: SIGTERM and SIGKILL of each in turn, the spool deleted."""
    unsteady = Unsteady(seed=5, seconds=8.0)
    sink.answer = unsteady
    chance = random.Random(6)
    down: Callable[[ServiceProcess], object] = (
        ServiceProcess.kill if killed else ServiceProcess.terminate
    )
    with ExitStack() as stack:
        fanout = stack.enter_context(shop.fanout())
        retrier = stack.enter_context(shop.retrier(RETRIER__SPOOL_DIR=str(tmp_path)))
        fanout.wait_ready()
        retrier.wait_ready()
        publishing = flow(shop, 10.0)
        bounces = 0
        while publishing.is_alive() or bounces < 4:
            time.sleep(chance.uniform(0.5, 1.5))
            process = (fanout, retrier)[bounces % 2]
            down(process)
            if bounces % 4 == 3:
                shutil.rmtree(tmp_path)
                tmp_path.mkdir()
            process.start()
            process.wait_ready()
            bounces += 1
        sink.wait_for(lambda: all_accepted(unsteady), 90.0)
        retrier.wait_for(lambda: retrier.metric("hooklane_backlog_tasks") == 0)
        fanout.wait_for(lambda: fanout.metric("hooklane_lanes_blocked") == 0)
        assert fanout.terminate() == 0
        assert retrier.terminate() == 0
    verdict = judge(unsteady.accepted, wanted())
    assert verdict.in_order_and_complete, verdict
    assert killed or verdict.repeats == 0
    assert shop.dead_letters() == []
    assert shop.tasks() == {}
