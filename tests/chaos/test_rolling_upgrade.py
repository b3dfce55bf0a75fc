"""A rolling upgrade by processes, as an orchestrator does it."""

from pathlib import Path

import pytest

from tests.chaos.rolling import roll
from tests.kafka.broker import Kafka


@pytest.mark.timeout(240)
def test_a_rolling_upgrade_loses_and_repeats_nothing(
    kafka: Kafka, prefix: str, tmp_path: Path
) -> None:
    """Rule 6 and static membership: each of two fan-outs and two retriers is replaced under load,
    nothing is lost, repeated or turned round, and no partition moves."""
    rolled = roll(kafka, prefix, tmp_path, rounds=1)
    assert rolled.holds, rolled.text()
    assert len(rolled.turns) == 4
    # It was under load, and something waited in the backlog meanwhile.
    assert rolled.events > 100
    assert rolled.answers.total() > rolled.answers["200"]
