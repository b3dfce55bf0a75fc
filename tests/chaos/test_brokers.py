"""Brokers die, restart and cannot be reached, while events flow through one pair of services."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from tests.chaos.keeper import Keeper, Kept
from tests.chaos.stage import Stage, stage, until
from tests.kafka.cluster import BROKERS, KafkaCluster
from tests.support.links import Links, Way
from tests.support.processes import ServiceProcess

SESSION_S = 4.0


@dataclass(frozen=True, slots=True)
class Running:
    """The services behind the links, as all tests of this file share them, and kept alive."""

    cluster: KafkaCluster
    links: Links
    stage: Stage
    fanout: ServiceProcess
    retrier: ServiceProcess
    endings: Counter[str]

    def assert_none_gave_up(self) -> None:
        """Whatever the brokers do, no service ends but for one reason, see docs/limits.md: a
        commit that waited for a lost coordinator bears the name of a membership that is over."""
        assert all("fenced" in why for why in self.endings), self.endings

    def hold_for_longer_than_the_session(self, nodes: list[int], ways: list[Way]) -> None:
        self.links.hold(nodes, ways)
        time.sleep(SESSION_S + 1.0)
        self.links.heal()


@pytest.fixture(scope="module")
def shared(
    started_cluster: KafkaCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    cluster, spool = started_cluster, tmp_path_factory.mktemp("spool")
    told = {"KAFKA__SESSION_TIMEOUT": f"{SESSION_S:.0f}s", "RETRIER__SPOOL_DIR": str(spool)}
    endings: Counter[str] = Counter()
    cluster.heal()
    with ExitStack() as stack:
        links = stack.enter_context(Links(cluster.links))
        flowing = stack.enter_context(
            stage(cluster.proxied, f"t-{uuid4().hex[:8]}", publish_by=cluster.kafka)
        )
        fanout = Kept(flowing.site.fanout(**told), None, endings)
        retrier = Kept(flowing.site.retrier(**told), Path(spool), endings)
        keeper = Keeper({"fanout": [fanout], "retrier": [retrier]})
        stack.enter_context(keeper)
        yield Running(cluster, links, flowing, fanout.process, retrier.process, endings)
        links.heal()
        cluster.heal()
        flowing.finish()
        for kept in keeper.all:
            kept.terminate()
        assert all("fenced" in why for why in endings), endings


@pytest.fixture
def running(shared: Running) -> Iterator[Running]:
    """After each test all brokers run, and the services have outlived it."""
    yield shared
    shared.links.heal()
    shared.cluster.heal()
    shared.assert_none_gave_up()


@pytest.mark.timeout(200)
@pytest.mark.parametrize("service", [pytest.param("fanout", marks=pytest.mark.slow), "retrier"])
def test_a_group_s_coordinator_is_killed(running: Running, service: str) -> None:
    """Deliveries go on by the brokers that are left, and when the third one is there again."""
    node = running.cluster.group_coordinator(f"{running.stage.site.prefix}-{service}")
    running.cluster.kill(node)
    running.stage.settle()
    running.cluster.start(node)
    running.stage.settle()


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_rolling_restart_only_delays(running: Running) -> None:
    """Each broker in turn ends and comes back; then its leaderships move back to it."""
    for node in BROKERS:
        running.cluster.stop(node)
        running.cluster.start(node)
        running.cluster.wait_in_sync(running.stage.site.events, 3)
    running.cluster.prefer()
    running.stage.settle()


@pytest.mark.timeout(200)
def test_too_few_in_sync_replicas_only_delay(running: Running) -> None:
    """With one broker of three nothing is acknowledged, and nothing that was is lost."""
    topic = running.stage.site.events
    leader = running.cluster.leader(topic, 0)
    others = [node for node in BROKERS if node != leader]
    for node in others:
        running.cluster.kill(node)
    until(lambda: running.cluster.in_sync(topic, 0) == {leader}, seconds=30.0)
    before = running.stage.flow.acked
    time.sleep(2.0)
    assert running.stage.flow.acked == before
    running.assert_none_gave_up()
    for node in others:
        running.cluster.start(node)
    running.stage.settle()


@pytest.mark.timeout(200)
@pytest.mark.parametrize("way", [Way.UP, pytest.param(Way.DOWN, marks=pytest.mark.slow)])
def test_a_one_way_partition_only_delays(running: Running, way: Way) -> None:
    """One direction to or from a leader is dead for longer than the session timeout."""
    leader = running.cluster.leader(running.stage.site.events, 0)
    running.hold_for_longer_than_the_session([leader], [way])
    running.stage.settle()


@pytest.mark.timeout(200)
def test_a_full_partition_only_delays(running: Running) -> None:
    """No broker is reached for longer than the session timeout; probes stay good meanwhile."""
    running.links.hold(BROKERS)
    time.sleep(SESSION_S + 1.0)
    assert running.fanout.get("/healthz")[0] == running.retrier.get("/healthz")[0] == 200
    assert running.fanout.get("/readyz")[0] == running.retrier.get("/readyz")[0] == 200
    running.links.heal()
    running.stage.settle()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_full_partition_of_a_minute_only_delays(running: Running) -> None:
    """No broker is reached for 60 s."""
    running.links.hold(BROKERS)
    time.sleep(60.0)
    running.assert_none_gave_up()
    running.links.heal()
    running.stage.settle()


@pytest.mark.timeout(200)
def test_slow_links_only_slow_down(running: Running) -> None:
    """200 ms to and fro and 64 KiB/s to each broker: events arrive, also while it is so."""
    running.links.slow(BROKERS, latency_s=0.1, bytes_per_s=64 * 1024)
    before = running.stage.flow.published
    until(lambda: running.stage.flow.published > before + 20)
    running.stage.settle()


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_no_broker_for_minutes_ends_no_service(kafka_cluster: KafkaCluster, tmp_path: Path) -> None:
    """All brokers are killed in the midst of deliveries and stay away for 150 s, with the chart's
    session timeout: a client that hangs in its transaction meanwhile is left behind, and both
    processes are alive and go on."""
    told = {"KAFKA__SESSION_TIMEOUT": "30s", "RETRIER__SPOOL_DIR": str(tmp_path)}
    with (
        stage(kafka_cluster.kafka, f"t-{uuid4().hex[:8]}") as flowing,
        flowing.site.fanout(**told) as fanout,
        flowing.site.retrier(**told) as retrier,
    ):
        fanout.wait_ready()
        retrier.wait_ready()
        until(lambda: len(flowing.moods.arrivals) > 50)
        for node in BROKERS:
            kafka_cluster.kill(node)
        flowing.flow.pause()
        for _ in range(15):
            time.sleep(10.0)
            for process in (fanout, retrier):
                assert process.exit_code is None, process.log()[-2000:]
                assert process.get("/healthz")[0] == 200
        kafka_cluster.heal()
        flowing.flow.resume()
        flowing.settle(120.0)
        flowing.finish()
        assert (fanout.terminate(), retrier.terminate()) == (0, 0)
