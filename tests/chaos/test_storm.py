"""A short storm, and the plans that storms are made of."""

from itertools import islice
from pathlib import Path

import pytest

from tests.chaos.plan import Deed, brokers_plan, services_plan
from tests.chaos.storm import Storm, Weather
from tests.kafka.cluster import KafkaCluster

SEED = 20_26


@pytest.mark.timeout(300)
def test_nothing_is_lost_or_turned_round_in_a_storm(
    kafka_cluster: KafkaCluster, tmp_path: Path
) -> None:
    """Two of each service, brokers, links and receivers fail at random: all arrives, in order."""
    report = Storm(kafka_cluster, Weather(SEED, seconds=40.0), tmp_path).run()
    assert report.holds, report.text()
    assert sum(report.deeds.values()) >= 10, report.text()
    # What Kafka takes for a second one of its name ends with that sentence, and what is started
    # while no broker can be reached with another; either is started again.
    told = ("fenced", "Kafka did not answer within")
    assert all(any(words in why for words in told) for why in report.endings), report.text()


def test_a_seed_is_a_plan() -> None:
    """The same seed gives the same steps, another one others, and each deck has every deed."""
    first, again, other = (list(islice(services_plan(seed, 5.0), 14)) for seed in (1, 1, 2))
    assert first == again != other
    brokers = list(islice(brokers_plan(1), 9))
    assert {step.deed for step in (*first, *brokers)} == set(Deed)


def test_a_freeze_outlasts_the_session() -> None:
    """What is to be taken for dead stands still for longer than the session timeout."""
    steps = islice(services_plan(3, 5.0), 200)
    longer = [step for step in steps if step.deed in {Deed.FREEZE, Deed.KILL_LONG}]
    assert len(longer) > 20
    assert all(step.lasts_s > 5.0 for step in longer)
