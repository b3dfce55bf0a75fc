"""Fixtures for all tests: real Kafka and names of a test's own. See tests/kafka/broker.py."""

import os
import signal
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings

from tests.kafka.broker import Kafka, SingleBroker
from tests.kafka.cluster import KafkaCluster
from tests.kafka.fetch import KafkaUnavailableError, ensure_jars
from tests.support.helm import Helm, helm_running
from tests.support.postgres import Postgres, PostgresUnavailableError, ensure_postgres

# How long examples take says how busy the machine is, and nothing about what is tested.
settings.register_profile("hooklane", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hooklane")

_GIVEN = "HOOKLANE_TEST_BOOTSTRAP_SERVERS"
_shared_by_workers = pytest.StashKey[SingleBroker]()
_told = pytest.StashKey[dict[str, str]]()


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> Iterator[Kafka]:
    """One broker for the whole run, or the cluster that HOOKLANE_TEST_BOOTSTRAP_SERVERS names."""
    given = os.environ.get(_GIVEN)
    told: dict[str, Any] = getattr(request.config, "workerinput", {})
    if given:
        yield Kafka(given)
    elif "kafka" in told:
        yield Kafka(told["kafka"])
    elif "kafka_unavailable" in told:
        raise _failure(told["kafka_unavailable"])
    else:
        try:
            broker, found = _start()
        except KafkaUnavailableError as error:
            raise _failure(str(error)) from None
        yield found
        broker.close()


@pytest.fixture(scope="session")
def started_cluster() -> Iterator[KafkaCluster]:
    """The three brokers behind `kafka_cluster`, which is what tests ask for."""
    try:
        cluster = KafkaCluster(ensure_jars(), _folder())
    except KafkaUnavailableError as error:
        raise _failure(str(error)) from None
    try:
        cluster.start_all()
        yield cluster
    finally:
        cluster.close()


@pytest.fixture
def kafka_cluster(started_cluster: KafkaCluster) -> Iterator[KafkaCluster]:
    """Three brokers, all running and in sync when the test begins."""
    started_cluster.heal()
    yield started_cluster
    started_cluster.start_all()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One PostgreSQL for the whole run; a test makes a database of its own in it. Where there is
    none, only the CI has to fail."""
    try:
        server = Postgres(ensure_postgres())
    except PostgresUnavailableError as error:
        if os.environ.get("CI"):
            raise _failure(str(error)) from None
        pytest.skip(str(error))
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def helm() -> Iterator[Helm]:
    """One Helm for the whole run."""
    with helm_running() as running:
        yield running


@pytest.fixture
def prefix() -> str:
    """A topic prefix that no other test has."""
    return f"t-{uuid4().hex[:8]}"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Under pytest-xdist: chaos, and what needs the cluster, is for one worker, and so is a file
    whose tests share a stage.

    No two of chaos run at once then, and only one cluster is started. (xdist's own groups mark node
    ids, which pytest 9 does not let it change.)
    """
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - only where it is installed

    class ChaosInOne(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            if _is_chaos(file):
                return "chaos"
            return file if file in _ONE_STAGE else nodeid

    return ChaosInOne(config, log)


_ONE_STAGE = frozenset(
    {
        "tests/integration/test_avro_events.py",
        "tests/integration/test_console.py",
        "tests/integration/test_outbox_relay.py",
        "tests/integration/test_receivers.py",
        "tests/integration/test_redrive_and_replay.py",
    }
)


@cache
def _is_chaos(file: str) -> bool:
    path = Path(__file__).parents[1] / file
    return path.parent.name == "chaos" or "kafka_cluster" in path.read_text()


@pytest.hookimpl(optionalhook=True)
def pytest_configure() -> None:
    """Ctrl-C is tested; whoever was begun in the background by a shell has it ignored, and so would
    the programs that the tests start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure_node(node: Any) -> None:
    """Under pytest-xdist: the controlling process starts one broker, its workers are told where."""
    if os.environ.get(_GIVEN):
        return
    config: pytest.Config = node.config
    if _told not in config.stash:
        _start_for_workers(config)
    node.workerinput.update(config.stash[_told])


_told = pytest.StashKey[dict[str, str]]()


def _start_for_workers(config: pytest.Config) -> None:
    try:
        broker, found = _start()
    except KafkaUnavailableError as error:
        # Only the tests that need Kafka shall fail of it.
        config.stash[_told] = {"kafka_unavailable": str(error)}
    else:
        config.stash[_shared_by_workers] = broker
        config.stash[_told] = {"kafka": found.bootstrap_servers}


def pytest_unconfigure(config: pytest.Config) -> None:
    broker = config.stash.get(_shared_by_workers, None)
    if broker is not None:
        broker.close()


def _start() -> tuple[SingleBroker, Kafka]:
    broker = SingleBroker(ensure_jars(), _folder())
    try:
        return broker, broker.start()
    except BaseException:
        broker.close()
        raise


def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="hooklane-kafka-"))


def _failure(sentence: str) -> BaseException:
    """Fails a test with the sentence alone, without a traceback."""
    return pytest.fail.Exception(sentence, pytrace=False)
